// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/struct_ops_map.h"

#include <algorithm>
#include <cstring>

#include "bpf/bpf.h"
#include "bpf/impl.h"

namespace uscx::bpf {

namespace {

std::optional<StructOpsDesc> describe(const btf::Btf& btf, StructOpsType& type) {
  StructOpsDesc desc;
  desc.type = &type;
  const std::string name(type.name());
  const auto type_id = btf.find(name, btf::Kind::kStruct);
  const auto value_id = btf.find("bpf_struct_ops_" + name, btf::Kind::kStruct);
  if (!type_id || !value_id) return std::nullopt;
  desc.type_id = *type_id;
  desc.value_id = *value_id;
  desc.value_size = btf.size_of(*value_id).value_or(0);
  desc.data_size = btf.size_of(*type_id).value_or(0);
  const auto data = btf.find_member_path(*value_id, "data");
  const auto state = btf.find_member_path(*value_id, "common.state");
  const auto refcnt = btf.find_member_path(*value_id, "common.refcnt");
  if (!data || !state || !refcnt) return std::nullopt;
  desc.data_offset = data->byte_offset();
  desc.state_offset = state->byte_offset();
  desc.refcnt_offset = refcnt->byte_offset();
  return desc;
}

template <class Match>
std::optional<StructOpsDesc> find_desc(Bpf& bpf, const std::shared_ptr<BtfObject>& btf,
                                       Match&& match) {
  for (const auto& type : bpf.struct_ops_types()) {
    auto desc = describe(btf->btf, *type);
    if (!desc || !match(*desc)) continue;
    desc->btf = btf;
    return desc;
  }
  return std::nullopt;
}

bool all_zero(const std::byte* from, std::size_t size) {
  return std::all_of(from, from + size, [](std::byte b) { return b == std::byte{0}; });
}

/// Linux: check_zero_holes.
bool holes_are_zero(const btf::Btf& btf, u32 type_id, const std::byte* data) {
  u32 end = 0;
  for (const btf::Member& member : btf.members(type_id)) {
    const u32 offset = member.byte_offset();
    if (offset > end && !all_zero(data + end, offset - end)) return false;
    end = offset + btf.size_of(member.type).value_or(0);
  }
  const u32 size = btf.size_of(type_id).value_or(0);
  return size <= end || all_zero(data + end, size - end);
}

u32 load32(const std::byte* from) {
  u32 value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

}  // namespace

std::optional<StructOpsDesc> find_struct_ops(Bpf& bpf, const std::shared_ptr<BtfObject>& btf,
                                             u32 type_id) {
  return find_desc(bpf, btf, [&](const StructOpsDesc& d) { return d.type_id == type_id; });
}

std::optional<StructOpsDesc> find_struct_ops_value(Bpf& bpf, const std::shared_ptr<BtfObject>& btf,
                                                   u32 value_id) {
  return find_desc(bpf, btf, [&](const StructOpsDesc& d) { return d.value_id == value_id; });
}

int check_struct_ops_spec(const MapSpec& spec) {
  if (spec.key_size != 4 || spec.max_entries != 1 ||
      (spec.flags & ~(uapi::kLink | uapi::kVtypeBtfObjFd)) || !spec.btf_vmlinux_value_type_id) {
    return EINVAL;
  }
  return 0;
}

Result<std::shared_ptr<StructOpsMap>> make_struct_ops_map(Bpf& bpf, MapSpec spec) {
  auto desc = find_struct_ops_value(bpf, spec.vmlinux_value_btf, spec.btf_vmlinux_value_type_id);
  if (!desc) return fail(kEnotsupp);
  if (spec.value_size != desc->value_size) return fail(EINVAL);
  return std::make_shared<StructOpsMap>(bpf, std::move(spec), *desc);
}

StructOpsMap::StructOpsMap(Bpf& bpf, MapSpec spec, const StructOpsDesc& desc)
    : Map(bpf, std::move(spec)), desc_(desc), value_(desc.value_size) {
  reset();
}

StructOpsMap::~StructOpsMap() {
  reset();
}

bool StructOpsMap::ready_to_register() const {
  return (spec_.flags & uapi::kLink) && state_ == State::kReady;
}

/// Back to an empty table; its programs belong to nobody again.
void StructOpsMap::reset() {
  if (table_) {
    for (const auto& program : table_->programs) {
      if (program && program->struct_ops_map_id == id && !program->struct_ops_poisoned) {
        program->struct_ops_map_id = 0;
      }
    }
  }
  std::fill(value_.begin(), value_.end(), std::byte{0});
  table_ = std::make_shared<StructOpsTable>();
  table_->data.resize(desc_.data_size);
  table_->programs.resize(desc_.btf->btf.members(desc_.type_id).size());
  state_ = State::kInit;
}

Result<void> StructOpsMap::take_program(u32 index, const std::byte* slot) {
  const int fd = static_cast<int>(load32(slot));
  if (fd == 0) return {};
  auto program = bpf_.impl().fds.get<Program>(fd);
  if (!program) return std::unexpected(program.error());
  const Program& p = **program;
  if (p.type != uapi::kProgStructOps || p.attach_btf_id != desc_.type_id ||
      p.expected_attach_type != index) {
    return fail(EINVAL);
  }
  // A program in two tables belongs to neither, as far as its kfuncs can tell.
  if (p.struct_ops_map_id == 0) {
    p.struct_ops_map_id = id;
  } else if (p.struct_ops_map_id != id) {
    p.struct_ops_poisoned = true;
  }
  table_->programs[index] = *program;
  return {};
}

Result<void> StructOpsMap::fill(const std::byte* value) {
  const btf::Btf& btf = desc_.btf->btf;
  const std::byte* data = value + desc_.data_offset;
  std::memcpy(value_.data(), value, value_.size());
  std::memcpy(table_->data.data(), data, table_->data.size());
  table_->map_id = id;
  const auto members = btf.members(desc_.type_id);
  for (u32 i = 0; i < members.size(); ++i) {
    const u32 offset = members[i].byte_offset();
    const bool is_pointer = btf.kind(btf.resolve(members[i].type)) == btf::Kind::kPtr;
    if (!is_pointer || !btf.func_proto(btf.resolve(members[i].type))) {
      if (int err = desc_.type->init_member(members[i].name, i, *table_)) return fail(err);
      continue;
    }
    if (auto r = take_program(i, data + offset); !r) return r;
    const u64 prog_id = table_->programs[i] ? table_->programs[i]->id : 0;
    std::memcpy(value_.data() + desc_.data_offset + offset, &prog_id, sizeof(prog_id));
    std::memcpy(table_->data.data() + offset, &prog_id, sizeof(prog_id));
  }
  if (int err = desc_.type->validate(*table_)) return fail(err);
  return {};
}

Result<void> StructOpsMap::user_update(const std::byte* key, const std::byte* value, u64 flags) {
  if (flags) return fail(EINVAL);
  if (load32(key) != 0) return fail(E2BIG);
  if (!holes_are_zero(desc_.btf->btf, desc_.value_id, value) ||
      !holes_are_zero(desc_.btf->btf, desc_.type_id, value + desc_.data_offset)) {
    return fail(EINVAL);
  }
  if (load32(value + desc_.state_offset) || load32(value + desc_.refcnt_offset)) {
    return fail(EINVAL);
  }
  if (state_ != State::kInit) return fail(EBUSY);
  if (auto r = fill(value); !r) {
    reset();
    return r;
  }
  if (spec_.flags & uapi::kLink) {
    state_ = State::kReady;
    return {};
  }
  state_ = State::kBusy;
  if (int err = desc_.type->reg(table_)) {
    reset();
    return fail(err);
  }
  state_ = State::kInUse;
  bpf_.impl().registered[id] = bpf_.impl().maps.find(id);
  return {};
}

Result<void> StructOpsMap::user_lookup(const std::byte* key, std::byte* value) {
  if (load32(key) != 0) return fail(ENOENT);
  std::memcpy(value, value_.data(), value_.size());
  if (state_ == State::kInit) return {};
  const u32 state = static_cast<u32>(state_ == State::kBusy ? State::kInit : state_);
  std::memcpy(value + desc_.state_offset, &state, sizeof(state));
  return {};
}

Result<void> StructOpsMap::user_erase(const std::byte*) {
  if (spec_.flags & uapi::kLink) return fail(EOPNOTSUPP);
  if (state_ == State::kToBeFree) return fail(EINPROGRESS);
  if (state_ != State::kInUse) return fail(ENOENT);
  state_ = State::kToBeFree;
  desc_.type->unreg(table_);
  bpf_.impl().registered.erase(id);
  return {};
}

Result<void> StructOpsMap::next_key(const std::byte* key, std::byte* next) {
  if (key && load32(key) == 0) return fail(ENOENT);
  std::memset(next, 0, sizeof(u32));
  return {};
}

}  // namespace uscx::bpf
