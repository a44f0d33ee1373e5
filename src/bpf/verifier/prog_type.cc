// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/prog_type.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <span>

namespace uscx::bpf::verifier {

namespace {

struct TypeRow {
  std::string_view name;
  std::string_view context;  // its BTF name for programs
  bool rewritten;            // the kernel converts accesses to the context
  bool net_admin;
  bool perfmon;
};

// By ProgType.
constexpr TypeRow kTypes[] = {
    {"unspec", {}, false, false, false},
    {"socket_filter", "__sk_buff", true, false, false},
    {"kprobe", "bpf_user_pt_regs_t", false, false, true},
    {"sched_cls", "__sk_buff", true, true, false},
    {"sched_act", "__sk_buff", true, true, false},
    {"tracepoint", {}, false, false, true},
    {"xdp", "xdp_md", true, true, false},
    {"perf_event", "bpf_perf_event_data", true, false, true},
    {"cgroup_skb", "__sk_buff", true, false, false},
    {"cgroup_sock", "bpf_sock", true, true, false},
    {"lwt_in", "__sk_buff", true, true, false},
    {"lwt_out", "__sk_buff", true, true, false},
    {"lwt_xmit", "__sk_buff", true, true, false},
    {"sock_ops", "bpf_sock_ops", true, true, false},
    {"sk_skb", "__sk_buff", true, true, false},
    {"cgroup_device", "bpf_cgroup_dev_ctx", false, true, false},
    {"sk_msg", "sk_msg_md", true, true, false},
    {"raw_tracepoint", "bpf_raw_tracepoint_args", false, false, true},
    {"cgroup_sock_addr", "bpf_sock_addr", true, true, false},
    {"lwt_seg6local", "__sk_buff", true, true, false},
    {"lirc_mode2", {}, false, false, false},
    {"sk_reuseport", "sk_reuseport_md", true, false, false},
    {"flow_dissector", "__sk_buff", true, true, false},
    {"cgroup_sysctl", "bpf_sysctl", true, true, false},
    {"raw_tracepoint_writable", "bpf_raw_tracepoint_args", false, false, true},
    {"cgroup_sockopt", "bpf_sockopt", true, true, false},
    {"tracing", {}, false, false, true},
    {"struct_ops", {}, false, false, true},
    {"ext", {}, false, true, true},
    {"lsm", {}, false, false, true},
    {"sk_lookup", "bpf_sk_lookup", true, false, false},
    {"syscall", {}, false, false, false},
    {"netfilter", "bpf_nf_ctx", false, true, false},
};
static_assert(std::size(kTypes) == kProgTypeEnd);

bool contains(std::span<const u32> set, u32 value) {
  return std::find(set.begin(), set.end(), value) != set.end();
}

bool contains(std::span<const std::string_view> set, std::string_view value) {
  return std::find(set.begin(), set.end(), value) != set.end();
}

/// Attach types of the tracing programs that a trampoline calls.
constexpr u32 kTrampolines[] = {kTraceFentry,       kTraceFexit,       kModifyReturn,
                                kTraceFsession,     kTraceFentryMulti, kTraceFexitMulti,
                                kTraceFsessionMulti};

constexpr s32 kMaxErrno = 4095;

std::optional<ReturnRange> lsm_range(const ProgContext& prog) {
  static constexpr std::string_view kBoolHooks[] = {"bpf_lsm_xfrm_state_pol_flow_match",
                                                    "bpf_lsm_audit_rule_known",
                                                    "bpf_lsm_inode_xattr_skipcap"};
  if (prog.attach_type == kLsmCgroup) {
    return prog.attach_returns_void ? ReturnRange{1, 1} : ReturnRange{0, 1};
  }
  if (prog.attach_returns_void) return {};
  if (contains(kBoolHooks, prog.attach_name)) return ReturnRange{0, 1, true};
  return ReturnRange{-kMaxErrno, 0, true};
}

std::optional<ReturnRange> tracing_range(const ProgContext& prog) {
  if (prog.attach_type == kTraceRawTp || prog.attach_type == kModifyReturn) return {};
  if (contains(kTrampolines, prog.attach_type)) return ReturnRange{0, 0};
  return ReturnRange{0, 1};
}

ReturnRange sock_addr_range(u32 attach_type) {
  static constexpr u32 kAlwaysOne[] = {
      kCgroupUdp4Recvmsg,      kCgroupUdp6Recvmsg,      kCgroupUnixRecvmsg,
      kCgroupInet4Getpeername, kCgroupInet6Getpeername, kCgroupUnixGetpeername,
      kCgroupInet4Getsockname, kCgroupInet6Getsockname, kCgroupUnixGetsockname};
  if (contains(kAlwaysOne, attach_type)) return {1, 1};
  if (attach_type == kCgroupInet4Bind || attach_type == kCgroupInet6Bind) return {0, 3};
  return {0, 1};
}

}  // namespace

std::string_view prog_type_name(u32 type) {
  return type < kProgTypeEnd ? kTypes[type].name : std::string_view{};
}

std::string_view context_type_name(u32 type) {
  return type < kProgTypeEnd ? kTypes[type].context : std::string_view{};
}

bool context_is_rewritten(u32 type) {
  return type < kProgTypeEnd && kTypes[type].rewritten;
}

bool needs_net_admin(u32 type) {
  return type < kProgTypeEnd && kTypes[type].net_admin;
}

bool needs_perfmon(u32 type) {
  return type < kProgTypeEnd && kTypes[type].perfmon;
}

ContextRule context_rule(const ProgContext& prog) {
  switch (prog.type) {
    case kProgTracing:
    case kProgLsm:
    case kProgStructOps:
      return ContextRule::kBtf;
    default:
      return ContextRule::kTable;
  }
}

bool may_access_packet(const ProgContext& prog, PacketUse use, bool helper_pkt_access) {
  switch (prog.type) {
    case kProgLwtIn:
    case kProgLwtOut:
    case kProgLwtSeg6local:
    case kProgSkReuseport:
    case kProgFlowDissector:
    case kProgCgroupSkb:
      if (use == PacketUse::kWrite) return false;
      break;
    case kProgSchedCls:
    case kProgSchedAct:
    case kProgXdp:
    case kProgLwtXmit:
    case kProgSkSkb:
    case kProgSkMsg:
      break;
    case kProgCgroupSockopt:
      return true;
    default:
      return false;
  }
  return use != PacketUse::kHelperArgument || helper_pkt_access;
}

bool may_access_skb(u32 type) {
  return type == kProgSocketFilter || type == kProgSchedCls || type == kProgSchedAct;
}

std::optional<ReturnRange> return_range(const ProgContext& prog) {
  switch (prog.type) {
    case kProgCgroupSockAddr:
      return sock_addr_range(prog.attach_type);
    case kProgCgroupSkb:
      return ReturnRange{0, prog.attach_type == kCgroupInetEgress ? 3 : 1};
    case kProgCgroupSock:
    case kProgSockOps:
    case kProgCgroupDevice:
    case kProgCgroupSysctl:
    case kProgCgroupSockopt:
    case kProgSkLookup:
    case kProgNetfilter:
      return ReturnRange{0, 1};
    case kProgRawTracepoint:
      if (prog.attach_name.empty()) return {};
      return ReturnRange{0, 0};
    case kProgTracing:
      return tracing_range(prog);
    case kProgKprobe:
      if (prog.attach_type != kTraceKprobeSession && prog.attach_type != kTraceUprobeSession) {
        return {};
      }
      return ReturnRange{0, 1};
    case kProgLsm:
      return lsm_range(prog);
    case kProgStructOps:
      return ReturnRange{0, 0};
    default:
      return {};
  }
}

bool returns_void(const ProgContext& prog) {
  if (prog.type == kProgLsm) return prog.attach_type != kLsmCgroup && prog.attach_returns_void;
  return prog.type == kProgStructOps && prog.attach_returns_void;
}

bool may_be_sleepable(const ProgContext& prog) {
  switch (prog.type) {
    case kProgTracing:
      return contains(kTrampolines, prog.attach_type) || prog.attach_type == kTraceIter ||
             prog.attach_type == kTraceRawTp;
    case kProgLsm:
      return prog.attach_type != kLsmCgroup;
    default:
      return prog.type == kProgKprobe || prog.type == kProgStructOps ||
             prog.type == kProgRawTracepoint || prog.type == kProgTracepoint;
  }
}

int check_attach_type(const ProgContext& prog, bool has_attach_btf) {
  static constexpr u32 kSock[] = {kCgroupInetSockCreate, kCgroupInetSockRelease,
                                  kCgroupInet4PostBind, kCgroupInet6PostBind};
  static constexpr u32 kSockAddr[] = {
      kCgroupInet4Bind,        kCgroupInet6Bind,       kCgroupInet4Connect,
      kCgroupInet6Connect,     kCgroupUnixConnect,     kCgroupInet4Getpeername,
      kCgroupInet6Getpeername, kCgroupUnixGetpeername, kCgroupInet4Getsockname,
      kCgroupInet6Getsockname, kCgroupUnixGetsockname, kCgroupUdp4Sendmsg,
      kCgroupUdp6Sendmsg,      kCgroupUnixSendmsg,     kCgroupUdp4Recvmsg,
      kCgroupUdp6Recvmsg,      kCgroupUnixRecvmsg};
  static constexpr u32 kSkb[] = {kCgroupInetIngress, kCgroupInetEgress};
  static constexpr u32 kSockopt[] = {kCgroupSetsockopt, kCgroupGetsockopt};
  static constexpr u32 kLookup[] = {kSkLookup};
  static constexpr u32 kReuseport[] = {kSkReuseportSelect, kSkReuseportSelectOrMigrate};
  static constexpr u32 kFilter[] = {kNetfilter};
  static constexpr u32 kNone[] = {0};
  static constexpr u32 kWithBtf[] = {kProgTracing, kProgLsm, kProgStructOps, kProgExt};
  if (has_attach_btf && !contains(kWithBtf, prog.type)) return EINVAL;
  auto one_of = [&](std::span<const u32> set) {
    return contains(set, prog.attach_type) ? 0 : EINVAL;
  };
  switch (prog.type) {
    case kProgCgroupSock:
      return one_of(kSock);
    case kProgCgroupSockAddr:
      return one_of(kSockAddr);
    case kProgCgroupSkb:
      return one_of(kSkb);
    case kProgCgroupSockopt:
      return one_of(kSockopt);
    case kProgSkLookup:
      return one_of(kLookup);
    case kProgSkReuseport:
      return one_of(kReuseport);
    case kProgNetfilter:
      return one_of(kFilter);
    case kProgSyscall:
    case kProgExt:
      return one_of(kNone);
    default:
      return 0;
  }
}

bool is_verify_only(u32 type) {
  switch (type) {
    case kProgStructOps:
    case kProgSyscall:
    case kProgTracing:
    case kProgRawTracepoint:
      return false;
    default:
      return true;
  }
}

}  // namespace uscx::bpf::verifier
