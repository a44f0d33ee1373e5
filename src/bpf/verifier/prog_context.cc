// SPDX-License-Identifier: GPL-2.0-only
// Contexts of program types whose fields a table knows: what may be read and written, and what a
// read gives. The structs are the user-visible ones of linux/bpf.h.
#include <cstddef>

#include "bpf/net/contexts.h"
#include "bpf/verifier/prog_type.h"

namespace uscx::bpf::verifier {

namespace {

using net::Ptr;
using net::SkBuff;
using net::Sock;
using net::TcpSock;
using net::XdpMd;

struct SockAddr {
  u32 user_family, user_ip4, user_ip6[4], user_port, family, type, protocol, msg_src_ip4,
      msg_src_ip6[4];
  Ptr sk;
};
static_assert(sizeof(SockAddr) == 72);

struct SockOps {
  u32 op, reply, args[3], family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port,
      local_port, is_fullsock, snd_cwnd, srtt_us, bpf_sock_ops_cb_flags, state, counters[17],
      sk_txhash;
  u64 bytes_received, bytes_acked;
  Ptr sk, skb_data, skb_data_end;
  u32 skb_len, skb_tcp_flags;
  u64 skb_hwtstamp;
};
static_assert(sizeof(SockOps) == 224 && offsetof(SockOps, bytes_received) == 168);

struct SkMsgMd {
  Ptr data, data_end;
  u32 family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port, size;
  Ptr sk;
};

struct SkReuseportMd {
  Ptr data, data_end;
  u32 len, eth_protocol, ip_protocol, bind_inany, hash;
  Ptr sk, migrating_sk;
};

struct SkLookup {
  Ptr sk;
  u32 family, protocol, remote_ip4, remote_ip6[4];
  u16 remote_port, padding;
  u32 local_ip4, local_ip6[4], local_port, ingress_ifindex;
};

struct CgroupDev {
  u32 access_type, major, minor;
};

struct Sysctl {
  u32 write, file_pos;
};

struct Sockopt {
  Ptr sk, optval, optval_end;
  s32 level, optname, optlen, retval;
};

struct NfCtx {
  Ptr state, skb;
};

constexpr s32 kPtRegsSize = 168;  // x86-64
constexpr s32 kMaxTraceSize = 8192;
constexpr s32 kMaxFuncArgs = 12;

/// Bytes [begin, end) of a context.
struct Bytes {
  s32 begin, end;
};
#define FIELD(type, member)                                                               \
  Bytes {                                                                                 \
    static_cast<s32>(offsetof(type, member)),                                             \
        static_cast<s32>(offsetof(type, member)) + static_cast<s32>(sizeof(type::member)) \
  }
#define FIELDS(type, first, last)                   \
  Bytes {                                           \
    FIELD(type, first).begin, FIELD(type, last).end \
  }

/// One access as it is judged; what is found out about it goes to `out`.
struct Access {
  const ProgContext& prog;
  s32 off;
  s32 size;
  bool write;
  bool ldsx;
  CtxAccess& out;

