// SPDX-License-Identifier: GPL-2.0-only
// What the checks of a call's arguments pass on to the rest of the call.
#pragma once

#include <string>

#include "bpf/verifier/program_info.h"
#include "bpf/verifier/record.h"

namespace uscx::bpf::verifier {

/// A register or an argument, as messages name it. Linux: argno_t.
struct ArgNo {
  s32 n = 0;
  static ArgNo reg(u32 regno) { return {static_cast<s32>(regno)}; }
  static ArgNo arg(u32 number) { return {-static_cast<s32>(number)}; }  // from 1
  s32 regno() const { return n >= 0 ? n : n >= -static_cast<s32>(kMaxRegArgs) ? -n : -1; }
  s32 argno() const { return n < 0 ? -n : -1; }
  std::string text() const;
};

struct MapDesc {
  const Map* map = nullptr;
  u32 uid = 0;
};
struct DynptrDesc {
  DynptrType type = DynptrType::kInvalid;
  u32 id = 0;
  u32 parent_id = 0;
};
struct RefObj {
  u32 id = 0;
  u32 parent_id = 0;
  u32 cnt = 0;
  void update(const RegState& reg) {
    id = reg.id;
    parent_id = reg.parent_id;
    cnt++;
  }
};

/// What the checks of a call's arguments find out for the rest of it.
/// Linux: struct bpf_call_arg_meta.
struct CallMeta {
  u32 helper_id = 0;
  const HelperProto* helper = nullptr;
  const KfuncDesc* kfunc = nullptr;
  u32 release_regno = 0;
  u32 subprogno = 0;
  MapDesc map = {};
  DynptrDesc dynptr = {};
  RefObj ref_obj = {};
  u32 ret_mem_size = 0;
  bool ret_mem_found = false;
  bool r0_rdonly = false;
  u64 const_value = 0;
  bool const_found = false;
  const btf::Btf* arg_btf = nullptr;
  u32 arg_btf_id = 0;
  bool arg_owning_ref = false;
  bool arg_prog = false;
  const RecordField* list_head = nullptr;
  const RecordField* rb_root = nullptr;
  u32 iter_spi = 0;
  u32 iter_frameno = 0;
  u64 msize_max = 0;
  s64 const_map_key = 0;
  const btf::Btf* ret_btf = nullptr;
  u32 ret_btf_id = 0;
  const RecordField* kptr_field = nullptr;
  u32 raw_regno = 0;  // memory that the call fills
  s32 raw_size = 0;

  SpecialKfunc special() const { return kfunc ? kfunc->special : SpecialKfunc::kNone; }
};

}  // namespace uscx::bpf::verifier
