// SPDX-License-Identifier: GPL-2.0-only
// bpf::Bpf: the BPF half of a kernel: programs, maps, links, types, and their front door.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/types.h"
#include "bpf/exec/engine_kind.h"
#include "bpf/hook_name.h"
#include "bpf/host.h"
#include "bpf/kfunc.h"
#include "bpf/program.h"
#include "bpf/struct_ops.h"
#include "bpf/user_memory.h"
#include "bpf/window.h"
#include "btf/profile.h"

namespace uscx::btf {
class Btf;
}

namespace uscx::bpf {

namespace verifier {
struct KfuncProto;
}

class FrontDoor;

/// Owned by sched::Kernel; single-threaded. Construct, register kfuncs and struct_ops types, then
/// serve bpf(2).
class Bpf {
 public:
  /// `vmlinux` takes the place of the built-in BTF of `version`: another kernel's types, to verify
  /// programs against. Aborts where it is no BTF.
  Bpf(Host& host, AddressWindow& window, btf::KernelVersion version,
      std::span<const std::byte> vmlinux = {}, EngineKind engine = default_engine());
  ~Bpf();

  Host& host() { return host_; }
  AddressWindow& window() { return window_; }
  btf::KernelVersion version() const { return version_; }
  /// The built-in kernel BTF of this version: what /sys/kernel/btf/vmlinux would hold.
  const btf::Btf& vmlinux() const;
  std::span<const std::byte> vmlinux_bytes() const;

  /// Adds a module's types, BTF split from vmlinux's as /sys/kernel/btf/MODULE has it, and what the
  /// verifier must know of its kfuncs. What runs them, and its struct_ops types, are registered as
  /// the kernel's are. The error says what is wrong with the BTF.
  OrError<void> register_module(std::string name, std::span<const std::byte> split,
                                std::span<const verifier::KfuncProto> kfuncs);

  KfuncRegistry& kfuncs() { return kfuncs_; }
  void register_struct_ops(std::unique_ptr<StructOpsType> type);
  const std::vector<std::unique_ptr<StructOpsType>>& struct_ops_types() const { return types_; }
  /// A kernel variable that programs may name (__ksym): `address_of(cpu)` is the window address of
  /// that CPU's, or for cpu 0 of an ordinary one. A variable that is in the BTF and that nobody
  /// registered is refused at load.
  void register_ksym(std::string name, u32 size, bool percpu,
                     std::function<u64(u32 cpu)> address_of);
  /// What a kptr to `type_name` needs when the map value that holds it goes away (one reference is
  /// dropped). "bpf_cpumask" is registered. Linux: btf_id_dtor_kfunc.
  void register_kptr_destructor(std::string type_name, std::function<void(u64)> destructor);

  /// bpf(2). Returns what the system call returns: >= 0, or -errno. `attr` of `size` bytes is read
  /// and written through `memory` only. On a fiber where the command may sleep (LINK_CREATE,
  /// PROG_TEST_RUN, MAP_UPDATE_ELEM of struct_ops, last close of a link).
  /// `common_*` are the fourth and fifth argument, which mean something with BPF_COMMON_ATTRS only.
  long syscall(u32 cmd, u64 attr_address, u32 size, UserMemory& memory, u64 common_address = 0,
               u32 common_size = 0);
  /// mmap(2) of `fd`: where an arena's memory shall be mapped, or a positive errno. Nothing where
  /// `fd` is no arena, which is not our affair. `fixed`: the caller insists on `address`.
  std::optional<Result<u64>> map_user(int fd, u64 address, u64 length, bool fixed);
  /// The caller closes file descriptors with close(2); the kernel notices at its next look. Runs
  /// what the last close of a link or of a struct_ops map must do (may sleep): call it from a fiber
  /// after destroying links and before reading results, and regularly.
  void reap_closed_fds();

  /// Runs a struct_ops callback: `args` become the u64 words of the context; the result is R0.
  /// Context: any; a sleepable program on a fiber only.
  u64 run(const Program& program, std::span<const u64> args);
  /// Runs every fentry (and tp_btf) program attached to kernel function (tracepoint) `name`.
  /// Returns at once where there is none.
  void trace_hook(std::string_view name, std::span<const u64> args);
  bool has_trace_hook(std::string_view name) const;
  /// Whether has_trace_hook() is worth asking: false at nearly all tracepoints of nearly all runs,
  /// and then all that one costs.
  bool may_have_trace_hook(HookName hook) const { return (trace_hook_bits_ & hook.bit) != 0; }
  /// The same for fexit programs: `args_and_result` has the result after the arguments.
  void trace_exit_hook(std::string_view name, std::span<const u64> args_and_result);

  /// A task goes away: its task storage is freed. `task` is its window address.
  void task_gone(u64 task);
  /// The same for a cgroup.
  void cgroup_gone(u64 cgroup);
  /// Looks up a program's owner table for kfuncs.
  std::shared_ptr<StructOpsTable> struct_ops_table(u32 map_id) const;

  /// Formats like bpf_bstr_printf: `fmt` and its u64 arguments as a program passed them. EINVAL for
  /// a bad format, EFAULT for an unreadable string.
  Result<std::string> format(std::string_view fmt, std::span<const u64> args);

  /// Commands, helpers and options that were asked for and not served: name -> count, sorted.
  std::vector<std::pair<std::string, u64>> unserved() const;
  /// Counts one such request.
  void count_unserved(std::string name);
  /// Loads through pointers that faulted to zero, and callbacks run, so far.
  u64 faults_to_zero() const;

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  void owner_gone(u32 map_type, u64 owner);

  Host& host_;
  AddressWindow& window_;
  btf::KernelVersion version_;
  u64 trace_hook_bits_ = 0;  // hook_bit() of each name with programs
  KfuncRegistry kfuncs_;
  std::vector<std::unique_ptr<StructOpsType>> types_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace uscx::bpf
