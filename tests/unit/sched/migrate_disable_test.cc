// SPDX-License-Identifier: GPL-2.0-only
// Tasks that must stay on their CPU for a while, as kernel code does in the middle of something.
#include <csignal>

#include "ext_harness.h"
#include "sched/flags.h"
#include "sched/invariants.h"

namespace uscx::sched::testing {
namespace {

class MigrateDisableTest : public ExtTest {
 protected:
  /// Disables migration, computes `work`, enables it again, and goes on.
  std::unique_ptr<Behaviour> pinned_for(Nanos work) {
    return scripted([work, n = 0](Kernel& kernel, Task&) mutable {
      if (n == 0) kernel.migrate_disable();
      if (n == 1) kernel.migrate_enable();
      if (n++ % 2 == 1) {
        return Step::system_call([&kernel](Task&) { kernel.sleep_ns(Nanos::from_us(100)); });
      }
      return Step::compute(n == 1 ? work : Nanos::from_ms(1));
    });
  }
  void boot(const std::string& machine) {
    CoreTest::boot(machine);
    invariants_ = std::make_unique<Invariants>(k());
  }
  void check() { invariants_->check_all(); }

 private:
  std::unique_ptr<Invariants> invariants_;  // listens to the kernel while that lives
};

TEST_F(MigrateDisableTest, TheMaskIsNarrowedWhenItLeavesItsCpu) {
  boot("1n1l2c1t");
  Task& p = spawn("p", pinned_for(Nanos::from_ms(30)));
  run_for(Nanos::from_ms(5));
  EXPECT_EQ(p.migration_disabled, 1);
  EXPECT_EQ(k().rq(p.cpu).nr_pinned, 1U);
  EXPECT_EQ(p.cpus_ptr, &p.cpus_mask);  // nobody wanted the CPU
  abi::cpumask here{};
  bitmap::set(here.bits, static_cast<u32>(p.cpu));
  Task& rival = spawn("rival", spinner());
  ASSERT_TRUE(k().set_affinity(rival, here));
  run_for(Nanos::from_ms(20));
  EXPECT_NE(p.cpus_ptr, &p.cpus_mask);
  EXPECT_EQ(p.cpus_ptr->bits[0], 1UL << p.cpu);
  EXPECT_EQ(p.nr_cpus_allowed, 2);
  run_for(Nanos::from_ms(50));
  EXPECT_EQ(p.migration_disabled, 0);
  EXPECT_EQ(p.cpus_ptr, &p.cpus_mask);
  EXPECT_EQ(k().rq(rival.cpu).nr_pinned, 0U);
  check();
}

TEST_F(MigrateDisableTest, SetAffinityWaitsForItsEnd) {
  boot("1n1l2c1t");
  Task& p = spawn("p", pinned_for(Nanos::from_ms(20)));
  run_for(Nanos::from_ms(5));
  const u32 other = p.cpu == 0 ? 1 : 0;
  u64 moved_at_ns = 0;
  k().create_kthread("mover", [&](Task&) {
    EXPECT_TRUE(k().set_affinity(p, mask({other})));
    moved_at_ns = now().ns;
  });
  run_for(Nanos::from_ms(10));
  EXPECT_EQ(moved_at_ns, 0U);
  EXPECT_NE(p.cpu, static_cast<CpuId>(other));
  run_for(Nanos::from_ms(20));
  EXPECT_GE(moved_at_ns, 20'000'000U);
  EXPECT_EQ(p.cpu, static_cast<CpuId>(other));
  check();
}

TEST_F(MigrateDisableTest, ThoseWhoChangeItMeanwhileWaitForOnePendingChange) {
  boot("1n1l4c1t");
  Task& p = spawn("p", pinned_for(Nanos::from_ms(20)));
  run_for(Nanos::from_ms(5));
  const u32 here = static_cast<u32>(p.cpu), first = (here + 1) % 4, second = (here + 2) % 4;
  EXPECT_EQ(p.migration_pending, nullptr);
  int moved = 0;
  for (const u32 to : {first, second}) {
    k().create_kthread("mover", [&, to](Task&) {
      EXPECT_TRUE(k().set_affinity(p, mask({to})));
      ++moved;
    });
    run_for(Nanos::from_ms(1));
    EXPECT_NE(p.migration_pending, nullptr);
  }
  EXPECT_EQ(moved, 0);
  run_for(Nanos::from_ms(30));
  EXPECT_EQ(moved, 2);
  EXPECT_EQ(p.migration_pending, nullptr);
  EXPECT_EQ(p.cpu, static_cast<CpuId>(second));
  check();
}

TEST_F(MigrateDisableTest, AChangeThatAllowsItsCpuAgainEndsTheWait) {
  boot("1n1l4c1t");
  Task& p = spawn("p", pinned_for(Nanos::from_ms(20)));
  run_for(Nanos::from_ms(5));
  const u32 here = static_cast<u32>(p.cpu), other = (here + 1) % 4;
  u64 done_at_ns = 0;
  k().create_kthread("mover", [&](Task&) {
    EXPECT_TRUE(k().set_affinity(p, mask({other})));
    done_at_ns = now().ns;
  });
  run_for(Nanos::from_ms(2));
  EXPECT_EQ(done_at_ns, 0U);
  k().create_kthread("back", [&](Task&) { EXPECT_TRUE(k().set_affinity(p, mask({here}))); });
  run_for(Nanos::from_ms(2));
  EXPECT_NE(done_at_ns, 0U);
  EXPECT_EQ(p.migration_pending, nullptr);
  EXPECT_EQ(p.migration_disabled, 1);
  EXPECT_EQ(p.cpu, static_cast<CpuId>(here));
  check();
}

TEST_F(MigrateDisableTest, ACpuGoesWhenItsLastPinnedTaskMay) {
  boot("1n1l2c1t");
  Task& p = spawn("p", pinned_for(Nanos::from_ms(40)));
  run_for(Nanos::from_ms(5));
  const CpuId cpu = p.cpu;
  bool off = false;
  k().create_kthread("admin", [&](Task&) { off = k().cpu_down(cpu).has_value(); });
  run_for(Nanos::from_ms(25));
  EXPECT_FALSE(off);
  EXPECT_EQ(p.cpu, cpu);
  run_for(Nanos::from_ms(60));
  EXPECT_TRUE(off);
  EXPECT_NE(p.cpu, cpu);
  check();
}

TEST_F(MigrateDisableTest, ASleeperWakesWhereItWas) {
  boot("1n1l4c1t");
  Task& p =
      spawn("p", scripted([n = 0](Kernel& kernel, Task&) mutable {
              if (n++ == 0) kernel.migrate_disable();
              if (n % 2 == 0) return Step::compute(Nanos::from_us(300));
              return Step::system_call([&kernel](Task&) { kernel.sleep_ns(Nanos::from_us(500)); });
            }));
  run_for(Nanos::from_ms(1));
  for (int i = 0; i < 5; ++i) spawn("rival", spinner());
  run_for(Nanos::from_ms(200));
  EXPECT_EQ(p.se.nr_migrations, 0U);
  EXPECT_GT(p.nvcsw + p.nivcsw, 20U);
  k().kill(p, SIGKILL);
  run_for(Nanos::from_ms(50));
  for (u32 i = 0; i < 4; ++i) EXPECT_EQ(k().rq(static_cast<CpuId>(i)).nr_pinned, 0U);
  check();
}

// A program that spins while its slices end, alone on its CPU, under a scheduler with all
// callbacks: what the real 7.3 called, with the CPU that it was on.
TEST_F(ExtTest, TheSchedulerHearsOfTheNarrowedMask) {
  boot("1n1l4c1t");
  auto table = make_table("masks");
  std::string log;
  Pid pid = 0;
  const auto note = [&](u64 task, const std::string& what) {
    if (task_arg(task).pid == pid) log += what + " ";
  };
  set_callback(*table, "dispatch", 2, [&](const auto& a) -> u64 {
    if (a[1] != 0) note(a[1], "dispatch");
    return 0;
  });
  for (const char* op : {"stopping", "quiescent", "runnable"}) {
    set_callback(*table, op, 2, [&, op](const auto& a) -> u64 {
      note(a[0], fmt::format("{}:{:x}", op, a[1]));
      return 0;
    });
  }
  set_callback(*table, "running", 1, [&](const auto& a) -> u64 {
    note(a[0], "running");
    return 0;
  });
  set_callback(*table, "set_cpumask", 2, [&](const auto& a) -> u64 {
    note(a[0], fmt::format("set_cpumask:{:x}", reinterpret_cast<abi::cpumask*>(a[1])->bits[0]));
    return 0;
  });
  ASSERT_EQ(reg(table), 0);
  int phase = 0;
  Task& p = spawn("p", scripted([&](Kernel& kernel, Task&) {
                    if (phase == 1) kernel.migrate_disable();
                    if (phase == 2) kernel.migrate_enable();
                    phase = 0;
                    return Step::compute(Nanos::from_us(500));
                  }));
  pid = p.pid;
  run_for(Nanos::from_ms(5));
  const std::string here = fmt::format("{:x}", 1U << p.cpu);
  log.clear();
  phase = 1;
  run_for(Nanos::from_ms(50));
  // DEQ_SAVE | DEQ_NOCLOCK | DEQ_SCHED_CHANGE; ENQ_RESTORE | ENQ_NOCLOCK | ENQ_(IGNORE_CAPS).
  const std::string narrowed = "stopping:0 quiescent:20000000a set_cpumask:" + here +
                               " runnable:100000000000000a running dispatch dispatch ";
  EXPECT_EQ(log, narrowed);
  log.clear();
  phase = 2;
  run_for(Nanos::from_ms(5));
  EXPECT_EQ(log, "stopping:0 quiescent:20000000a set_cpumask:f runnable:100000000000000a running ");
  unreg(table);
}

}  // namespace
}  // namespace uscx::sched::testing
