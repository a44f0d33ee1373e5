// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/helper_proto.h"

#include <algorithm>
#include <span>

#include "bpf/verifier/helper_sets.h"

namespace uscx::bpf::verifier {

using namespace protos;

namespace {

using Set = std::span<const HelperProto* const>;

const HelperProto* find(Set set, u32 id) {
  const auto it = std::find_if(set.begin(), set.end(), [&](const auto* p) { return p->id == id; });
  return it == set.end() ? nullptr : *it;
}

using Lookup = const HelperProto* (*)(const ProgContext&, u32);

/// From `set`, else from what it builds on.
const HelperProto* find_or(Set set, const ProgContext& prog, u32 id, Lookup otherwise) {
  const HelperProto* proto = find(set, id);
  return proto ? proto : otherwise(prog, id);
}

template <class... Types>
bool attach_is(const ProgContext& prog, Types... types) {
  return ((prog.attach_type == types) || ...);
}

bool has_trampoline(const ProgContext& prog) {
  if (prog.type == kProgLsm) return prog.attach_type == kLsmMac;
  return prog.type == kProgTracing &&
         attach_is(prog, kTraceFentry, kTraceFexit, kModifyReturn, kTraceFsession,
                   kTraceFentryMulti, kTraceFexitMulti, kTraceFsessionMulti);
}

const HelperProto* base(const ProgContext& prog, u32 id) {
  if (id == kGetTaskStack.id) return prog.sleepable ? &kGetTaskStackSleepable : &kGetTaskStack;
  return find(kBaseHelpers, id);
}

const HelperProto* sk_base(const ProgContext& prog, u32 id) {
  return find_or(kSkBaseHelpers, prog, id, base);
}

// Tracing.

const HelperProto* tracing(const ProgContext& prog, u32 id) {
  return find_or(kTracingHelpers, prog, id, base);
}

const HelperProto* kprobe(const ProgContext& prog, u32 id) {
  if (id == kGetStack.id) return prog.sleepable ? &kGetStackSleepable : &kGetStack;
  return find_or(kKprobeProgHelpers, prog, id, tracing);
}

const HelperProto* tracepoint(const ProgContext& prog, u32 id) {
  return find_or(kTpProgHelpers, prog, id, tracing);
}

const HelperProto* perf_event(const ProgContext& prog, u32 id) {
  return find_or(kPeProgHelpers, prog, id, tracing);
}

const HelperProto* raw_tracepoint(const ProgContext& prog, u32 id) {
  return find_or(kRawTpProgHelpers, prog, id, tracing);
}

/// Iterators over TCP and unix sockets may set their options.
const HelperProto* iterator(const ProgContext& prog, u32 id) {
  if (prog.attach_name != "bpf_iter_tcp" && prog.attach_name != "bpf_iter_unix") return nullptr;
  return id == kSkSetsockopt.id   ? &kSkSetsockopt
         : id == kSkGetsockopt.id ? &kSkGetsockopt
                                  : nullptr;
}

const HelperProto* tracing_program(const ProgContext& prog, u32 id) {
  const bool is_iterator = prog.attach_type == kTraceIter;
  const bool is_raw_tp = prog.attach_type == kTraceRawTp;
  auto when = [](bool allowed, const HelperProto& proto) { return allowed ? &proto : nullptr; };
  switch (id) {
    case kSeqPrintf.id:
      return when(is_iterator, kSeqPrintf);
    case kSeqWrite.id:
      return when(is_iterator, kSeqWrite);
    case kSeqPrintfBtf.id:
      return when(is_iterator, kSeqPrintfBtf);
    case kGetFuncArg.id:
      return when(has_trampoline(prog) || is_raw_tp, kGetFuncArg);
    case kGetFuncRet.id:
      return when(has_trampoline(prog), kGetFuncRet);
    case kGetFuncArgCnt.id:
      return when(has_trampoline(prog) || is_raw_tp, kGetFuncArgCnt);
    case kGetAttachCookie.id:
      return when(has_trampoline(prog) || (prog.type == kProgTracing && is_raw_tp),
                  kGetAttachCookie);
    default:
      break;
  }
  const HelperProto* proto = find_or(kTracingProgHelpers, prog, id, raw_tracepoint);
  return proto || !is_iterator ? proto : iterator(prog, id);
}

const HelperProto* syscall(const ProgContext& prog, u32 id) {
  return find_or(kSyscallProgHelpers, prog, id, tracing_program);
}

// Cgroups.

const HelperProto* cgroup_common(const ProgContext& prog, u32 id) {
  if (id != kGetRetval.id && id != kSetRetval.id) return find(kCgroupCommonHelpers, id);
  if (attach_is(prog, kCgroupInetIngress, kCgroupInetEgress, kCgroupSockOps, kCgroupUdp4Recvmsg,
                kCgroupUdp6Recvmsg, kCgroupUnixRecvmsg, kCgroupInet4Getpeername,
                kCgroupInet6Getpeername, kCgroupUnixGetpeername, kCgroupInet4Getsockname,
                kCgroupInet6Getsockname, kCgroupUnixGetsockname)) {
    return nullptr;
  }
  return id == kGetRetval.id ? &kGetRetval : &kSetRetval;
}

const HelperProto* cgroup_device(const ProgContext& prog, u32 id) {
  const HelperProto* proto = cgroup_common(prog, id);
  return proto ? proto : find_or(kCgroupDevHelpers, prog, id, base);
}

const HelperProto* cgroup_sysctl(const ProgContext& prog, u32 id) {
  const HelperProto* proto = cgroup_common(prog, id);
  return proto ? proto : find_or(kSysctlHelpers, prog, id, base);
}

/// Get and set socket options, where `allowed`.
const HelperProto* sockopt(u32 id, bool allowed, const HelperProto& set, const HelperProto& get) {
  if (!allowed) return nullptr;
  return id == set.id ? &set : &get;
}
bool is_sockopt(u32 id) {
  return id == kSkSetsockopt.id || id == kSkGetsockopt.id;
}

const HelperProto* cgroup_sockopt(const ProgContext& prog, u32 id) {
  if (const HelperProto* proto = cgroup_common(prog, id)) return proto;
  if (is_sockopt(id)) {
    return sockopt(id, prog.attach_type == kCgroupSetsockopt, kSkSetsockopt, kSkGetsockopt);
  }
  return find_or(kCgSockoptHelpers, prog, id, base);
}

const HelperProto* cgroup_sock(const ProgContext& prog, u32 id) {
  if (const HelperProto* proto = cgroup_common(prog, id)) return proto;
  if (is_sockopt(id)) {
    return sockopt(id, prog.attach_type == kCgroupInetSockCreate, kCtxSetsockopt, kCtxGetsockopt);
  }
  return find_or(kSockFilterHelpers, prog, id, base);
}

const HelperProto* cgroup_sock_addr(const ProgContext& prog, u32 id) {
  if (const HelperProto* proto = cgroup_common(prog, id)) return proto;
  if (id == kBind.id) {
    return attach_is(prog, kCgroupInet4Connect, kCgroupInet6Connect) ? &kBind : nullptr;
  }
  if (is_sockopt(id)) {
    const bool allowed = attach_is(
        prog, kCgroupInet4Bind, kCgroupInet6Bind, kCgroupInet4Connect, kCgroupInet6Connect,
        kCgroupUnixConnect, kCgroupUdp4Recvmsg, kCgroupUdp6Recvmsg, kCgroupUnixRecvmsg,
        kCgroupUdp4Sendmsg, kCgroupUdp6Sendmsg, kCgroupUnixSendmsg, kCgroupInet4Getpeername,
        kCgroupInet6Getpeername, kCgroupInet4Getsockname, kCgroupInet6Getsockname);
    return sockopt(id, allowed, kCtxSetsockopt, kCtxGetsockopt);
  }
  return find_or(kSockAddrHelpers, prog, id, sk_base);
}

const HelperProto* lsm(const ProgContext& prog, u32 id) {
  const bool of_cgroup = prog.attach_type == kLsmCgroup;
  if (of_cgroup) {
    if (const HelperProto* proto = cgroup_common(prog, id)) return proto;
  }
  if (id == kGetAttachCookie.id) return has_trampoline(prog) ? &kGetAttachCookie : nullptr;
  if (is_sockopt(id)) {
    static constexpr std::string_view kHooks[] = {
        "bpf_lsm_sock_graft", "bpf_lsm_inet_csk_clone", "bpf_lsm_inet_conn_established",
        "bpf_lsm_socket_post_create", "bpf_lsm_socket_socketpair"};
    const bool allowed =
        std::find(std::begin(kHooks), std::end(kHooks), prog.attach_name) != std::end(kHooks);
    return sockopt(id, of_cgroup && allowed, kSkSetsockopt, kSkGetsockopt);
  }
  return find_or(kLsmHelpers, prog, id, tracing_program);
}

// Network.

const HelperProto* socket_filter(const ProgContext& prog, u32 id) {
  return find_or(kSkFilterHelpers, prog, id, sk_base);
}

const HelperProto* cgroup_skb(const ProgContext& prog, u32 id) {
  const HelperProto* proto = cgroup_common(prog, id);
  return proto ? proto : find_or(kCgSkbHelpers, prog, id, socket_filter);
}

const HelperProto* sock_ops(const ProgContext& prog, u32 id) {
  const HelperProto* proto = cgroup_common(prog, id);
  return proto ? proto : find_or(kSockOpsHelpers, prog, id, sk_base);
}

const HelperProto* lwt_out(const ProgContext& prog, u32 id) {
  return find_or(kLwtOutHelpers, prog, id, sk_base);
}

const HelperProto* lwt_seg6local(const ProgContext& prog, u32 id) {
  if (id == kSkbPullData.id) return nullptr;
  return find_or(kLwtSeg6localHelpers, prog, id, lwt_out);
}

const HelperProto* struct_ops(const ProgContext& prog, u32 id) {
  if (prog.struct_ops_type == "bpf_dummy_ops") return nullptr;
  if (prog.struct_ops_type == "tcp_congestion_ops") {
    if (is_sockopt(id)) {
      return sockopt(id, prog.attach_name != "release", kSkSetsockopt, kSkGetsockopt);
    }
    for (const HelperProto* proto :
         {&kTcpSendAck, &kSkStorageGet, &kSkStorageDelete, &kKtimeGetCoarseNs}) {
      if (proto->id == id) return proto;
    }
  }
  return base(prog, id);
}

}  // namespace

namespace protos {

bool d_path_allowed(const ProgContext& prog) {
  static constexpr std::string_view kFunctions[] = {"security_file_permission",
                                                    "security_inode_getattr",
                                                    "security_file_open",
                                                    "security_path_truncate",
                                                    "vfs_truncate",
                                                    "vfs_fallocate",
                                                    "dentry_open",
                                                    "vfs_getattr",
                                                    "filp_close"};
  if (prog.type == kProgTracing && prog.attach_type == kTraceIter) return true;
  if (prog.type == kProgLsm) return lsm_hook_is_sleepable(prog.attach_name);
  return std::find(std::begin(kFunctions), std::end(kFunctions), prog.attach_name) !=
         std::end(kFunctions);
}

bool on_sleepable_hook(const ProgContext& prog) {
  return lsm_hook_is_sleepable(prog.attach_name);
}

bool sk_storage_tracing_allowed(const ProgContext& prog) {
  if (prog.attach_is_prog) return false;
  if (attach_is(prog, kTraceIter, kTraceRawTp)) return true;
  return attach_is(prog, kTraceFentry, kTraceFexit, kTraceFsession) &&
         !prog.attach_name.starts_with("bpf_sk_storage");
}

}  // namespace protos

const HelperProto* helper_for(const ProgContext& prog, u32 id) {
  switch (prog.type) {
    case kProgSocketFilter:
      return socket_filter(prog, id);
    case kProgSchedCls:
    case kProgSchedAct:
      return find_or(kTcClsActHelpers, prog, id, sk_base);
    case kProgXdp:
      return find_or(kXdpHelpers, prog, id, sk_base);
    case kProgCgroupSkb:
      return cgroup_skb(prog, id);
    case kProgLwtIn:
      return find_or(kLwtInHelpers, prog, id, lwt_out);
    case kProgLwtOut:
      return lwt_out(prog, id);
    case kProgLwtXmit:
      return find_or(kLwtXmitHelpers, prog, id, lwt_out);
    case kProgLwtSeg6local:
      return lwt_seg6local(prog, id);
    case kProgCgroupSock:
      return cgroup_sock(prog, id);
    case kProgCgroupSockAddr:
      return cgroup_sock_addr(prog, id);
    case kProgSockOps:
      return sock_ops(prog, id);
    case kProgSkSkb:
      return find_or(kSkSkbHelpers, prog, id, sk_base);
    case kProgSkMsg:
      return find_or(kSkMsgHelpers, prog, id, sk_base);
    case kProgFlowDissector:
      return find_or(kFlowDissectorHelpers, prog, id, sk_base);
    case kProgSkReuseport:
      return find_or(kSkReuseportHelpers, prog, id, base);
    case kProgSkLookup:
      return find_or(kSkLookupHelpers, prog, id, sk_base);
    case kProgKprobe:
      return kprobe(prog, id);
    case kProgTracepoint:
      return tracepoint(prog, id);
    case kProgPerfEvent:
      return perf_event(prog, id);
    case kProgRawTracepoint:
    case kProgRawTracepointWritable:
      return raw_tracepoint(prog, id);
    case kProgTracing:
      return tracing_program(prog, id);
    case kProgLsm:
      return lsm(prog, id);
    case kProgSyscall:
      return syscall(prog, id);
    case kProgCgroupDevice:
      return cgroup_device(prog, id);
    case kProgCgroupSysctl:
      return cgroup_sysctl(prog, id);
    case kProgCgroupSockopt:
      return cgroup_sockopt(prog, id);
    case kProgStructOps:
      return struct_ops(prog, id);
    case kProgNetfilter:
      return base(prog, id);
    default:
      return nullptr;  // EXT takes the type of its target
  }
}

}  // namespace uscx::bpf::verifier
