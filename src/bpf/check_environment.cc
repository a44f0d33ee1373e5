// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/check_environment.h"

#include <fmt/format.h>

#include <algorithm>

#include "bpf/bpf.h"
#include "bpf/impl.h"
#include "bpf/maps/arena.h"
#include "bpf/verifier/kfunc_proto.h"

namespace uscx::bpf {

namespace {

constexpr u32 kMaxRecordSize = 512;  // MAX_FUNCINFO_REC_SIZE
constexpr u32 kMinLineInfo = 16;     // through line_col

MapRef ref_to(const std::shared_ptr<Map>& map) {
  MapRef ref;
  ref.map = map;
  ref.object_address = map->address();
  ref.value_size = map->spec().value_size;
  ref.max_entries = map->spec().max_entries;
  ref.value_address = map->direct_address();
  if (const auto* arena = dynamic_cast<const ArenaMap*>(map.get())) {
    const u64 bytes = arena->user_vm_end() - arena->user_vm_start();
    ref.value_size = static_cast<u32>(std::min<u64>(bytes, ~u32{0}));
  }
  const bool is_data = map->spec().type != uapi::kMapInsnArray;
  if (is_data && map->frozen && (map->spec().flags & uapi::kRdonlyProg) && ref.value_address) {
    ref.constant = {reinterpret_cast<const std::byte*>(ref.value_address),
                    std::size_t{map->value_stride()} * map->spec().max_entries};
  }
  return ref;
}

}  // namespace

Result<void> LoadEnvironment::read_btf(Program& program, std::vector<FunctionInfo>& functions,
                                       std::vector<LineInfo>& lines, UserLog& log) {
  if (!attr_.func_info_cnt && !attr_.line_info_cnt) return {};
  auto refuse = [&](std::string_view text) {
    log.add(text);
    return fail(EINVAL);
  };
  auto btf = bpf_.impl().fds.get<BtfObject>(static_cast<int>(attr_.prog_btf_fd));
  if (!btf) return std::unexpected(btf.error());
  if ((*btf)->kernel) return fail(EACCES);
  program.btf = *btf;
  program.btf_id = (*btf)->id;
  const btf::Btf& types = (*btf)->btf;
  const u32 size = attr_.func_info_rec_size;
  if (attr_.func_info_cnt && (size < sizeof(uapi::FuncInfo) || size > kMaxRecordSize || size % 4)) {
    return refuse(fmt::format("invalid func info rec size {}\n", size));
  }
  if (attr_.line_info_cnt &&
      (attr_.line_info_rec_size < kMinLineInfo || attr_.line_info_rec_size > kMaxRecordSize ||
       attr_.line_info_rec_size % 4)) {
    return fail(EINVAL);
  }
  if (attr_.func_info_cnt > attr_.insn_cnt || attr_.line_info_cnt > attr_.insn_cnt) {
    return fail(EINVAL);
  }
  for (u32 i = 0; i < attr_.func_info_cnt; ++i) {
    auto info = memory_.get<uapi::FuncInfo>(attr_.func_info + u64{i} * size);
    if (!info) return std::unexpected(info.error());
    if (i == 0 && info->insn_off) {
      return refuse(
          fmt::format("nonzero insn_off {} for the first func info record", info->insn_off));
    }
    if (i && info->insn_off <= functions.back().insn) {
      return refuse(
          fmt::format("same or smaller insn offset ({}) than previous func info record ({})",
                      info->insn_off, functions.back().insn));
    }
    if (info->type_id >= types.type_count() || types.kind(info->type_id) != btf::Kind::kFunc) {
      return refuse(fmt::format("invalid type id {} in func info", info->type_id));
    }
    FunctionInfo function;
    function.insn = info->insn_off;
    function.type_id = info->type_id;
    function.name = types.name(info->type_id);
    function.global = types.type(info->type_id).linkage == btf::kGlobal;
    if (auto proto = types.func_proto(info->type_id)) {
      function.nr_args = static_cast<u32>(proto->params.size());
    }
    functions.push_back(std::move(function));
  }
  lines.resize(attr_.line_info_cnt);
  for (u32 i = 0; i < attr_.line_info_cnt; ++i) {
    struct Record {
      u32 insn_off, file_name_off, line_off, line_col;
    };
    static_assert(sizeof(Record) == kMinLineInfo);
    auto record = memory_.get<Record>(attr_.line_info + u64{i} * attr_.line_info_rec_size);
    if (!record) return std::unexpected(record.error());
    lines[i] = {record->insn_off, record->file_name_off, record->line_off, record->line_col};
  }
  return {};
}

Result<void> LoadEnvironment::bind_fd_array(Program& program) {
  for (u32 i = 0; i < attr_.fd_array_cnt; ++i) {
    auto fd = fd_at(i);
    if (!fd) return std::unexpected(fd.error());
    auto map = bpf_.impl().fds.get<Map>(*fd);
    if (!map) {
      if (bpf_.impl().fds.get<BtfObject>(*fd)) continue;
      return fail(map.error().value);
    }
    if (std::find(program.maps.begin(), program.maps.end(), *map) == program.maps.end()) {
      program.maps.push_back(*map);
    }
  }
  return {};
}

Result<s32> LoadEnvironment::fd_at(u32 index) {
  auto fd = memory_.get<s32>(attr_.fd_array + u64{index} * sizeof(s32));
  if (!fd) return fail(EFAULT);
  return *fd;
}

Result<MapRef> LoadEnvironment::map_by_fd(s32 fd, std::string& log) {
  auto map = bpf_.impl().fds.get<Map>(fd);
  if (!map) {
    log += fmt::format("fd {} is not pointing to valid bpf_map\n", fd);
    return std::unexpected(map.error());
  }
  return ref_to(*map);
}

Result<MapRef> LoadEnvironment::map_by_index(u32 index, std::string& log) {
  if (!attr_.fd_array) {
    log += "fd_idx without fd_array is invalid\n";
    return fail(EPROTO);
  }
  auto fd = fd_at(index);
  if (!fd) return std::unexpected(fd.error());
  return map_by_fd(*fd, log);
}

Result<KsymRef> LoadEnvironment::ksym(u32 btf_id, s32 btf_fd, std::string& log) {
  std::shared_ptr<BtfObject> types = bpf_.impl().vmlinux;
  if (btf_fd) {
    auto module = bpf_.impl().fds.get<BtfObject>(btf_fd);
    if (!module) {
      log += "invalid module BTF object FD specified.\n";
      return fail(EINVAL);
    }
    types = std::move(*module);
  }
  const btf::Btf& btf = types->btf;
  if (btf_id >= btf.type_count()) {
    log += fmt::format("ldimm64 insn specifies invalid btf_id {}.\n", btf_id);
    return fail(ENOENT);
  }
  const btf::Kind kind = btf.kind(btf_id);
  if (kind == btf::Kind::kFunc) return KsymRef{kernel_text_address(btf_id)};
  if (kind != btf::Kind::kVar) {
    log += fmt::format("pseudo btf_id {} in ldimm64 isn't KIND_VAR or KIND_FUNC\n", btf_id);
    return fail(EINVAL);
  }
  const u64 value = bpf_.impl().ksyms.value(btf.name(btf_id));
  if (!value) {
    bpf_.count_unserved(fmt::format("ksym {}", btf.name(btf_id)));
    log += fmt::format("ksym {} is not served\n", btf.name(btf_id));
    return fail(ENOENT);
  }
  return KsymRef{value};
}

/// The types that a call's BTF id is of. Linux: find_kfunc_desc_btf.
Result<std::shared_ptr<BtfObject>> LoadEnvironment::kfunc_btf(s16 fd_index, std::string& log) {
  if (fd_index == 0) return bpf_.impl().vmlinux;
  if (fd_index < 0) {
    log += "negative offset disallowed for kernel module function call\n";
    return fail(EINVAL);
  }
  if (!attr_.fd_array) {
    log += "kfunc offset > 0 without fd_array is invalid\n";
    return fail(EPROTO);
  }
  auto fd = fd_at(static_cast<u32>(fd_index));
  if (!fd) return std::unexpected(fd.error());
  auto btf = bpf_.impl().fds.get<BtfObject>(*fd);
  if (!btf) {
    log += "invalid module BTF fd specified\n";
    return std::unexpected(btf.error());
  }
  if (!(*btf)->kernel) {
    log += "BTF fd for kfunc is not a module BTF\n";
    return fail(EINVAL);
  }
  return *btf;
}

Result<KfuncRef> LoadEnvironment::kfunc(u32 btf_id, s16 fd_index, std::string& log) {
  auto types = kfunc_btf(fd_index, log);
  if (!types) return std::unexpected(types.error());
  const btf::Btf& btf = (*types)->btf;
  if (btf_id >= btf.type_count() || btf.kind(btf_id) != btf::Kind::kFunc) {
    log += fmt::format("kernel btf_id {} is not a function\n", btf_id);
    return fail(EINVAL);
  }
  KfuncRef ref;
  ref.name = btf.name(btf_id);
  ref.kfunc = bpf_.kfuncs().find(ref.name);
  ref.btf = &btf;
  ref.proto = kfunc_proto_of(**types, ref.name);
  if (auto proto = btf.func_proto(btf_id)) {
    ref.nr_args = static_cast<u32>(proto->params.size());
    ref.returns_void = proto->result == 0;
  }
  return ref;
}

const btf::Btf& LoadEnvironment::vmlinux() {
  return bpf_.impl().vmlinux->btf;
}

u32 LoadEnvironment::nr_cpu_ids() {
  return bpf_.host().nr_cpu_ids();
}

const HelperTable& LoadEnvironment::helpers() {
  return bpf_.impl().helpers;
}

bool LoadEnvironment::helper_allowed(const Program& program, const Helper& helper) {
  return bpf::helper_allowed(program, helper);
}

const KfuncRegistry& LoadEnvironment::kfuncs() {
  return bpf_.kfuncs();
}

bool LoadEnvironment::has_own_types() {
  return bpf_.impl().own_types;
}

bool LoadEnvironment::has_module(std::string_view name) {
  return std::ranges::any_of(bpf_.impl().modules,
                             [&](const auto& module) { return module->name == name; });
}

void LoadEnvironment::count_unserved(std::string name) {
  bpf_.count_unserved(std::move(name));
}

}  // namespace uscx::bpf
