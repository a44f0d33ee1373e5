// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs: kernel functions that programs call by BTF id. Layers above register sets of them.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/delegate.h"
#include "base/error.h"
#include "base/types.h"
#include "bpf/window.h"

namespace uscx::bpf {

class Bpf;
class Program;

/// KF_* flags of Linux that decide what a caller may do; the load-time checks use them.
enum KfuncFlags : u32 {
  kKfAcquire = 1 << 0,
  kKfRelease = 1 << 1,
  kKfRetNull = 1 << 2,
  kKfSleepable = 1 << 3,
  kKfRcu = 1 << 4,
  kKfRcuProtected = 1 << 5,
  kKfImplicitArgs = 1 << 6,
  kKfIterNew = 1 << 7,
  kKfIterNext = 1 << 8,
  kKfIterDestroy = 1 << 9,
  kKfTrustedArgs = 1 << 10,
  kKfDestructive = 1 << 11,
};

/// The running program, as helpers and kfuncs call back into it. An engine's run is one.
class CallbackTarget {
 public:
  /// Calls the subprogram that `callback`, a PSEUDO_FUNC register value, names.
  virtual u64 call_back(u64 callback, const std::array<u64, 5>& registers) = 0;
  /// Is the run over (abandoned in a callback), so that what calls back should stop?
  virtual bool run_stopped() const = 0;
  /// Ends the run: its result is what the exception callback makes of `cookie`. Linux: bpf_throw.
  virtual void throw_exception(u64 cookie) = 0;
  /// `size` bytes of the running program's arena at `pointer`, of which the low 32 bits count; null
  /// where it has no arena or a page is not there.
  virtual void* arena_memory(u64 pointer, u32 size) = 0;

 protected:
  ~CallbackTarget() = default;
};

/// One call in progress. `args[i]` is R(i+1) as the program left it.
class KfuncCall {
 public:
  /// `target` null: there is no program to call back into.
  KfuncCall(Bpf& bpf_, const Program& prog, const std::array<u64, 5>& registers,
            CallbackTarget* target = nullptr, bool proven = false)
      : bpf(bpf_), program(prog), args(registers), target_(target), proven_(proven) {}

  Bpf& bpf;
  const Program& program;  // the program that calls: Linux's implicit `aux` argument
  std::array<u64, 5> args;

  /// Argument `i` as a live object of `type`; null, after recording a fault, where it is not one.
  /// Where the engine trusts the verifier (`proven`), what is not null is one, as in the kernel.
  template <class T>
  T* object(u32 i, const ObjectType& type) {
    if (proven_ && args[i] != 0) return reinterpret_cast<T*>(args[i]);
    return static_cast<T*>(checked_object(i, type));
  }
  /// Argument `i` as `size` bytes of memory the program may read (write: may write); null and a
  /// fault where it is not. `proven` as for object().
  void* memory(u32 i, u64 size, bool write) {
    if (proven_ && args[i] != 0) return reinterpret_cast<void*>(args[i]);
    return checked_memory(i, size, write);
  }
  template <class T>
  T* memory(u32 i, bool write) {
    return static_cast<T*>(memory(i, sizeof(T), write));
  }
  /// Argument `i`, a pointer into the program's arena, as `size` bytes; null and a fault where they
  /// are not there. Linux: KF_ARENA_ARG1 and so on.
  void* arena_memory(u32 i, u32 size);
  /// A NUL-terminated string of at most `max` bytes at argument `i`; empty and a fault otherwise.
  std::string_view string(u32 i, u32 max);

  /// Ends the program's run after this call, with `text` given to Host::program_fault.
  void fault(std::string text);
  bool faulted() const { return fault_text_ != nullptr; }
  /// Must a helper that calls back return? Its own fault, or the callback's end of the run.
  bool stopped() const { return faulted() || (target_ && target_->run_stopped()); }
  const std::string& fault_text() const { return *fault_text_; }

  /// Ends the whole run, as the program's own doing.
  void throw_exception(u64 cookie);
  /// Calls back into the running program: `callback` is a PSEUDO_FUNC register value.
  u64 call_back(u64 callback, const std::array<u64, 5>& registers);

 private:
  void* checked_object(u32 i, const ObjectType& type);
  void* checked_memory(u32 i, u64 size, bool write);
  CallbackTarget* target_;
  const bool proven_;
  std::unique_ptr<std::string> fault_text_;  // null: no fault
};

using KfuncFn = Delegate<u64(KfuncCall&)>;

struct Kfunc {
  std::string_view name;  // as the BTF FUNC is called
  u32 flags = 0;
  KfuncFn fn;
  std::string_view set = {};  // e.g. "scx_kfunc_ids_dispatch", used by filters and tables

  /// Is it served, and does it not sleep?
  bool plain() const { return fn && (flags & kKfSleepable) == 0; }
};

/// What a checker asks before it accepts a call: may `prog` call `kfunc`? 0 or a positive errno.
/// Linux: btf_kfunc_id_set::filter.
using KfuncFilter = std::function<int(const Program& prog, const Kfunc& kfunc)>;

class KfuncRegistry {
 public:
  void add(Kfunc kfunc);
  void add_filter(KfuncFilter filter) { filters_.push_back(std::move(filter)); }
  const Kfunc* find(std::string_view name) const;
  /// 0, or the errno of the first filter that refuses.
  int allowed(const Program& prog, const Kfunc& kfunc) const;
  const std::vector<std::unique_ptr<Kfunc>>& all() const { return kfuncs_; }

 private:
  std::vector<std::unique_ptr<Kfunc>> kfuncs_;  // in order of registration
  std::unordered_map<std::string_view, Kfunc*> by_name_;
  std::vector<KfuncFilter> filters_;
};

}  // namespace uscx::bpf
