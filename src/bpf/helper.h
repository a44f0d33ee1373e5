// SPDX-License-Identifier: GPL-2.0-only
// Helpers: kernel functions that programs call by a fixed number (BPF_FUNC_*).
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <string_view>

#include "base/types.h"
#include "bpf/kfunc.h"

namespace uscx::bpf {

/// What a helper expects in a register, as far as the load-time checker looks.
/// Linux: enum bpf_arg_type.
enum class ArgKind : u8 {
  kNone,         // no such argument
  kAnything,     // a number or a pointer, not looked at
  kConstMapPtr,  // the address of a map object (ld_imm64 of a map fd)
  kMapKey,
  kMapValue,
  kMem,
  kMemUninit,
  kSize,
  kSizeOrZero,
  kCtx,
  kBtfPtr,
  kCallback,  // a PSEUDO_FUNC value
  kTimer,
  kSpinLock,
  kLong,
};

/// One helper call in progress: the same argument checks as a kfunc's.
class HelperCall : public KfuncCall {
 public:
  HelperCall(Bpf& bpf_, const Program& prog, const std::array<u64, 5>& registers,
             CallbackTarget* target, u64 context_)
      : KfuncCall(bpf_, prog, registers, target), context(context_) {}

  u64 context;  // window address of the running program's context
};

using HelperFn = u64 (*)(HelperCall&);

struct Helper {
  u32 id = 0;                     // BPF_FUNC_*
  std::string_view name;          // "bpf_map_lookup_elem"
  HelperFn fn = nullptr;          // null: known by name, not served; refused at load
  std::array<ArgKind, 5> args{};  // kNone after the last
  bool might_sleep = false;

  u32 nr_args() const {
    u32 n = 0;
    while (n < args.size() && args[n] != ArgKind::kNone) n++;
    return n;
  }
};

/// The helpers by id. Filled once by whoever owns it, then constant.
class HelperTable {
 public:
  void add(const Helper& helper) { helpers_[helper.id] = helper; }
  const Helper* find(u32 id) const {
    auto it = helpers_.find(id);
    return it == helpers_.end() ? nullptr : &it->second;
  }
  const std::map<u32, Helper>& all() const { return helpers_; }

 private:
  std::map<u32, Helper> helpers_;  // addresses stay put; engines keep pointers
};

}  // namespace uscx::bpf
