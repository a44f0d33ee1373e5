// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/net/packet_dynptr.h"

#include <cerrno>

#include "bpf/bpf.h"
#include "bpf/net/packet.h"
#include "bpf/program.h"
#include "bpf/verifier/prog_type.h"

namespace uscx::bpf::net {

namespace {

constexpr u64 error_value(int errnum) {
  return static_cast<u64>(-s64{errnum});
}

/// The packet's; null, and a fault of the program, where it has no packet (any more).
Packet* packet_of(KfuncCall& call, const Dynptr& pointer) {
  if (SkbContext* skb = skb_context(call.bpf.window(), pointer.data)) return skb->packet;
  if (XdpContext* xdp = xdp_context(call.bpf.window(), pointer.data)) return xdp->packet;
  call.fault("the dynptr's packet is gone");
  return nullptr;
}

/// Flags R2; the dynptr R3 becomes one to the `bytes` of the packet whose context is in R1.
u64 make(KfuncCall& call, u32 type, u32 bytes, bool read_only) {
  auto* pointer = call.memory<Dynptr>(2, true);
  if (!pointer) return 0;
  *pointer = {};
  if (call.args[1]) return error_value(EINVAL);
  *pointer = Dynptr::to(call.args[0], type, bytes);
  if (read_only) pointer->word |= Dynptr::kReadOnly;
  return 0;
}

/// Linux: may_access_direct_pkt_data, by which bpf_dynptr_from_skb is made the read-only one.
bool may_write_packets(u32 prog_type) {
  using namespace verifier;
  return prog_type == kProgSchedCls || prog_type == kProgSchedAct || prog_type == kProgLwtXmit ||
         prog_type == kProgSkSkb;
}

}  // namespace

u64 dynptr_from_skb(KfuncCall& call) {
  SkbContext* skb = skb_context(call.bpf.window(), call.args[0]);
  if (!skb) {
    call.fault("argument 1 is not the __sk_buff of a packet");
    return 0;
  }
  return make(call, Dynptr::kSkb, skb->packet->size(), !may_write_packets(call.program.type));
}

u64 dynptr_from_xdp(KfuncCall& call) {
  XdpContext* xdp = xdp_context(call.bpf.window(), call.args[0]);
  if (!xdp) {
    call.fault("argument 1 is not the xdp_md of a packet");
    return 0;
  }
  return make(call, Dynptr::kXdp, xdp->packet->size(), false);
}

void* packet_bytes(KfuncCall& call, const Dynptr& pointer, u64 off, u64 len) {
  Packet* packet = packet_of(call, pointer);
  return packet ? packet->contiguous(static_cast<u32>(pointer.offset + off), static_cast<u32>(len))
                : nullptr;
}

int read_packet(KfuncCall& call, const Dynptr& pointer, u64 off, void* to, u64 len) {
  const Packet* packet = packet_of(call, pointer);
  if (!packet) return 0;
  const auto at = static_cast<u32>(pointer.offset + off);
  if (packet->load(at, to, static_cast<u32>(len))) return 0;
  return pointer.type() == Dynptr::kSkb ? EFAULT : EINVAL;
}

int write_packet(KfuncCall& call, const Dynptr& pointer, u64 off, const void* from, u64 len,
                 u64 flags) {
  constexpr u64 kRecomputeChecksum = 1, kInvalidateHash = 2;  // BPF_F_*
  Packet* packet = packet_of(call, pointer);
  if (!packet) return 0;
  const auto at = static_cast<u32>(pointer.offset + off);
  const auto bytes = static_cast<u32>(len);
  if (pointer.type() == Dynptr::kXdp) {
    return !flags && packet->store(at, from, bytes) ? 0 : EINVAL;
  }
  SkbContext& skb = *skb_context(call.bpf.window(), pointer.data);
  if (flags & ~(kRecomputeChecksum | kInvalidateHash)) return EINVAL;
  if (!packet->pull(at + bytes)) return EFAULT;  // bpf_try_make_writable
  update_context(skb);
  packet->store(at, from, bytes);
  if (flags & kInvalidateHash) skb.skb.hash = 0;
  return 0;
}

}  // namespace uscx::bpf::net
