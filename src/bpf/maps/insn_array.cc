// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/maps/insn_array.h"

#include <cstring>

#include "bpf/exec/jump_target.h"
#include "bpf/isa.h"
#include "bpf/uapi.h"

namespace uscx::bpf {

namespace {

/// struct bpf_insn_array_value. Where its machine code is, nobody is told.
struct Value {
  u32 orig_off, xlated_off, jitted_off, padding;
};
static_assert(sizeof(Value) == 16);

u32 index_at(const std::byte* key) {
  u32 index;
  std::memcpy(&index, key, sizeof(index));
  return index;
}

}  // namespace

InsnArrayMap::InsnArrayMap(Bpf& bpf, MapSpec spec)
    : Map(bpf, std::move(spec)),
      targets_(
          static_cast<u64*>(window().allocate(sizeof(u64) * spec_.max_entries, kReadOnlyMemory))) {
  for (u32 i = 0; i < spec_.max_entries; ++i) targets_[i] = encode_jump_target(0);
}

InsnArrayMap::~InsnArrayMap() {
  window().free(targets_);
}

u32 InsnArrayMap::target(u32 index) const {
  return jump_target_insn(targets_[index]);
}

Result<std::shared_ptr<void>> InsnArrayMap::claim(std::span<const Insn> insns) {
  if (!frozen) return fail(EINVAL);
  for (u32 i = 0; i < spec_.max_entries; ++i) {
    const u32 at = target(i);
    if (at >= insns.size() || (at && insns[at - 1].code == isa::kLdImm64)) return fail(EINVAL);
  }
  if (!claimed_.expired()) return fail(EBUSY);
  auto claim = std::make_shared<u32>(id);
  claimed_ = claim;
  return claim;
}

Result<void> InsnArrayMap::user_lookup(const std::byte* key, std::byte* value) {
  const u32 index = index_at(key);
  if (index >= spec_.max_entries) return fail(ENOENT);
  const Value out{.orig_off = target(index),
                  .xlated_off = claimed_.expired() ? 0 : target(index),
                  .jitted_off = 0,
                  .padding = 0};
  std::memcpy(value, &out, sizeof(out));
  return {};
}

Result<void> InsnArrayMap::user_update(const std::byte* key, const std::byte* value, u64 flags) {
  const u32 index = index_at(key);
  if (index >= spec_.max_entries) return fail(E2BIG);
  if (flags & uapi::kNoExist) return fail(EEXIST);
  Value in;
  std::memcpy(&in, value, sizeof(in));
  if (in.jitted_off || in.xlated_off) return fail(EINVAL);
  targets_[index] = encode_jump_target(in.orig_off);
  return {};
}

Result<void> InsnArrayMap::next_key(const std::byte* key, std::byte* next) {
  const u32 index = key ? index_at(key) : ~0u;
  if (index == spec_.max_entries - 1) return fail(ENOENT);
  const u32 following = index >= spec_.max_entries ? 0 : index + 1;
  std::memcpy(next, &following, sizeof(following));
  return {};
}

std::shared_ptr<Map> make_insn_array_map(Bpf& bpf, MapSpec spec) {
  spec.flags |= uapi::kRdonlyProg;  // Linux: insn_array_alloc
  return std::make_shared<InsnArrayMap>(bpf, std::move(spec));
}

}  // namespace uscx::bpf
