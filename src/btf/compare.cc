// SPDX-License-Identifier: GPL-2.0-only
#include "btf/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace uscx::btf {
namespace {

/// Structs the core lays out itself: programs reach their members by CO-RE only.
constexpr std::string_view kOwnLayout[] = {"bpf_map",
                                           "cgroup",
                                           "cgroup_subsys_state",
                                           "cpufreq_policy",
                                           "cpuset",
                                           "cred",
                                           "css_set",
                                           "kernel_cpustat",
                                           "kernfs_node",
                                           "kthread",
                                           "mempolicy",
                                           "ns_common",
                                           "pid",
                                           "pid_namespace",
                                           "raw_spinlock",
                                           "rq",
                                           "sched_entity",
                                           "sched_avg",
                                           "sched_ext_entity",
                                           "sched_info",
                                           "scx_dispatch_q",
                                           "scx_rq",
                                           "scx_task_group",
                                           "signal_struct",
                                           "sock",
                                           "spinlock",
                                           "sugov_cpu",
                                           "task_group",
                                           "task_struct",
                                           "thread_info",
                                           "vm_event_state",
                                           "worker",
                                           "css_task_iter",
                                           "sched_rt_entity"};

/// Members whose type is the core's own choice: opaque to programs.
constexpr std::string_view kOwnMember[] = {"raw_spinlock.owner_cpu", "raw_spinlock.rank",
                                           "cgroup.ancestors", "pid.numbers",
                                           "vm_event_state.event"};

constexpr int kMaxDepth = 16;

template <class Range>
bool contains(const Range& range, std::string_view name) {
  return std::find(std::begin(range), std::end(range), name) != std::end(range);
}

bool is_sched_ext(std::string_view name) {
  return name.starts_with("scx_bpf_") || name.starts_with("__scx_bpf_") ||
         name.starts_with("bpf_iter_scx_");
}

/// A type as programs can tell it: integers by width and sign, whatever the compiler calls them.
std::string canonical(const Btf& btf, u32 id, int depth = 0);

std::string canonical_proto(const Btf& btf, u32 id, bool names, int depth = 0) {
  const auto proto = btf.func_proto(id);
  if (!proto) return "<no function>";
  std::string out = canonical(btf, proto->result, depth + 1) + " (";
  for (const Param& p : proto->params) {
    out += canonical(btf, p.type, depth + 1);
    if (names) out += fmt::format(" {}", p.name);
    out += ", ";
  }
  return out + ")";
}

std::string canonical(const Btf& btf, u32 id, int depth) {
  if (depth > kMaxDepth) return "...";
  const Type& t = btf.type(id);
  switch (t.kind) {
    case Kind::kInt:
      return fmt::format("{}{}",
                         t.int_encoding & kBool     ? "bool"
                         : t.int_encoding & kSigned ? "s"
                                                    : "u",
                         t.size * 8);
    case Kind::kTypedef:
    case Kind::kVolatile:
    case Kind::kRestrict:
      return canonical(btf, t.type, depth + 1);
    case Kind::kConst:
      return "const " + canonical(btf, t.type, depth + 1);
    case Kind::kPtr:
      return canonical(btf, t.type, depth + 1) + "*";
    case Kind::kTypeTag:
      return fmt::format("{} {}", canonical(btf, t.type, depth + 1), t.name);
    case Kind::kArray:
      return fmt::format("{}[{}]", canonical(btf, t.type, depth + 1), t.nr_elems);
    case Kind::kFuncProto:
      return canonical_proto(btf, id, false, depth + 1);
    case Kind::kStruct:
    case Kind::kUnion:
    case Kind::kFwd:
      return t.name.empty() ? fmt::format("<{} bytes>", t.size) : fmt::format("struct {}", t.name);
    case Kind::kEnum:
    case Kind::kEnum64:
      return fmt::format("enum {}", t.name);
    default:
      return btf.spell(id);
  }
}

class Comparison {
 public:
  Comparison(const Btf& ours, const Btf& kernel) : ours_(ours), kernel_(kernel) {}

