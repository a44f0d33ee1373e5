// SPDX-License-Identifier: GPL-2.0-only
// Control groups: the hierarchy as programs see it, its life, and which callbacks of sched_ext
// come when, with which locks held. Expected sequences: kernel/sched/ext/ext.c of 7.3, and what
// the real kernel's opslog recorded.
#include "sched/cgroup.h"

#include <cerrno>

#include "ext_harness.h"

namespace uscx::sched::testing {
namespace {

class ExtCgroupTest : public ExtTest {
 protected:
  void SetUp() override { boot("1n1l2c1t"); }
  Cgroups& groups() { return k().cgroups(); }

  Cgroup& make(std::string_view path) {
    Cgroup* made = nullptr;
    on_fiber([&] {
      auto r = groups().create(path);
      EXPECT_TRUE(r.has_value()) << path;
      if (r) made = *r;
    });
    return *made;
  }
  int errno_of(std::function<Result<void>()> call) {
    int err = 0;
    on_fiber([&] {
      if (auto r = call(); !r) err = r.error().value;
    });
    return err;
  }
  int make_errno(std::string_view path) {
    return errno_of([&]() -> Result<void> {
      auto r = groups().create(path);
      if (!r) return std::unexpected(r.error());
      return {};
    });
  }
  int move(Cgroup& to, Task& p) {
    return errno_of([&] { return groups().attach(to, p); });
  }

