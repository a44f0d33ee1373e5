// SPDX-License-Identifier: GPL-2.0-only
// What BTF says of the place a program is attached to, beyond the prototype: which arguments of a
// struct_ops member or an iterator may be null, are owned by the program, or live in its arena.
#include <algorithm>

#include "bpf/impl.h"
#include "bpf/struct_ops.h"
#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

struct IterArg {
  std::string_view target;
  u32 arg;  // 0 is the bpf_iter_meta
  RegType type;
};
constexpr RegType kMaybe = u32{kPtrToBtfId} | kMaybeNull;
/// Linux: ctx_arg_info of each struct bpf_iter_reg.
constexpr IterArg kIterArgs[] = {
    {"ksym", 1, kMaybe},
    {"bpf_prog", 1, kMaybe},
    {"bpf_link", 1, kMaybe},
    {"dmabuf", 1, kMaybe},
    {"cgroup", 1, kMaybe | kTrusted},
    {"kmem_cache", 1, kMaybe | kTrusted},
    {"task", 1, kMaybe | kTrusted},
    {"bpf_map", 1, kMaybe | kTrusted},
    {"task_file", 1, kMaybe},
    {"task_file", 3, kMaybe},
    {"task_vma", 1, kMaybe},
    {"task_vma", 2, kMaybe},
    {"bpf_map_elem", 2, u32{kPtrToBuf} | kMaybeNull | kMemRdonly},
    {"bpf_map_elem", 3, u32{kPtrToBuf} | kMaybeNull},
    {"bpf_sk_storage_map", 2, kMaybe},
    {"bpf_sk_storage_map", 3, u32{kPtrToBuf} | kMaybeNull},
    {"sockmap", 2, u32{kPtrToBuf} | kMaybeNull | kMemRdonly},
    {"sockmap", 3, kMaybe},
    {"tcp", 1, kMaybe | kTrusted},
    {"udp", 1, kMaybe | kTrusted},
    {"unix", 1, kMaybe | kTrusted},
    {"netlink", 1, kMaybe | kTrusted},
    {"ipv6_route", 1, kMaybe},
};

void add_arg(Verifier& v, u32 index, RegType type, bool refcounted) {
  const btf::Btf& btf = *v.attach.btf;
  const auto offset = ctx_arg_offset(btf, *v.attach.proto, index);
  if (!offset) return;
  CtxArg arg;
  arg.offset = *offset;
  arg.type = type;
  arg.btf = &btf;
  arg.btf_id = pointee(btf, v.attach.proto->params[index].type).value_or(0);
  arg.refcounted = refcounted;
  v.attach.ctx_args.push_back(arg);
}

void set_iterator_args(Verifier& v) {
  constexpr std::string_view kPrefix = "bpf_iter_";
  std::string_view target = v.attach.name;
  if (!target.starts_with(kPrefix)) return;
  target.remove_prefix(kPrefix.size());
  for (const IterArg& arg : kIterArgs) {
    if (arg.target == target && arg.arg < v.attach.proto->params.size()) {
      add_arg(v, arg.arg, arg.type, false);
    }
  }
}

/// What the suffixes of the stub's parameters say. Linux: prepare_arg_info.
int set_struct_ops_args(Verifier& v) {
  const btf::Btf& btf = *v.attach.btf;
  const std::string stub = fmt::format("{}__{}", v.in.program.attach_name, v.attach.name);
  const auto func = btf.find(stub, btf::Kind::kFunc);
  if (!func) return 0;
  const auto params = btf.params(*func);
  if (params.size() != v.attach.proto->params.size()) return 0;
  bool refcounted = false;
  for (u32 i = 0; i < params.size(); ++i) {
    const std::string_view name = params[i].name;
    if (has_suffix(name, "__arena__nullable") || has_suffix(name, "__arena")) {
      if (!v.arena) {
        return v.refuse(EINVAL,
                        "arena argument of {} requires a program with an associated arena\n",
                        v.attach.name);
      }
      add_arg(v, i, kPtrToArena, false);
    } else if (has_suffix(name, "__nullable")) {
      add_arg(v, i, kTrusted | kMaybe, false);
    } else if (has_suffix(name, "__ref")) {
      add_arg(v, i, u32{kTrusted} | kPtrToBtfId, true);
      refcounted = true;
    }
  }
  if (refcounted && std::ranges::any_of(v.subprogs, &Subprogram::has_tail_call)) {
    return v.refuse(EINVAL, "program with __ref argument cannot tail call\n");
  }
  return 0;
}

}  // namespace

int check_attach_target(Verifier& v) {
  const Program& program = v.in.program;
  switch (v.prog.type) {
    case kProgStructOps:
    case kProgTracing:
    case kProgLsm:
    case kProgExt:
      break;
    default:
      return 0;
  }
  if (!program.attach_func_proto || !program.attach_btf) return 0;
  AttachTarget& target = v.attach;
  target.btf = &program.attach_btf->btf;
  target.name = v.prog.type == kProgStructOps ? program.member_name : program.attach_name;
  target.proto = target.btf->func_proto(program.attach_func_proto);
  if (!target.proto) return 0;
  target.raw_tracepoint = v.prog.type == kProgTracing && v.prog.attach_type == kTraceRawTp;
  if (target.raw_tracepoint && !target.proto->params.empty()) {
    target.proto->params = target.proto->params.subspan(1);  // void *__data
  }
  v.prog.attach_returns_void = target.proto->result == 0;
  if (v.prog.type == kProgStructOps) return set_struct_ops_args(v);
  if (v.prog.type == kProgTracing && v.prog.attach_type == kTraceIter) set_iterator_args(v);
  return 0;
}

}  // namespace uscx::bpf::verifier