  std::vector<std::string> run() {
    for (u32 id = 1; id < kernel_.type_count(); ++id) index_anonymous_enum(id);
    for (u32 id = 1; id < ours_.type_count(); ++id) one(id);
    for (u32 id = 1; id < kernel_.type_count(); ++id) missing(id);
    return std::move(differences_);
  }

 private:
  void say(std::string line) { differences_.push_back(std::move(line)); }
  void index_anonymous_enum(u32 id);
  void one(u32 id);
  void function(u32 id);
  void enumeration(u32 id);
  void composite(u32 id);
  void member(u32 id, u32 kernel_id, const Member& m, bool own);
  void missing(u32 id);

  const Btf& ours_;
  const Btf& kernel_;
  std::map<std::string_view, u64> anonymous_;  // enumerators of the kernel's enums without a name
  std::vector<std::string> differences_;
};

void Comparison::index_anonymous_enum(u32 id) {
  const Kind kind = kernel_.kind(id);
  if ((kind != Kind::kEnum && kind != Kind::kEnum64) || !kernel_.name(id).empty()) return;
  for (const Enumerator& e : kernel_.enumerators(id)) anonymous_.emplace(e.name, e.value);
}

void Comparison::one(u32 id) {
  switch (ours_.kind(id)) {
    case Kind::kFunc:
      return function(id);
    case Kind::kEnum:
    case Kind::kEnum64:
      return enumeration(id);
    case Kind::kStruct:
    case Kind::kUnion:
      return composite(id);
    case Kind::kVar: {
      const auto other = kernel_.find(ours_.name(id), Kind::kVar);
      if (!other) return say(fmt::format("VAR {}: the kernel has none", ours_.name(id)));
      const auto a = canonical(ours_, ours_.type(id).type),
                 b = canonical(kernel_, kernel_.type(*other).type);
      if (a != b) say(fmt::format("VAR {}: {}, kernel: {}", ours_.name(id), a, b));
      return;
    }
    case Kind::kTypedef: {
      if (!ours_.name(id).starts_with("btf_trace_")) return;
      const auto other = kernel_.find(ours_.name(id), Kind::kTypedef);
      if (!other) return say(fmt::format("{}: the kernel has none", ours_.name(id)));
      const auto a = canonical_proto(ours_, id, false), b = canonical_proto(kernel_, *other, false);
      if (a != b) say(fmt::format("{}: {}, kernel: {}", ours_.name(id), a, b));
      return;
    }
    default:
      return;
  }
}

void Comparison::function(u32 id) {
  const std::string_view name = ours_.name(id);
  const auto other = kernel_.find(name, Kind::kFunc);
  if (!other) return say(fmt::format("FUNC {}: the kernel has none", name));
  const auto proto = ours_.func_proto(id);
  const bool names = std::none_of(proto->params.begin(), proto->params.end(),
                                  [](const Param& p) { return p.name.empty(); });
  const auto a = canonical_proto(ours_, id, names), b = canonical_proto(kernel_, *other, names);
  if (a != b) say(fmt::format("FUNC {}: {}, kernel: {}", name, a, b));
  for (std::string_view tag : {"bpf_kfunc", "bpf_fastcall"}) {
    if (ours_.has_decl_tag(id, tag) != kernel_.has_decl_tag(*other, tag)) {
      say(fmt::format("FUNC {}: only one of the two is tagged {}", name, tag));
    }
  }
}

void Comparison::enumeration(u32 id) {
  const std::string_view name = ours_.name(id);
  if (name.empty()) {
    for (const Enumerator& e : ours_.enumerators(id)) {
      const auto it = anonymous_.find(e.name);
      if (it == anonymous_.end()) {
        say(fmt::format("enumerator {}: in no anonymous enum of the kernel", e.name));
      } else if (it->second != e.value) {
        say(fmt::format("enumerator {} = {:#x}, kernel: {:#x}", e.name, e.value, it->second));
      }
    }
    return;
  }
  const Type& t = ours_.type(id);
  const auto other = kernel_.find(name, t.kind);
  if (!other)
    return say(fmt::format("{} {}: the kernel has none of that kind", kind_name(t.kind), name));
  const Type& k = kernel_.type(*other);
  if (t.size != k.size || t.kflag != k.kflag)
    say(fmt::format("enum {}: another size or sign", name));
  const auto a = ours_.enumerators(id), b = kernel_.enumerators(*other);
  const auto line = [](const Enumerator& e) { return fmt::format("{} = {:#x}", e.name, e.value); };
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const std::string mine = i < a.size() ? line(a[i]) : "nothing",
                      theirs = i < b.size() ? line(b[i]) : "nothing";
    if (mine != theirs) say(fmt::format("enum {} [{}]: {}, kernel: {}", name, i, mine, theirs));
  }
}

