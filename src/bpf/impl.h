// SPDX-License-Identifier: GPL-2.0-only
// What bpf::Bpf holds. For the files of this directory; others use bpf.h.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "bpf/bpf.h"
#include "bpf/exec/exec.h"
#include "bpf/fd_table.h"
#include "bpf/helper.h"
#include "bpf/ksym.h"
#include "bpf/link.h"
#include "bpf/maps/map.h"
#include "bpf/objects.h"
#include "bpf/spin_locks.h"
#include "bpf/struct_ops_map.h"
#include "bpf/timer.h"
#include "bpf/verifier/kfunc_proto.h"
#include "btf/btf.h"

namespace uscx::bpf {

namespace verifier {
struct Claims;
}

/// A loaded BTF: a program object's, the kernel's own (id 1) or a module's.
struct BtfObject {
  u32 id = 0;
  std::string name;  // "vmlinux" for the kernel's, a module's name
  bool kernel = false;
  btf::Btf btf;  // a module's has the kernel's types before its own: ids are one sequence
  std::vector<std::byte> split = {};              // a module's own part, as user space reads it
  std::vector<verifier::KfuncProto> kfuncs = {};  // of a module; see kfunc_proto_of()

  std::span<const std::byte> raw() const { return split.empty() ? btf.raw() : std::span(split); }
};

/// What the verifier knows of kfunc `name` of the kernel or a module; null where it registers none
/// of that name.
inline const verifier::KfuncProto* kfunc_proto_of(const BtfObject& btf, std::string_view name) {
  for (const verifier::KfuncProto& kfunc : btf.kfuncs) {
    if (kfunc.name == name) return &kfunc;
  }
  return verifier::kfunc_proto(name);
}

/// Objects of one kind by id, in order. An object is gone when nobody holds it any more.
template <class T>
class IdTable {
 public:
  u32 add(const std::shared_ptr<T>& object) {
    objects_[next_] = object;
    return next_++;
  }
  std::shared_ptr<T> find(u32 id) const {
    auto it = objects_.find(id);
    return it == objects_.end() ? nullptr : it->second.lock();
  }
  /// The smallest live id above `id`.
  std::optional<u32> next(u32 id) {
    for (auto it = objects_.upper_bound(id); it != objects_.end(); it = objects_.erase(it)) {
      if (!it->second.expired()) return it->first;
    }
    return std::nullopt;
  }
  /// Calls fn(shared_ptr) for each live object, in order of id.
  template <class Fn>
  void for_each(Fn&& fn) {
    for (auto it = objects_.begin(); it != objects_.end();) {
      if (auto object = it->second.lock()) {
        fn(object);
        ++it;
      } else {
        it = objects_.erase(it);
      }
    }
  }

 private:
  std::map<u32, std::weak_ptr<T>> objects_;
  u32 next_ = 1;
};

struct Bpf::Impl {
  Impl(Bpf& bpf, EngineKind kind);
  ~Impl();

  Bpf& bpf;
  std::shared_ptr<BtfObject> vmlinux;
  bool own_types = true;  // vmlinux is the built-in one
  std::vector<std::shared_ptr<BtfObject>> modules;

  // Before the objects, which leave these when they go.
  std::unordered_map<u64, Map*> map_objects;  // by the address programs see; looked up only
  std::map<std::string, std::function<void(u64)>, std::less<>> kptr_destructors;
  AllocatedObjects objects;
  TimerTable timers;
  SpinLocks spin_locks;
  KsymTable ksyms;
  HelperTable helpers;
  std::unique_ptr<Engine> engine;
  std::vector<void*> after_grace;  // freed when no program runs any more
  u32 running = 0;                 // runs in progress, sleeping ones included

  IdTable<BtfObject> btfs;
  IdTable<Map> maps;
  IdTable<Program> programs;
  IdTable<Link> links;
  TraceHooks trace_hooks;
  /// Maps that programs of other types were associated with, which keeps them alive. By program id.
  std::map<u32, std::shared_ptr<Map>> associations;
  /// Maps whose update registered their table, which keeps them alive. By map id.
  std::map<u32, std::shared_ptr<Map>> registered;
  FdTable fds;
  /// Let go when no program runs any more.
  std::vector<std::shared_ptr<void>> objects_after_grace;

  /// Off only in tests of what the engines catch.
  bool verify_programs = true;
  /// Where a test wants to know what the verifier held to be true of the next program loaded.
  verifier::Claims* claims = nullptr;
  std::map<std::string, u64> unserved;

  /// The map whose address a program passed; null where it is none.
  Map* map_at(u64 address) const {
    auto it = map_objects.find(address);
    return it == map_objects.end() ? nullptr : it->second;
  }
  void release_kptr(std::string_view type_name, u64 object);
  /// Frees window memory once no program that may hold a pointer to it runs. Linux: call_rcu.
  void free_after_grace(void* memory);
  /// Holds on to `object` (null: nothing) until then.
  void release_after_grace(std::shared_ptr<void> object);

  /// Runs with the bookkeeping that every run needs: grace periods, locks left held.
  template <class Fn>
  u64 in_run(Fn&& fn) {
    ++running;
    const u64 result = fn();
    if (spin_locks.any()) [[unlikely]]
      release_locks();
    if (--running == 0 && !(after_grace.empty() && objects_after_grace.empty())) end_grace();
    return result;
  }
  /// Those of the context that runs.
  [[gnu::cold, gnu::noinline]] void release_locks();
  [[gnu::noinline]] void end_grace();
};

/// Fills the table of helpers that are served, and the names of those that are not.
void add_helpers(HelperTable& table);
void add_map_helpers(HelperTable& table);
void add_tail_call_helper(HelperTable& table);
void add_task_helpers(HelperTable& table);
void add_timer_helpers(HelperTable& table);
void add_text_helpers(HelperTable& table);
void add_unserved_helpers(HelperTable& table);
/// May a program of this type call it? Linux: get_func_proto of the type.
bool helper_allowed(const Program& program, const Helper& helper);

/// Kfuncs that have nothing to do with scheduling.
void add_generic_kfuncs(Bpf& bpf);
void add_arena_kfuncs(Bpf& bpf);
void add_cpumask_kfuncs(Bpf& bpf);
void add_object_kfuncs(Bpf& bpf);

}  // namespace uscx::bpf
