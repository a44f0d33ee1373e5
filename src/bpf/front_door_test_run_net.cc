// SPDX-License-Identifier: GPL-2.0-only
// bpf(2): PROG_TEST_RUN of programs that get a packet. Linux: net/bpf/test_run.c.
#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "bpf/bpf.h"
#include "bpf/front_door.h"
#include "bpf/impl.h"
#include "bpf/maps/cgroup_storage.h"
#include "bpf/net/packet.h"
#include "bpf/verifier/prog_type.h"

namespace uscx::bpf {

namespace {

using net::Packet;
using net::SkbContext;
using net::SkBuff;
using net::Sock;
using net::XdpContext;
using net::XdpMd;

constexpr u32 kLoopback = 1;  // its ifindex; there is no other device
constexpr u16 kEthP802_3 = 0x0001, kEthP802_2 = 0x0004, kEthPIp = 0x0800, kEthPIpv6 = 0x86dd;
constexpr u16 kFirstEthertype = 0x0600;  // ETH_P_802_3_MIN
constexpr u32 kTcpClose = 7;
constexpr u32 kMaxGso = 65535;  // GSO_LEGACY_MAX_SIZE, GSO_MAX_SEGS

u16 big_endian(const std::byte* at) {
  return static_cast<u16>(static_cast<u16>(at[0]) << 8 | static_cast<u16>(at[1]));
}

/// Memory of the window for as long as a run takes.
template <class T>
class InWindow {
 public:
  InWindow(AddressWindow& window, const ObjectType& type)
      : window_(window), object_(window.make<T>(type)) {}
  ~InWindow() { window_.destroy(object_); }
  InWindow(const InWindow&) = delete;
  InWindow& operator=(const InWindow&) = delete;
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  u64 address() const { return reinterpret_cast<u64>(object_); }