  template <class... Fields>
  bool in(Fields... fields) const {
    return ((off >= fields.begin && off < fields.end) || ...);
  }
  template <class... Fields>
  bool at(Fields... fields) const {
    return ((off == fields.begin) || ...);
  }
  template <class... Types>
  bool attached(Types... types) const {
    return ((prog.attach_type == types) || ...);
  }
  bool aligned_within(std::size_t context) const {
    return off >= 0 && off < static_cast<s32>(context) && off % size == 0;
  }
  /// A part of a field of `whole` bytes, which the kernel loads entirely.
  bool narrow(s32 whole) const {
    out.field_size = static_cast<u32>(whole);
    return size <= whole && (size & (size - 1)) == 0;
  }
  /// Eight bytes of an IPv6 address at once.
  bool wide(Bytes field) const {
    return size == 8 && off >= field.begin && off + 8 <= field.end && off % 8 == 0;
  }
  bool gives(RegType type, s32 whole) const {
    out.reg_type = type;
    return size == whole;
  }
};

constexpr Bytes kCb = FIELD(SkBuff, cb);
constexpr Bytes kSkbSockFields = FIELDS(SkBuff, family, local_port);

/// What all types with a __sk_buff have in common. Linux: bpf_skb_is_valid_access.
bool skb_common(const Access& a) {
  if (!a.aligned_within(sizeof(SkBuff))) return false;
  if (a.in(kCb)) return a.off + a.size <= kCb.end;
  if (a.in(FIELD(SkBuff, data), FIELD(SkBuff, data_meta), FIELD(SkBuff, data_end))) {
    return !a.ldsx && a.size == 4;
  }
  if (a.in(FIELD(SkBuff, remote_ip6), FIELD(SkBuff, local_ip6), FIELD(SkBuff, remote_ip4),
           FIELD(SkBuff, local_ip4))) {
    return a.size == 4;
  }
  if (a.in(FIELD(SkBuff, flow_keys))) return false;
  if (a.in(FIELD(SkBuff, hwtstamp))) return !a.write && a.size == 8;
  if (a.in(FIELD(SkBuff, tstamp))) return a.size == 8;
  if (a.in(FIELD(SkBuff, sk))) {
    return !a.write && a.gives(kPtrToSockCommon | kMaybeNull, 8);
  }
  if (a.in(FIELD(SkBuff, tstamp_type), FIELD(SkBuff, padding))) return false;
  return a.write ? a.size == 4 : a.narrow(4);
}

/// data and data_end are the packet's bounds.
void skb_packet(const Access& a) {
  if (a.in(FIELD(SkBuff, data))) a.out.reg_type = kPtrToPacket;
  if (a.in(FIELD(SkBuff, data_end))) a.out.reg_type = kPtrToPacketEnd;
}

bool socket_filter(const Access& a) {
  if (a.in(FIELD(SkBuff, tc_classid), FIELD(SkBuff, data), FIELD(SkBuff, data_meta),
           FIELD(SkBuff, data_end), kSkbSockFields, FIELD(SkBuff, tstamp), FIELD(SkBuff, wire_len),
           FIELD(SkBuff, hwtstamp))) {
    return false;
  }
  if (a.write && !a.in(kCb)) return false;
  return skb_common(a);
}

bool cgroup_skb(const Access& a) {
  if (a.in(FIELD(SkBuff, tc_classid), FIELD(SkBuff, data_meta), FIELD(SkBuff, wire_len))) {
    return false;
  }
  if (a.write && !a.in(FIELD(SkBuff, mark), FIELD(SkBuff, priority), kCb, FIELD(SkBuff, tstamp))) {
    return false;
  }
  skb_packet(a);
  return skb_common(a);
}

bool lwt(const Access& a) {
  if (a.in(FIELD(SkBuff, tc_classid), kSkbSockFields, FIELD(SkBuff, data_meta),
           FIELD(SkBuff, tstamp), FIELD(SkBuff, wire_len), FIELD(SkBuff, hwtstamp))) {
    return false;
  }
  if (a.write && !a.in(FIELD(SkBuff, mark), FIELD(SkBuff, priority), kCb)) return false;
  skb_packet(a);
  return skb_common(a);
}

bool traffic_control(const Access& a) {
  if (a.write &&
      !a.in(FIELD(SkBuff, mark), FIELD(SkBuff, tc_index), FIELD(SkBuff, priority),
            FIELD(SkBuff, tc_classid), kCb, FIELD(SkBuff, tstamp), FIELD(SkBuff, queue_mapping))) {
    return false;
  }
  skb_packet(a);
  if (a.in(FIELD(SkBuff, data_meta))) a.out.reg_type = kPtrToPacketMeta;
  if (a.in(kSkbSockFields)) return false;
  if (a.at(FIELD(SkBuff, tstamp_type))) return a.size == 1;
  return skb_common(a);
}

bool sk_skb(const Access& a) {
  if (a.in(FIELD(SkBuff, tc_classid), FIELD(SkBuff, data_meta), FIELD(SkBuff, tstamp),
           FIELD(SkBuff, wire_len), FIELD(SkBuff, hwtstamp), FIELD(SkBuff, mark))) {
    return false;
  }
  if (a.write && !a.in(FIELD(SkBuff, tc_index), FIELD(SkBuff, priority))) return false;
  skb_packet(a);
  return skb_common(a);
}

bool flow_dissector(const Access& a) {
  if (!a.aligned_within(sizeof(SkBuff)) || a.write) return false;
  if (a.in(FIELD(SkBuff, data), FIELD(SkBuff, data_end))) {
    skb_packet(a);
    return !a.ldsx && a.size == 4;
  }
  return a.in(FIELD(SkBuff, flow_keys)) && a.gives(kPtrToFlowKeys, 8);
}

bool xdp(const Access& a) {
  if (a.attached(kXdpDevmap) ? false : a.at(FIELD(XdpMd, egress_ifindex))) return false;
  if (a.write) return false;
  const bool packet = a.at(FIELD(XdpMd, data), FIELD(XdpMd, data_meta), FIELD(XdpMd, data_end));
  if (packet && a.ldsx) return false;
  if (a.at(FIELD(XdpMd, data))) a.out.reg_type = kPtrToPacket;
  if (a.at(FIELD(XdpMd, data_meta))) a.out.reg_type = kPtrToPacketMeta;
  if (a.at(FIELD(XdpMd, data_end))) a.out.reg_type = kPtrToPacketEnd;
  return a.aligned_within(sizeof(XdpMd)) && a.size == 4;
}

/// Linux: bpf_sock_is_valid_access.
bool sock_fields(const Access& a) {
  if (!a.aligned_within(sizeof(Sock))) return false;
  if (a.at(FIELD(Sock, state), FIELD(Sock, family), FIELD(Sock, type), FIELD(Sock, protocol),
           FIELD(Sock, src_port), FIELD(Sock, rx_queue_mapping)) ||
      a.in(FIELD(Sock, src_ip4), FIELD(Sock, src_ip6), FIELD(Sock, dst_ip4),
           FIELD(Sock, dst_ip6))) {
    return a.narrow(4);
  }
  if (a.in(FIELD(Sock, dst_port))) return a.narrow(a.size == 4 ? 4 : 2);
  if (a.in(FIELD(Sock, padding))) return false;
  return a.size == 4;
}

bool cgroup_sock(const Access& a) {
  if (!sock_fields(a)) return false;
  if (a.at(FIELD(Sock, bound_dev_if), FIELD(Sock, mark), FIELD(Sock, priority))) {
    return a.attached(kCgroupInetSockCreate, kCgroupInetSockRelease);
  }
  if (a.in(FIELD(Sock, src_ip4)) && !a.attached(kCgroupInet4PostBind)) return false;
  if (a.in(FIELD(Sock, src_ip6)) && !a.attached(kCgroupInet6PostBind)) return false;
  if (a.in(FIELD(Sock, src_port)) && !a.attached(kCgroupInet4PostBind, kCgroupInet6PostBind)) {
    return false;
  }
  return !a.write;
}

/// Is the address field of the family that the program is attached for?
bool address_fits_hook(const Access& a) {
  if (a.in(FIELD(SockAddr, user_ip4))) {
    return a.attached(kCgroupInet4Bind, kCgroupInet4Connect, kCgroupInet4Getpeername,
                      kCgroupInet4Getsockname, kCgroupUdp4Sendmsg, kCgroupUdp4Recvmsg);
  }
  if (a.in(FIELD(SockAddr, user_ip6))) {
    return a.attached(kCgroupInet6Bind, kCgroupInet6Connect, kCgroupInet6Getpeername,
                      kCgroupInet6Getsockname, kCgroupUdp6Sendmsg, kCgroupUdp6Recvmsg);
  }
  if (a.in(FIELD(SockAddr, msg_src_ip4))) return a.attached(kCgroupUdp4Sendmsg);
  if (a.in(FIELD(SockAddr, msg_src_ip6))) return a.attached(kCgroupUdp6Sendmsg);
  return true;
}

bool sock_addr(const Access& a) {
  if (!a.aligned_within(sizeof(SockAddr)) || !address_fits_hook(a)) return false;
  if (a.in(FIELD(SockAddr, user_ip4), FIELD(SockAddr, user_ip6), FIELD(SockAddr, msg_src_ip4),
           FIELD(SockAddr, msg_src_ip6), FIELD(SockAddr, user_port))) {
    if (!a.write) a.out.field_size = 4;
    if (a.wide(FIELD(SockAddr, user_ip6)) || a.wide(FIELD(SockAddr, msg_src_ip6))) return true;
    return a.write ? a.size == 4 : a.narrow(4);
  }
  if (a.write) return false;
  if (a.in(FIELD(SockAddr, sk))) return a.gives(kPtrToSocket, 8);
  return a.in(FIELD(SockAddr, user_family), FIELDS(SockAddr, family, protocol)) && a.size == 4;
}

bool sock_ops(const Access& a) {
  if (!a.aligned_within(sizeof(SockOps))) return false;
  if (a.write) {
    return a.at(FIELD(SockOps, reply), FIELD(SockOps, sk_txhash)) && a.size == 4;
  }
  if (a.in(FIELD(SockOps, sk))) return a.gives(kPtrToSocket | kMaybeNull, 8);
  if (a.in(FIELD(SockOps, skb_data))) return a.gives(kPtrToPacket, 8);
  if (a.in(FIELD(SockOps, skb_data_end))) return a.gives(kPtrToPacketEnd, 8);
  if (a.at(FIELD(SockOps, skb_tcp_flags))) return a.narrow(4);
  const bool is_u64 =
      a.in(FIELDS(SockOps, bytes_received, bytes_acked), FIELD(SockOps, skb_hwtstamp));
  return a.size == (is_u64 ? 8 : 4);
}

bool sk_msg(const Access& a) {
  if (a.write || a.off % a.size != 0) return false;
  if (a.in(FIELD(SkMsgMd, data))) return a.gives(kPtrToPacket, 8);
  if (a.in(FIELD(SkMsgMd, data_end))) return a.gives(kPtrToPacketEnd, 8);
  if (a.in(FIELD(SkMsgMd, sk))) return a.gives(kPtrToSocket, 8);
  return a.in(FIELDS(SkMsgMd, family, size)) && a.size == 4;
}

bool sk_reuseport(const Access& a) {
  if (!a.aligned_within(sizeof(SkReuseportMd)) || a.write) return false;
  if (a.at(FIELD(SkReuseportMd, data))) return a.gives(kPtrToPacket, 8);
  if (a.at(FIELD(SkReuseportMd, data_end))) return a.gives(kPtrToPacketEnd, 8);
  if (a.at(FIELD(SkReuseportMd, hash))) return a.size == 4;
  if (a.at(FIELD(SkReuseportMd, sk))) return a.gives(kPtrToSocket, 8);
  if (a.at(FIELD(SkReuseportMd, migrating_sk))) return a.gives(kPtrToSockCommon | kMaybeNull, 8);
  if (a.in(FIELD(SkReuseportMd, eth_protocol)) && a.size < 2) return false;
  return a.in(FIELDS(SkReuseportMd, len, bind_inany)) && a.narrow(4);
}

bool sk_lookup(const Access& a) {
  if (!a.aligned_within(sizeof(SkLookup)) || a.write) return false;
  if (a.in(FIELD(SkLookup, sk))) return a.gives(kPtrToSocket | kMaybeNull, 8);
  if (a.in(FIELD(SkLookup, remote_port))) return a.size == 4 || a.narrow(2);
  if (a.in(FIELD(SkLookup, padding))) return a.narrow(2);
  return a.narrow(4);
}

bool cgroup_device(const Access& a) {
  if (a.write || !a.aligned_within(sizeof(CgroupDev))) return false;
  if (a.off + a.size > static_cast<s32>(sizeof(CgroupDev))) return false;
  return a.in(FIELD(CgroupDev, access_type)) ? a.narrow(4) : a.size == 4;
}

bool sysctl(const Access& a) {
  if (!a.aligned_within(sizeof(Sysctl))) return false;
  if (a.off + a.size > static_cast<s32>(sizeof(Sysctl))) return false;
  if (a.write) return a.in(FIELD(Sysctl, file_pos)) && a.size == 4;
  return a.narrow(4);
}

bool sockopt(const Access& a) {
  if (!a.aligned_within(sizeof(Sockopt))) return false;
  if (a.write) {
    if (a.size != 4) return false;
    if (a.at(FIELD(Sockopt, retval))) return a.attached(kCgroupGetsockopt);
    if (a.at(FIELD(Sockopt, optname), FIELD(Sockopt, level))) return a.attached(kCgroupSetsockopt);
    return a.at(FIELD(Sockopt, optlen));
  }
  if (a.in(FIELD(Sockopt, sk))) return a.gives(kPtrToSocket, 8);
  if (a.in(FIELD(Sockopt, optval))) return a.gives(kPtrToPacket, 8);
  if (a.in(FIELD(Sockopt, optval_end))) return a.gives(kPtrToPacketEnd, 8);
  if (a.in(FIELD(Sockopt, retval)) && !a.attached(kCgroupGetsockopt)) return false;
  return a.size == 4;
}

bool netfilter(const Access& a) {
  if (!a.aligned_within(sizeof(NfCtx)) || a.write) return false;
  const bool is_skb = a.in(FIELD(NfCtx, skb));
  a.out.btf_type = is_skb ? "sk_buff" : "nf_hook_state";
  return a.gives(kPtrToBtfId | kTrusted, 8);
}

bool kprobe(const Access& a) {
  return a.aligned_within(kPtRegsSize) && a.off + a.size <= kPtRegsSize;
}

bool tracepoint(const Access& a) {
  return a.off >= 8 && a.aligned_within(kMaxTraceSize) && !a.write;
}

bool perf_event(const Access& a) {
  constexpr s32 kPeriod = kPtRegsSize, kAddr = kPeriod + 8, kEnd = kAddr + 8;
  if (a.off < 0 || a.off >= kEnd || a.write || a.off % a.size != 0) return false;
  return a.off >= kPeriod ? a.narrow(8) : a.size == 8;
}

bool raw_tracepoint(const Access& a) {
  return a.aligned_within(8 * kMaxFuncArgs) && !a.write;
}

bool raw_tracepoint_writable(const Access& a) {
  if (a.off == 0) {
    if (a.size != 8 || a.write) return false;
    a.out.reg_type = kPtrToTpBuffer;
  }
  return raw_tracepoint(a);
}

bool syscall(const Access& a) {
  return a.off >= 0 && a.off < 0xffff;
}

#undef FIELD
#undef FIELDS

bool judge(const Access& a) {
  switch (a.prog.type) {
    case kProgSocketFilter:
      return socket_filter(a);
    case kProgSchedCls:
    case kProgSchedAct:
      return traffic_control(a);
    case kProgXdp:
      return xdp(a);
    case kProgCgroupSkb:
      return cgroup_skb(a);
    case kProgLwtIn:
    case kProgLwtOut:
    case kProgLwtXmit:
    case kProgLwtSeg6local:
      return lwt(a);
    case kProgCgroupSock:
      return cgroup_sock(a);
    case kProgCgroupSockAddr:
      return sock_addr(a);
    case kProgSockOps:
      return sock_ops(a);
    case kProgSkSkb:
      return sk_skb(a);
    case kProgSkMsg:
      return sk_msg(a);
    case kProgFlowDissector:
      return flow_dissector(a);
    case kProgSkReuseport:
      return sk_reuseport(a);
    case kProgSkLookup:
      return sk_lookup(a);
    case kProgCgroupDevice:
      return cgroup_device(a);
    case kProgCgroupSysctl:
      return sysctl(a);
    case kProgCgroupSockopt:
      return sockopt(a);
    case kProgNetfilter:
      return netfilter(a);
    case kProgKprobe:
      return kprobe(a);
    case kProgTracepoint:
      return tracepoint(a);
    case kProgPerfEvent:
      return perf_event(a);
    case kProgRawTracepoint:
      return raw_tracepoint(a);
    case kProgRawTracepointWritable:
      return raw_tracepoint_writable(a);
    case kProgSyscall:
      return syscall(a);
    default:
      return false;
  }
}

}  // namespace

bool ctx_access(const ProgContext& prog, s32 off, u32 size, bool write, bool ldsx, CtxAccess& out) {
  out = {};
  return judge({prog, off, static_cast<s32>(size), write, ldsx, out});
}

bool sock_access(RegType reg_type, s32 off, u32 size, u32& field_size) {
  const ProgContext none;
  CtxAccess out;
  const Access a{none, off, static_cast<s32>(size), false, false, out};
  bool valid = false;
  switch (reg_type) {
    case kPtrToSockCommon:
      // Only what a sock_common has: not type, protocol, mark and priority.
      valid = (off < static_cast<s32>(offsetof(Sock, type)) ||
               off >= static_cast<s32>(offsetof(Sock, src_ip4))) &&
              sock_fields(a);
      break;
    case kPtrToSocket:
      valid = sock_fields(a);
      break;
    case kPtrToTcpSock:
      valid = a.aligned_within(sizeof(TcpSock)) &&
              a.size ==
                  (off == offsetof(TcpSock, bytes_received) || off == offsetof(TcpSock, bytes_acked)
                       ? 8
                       : 4);
      break;
    case kPtrToXdpSock:
      valid = a.aligned_within(sizeof(u32)) && a.size == 4;
      break;
    default:
      break;
  }
  field_size = out.field_size;
  return valid;
}

}  // namespace uscx::bpf::verifier
