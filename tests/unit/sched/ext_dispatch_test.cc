// SPDX-License-Identifier: GPL-2.0-only
// What a scheduler decides and what becomes of it: queues, orders, slices, custody, errors.
#include "ext_harness.h"

namespace uscx::sched::testing {
namespace {

constexpr u64 kDsq = 7;
constexpr u64 kSlice = abi::SCX_SLICE_DFL;

class ExtDispatchTest : public ExtTest {
 protected:
  using Args = std::array<u64, 5>;

  /// A scheduler with one shared queue that every CPU takes from.
  std::shared_ptr<bpf::StructOpsTable> shared_queue(const std::string& name = "shared") {
    auto table = make_table(name);
    set_callback(
        *table, "init", 0,
        [this](const Args&) -> u64 {
          return static_cast<u64>(static_cast<s64>(ext::create_dsq(ext(), ext().root, kDsq, -1)));
        },
        true);
    set_callback(*table, "enqueue", 2, [this](const Args& a) -> u64 {
      ext::dsq_insert(root(), &task_arg(a[0]), kDsq, kSlice, a[1]);
      return 0;
    });
    set_callback(*table, "dispatch", 2, [this](const Args&) -> u64 {
      ext::dsq_move_to_local(root(), kDsq, 0);
      return 0;
    });
    return table;
  }
  /// Every task goes to the shared queue: nothing finds an idle CPU by itself.
  void wake_on_previous_cpu(bpf::StructOpsTable& table) {
    set_callback(table, "select_cpu", 3, [](const Args& a) -> u64 { return a[1]; });
  }
  const std::string& exit_message() { return k().ext().last_exit().msg; }
  s64 event(const std::string& name) {
    for (const auto& [n, value] : k().ext().events()) {
      if (n == name) return value;
    }
    ADD_FAILURE() << "no event " << name;
    return 0;
  }
  Task& worker(std::string comm, std::initializer_list<u32> cpus = {0}) {
    TaskSpec spec;
    spec.comm = std::move(comm);
    spec.behaviour = spinner();
    affinity_ = mask(cpus);
    spec.affinity = &affinity_;
    return spawn(std::move(spec));
  }

