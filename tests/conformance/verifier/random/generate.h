// SPDX-License-Identifier: GPL-2.0-only
// Random programs near the border of what the verifier accepts: a seed gives a program, the same
// one everywhere. Most of what they do is right; now and then something is slightly wrong.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "bpf/program.h"

namespace uscx::conformance {

/// The maps that generated programs use, in this order, to be made before.
struct GeneratedMap {
  u32 type, key_size, value_size, max_entries;
};
inline constexpr std::array<GeneratedMap, 3> kGeneratedMaps = {{
    {2, 4, 48, 4},     // ARRAY
    {1, 8, 24, 16},    // HASH
    {27, 0, 0, 4096},  // RINGBUF
}};
inline constexpr u32 kGeneratedRingbuf = 2;

/// What differs between kernels and runs.
struct GeneratorLinks {
  std::array<s32, kGeneratedMaps.size()> map_fds{};
  /// The BTF id of a kernel function or struct; 0 where there is none.
  std::function<u32(std::string_view name, bool function)> btf_id;
  /// Index of member `name` of struct sched_ext_ops.
  std::function<u32(std::string_view name)> ops_member;
  /// Byte offset of a path in struct task_struct ("scx.slice").
  std::function<u32(std::string_view path)> task_offset;
};

struct GeneratedProgram {
  u32 type = 0;
  u32 expected_attach_type = 0;
  u32 attach_btf_id = 0;
  bool sleepable = false;
  std::vector<bpf::Insn> insns;
};

/// Seeds from here on give programs that do more: see generate_more.cc. Those before it stay what
/// they are, since real kernels' verdicts of them are kept.
inline constexpr u64 kSecondFamily = 1'000'000'000;

GeneratedProgram generate_program(u64 seed, const GeneratorLinks& links);

/// The last line of a verifier log with its numbers taken out: what two kernels' refusals are
/// compared by.
std::string refusal_template(std::string_view log);

}  // namespace uscx::conformance
