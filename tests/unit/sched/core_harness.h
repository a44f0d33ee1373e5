// SPDX-License-Identifier: GPL-2.0-only
// A kernel on a simulated machine, and behaviours for tests of the core.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bitmap.h"
#include "machine/simulated/simulated_machine.h"
#include "sched/kernel.h"

namespace uscx::sched::testing {

/// A behaviour made of a function.
class Scripted final : public Behaviour {
 public:
  explicit Scripted(std::function<Step(Kernel&, Task&)> fn) : fn_(std::move(fn)) {}
  Step next(Kernel& kernel, Task& task) override { return fn_(kernel, task); }

 private:
  std::function<Step(Kernel&, Task&)> fn_;
};

inline std::unique_ptr<Behaviour> scripted(std::function<Step(Kernel&, Task&)> fn) {
  return std::make_unique<Scripted>(std::move(fn));
}

/// Computes for ever, `chunk` at a time.
inline std::unique_ptr<Behaviour> spinner(Nanos chunk = Nanos::from_ms(10)) {
  return scripted([chunk](Kernel&, Task&) { return Step::compute(chunk); });
}

/// Each step in turn, then exit.
inline std::unique_ptr<Behaviour> steps(std::vector<Step> list) {
  return scripted([list = std::move(list), i = std::size_t{0}](Kernel&, Task&) mutable {
    return i < list.size() ? list[i++] : Step::exit();
  });
}

class CoreTest : public ::testing::Test {
 protected:
  void boot(const std::string& machine = "1n1l1c1t", KernelConfig config = {}) {
    auto spec = machine::load_machine(machine);
    ASSERT_TRUE(spec.has_value()) << spec.error().message;
    kernel_.reset();  // before the machine it runs on
    machine_ = std::make_unique<machine::SimulatedMachine>(*spec);
    kernel_ = std::make_unique<Kernel>(config, *machine_);
    machine_->attach(*kernel_);
  }
  Kernel& k() { return *kernel_; }
  Nanos now() const { return machine_->now(); }
  void run_for(Nanos duration) {
    auto ended = machine_->run_until(now() + duration);
    ASSERT_TRUE(ended.has_value()) << ended.error().message;
  }
  Task& spawn(TaskSpec spec) {
    auto task = k().create_task(std::move(spec));
    EXPECT_TRUE(task.has_value());
    return **task;
  }
  Task& spawn(std::string comm, std::unique_ptr<Behaviour> behaviour, int nice = 0) {
    TaskSpec spec;
    spec.comm = std::move(comm);
    spec.behaviour = std::move(behaviour);
    spec.nice = nice;
    return spawn(std::move(spec));
  }
  static abi::cpumask mask(std::initializer_list<u32> cpus) {
    abi::cpumask m{};
    for (u32 cpu : cpus) bitmap::set(m.bits, cpu);
    return m;
  }
  static u64 ran_ns(const Task& p) { return p.se.sum_exec_runtime; }

  std::unique_ptr<machine::SimulatedMachine> machine_;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace uscx::sched::testing
