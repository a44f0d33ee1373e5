// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/net/contexts.h"

#include "bpf/verifier/prog_type.h"

namespace uscx::bpf::net {

namespace {

struct Served {
  std::size_t off;   // of the user-visible field
  std::size_t slot;  // of its 8 bytes
};

constexpr std::size_t kSkbBounds = offsetof(SkbContext, bounds);
constexpr Served kSkbPointers[] = {
    {offsetof(SkBuff, data), kSkbBounds + offsetof(PacketBounds, data)},
    {offsetof(SkBuff, data_end), kSkbBounds + offsetof(PacketBounds, data_end)},
    {offsetof(SkBuff, data_meta), kSkbBounds + offsetof(PacketBounds, data_meta)},
};
constexpr std::size_t kXdpBounds = offsetof(XdpContext, bounds);
constexpr Served kXdpPointers[] = {
    {offsetof(XdpMd, data), kXdpBounds + offsetof(PacketBounds, data)},
    {offsetof(XdpMd, data_end), kXdpBounds + offsetof(PacketBounds, data_end)},
    {offsetof(XdpMd, data_meta), kXdpBounds + offsetof(PacketBounds, data_meta)},
};

/// Fields of a packet under test that nothing stands behind.
struct Unserved {
  std::size_t off, size;
  bool write_only;
  std::string_view name;
};
constexpr Unserved kSkbUnserved[] = {
    {offsetof(SkBuff, queue_mapping), 4, true, "a write of __sk_buff.queue_mapping"},
    {offsetof(SkBuff, flow_keys), 8, false, "__sk_buff.flow_keys"},
};
constexpr Unserved kXdpUnserved[] = {
    {offsetof(XdpMd, egress_ifindex), 4, false, "xdp_md.egress_ifindex"},
};

template <class Pointers, class Unserveds>
ContextSlot slot_of(const Pointers& pointers, const Unserveds& unserved, s32 off, u32 size,
                    bool write) {
  const auto at = static_cast<std::size_t>(off);
  for (const Served& p : pointers) {
    if (p.off == at) return {static_cast<s32>(p.slot), 8};
  }
  for (const Unserved& u : unserved) {
    if (at >= u.off && at < u.off + u.size && (write || !u.write_only)) return {off, size, u.name};
  }
  return {off, size};
}

}  // namespace

bool skb_may_write(u64 offset, u32 size) {
  return offset + size <= sizeof(SkBuff);
}

SkbType skb_type(u32 prog_type) {
  using namespace verifier;
  switch (prog_type) {
    case kProgSchedCls:
    case kProgSchedAct:
      return SkbType::kLink;
    case kProgSocketFilter:
    case kProgCgroupSkb:
      return SkbType::kNetwork;
    case kProgLwtIn:
    case kProgLwtOut:
    case kProgLwtXmit:
      return SkbType::kTunnel;
    default:
      return SkbType::kNone;
  }
}

ContextSlot context_slot(u32 prog_type, s32 off, u32 size, bool write) {
  if (skb_type(prog_type) != SkbType::kNone) {
    return slot_of(kSkbPointers, kSkbUnserved, off, size, write);
  }
  if (prog_type == verifier::kProgXdp) {
    return slot_of(kXdpPointers, kXdpUnserved, off, size, write);
  }
  return {off, size};  // as the type's program is given it, or never run
}

}  // namespace uscx::bpf::net
