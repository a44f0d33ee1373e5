// SPDX-License-Identifier: GPL-2.0-only
// Helpers on the packet of a __sk_buff. Linux: net/core/filter.c.
#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/hash.h"
#include "bpf/bpf.h"
#include "bpf/net/helpers.h"
#include "bpf/net/packet.h"

namespace uscx::bpf::net {

namespace {

using A = ArgKind;

constexpr u64 kRecomputeChecksum = 1, kInvalidateHash = 2;  // BPF_F_*
constexpr u32 kMaxSkbLength = 4 * kPageSize - kSharedInfo;  // BPF_SKB_MAX_LEN

SkbContext* skb_arg(HelperCall& call) {
  if (SkbContext* context = skb_context(call.bpf.window(), call.args[0])) return context;
  call.fault("argument 1 is not the __sk_buff of a packet");
  return nullptr;
}

u32 arg32(const HelperCall& call, u32 i) {
  return static_cast<u32>(call.args[i]);
}

/// Linux: bpf_try_make_writable. What was linear stays where it is, unless it has to grow.
u64 make_writable(SkbContext& context, u32 bytes) {
  if (!context.packet->pull(bytes)) return error_value(ENOMEM);
  update_context(context);
  return 0;
}

u64 load_bytes(HelperCall& call) {
  SkbContext* context = skb_arg(call);
  const u32 off = arg32(call, 1), bytes = arg32(call, 3);
  void* to = context ? call.memory(2, bytes, true) : nullptr;
  if (!to) return 0;
  if (off <= INT_MAX && bytes <= INT_MAX && context->packet->load(off, to, bytes)) return 0;
  std::memset(to, 0, bytes);
  return error_value(EFAULT);
}

u64 store_bytes(HelperCall& call) {
  SkbContext* context = skb_arg(call);
  const u32 off = arg32(call, 1), bytes = arg32(call, 3);
  const void* from = context ? call.memory(2, bytes, false) : nullptr;
  if (!from) return 0;
  if (call.args[4] & ~(kRecomputeChecksum | kInvalidateHash)) return error_value(EINVAL);
  if (off > INT_MAX || make_writable(*context, off + bytes)) return error_value(EFAULT);
  context->packet->store(off, from, bytes);
  if (call.args[4] & kInvalidateHash) context->skb.hash = 0;
  return 0;
}

/// From the link layer's or the network layer's header on. Linux: BPF_HDR_START_*.
u64 load_bytes_relative(HelperCall& call) {
  SkbContext* context = skb_arg(call);
  const u32 off = arg32(call, 1), bytes = arg32(call, 3);
  void* to = context ? call.memory(2, bytes, true) : nullptr;
  if (!to) return 0;
  const u32 start = arg32(call, 4);
  const auto* header = start == 0 ? context->mac_header() : context->network_header();
  const auto* end = reinterpret_cast<const std::byte*>(context->bounds.data_end);
  if (off <= 0xffff && start <= 1 && header + off <= end && bytes <= end - header - off) {
    std::memcpy(to, header + off, bytes);
    return 0;
  }
  std::memset(to, 0, bytes);
  return error_value(EFAULT);
}

u64 pull_data(HelperCall& call) {
  SkbContext* context = skb_arg(call);
  if (!context) return 0;
  const u32 bytes = arg32(call, 1);
  return make_writable(*context, bytes ? bytes : context->packet->linear());
}

u64 change_head(HelperCall& call) {
  SkbContext* context = skb_arg(call);
  if (!context) return 0;
  Packet& packet = *context->packet;
  const u32 room = arg32(call, 1);
  if (call.args[2] || room > INT_MAX || packet.size() + room > kMaxSkbLength) {
    return error_value(EINVAL);
  }
  if (packet.headroom() < room) packet.expand(room, 0);
  packet.move_start(-static_cast<s32>(room));
  std::memset(packet.data(), 0, room);
  context->network_offset += static_cast<s32>(room);
  context->mac_offset = 0;
  update_context(*context);
  return 0;
}

u64 change_tail(HelperCall& call) {
  SkbContext* context = skb_arg(call);
  if (!context) return 0;
  Packet& packet = *context->packet;
  const u32 size = arg32(call, 1);
  // Down to the transport header, which the network layer has not found yet, or to the network
  // header. Linux: __bpf_skb_min_len.
  const u32 least = static_cast<u32>(std::max(context->network_offset, 0));
  if (call.args[2] || size > kMaxSkbLength || size < least) return error_value(EINVAL);
  packet.pull(packet.size());
  if (size > packet.size()) {
    const u32 more = size - packet.size();
    if (packet.tailroom() < more) packet.expand(0, more);
    std::memset(packet.data() + packet.linear(), 0, more);
    packet.move_end(static_cast<s32>(more));
  } else {
    packet.trim(size);
  }
  update_context(*context);
  return 0;
}

/// Linux: csum_partial, folded to 32 bits with the carries added.
u32 checksum(const std::byte* bytes, u32 size, u32 seed) {
  u64 sum = seed;
  for (u32 i = 0; i < size; i += 2) {
    u16 word = 0;
    std::memcpy(&word, bytes + i, std::min(2u, size - i));
    sum += word;
  }
  while (sum >> 32) sum = (sum & 0xffff'ffff) + (sum >> 32);
  return static_cast<u32>(sum);
}

u32 add_with_carry(u32 a, u32 b) {
  const u64 sum = u64{a} + b;
  return static_cast<u32>(sum) + static_cast<u32>(sum >> 32);
}

u64 csum_diff(HelperCall& call) {
  const u32 from_size = arg32(call, 1), to_size = arg32(call, 3);
  const auto* from = from_size ? call.memory(0, from_size, false) : nullptr;
  const auto* to = to_size ? call.memory(2, to_size, false) : nullptr;
  if ((from_size && !from) || (to_size && !to)) return 0;
  const auto* old_bytes = static_cast<const std::byte*>(from);
  const auto* new_bytes = static_cast<const std::byte*>(to);
  u32 sum = arg32(call, 4);
  if (from_size && to_size) {
    sum = add_with_carry(checksum(new_bytes, to_size, sum), ~checksum(old_bytes, from_size, 0));
  } else if (to_size) {
    sum = checksum(new_bytes, to_size, sum);
  } else if (from_size) {
    sum = ~checksum(old_bytes, from_size, ~sum);
  }
  sum = (sum >> 16) + (sum & 0xffff);
  return (sum + (sum >> 16)) & 0xffff;
}

u64 csum_update(HelperCall& call) {
  return skb_arg(call) ? error_value(kEnotsupp) : 0;  // only of packets that came with a checksum
}

/// The hash of the flow that the packet belongs to: Linux's has a random seed, so any will do.
u64 get_hash_recalc(HelperCall& call) {
  SkbContext* context = skb_arg(call);
  if (!context) return 0;
  if (context->skb.hash) return context->skb.hash;
  StreamHash hash;
  hash.add_bytes(context->packet->data(), context->packet->linear());
  context->skb.hash = static_cast<u32>(hash.value()) | 1;
  return context->skb.hash;
}

u64 set_hash_invalid(HelperCall& call) {
  if (SkbContext* context = skb_arg(call)) context->skb.hash = 0;
  return 0;
}

u64 set_hash(HelperCall& call) {
  if (SkbContext* context = skb_arg(call)) context->skb.hash = arg32(call, 1);
  return 0;
}

}  // namespace

void add_skb_helpers(HelperTable& table) {
  table.add(
      {9, "bpf_skb_store_bytes", store_bytes, {A::kCtx, A::kLong, A::kMem, A::kSize, A::kLong}});
  table.add({26, "bpf_skb_load_bytes", load_bytes, {A::kCtx, A::kLong, A::kMemUninit, A::kSize}});
  table.add({28,
             "bpf_csum_diff",
             csum_diff,
             {A::kMem, A::kSizeOrZero, A::kMem, A::kSizeOrZero, A::kLong}});
  table.add({34, "bpf_get_hash_recalc", get_hash_recalc, {A::kCtx}});
  table.add({38, "bpf_skb_change_tail", change_tail, {A::kCtx, A::kLong, A::kLong}});
  table.add({39, "bpf_skb_pull_data", pull_data, {A::kCtx, A::kLong}});
  table.add({40, "bpf_csum_update", csum_update, {A::kCtx, A::kLong}});
  table.add({41, "bpf_set_hash_invalid", set_hash_invalid, {A::kCtx}});
  table.add({43, "bpf_skb_change_head", change_head, {A::kCtx, A::kLong, A::kLong}});
  table.add({48, "bpf_set_hash", set_hash, {A::kCtx, A::kLong}});
  table.add({68,
             "bpf_skb_load_bytes_relative",
             load_bytes_relative,
             {A::kCtx, A::kLong, A::kMemUninit, A::kSize, A::kLong}});
}

}  // namespace uscx::bpf::net
