// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/conntrack.h"

#include "bpf/verifier/kfunc_proto.h"

namespace uscx::conformance {

OrError<void> register_conntrack(bpf::Bpf& bpf, std::span<const std::byte> btf) {
  using namespace bpf::verifier;
  constexpr u32 kHooks =
      1u << static_cast<u32>(KfuncHook::kXdp) | 1u << static_cast<u32>(KfuncHook::kTc);
  constexpr u32 kMake = kKf_Acquire | kKf_RetNull;
  // Linux: nf_ct_kfunc_set.
  static constexpr KfuncProto kKfuncs[] = {
      {"bpf_xdp_ct_alloc", kMake, kHooks},
      {"bpf_xdp_ct_lookup", kMake, kHooks},
      {"bpf_skb_ct_alloc", kMake, kHooks},
      {"bpf_skb_ct_lookup", kMake, kHooks},
      {"bpf_ct_insert_entry", kMake | kKf_Release, kHooks},
      {"bpf_ct_release", kKf_Release, kHooks},
      {"bpf_ct_set_timeout", 0, kHooks},
      {"bpf_ct_change_timeout", 0, kHooks},
      {"bpf_ct_set_status", 0, kHooks},
      {"bpf_ct_change_status", 0, kHooks},
  };
  return bpf.register_module("nf_conntrack", btf, kKfuncs);
}

}  // namespace uscx::conformance
