// SPDX-License-Identifier: GPL-2.0-only
// Helpers on the packet of an xdp_md. Linux: net/core/filter.c.
#include <cerrno>
#include <cstring>

#include "bpf/bpf.h"
#include "bpf/net/helpers.h"
#include "bpf/net/packet.h"

namespace uscx::bpf::net {

namespace {

using A = ArgKind;

constexpr u32 kFrame = 40;  // sizeof(struct xdp_frame), at the start of the headroom
constexpr u32 kMaxAccess = 0xffff;

XdpContext* xdp_arg(HelperCall& call) {
  if (XdpContext* context = xdp_context(call.bpf.window(), call.args[0])) return context;
  call.fault("argument 1 is not the xdp_md of a packet");
  return nullptr;
}

u32 metadata_of(const XdpContext& context) {
  return static_cast<u32>(context.bounds.data - context.bounds.data_meta);
}

u64 adjust_head(HelperCall& call) {
  XdpContext* context = xdp_arg(call);
  if (!context) return 0;
  Packet& packet = *context->packet;
  const s64 delta = static_cast<s32>(call.args[1]);
  const u32 metadata = metadata_of(*context);
  if (packet.headroom() + delta < kFrame + metadata || delta > s64{packet.linear()} - kEthHeader) {
    return error_value(EINVAL);
  }
  std::byte* meta = packet.data() - metadata;
  if (metadata) std::memmove(meta + delta, meta, metadata);
  packet.move_start(static_cast<s32>(delta));
  update_context(*context);
  return 0;
}

u64 adjust_meta(HelperCall& call) {
  XdpContext* context = xdp_arg(call);
  if (!context) return 0;
  const s64 metadata = s64{metadata_of(*context)} - static_cast<s32>(call.args[1]);
  if (metadata < 0 || metadata > s64{context->packet->headroom()} - kFrame) {
    return error_value(EINVAL);
  }
  if (metadata % 4 || metadata > 255) return error_value(EACCES);
  context->bounds.data_meta = context->bounds.data - static_cast<u64>(metadata);
  return 0;
}

u64 adjust_tail(HelperCall& call) {
  XdpContext* context = xdp_arg(call);
  if (!context) return 0;
  Packet& packet = *context->packet;
  if (packet.has_fragments()) {
    call.fault("bpf_xdp_adjust_tail of a packet in fragments is not served");
    return 0;
  }
  const auto delta = static_cast<s32>(call.args[1]);
  if (delta > s64{packet.tailroom()} || s64{packet.linear()} + delta < kEthHeader) {
    return error_value(EINVAL);
  }
  if (delta > 0) std::memset(packet.data() + packet.linear(), 0, static_cast<u32>(delta));
  packet.move_end(delta);
  update_context(*context);
  return 0;
}

u64 buff_len(HelperCall& call) {
  XdpContext* context = xdp_arg(call);
  return context ? context->packet->size() : 0;
}

/// Offset R2 and length R4 of the packet and memory R3. 0 or what the helper answers.
u64 check_access(const XdpContext& context, u32 off, u32 bytes) {
  if (off > kMaxAccess || bytes > kMaxAccess) return error_value(EFAULT);
  return off + bytes > context.packet->size() ? error_value(EINVAL) : 0;
}

u64 load_bytes(HelperCall& call) {
  XdpContext* context = xdp_arg(call);
  const u32 off = static_cast<u32>(call.args[1]), bytes = static_cast<u32>(call.args[3]);
  void* to = context ? call.memory(2, bytes, true) : nullptr;
  if (!to) return 0;
  if (const u64 error = check_access(*context, off, bytes)) return error;
  context->packet->load(off, to, bytes);
  return 0;
}

u64 store_bytes(HelperCall& call) {
  XdpContext* context = xdp_arg(call);
  const u32 off = static_cast<u32>(call.args[1]), bytes = static_cast<u32>(call.args[3]);
  const void* from = context ? call.memory(2, bytes, false) : nullptr;
  if (!from) return 0;
  if (const u64 error = check_access(*context, off, bytes)) return error;
  context->packet->store(off, from, bytes);
  return 0;
}

}  // namespace

void add_xdp_helpers(HelperTable& table) {
  table.add({44, "bpf_xdp_adjust_head", adjust_head, {A::kCtx, A::kLong}});
  table.add({54, "bpf_xdp_adjust_meta", adjust_meta, {A::kCtx, A::kLong}});
  table.add({65, "bpf_xdp_adjust_tail", adjust_tail, {A::kCtx, A::kLong}});
  table.add({188, "bpf_xdp_get_buff_len", buff_len, {A::kCtx}});
  table.add({189, "bpf_xdp_load_bytes", load_bytes, {A::kCtx, A::kLong, A::kMemUninit, A::kSize}});
  table.add({190, "bpf_xdp_store_bytes", store_bytes, {A::kCtx, A::kLong, A::kMem, A::kSize}});
}

}  // namespace uscx::bpf::net
