// SPDX-License-Identifier: GPL-2.0-only
// A kernel that is just enough for the engine and the verifier: a window, a host that records, and
// an environment without maps.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bpf/exec/exec.h"
#include "bpf/verifier/environment.h"
#include "btf/btf.h"

namespace uscx::bpf::test {

class RecordingHost final : public Host {
 public:
  u64 ktime_ns() override { return 0; }
  u32 this_cpu() override { return 0; }
  u32 nr_cpu_ids() override { return 1; }
  u64 current_task() override { return 0; }
  u64 current_pid_tgid() override { return 0; }
  u32 prandom_u32() override { return 4; }
  std::string_view current_comm() override { return "test"; }
  HeldLocks& held_locks() override { return locks; }
  void trace_printk(std::string_view) override {}
  void kernel_log(std::string_view text) override { logged.emplace_back(text); }
  void timer_start(HostTimer&, u64, bool, CpuId) override {}
  bool timer_cancel(HostTimer&) override { return false; }
  bool is_task(u64) override { return false; }
  void program_fault(const Program&, std::string_view text) override { faults.emplace_back(text); }
  void charge_instructions(u64 count) override { charged += count; }
  bool may_sleep() override { return true; }

  HeldLocks locks;
  std::vector<std::string> faults, logged;
  u64 charged = 0;
};

/// What a test says exists: maps by fd, kfuncs by BTF id.
class TestEnvironment : public CheckEnvironment {
 public:
  /// One INT, "int".
  const btf::Btf& vmlinux() override {
    static const btf::Btf types = [] {
      constexpr u32 kWords[] = {0x0001'eb9f, 24, 0, 16, 16, 5, 1, 1u << 24, 4, 1u << 24 | 32};
      std::vector<std::byte> bytes(sizeof(kWords) + 5);
      std::memcpy(bytes.data(), kWords, sizeof(kWords));
      std::memcpy(bytes.data() + sizeof(kWords), "\0int", 5);
      return *btf::Btf::parse(bytes);
    }();
    return types;
  }
  u32 nr_cpu_ids() override { return 1; }
  Result<MapRef> map_by_fd(s32 fd, std::string& log) override {
    auto it = maps.find(fd);
    if (it != maps.end()) return it->second;
    log += "fd is not pointing to valid bpf_map\n";
    return fail(EBADF);
  }
  Result<MapRef> map_by_index(u32 index, std::string& log) override {
    return map_by_fd(static_cast<s32>(index), log);
  }
  Result<KsymRef> ksym(u32 btf_id, s32, std::string&) override {
    auto it = ksyms.find(btf_id);
    if (it == ksyms.end()) return fail(ENOENT);
    return KsymRef{it->second};
  }
  Result<KfuncRef> kfunc(u32 btf_id, s16, std::string& log) override {
    auto it = kfunc_refs.find(btf_id);
    if (it != kfunc_refs.end()) return it->second;
    log += "kernel btf_id is not a function\n";
    return fail(EINVAL);
  }
  const HelperTable& helpers() override { return helper_table; }
  bool helper_allowed(const Program&, const Helper& helper) override {
    return helper.id != refused_helper;
  }
  const KfuncRegistry& kfuncs() override { return registry; }
  void count_unserved(std::string name) override { unserved.push_back(std::move(name)); }

  std::map<s32, MapRef> maps;
  std::map<u32, u64> ksyms;
  std::map<u32, KfuncRef> kfunc_refs;
  HelperTable helper_table;
  KfuncRegistry registry;
  u32 refused_helper = ~0U;
  std::vector<std::string> unserved;
};

}  // namespace uscx::bpf::test
