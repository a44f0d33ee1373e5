// SPDX-License-Identifier: GPL-2.0-only
// Who makes trouble in the stress tests: tasks that fork, exit and change each other in every way,
// groups that come and go under them, CPUs that go off and on.
#pragma once

#include <csignal>

#include "explore_harness.h"
#include "sched/cgroup.h"
#include "sched/private.h"

namespace uscx::sched::testing {

class StressActors : public ExploreTest {
 protected:
  static constexpr std::size_t kMostTasks = 2500;
  static constexpr std::size_t kFewTasks = 1500;
  static constexpr std::size_t kMostGroups = 48;
  static constexpr u32 kFewestCpus = 3;  // online
  static constexpr Nanos kPause = Nanos::from_ms(10);

  /// After boot(): the tracepoints that keep the lists below.
  void watch() {
    live_.clear();
    paths_.clear();
    nr_downs_ = nr_moves_ = nr_knobs_ = nr_groups_ = 0;
    nr_actors_ = 0;
    auto& trace = k().trace();
    trace.sched_process_exit.subscribe([this](Nanos, const Task& p) { std::erase(live_, &p); });
    trace.cgroup_mkdir.subscribe([this](Nanos, std::string_view path, u64) {
      paths_.emplace_back(path);
      ++nr_groups_;
    });
    trace.cgroup_rmdir.subscribe(
        [this](Nanos, std::string_view path, u64) { std::erase(paths_, path); });
    trace.cgroup_attach_task.subscribe(
        [this](Nanos, const Task&, std::string_view, std::string_view) { ++nr_moves_; });
  }
  /// What goes on for ever, on a fiber each time; nothing starves it. Ends with the calm.
  void add_actor(const std::string& comm, std::function<void()> round) {
    TaskSpec spec;
    spec.comm = comm;
    spec.policy = SCHED_FIFO;
    spec.rt_priority = 50;
    ++nr_actors_;
    spec.behaviour = scripted([this, round = std::move(round)](Kernel&, Task&) -> Step {
      if (!calm_) return Step::system_call([&round](Task&) { round(); });
      --nr_actors_;
      return Step::exit();
    });
    spawn(std::move(spec));
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
  /// Null where it was refused, by ops.init_task() or a group that is gone.
  Task* add_task(Task* parent, bool waited_for = false) {
    TaskSpec spec = random_task();
    spec.waited_for = waited_for;
    Cgroup* into = parent && chance(4) ? random_group() : nullptr;
    if (into) k().cgroups().get(*into);
    spec.cgroup = into;
    auto child = parent ? k().fork(*parent, std::move(spec)) : k().create_task(std::move(spec));
    if (into) k().cgroups().put(*into);
    if (!child) return nullptr;
    // It may have exited already: a fork may sleep after the child was woken.
    if (!((*child)->flags & PF_EXITING)) live_.push_back(*child);
    return *child;
  }
  void fork_and_wait(Task& self) {
    const Pid before = k().current().pid;
    Task* child = add_task(&self, true);
    if (child != nullptr) k().wait_for_exit(child->pid);
    USCX_ASSERT(k().current().pid == before);
  }
  std::unique_ptr<Behaviour> restless() {
    return scripted([this](Kernel&, Task& self) -> Step {
      if (calm_) return Step::exit();
      const bool rt = self.klass == &k().rt_class();
      switch (rnd(32)) {
        case 0:
        case 1:
          if (live_.size() < kMostTasks) {
            return Step::system_call([this, &self](Task&) { add_task(&self); });
          }
          [[fallthrough]];
        case 2:
        case 3:
          if (live_.size() > kFewTasks) return Step::exit();
          if (chance(16)) return Step::system_call([this, &self](Task&) { fork_and_wait(self); });
          return Step::system_call([this, &self](Task&) { add_task(&self); });
        case 4:
        case 5:
        case 6:
        case 7:
        case 8:
          return Step::system_call([this](Task&) { change_somebody(); });
        case 9:
          return Step::system_call([this](Task&) { change_groups(); });
        case 10:
          return Step::system_call([this](Task&) { k().sched_exec(); });
        case 11:
          return Step::yield();
        case 12:
        case 13:
        case 14:
        case 15:
        case 16:
        case 17:
        case 18:
        case 19:
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
    switch (rnd(5)) {
      case 0:
        static_cast<void>(k().set_affinity(p, rnd_mask()));
        break;
      case 1:
        k().set_nice(p, static_cast<int>(rnd(40)) - 20);
        break;
      case 2:
        k().wake_up(p);
        break;
      case 3:
        send_signal(p);
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
  /// Few are stopped at a time, and all are continued in the end.
  void send_signal(Task& p) {
    if (chance(8)) return k().kill(p, SIGKILL);
    if (chance(3)) {
      k().kill(p, SIGSTOP);
      k().sleep_ns(rnd_us(20'000));
    }
    k().kill(p, SIGCONT);
  }

  // ------------------------------------------------------------------------- groups

  /// One that is online, or null: nobody has made any.
  Cgroup* random_group() {
    return paths_.empty() ? nullptr : k().cgroups().find(paths_[rnd(paths_.size())]);
  }
  void change_groups() {
    Cgroups& groups = k().cgroups();
    const u64 what = rnd(8);
    if (what == 0 || paths_.empty()) return make_group();
    if (what == 1) return remove_group();
    Cgroup* group = random_group();
    groups.get(*group);
    if (what < 5) {
      move_tasks(*group);
    } else {
      turn_knob(*group);
    }
    groups.put(*group);
  }
  void make_group() {
    if (paths_.size() >= kMostGroups) return remove_group();
    const Cgroup* parent = chance(3) ? random_group() : nullptr;
    const std::string base = parent && parent->level < 4 ? parent->path : "";
    // EBUSY where the parent has tasks, or what the scheduler refuses it with.
    static_cast<void>(k().cgroups().create(base + "/g" + std::to_string(next_group_++)));
  }
  /// Empties it first, unless somebody comes in meanwhile.
  void remove_group() {
    if (paths_.empty()) return;
    const std::string path = paths_[rnd(paths_.size())];
    Cgroup* group = k().cgroups().find(path);
    std::vector<Task*> tasks;
    for (Task* p = group->tasks.front(); p; p = group->tasks.next(*p)) tasks.push_back(p);
    static_cast<void>(k().cgroups().attach(k().cgroups().root(), tasks));
    static_cast<void>(k().cgroups().remove(path));
  }
  /// A process of some threads, or one.
  void move_tasks(Cgroup& to) {
    std::vector<Task*> tasks;
    for (u64 n = 1 + rnd(4); n != 0 && !live_.empty(); --n) {
      Task* p = live_[rnd(live_.size())];
      if (std::find(tasks.begin(), tasks.end(), p) == tasks.end()) tasks.push_back(p);
    }
    static_cast<void>(k().cgroups().attach(chance(8) ? k().cgroups().root() : to, tasks));
  }
  void turn_knob(Cgroup& group) {
    Cgroups& groups = k().cgroups();
    ++nr_knobs_;
    switch (rnd(6)) {
      case 0:
      case 1:
        static_cast<void>(groups.set_weight(group, 1 + rnd(10'000)));
        break;
      case 2:
        static_cast<void>(groups.set_weight_nice(group, static_cast<s64>(rnd(40)) - 20));
        break;
      case 3:
        static_cast<void>(groups.set_idle(group, static_cast<s64>(rnd(2))));
        break;
      case 4:
        static_cast<void>(
            groups.set_max(group, chance(2) ? kRuntimeInf : 5'000 + rnd(200'000), 100'000));
        break;
      default:
        static_cast<void>(groups.set_burst(group, rnd(5'000)));
    }
  }
  /// With nobody in them any more; children first.
  void remove_groups() {
    while (!paths_.empty()) {
      const std::string path = paths_.back();  // a child comes after its parent
      const auto done = k().cgroups().remove(path);
      USCX_ASSERT(done.has_value());
    }
  }

  // ------------------------------------------------------------------------- CPUs

  u32 nr_online() { return bitmap::weight(k().online_mask().bits, k().nr_cpus()); }
  void switch_a_cpu() {
    k().sleep_ns(rnd_us(40'000));
    const auto cpu = static_cast<CpuId>(rnd(k().nr_cpus()));
    if (!k().rq(cpu).online) {
      static_cast<void>(k().cpu_up(cpu));
    } else if (nr_online() > kFewestCpus) {
      if (k().cpu_down(cpu)) ++nr_downs_;
    }
  }

  // ------------------------------------------------------------------------- the end

  /// Everybody ends, and leaves nothing behind: what a lost task, a leaked reference or a lock that
  /// is still held would prevent.
  void drain() {
    calm_ = true;
    const auto ended = machine_->run_until([&] { return clean_; }, now() + Nanos::from_s(60));
    ASSERT_TRUE(ended.has_value()) << ended.error().message;
    ASSERT_TRUE(clean_) << live_.size() << " tasks do not come to their end, one of them "
                        << (live_.empty() ? "" : about(*live_.front()));
    run_for(Nanos::from_ms(300));  // the last grace periods
    expect_empty();
  }
  /// Who cleans up when it is calm.
  void add_cleaner() {
    clean_ = false;
    TaskSpec cleaner;
    cleaner.comm = "cleaner";
    cleaner.policy = SCHED_FIFO;
    cleaner.rt_priority = 60;
    cleaner.behaviour = scripted([this](Kernel&, Task&) -> Step {
      if (clean_) return Step::exit();
      return Step::system_call([this](Task&) { calm_ ? clean() : k().sleep_ns(kPause); });
    });
    spawn(std::move(cleaner));
  }
  void clean() {
    while (!live_.empty() || nr_actors_ != 0) {
      for (const std::string& path : std::vector(paths_)) {
        if (Cgroup* group = k().cgroups().find(path)) {
          static_cast<void>(k().cgroups().set_max(*group, kRuntimeInf, 100'000));
        }
      }
      for (Task* p : std::vector(live_)) {
        if (std::find(live_.begin(), live_.end(), p) != live_.end()) k().kill(*p, SIGCONT);
      }
      k().sleep_ns(kPause);
    }
    for (u32 i = 0; i < k().nr_cpus(); ++i) static_cast<void>(k().cpu_up(static_cast<CpuId>(i)));
    remove_groups();
    while (k().cgroups().count() != 1) k().sleep_ns(kPause);
    clean_ = true;
  }
  static std::string about(const Task& p) {
    return fmt::format("{}[{}] of CPU {}, {}, state {:#x}, on_rq {}", p.comm, p.pid, p.cpu,
                       p.klass->name(), u32{p.__state}, p.on_rq_state);
  }
  void expect_empty() {
    u32 nr_tasks = 0;
    auto& tasks = KernelInternals::of(k()).all_tasks;
    for (Task* p = tasks.front(); p; p = tasks.next(*p)) {
      ++nr_tasks;
      EXPECT_TRUE(p->is_kthread()) << about(*p);
      EXPECT_EQ(p->usage.refs.counter, 1) << about(*p);
    }
    EXPECT_EQ(k().cgroups().root().refs, nr_tasks + 1);
    for (u32 i = 0; i < k().nr_cpus(); ++i) {
      const Rq& rq = k().rq(static_cast<CpuId>(i));
      EXPECT_TRUE(rq.online && rq.active);
      EXPECT_EQ(rq.nr_running, 0U) << "CPU " << i << " runs " << about(*rq.current());
    }
    for (SleepingLock* lock :
         {&ext().enable_mutex, &ext().cpus_lock, &ext().fork_rwsem, &ext().cgroup_ops_rwsem,
          &k().cgroups().mutex, &k().cgroups().threadgroup_rwsem}) {
      EXPECT_FALSE(lock->write_held());
      EXPECT_EQ(lock->readers(), 0U);
    }
    EXPECT_EQ(ext().root, nullptr);
    EXPECT_EQ(ext().iters, nullptr);
    EXPECT_TRUE(ext().cursors.empty());
    EXPECT_TRUE(ext().tids.empty());
  }

  std::vector<Task*> live_;
  std::vector<std::string> paths_;  // of groups that are online, by creation
  u32 next_group_ = 0;
  u32 nr_actors_ = 0;
  bool clean_ = false;
  u64 nr_downs_ = 0, nr_moves_ = 0, nr_knobs_ = 0, nr_groups_ = 0;
};

}  // namespace uscx::sched::testing
