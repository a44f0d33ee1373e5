// SPDX-License-Identifier: GPL-2.0-only
// A kernel around the BPF machine that is just enough to load and run programs: one that counts
// time by hand, fires timers on demand, and registers a "sched_ext_ops" which schedules nothing.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bpf/bpf.h"
#include "btf/btf.h"

namespace uscx::bpf::test {

inline constexpr ObjectType kToyTask{"task_struct"};

class ToyHost final : public Host {
 public:
  u64 ktime_ns() override { return now; }
  u32 this_cpu() override { return cpu; }
  u32 nr_cpu_ids() override { return cpus; }
  u64 current_task() override { return task; }
  u64 current_pid_tgid() override { return (7ULL << 32) | 8; }
  u32 prandom_u32() override { return 4; }
  std::string_view current_comm() override { return "toy"; }
  HeldLocks& held_locks() override { return locks; }
  void trace_printk(std::string_view text) override { printed.emplace_back(text); }
  void kernel_log(std::string_view text) override { logged.emplace_back(text); }
  void timer_start(HostTimer& timer, u64 expires_ns, bool absolute, CpuId) override {
    timer_cancel(timer);
    timer.armed = true;
    armed.emplace_back(absolute ? expires_ns : now + expires_ns, &timer);
  }
  bool timer_cancel(HostTimer& timer) override {
    std::erase_if(armed, [&](const auto& entry) { return entry.second == &timer; });
    return std::exchange(timer.armed, false);
  }
  bool is_task(u64 address) override { return task && address == task; }
  void program_fault(const Program&, std::string_view text) override { faults.emplace_back(text); }
  void charge_instructions(u64 count) override { charged += count; }
  bool may_sleep() override { return true; }

  /// Advances to the earliest timer and fires it; false where none is armed.
  bool fire_next_timer() {
    auto next = std::min_element(armed.begin(), armed.end());
    if (next == armed.end()) return false;
    now = std::max(now, next->first);
    HostTimer* timer = next->second;
    timer_cancel(*timer);
    timer->fire();
    return true;
  }

  u64 now = 1'000'000'000;
  u32 cpu = 0;
  u32 cpus = 4;
  u64 task = 0;
  HeldLocks locks;
  std::vector<std::string> printed, logged, faults;
  std::vector<std::pair<u64, HostTimer*>> armed;
  u64 charged = 0;
};

/// Records what the BPF machine does to a struct_ops type.
class ToyOps final : public StructOpsType {
 public:
  explicit ToyOps(std::string type_name) : name_(std::move(type_name)) {}
  std::string_view name() const override { return name_; }
  int check_member(std::string_view member, u32, const Program&) override {
    checked.emplace_back(member);
    return 0;
  }
  int init_member(std::string_view, u32, StructOpsTable&) override { return 0; }
  int validate(const StructOpsTable&) override { return 0; }
  int reg(std::shared_ptr<StructOpsTable> table) override {
    if (reg_error) return reg_error;
    registered.push_back(std::move(table));
    return 0;
  }
  void unreg(const std::shared_ptr<StructOpsTable>& table) override {
    std::erase(registered, table);
    ++unregistered;
  }

  std::vector<std::string> checked;
  std::vector<std::shared_ptr<StructOpsTable>> registered;
  int reg_error = 0;
  int unregistered = 0;

 private:
  std::string name_;
};

struct ToyKernel {
  explicit ToyKernel(btf::KernelVersion version = btf::kDefaultVersion)
      : window(std::move(AddressWindow::create().value())),
        bpf(std::make_unique<Bpf>(host, *window, version)) {
    window->activate();
    host.task = reinterpret_cast<u64>(window->allocate(4096, kToyTask));
    for (const char* name : {"sched_ext_ops", "sched_ext_ops_cid"}) {
      auto type = std::make_unique<ToyOps>(name);
      ops[name] = type.get();
      bpf->register_struct_ops(std::move(type));
    }
  }

  /// Every kfunc of the kernel BTF that nobody registered becomes one that answers 0.
  void register_missing_kfuncs() {
    const btf::Btf& btf = bpf->vmlinux();
    for (u32 id = 1; id < btf.type_count(); ++id) {
      if (btf.kind(id) != btf::Kind::kFunc || bpf->kfuncs().find(btf.name(id))) continue;
      bpf->kfuncs().add({btf.name(id), 0, [](KfuncCall&) { return u64{0}; }, "toy"});
    }
  }

  ToyHost host;
  std::unique_ptr<AddressWindow> window;
  std::unique_ptr<Bpf> bpf;
  std::map<std::string, ToyOps*> ops;
};

}  // namespace uscx::bpf::test
