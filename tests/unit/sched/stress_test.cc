// SPDX-License-Identifier: GPL-2.0-only
// Stress: thousands of tasks that fork, exit and change in every way, while schedulers of every
// kind come, err and go, with the kernel's invariants looked at throughout. USCX_STRESS_SEEDS and
// USCX_STRESS_EVENTS say how much.
#include <chrono>
#include <cstdlib>

#include "explore_harness.h"

namespace uscx::sched::testing {
namespace {

u64 setting(const char* name, u64 otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

class StressTest : public ExploreTest {
 protected:
  static constexpr std::size_t kMostTasks = 2500;
  static constexpr std::size_t kFewTasks = 1500;

  void begin(const std::string& machine, u64 seed, bool explored) {
    exploration_ = {.seed = seed, .depth = 0};
    planted_ = PlantedBug::kNone;
    rng_ = Random(seed);
    live_.clear();
    queue_.clear();
    calm_ = false;
    nr_attached_ = nr_ejected_ = nr_errors_ = 0;
    if (explored) {
      boot_explored(machine);
    } else {
      boot(machine, {.seed = seed});
      invariants_ = std::make_unique<Invariants>(*kernel_);
      machine_->set_after_event([this] { invariants_->after_event(); });
    }
    auto& trace = k().trace();
    trace.sched_process_exit.subscribe([this](Nanos, const Task& p) { std::erase(live_, &p); });
    trace.scx_exit.subscribe(
        [this](Nanos, s32 kind, s64, std::string_view reason, std::string_view msg) {
          if (kind < abi::SCX_EXIT_ERROR) return;
          ++nr_ejected_;
          if (msg != kWanted) unwanted_ = std::string(reason) + ": " + std::string(msg);
        });
    for (int i = 0; i < 64; ++i) add_task(nullptr);
    // No scheduler that it attaches may starve it.
    TaskSpec loader;
    loader.comm = "loader";
    loader.policy = SCHED_FIFO;
    loader.rt_priority = 50;
    loader.behaviour = scripted([this](Kernel&, Task&) -> Step {
      return Step::system_call([this](Task&) { one_scheduler(); });
    });
    spawn(std::move(loader));
  }
  void end() {
    invariants_->check_all();
    invariants_.reset();
    kernel_.reset();
    machine_.reset();
  }

  // ------------------------------------------------------------------------- tasks

  TaskSpec random_task() {
    TaskSpec spec;
    spec.comm = "stress";
    spec.behaviour = restless();
    spec.policy = std::array{SCHED_NORMAL, SCHED_NORMAL, SCHED_EXT,
                             SCHED_BATCH,  SCHED_IDLE,   SCHED_FIFO}[rnd(6)];
    if (spec.policy == SCHED_FIFO) spec.rt_priority = 1 + static_cast<int>(rnd(5));
    if (spec.policy != SCHED_FIFO) spec.nice = static_cast<int>(rnd(40)) - 20;
    return spec;
  }
  void add_task(Task* parent) {
    TaskSpec spec = random_task();
    auto child = parent ? k().fork(*parent, std::move(spec)) : k().create_task(std::move(spec));
    // It may have exited already: a fork may sleep after the child was woken.
    if (child && !((*child)->flags & PF_EXITING)) live_.push_back(*child);
  }
  std::unique_ptr<Behaviour> restless() {
    return scripted([this](Kernel&, Task& self) -> Step {
      const bool rt = self.klass == &k().rt_class();
      switch (rnd(16)) {
        case 0:
          if (live_.size() < kMostTasks) {
            return Step::system_call([this, &self](Task&) { add_task(&self); });
          }
          [[fallthrough]];
        case 1:
          if (live_.size() > kFewTasks) return Step::exit();
          return Step::system_call([this, &self](Task&) { add_task(&self); });
        case 2:
        case 3:
        case 4:
          return Step::system_call([this](Task&) { change_somebody(); });
        case 5:
          return Step::yield();
        case 6:
        case 7:
        case 8:
        case 9:
          return Step::compute(rnd_us(rt ? 20 : 300));
        default:
          // Long enough for the CPUs to idle at times, and for time to pass: a scheduler takes tens
          // of milliseconds to come and go, most of them grace periods.
          return Step::system_call([this](Task&) { k().sleep_ns(rnd_us(80'000)); });
      }
    });
  }
  void change_somebody() {
    if (live_.empty()) return;
    Task& p = *live_[rnd(live_.size())];
    k().get_task(p);
    switch (rnd(4)) {
      case 0: {
        const abi::cpumask m = rnd_mask();
        static_cast<void>(k().set_affinity(p, m));
        break;
      }
      case 1:
        k().set_nice(p, static_cast<int>(rnd(40)) - 20);
        break;
      case 2:
        k().wake_up(p);
        break;
      default: {
        const int policy = std::array{SCHED_NORMAL, SCHED_EXT,   SCHED_FIFO,
                                      SCHED_RR,     SCHED_BATCH, SCHED_IDLE}[rnd(6)];
        const bool rt = policy == SCHED_FIFO || policy == SCHED_RR;
        static_cast<void>(k().set_scheduler(p, policy, rt ? 1 + static_cast<int>(rnd(5)) : 0));
      }
    }
    k().put_task(p);
  }

  // ------------------------------------------------------------------------- schedulers

  /// Attaches a scheduler of some kind, lets it run, and ends it in some way.
  void one_scheduler() {
    queue_.clear();
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
    u64 flags = 0;
    for (u64 flag :
         std::initializer_list<u64>{abi::SCX_OPS_SWITCH_PARTIAL, abi::SCX_OPS_ENQ_EXITING,
                                    abi::SCX_OPS_ALLOW_QUEUED_WAKEUP,
                                    abi::SCX_OPS_KEEP_BUILTIN_IDLE, abi::SCX_OPS_TID_TO_TASK}) {
      if (chance(3)) flags |= flag;
    }
    set<u64>(*table, "flags", flags);
    return table;
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

  static constexpr std::string_view kWanted = "an error on purpose";
  std::vector<Task*> live_;
  u64 nr_attached_ = 0, nr_ejected_ = 0, nr_errors_ = 0;
  std::string unwanted_;
};

TEST_F(StressTest, EverythingAtOnce) {
  const u64 seeds = setting("USCX_STRESS_SEEDS", 1);
  const u64 events = setting("USCX_STRESS_EVENTS", 150'000);
  for (u64 seed = 1; seed <= seeds; ++seed) {
    const auto started = std::chrono::steady_clock::now();
    ASSERT_NO_FATAL_FAILURE(begin("2n1l4c2t", seed, false));
    ASSERT_NO_FATAL_FAILURE(run_events(events));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    std::printf(
        "seed %llu: %llu events, %.2f virtual s, %llu forks, %llu exits, %llu schedulers, "
        "%llu ejected, %.1f s\n",
        static_cast<unsigned long long>(seed), static_cast<unsigned long long>(machine_->events()),
        static_cast<double>(now().ns) / 1e9, static_cast<unsigned long long>(k().nr_forks),
        static_cast<unsigned long long>(k().nr_exits),
        static_cast<unsigned long long>(nr_attached_), static_cast<unsigned long long>(nr_ejected_),
        took.count());
    EXPECT_EQ(unwanted_, "");
    EXPECT_GT(nr_attached_, events / 50'000);
    EXPECT_GE(nr_ejected_, events / 200'000);
    EXPECT_GT(k().nr_forks, events / 200);
    end();
  }
}

TEST_F(StressTest, EverythingAtOnceExplored) {
  const u64 seeds = setting("USCX_STRESS_SEEDS", 1);
  const u64 events = setting("USCX_STRESS_EVENTS", 150'000) / 4;
  for (u64 seed = 1; seed <= seeds; ++seed) {
    ASSERT_NO_FATAL_FAILURE(begin("1n2l2c1t", seed, true));
    ASSERT_NO_FATAL_FAILURE(run_events(events));
    EXPECT_EQ(unwanted_, "") << "seed " << seed;
    end();
  }
}

}  // namespace
}  // namespace uscx::sched::testing
