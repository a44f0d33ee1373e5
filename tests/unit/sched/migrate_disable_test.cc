// SPDX-License-Identifier: GPL-2.0-only
// Tasks that must stay on their CPU for a while, as kernel code does in the middle of something.
#include <csignal>

#include "core_harness.h"
#include "sched/flags.h"
#include "sched/invariants.h"

namespace uscx::sched::testing {
namespace {

class MigrateDisableTest : public CoreTest {
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
  EXPECT_EQ(p.nr_migrations, 0U);
  EXPECT_GT(p.nr_switches, 20U);
  k().kill(p, SIGKILL);
  run_for(Nanos::from_ms(50));
  for (u32 i = 0; i < 4; ++i) EXPECT_EQ(k().rq(static_cast<CpuId>(i)).nr_pinned, 0U);
  check();
}

}  // namespace
}  // namespace uscx::sched::testing
