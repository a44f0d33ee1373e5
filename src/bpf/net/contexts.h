// SPDX-License-Identifier: GPL-2.0-only
// What programs of networking types get as their context: the user-visible structs of linux/bpf.h,
// and behind them what a field of 32 bits cannot hold.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/types.h"
#include "bpf/window.h"

namespace uscx::bpf::net {

using Ptr = u64;  // __bpf_md_ptr: 8 bytes, aligned

/// struct __sk_buff
struct SkBuff {
  u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority,
      ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end, napi_id;
  u32 family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port;
  u32 data_meta;
  Ptr flow_keys;
  u64 tstamp;
  u32 wire_len, gso_segs;
  Ptr sk;
  u32 gso_size;
  u8 tstamp_type, padding[3];
  u64 hwtstamp;
};
static_assert(sizeof(SkBuff) == 192);

/// struct xdp_md
struct XdpMd {
  u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

/// struct bpf_sock
struct Sock {
  u32 bound_dev_if, family, type, protocol, mark, priority, src_ip4, src_ip6[4], src_port;
  u16 dst_port, padding;
  u32 dst_ip4, dst_ip6[4], state, rx_queue_mapping;
};
static_assert(sizeof(Sock) == 80);

/// struct bpf_tcp_sock
struct TcpSock {
  u32 counters[20];
  u64 bytes_received, bytes_acked;
  u32 dsack_dups, delivered, delivered_ce, icsk_retransmits;
};

class Packet;

/// Where the packet's linear part is: window addresses.
struct PacketBounds {
  u64 data, data_end, data_meta;
};

/// What R1 points at. Programs see the user-visible struct and, through the loads that
/// context_slot() turns into loads of 8 bytes, the bounds.
struct SkbContext {
  SkBuff skb;
  PacketBounds bounds;
  Packet* packet;
  // Where the headers begin, from data.
  s32 mac_offset, network_offset;

  const std::byte* mac_header() const { return at(mac_offset); }
  const std::byte* network_header() const { return at(network_offset); }

 private:
  const std::byte* at(s32 offset) const {
    return reinterpret_cast<const std::byte*>(bounds.data) + offset;
  }
};
struct XdpContext {
  XdpMd md;
  PacketBounds bounds;
  Packet* packet;
};

bool skb_may_write(u64 offset, u32 size);
inline constexpr ObjectType kSkbContext{"__sk_buff", &skb_may_write};
inline constexpr ObjectType kXdpContext{"xdp_md"};
inline constexpr ObjectType kSocket{"bpf_sock"};
/// A struct sk_buff as the kernel's BTF has it; in its last word, behind that struct, the address
/// of the SkbContext of the packet.
inline constexpr ObjectType kKernelSkb{"sk_buff"};

/// What a program of a networking type finds at the start of its __sk_buff's packet.
enum class SkbType : u8 {
  kNone,     // it has no __sk_buff of a packet under test
  kLink,     // the link layer's header
  kNetwork,  // the network layer's
  kTunnel,   // likewise, and its packet is linear
};
SkbType skb_type(u32 prog_type);

/// Where an access of the user-visible context is served. A part of a field needs no shifts: the
/// fields lie as the user sees them, and the machine is little-endian.
struct ContextSlot {
  s32 off = 0;
  u32 size = 0;                    // bytes of the access that is made instead
  std::string_view unserved = {};  // the field, where nothing stands behind it here
};

/// Of a program of `prog_type` that accesses `size` bytes at `off` of its context, as the verifier
/// allowed it. Linux: bpf_convert_ctx_accesses and the types' convert_ctx_access.
ContextSlot context_slot(u32 prog_type, s32 off, u32 size, bool write);

}  // namespace uscx::bpf::net
