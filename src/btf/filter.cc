// SPDX-License-Identifier: GPL-2.0-only
#include "btf/filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/assert.h"
#include "btf/builder.h"

namespace uscx::btf {
namespace {

// What abi/kernel/version.h and the generated list of roots call their helpers.
constexpr std::string_view kRootPrefix = "uscx_root_";
constexpr std::string_view kWideFuncPrefix = "uscx_func_";
constexpr std::string_view kValuePrefix = "uscx_value_";
constexpr std::string_view kEnumPrefix = "uscx_enum_";
constexpr std::string_view kNamedPrefix = "uscx_named_";
constexpr std::string_view kHelperPrefix = "uscx_";
constexpr std::string_view kAnonymousEnumPrefix = "uapi_";
constexpr std::string_view kSince = "since:";
constexpr std::string_view kUntil = "until:";
constexpr std::string_view kAlternative = "___until_";
constexpr std::string_view kPercpuSection = ".data..percpu";
constexpr std::string_view kArenaTag = "address_space(1)";
constexpr KernelVersion kForever{0xffff, 0xffff};

struct Spelling {
  std::string_view base;
  KernelVersion until = kForever;
};

/// "NAME___until_7_3" is NAME of versions before 7.3; any other name is the newest form.
Spelling split_name(std::string_view name) {
  const size_t at = name.rfind(kAlternative);
  if (at == std::string_view::npos || at == 0) return {name, kForever};
  std::string numbers(name.substr(at + kAlternative.size()));
  std::replace(numbers.begin(), numbers.end(), '_', '.');
  const auto version = parse_version(numbers);
  if (!version) return {name, kForever};
  return {name.substr(0, at), *version};
}

class Filter {
 public:
  Filter(const Btf& all, KernelVersion version) : all_(all), version_(version) {}

  OrError<std::vector<std::byte>> run() {
    USCX_ASSERT(builder_.last_id() == 0);
    if (auto r = read_side_tags(); !r) return std::unexpected(r.error());
    choose_alternatives();
    if (auto r = collect(); !r) return std::unexpected(r.error());
    number();
    emit();
    return builder_.finish();
  }

 private:
  using Status = OrError<void>;

  OrError<bool> in_version(const std::vector<std::string_view>& tags) const;
  Status read_side_tags();
  void choose_alternatives();
  u32 chosen(u32 id) const {
    const auto it = replaced_.find(id);
    return it == replaced_.end() ? id : it->second;
  }
  OrError<bool> exists(u32 id) const;
  Status collect();
  Status need(u32 id, u32 user);
  Status need_parts(u32 id);
  Status drain();
  OrError<std::vector<u32>> kept_members(u32 id) const;
  bool is_helper(u32 id) const { return all_.name(id).starts_with(kHelperPrefix); }
  void number();
  u32 mapped(u32 id) const;
  void emit();
  void emit_type(u32 id);
  void emit_enum(u32 id);
  void emit_composite(u32 id);
  void emit_wide_funcs();
  void emit_decl_tags();
  void emit_percpu();