  static std::string name(u64 cgroup) {
    return Cgroup::from(reinterpret_cast<abi::cgroup*>(cgroup))->path;
  }
  /// Records "op arguments", and checks the locks the kernel calls it under.
  void record(bpf::StructOpsTable& table, const char* op, u32 nr_args,
              std::function<std::string(const std::array<u64, 5>&)> text, s32 result = 0) {
    const std::string what = op;
    set_callback(
        table, op, nr_args,
        [this, what, text, result](const std::array<u64, 5>& a) -> u64 {
          log_.push_back(what + text(a));
          const bool knob = what.find("_set_") != std::string::npos;
          EXPECT_EQ(groups().mutex.write_held(), !knob) << what;
          EXPECT_EQ(ext().cgroup_ops_rwsem.readers() > 0, knob) << what;
          if (what == "cgroup_prep_move" || what == "cgroup_move") {
            EXPECT_TRUE(groups().threadgroup_rwsem.write_held());
          }
          return static_cast<u32>(result);
        },
        what == "cgroup_init" || what == "cgroup_exit" || what == "cgroup_prep_move");
  }
  std::shared_ptr<bpf::StructOpsTable> recording_table() {
    auto table = make_table("recording");
    record(*table, "cgroup_init", 2, [](const auto& a) {
      const auto* args = reinterpret_cast<const abi::scx_cgroup_init_args*>(a[1]);
      return fmt::format(" {} weight={} period={} quota={} burst={} idle={}", name(a[0]),
                         args->weight, args->bw_period_us, static_cast<s64>(args->bw_quota_us),
                         args->bw_burst_us, args->sched_idle);
    });
    record(*table, "cgroup_exit", 1, [](const auto& a) { return " " + name(a[0]); });
    record(*table, "cgroup_prep_move", 3, [](const auto& a) {
      return fmt::format(" {} {}=>{}", task_arg(a[0]).comm, name(a[1]), name(a[2]));
    });
    record(*table, "cgroup_move", 3, [this](const auto& a) {
      EXPECT_TRUE(k().task_rq(task_arg(a[0])).lock.held_by(k().held()));
      EXPECT_EQ(tg_cgrp(*task_arg(a[0]).sched_task_group).address(), a[2]);
      return fmt::format(" {} {}=>{}", task_arg(a[0]).comm, name(a[1]), name(a[2]));
    });
    record(*table, "cgroup_cancel_move", 3, [](const auto& a) {
      return fmt::format(" {} {}=>{}", task_arg(a[0]).comm, name(a[1]), name(a[2]));
    });
    record(*table, "cgroup_set_weight", 2,
           [](const auto& a) { return fmt::format(" {} {}", name(a[0]), a[1]); });
    record(*table, "cgroup_set_bandwidth", 4, [](const auto& a) {
      return fmt::format(" {} {} {} {}", name(a[0]), a[1], static_cast<s64>(a[2]), a[3]);
    });
    record(*table, "cgroup_set_idle", 2,
           [](const auto& a) { return fmt::format(" {} {}", name(a[0]), a[1] & 0xff); });
    return table;
  }
  std::vector<std::string> taken() { return std::exchange(log_, {}); }
  using Lines = std::vector<std::string>;
  Lines log_;
};

TEST_F(ExtCgroupTest, HierarchyIsWhatProgramsRead) {
  Cgroup& root = groups().root();
  EXPECT_EQ(root.kn->id, 1U);
  EXPECT_EQ(root.level, 0);
  Cgroup& a = make("/a");
  Cgroup& b = make("/a/b");
  EXPECT_STREQ(b.kn->name, "b");
  EXPECT_GT(b.kn->id, a.kn->id);
  EXPECT_EQ(b.level, 2);
  EXPECT_EQ(b.ancestors[0], &root);
  EXPECT_EQ(b.ancestors[1], &a);
  EXPECT_EQ(b.ancestors[2], &b);
  EXPECT_EQ(b.self.parent, &a.self);
  EXPECT_EQ(b.dom_cgrp, &b);
  EXPECT_EQ(b.subsys[abi::cpu_cgrp_id], &b.group->css);
  EXPECT_EQ(b.group->css.parent, &a.group->css);
  EXPECT_EQ(root.nr_descendants, 2);
  EXPECT_EQ(groups().from_id(b.kn->id), &b);
  EXPECT_EQ(groups().find("/a/b"), &b);
  EXPECT_EQ(b.self.refcnt.percpu_count_ptr & 3, 0U);
}

TEST_F(ExtCgroupTest, MkdirAndRmdirRefuseAsTheKernelDoes) {
  make("/a");
  EXPECT_EQ(make_errno("/a"), EEXIST);
  EXPECT_EQ(make_errno("/x/y"), ENOENT);
  EXPECT_EQ(make_errno("/.."), EINVAL);
  EXPECT_EQ(make_errno("a"), EINVAL);
  make("/a/b");
  EXPECT_EQ(errno_of([&] { return groups().remove("/a"); }), EBUSY);
  EXPECT_EQ(errno_of([&] { return groups().remove("/"); }), EBUSY);
  EXPECT_EQ(errno_of([&] { return groups().remove("/c"); }), ENOENT);
  Task& p = spawn("p", spinner());
  EXPECT_EQ(move(*groups().find("/a"), p), EBUSY);  // it has children
  EXPECT_EQ(move(*groups().find("/a/b"), p), 0);
  EXPECT_EQ(&task_cgroup(p), groups().find("/a/b"));
  EXPECT_EQ(make_errno("/a/b/c"), EBUSY);  // it has a task
  EXPECT_EQ(errno_of([&] { return groups().remove("/a/b"); }), EBUSY);
}

TEST_F(ExtCgroupTest, AReferenceKeepsARemovedGroup) {
  Cgroup& a = make("/a");
  const u64 id = a.kn->id, address = a.address();
  std::vector<u64> gone;
  groups().on_gone([&](u64 cgroup) { gone.push_back(cgroup); });
  ASSERT_TRUE(groups().try_get(a));
  EXPECT_EQ(errno_of([&] { return groups().remove("/a"); }), 0);
  run_for(Nanos::from_ms(200));
  EXPECT_EQ(groups().from_id(id), nullptr);
  EXPECT_EQ(groups().from_address(address), &a);
  EXPECT_NE(a.self.refcnt.percpu_count_ptr & 2, 0U);  // __PERCPU_REF_DEAD
  EXPECT_EQ(groups().root().nr_dying_descendants, 1);
  EXPECT_TRUE(gone.empty());
  groups().put(a);
  run_for(Nanos::from_ms(200));
  EXPECT_EQ(gone, std::vector<u64>{address});
  EXPECT_EQ(groups().from_address(address), nullptr);
  EXPECT_EQ(groups().root().nr_dying_descendants, 0);
}

TEST_F(ExtCgroupTest, EnableAndDisableWalkTheTree) {
  make("/a");
  make("/a/b");
  make("/c");
  on_fiber([&] {
    EXPECT_TRUE(groups().set_weight(*groups().find("/a/b"), 300).has_value());
    EXPECT_TRUE(groups().set_max(*groups().find("/c"), 50'000, 200'000).has_value());
    EXPECT_TRUE(groups().set_idle(*groups().find("/c"), 1).has_value());
  });
  auto table = recording_table();
  ASSERT_EQ(reg(table), 0);
  EXPECT_EQ(taken(),
            (Lines{"cgroup_init / weight=100 period=100000 quota=-1 burst=0 idle=false",
                   "cgroup_init /a weight=100 period=100000 quota=-1 burst=0 idle=false",
                   "cgroup_init /a/b weight=300 period=100000 quota=-1 burst=0 idle=false",
                   "cgroup_init /c weight=100 period=200000 quota=50000 burst=0 idle=true"}));
  unreg(table);
  EXPECT_EQ(taken(),
            (Lines{"cgroup_exit /a/b", "cgroup_exit /a", "cgroup_exit /c", "cgroup_exit /"}));
}

TEST_F(ExtCgroupTest, KnobsTellTheSchedulerWhatChanged) {
  auto table = recording_table();
  ASSERT_EQ(reg(table), 0);
  taken();
  Cgroup& g = make("/g");
  EXPECT_EQ(taken(), Lines{"cgroup_init /g weight=100 period=100000 quota=-1 burst=0 idle=false"});
  on_fiber([&] {
    EXPECT_TRUE(groups().set_weight(g, 300).has_value());
    EXPECT_TRUE(groups().set_weight(g, 300).has_value());  // no change, nothing said
    EXPECT_TRUE(groups().set_weight_nice(g, -5).has_value());
    EXPECT_TRUE(groups().set_max(g, 50'000, 100'000).has_value());
    EXPECT_TRUE(groups().set_burst(g, 10'000).has_value());
    EXPECT_TRUE(groups().set_max(g, kRuntimeInf, 100'000).has_value());
    EXPECT_TRUE(groups().set_idle(g, 1).has_value());
    EXPECT_EQ(groups().set_weight(g, 100).error().value, EINVAL);  // of an idle group
    EXPECT_TRUE(groups().set_idle(g, 0).has_value());
    EXPECT_EQ(groups().set_weight(g, 0).error().value, ERANGE);
    EXPECT_EQ(groups().set_max(g, 500, 100'000).error().value, EINVAL);
    EXPECT_EQ(groups().set_max(groups().root(), 50'000, 100'000).error().value, EINVAL);
  });
  // 305: sched_weight_to_cgroup(3121)
  EXPECT_EQ(taken(), (Lines{"cgroup_set_weight /g 300", "cgroup_set_weight /g 305",
                            "cgroup_set_bandwidth /g 100000 50000 0",
                            "cgroup_set_bandwidth /g 100000 50000 10000",
                            "cgroup_set_bandwidth /g 100000 -1 10000", "cgroup_set_idle /g 1",
                            "cgroup_set_idle /g 0"}));
  EXPECT_EQ(errno_of([&] { return groups().remove("/g"); }), 0);
  run_for(Nanos::from_ms(100));
  EXPECT_EQ(taken(), Lines{"cgroup_exit /g"});
}

TEST_F(ExtCgroupTest, MovesArePreparedThenDone) {
  auto table = recording_table();
  ASSERT_EQ(reg(table), 0);
  Cgroup& g1 = make("/g1");
  Cgroup& g2 = make("/g2");
  Task& running = spawn("running", spinner());
  Task& sleeping = spawn("sleeping", scripted([](Kernel&, Task&) { return Step::block(); }));
  run_for(Nanos::from_ms(20));
  taken();
  EXPECT_EQ(move(g1, running), 0);
  EXPECT_EQ(move(g2, sleeping), 0);
  EXPECT_EQ(move(g1, running), 0);  // it is there: nothing happens
  EXPECT_EQ(taken(), (Lines{"cgroup_prep_move running /=>/g1", "cgroup_move running /=>/g1",
                            "cgroup_prep_move sleeping /=>/g2", "cgroup_move sleeping /=>/g2"}));
  EXPECT_EQ(running.scx.cgrp_moving_from, nullptr);
  const u64 ran = ran_ns(running);
  run_for(Nanos::from_ms(50));
  EXPECT_GT(ran_ns(running), ran);
}

TEST_F(ExtCgroupTest, ARefusedMoveTakesTheOthersBack) {
  auto table = recording_table();
  int calls = 0;
  set_callback(
      *table, "cgroup_prep_move", 3,
      [&](const auto& a) -> u64 {
        log_.push_back(fmt::format("cgroup_prep_move {}", task_arg(a[0]).comm));
        return ++calls == 2 ? static_cast<u32>(-EAGAIN) : 0;
      },
      true);
  ASSERT_EQ(reg(table), 0);
  Cgroup& g = make("/g");
  Task& one = spawn("one", spinner());
  Task& two = spawn("two", spinner());
  run_for(Nanos::from_ms(20));
  taken();
  Task* const threads[] = {&one, &two};
  EXPECT_EQ(errno_of([&] { return groups().attach(g, threads); }), EAGAIN);
  EXPECT_EQ(taken(), (Lines{"cgroup_prep_move one", "cgroup_prep_move two",
                            "cgroup_cancel_move one /=>/g"}));
  EXPECT_EQ(&task_cgroup(one), &groups().root());
  EXPECT_EQ(one.scx.cgrp_moving_from, nullptr);
}

TEST_F(ExtCgroupTest, NothingIsSaidOfWhoDiesWhileAMoveIsPrepared) {
  auto table = recording_table();
  set_callback(
      *table, "cgroup_prep_move", 3,
      [&](const auto& a) -> u64 {
        log_.push_back(fmt::format("cgroup_prep_move {}", task_arg(a[0]).comm));
        if (task_arg(a[0]).comm != std::string_view("two")) return 0;
        k().sleep_ns(Nanos::from_ms(100));
        return static_cast<u32>(-EAGAIN);
      },
      true);
  ASSERT_EQ(reg(table), 0);
  Cgroup& g = make("/g");
  Task& one = spawn("one", steps({Step::compute(Nanos::from_ms(60))}));
  Task& two = spawn("two", spinner());
  Task& three = spawn("three", spinner());
  run_for(Nanos::from_ms(20));
  taken();
  Task* const threads[] = {&three, &one, &two};
  EXPECT_EQ(errno_of([&] { return groups().attach(g, threads); }), EAGAIN);
  EXPECT_EQ(taken(), (Lines{"cgroup_prep_move three", "cgroup_prep_move one",
                            "cgroup_prep_move two", "cgroup_cancel_move three /=>/g"}));
}

TEST_F(ExtCgroupTest, ARefusedGroupIsNotMade) {
  auto table = recording_table();
  set_callback(
      *table, "cgroup_init", 2,
      [&](const auto& a) -> u64 { return name(a[0]) == "/bad" ? static_cast<u32>(-ENOSPC) : 0; },
      true);
  ASSERT_EQ(reg(table), 0);
  EXPECT_EQ(make_errno("/bad"), ENOSPC);
  EXPECT_EQ(groups().find("/bad"), nullptr);
  run_for(Nanos::from_ms(100));
  EXPECT_EQ(groups().count(), 1U);
  EXPECT_EQ(taken(), Lines{});  // no cgroup_exit for what was not initialised
  EXPECT_STREQ(k().ext().state(), "enabled");
}

TEST_F(ExtCgroupTest, AFailingInitEndsTheEnabling) {
  make("/bad");
  auto table = recording_table();
  set_callback(
      *table, "cgroup_init", 2,
      [&](const auto& a) -> u64 { return name(a[0]) == "/bad" ? static_cast<u32>(-ENOSPC) : 0; },
      true);
  EXPECT_EQ(reg(table), 0);  // attaching succeeds, ops.exit() is told
  EXPECT_STREQ(k().ext().state(), "disabled");
  EXPECT_EQ(k().ext().last_exit().msg, "ops.cgroup_init() failed (-28)");
  EXPECT_EQ(taken(), Lines{"cgroup_exit /"});
}

TEST_F(ExtCgroupTest, ChildrenAreBornWhereTheirParentsAre) {
  Cgroup& g = make("/g");
  bool forked = false;
  Task& parent = spawn("parent", scripted([&](Kernel& kernel, Task& self) -> Step {
                         if (forked || &task_cgroup(self) != &g)
                           return Step::compute(Nanos{100'000});
                         return Step::system_call([&](Task&) {
                           TaskSpec spec;
                           spec.comm = "child";
                           spec.behaviour = spinner();
                           forked = kernel.fork(self, std::move(spec)).has_value();
                         });
                       }));
  EXPECT_EQ(move(g, parent), 0);
  run_for(Nanos::from_ms(20));
  ASSERT_TRUE(forked);
  EXPECT_EQ(g.set->nr_tasks, 2);
  EXPECT_EQ(&task_cgroup(*g.tasks.back()), &g);
  EXPECT_STREQ(g.tasks.back()->comm, "child");
}

// ------------------------------------------------------------------------ the fair class

class FairGroupTest : public ExtCgroupTest {
 protected:
  Task& spin_in(Cgroup& g, int nice = 0) {
    TaskSpec spec;
    spec.comm = "spin";
    spec.behaviour = spinner();
    spec.nice = nice;
    spec.cgroup = &g;
    return spawn(std::move(spec));
  }
  static double ms(const Task& p) { return static_cast<double>(ran_ns(p)) / 1e6; }
};

TEST_F(FairGroupTest, SharesFollowNestedWeights) {
  boot("1n1l1c1t");
  Cgroup& a = make("/a");
  Cgroup& b = make("/b");
  Cgroup& aa = make("/a/a");
  Cgroup& ab = make("/a/b");
  on_fiber([&] {
    ASSERT_TRUE(groups().set_weight(a, 300).has_value());
    ASSERT_TRUE(groups().set_weight(ab, 200).has_value());
  });
  // One task in /b against five below /a; /a gets 3/4, of which /a/b two thirds.
  Task& one = spin_in(b);
  std::vector<Task*> in_aa, in_ab;
  for (int i = 0; i < 4; ++i) in_aa.push_back(&spin_in(aa));
  in_ab.push_back(&spin_in(ab));
  run_for(Nanos::from_s(8));
  double sum_aa = 0;
  for (const Task* p : in_aa) sum_aa += ms(*p);
  EXPECT_NEAR(ms(one) / 8000, 0.25, 0.01);
  EXPECT_NEAR(sum_aa / 8000, 0.25, 0.01);
  EXPECT_NEAR(ms(*in_ab[0]) / 8000, 0.50, 0.015);
}

TEST_F(FairGroupTest, CpuMaxHoldsAGroupBack) {
  boot("1n1l2c1t");
  Cgroup& g = make("/g");
  on_fiber([&] { ASSERT_TRUE(groups().set_max(g, 30'000, 100'000).has_value()); });
  Task& limited = spin_in(g);
  Task& second = spin_in(g);
  Task& free = spawn("free", spinner());
  run_for(Nanos::from_s(5));
  // 30 ms of every 100 for both together; a tick's delay is paid back.
  EXPECT_NEAR((ms(limited) + ms(second)) / 5000, 0.30, 0.02);
  EXPECT_GT(ms(free), 3400);
  EXPECT_GT(g.group->fair.bandwidth.nr_throttled, 40U);
  on_fiber([&] { ASSERT_TRUE(groups().set_max(g, kRuntimeInf, 100'000).has_value()); });
  const double before = ms(limited) + ms(second);
  run_for(Nanos::from_s(1));
  EXPECT_GT(ms(limited) + ms(second) - before, 900);
}

TEST_F(FairGroupTest, AnIdleGroupGetsWhatIsLeft) {
  boot("1n1l1c1t");
  Cgroup& g = make("/g");
  on_fiber([&] { ASSERT_TRUE(groups().set_idle(g, 1).has_value()); });
  Task& idle = spin_in(g);
  Task& normal = spawn("normal", spinner());
  run_for(Nanos::from_s(4));
  EXPECT_NEAR(ms(idle) / (ms(idle) + ms(normal)), 3.0 / 1027, 0.003);
}

TEST_F(FairGroupTest, AThrottledTaskCanBeMovedAndEnded) {
  boot("1n1l2c1t");
  Cgroup& g = make("/g");
  on_fiber([&] { ASSERT_TRUE(groups().set_max(g, 1'000, 1'000'000).has_value()); });
  Task& p = spin_in(g);
  run_for(Nanos::from_ms(50));
  ASSERT_NE(p.throttled_in, nullptr);
  const u64 ran = ran_ns(p);
  on_fiber([&] { ASSERT_TRUE(k().set_affinity(p, mask({1})).has_value()); });
  on_fiber([&] { k().set_nice(p, 5); });
  EXPECT_EQ(ran_ns(p), ran);
  EXPECT_EQ(move(groups().root(), p), 0);
  run_for(Nanos::from_ms(50));
  EXPECT_EQ(p.throttled_in, nullptr);
  EXPECT_GT(ran_ns(p), ran);
  EXPECT_EQ(p.cpu, 1);
}

}  // namespace
}  // namespace uscx::sched::testing
