// SPDX-License-Identifier: GPL-2.0-only
// From the BTF of a compiled description of bpf_testmod to one that is split from vmlinux's.
#include <bpf/btf.h>
#include <fmt/format.h>

#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string_view>

#include "conformance/verifier/testmod.h"

namespace uscx::conformance {

namespace {

using Types = std::unique_ptr<::btf, decltype(&btf__free)>;

constexpr std::string_view kFunction = "uscx_func_";

/// Copies types; what vmlinux has by the same name and kind is taken from there.
class Splitter {
 public:
  Splitter(const ::btf* from, ::btf* to) : from_(from), to_(to) {}

  s32 map(u32 id) {
    if (id == 0) return 0;
    auto [it, fresh] = done_.try_emplace(id, 0);
    if (!fresh) return it->second;
    const s32 mapped = copy(id);
    done_[id] = mapped;
    return mapped;
  }

  /// A struct uscx_func_NAME becomes FUNC NAME.
  void add_function(const btf_type* t, bool implicit) {
    const char* name = name_of(t) + kFunction.size();
    const btf_member* members = btf_members(t);
    const bool returns_void = std::strcmp(text(members[0].name_off), "uscx_void") == 0;
    std::vector<s32> types;
    for (u32 i = 0; i < btf_vlen(t); ++i) types.push_back(map(members[i].type));
    const auto add = [&](const std::string& function, u32 count) {
      const s32 proto = btf__add_func_proto(to_, returns_void ? 0 : types[0]);
      for (u32 i = 1; i < count; ++i) {
        btf__add_func_param(to_, text(members[i].name_off), types[i]);
      }
      btf__add_func(to_, function.c_str(), BTF_FUNC_STATIC, proto);
    };
    // The public prototype of a kfunc with implicit arguments is without them.
    add(name, btf_vlen(t) - (implicit ? 1 : 0));
    if (implicit) add(fmt::format("{}_impl", name), btf_vlen(t));
  }

  const char* text(u32 offset) const { return btf__name_by_offset(from_, offset); }
  const char* name_of(const btf_type* t) const { return text(t->name_off); }

 private:
  s32 in_base(const btf_type* t) const {
    const char* name = name_of(t);
    if (!*name || btf_is_func(t)) return 0;
    u32 kind = btf_kind(t);
    if (kind == BTF_KIND_FWD) kind = btf_kflag(t) ? BTF_KIND_UNION : BTF_KIND_STRUCT;
    const s32 id = btf__find_by_name_kind(to_, name, kind);
    return id > 0 ? id : 0;
  }

  s32 copy(u32 id) {
    const btf_type* t = btf__type_by_id(from_, id);
    if (const s32 known = in_base(t)) return known;
    const char* name = name_of(t);
    switch (btf_kind(t)) {
      case BTF_KIND_PTR:
        return btf__add_ptr(to_, map(t->type));
      case BTF_KIND_CONST:
        return btf__add_const(to_, map(t->type));
      case BTF_KIND_VOLATILE:
        return btf__add_volatile(to_, map(t->type));
      case BTF_KIND_TYPEDEF:
        return btf__add_typedef(to_, name, map(t->type));
      case BTF_KIND_TYPE_TAG:
        return btf__add_type_tag(to_, name, map(t->type));
      case BTF_KIND_INT:
        return btf__add_int(to_, name, t->size, btf_int_encoding(t));
      case BTF_KIND_FWD:
        return btf__add_fwd(to_, name, btf_kflag(t) ? BTF_FWD_UNION : BTF_FWD_STRUCT);
      case BTF_KIND_ARRAY: {
        const struct btf_array* a = btf_array(t);
        const s32 index = map(a->index_type), element = map(a->type);
        return btf__add_array(to_, index, element, a->nelems);
      }
      case BTF_KIND_FUNC_PROTO:
        return copy_proto(t);
      case BTF_KIND_STRUCT:
      case BTF_KIND_UNION:
        return copy_struct(t);
      default:
        return 0;
    }
  }

  s32 copy_proto(const btf_type* t) {
    const btf_param* params = btf_params(t);
    const s32 result = map(t->type);
    std::vector<s32> types;
    for (u32 i = 0; i < btf_vlen(t); ++i) types.push_back(map(params[i].type));
    const s32 id = btf__add_func_proto(to_, result);
    for (u32 i = 0; i < btf_vlen(t); ++i) {
      btf__add_func_param(to_, text(params[i].name_off), types[i]);
    }
    return id;
  }

  s32 copy_struct(const btf_type* t) {
    const btf_member* members = btf_members(t);
    std::vector<s32> types;
    for (u32 i = 0; i < btf_vlen(t); ++i) types.push_back(map(members[i].type));
    const s32 id = btf_is_struct(t) ? btf__add_struct(to_, name_of(t), t->size)
                                    : btf__add_union(to_, name_of(t), t->size);
    for (u32 i = 0; i < btf_vlen(t); ++i) {
      btf__add_field(to_, text(members[i].name_off), types[i], btf_member_bit_offset(t, i),
                     btf_member_bitfield_size(t, i));
    }
    return id;
  }

  const ::btf* from_;
  ::btf* to_;
  std::map<u32, s32> done_;
};

bool wanted(std::string_view name) {
  return name.starts_with("bpf_testmod") || name.starts_with("bpf_struct_ops_bpf_testmod") ||
         name.starts_with("btf_trace_bpf_testmod") || name.starts_with("prog_test_") ||
         name.starts_with("bpf_iter_testmod");
}

}  // namespace

OrError<Testmod> load_testmod(const std::string& directory, std::span<const std::byte> vmlinux) {
  const std::string object = directory + "/bpf_testmod.o";
  const Types base(btf__new(vmlinux.data(), static_cast<u32>(vmlinux.size())), btf__free);
  const Types from(btf__parse_elf(object.c_str(), nullptr), btf__free);
  if (!base || !from) return error(fmt::format("{}: no BTF in it", object));
  const Types to(btf__new_empty_split(base.get()), btf__free);
  Testmod module;
  std::ifstream lines(directory + "/bpf_testmod.tsv");
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    Testmod::KfuncLine kfunc;
    fields >> kfunc.name >> kfunc.flags >> kfunc.set;
    module.kfuncs.push_back(std::move(kfunc));
  }
  Splitter splitter(from.get(), to.get());
  for (u32 id = 1; id < btf__type_cnt(from.get()); ++id) {
    const btf_type* t = btf__type_by_id(from.get(), id);
    const std::string_view name = splitter.name_of(t);
    if (btf_is_struct(t) && name.starts_with(kFunction)) {
      splitter.add_function(t, module.implicit(name.substr(kFunction.size())));
    } else if ((btf_is_composite(t) || btf_is_typedef(t)) && wanted(name)) {
      splitter.map(id);
    }
  }
  u32 size = 0;
  const void* raw = btf__raw_data(to.get(), &size);
  if (!raw) return error(fmt::format("{}: cannot be split from vmlinux", object));
  module.btf.resize(size);
  std::memcpy(module.btf.data(), raw, size);
  return module;
}

}  // namespace uscx::conformance
