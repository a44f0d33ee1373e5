// SPDX-License-Identifier: GPL-2.0-only
// Small scenarios for an exploring machine: schedulers made of C++ callbacks, tasks that do what
// races, and a verdict. Each seed runs in a child process.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "ext_harness.h"
#include "machine/explored/explored_machine.h"
#include "machine/explored/seeds.h"
#include "sched/invariants.h"

namespace uscx::sched::testing {

class ExploreTest : public ExtTest {
 public:
  using Args = std::array<u64, 5>;
  using Table = std::shared_ptr<bpf::StructOpsTable>;
  using Scenario = std::string (ExploreTest::*)();

  // ------------------------------------------------------------------------- searching

  std::string run_seed(Scenario scenario, PlantedBug planted, machine::Exploration exploration) {
    exploration_ = exploration;
    planted_ = planted;
    rng_ = Random(exploration.seed * 7919);
    peers_.clear();
    queue_.clear();
    std::string what = (this->*scenario)();
    invariants_.reset();
    kernel_.reset();
    machine_.reset();
    return what;
  }
  machine::SeedsRun search(Scenario scenario, PlantedBug planted, u64 seeds, u64 first = 1,
                           bool stop_at_first = true) {
    return machine::run_seeds(
        {.first = first, .count = seeds, .stop_at_first = stop_at_first}, [&](u64 seed) {
          return run_seed(scenario, planted, machine::Exploration::of_seed(seed));
        });
  }

  // ------------------------------------------------------------------------- scenarios

  void boot_explored(const std::string& machine) {
    auto spec = machine::load_machine(machine);
    USCX_ASSERT(spec.has_value());
    machine_ = std::make_unique<machine::ExploredMachine>(*spec, exploration_);
    kernel_ = std::make_unique<Kernel>(KernelConfig{.seed = exploration_.seed, .planted = planted_},
                                       *machine_);
    machine_->attach(*kernel_);
    invariants_ = std::make_unique<Invariants>(*kernel_);
    machine_->set_after_event([this] { invariants_->after_event(); });
  }
  u64 rnd(u64 bound) { return rng_.below(bound); }
  bool chance(u64 of) { return rnd(of) == 0; }
  Nanos rnd_us(u64 most) { return Nanos{(1 + rnd(most)) * 1000}; }

  abi::cpumask rnd_mask() {
    abi::cpumask m{};
    const u64 bits = 1 + rnd((1ULL << k().nr_cpus()) - 1);
    for (u32 i = 0; i < k().nr_cpus(); ++i) {
      if (bits >> i & 1) bitmap::set(m.bits, i);
    }
    return m;
  }
  Task& rnd_peer() { return *peers_[rnd(peers_.size())]; }

  /// One thing that somebody may do to somebody at any time, on the caller's fiber.
  void meddle(u32 kinds) {
    Task& p = rnd_peer();
    switch (rnd(kinds)) {
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
        const int policy = std::array{SCHED_NORMAL, SCHED_EXT, SCHED_FIFO, SCHED_BATCH}[rnd(4)];
        static_cast<void>(k().set_scheduler(p, policy, policy == SCHED_FIFO ? 1 : 0));
      }
    }
  }
  /// Computes, sleeps, yields, and meddles with its peers, in short steps.
  std::unique_ptr<Behaviour> churner(u32 kinds = 3) {
    return scripted([this, kinds](Kernel&, Task&) -> Step {
      switch (rnd(8)) {
        case 0:
        case 1:
          return Step::compute(rnd_us(100));
        case 2:
          return Step::yield();
        case 3:
        case 4:
          return Step::system_call([this, kinds](Task&) { meddle(kinds); });
        default:
          return Step::system_call([this](Task&) { k().sleep_ns(rnd_us(200)); });
      }
    });
  }
  /// Forks short-lived children for ever.
  std::unique_ptr<Behaviour> forker() {
    return scripted([this](Kernel&, Task& self) -> Step {
      if (chance(2)) return Step::system_call([this](Task&) { k().sleep_ns(rnd_us(300)); });
      return Step::system_call([this, &self](Task&) {
        TaskSpec spec;
        spec.comm = "child";
        spec.policy = chance(2) ? SCHED_EXT : SCHED_NORMAL;
        spec.behaviour = steps({Step::compute(rnd_us(20)), Step::yield()});
        static_cast<void>(k().fork(self, std::move(spec)));
      });
    });
  }
  void add_peers(u32 n, u32 kinds = 3) {
    for (u32 i = 0; i < n; ++i) {
      TaskSpec spec;
      spec.comm = "peer" + std::to_string(i);
      spec.behaviour = churner(kinds);
      peers_.push_back(&spawn(std::move(spec)));
    }
  }

