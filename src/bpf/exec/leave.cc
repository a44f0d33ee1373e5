// SPDX-License-Identifier: GPL-2.0-only
// What is neither a call nor a jump like the others: tail calls and loads from a packet, which may
// end the function they are in, and indirect jumps.
#include <algorithm>
#include <cstring>

#include "bpf/exec/jump_target.h"
#include "bpf/exec/run.h"
#include "bpf/impl.h"
#include "bpf/maps/prog_array.h"
#include "bpf/net/packet.h"

namespace uscx::bpf {

u64 ExecRun::tail_call(u32 insn, u64 program_context, u64 map, u64 index) {
  constexpr u32 kMost = 33;  // MAX_TAIL_CALL_CNT
  if (left < 0) return 0;    // the engine says so
  auto* programs = env.bpf ? dynamic_cast<ProgArrayMap*>(env.bpf->impl().map_at(map)) : nullptr;
  if (!programs) return abandon(insn, "no PROG_ARRAY map");
  const auto target = programs->program(static_cast<u32>(index));
  if (!target || *tail_calls >= kMost) return 0;
  ++*tail_calls;
  const u64 result = engine.tail_call(*this, insn, *target, program_context);
  leave = 1;
  return result;
}

namespace {

/// What is before the data, relative to a header. Linux: bpf_internal_load_pointer_neg_helper.
const std::byte* header_bytes(const net::SkbContext& skb, s32 off, u32 bytes) {
  constexpr s32 kNetworkHeader = -0x100000, kLinkHeader = -0x200000;  // SKF_NET_OFF, SKF_LL_OFF
  if (off < kLinkHeader) return nullptr;
  const std::byte* at = off >= kNetworkHeader ? skb.network_header() + (off - kNetworkHeader)
                                              : skb.mac_header() + (off - kLinkHeader);
  const u64 address = reinterpret_cast<u64>(at);
  const u64 head = skb.bounds.data - skb.packet->headroom();
  return address >= head && address + bytes <= skb.bounds.data_end ? at : nullptr;
}

}  // namespace

u64 ExecRun::load_packet(u32 insn, u64 skb, u64 off, u32 bytes) {
  const net::SkbContext* context_of = net::skb_context(env.window, skb);
  if (!context_of) return abandon(insn, "R6 is not the context of a packet");
  const auto at = static_cast<s32>(off);
  u8 read[4] = {};
  bool there;
  if (at >= 0) {
    there = context_of->packet->load(static_cast<u32>(at), read, bytes);
  } else {
    const std::byte* header = header_bytes(*context_of, at, bytes);
    there = header != nullptr;
    if (header) std::memcpy(read, header, bytes);
  }
  if (!there) {
    leave = 1;
    return 0;
  }
  u64 value = 0;
  for (u32 i = 0; i < bytes; i++) value = value << 8 | read[i];  // network byte order
  return value;
}

u32 ExecRun::jump_target(u64 target) const {
  if (!is_jump_target(target)) return kNoInsn;
  const u32 insn = jump_target_insn(target);
  return std::ranges::binary_search(decoded->jump_targets, insn) ? insn : kNoInsn;
}

}  // namespace uscx::bpf
