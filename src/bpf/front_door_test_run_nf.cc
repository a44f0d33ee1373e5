// SPDX-License-Identifier: GPL-2.0-only
// bpf(2): PROG_TEST_RUN of netfilter programs, whose context leads to structs of the kernel.
#include <cstring>
#include <optional>

#include "bpf/bpf.h"
#include "bpf/front_door.h"
#include "bpf/impl.h"
#include "bpf/net/packet.h"

namespace uscx::bpf {

namespace {

constexpr ObjectType kHookState{"nf_hook_state"};

/// A struct of the kernel, laid out as its BTF says, zero but for what is set; as long as a run.
class KernelStruct {
 public:
  KernelStruct(Bpf& bpf, u32 id, const ObjectType& type, u32 more = 0)
      : bpf_(bpf), id_(id), size_((*bpf.vmlinux().size_of(id) + 7) / 8 * 8 + more) {
    memory_ = static_cast<std::byte*>(bpf.window().allocate(size_, type));
    std::memset(memory_, 0, size_);
  }
  ~KernelStruct() { bpf_.window().free(memory_); }
  KernelStruct(const KernelStruct&) = delete;
  KernelStruct& operator=(const KernelStruct&) = delete;

  u64 address() const { return reinterpret_cast<u64>(memory_); }
  void set(std::string_view member, u64 value) {
    const auto field = bpf_.vmlinux().find_member_path(id_, member);
    if (field) std::memcpy(memory_ + field->byte_offset(), &value, field->size);
  }
  void set_last_word(const void* pointer) {
    std::memcpy(memory_ + size_ - sizeof(pointer), &pointer, sizeof(pointer));
  }

 private:
  Bpf& bpf_;
  u32 id_;
  u32 size_;
  std::byte* memory_;
};

/// struct bpf_nf_ctx
struct NetfilterContext {
  u64 state, skb;
};

}  // namespace

/// A packet on its way out. Linux: bpf_prog_test_run_nf.
Result<long> FrontDoor::test_run_netfilter(const Program& program) {
  constexpr u32 kIpHeader = 20, kIpv4 = 2, kLocalOut = 3;  // NFPROTO_IPV4, NF_INET_LOCAL_OUT
  constexpr u64 kProtocol = 0x0008;                        // htons(ETH_P_IP)
  const uapi::TestRunAttr& t = attr_.test;
  if (t.flags || t.cpu || t.batch_size || t.data_size_in < kIpHeader) return fail(EINVAL);
  if (t.data_size_in > net::kPageSize - net::kSkbHeadroom - net::kSharedInfo) return fail(EINVAL);
  if (t.ctx_in || t.ctx_out) return unserved("PROG_TEST_RUN with a hook's state", EINVAL);
  const auto skb_id = bpf_.vmlinux().find("sk_buff", btf::Kind::kStruct);
  const auto state_id = bpf_.vmlinux().find("nf_hook_state", btf::Kind::kStruct);
  if (!skb_id || !state_id) {
    return unserved("PROG_TEST_RUN of netfilter without the kernel's own types", kEnotsupp);
  }
  net::Packet packet(bpf_.window(), net::kSkbHeadroom, t.data_size_in, net::kSharedInfo);
  if (auto r = memory_.read(packet.data(), t.data_in, t.data_size_in); !r) return fail(EFAULT);
  auto* bounds = bpf_.window().make<net::SkbContext>(net::kSkbContext);
  bounds->packet = &packet;
  net::update_context(*bounds);
  KernelStruct skb(bpf_, *skb_id, net::kKernelSkb, sizeof(bounds));
  skb.set_last_word(bounds);
  skb.set("len", packet.size());
  skb.set("data", bounds->bounds.data);
  skb.set("head", bounds->bounds.data - packet.headroom());
  skb.set("protocol", kProtocol);
  KernelStruct state(bpf_, *state_id, kHookState);
  state.set("pf", kIpv4);
  state.set("hook", kLocalOut);
  auto* context = bpf_.window().make<NetfilterContext>(kReadOnlyMemory);
  *context = {.state = state.address(), .skb = skb.address()};
  u32 duration_ns = 0;
  auto result = test_run_repeat(program, reinterpret_cast<u64>(context), duration_ns);
  bpf_.window().destroy(context);
  bpf_.window().destroy(bounds);
  if (!result) return std::unexpected(result.error());
  // The packet is not given back. Linux: bpf_test_finish without data.
  if (auto r = put_attr(offsetof(uapi::TestRunAttr, data_size_out), u32{0}); !r)
    return fail(EFAULT);
  if (auto r = put_attr(offsetof(uapi::TestRunAttr, retval), *result); !r) return fail(EFAULT);
  if (auto r = put_attr(offsetof(uapi::TestRunAttr, duration), duration_ns); !r)
    return fail(EFAULT);
  return 0;
}

}  // namespace uscx::bpf