 private:
  abi::cpumask affinity_{};
};

TEST_F(ExtDispatchTest, FifoTakesTurnsOfOneSlice) {
  boot("1n1l1c1t");
  auto table = shared_queue();
  ASSERT_EQ(reg(table), 0);
  Task& a = worker("a");
  Task& b = worker("b");
  std::vector<std::pair<std::string, u64>> runs;
  k().trace().sched_switch.subscribe([&](Nanos now, CpuId, const Task&, u32, const Task& next) {
    if (&next == &a || &next == &b) runs.emplace_back(next.comm, now.ns);
  });
  run_for(Nanos::from_ms(400));
  ASSERT_GT(runs.size(), 10U);
  for (std::size_t i = 1; i < runs.size(); ++i) {
    EXPECT_NE(runs[i].first, runs[i - 1].first);
    const u64 slice = runs[i].second - runs[i - 1].second;
    // The tick ends a slice: it lasts up to the tick after its 20 ms.
    EXPECT_GE(slice, 20'000'000U);
    EXPECT_LE(slice, 24'200'000U);
  }
  unreg(table);
}

TEST_F(ExtDispatchTest, VtimeOrdersAndEqualsStayInOrder) {
  boot("1n1l1c1t");
  auto table = shared_queue();
  std::map<std::string, u64> vtimes{{"late", 300}, {"early", 100}, {"mid1", 200}, {"mid2", 200}};
  set_callback(*table, "enqueue", 2, [&](const Args& a) -> u64 {
    Task& p = task_arg(a[0]);
    const auto it = vtimes.find(p.comm);
    ext::dsq_insert_vtime(root(), &p, kDsq, kSlice, it == vtimes.end() ? 0 : it->second, a[1]);
    return 0;
  });
  ASSERT_EQ(reg(table), 0);
  worker("blocker");
  run_for(Nanos::from_ms(1));
  for (const char* name : {"late", "mid1", "early", "mid2"}) worker(name);
  ext::Dsq& dsq = *root().dsqs.at(kDsq);
  std::vector<std::string> order;
  for (Task* p = dsq.tasks.front(); p; p = dsq.tasks.next(*p)) order.emplace_back(p->comm);
  EXPECT_EQ(order, (std::vector<std::string>{"early", "mid1", "mid2", "late"}));
  EXPECT_EQ(Task::from(dsq.first_task), dsq.tasks.front());
  EXPECT_EQ(ext::dsq_peek(root(), kDsq), dsq.tasks.front());
  EXPECT_EQ(ext::dsq_nr_queued(root(), kDsq), 4);
  unreg(table);
}

TEST_F(ExtDispatchTest, AQueueIsFifoOrVtimeNotBoth) {
  boot("1n1l1c1t");
  auto table = shared_queue();
  bool vtime = false;
  set_callback(*table, "enqueue", 2, [&](const Args& a) -> u64 {
    vtime = !vtime;
    if (vtime) {
      ext::dsq_insert_vtime(root(), &task_arg(a[0]), kDsq, kSlice, 1, a[1]);
    } else {
      ext::dsq_insert(root(), &task_arg(a[0]), kDsq, kSlice, a[1]);
    }
    return 0;
  });
  ASSERT_EQ(reg(table), 0);
  for (int i = 0; i < 4; ++i) worker("w");
  run_for(Nanos::from_ms(100));
  EXPECT_TRUE(exit_message().starts_with("DSQ ID 0x0000000000000007 already had "))
      << exit_message();
  unreg(table);
}

TEST_F(ExtDispatchTest, IteratorSeesTheQueueAsItWasAndSurvivesMoves) {
  boot("1n1l1c1t");
  auto table = shared_queue();
  ASSERT_EQ(reg(table), 0);
  worker("blocker");
  run_for(Nanos::from_ms(1));
  std::vector<Task*> t;
  for (const char* name : {"a", "b", "c", "d"}) t.push_back(&worker(name));
  abi::bpf_iter_scx_dsq it{}, back{};
  ASSERT_EQ(ext::dsq_iter_new(ext(), ext().root, &it, kDsq, 0), 0);
  ASSERT_EQ(ext::dsq_iter_new(ext(), ext().root, &back, kDsq, abi::SCX_DSQ_ITER_REV), 0);
  EXPECT_EQ(ext::dsq_iter_next(ext(), &it), t[0]);
  EXPECT_EQ(ext::dsq_iter_next(ext(), &it), t[1]);
  EXPECT_EQ(ext::dsq_iter_next(ext(), &back), t[3]);
  // "b", where the first one stands, goes to the global queue; "e" came too late.
  EXPECT_TRUE(ext::dsq_move(ext(), &it, *t[1], abi::SCX_DSQ_GLOBAL, 0, false));
  EXPECT_FALSE(ext::dsq_move(ext(), &it, *t[1], abi::SCX_DSQ_GLOBAL, 0, false));
  worker("e");
  EXPECT_EQ(ext::dsq_iter_next(ext(), &it), t[2]);
  EXPECT_EQ(ext::dsq_iter_next(ext(), &it), t[3]);
  EXPECT_EQ(ext::dsq_iter_next(ext(), &it), nullptr);
  EXPECT_EQ(ext::dsq_iter_next(ext(), &back), t[2]);
  EXPECT_EQ(ext::dsq_iter_next(ext(), &back), t[0]);
  EXPECT_EQ(ext::dsq_iter_next(ext(), &back), nullptr);
  ext::dsq_iter_destroy(ext(), &it);
  ext::dsq_iter_destroy(ext(), &back);
  EXPECT_TRUE(ext().cursors.empty());
  EXPECT_EQ(ext::dsq_iter_new(ext(), ext().root, &it, 99, 0), -ENOENT);
  EXPECT_EQ(ext::dsq_iter_new(ext(), ext().root, &it, kDsq, 1), -EINVAL);
  unreg(table);
}

TEST_F(ExtDispatchTest, LocalOnMovesToThatCpu) {
  boot("1n1l4c1t");
  auto table = make_table("local_on");
  set_callback(*table, "enqueue", 2, [&](const Args& a) -> u64 {
    Task& p = task_arg(a[0]);
    const u64 target = p.nr_cpus_allowed > 1 ? 3 : 0;
    ext::dsq_insert(root(), &p, abi::SCX_DSQ_LOCAL_ON | target, kSlice, a[1]);
    return 0;
  });
  wake_on_previous_cpu(*table);
  ASSERT_EQ(reg(table), 0);
  Task& free = worker("free", {0, 1, 2, 3});
  Task& bound = worker("bound", {0});
  run_for(Nanos::from_ms(100));
  EXPECT_EQ(free.cpu, 3);
  EXPECT_EQ(bound.cpu, 0);
  EXPECT_GT(ran_ns(free), 90'000'000U);
  EXPECT_GT(ran_ns(bound), 90'000'000U);
  EXPECT_STREQ(k().ext().state(), "enabled");
  unreg(table);
}

TEST_F(ExtDispatchTest, LocalOnACpuThatIsNotAllowedIsAnError) {
  boot("1n1l4c1t");
  auto table = make_table("local_on");
  set_callback(*table, "enqueue", 2, [&](const Args& a) -> u64 {
    ext::dsq_insert(root(), &task_arg(a[0]), abi::SCX_DSQ_LOCAL_ON | 2, kSlice, a[1]);
    return 0;
  });
  wake_on_previous_cpu(*table);
  ASSERT_EQ(reg(table), 0);
  Task& p = worker("bound", {1});
  run_for(Nanos::from_ms(50));
  EXPECT_EQ(exit_message(),
            fmt::format("SCX_DSQ_LOCAL[_ON] target CPU 2 not allowed for bound[{}]", p.pid));
  EXPECT_GT(ran_ns(p), 30'000'000U);
  unreg(table);
}

TEST_F(ExtDispatchTest, TheSchedulerHearsWhatLeavesItsCustody) {
  boot("1n1l1c1t");
  auto table = make_table("custody");
  std::vector<Task*> held;
  std::vector<std::pair<std::string, u64>> dequeued;
  set_callback(*table, "enqueue", 2, [&](const Args& a) -> u64 {
    Task& p = task_arg(a[0]);
    if (std::string_view(p.comm) == "held") {
      held.push_back(&p);
    } else {
      ext::dsq_insert(root(), &p, abi::SCX_DSQ_LOCAL, kSlice, a[1]);
    }
    return 0;
  });
  set_callback(*table, "dequeue", 2, [&](const Args& a) -> u64 {
    dequeued.emplace_back(task_arg(a[0]).comm, a[1]);
    return 0;
  });
  wake_on_previous_cpu(*table);
  ASSERT_EQ(reg(table), 0);
  Task& p = worker("held");
  worker("direct");
  run_for(Nanos::from_ms(30));
  ASSERT_EQ(held.size(), 1U);
  EXPECT_TRUE(dequeued.empty());  // what goes straight to a local DSQ was never in custody
  EXPECT_EQ(k().ext().where_queued(p), "the BPF scheduler");
  k().set_nice(p, 5);
  ASSERT_EQ(dequeued.size(), 1U);
  EXPECT_EQ(dequeued[0].first, "held");
  EXPECT_TRUE(dequeued[0].second & abi::SCX_DEQ_SCHED_CHANGE);
  EXPECT_EQ(held.size(), 2U);  // and it was enqueued again
  unreg(table);
  EXPECT_EQ(dequeued.size(), 2U);
}

TEST_F(ExtDispatchTest, StaleVerdictsAreDropped) {
  boot("1n1l1c1t");
  auto table = make_table("stale");
  Task* held = nullptr;
  set_callback(*table, "enqueue", 2, [&](const Args& a) -> u64 {
    Task& p = task_arg(a[0]);
    if (std::string_view(p.comm) == "held") {
      held = &p;
    } else {
      ext::dsq_insert(root(), &p, abi::SCX_DSQ_LOCAL, kSlice, a[1]);
    }
    return 0;
  });
  bool twice = false;
  set_callback(*table, "dispatch", 2, [&](const Args&) -> u64 {
    if (held == nullptr) return 0;
    // The second names a task that the first has taken out of our hands.
    ext::dsq_insert(root(), held, abi::SCX_DSQ_LOCAL, kSlice, 0);
    ext::dsq_insert(root(), held, abi::SCX_DSQ_LOCAL, kSlice, 0);
    held = nullptr;
    twice = true;
    return 0;
  });
  wake_on_previous_cpu(*table);
  ASSERT_EQ(reg(table), 0);
  Task& p = worker("held");
  run_for(Nanos::from_ms(50));
  EXPECT_TRUE(twice);
  EXPECT_GT(ran_ns(p), 40'000'000U);
  EXPECT_STREQ(k().ext().state(), "enabled");
  unreg(table);
}

TEST_F(ExtDispatchTest, EnqLastAsksAboutTheLastTask) {
  // Up to 7.2 a task that is put on the local DSQ goes on by itself; 7.3 leaves that to the
  // scheduler.
  for (const bool kicks : {true, false}) {
    for (const btf::KernelVersion version : {btf::KernelVersion{7, 2}, btf::KernelVersion{7, 3}}) {
      boot("1n1l1c1t", {.version = version});
      auto table = make_table("last");
      set(*table, "flags", u64{abi::SCX_OPS_ENQ_LAST});
      u64 nr_last = 0;
      set_callback(*table, "enqueue", 2, [&](const Args& a) -> u64 {
        ext::dsq_insert(root(), &task_arg(a[0]), abi::SCX_DSQ_LOCAL, kSlice, 0);
        if (a[1] & abi::SCX_ENQ_LAST) {
          ++nr_last;
          if (kicks) ext::kick_cpu(root(), 0, 0);
        }
        return 0;
      });
      ASSERT_EQ(reg(table), 0);
      Task& p = worker("only");
      run_for(Nanos::from_ms(200));
      if (kicks || version < btf::KernelVersion{7, 3}) {
        EXPECT_GE(nr_last, 5U);
        EXPECT_GT(ran_ns(p), 180'000'000U);
      } else {
        EXPECT_EQ(nr_last, 1U);
        EXPECT_LT(ran_ns(p), 30'000'000U);
      }
      EXPECT_EQ(event("SCX_EV_DISPATCH_KEEP_LAST"), 0);
      unreg(table);
    }
  }
}

TEST_F(ExtDispatchTest, WithoutEnqLastTheTaskGoesOn) {
  boot("1n1l1c1t");
  auto table = shared_queue();
  ASSERT_EQ(reg(table), 0);
  Task& p = worker("only");
  run_for(Nanos::from_ms(200));
  EXPECT_GT(ran_ns(p), 190'000'000U);
  EXPECT_GE(event("SCX_EV_DISPATCH_KEEP_LAST"), 5);
  EXPECT_GE(event("SCX_EV_REFILL_SLICE_DFL"), 5);
  unreg(table);
}

TEST_F(ExtDispatchTest, TheDispatchBufferIsFinite) {
  boot("1n1l1c1t");
  auto table = make_table("overflow");
  set(*table, "dispatch_max_batch", u32{2});
  std::vector<Task*> held;
  set_callback(*table, "enqueue", 2, [&](const Args& a) -> u64 {
    Task& p = task_arg(a[0]);
    if (std::string_view(p.comm) == "w") {
      held.push_back(&p);
    } else {
      ext::dsq_insert(root(), &p, abi::SCX_DSQ_LOCAL, kSlice, 0);
    }
    return 0;
  });
  std::vector<u32> slots;
  set_callback(*table, "dispatch", 2, [&](const Args&) -> u64 {
    if (held.size() < 3) return 0;
    for (Task* p : std::exchange(held, {})) {
      slots.push_back(ext::dispatch_nr_slots(root()));
      ext::dsq_insert(root(), p, abi::SCX_DSQ_GLOBAL, kSlice, 0);
    }
    return 0;
  });
  wake_on_previous_cpu(*table);
  ASSERT_EQ(reg(table), 0);
  for (int i = 0; i < 3; ++i) worker("w");
  run_for(Nanos::from_ms(100));
  ASSERT_GE(slots.size(), 3U);
  EXPECT_EQ(slots[0], 2U);
  EXPECT_EQ(slots[2], 0U);
  EXPECT_EQ(exit_message(), "dispatch buffer overflow");
  unreg(table);
}

TEST_F(ExtDispatchTest, SelectCpuMustNameACpu) {
  boot("1n1l4c1t");
  auto table = make_table("badcpu");
  set_callback(*table, "select_cpu", 3, [](const Args&) -> u64 { return 99; });
  ASSERT_EQ(reg(table), 0);
  worker("w", {0, 1, 2, 3});
  run_for(Nanos::from_ms(20));
  EXPECT_EQ(exit_message(), "invalid CPU 99 from ops.select_cpu()");
  EXPECT_EQ(k().ext().last_exit().reason, "runtime error");
  unreg(table);
}

TEST_F(ExtDispatchTest, OneDirectDispatchAndOnlyOfTheTaskAskedAbout) {
  boot("1n1l1c1t");
  Task& other = worker("other");
  auto twice = make_table("twice");
  set_callback(*twice, "enqueue", 2, [&](const Args& a) -> u64 {
    for (int i = 0; i < 2; ++i) {
      ext::dsq_insert(root(), &task_arg(a[0]), abi::SCX_DSQ_GLOBAL, kSlice, 0);
    }
    return 0;
  });
  ASSERT_EQ(reg(twice), 0);
  worker("w");
  run_for(Nanos::from_ms(50));
  EXPECT_NE(exit_message().find("] already direct-dispatched"), std::string::npos);
  unreg(twice);

  auto wrong = make_table("wrong");
  set_callback(*wrong, "enqueue", 2, [&](const Args&) -> u64 {
    ext::dsq_insert(root(), &other, abi::SCX_DSQ_GLOBAL, kSlice, 0);
    return 0;
  });
  ASSERT_EQ(reg(wrong), 0);
  worker("w");
  run_for(Nanos::from_ms(50));
  EXPECT_NE(exit_message().find(fmt::format("but trying to direct-dispatch other[{}]", other.pid)),
            std::string::npos)
      << exit_message();
  unreg(wrong);
}

TEST_F(ExtDispatchTest, KickPreemptEndsTheSlice) {
  boot("1n1l1c1t");
  auto table = make_table("kick");
  bool kick = false;
  set_callback(*table, "enqueue", 2, [&](const Args& a) -> u64 {
    Task& p = task_arg(a[0]);
    const bool forever = !kick && std::string_view(p.comm) == "forever";
    ext::dsq_insert(root(), &p, abi::SCX_DSQ_GLOBAL, forever ? abi::SCX_SLICE_INF : kSlice, 0);
    if (kick && !k().task_current(k().rq(0), p)) ext::kick_cpu(root(), 0, abi::SCX_KICK_PREEMPT);
    return 0;
  });
  wake_on_previous_cpu(*table);
  ASSERT_EQ(reg(table), 0);
  worker("forever");
  run_for(Nanos::from_ms(50));
  Task& ignored = worker("new");
  run_for(Nanos::from_ms(50));
  EXPECT_EQ(ran_ns(ignored), 0U);
  kick = true;
  worker("new");
  run_for(Nanos::from_us(100));
  EXPECT_EQ(k().rq(0).current(), &ignored);
  unreg(table);
}

TEST_F(ExtDispatchTest, ImmedTasksComeBackWhereTheyCannotRunAtOnce) {
  boot("1n1l1c1t");
  auto table = make_table("immed");
  set(*table, "flags", u64{abi::SCX_OPS_ALWAYS_ENQ_IMMED});
  std::vector<u64> reasons;
  set_callback(*table, "enqueue", 2, [&](const Args& a) -> u64 {
    Task& p = task_arg(a[0]);
    if (a[1] & abi::SCX_ENQ_REENQ) {
      reasons.push_back(p.scx.flags & abi::SCX_TASK_REENQ_REASON_MASK);
      ext::dsq_insert(root(), &p, abi::SCX_DSQ_GLOBAL, kSlice, 0);
    } else {
      ext::dsq_insert(root(), &p, abi::SCX_DSQ_LOCAL, kSlice, 0);
    }
    return 0;
  });
  wake_on_previous_cpu(*table);
  ASSERT_EQ(reg(table), 0);
  Task& a = worker("a");
  run_for(Nanos::from_ms(5));
  Task& b = worker("b");
  run_for(Nanos::from_ms(200));
  ASSERT_FALSE(reasons.empty());
  EXPECT_EQ(reasons.front(), u64{abi::SCX_TASK_REENQ_IMMED});
  EXPECT_GE(event("SCX_EV_REENQ_IMMED"), 1);
  EXPECT_GT(ran_ns(a), 40'000'000U);
  EXPECT_GT(ran_ns(b), 40'000'000U);
  EXPECT_STREQ(k().ext().state(), "enabled");
  unreg(table);
}

TEST_F(ExtDispatchTest, ReenqueueingForEverIsAnError) {
  for (const btf::KernelVersion version : {btf::KernelVersion{7, 2}, btf::KernelVersion{7, 3}}) {
    boot("1n1l1c1t", {.version = version});
    auto table = make_table("reenq");
    set(*table, "flags", u64{abi::SCX_OPS_ALWAYS_ENQ_IMMED});
    set_callback(*table, "enqueue", 2, [&](const Args& a) -> u64 {
      ext::dsq_insert(root(), &task_arg(a[0]), abi::SCX_DSQ_LOCAL, kSlice, 0);
      return 0;
    });
    wake_on_previous_cpu(*table);
    ASSERT_EQ(reg(table), 0);
    worker("a");
    run_for(Nanos::from_ms(5));
    Task& b = worker("b");
    run_for(Nanos::from_ms(100));
    const ext::ExitRecord& exit = k().ext().last_exit();
    if (version < btf::KernelVersion{7, 3}) {
      EXPECT_EQ(exit.msg, "SCX_ENQ_REENQ on SCX_DSQ_LOCAL repeated 257 times");
      EXPECT_EQ(exit.kind, s32{abi::SCX_EXIT_ERROR});
    } else {
      EXPECT_TRUE(exit.msg.ends_with("] reenqueued 257 times without running")) << exit.msg;
      EXPECT_EQ(exit.kind, s32{abi::SCX_EXIT_ERROR_REENQ});
    }
    EXPECT_GT(ran_ns(b), 20'000'000U);
    unreg(table);
  }
}

TEST_F(ExtDispatchTest, DestroyingAQueueInUseIsAnError) {
  boot("1n1l1c1t");
  auto table = shared_queue();
  ASSERT_EQ(reg(table), 0);
  worker("a");
  run_for(Nanos::from_ms(1));
  worker("b");
  EXPECT_EQ(ext::create_dsq(ext(), ext().root, kDsq, -1), -EEXIST);
  EXPECT_EQ(ext::create_dsq(ext(), ext().root, abi::SCX_DSQ_GLOBAL, -1), -EINVAL);
  EXPECT_EQ(ext::create_dsq(ext(), ext().root, 8, 1), -EINVAL);
  EXPECT_EQ(ext::create_dsq(ext(), ext().root, 8, 0), 0);
  ext::destroy_dsq(root(), 8);
  EXPECT_EQ(ext::dsq_nr_queued(root(), 8), -ENOENT);
  ext::destroy_dsq(root(), kDsq);
  EXPECT_EQ(exit_message(), "attempting to destroy in-use dsq 0x0000000000000007 (nr=1)");
  run_for(Nanos::from_ms(20));
  unreg(table);
}

class ExtWatchdogTest : public ExtDispatchTest {};

TEST_F(ExtWatchdogTest, ATaskThatDoesNotRunEndsTheScheduler) {
  boot("1n1l2c1t");
  auto table = make_table("stall");
  set(*table, "timeout_ms", u32{2000});
  set_callback(*table, "enqueue", 2, [&](const Args& a) -> u64 {
    Task& p = task_arg(a[0]);
    if (std::string_view(p.comm) != "lost") {
      ext::dsq_insert(root(), &p, abi::SCX_DSQ_GLOBAL, kSlice, 0);
    }
    return 0;
  });
  wake_on_previous_cpu(*table);
  ASSERT_EQ(reg(table), 0);
  Task& lost = worker("lost");
  Task& fine = worker("fine", {1});
  std::string where;
  k().trace().scx_exit.subscribe([&](Nanos, s32, s64, std::string_view, std::string_view) {
    where = k().ext().where_queued(lost);
  });
  run_for(Nanos::from_ms(1900));
  EXPECT_STREQ(k().ext().state(), "enabled");
  run_for(Nanos::from_ms(1500));
  const ext::ExitRecord& exit = k().ext().last_exit();
  EXPECT_EQ(exit.kind, s32{abi::SCX_EXIT_ERROR_STALL});
  EXPECT_EQ(exit.reason, "runnable task stall");
  EXPECT_TRUE(exit.msg.starts_with(fmt::format("lost[{}] failed to run for ", lost.pid)))
      << exit.msg;
  EXPECT_EQ(exit.msg.back(), 's');
  EXPECT_EQ(exit.stalled_pid, lost.pid);
  EXPECT_EQ(where, "the BPF scheduler");
  EXPECT_GT(ran_ns(lost), 0U);
  EXPECT_GT(ran_ns(fine), 3'000'000'000U);
  unreg(table);
}

TEST_F(ExtWatchdogTest, TheTickNoticesThatTheWatchdogDoesNotRun) {
  boot("1n1l1c1t");
  auto table = make_table("hog");
  set(*table, "timeout_ms", u32{2000});
  set_callback(*table, "enqueue", 2, [&](const Args& a) -> u64 {
    Task& p = task_arg(a[0]);
    // The first task keeps the CPU, and nobody is on the runnable list but the watchdog itself.
    ext::dsq_insert(root(), &p, abi::SCX_DSQ_GLOBAL, abi::SCX_SLICE_INF, 0);
    return 0;
  });
  wake_on_previous_cpu(*table);
  ASSERT_EQ(reg(table), 0);
  worker("hog");
  run_for(Nanos::from_ms(3500));
  EXPECT_TRUE(k().ext().last_exit().msg.starts_with("watchdog failed to check in for 2.0"))
      << k().ext().last_exit().msg;
  unreg(table);
}

}  // namespace
}  // namespace uscx::sched::testing
