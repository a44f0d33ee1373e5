// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/random/machine.h"

#include <bpf/btf.h>

namespace uscx::conformance {

Machine::Machine(const Range& range, std::span<const std::byte> vmlinux)
    : range_(range), host_(btf::kDefaultVersion, vmlinux) {
  const auto bytes = host_.kernel().bpf().vmlinux_bytes();
  types_ = btf__new(bytes.data(), static_cast<u32>(bytes.size()));
  host_.run([this] { batch_ = std::make_unique<Batch>(types_); });
}

}  // namespace uscx::conformance
