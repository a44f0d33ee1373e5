// SPDX-License-Identifier: GPL-2.0-only
// A kernel and a batch of generated programs in it, made in a worker's process.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "cli/loader_host.h"
#include "conformance/verifier/random/batch.h"
#include "conformance/verifier/workers.h"

namespace uscx::conformance {

constexpr u32 kChunk = 100;  // seeds an item of the worker pool has
constexpr char kBetween = '\x1e';

/// What to generate and against which types.
struct Range {
  std::string vmlinux;
  u64 first = 0;
  u64 count = 2000;
  u32 jobs = 2;
};

class Machine : public Worker {
 public:
  Machine(const Range& range, std::span<const std::byte> vmlinux);

 protected:
  u64 first_of(u32 chunk) const { return range_.first + u64{chunk} * kChunk; }
  u64 end_of(u32 chunk) const {
    return std::min(first_of(chunk) + kChunk, range_.first + range_.count);
  }

  const Range& range_;
  cli::LoaderHost host_;
  ::btf* types_ = nullptr;
  std::unique_ptr<Batch> batch_;
};

}  // namespace uscx::conformance
