// SPDX-License-Identifier: GPL-2.0-only
// A packet that a program is tested on: one linear part with room around it, then fragments.
// Linux: struct sk_buff or struct xdp_buff, with struct skb_shared_info.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/types.h"
#include "bpf/net/contexts.h"
#include "bpf/window.h"

namespace uscx::bpf::net {

inline constexpr u32 kPageSize = 4096;
inline constexpr u32 kEthHeader = 14;     // ETH_HLEN
inline constexpr u32 kSkbHeadroom = 64;   // NET_SKB_PAD + NET_IP_ALIGN on x86-64
inline constexpr u32 kXdpHeadroom = 256;  // XDP_PACKET_HEADROOM
inline constexpr u32 kSharedInfo = 320;   // SKB_DATA_ALIGN(sizeof(struct skb_shared_info))
inline constexpr u32 kMaxFragments = 17;  // MAX_SKB_FRAGS

/// Lives in the window with its context; programs reach the linear part through the context's
/// bounds and the rest through helpers. What moves the linear part tells the context.
class Packet {
 public:
  /// Room of `before` and `after` bytes around `linear` bytes, all zero.
  Packet(AddressWindow& window, u32 before, u32 linear, u32 after);
  ~Packet();
  Packet(const Packet&) = delete;
  Packet& operator=(const Packet&) = delete;

  std::byte* data() const { return head_ + start_; }
  u32 linear() const { return end_ - start_; }
  u32 size() const;
  u32 headroom() const { return start_; }
  u32 tailroom() const { return room_ - end_; }
  bool has_fragments() const { return !fragments_.empty(); }
  u32 fragment_bytes() const { return size() - linear(); }

  /// Appends a fragment of `size` bytes (at most a page); null where there are too many.
  std::byte* add_fragment(u32 size);
  /// `size` bytes at `off` from data(); false where the packet is shorter. Linux: skb_copy_bits.
  bool load(u32 off, void* to, u32 size) const;
  bool store(u32 off, const void* from, u32 size);
  /// The same as memory; null where they lie in several parts.
  std::byte* contiguous(u32 off, u32 size) const;
  /// Makes the first `size` bytes linear; false where there are fewer. Linux: pskb_may_pull.
  bool pull(u32 size);
  /// Moves the start by `delta` bytes (negative: into the headroom), within the linear part.
  void move_start(s32 delta) { start_ += static_cast<u32>(delta); }
  void move_end(s32 delta) { end_ += static_cast<u32>(delta); }
  /// Cuts to `size` bytes. Linux: ___pskb_trim.
  void trim(u32 size);
  /// Gives it at least so much room; the linear part may move. Linux: pskb_expand_head.
  void expand(u32 before, u32 after);

 private:
  template <class Fn>
  bool for_bytes(u32 off, u32 size, Fn&& fn) const;

  struct Fragment {
    std::byte* memory;
    u32 off, size;
  };
  AddressWindow& window_;
  std::byte* head_;
  u32 room_, start_, end_;  // of the linear part's allocation
  std::vector<Fragment> fragments_;
};

/// The packet whose context is at `address`; null where it is none of that type.
SkbContext* skb_context(AddressWindow& window, u64 address);
XdpContext* xdp_context(AddressWindow& window, u64 address);
/// The fields that follow the packet: bounds, and len of an skb. Linux: bpf_compute_data_pointers.
void update_context(SkbContext& context);
void update_context(XdpContext& context);

}  // namespace uscx::bpf::net
