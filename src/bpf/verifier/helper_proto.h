// SPDX-License-Identifier: GPL-2.0-only
// What every helper of Linux takes and returns, and which programs may call it. Whether it runs
// here is another matter: see bpf::HelperTable.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/types.h"
#include "bpf/verifier/prog_type.h"
#include "bpf/verifier/types.h"

namespace uscx::bpf::verifier {

/// A prototype. Some helpers have several under one id: which one a program gets depends on its
/// type. Linux: struct bpf_func_proto.
struct HelperProto {
  u32 id = 0;             // BPF_FUNC_*
  std::string_view name;  // "bpf_map_lookup_elem"
  RetType ret = kRetInteger;
  std::array<ArgType, 5> args = {};  // kArgDontcare after the last
  /// For each argument with kMemFixedSize: its bytes.
  std::array<u32, 5> arg_size = {};
  /// For each argument of kArgPtrToBtfId and its like: the struct's name in the kernel's BTF.
  std::array<std::string_view, 5> arg_btf = {};
  std::string_view ret_btf = {};
  bool gpl_only = false;
  bool pkt_access = false;
  bool might_sleep = false;
  bool allow_fastcall = false;
  bool changes_pkt_data = false;  // Linux: bpf_helper_changes_pkt_data
  /// Null: no further condition. False: "helper call is not allowed in probe".
  bool (*allowed)(const ProgContext& prog) = nullptr;

  u32 nr_args() const {
    u32 n = 0;
    while (n < args.size() && args[n] != kArgDontcare) n++;
    return n;
  }
};

inline constexpr u32 kMaxHelperId = 211;  // of 7.3: ids are 1 ... this

/// "bpf_map_lookup_elem" for 1; empty for ids that 7.3 does not have. Linux: func_id_name.
std::string_view helper_name(u32 id);
/// The prototype that a program gets which has all capabilities; null: "program of this type cannot
/// use helper %s#%d". Linux: get_func_proto of the type.
const HelperProto* helper_for(const ProgContext& prog, u32 id);

/// May a map of `map_type` be given to helper `id`? False: "cannot pass map_type %d into func
/// %s#%d", after what `log` gets. Linux: check_map_func_compatibility, but for tail calls among
/// subprograms.
bool map_allows_helper(const ProgContext& prog, u32 map_type, u32 id, std::string& log);

}  // namespace uscx::bpf::verifier
