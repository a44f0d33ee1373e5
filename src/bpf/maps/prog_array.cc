// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/maps/prog_array.h"

#include <algorithm>
#include <cstring>

#include "bpf/bpf.h"
#include "bpf/impl.h"
#include "bpf/isa.h"
#include "bpf/verifier/prog_type.h"

namespace uscx::bpf {

namespace {

u32 number_at(const std::byte* bytes) {
  u32 number;
  std::memcpy(&number, bytes, sizeof(number));
  return number;
}

bool has_tail_calls(const Program& program) {
  constexpr s32 kTailCall = 12;  // BPF_FUNC_tail_call
  return std::ranges::any_of(program.insns, [](const Insn& insn) {
    return insn.code == isa::kCallOpcode && insn.src == 0 && insn.imm == kTailCall;
  });
}

/// Is it of a type whose programs differ by what they are attached to?
bool has_target(u32 type) {
  using namespace verifier;
  return type == kProgTracing || type == kProgLsm || type == kProgExt || type == kProgStructOps;
}

}  // namespace

ProgArrayMap::Kind ProgArrayMap::kind_of(const Program& program) {
  Kind kind = {.type = program.type,
               .expected_attach_type = program.expected_attach_type,
               .xdp_has_frags = (program.prog_flags & uapi::kXdpHasFrags) != 0,
               .sleepable = program.sleepable,
               .attach_btf = program.attach_func_proto ? program.attach_btf.get() : nullptr,
               .attach_func_proto = program.attach_func_proto,
               .storage = {}};
  for (const auto& map : program.maps) {
    if (map->spec().type == uapi::kMapCgroupStorage) kind.storage[0] = map->id;
    if (map->spec().type == uapi::kMapPercpuCgroupStorage) kind.storage[1] = map->id;
  }
  return kind;
}

bool ProgArrayMap::fits(const Program& program) {
  const Kind kind = kind_of(program);
  if (!kind_) {
    kind_ = kind;
    return true;
  }
  if (kind.type != kind_->type || kind.xdp_has_frags != kind_->xdp_has_frags ||
      kind.sleepable != kind_->sleepable ||
      kind.expected_attach_type != kind_->expected_attach_type) {
    return false;
  }
  for (u32 i = 0; i < std::size(kind.storage); ++i) {
    if (kind.storage[i] == kind_->storage[i]) continue;
    if (kind.storage[i] || has_tail_calls(program)) return false;
  }
  const bool same_target =
      kind.attach_btf == kind_->attach_btf && kind.attach_func_proto == kind_->attach_func_proto;
  return same_target || !has_target(kind.type);
}

Result<void> ProgArrayMap::user_lookup(const std::byte* key, std::byte* value) {
  const auto found = program(number_at(key));
  if (!found) return fail(ENOENT);
  std::memcpy(value, &found->id, sizeof(u32));
  return {};
}

Result<void> ProgArrayMap::user_update(const std::byte* key, const std::byte* value, u64 flags) {
  const u32 index = number_at(key);
  if (flags != uapi::kAny) return fail(EINVAL);
  if (index >= slots_.size()) return fail(E2BIG);
  auto program = bpf_.impl().fds.get<Program>(static_cast<int>(number_at(value)));
  if (!program) return std::unexpected(program.error());
  if ((*program)->type == verifier::kProgExt || !fits(**program)) return fail(EINVAL);
  put(index, std::move(*program));
  return {};
}

Result<void> ProgArrayMap::user_erase(const std::byte* key) {
  const u32 index = number_at(key);
  if (index >= slots_.size()) return fail(E2BIG);
  if (!slots_[index]) return fail(ENOENT);
  slots_[index].reset();
  return {};
}

Result<void> ProgArrayMap::next_key(const std::byte* key, std::byte* next) {
  const u32 index = key ? number_at(key) : ~0u;
  if (index == spec_.max_entries - 1) return fail(ENOENT);
  const u32 following = index >= spec_.max_entries ? 0 : index + 1;
  std::memcpy(next, &following, sizeof(following));
  return {};
}

/// Linux: prog_array_map_clear. A program in the array may use it itself.
void ProgArrayMap::user_gone() {
  std::ranges::fill(slots_, nullptr);
}

std::shared_ptr<Map> make_prog_array_map(Bpf& bpf, MapSpec spec) {
  return std::make_shared<ProgArrayMap>(bpf, std::move(spec));
}

}  // namespace uscx::bpf
