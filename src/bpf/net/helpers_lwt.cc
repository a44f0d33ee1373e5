// SPDX-License-Identifier: GPL-2.0-only
// The helper of lightweight tunnels: another header before the packet's own. Linux:
// bpf_lwt_push_encap, net/core/lwt_bpf.c.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "bpf/bpf.h"
#include "bpf/net/helpers.h"
#include "bpf/net/packet.h"
#include "bpf/program.h"
#include "bpf/verifier/prog_type.h"

namespace uscx::bpf::net {

namespace {

constexpr u64 kEncapSeg6 = 0, kEncapSeg6Inline = 1, kEncapIp = 2;  // BPF_LWT_ENCAP_*
constexpr u32 kMaxHeadroom = 256;                                  // LWT_BPF_MAX_HEADROOM
constexpr u32 kIpHeader = 20, kIpv6Header = 40;                    // their fixed parts
constexpr u32 kIpProtocol = 0x0008, kIpv6Protocol = 0xdd86;        // ETH_P_*, as __be16
constexpr u32 kIpCheck = 10;                                       // where the checksum is

/// Of a header of `words` words. As x86 has it: of one without a fixed part, which programs may
/// push, it is the first half-word. Linux: ip_fast_csum().
u16 header_checksum(const std::byte* header, u32 words) {
  u16 half = 0;
  std::memcpy(&half, header, sizeof(half));
  if (words <= 4) return half;
  u32 sum = 0;
  for (u32 i = 0; i < 2 * words; ++i) {
    std::memcpy(&half, header + std::size_t{2} * i, sizeof(half));
    sum += half;
  }
  sum = (sum >> 16) + (sum & 0xffff);
  return static_cast<u16>(~(sum + (sum >> 16)));
}

u64 push_ip(SkbContext& context, const std::byte* header, u32 size) {
  if (size < kIpHeader || size > kMaxHeadroom) return error_value(EINVAL);
  const u32 version = static_cast<u32>(header[0]) >> 4, words = static_cast<u32>(header[0]) & 15;
  if (version != 4 && version != 6) return error_value(EINVAL);
  if (size < (version == 4 ? words * 4 : kIpv6Header)) return error_value(EINVAL);
  Packet& packet = *context.packet;
  if (packet.headroom() < size) packet.expand(size, 0);
  packet.move_start(-static_cast<s32>(size));
  std::memcpy(packet.data(), header, size);
  context.mac_offset += static_cast<s32>(size);
  context.network_offset = 0;
  update_context(context);
  context.skb.hash = 0;
  context.skb.protocol = version == 4 ? kIpProtocol : kIpv6Protocol;
  if (version == 4) {
    u16 check = 0;
    std::memcpy(&check, packet.data() + kIpCheck, sizeof(check));
    if (check == 0) check = header_checksum(packet.data(), words);
    std::memcpy(packet.data() + kIpCheck, &check, sizeof(check));
  }
  // Segments of a protocol that nobody named. Linux: handle_gso_encap().
  return context.skb.gso_size ? error_value(kEnotsupp) : 0;
}

/// Linux: seg6_validate_srh().
bool valid_segment_routing(const std::byte* header, u32 size) {
  constexpr u32 kFixed = 8, kAddress = 16, kTlvHeader = 2;
  constexpr auto kType4 = std::byte{4};
  const auto at = [&](u32 i) { return static_cast<u32>(header[i]); };
  if (size < kFixed || header[2] != kType4 || (at(1) + 1) * 8 != size) return false;
  const u32 segments_left = at(3), first_segment = at(4);
  if (segments_left > first_segment) return false;
  u32 off = kFixed + (first_segment + 1) * kAddress;
  while (off < size) {
    if (size - off < kTlvHeader) return false;
    off += kTlvHeader + at(off + 1);
  }
  return off == size;
}

u64 push_segment_routing(HelperCall& call, const SkbContext& context, u64 type,
                         const std::byte* header, u32 size) {
  if (!valid_segment_routing(header, size)) return error_value(EINVAL);
  if (type == kEncapSeg6Inline && context.skb.protocol != kIpv6Protocol) {
    return error_value(EBADMSG);
  }
  call.fault("bpf_lwt_push_encap of a segment routing header is not served");
  return 0;
}

u64 lwt_push_encap(HelperCall& call) {
  SkbContext* context = skb_context(call.bpf.window(), call.args[0]);
  if (!context) {
    call.fault("argument 1 is not the __sk_buff of a packet");
    return 0;
  }
  const auto size = static_cast<u32>(call.args[3]);
  const auto* header = static_cast<const std::byte*>(call.memory(2, size, false));
  if (!header) return 0;
  const u64 type = static_cast<u32>(call.args[1]);
  if (type == kEncapIp) return push_ip(*context, header, size);
  const bool segment_routing = type == kEncapSeg6 || type == kEncapSeg6Inline;
  if (segment_routing && call.program.type == verifier::kProgLwtIn) {
    return push_segment_routing(call, *context, type, header, size);
  }
  return error_value(EINVAL);
}

}  // namespace

void add_lwt_helpers(HelperTable& table) {
  table.add({73,
             "bpf_lwt_push_encap",
             lwt_push_encap,
             {ArgKind::kCtx, ArgKind::kLong, ArgKind::kMem, ArgKind::kSize}});
}

}  // namespace uscx::bpf::net
