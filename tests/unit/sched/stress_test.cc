// SPDX-License-Identifier: GPL-2.0-only
// Stress: thousands of tasks that fork, exit and change in every way, in groups that come and go,
// on CPUs that go off and on, while schedulers of every kind come, err and go; with the kernel's
// invariants looked at throughout. USCX_STRESS_SEEDS and USCX_STRESS_EVENTS say how much, and
// USCX_STRESS_FIRST with one seed repeats a failure.
#include <chrono>
#include <cstdlib>
#include <set>

#include "stress_actors.h"

namespace uscx::sched::testing {
namespace {

u64 setting(const char* name, u64 otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

class StressTest : public StressActors {
 protected:
  void begin(const std::string& machine, u64 seed, bool explored) {
    exploration_ = {.seed = seed, .depth = 0};
    planted_ = PlantedBug::kNone;
    rng_ = Random(seed);
    queue_.clear();
    calm_ = false;
    nr_attached_ = nr_ejected_ = nr_errors_ = nr_restarts_ = 0;
    if (explored) {
      boot_explored(machine);
    } else {
      boot(machine, {.version = seed % 4 == 0 ? btf::KernelVersion{7, 2} : btf::KernelVersion{7, 3},
                     .seed = seed});
      invariants_ = std::make_unique<Invariants>(*kernel_);
      machine_->set_after_event([this] { invariants_->after_event(); });
    }
    watch();
    k().trace().scx_exit.subscribe(
        [this](Nanos, s32 kind, s64 code, std::string_view reason, std::string_view msg) {
          if (kind == abi::SCX_EXIT_UNREG_KERN && code != 0) ++nr_restarts_;
          if (kind < abi::SCX_EXIT_ERROR) return;
          ++nr_ejected_;
          if (!wanted(msg)) unwanted_ = std::string(reason) + ": " + std::string(msg);
        });
    for (int i = 0; i < 64; ++i) add_task(nullptr);
    add_actor("loader", [this] { one_scheduler(); });
    add_cleaner();
    add_actor("hotplug", [this] { switch_a_cpu(); });
  }
  void end() {
    if (!::testing::Test::HasFatalFailure() && unwanted_.empty()) drain();
    invariants_->check_all();
    invariants_.reset();
    kernel_.reset();
    machine_.reset();
  }

  // ------------------------------------------------------------------------- schedulers

  /// Attaches a scheduler of some kind, lets it run, and ends it in some way.
  void one_scheduler() {
    queue_.clear();
    offline_.clear();
    groups_known_.clear();
    enabling_refused_ = false;
    Table table = random_scheduler();
    if (ops_type().reg(table) == 0) {
      ++nr_attached_;
      k().sleep_ns(rnd_us(20'000));
      if (chance(3) && k().ext().enabled()) {
        ++nr_errors_;
        ext::error(root(), "{}", kWanted);
      }
      if (chance(2)) k().sleep_ns(rnd_us(5'000));
      ops_type().unreg(table);
      // Linux forgets groups that go off line between a failing ops.cgroup_init() and the undoing
      // of those before it: scx_cgroup_enabled is not set yet (scx_tg_offline()).
      if (enabling_refused_) groups_known_.clear();
      EXPECT_TRUE(groups_known_.empty()) << "no ops.cgroup_exit() of " << groups_known_.size()
                                         << " groups, after: " << k().ext().last_exit().msg;
    }
    if (chance(2)) k().sleep_ns(rnd_us(5'000));
  }
  Table random_scheduler() {
    Table table;
    switch (rnd(4)) {
      case 0:
        table = make_table("nothing");
        break;
      case 1:
        table = shared_queue_table();
        break;
      case 2:
        table = custody_table();
        break;
      default:
        table = flags_table();
    }
    set<u32>(*table, "timeout_ms", 30'000);
    if (chance(4)) set<u64>(*table, "hotplug_seq", ext().hotplug_seq);
    u64 flags = 0;
    for (u64 flag :
         std::initializer_list<u64>{abi::SCX_OPS_SWITCH_PARTIAL, abi::SCX_OPS_ENQ_EXITING,
                                    abi::SCX_OPS_ALLOW_QUEUED_WAKEUP,
                                    abi::SCX_OPS_KEEP_BUILTIN_IDLE, abi::SCX_OPS_TID_TO_TASK}) {
      if (chance(3)) flags |= flag;
    }
    set<u64>(*table, "flags", flags);
    if (!chance(4)) add_task_ops(*table);
    if (!chance(3)) add_cgroup_ops(*table);
    if (!chance(5)) add_cpu_ops(*table);
    return table;
  }
  /// All that the invariants follow (sched/ext/protocol.h). Some refuse a task, once.
  void add_task_ops(bpf::StructOpsTable& table) {
    const auto nothing = [](const Args&) -> u64 { return 0; };
    for (auto [op, nr_args] : {std::pair{"exit_task", 2U},
                               {"enable", 1U},
                               {"disable", 1U},
                               {"runnable", 2U},
                               {"quiescent", 2U},
                               {"running", 1U},
                               {"stopping", 2U},
                               {"set_weight", 2U},
                               {"set_cpumask", 2U},
                               {"tick", 1U}}) {
      set_callback(table, op, nr_args, nothing);
    }
    refuse_after_ = chance(8) ? rnd(4000) : ~0ULL;
    set_callback(
        table, "init_task", 2,
        [this](const Args&) -> u64 {
          if (chance(64)) k().sleep_ns(rnd_us(100));
          return refuse() ? static_cast<u32>(-ENOMEM) : 0;
        },
        true);
  }
  bool refuse() { return refuse_after_ != ~0ULL && refuse_after_-- == 0; }

  /// Each group is known from ops.cgroup_init() to ops.cgroup_exit(), and nothing is said of
  /// others.
  void add_cgroup_ops(bpf::StructOpsTable& table) {
    set_callback(
        table, "cgroup_init", 2,
        [this](const Args& a) -> u64 {
          if (chance(16)) k().sleep_ns(rnd_us(100));
          if (chance(256)) {
            if (!ext().cgroup_enabled) enabling_refused_ = true;
            return static_cast<u32>(-ENOMEM);
          }
          EXPECT_TRUE(groups_known_.insert(a[0]).second) << "ops.cgroup_init() twice";
          return 0;
        },
        true);
    set_callback(
        table, "cgroup_exit", 1,
        [this](const Args& a) -> u64 {
          EXPECT_EQ(groups_known_.erase(a[0]), 1U) << "ops.cgroup_exit() without cgroup_init()";
          return 0;
        },
        true);
    set_callback(
        table, "cgroup_prep_move", 3,
        [this](const Args& a) -> u64 {
          expect_known(a[1]);
          expect_known(a[2]);
          if (chance(16)) k().sleep_ns(rnd_us(100));
          return chance(16) ? static_cast<u32>(-EAGAIN) : 0;
        },
        true);
    for (const char* op : {"cgroup_move", "cgroup_cancel_move"}) {
      set_callback(table, op, 3, [this](const Args& a) -> u64 {
        expect_known(a[1]);
        expect_known(a[2]);
        return 0;
      });
    }
    for (auto [op, nr_args] : {std::pair{"cgroup_set_weight", 2U},
                               {"cgroup_set_bandwidth", 4U},
                               {"cgroup_set_idle", 2U}}) {
      set_callback(table, op, nr_args, [this](const Args& a) -> u64 {
        expect_known(a[0]);
        return 0;
      });
    }
  }
  void expect_known(u64 cgroup) {
    EXPECT_TRUE(groups_known_.contains(cgroup)) << "a group that ops.cgroup_init() did not see";
  }
  /// With one of them only, the other way ends the scheduler, which may see the CPU go off once
  /// more until it is gone.
  void add_cpu_ops(bpf::StructOpsTable& table) {
    const bool offline = !chance(6);
    const bool online = !chance(6);
    if (offline) {
      set_callback(
          table, "cpu_offline", 1,
          [this, online](const Args& a) -> u64 {
            const bool first = offline_.insert(a[0]).second;
            EXPECT_TRUE(first || !online) << "CPU " << a[0] << " goes off twice";
            return 0;
          },
          true);
    }
    if (online) {
      set_callback(
          table, "cpu_online", 1,
          [this](const Args& a) -> u64 {
            offline_.erase(a[0]);
            EXPECT_TRUE(k().rq(static_cast<CpuId>(a[0])).active);
            return 0;
          },
          true);
    }
  }
  /// Inserts in every way: at the head, with preemption, at once or not at all, by virtual time.
  Table flags_table() {
    Table table = shared_queue_table();
    set_callback(*table, "enqueue", 2, [this](const Args& a) -> u64 {
      Task& p = task_arg(a[0]);
      u64 flags = a[1];
      if (chance(3))
        flags |= std::array<u64, 3>{abi::SCX_ENQ_HEAD, abi::SCX_ENQ_PREEMPT, 0}[rnd(3)];
      switch (rnd(4)) {
        case 0:
          ext::dsq_insert(root(), &p, abi::SCX_DSQ_LOCAL, rnd(1'000'000), flags);
          break;
        case 1:
          ext::dsq_insert(root(), &p, abi::SCX_DSQ_GLOBAL, rnd(1'000'000), flags);
          break;
        case 2:
          ext::dsq_insert_vtime(root(), &p, kDsq + 1, rnd(1'000'000), rnd(1000),
                                flags & ~u64{abi::SCX_ENQ_HEAD | abi::SCX_ENQ_PREEMPT});
          break;
        default:
          ext::dsq_insert(root(), &p, kDsq, rnd(1'000'000), flags);
      }
      if (chance(4)) kick_idle_cpus(p);
      if (chance(64)) ext::dsq_reenq(root(), kDsq, 0);
      return 0;
    });
    set_callback(*table, "dispatch", 2, [this](const Args& a) -> u64 {
      if (chance(8)) move_some(chance(2) ? kDsq : kDsq + 1, static_cast<CpuId>(a[0]));
      const u64 first = chance(2) ? kDsq : kDsq + 1;
      if (!ext::dsq_move_to_local(root(), first, 0)) {
        ext::dsq_move_to_local(root(), 2 * kDsq + 1 - first, 0);
      }
      return 0;
    });
    return table;
  }

  void run_events(u64 events) {
    const auto ended =
        machine_->run_until([&] { return machine_->events() >= events || !unwanted_.empty(); });
    ASSERT_TRUE(ended.has_value()) << ended.error().message;
  }
  void report(u64 seed, std::chrono::steady_clock::time_point started) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    fmt::print(
        "seed {}: {} events, {:.2f} virtual s, {} forks, {} exits, {} schedulers ({} ejected, {} "
        "ended by hotplug), {} groups, {} moves, {} knobs turned, {} CPUs taken off, {:.1f} s\n",
        seed, machine_->events(), static_cast<double>(now().ns) / 1e9, k().nr_forks, k().nr_exits,
        nr_attached_, nr_ejected_, nr_restarts_, nr_groups_, nr_moves_, nr_knobs_, nr_downs_,
        took.count());
    std::fflush(stdout);
  }
  /// The errors that the schedulers are to end with.
  static bool wanted(std::string_view msg) {
    return msg == kWanted || msg == "ops.cgroup_init() failed (-12)" ||
           msg.starts_with("ops.init_task() failed (-12) for ");
  }

  static constexpr std::string_view kWanted = "an error on purpose";
  u64 nr_attached_ = 0, nr_ejected_ = 0, nr_errors_ = 0, nr_restarts_ = 0;
  u64 refuse_after_ = ~0ULL;       // calls of ops.init_task() before one fails
  std::set<u64> groups_known_;     // by address, to the scheduler there is
  bool enabling_refused_ = false;  // its ops.cgroup_init() failed while it was being enabled
  std::set<u64> offline_;          // CPUs that went off under it
  std::string unwanted_;
};

TEST_F(StressTest, EverythingAtOnce) {
  const u64 first = setting("USCX_STRESS_FIRST", 1);
  const u64 seeds = setting("USCX_STRESS_SEEDS", 1);
  const u64 events = setting("USCX_STRESS_EVENTS", 150'000);
  for (u64 seed = first; seed < first + seeds; ++seed) {
    const auto started = std::chrono::steady_clock::now();
    ASSERT_NO_FATAL_FAILURE(begin("2n1l4c2t", seed, false));
    ASSERT_NO_FATAL_FAILURE(run_events(events));
    report(seed, started);
    EXPECT_EQ(unwanted_, "") << "seed " << seed;
    EXPECT_GT(nr_attached_, events / 100'000);
    EXPECT_GE(nr_ejected_, events / 500'000);
    EXPECT_GE(nr_restarts_, events / 500'000);
    EXPECT_GT(k().nr_forks, events / 200);
    EXPECT_GT(nr_groups_, events / 2'000);
    EXPECT_GT(nr_moves_, events / 500);
    EXPECT_GT(nr_downs_, events / 100'000);
    end();
    if (HasFailure()) FAIL() << "USCX_STRESS_FIRST=" << seed << " USCX_STRESS_SEEDS=1";
  }
}

TEST_F(StressTest, EverythingAtOnceExplored) {
  const u64 first = setting("USCX_STRESS_FIRST", 1);
  const u64 seeds = setting("USCX_STRESS_SEEDS", 1);
  const u64 events = setting("USCX_STRESS_EVENTS", 150'000) / 4;
  for (u64 seed = first; seed < first + seeds; ++seed) {
    ASSERT_NO_FATAL_FAILURE(begin("1n2l2c1t", seed, true));
    ASSERT_NO_FATAL_FAILURE(run_events(events));
    EXPECT_EQ(unwanted_, "") << "seed " << seed;
    end();
    if (HasFailure()) FAIL() << "USCX_STRESS_FIRST=" << seed << " USCX_STRESS_SEEDS=1";
  }
}

}  // namespace
}  // namespace uscx::sched::testing
