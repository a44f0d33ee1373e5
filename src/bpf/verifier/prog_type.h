// SPDX-License-Identifier: GPL-2.0-only
// What the type of a program decides: which context it gets, what it may return, which helpers it
// may call. Tables, after Linux's bpf_verifier_ops of each type.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/types.h"
#include "bpf/verifier/types.h"

namespace uscx::bpf::verifier {

/// Linux: enum bpf_prog_type, all of 7.3.
enum ProgType : u32 {
  kProgUnspec,
  kProgSocketFilter,
  kProgKprobe,
  kProgSchedCls,
  kProgSchedAct,
  kProgTracepoint,
  kProgXdp,
  kProgPerfEvent,
  kProgCgroupSkb,
  kProgCgroupSock,
  kProgLwtIn,
  kProgLwtOut,
  kProgLwtXmit,
  kProgSockOps,
  kProgSkSkb,
  kProgCgroupDevice,
  kProgSkMsg,
  kProgRawTracepoint,
  kProgCgroupSockAddr,
  kProgLwtSeg6local,
  kProgLircMode2,
  kProgSkReuseport,
  kProgFlowDissector,
  kProgCgroupSysctl,
  kProgRawTracepointWritable,
  kProgCgroupSockopt,
  kProgTracing,
  kProgStructOps,
  kProgExt,
  kProgLsm,
  kProgSkLookup,
  kProgSyscall,
  kProgNetfilter,
  kProgTypeEnd,
};

/// Linux: enum bpf_attach_type, all of 7.3.
enum AttachType : u32 {
  kCgroupInetIngress,
  kCgroupInetEgress,
  kCgroupInetSockCreate,
  kCgroupSockOps,
  kSkSkbStreamParser,
  kSkSkbStreamVerdict,
  kCgroupDevice,
  kSkMsgVerdict,
  kCgroupInet4Bind,
  kCgroupInet6Bind,
  kCgroupInet4Connect,
  kCgroupInet6Connect,
  kCgroupInet4PostBind,
  kCgroupInet6PostBind,
  kCgroupUdp4Sendmsg,
  kCgroupUdp6Sendmsg,
  kLircMode2,
  kFlowDissector,
  kCgroupSysctl,
  kCgroupUdp4Recvmsg,
  kCgroupUdp6Recvmsg,
  kCgroupGetsockopt,
  kCgroupSetsockopt,
  kTraceRawTp,
  kTraceFentry,
  kTraceFexit,
  kModifyReturn,
  kLsmMac,
  kTraceIter,
  kCgroupInet4Getpeername,
  kCgroupInet6Getpeername,
  kCgroupInet4Getsockname,
  kCgroupInet6Getsockname,
  kXdpDevmap,
  kCgroupInetSockRelease,
  kXdpCpumap,
  kSkLookup,
  kXdp,
  kSkSkbVerdict,
  kSkReuseportSelect,
  kSkReuseportSelectOrMigrate,
  kPerfEvent,
  kTraceKprobeMulti,
  kLsmCgroup,
  kStructOps,
  kNetfilter,
  kTcxIngress,
  kTcxEgress,
  kTraceUprobeMulti,
  kCgroupUnixConnect,
  kCgroupUnixSendmsg,
  kCgroupUnixRecvmsg,
  kCgroupUnixGetpeername,
  kCgroupUnixGetsockname,
  kNetkitPrimary,
  kNetkitPeer,
  kTraceKprobeSession,
  kTraceUprobeSession,
  kTraceFsession,
  kTraceFentryMulti,
  kTraceFexitMulti,
  kTraceFsessionMulti,
  kAttachTypeEnd,
};

/// All that the tables look at.
struct ProgContext {
  u32 type = kProgUnspec;
  u32 attach_type = 0;  // expected_attach_type
  bool sleepable = false;
  /// The name of what attach_btf_id names: a function ("bpf_lsm_file_open"), a tracepoint's
  /// typedef ("btf_trace_sched_switch"), a struct_ops member ("enqueue"); empty without one.
  std::string_view attach_name = {};
  /// STRUCT_OPS: the struct's name ("sched_ext_ops"); else empty.
  std::string_view struct_ops_type = {};
  /// Does it trace or replace a BPF program rather than a kernel function? Linux: aux->dst_prog.
  bool attach_is_prog = false;
  /// Does the attached-to prototype return void? LSM and struct_ops.
  bool attach_returns_void = false;
  bool gpl_compatible = true;
  bool xdp_has_frags = false;
};

/// "socket_filter" etc., as libbpf spells section-independent type names; empty beyond the end.
std::string_view prog_type_name(u32 type);
/// Does uscx only verify programs of this type: it loads, and attaching it is refused by name?
bool is_verify_only(u32 type);
/// The BTF name of the user-visible context ("__sk_buff", "xdp_md", "bpf_sysctl"), for "ctx" tags
/// of global functions' arguments; empty where the type has none. Linux: bpf_ctx_convert.
std::string_view context_type_name(u32 type);

/// May LSM programs on this hook ("bpf_lsm_file_open") sleep? Linux: bpf_lsm_is_sleepable_hook.
bool lsm_hook_is_sleepable(std::string_view hook);
/// Are the hook's arguments untrusted (objects half made or half gone)? Linux: bpf_lsm_is_trusted.
bool lsm_hook_is_trusted(std::string_view hook);
/// Hooks no program may attach to. Linux: bpf_lsm_disabled_hooks.
bool lsm_hook_is_disabled(std::string_view hook);

/// How a program's context is checked.
enum class ContextRule : u8 {
  kTable,  // check_context_access() below decides
  kBtf,    // arguments typed by BTF: tracing, raw_tp with BTF, LSM, struct_ops (btf_ctx_access)
};
ContextRule context_rule(const ProgContext& prog);

struct CtxAccess {
  RegType reg_type = kScalar;
  std::string_view btf_type = {};  // for kPtrToBtfId: the struct's name in the kernel's BTF
  /// Size of the whole field, where the kernel converts narrower loads; 0: no conversion.
  u32 field_size = 0;
  bool is_retval = false;  // the traced function's return value
};

/// May a program access `size` bytes at `off` of its context? `ldsx`: a sign-extending load. False:
/// "invalid bpf_context access off=%d size=%d". Only for ContextRule::kTable. Linux:
/// is_valid_access of each type.
bool ctx_access(const ProgContext& prog, s32 off, u32 size, bool write, bool ldsx, CtxAccess& out);
/// Does the kernel convert accesses to the context (so that its address must not be moved)? Linux:
/// ops->convert_ctx_access.
bool context_is_rewritten(u32 type);

/// The same for what PTR_TO_SOCK_COMMON, PTR_TO_SOCKET, PTR_TO_TCP_SOCK, PTR_TO_XDP_SOCK point at
/// (reads only). `field_size`: bytes converted, 0 none. Linux: check_sock_access.
bool sock_access(RegType reg_type, s32 off, u32 size, u32& field_size);

/// May a program use packet pointers this way? kHelperArgument: the helper's pkt_access decides.
/// Linux: may_access_direct_pkt_data.
enum class PacketUse : u8 { kRead, kWrite, kHelperArgument };
bool may_access_packet(const ProgContext& prog, PacketUse use, bool helper_pkt_access = false);
/// LD_ABS and LD_IND. Linux: may_access_skb.
bool may_access_skb(u32 type);

struct ReturnRange {
  s32 min = 0;
  s32 max = 1;
  bool is32 = false;  // only the low half is looked at (LSM). Linux: return_32bit
};
/// What R0 must be at exit; nothing: anything. With `void` results R0 is not looked at, see
/// returns_void. Linux: return_retval_range.
std::optional<ReturnRange> return_range(const ProgContext& prog);
/// R0 need not even be set. (kProgExt: the program's own BTF says.) Linux: program_returns_void.
bool returns_void(const ProgContext& prog);

/// May this be loaded with BPF_F_SLEEPABLE at all (the attach target decides further)? Linux:
/// can_be_sleepable.
bool may_be_sleepable(const ProgContext& prog);
/// Is `attach_type` one that PROG_LOAD takes for the type? 0 or EINVAL. Linux:
/// bpf_prog_load_check_attach.
int check_attach_type(const ProgContext& prog, bool has_attach_btf);
/// Does loading this type need CAP_NET_ADMIN; CAP_PERFMON? Linux: is_net_admin_prog_type etc.
bool needs_net_admin(u32 type);
bool needs_perfmon(u32 type);

}  // namespace uscx::bpf::verifier