 private:
  AddressWindow& window_;
  T* object_;
};

/// All bytes of [from, to) zero? Linux: range_is_zero.
bool zero(const SkBuff& skb, std::size_t from, std::size_t to) {
  const auto* bytes = reinterpret_cast<const u8*>(&skb);
  return std::all_of(bytes + from, bytes + to, [](u8 b) { return b == 0; });
}

#define AFTER(member) (offsetof(SkBuff, member) + sizeof(SkBuff::member))

/// Only fields that a caller may set are set. Linux: convert___skb_to_skb.
bool only_settable(const SkBuff& s) {
  return zero(s, 0, offsetof(SkBuff, mark)) && zero(s, AFTER(mark), offsetof(SkBuff, priority)) &&
         zero(s, AFTER(ifindex), offsetof(SkBuff, cb)) &&
         zero(s, AFTER(cb), offsetof(SkBuff, data_end)) &&
         zero(s, AFTER(data_end), offsetof(SkBuff, tstamp)) &&
         zero(s, AFTER(gso_segs), offsetof(SkBuff, gso_size)) &&
         zero(s, AFTER(gso_size), offsetof(SkBuff, hwtstamp)) &&
         zero(s, AFTER(hwtstamp), sizeof(s));
}
#undef AFTER

/// The Ethernet header is looked at and left behind. Linux: eth_type_trans.
void take_ethernet_header(Packet& packet, SkBuff& skb) {
  const std::byte* header = packet.data();
  static constexpr std::byte kOwnAddress[6] = {};  // the loopback device's
  if (std::memcmp(header, kOwnAddress, sizeof(kOwnAddress)) != 0) {
    const bool broadcast =
        std::all_of(header, header + 6, [](std::byte b) { return b == std::byte{0xff}; });
    const bool multicast = (header[0] & std::byte{1}) != std::byte{0};
    skb.pkt_type = broadcast ? 1 : multicast ? 2 : 3;  // PACKET_BROADCAST, _MULTICAST, _OTHERHOST
  }
  const u16 ethertype = big_endian(header + 12);
  u16 protocol = ethertype;
  if (ethertype < kFirstEthertype) {
    u16 first = 0;
    const bool raw = packet.load(net::kEthHeader, &first, 2) && first == 0xffff;
    protocol = raw ? kEthP802_3 : kEthP802_2;
  }
  skb.protocol = static_cast<u16>(protocol << 8 | protocol >> 8);  // __be16
  packet.move_start(net::kEthHeader);
}

/// The addresses of an IP packet become those of its socket; false where the header is not there.
bool take_addresses(const Packet& packet, SkBuff& skb, Sock& sock) {
  constexpr u32 kInet = 2, kInet6 = 10;  // AF_*
  const u32 protocol = static_cast<u16>(skb.protocol << 8 | skb.protocol >> 8);
  if (protocol == kEthPIp) {
    if (packet.linear() < 20) return false;
    skb.family = sock.family = kInet;
    std::memcpy(&sock.src_ip4, packet.data() + 12, 4);
    std::memcpy(&sock.dst_ip4, packet.data() + 16, 4);
  } else if (protocol == kEthPIpv6) {
    if (packet.linear() < 40) return false;
    skb.family = sock.family = kInet6;
    std::memcpy(sock.src_ip6, packet.data() + 8, 16);
    std::memcpy(sock.dst_ip6, packet.data() + 24, 16);
  }
  skb.local_ip4 = sock.src_ip4;
  skb.remote_ip4 = sock.dst_ip4;
  std::memcpy(skb.local_ip6, sock.src_ip6, 16);
  std::memcpy(skb.remote_ip6, sock.dst_ip6, 16);
  return true;
}

/// A socket as sk_alloc and sock_init_data leave it.
void init_socket(Sock& sock) {
  sock.state = kTcpClose;
  sock.rx_queue_mapping = ~0u;  // none
}

/// What the caller gave of the context. Linux: convert___skb_to_skb.
Result<void> set_fields(SkBuff& skb, const SkBuff& given, u32 size) {
  if (!only_settable(given)) return fail(EINVAL);
  skb.mark = given.mark;
  skb.priority = given.priority;
  skb.ingress_ifindex = given.ingress_ifindex;
  skb.tstamp = given.tstamp;
  std::memcpy(skb.cb, given.cb, sizeof(skb.cb));
  if (given.wire_len && (given.wire_len < size || given.wire_len > kMaxGso)) return fail(EINVAL);
  skb.wire_len = given.wire_len ? given.wire_len : size;
  if (given.gso_segs > kMaxGso) return fail(EINVAL);
  skb.gso_segs = given.gso_segs;
  skb.gso_size = given.gso_size & 0xffff;
  skb.hwtstamp = given.hwtstamp;
  return {};
}

}  // namespace

/// The caller's context, where it gave (or wants) one. Linux: bpf_ctx_init.
template <class T>
Result<std::optional<T>> FrontDoor::test_run_context() {
  const uapi::TestRunAttr& t = attr_.test;
  if (!t.ctx_in && !t.ctx_out) return std::optional<T>();
  T context{};
  if (t.ctx_in) {
    if (auto r = check_tail(t.ctx_in, t.ctx_size_in, sizeof(T)); !r) {
      return std::unexpected(r.error());
    }
    const std::size_t size = std::min<std::size_t>(t.ctx_size_in, sizeof(T));
    if (auto r = memory_.read(&context, t.ctx_in, size); !r) return std::unexpected(r.error());
  }
  return std::optional<T>(context);
}

/// Linux: bpf_ctx_finish.
Result<void> FrontDoor::test_run_context_out(const void* context, u32 size) {
  const uapi::TestRunAttr& t = attr_.test;
  if (!t.ctx_out) return {};
  const u32 copied = std::min(size, t.ctx_size_out);
  if (auto r = memory_.write(t.ctx_out, context, copied); !r) return r;
  if (auto r = put_attr(offsetof(uapi::TestRunAttr, ctx_size_out), size); !r) return r;
  if (copied < size) return fail(ENOSPC);
  return {};
}

/// What follows the linear part goes into fragments of a page each.
Result<void> FrontDoor::test_run_fragments(net::Packet& packet, u32 copied) {
  const uapi::TestRunAttr& t = attr_.test;
  while (copied < t.data_size_in) {
    const u32 bytes = std::min(t.data_size_in - copied, net::kPageSize);
    std::byte* memory = packet.add_fragment(bytes);
    if (!memory) return fail(ENOMEM);
    if (auto r = memory_.read(memory, t.data_in + copied, bytes); !r) return r;
    copied += bytes;
  }
  return {};
}

/// Linux: bpf_test_run. EFAULT where the run was abandoned, which Linux has no like of.
Result<u32> FrontDoor::test_run_repeat(const Program& program, u64 context, u32& duration_ns) {
  Bpf::Impl& impl = bpf_.impl();
  const u32 repeat = std::max(attr_.test.repeat, 1u);
  const u64 begin = bpf_.host().ktime_ns();
  u32 result = 0;
  for (u32 i = 0; i < repeat; ++i) {
    const u64 faults = impl.engine->program_faults();
    result = static_cast<u32>(
        impl.in_run([&] { return impl.engine->run_with_context(program, context); }));
    if (impl.engine->program_faults() != faults) return fail(EFAULT);
  }
  for (const auto& map : program.maps) {
    if (auto* storage = dynamic_cast<CgroupStorageMap*>(map.get())) storage->run_ended();
  }
  duration_ns = static_cast<u32>((bpf_.host().ktime_ns() - begin) / repeat);
  return result;
}

/// Linux: bpf_test_finish.
Result<void> FrontDoor::test_run_finish(const net::Packet& packet, u32 retval, u32 duration_ns) {
  const uapi::TestRunAttr& t = attr_.test;
  const u32 size = packet.size();
  const u32 copied = t.data_size_out ? std::min(size, t.data_size_out) : size;
  if (t.data_out) {
    std::vector<std::byte> bytes(copied);
    packet.load(0, bytes.data(), copied);
    if (auto r = memory_.write(t.data_out, bytes.data(), copied); !r) return r;
  }
  if (auto r = put_attr(offsetof(uapi::TestRunAttr, data_size_out), size); !r) return r;
  if (auto r = put_attr(offsetof(uapi::TestRunAttr, retval), retval); !r) return r;
  if (auto r = put_attr(offsetof(uapi::TestRunAttr, duration), duration_ns); !r) return r;
  if (copied < size) return fail(ENOSPC);
  return {};
}

/// Linux: bpf_prog_test_run_skb.
Result<long> FrontDoor::test_run_skb(const Program& program) {
  const uapi::TestRunAttr& t = attr_.test;
  constexpr u32 kChecksumComplete = 1u << 2;  // BPF_F_TEST_SKB_CHECKSUM_COMPLETE
  if ((t.flags & ~kChecksumComplete) || t.cpu || t.batch_size) return fail(EINVAL);
  if (t.flags) return unserved("PROG_TEST_RUN with checksums", EINVAL);
  if (t.data_size_in < net::kEthHeader) return fail(EINVAL);
  const bool is_l2 = net::skb_type(program.type) == net::SkbType::kLink;
  const bool is_lwt = net::skb_type(program.type) == net::SkbType::kTunnel;
  auto given = test_run_context<SkBuff>();
  if (!given) return std::unexpected(given.error());
  u32 linear = t.data_size_in;
  if (*given) {
    const SkBuff& g = **given;
    if (g.data_end > t.data_size_in || g.data || g.data_meta) return fail(EINVAL);
    if (g.data_end) {
      if (is_lwt) return fail(EINVAL);
      linear = std::max(net::kEthHeader, g.data_end);
    }
    if (g.ifindex > kLoopback) return fail(ENODEV);
  }
  linear = std::min(linear, net::kPageSize - net::kSkbHeadroom - net::kSharedInfo);
  Packet packet(bpf_.window(), net::kSkbHeadroom, linear, net::kSharedInfo);
  if (auto r = memory_.read(packet.data(), t.data_in, linear); !r) return fail(EFAULT);
  if (auto r = test_run_fragments(packet, linear); !r) return std::unexpected(r.error());

  InWindow<Sock> sock(bpf_.window(), net::kSocket);
  init_socket(*sock);
  InWindow<SkbContext> context(bpf_.window(), net::kSkbContext);
  SkBuff& skb = context->skb;
  context->packet = &packet;
  skb.sk = sock.address();
  skb.ifindex = kLoopback;
  take_ethernet_header(packet, skb);
  if (!take_addresses(packet, skb, *sock)) return fail(EINVAL);
  constexpr s32 kHeader = net::kEthHeader;
  if (is_l2) packet.move_start(-kHeader);
  context->mac_offset = is_l2 ? 0 : -kHeader;
  context->network_offset = is_l2 ? kHeader : 0;
  net::update_context(*context);
  if (*given) {
    if (auto r = set_fields(skb, **given, packet.size()); !r) return std::unexpected(r.error());
  }
  u32 duration_ns = 0;
  auto result = test_run_repeat(program, context.address(), duration_ns);
  bpf_.impl().maps.for_each([&](const std::shared_ptr<Map>& map) {
    if (map->spec().type == uapi::kMapSkStorage) map->owner_gone(sock.address());
  });
  if (!result) return std::unexpected(result.error());
  if (!is_l2) {
    if (packet.headroom() < net::kEthHeader) packet.expand(net::kEthHeader, 0);
    packet.move_start(-static_cast<s32>(net::kEthHeader));
    std::memset(packet.data(), 0, net::kEthHeader);
  }
  if (auto r = test_run_finish(packet, *result, duration_ns); !r) return std::unexpected(r.error());
  if (!*given) return 0;
  SkBuff& out = **given;
  out.mark = skb.mark;
  out.priority = skb.priority;
  out.ingress_ifindex = skb.ingress_ifindex;
  out.ifindex = skb.ifindex;
  out.tstamp = skb.tstamp;
  std::memcpy(out.cb, skb.cb, sizeof(out.cb));
  out.wire_len = skb.wire_len;
  out.gso_segs = skb.gso_segs;
  out.hwtstamp = skb.hwtstamp;
  if (auto r = test_run_context_out(&out, sizeof(out)); !r) return std::unexpected(r.error());
  return 0;
}

/// Linux: bpf_prog_test_run_xdp.
Result<long> FrontDoor::test_run_xdp(const Program& program) {
  const uapi::TestRunAttr& t = attr_.test;
  constexpr u32 kLiveFrames = 1u << 1;  // BPF_F_TEST_XDP_LIVE_FRAMES
  constexpr u32 kFrame = 40;            // sizeof(struct xdp_frame)
  using namespace verifier;
  if (program.expected_attach_type == kXdpDevmap || program.expected_attach_type == kXdpCpumap) {
    return fail(EINVAL);
  }
  if (t.flags & ~kLiveFrames) return fail(EINVAL);
  if (t.flags) return unserved("PROG_TEST_RUN with live frames", EINVAL);
  if (t.batch_size) return fail(EINVAL);
  auto given = test_run_context<XdpMd>();
  if (!given) return std::unexpected(given.error());
  u32 metadata = 0, linear = t.data_size_in;
  if (*given) {
    const XdpMd& g = **given;
    if (g.data_meta || g.data_end > t.data_size_in || g.data > g.data_end) return fail(EINVAL);
    metadata = g.data;
    if (metadata % 4 || metadata > 255 || metadata > net::kXdpHeadroom - kFrame) {
      return fail(EINVAL);
    }
    linear = g.data_end;
    if (g.egress_ifindex || (!g.ingress_ifindex && g.rx_queue_index)) return fail(EINVAL);
    if (g.ingress_ifindex > kLoopback) return fail(ENODEV);
    if (g.ingress_ifindex && g.rx_queue_index) return fail(EINVAL);  // it has one
  }
  const u32 headroom = net::kXdpHeadroom - metadata;
  const u32 max_linear = net::kPageSize - headroom - net::kSharedInfo;
  linear = std::min(linear, max_linear);
  if (t.data_size_in - metadata < net::kEthHeader) return fail(EINVAL);
  Packet packet(bpf_.window(), headroom, linear, max_linear - linear);
  if (auto r = memory_.read(packet.data(), t.data_in, linear); !r) return fail(EFAULT);
  if (t.data_size_in > linear) {
    if (auto r = test_run_fragments(packet, linear); !r) return std::unexpected(r.error());
  }
  InWindow<XdpContext> context(bpf_.window(), net::kXdpContext);
  context->packet = &packet;
  context->md.ingress_ifindex = kLoopback;
  packet.move_start(static_cast<s32>(metadata));
  context->bounds.data = context->bounds.data_meta + metadata;
  net::update_context(*context);
  u32 duration_ns = 0;
  auto result = test_run_repeat(program, context.address(), duration_ns);
  if (!result) return std::unexpected(result.error());
  const auto left = static_cast<u32>(context->bounds.data - context->bounds.data_meta);
  const u32 head = packet.linear();
  packet.move_start(-static_cast<s32>(left));
  if (auto r = test_run_finish(packet, *result, duration_ns); !r) return std::unexpected(r.error());
  if (!*given) return 0;
  XdpMd& out = **given;
  out.data = left;
  out.data_end = left + head;
  if (auto r = test_run_context_out(&out, sizeof(out)); !r) return std::unexpected(r.error());
  return 0;
}

}  // namespace uscx::bpf