void Comparison::composite(u32 id) {
  const Type& t = ours_.type(id);
  if (t.name.empty()) return;
  const auto other = kernel_.find(t.name, t.kind);
  if (!other) return say(fmt::format("{} {}: the kernel has none", kind_name(t.kind), t.name));
  const bool own = contains(kOwnLayout, t.name);
  const bool sized_by_own = !own && t.size != kernel_.type(*other).size;
  if (sized_by_own)
    say(fmt::format("struct {}: {} bytes, kernel: {}", t.name, t.size, kernel_.type(*other).size));
  for (const Member& m : ours_.members(id)) member(id, *other, m, own);
  if (own) return;
  const auto a = ours_.members(id), b = kernel_.members(*other);
  if (a.size() != b.size()) {
    // The kernel's BTF spells padding as nothing, so the numbers must agree.
    say(fmt::format("struct {}: {} members, kernel: {}", t.name, a.size(), b.size()));
  }
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i].name != b[i].name)
      say(fmt::format("struct {} [{}]: {}, kernel: {}", t.name, i, a[i].name, b[i].name));
  }
}

void Comparison::member(u32 id, u32 kernel_id, const Member& m, bool own) {
  if (m.name.empty()) return;
  const std::string what = fmt::format("{}.{}", ours_.name(id), m.name);
  if (contains(kOwnMember, what)) return;
  const auto field = kernel_.find_member_path(kernel_id, m.name);
  if (!field) return say(fmt::format("{}: the kernel has none", what));
  const auto a = canonical(ours_, m.type), b = canonical(kernel_, field->type);
  if (a != b) say(fmt::format("{}: {}, kernel: {}", what, a, b));
  if (!own && (m.bit_offset != field->bit_offset || m.bitfield_size != field->bitfield_size)) {
    say(fmt::format("{}: at bit {}, kernel: {}", what, m.bit_offset, field->bit_offset));
  }
}

/// What sched_ext has and we lack.
void Comparison::missing(u32 id) {
  const Type& t = kernel_.type(id);
  if (t.kind == Kind::kFunc && is_sched_ext(t.name) && kernel_.has_decl_tag(id, "bpf_kfunc") &&
      !ours_.find(t.name, Kind::kFunc)) {
    say(fmt::format("FUNC {}: only the kernel has it", t.name));
  }
  if ((t.kind == Kind::kEnum || t.kind == Kind::kEnum64) && t.name.starts_with("scx_") &&
      !ours_.find(t.name, t.kind)) {
    say(fmt::format("enum {}: only the kernel has it", t.name));
  }
  if (t.kind == Kind::kFunc && t.name.starts_with("sched_ext_ops") &&
      !ours_.find(t.name, Kind::kFunc)) {
    say(fmt::format("FUNC {}: only the kernel has it", t.name));
  }
  if (t.kind == Kind::kStruct && t.name == "sched_ext_entity") {
    const auto mine = ours_.find(t.name, Kind::kStruct);
    for (const Member& m : kernel_.members(id)) {
      if (!mine || !ours_.member_index(*mine, m.name))
        say(fmt::format("{}.{}: only the kernel has it", t.name, m.name));
    }
  }
}

}  // namespace

std::vector<std::string> compare_with_kernel(const Btf& ours, const Btf& kernel) {
  return Comparison(ours, kernel).run();
}

}  // namespace uscx::btf
