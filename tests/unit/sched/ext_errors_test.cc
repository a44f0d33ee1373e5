// SPDX-License-Identifier: GPL-2.0-only
// Messages that end a scheduler and that no program and workload of ours can bring about; the
// others are raised by tests/scenario/errors/run.
#include "ext_harness.h"

namespace uscx::sched::testing {
namespace {

class ExtErrorsTest : public ExtTest {
 protected:
  std::string message() { return k().ext().last_exit().msg; }
};

TEST_F(ExtErrorsTest, ATaskThatMayNotMigrateIsNotMoved) {
  boot("1n1l2c1t");
  auto table = make_table("mover");
  // Else it never comes to the scheduler while it may not migrate.
  set<u64>(*table, "flags", abi::SCX_OPS_ENQ_MIGRATION_DISABLED);
  set_callback(*table, "enqueue", 2, [&](const auto& a) -> u64 {
    Task& p = task_arg(a[0]);
    const u64 other = p.cpu == 0 ? 1 : 0;
    const u64 where = p.migration_disabled ? abi::SCX_DSQ_LOCAL_ON | other : abi::SCX_DSQ_GLOBAL;
    ext::dsq_insert(root(), &p, where, 1'000'000, 0);
    return 0;
  });
  ASSERT_EQ(reg(table), 0);
  Task& p = spawn("stuck", spinner(Nanos::from_us(700)));
  spawn("other", spinner(Nanos::from_us(700)));
  spawn("third", spinner(Nanos::from_us(700)));
  run_for(Nanos::from_ms(20));
  ASSERT_STREQ(k().ext().state(), "enabled");
  p.migration_disabled = 2;  // by itself, beside what entering a program adds
  run_for(Nanos::from_ms(50));
  EXPECT_EQ(k().ext().last_exit().kind, abi::SCX_EXIT_ERROR);
  EXPECT_TRUE(message() ==
              fmt::format("SCX_DSQ_LOCAL[_ON] cannot move migration disabled stuck[{}] "
                          "from CPU {} to {}",
                          p.pid, p.cpu, p.cpu == 0 ? 1 : 0))
      << message();
  p.migration_disabled = 0;
  unreg(table);
}

TEST_F(ExtErrorsTest, AnEnablingThatFailsForAnotherReasonSaysSo) {
  boot("1n1l2c1t");
  ext::fail_at(k().ext(), ext::EnableStep::kLink);
  auto table = make_table("unlucky");
  EXPECT_EQ(reg(table), 0);
  EXPECT_EQ(message(), "scx_root_enable() failed (-12)");
  EXPECT_EQ(k().ext().last_exit().kind, abi::SCX_EXIT_ERROR);
}

}  // namespace
}  // namespace uscx::sched::testing
