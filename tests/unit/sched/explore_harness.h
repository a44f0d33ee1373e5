// SPDX-License-Identifier: GPL-2.0-only
// Small scenarios for an exploring machine: schedulers made of C++ callbacks, tasks that do what
// races, and a verdict. Each seed runs in a child process.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
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
    calm_ = false;
    std::string what = (this->*scenario)();
    invariants_.reset();
    kernel_.reset();
    machine_.reset();
    return what;
  }
  machine::SeedsRun search(Scenario scenario, PlantedBug planted, u64 seeds, u64 first = 1,
                           bool stop_at_first = true) {
    return machine::run_seeds(
        {.first = first, .count = seeds, .stop_at_first = stop_at_first},
        [&](u64 seed) { return run_seed(scenario, planted, machine::Exploration::of_seed(seed)); });
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
    if (const char* path = std::getenv("USCX_EXPLORE_TRACE")) trace_to(path);
  }
  /// What happens, a line each: to look at one seed.
  void trace_to(const char* path) {
    static std::FILE* out = std::fopen(path, "w");
    USCX_ASSERT(out != nullptr);
    auto& t = k().trace();
    t.sched_switch.subscribe([](Nanos now, CpuId cpu, const Task& a, u32 state, const Task& b) {
      fmt::print(out, "{} [{}] switch {} {} -> {}\n", now.ns, cpu, a.comm, state, b.comm);
      std::fflush(out);
    });
    t.sched_waking.subscribe([](Nanos now, CpuId cpu, const Task& p, CpuId to) {
      fmt::print(out, "{} [{}] waking {} on {}\n", now.ns, cpu, p.comm, to);
    });
    t.scx_dsq.subscribe([](Nanos now, const Task& p, u64 id, bool on, u32 nr) {
      fmt::print(out, "{} {} {} dsq {:#x} nr {}\n", now.ns, p.comm, on ? "on" : "off", id, nr);
    });
    t.scx_callback.subscribe([this](Nanos now, CpuId cpu, ext::Op op, const Task* p, u64 result) {
      fmt::print(out, "{} [{}] {} {} = {} ({} waiting)\n", now.ns, cpu, ext::op_name(op),
                 p ? p->comm : "", result, queue_.size());
    });
    t.scx_state.subscribe(
        [](Nanos now, std::string_view state) { fmt::print(out, "{} {}\n", now.ns, state); });
    t.scx_exit.subscribe([](Nanos now, s32 kind, s64, std::string_view, std::string_view msg) {
      fmt::print(out, "{} exit {} {}\n", now.ns, kind, msg);
    });
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
      if (calm_) return Step::system_call([this](Task&) { k().sleep_ns(Nanos::from_ms(20)); });
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
      if (calm_) return Step::system_call([this](Task&) { k().sleep_ns(Nanos::from_ms(20)); });
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

  /// Attaches, lets it run, detaches, `rounds` times; what went wrong, or nothing. Before the last
  /// detaching all is calm for longer than the watchdog waits: what was lost is found then.
  std::string run_rounds(const Table& table, u32 rounds, Nanos duration) {
    bool done = false;
    int ret = 0;
    auto session = [&, duration](Task&) {
      for (u32 i = 0; i < rounds && ret == 0; ++i) {
        ret = ops_type().reg(table);
        if (ret != 0) break;
        k().sleep_ns(duration);
        calm_ = i + 1 == rounds;
        if (calm_) k().sleep_ns(Nanos::from_ms(2 * kTimeoutMs));
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
  static constexpr u32 kTimeoutMs = 400;

  Table new_table(const std::string& name) {
    Table table = make_table(name);
    set<u32>(*table, "timeout_ms", kTimeoutMs);
    return table;
  }
  void kick_idle_cpus(const Task& p) {
    for (u32 i = 0; i < k().nr_cpus(); ++i) {
      if (!bitmap::test(p.cpus_ptr->bits, i)) continue;
      ext::kick_cpu(root(), static_cast<CpuId>(i), abi::SCX_KICK_IDLE);
    }
  }

  /// Moves tasks of a queue under an iterator: one to this CPU's local DSQ, others about.
  void move_some(u64 id, CpuId cpu) {
    abi::bpf_iter_scx_dsq it{};
    if (ext::dsq_iter_new(ext(), &root(), &it, id, chance(2) ? u64{abi::SCX_DSQ_ITER_REV} : 0) ==
        0) {
      while (Task* p = ext::dsq_iter_next(ext(), &it)) {
        k().sync_point("bpf_iter_scx_dsq_next");
        if (!bitmap::test(p->cpus_ptr->bits, static_cast<u32>(cpu)) || chance(2)) continue;
        const bool to_local = chance(2);
        ext::dsq_move(ext(), &it, *p, to_local ? u64{abi::SCX_DSQ_LOCAL} : kDsq, 0, false);
        if (to_local) break;
      }
    }
    ext::dsq_iter_destroy(ext(), &it);
  }

  /// One shared queue; woken tasks go through ops.enqueue(), which kicks.
  std::string shared_queue() {
    boot_explored("1n1l3c1t");
    Table table = shared_queue_table();
    add_peers(5);
    return run_rounds(table, 1, Nanos::from_ms(20));
  }
  Table shared_queue_table() {
    Table table = new_table("shared");
    set_callback(
        *table, "init", 0,
        [this](const Args&) -> u64 {
          ext::create_dsq(ext(), ext().root, kDsq + 1, -1);
          return static_cast<u64>(static_cast<s64>(ext::create_dsq(ext(), ext().root, kDsq, -1)));
        },
        true);
    set_callback(*table, "select_cpu", 3, [](const Args& a) -> u64 { return a[1]; });
    set_callback(*table, "enqueue", 2, [this](const Args& a) -> u64 {
      Task& p = task_arg(a[0]);
      ext::dsq_insert(root(), &p, kDsq, 100'000, a[1]);
      kick_idle_cpus(p);
      return 0;
    });
    set_callback(*table, "dispatch", 2, [this](const Args&) -> u64 {
      ext::dsq_move_to_local(root(), kDsq, 0);
      return 0;
    });
    return table;
  }

  /// Tasks stay with the scheduler until some CPU dispatches them, to itself or another.
  std::string scheduler_queue() {
    boot_explored("1n1l3c1t");
    Table table = custody_table();
    add_peers(5);
    return run_rounds(table, 1, Nanos::from_ms(20));
  }
  Table custody_table() {
    Table table = new_table("custody");
    set_callback(*table, "select_cpu", 3, [](const Args& a) -> u64 { return a[1]; });
    set_callback(*table, "enqueue", 2, [this](const Args& a) -> u64 {
      Task& p = task_arg(a[0]);
      queue_.push_back(&p);
      kick_idle_cpus(p);
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
        kick_idle_cpus(*p);
      }
      return 0;
    });
    return table;
  }

  /// Comes and goes while tasks are forked, exit, and change their policy.
  std::string attach_detach() {
    boot_explored("1n1l3c1t");
    Table table = new_table("comes and goes");
    set_callback(
        *table, "init_task", 2,
        [this](const Args&) -> u64 {
          if (chance(2)) k().sleep_ns(rnd_us(100));
          return 0;
        },
        true);
    set_callback(*table, "exit_task", 2, [](const Args&) -> u64 { return 0; });
    set_callback(*table, "enable", 1, [](const Args&) -> u64 { return 0; });
    set_callback(*table, "disable", 1, [](const Args&) -> u64 { return 0; });
    if (chance(2)) set<u64>(*table, "flags", abi::SCX_OPS_SWITCH_PARTIAL);
    add_peers(4, 4);
    for (int i = 0; i < 2; ++i) spawn("forker", forker());
    return run_rounds(table, 3, Nanos::from_ms(2));
  }

  /// Tasks die at any time while a scheduler that takes its time over each is told of them: forks
  /// wait until it has been, so that whoever dies then has lived for longer than the grace periods
  /// before.
  std::string short_lives() {
    boot_explored("1n1l3c1t");
    Table table = new_table("slow to begin");
    set_callback(
        *table, "init_task", 2,
        [this](const Args&) -> u64 {
          k().sleep_ns(rnd_us(400));
          return 0;
        },
        true);
    set_callback(*table, "exit_task", 2, [](const Args&) -> u64 { return 0; });
    for (int i = 0; i < 40; ++i) spawn(mortal());
    spawn("mother", scripted([this](Kernel&, Task& self) -> Step {
            if (calm_ || k().tasks().size() > 50) {
              return Step::system_call([this](Task&) { k().sleep_ns(rnd_us(1000)); });
            }
            return Step::system_call(
                [this, &self](Task&) { static_cast<void>(k().fork(self, mortal())); });
          }));
    return run_rounds(table, 3, Nanos::from_ms(2));
  }
  /// Sleeps a while, and is no more.
  TaskSpec mortal() {
    TaskSpec spec;
    spec.comm = "mortal";
    const Nanos life = rnd_us(60'000);
    spec.behaviour = steps({Step::system_call([this, life](Task&) { k().sleep_ns(life); })});
    return spec;
  }

  /// Each CPU takes what it may run from the scheduler's queue, and idle ones are kicked for all
  /// that comes to it: no CPU idles while something waits for it.
  std::string work_conserving() {
    boot_explored("1n1l2c1t");
    Table table = custody_table();
    set_callback(*table, "dispatch", 2, [this](const Args& a) -> u64 {
      const auto cpu = static_cast<u32>(a[0]);
      const auto mine = std::find_if(queue_.begin(), queue_.end(), [&](const Task* p) {
        return bitmap::test(p->cpus_ptr->bits, cpu);
      });
      if (mine == queue_.end()) return 0;
      Task* p = *mine;
      queue_.erase(mine);
      ext::dsq_insert(root(), p, abi::SCX_DSQ_LOCAL_ON | cpu, 20'000, 0);
      return 0;
    });
    std::string left;
    machine_->set_after_event([&] {
      invariants_->after_event();
      if (left.empty()) left = left_behind();
    });
    add_peers(3);
    const std::string what = run_rounds(table, 1, Nanos::from_ms(20));
    return what.empty() ? left : what;
  }
  /// A task that waits in work_conserving()'s queue for a CPU that idles, with nothing on its way
  /// there.
  std::string left_behind() {
    if (queue_.empty() || !k().ext().enabled() || root().bypass_depth != 0) return {};
    u32 idle = 0;
    for (u32 i = 0; i < k().nr_cpus(); ++i) {
      Rq& rq = k().rq(static_cast<CpuId>(i));
      if (rq.in_entry || rq.ext->kick_work->queued || rq.ext->deferred_work->queued) return {};
      if (rq.current()->is_idle() && !rq.need_resched && !rq.resched_sent) idle |= 1U << i;
    }
    for (const Task* p : queue_) {
      for (u32 i = 0; i < k().nr_cpus(); ++i) {
        if (!(idle >> i & 1) || !bitmap::test(p->cpus_ptr->bits, i)) continue;
        return fmt::format("CPU {} idles while {} waits", i, p->comm);
      }
    }
    return {};
  }

  /// As scheduler_queue(), by way of a queue that is given back to the scheduler now and then.
  std::string reenqueue() {
    boot_explored("1n1l3c1t");
    Table table = shared_queue_table();
    set_callback(*table, "enqueue", 2, [this](const Args& a) -> u64 {
      Task& p = task_arg(a[0]);
      queue_.push_back(&p);
      kick_idle_cpus(p);
      return 0;
    });
    set_callback(*table, "dequeue", 2, [this](const Args& a) -> u64 {
      std::erase(queue_, &task_arg(a[0]));
      return 0;
    });
    set_callback(*table, "dispatch", 2, [this](const Args&) -> u64 {
      for (u32 tries = 0; tries < 3 && !queue_.empty(); ++tries) {
        Task* p = queue_.front();
        queue_.pop_front();
        ext::dsq_insert(root(), p, kDsq, 100'000, 0);
        kick_idle_cpus(*p);
      }
      if (chance(3)) ext::dsq_reenq(root(), kDsq, 0);
      ext::dsq_move_to_local(root(), kDsq, 0);
      return 0;
    });
    add_peers(5);
    return run_rounds(table, 1, Nanos::from_ms(20));
  }

  /// Every CPU has others go through a scheduling point, and waits for them.
  std::string kick_wait() {
    boot_explored("1n1l3c1t");
    Table table = shared_queue_table();
    set_callback(*table, "stopping", 2, [this](const Args&) -> u64 {
      if (!chance(3)) return 0;
      for (u32 i = 0; i < k().nr_cpus(); ++i) {
        const u64 flags = abi::SCX_KICK_WAIT | (chance(2) ? u64{abi::SCX_KICK_PREEMPT} : 0);
        if (chance(2)) ext::kick_cpu(root(), static_cast<CpuId>(i), flags);
      }
      return 0;
    });
    add_peers(6);
    return run_rounds(table, 1, Nanos::from_ms(10));
  }

  /// Queues come and go; tasks are moved under iterators, and given back to the scheduler.
  std::string queues() {
    boot_explored("1n1l3c1t");
    Table table = shared_queue_table();
    set_callback(*table, "enqueue", 2, [this](const Args& a) -> u64 {
      Task& p = task_arg(a[0]);
      if (chance(2)) {
        ext::dsq_insert_vtime(root(), &p, kDsq + 1, 100'000, rnd(1000), a[1]);
      } else {
        ext::dsq_insert(root(), &p, kDsq, 100'000, a[1]);
      }
      if (chance(8)) ext::dsq_reenq(root(), kDsq, 0);
      kick_idle_cpus(p);
      return 0;
    });
    set_callback(*table, "dispatch", 2, [this](const Args& a) -> u64 {
      move_some(chance(2) ? kDsq : kDsq + 1, static_cast<CpuId>(a[0]));
      if (!ext::dsq_move_to_local(root(), kDsq, 0)) ext::dsq_move_to_local(root(), kDsq + 1, 0);
      return 0;
    });
    add_peers(5);
    for (u64 id = 20; id < 22; ++id) {
      spawn("maker", scripted([this, id](Kernel&, Task&) -> Step {
              return Step::system_call([this, id](Task&) {
                k().sleep_ns(calm_ ? Nanos::from_ms(20) : rnd_us(500));
                if (!k().ext().enabled() || ext().root == nullptr || ext().root->dead) return;
                if (ext::create_dsq(ext(), ext().root, id, -1) == 0) return;
                ext::destroy_dsq(*ext().root, id);
              });
            }));
    }
    return run_rounds(table, 1, Nanos::from_ms(20));
  }

  machine::Exploration exploration_;
  PlantedBug planted_ = PlantedBug::kNone;
  Random rng_{1};
  std::vector<Task*> peers_;
  std::deque<Task*> queue_;  // of scheduler_queue()
  bool calm_ = false;        // nobody meddles any more
  std::unique_ptr<Invariants> invariants_;
};

}  // namespace uscx::sched::testing
