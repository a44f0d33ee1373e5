// SPDX-License-Identifier: GPL-2.0-only
// The table of callbacks: complete, its edges without a circle, and its locks those that are held.
#include "sched/ext/op_table.h"

#include <set>

#include "ext_harness.h"
#include "sched/cgroup.h"

namespace uscx::sched::testing {
namespace {

using ext::Op;

TEST(OpTable, HasEveryCallbackOnceInOrder) {
  for (std::size_t i = 0; i < ext::kNrOps; ++i) {
    const ext::OpRow& row = ext::op_table()[i];
    EXPECT_EQ(static_cast<std::size_t>(row.op), i);
    EXPECT_FALSE(row.when.empty());
    EXPECT_FALSE(row.absent.empty());
  }
}

/// Within one scheduler no callback comes, by what its kfuncs call, into itself.
TEST(OpTable, NoCallbackIsReachedFromItself) {
  for (const btf::KernelVersion version : {btf::KernelVersion{7, 2}, btf::KernelVersion{7, 3}}) {
    for (std::size_t start = 0; start < ext::kNrOps; ++start) {
      std::set<std::size_t> seen;
      std::vector<std::size_t> todo{start};
      while (!todo.empty()) {
        const std::size_t at = todo.back();
        todo.pop_back();
        for (std::size_t next = 0; next < ext::kNrOps; ++next) {
          if (!ext::op_may_nest(static_cast<Op>(at), static_cast<Op>(next), version)) continue;
          EXPECT_NE(next, start) << ext::op_name(static_cast<Op>(start));
          if (seen.insert(next).second) todo.push_back(next);
        }
      }
    }
  }
  EXPECT_TRUE(ext::op_may_nest(Op::kDispatch, Op::kDequeue, {7, 3}));
  EXPECT_FALSE(ext::op_may_nest(Op::kEnqueue, Op::kDequeue, {7, 3}));
}

class ExtOpLocksTest : public ExtTest {
 protected:
  bool any_rq_held() {
    for (u32 i = 0; i < k().nr_cpus(); ++i) {
      if (k().rq(static_cast<CpuId>(i)).lock.held_by(k().held())) return true;
    }
    return false;
  }
  void check(std::string_view name, const Task* p) {
    const Op op = ext::op_by_name(name);
    const u32 locks = ext::op_row(op).locks;
    seen_.insert(op);
    EXPECT_EQ((locks & ext::kLockRq) != 0, any_rq_held()) << name;
    const auto wants = [&](u32 lock, bool held) {
      EXPECT_TRUE((locks & lock) == 0 || held) << name << ": " << ext::lock_names(lock);
    };
    const auto either = [](const SleepingLock& lock) {
      return lock.write_held() || lock.readers() > 0;
    };
    wants(ext::kLockPi, p == nullptr || p->pi_lock.held_by(k().held()));
    wants(ext::kLockEnable, ext().enable_mutex.write_held());
    wants(ext::kLockFork, either(ext().fork_rwsem));
    wants(ext::kLockCgroup, k().cgroups().mutex.write_held());
    wants(ext::kLockCgroupOps, ext().cgroup_ops_rwsem.readers() > 0);
    wants(ext::kLockThreadgroup, k().cgroups().threadgroup_rwsem.write_held());
    wants(ext::kLockCpus, either(ext().cpus_lock));
    wants(ext::kLockDump, ext().dump_lock.held());
    EXPECT_FALSE(ext::op_may_sleep(op, {7, 3}) && k().held().atomic()) << name;
  }
  std::set<Op> seen_;
};

TEST_F(ExtOpLocksTest, AreHeldAsTheTableSays) {
  boot("1n1l2c1t");
  k().trace().scx_callback.subscribe(
      [this](Nanos, CpuId, Op op, const Task* p, u64) { check(ext::op_name(op), p); });
  auto table = make_table("all");
  for (const ext::OpRow& row : ext::op_table()) {
    if (row.cid_only || row.op == Op::kCoreSchedBefore) continue;
    const std::string name(ext::op_name(row.op));
    // Nothing of what the kernel does by itself is replaced.
    if (row.op == Op::kSelectCpu || row.op == Op::kEnqueue || row.op == Op::kDispatch) continue;
    set_op(*table, name.c_str(), returning(0), ext::op_may_sleep(row.op, {7, 3}));
  }
  ASSERT_EQ(reg(table), 0);
  Task& spin = spawn("spin", spinner(Nanos::from_us(300)));
  spawn("sleeper", scripted([computed = false](Kernel& kernel, Task&) mutable {
          computed = !computed;
          if (computed) return Step::compute(Nanos::from_us(80));
          return Step::system_call([&kernel](Task&) { kernel.sleep_ns(Nanos::from_us(900)); });
        }));
  spawn("yielder", scripted([n = 0](Kernel&, Task&) mutable {
          return ++n % 2 ? Step::compute(Nanos::from_us(50)) : Step::yield();
        }));
  run_for(Nanos::from_ms(50));
  on_fiber([&] {
    Cgroups& groups = k().cgroups();
    Cgroup& g = **groups.create("/g");
    EXPECT_TRUE(groups.attach(g, spin).has_value());
    EXPECT_TRUE(groups.set_weight(g, 200).has_value());
    EXPECT_TRUE(groups.set_max(g, 50'000, 100'000).has_value());
    EXPECT_TRUE(groups.set_idle(g, 1).has_value());
    k().set_nice(spin, 3);
    EXPECT_TRUE(k().set_affinity(spin, mask({1})).has_value());
    TaskSpec rt;
    rt.comm = "rt";
    rt.policy = SCHED_FIFO;
    rt.rt_priority = 5;
    rt.behaviour = steps({Step::compute(Nanos::from_ms(1))});
    EXPECT_TRUE(k().create_task(std::move(rt)).has_value());
  });
  run_for(Nanos::from_ms(50));
  ext::error(root(), "to see the dump");
  run_for(Nanos::from_ms(200));
  unreg(table);
  for (Op op : {Op::kTick,
                Op::kRunnable,
                Op::kRunning,
                Op::kStopping,
                Op::kQuiescent,
                Op::kYield,
                Op::kSetWeight,
                Op::kSetCpumask,
                Op::kUpdateIdle,
                Op::kInitTask,
                Op::kExitTask,
                Op::kEnable,
                Op::kDisable,
                Op::kDump,
                Op::kDumpCpu,
                Op::kDumpTask,
                Op::kCgroupInit,
                Op::kCgroupExit,
                Op::kCgroupPrepMove,
                Op::kCgroupMove,
                Op::kCgroupSetWeight,
                Op::kCgroupSetBandwidth,
                Op::kCgroupSetIdle,
                Op::kInit,
                Op::kExit,
                Op::kCpuRelease,
                Op::kCpuAcquire}) {
    EXPECT_TRUE(seen_.contains(op)) << ext::op_name(op);
  }
}

}  // namespace
}  // namespace uscx::sched::testing