  /// Attaches, lets it run, detaches, `rounds` times; what went wrong, or nothing.
  std::string run_rounds(const Table& table, u32 rounds, Nanos duration) {
    bool done = false;
    int ret = 0;
    auto session = [&, duration](Task&) {
      for (u32 i = 0; i < rounds && ret == 0; ++i) {
        ret = ops_type().reg(table);
        if (ret != 0) break;
        k().sleep_ns(duration);
        ops_type().unreg(table);
      }
      done = true;
    };
    spawn("loader", steps({Step::system_call(session)}));
    const auto ended = machine_->run_until([&] { return done; }, now() + Nanos::from_s(30));
    if (!ended) return ended.error().message;
    if (!done) return "the loader does not come to its end";
    if (ret != 0) return "the scheduler cannot be attached: " + std::to_string(ret);
    invariants_->check_all();
    const auto& exit = k().ext().last_exit();
    if (exit.kind >= abi::SCX_EXIT_ERROR) return "ejected: " + exit.reason + ": " + exit.msg;
    return {};
  }

  static constexpr u64 kDsq = 7;

  Table new_table(const std::string& name) {
    Table table = make_table(name);
    set<u32>(*table, "timeout_ms", 500);
    return table;
  }
  void kick_an_idle_cpu(const Task& p) {
    for (u32 i = 0; i < k().nr_cpus(); ++i) {
      if (!bitmap::test(p.cpus_ptr->bits, i)) continue;
      ext::kick_cpu(root(), static_cast<CpuId>(i), abi::SCX_KICK_IDLE);
    }
  }

  /// One shared queue; woken tasks go through ops.enqueue(), which kicks.
  std::string shared_queue() {
    boot_explored("1n1l3c1t");
    Table table = new_table("shared");
    set_callback(
        *table, "init", 0,
        [this](const Args&) -> u64 {
          return static_cast<u64>(static_cast<s64>(ext::create_dsq(ext(), ext().root, kDsq, -1)));
        },
        true);
    set_callback(*table, "select_cpu", 3, [](const Args& a) -> u64 { return a[1]; });
    set_callback(*table, "enqueue", 2, [this](const Args& a) -> u64 {
      Task& p = task_arg(a[0]);
      ext::dsq_insert(root(), &p, kDsq, 100'000, a[1]);
      kick_an_idle_cpu(p);
      return 0;
    });
    set_callback(*table, "dispatch", 2, [this](const Args&) -> u64 {
      ext::dsq_move_to_local(root(), kDsq, 0);
      return 0;
    });
    add_peers(5);
    return run_rounds(table, 1, Nanos::from_ms(20));
  }

  /// Tasks stay with the scheduler until some CPU dispatches them, to itself or another.
  std::string scheduler_queue() {
    boot_explored("1n1l3c1t");
    Table table = new_table("custody");
    set_callback(*table, "select_cpu", 3, [](const Args& a) -> u64 { return a[1]; });
    set_callback(*table, "enqueue", 2, [this](const Args& a) -> u64 {
      Task& p = task_arg(a[0]);
      queue_.push_back(&p);
      kick_an_idle_cpu(p);
      return 0;
    });
    set_callback(*table, "dequeue", 2, [this](const Args& a) -> u64 {
      std::erase(queue_, &task_arg(a[0]));
      return 0;
    });
    set_callback(*table, "dispatch", 2, [this](const Args& a) -> u64 {
      const auto cpu = static_cast<CpuId>(a[0]);
      for (u32 tries = 0; tries < 2 && !queue_.empty(); ++tries) {
        Task* p = queue_.front();
        queue_.pop_front();
        u64 dsq = abi::SCX_DSQ_GLOBAL;
        if (bitmap::test(p->cpus_ptr->bits, static_cast<u32>(cpu)) && chance(2)) {
          dsq = abi::SCX_DSQ_LOCAL_ON | static_cast<u64>(cpu);
        } else if (chance(2)) {
          dsq = abi::SCX_DSQ_LOCAL_ON | static_cast<u64>(p->cpu);
        }
        ext::dsq_insert(root(), p, dsq, 100'000, 0);
        kick_an_idle_cpu(*p);
      }
      return 0;
    });
    add_peers(5);
    return run_rounds(table, 1, Nanos::from_ms(20));
  }

  machine::Exploration exploration_;
  PlantedBug planted_ = PlantedBug::kNone;
  Random rng_{1};
  std::vector<Task*> peers_;
  std::deque<Task*> queue_;  // of scheduler_queue()
  std::unique_ptr<Invariants> invariants_;
};

}  // namespace uscx::sched::testing