  const Btf& all_;
  KernelVersion version_;
  std::map<std::string_view, bool> values_;     // enumerators with a version: is it there?
  std::map<std::string_view, bool> enums_;      // enums with a version: is it there?
  std::map<std::string_view, bool> named_;      // enums named since a version: named in ours?
  std::map<u32, u32> replaced_;                 // every spelling of a name: the one to use
  std::set<u32> kept_;                          // ids that go out
  std::vector<u32> worklist_;                   // kept, its parts not yet
  std::vector<u32> wide_funcs_;                 // VARs that stand for functions
  std::map<u32, std::vector<u32>> members_of_;  // kept member indexes of kept composites
  std::map<u32, u32> new_id_;
  Builder builder_;
};

OrError<bool> Filter::in_version(const std::vector<std::string_view>& tags) const {
  for (std::string_view tag : tags) {
    const bool since = tag.starts_with(kSince);
    if (!since && !tag.starts_with(kUntil)) continue;
    const auto bound = parse_version(tag.substr(since ? kSince.size() : kUntil.size()));
    if (!bound) return std::unexpected(bound.error());
    if (since ? version_ < *bound : version_ >= *bound) return false;
  }
  return true;
}

/// Variables that stand for what carries no attribute of its own.
Filter::Status Filter::read_side_tags() {
  const std::pair<std::string_view, std::map<std::string_view, bool>*> prefixes[] = {
      {kValuePrefix, &values_}, {kEnumPrefix, &enums_}, {kNamedPrefix, &named_}};
  for (u32 id = 1; id < all_.type_count(); ++id) {
    if (all_.kind(id) != Kind::kVar) continue;
    const std::string_view name = all_.name(id);
    for (const auto& [prefix, table] : prefixes) {
      if (!name.starts_with(prefix)) continue;
      const auto there = in_version(all_.decl_tags(id));
      if (!there) return std::unexpected(there.error());
      (*table)[name.substr(prefix.size())] = *there;
    }
  }
  return {};
}

void Filter::choose_alternatives() {
  std::map<std::pair<Kind, std::string_view>, std::vector<std::pair<KernelVersion, u32>>> groups;
  for (u32 id = 1; id < all_.type_count(); ++id) {
    const Kind kind = all_.kind(id);
    if (all_.name(id).empty() || kind == Kind::kDeclTag || kind == Kind::kTypeTag) continue;
    const Spelling s = split_name(all_.name(id));
    groups[{kind, s.base}].emplace_back(s.until, id);
  }
  for (auto& [key, spellings] : groups) {
    if (spellings.size() < 2) continue;
    std::sort(spellings.begin(), spellings.end());
    const auto use = std::find_if(spellings.begin(), spellings.end(),
                                  [&](const auto& s) { return version_ < s.first; });
    USCX_ASSERT(use != spellings.end() || spellings.back().first != kForever);
    const u32 target = use == spellings.end() ? spellings.back().second : use->second;
    for (const auto& [until, id] : spellings) replaced_[id] = target;
  }
}

OrError<bool> Filter::exists(u32 id) const {
  const Spelling s = split_name(all_.name(id));
  if (version_ >= s.until) return false;
  const Kind kind = all_.kind(id);
  if (kind == Kind::kEnum || kind == Kind::kEnum64) {
    const auto it = enums_.find(s.base);
    if (it != enums_.end()) return it->second;
  }
  return in_version(all_.decl_tags(id));
}

/// Keeps what can be reached from the functions, per-CPU variables and listed types of the version.
Filter::Status Filter::collect() {
  for (u32 root = 1; root < all_.type_count(); ++root) {
    const Type& t = all_.type(root);
    u32 wanted = 0;
    if (t.kind == Kind::kFunc || (t.kind == Kind::kVar && !is_helper(root))) {
      if (chosen(root) != root) continue;
      wanted = root;
    } else if (t.kind == Kind::kVar &&
               (t.name.starts_with(kRootPrefix) || t.name.starts_with(kWideFuncPrefix))) {
      wanted = chosen(t.type);
    } else {
      continue;
    }
    const auto there = exists(wanted);
    if (!there) return std::unexpected(there.error());
    if (!*there) continue;
    if (auto r = need(wanted, root); !r) return r;
    if (auto r = drain(); !r) return r;
    if (t.name.starts_with(kWideFuncPrefix)) {
      const bool usable = t.name.size() > kWideFuncPrefix.size() &&
                          all_.kind(wanted) == Kind::kPtr &&
                          all_.kind(all_.type(wanted).type) == Kind::kFuncProto;
      if (!usable) return error(fmt::format("VAR {} is no pointer to a function", t.name));
      wide_funcs_.push_back(root);
    }
  }
  return {};
}

/// Keeps `id`; what it refers to in turn is looked at later, from the worklist.
Filter::Status Filter::need(u32 id, u32 user) {
  id = chosen(id);
  if (id == 0 || kept_.contains(id)) return {};
  const auto there = exists(id);
  if (!there) return std::unexpected(there.error());
  const auto name_of = [&](u32 t) {
    return fmt::format("{} {}", kind_name(all_.kind(t)), all_.name(t));
  };
  if (!*there) {
    return error(fmt::format("{} uses {}, which Linux {} does not have", name_of(user), name_of(id),
                             version_.to_string()));
  }
  if (all_.kind(id) == Kind::kDatasec || all_.kind(id) == Kind::kDeclTag) {
    return error(fmt::format("{} refers to {}", name_of(user), name_of(id)));
  }
  kept_.insert(id);
  worklist_.push_back(id);
  return {};
}

Filter::Status Filter::drain() {
  while (!worklist_.empty()) {
    const u32 id = worklist_.back();
    worklist_.pop_back();
    if (auto r = need_parts(id); !r) return r;
  }
  return {};
}

Filter::Status Filter::need_parts(u32 id) {
  const Type& t = all_.type(id);
  if (auto r = need(t.type, id); !r) return r;
  if (auto r = need(t.index_type, id); !r) return r;
  if (t.kind == Kind::kStruct || t.kind == Kind::kUnion) {
    auto kept = kept_members(id);
    if (!kept) return std::unexpected(kept.error());
    for (u32 i : *kept) {
      if (auto r = need(all_.members(id)[i].type, id); !r) return r;
    }
    members_of_[id] = std::move(*kept);
  } else if (t.kind == Kind::kFuncProto) {
    for (const Param& p : all_.params(id)) {
      if (auto r = need(p.type, id); !r) return r;
    }
  }
  return {};
}

OrError<std::vector<u32>> Filter::kept_members(u32 id) const {
  std::vector<u32> kept;
  const auto members = all_.members(id);
  for (u32 i = 0; i < members.size(); ++i) {
    const auto there = in_version(all_.decl_tags(id, static_cast<s32>(i)));
    if (!there) return std::unexpected(there.error());
    if (*there) kept.push_back(i);
  }
  return kept;
}

void Filter::number() {
  u32 next = 1;
  for (u32 id : kept_) new_id_[id] = next++;
}

u32 Filter::mapped(u32 id) const {
  if (id == 0) return 0;
  const auto it = new_id_.find(chosen(id));
  USCX_ASSERT(it != new_id_.end());
  return it->second;
}

void Filter::emit() {
  for (u32 id : kept_) {
    emit_type(id);
    USCX_ASSERT(builder_.last_id() == new_id_.at(id));
  }
  emit_wide_funcs();
  emit_decl_tags();
  emit_percpu();
}

void Filter::emit_type(u32 id) {
  const Type& t = all_.type(id);
  const std::string_view name = split_name(t.name).base;
  switch (t.kind) {
    case Kind::kInt:
      builder_.add_int(name, t.size, t.int_encoding);
      break;
    case Kind::kFloat:
      builder_.add_float(name, t.size);
      break;
    case Kind::kPtr:
    case Kind::kConst:
    case Kind::kVolatile:
    case Kind::kRestrict:
      builder_.add_ref(t.kind, mapped(t.type));
      break;
    case Kind::kTypedef:
      builder_.add_typedef(name, mapped(t.type));
      break;
    case Kind::kTypeTag:
      builder_.add_type_tag(name, mapped(t.type), name == kArenaTag);
      break;
    case Kind::kArray:
      builder_.add_array(mapped(t.type), mapped(t.index_type), t.nr_elems);
      break;
    case Kind::kStruct:
    case Kind::kUnion:
      emit_composite(id);
      break;
    case Kind::kEnum:
    case Kind::kEnum64:
      emit_enum(id);
      break;
    case Kind::kFwd:
      builder_.add_fwd(name, t.kflag);
      break;
    case Kind::kFuncProto: {
      std::vector<Builder::ParamSpec> params;
      for (const Param& p : all_.params(id))
        params.push_back({std::string(p.name), mapped(p.type)});
      builder_.add_func_proto(mapped(t.type), params);
      break;
    }
    case Kind::kFunc:
      builder_.add_func(name, mapped(t.type), kStatic);
      break;
    case Kind::kVar:
      builder_.add_var(name, mapped(t.type), t.linkage);
      break;
    default:
      USCX_ASSERT(false && "sections and tags are never collected");
  }
}

void Filter::emit_composite(u32 id) {
  const Type& t = all_.type(id);
  std::vector<Builder::MemberSpec> members;
  for (u32 i : members_of_.at(id)) {
    const Member& m = all_.members(id)[i];
    members.push_back({std::string(m.name), mapped(m.type), m.bit_offset, m.bitfield_size});
  }
  builder_.add_composite(t.kind, split_name(t.name).base, t.size, members);
}

void Filter::emit_enum(u32 id) {
  const Type& t = all_.type(id);
  std::map<std::string_view, KernelVersion> use;  // enumerator: which spelling applies
  for (const Enumerator& e : all_.enumerators(id)) {
    const Spelling s = split_name(e.name);
    if (version_ >= s.until) continue;
    const auto [it, fresh] = use.try_emplace(s.base, s.until);
    if (!fresh && s.until < it->second) it->second = s.until;
  }
  std::vector<Builder::EnumeratorSpec> values;
  for (const Enumerator& e : all_.enumerators(id)) {
    const Spelling s = split_name(e.name);
    const auto chosen_spelling = use.find(s.base);
    if (chosen_spelling == use.end() || chosen_spelling->second != s.until) continue;
    const auto versioned = values_.find(e.name);
    if (versioned != values_.end() && !versioned->second) continue;
    values.push_back({std::string(s.base), e.value});
  }
  std::string_view name = split_name(t.name).base;
  const auto named = named_.find(name);
  if (name.starts_with(kAnonymousEnumPrefix) || (named != named_.end() && !named->second))
    name = {};
  builder_.add_enum(name, t.size, t.kflag, values);
}

/// Functions with more parameters than a BPF definition can have come as pointers to them.
void Filter::emit_wide_funcs() {
  for (u32 id : wide_funcs_) {
    const Type& t = all_.type(id);
    builder_.add_func(t.name.substr(kWideFuncPrefix.size()), mapped(all_.type(chosen(t.type)).type),
                      kStatic);
  }
}

/// Tags that say something other than versions ("bpf_kfunc") stay.
void Filter::emit_decl_tags() {
  for (u32 id : kept_) {
    for (std::string_view tag : all_.decl_tags(id)) {
      if (tag.starts_with(kSince) || tag.starts_with(kUntil)) continue;
      builder_.add_decl_tag(tag, new_id_.at(id));
    }
  }
}

void Filter::emit_percpu() {
  std::vector<SecVar> vars;
  u32 end = 0;
  for (u32 id : kept_) {
    if (all_.kind(id) != Kind::kVar) continue;
    const u32 size = all_.size_of(id).value_or(0);
    const u32 align = size >= 64 ? 64 : 8;
    end = (end + align - 1) / align * align;
    vars.push_back({new_id_.at(id), end, size});
    end += size;
  }
  if (!vars.empty()) builder_.add_datasec(kPercpuSection, end, vars);
}

}  // namespace

OrError<std::vector<std::byte>> filter(const Btf& all, KernelVersion version) {
  return Filter(all, version).run();
}

}  // namespace uscx::btf
