// SPDX-License-Identifier: GPL-2.0-only
// A workload that runs on a kernel: its tasks, what they share, and how they end.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "sched/kernel.h"
#include "workload/resources.h"
#include "workload/spec.h"

namespace uscx::workload {

class Actor;

/// Which of the threads of a ThreadSpec a task is.
struct Identity {
  u32 group = 0;
  u32 instance = 0;  // in its group
  u32 number = 0;    // among all tasks of the workload: picks its stream of random numbers
};

/// Counts of what did not go as the file says, for the report.
struct Troubles {
  u64 forks_failed = 0;
  u64 calls_failed = 0;  // sched_setaffinity(), sched_setscheduler(), writes to cgroups, ...
  u64 waits_failed = 0;  // polled for longer than anything takes
};

/// Shared by the launcher, all tasks and the Workload. Tasks may outlive the Workload object.
class Run {
 public:
  Run(std::shared_ptr<const WorkloadSpec> spec, sched::Kernel& kernel);

  const WorkloadSpec& spec() const { return *spec_; }
  sched::Kernel& kernel() { return kernel_; }
  sched::Machine& machine() { return machine_; }
  Resources& resources() { return resources_; }
  bool stopping() const { return stopping_; }
  /// The launcher has seen the last task go.
  bool finished() const { return finished_; }
  void set_finished() { finished_ = true; }
  Troubles& troubles() { return troubles_; }
  u64 started() const { return started_; }
  u64 running() const { return running_; }

  struct Planned {
    u32 thread;  // index in the spec
    u32 group;
    u32 instance;
  };
  /// What the launcher starts, in order. Errors: counts or CPUs the machine does not have.
  OrError<void> plan();
  const std::vector<Planned>& planned() const { return planned_; }

  /// The cgroups that are to be there before the first task, parents first.
  const std::vector<CgroupSpec>& planned_cgroups() const { return planned_cgroups_; }
  /// On a fiber: makes one with its settings, or writes them. What fails is counted.
  void make_cgroup(const CgroupSpec& what);
  void set_cgroup(const std::string& path, const CgroupSettings& settings);
  /// Moves all tasks of a thread of the file.
  void move_to_cgroup(const std::string& thread, const std::string& path);
  void attach_to_cgroup(sched::Task& task, const std::string& path);

  /// On the fiber of `parent`: forks one task.
  void fork(sched::Task& parent, const Planned& what);
  /// The thread of that name, for the fork event.
  u32 thread_index(const std::string& name) const;
  /// The last task forked of that thread, or null where it has exited.
  sched::Task* task_of(const std::string& name) const;
  /// Its number, which stays; 0: none was forked.
  Pid pid_of(const std::string& name) const { return last_forked_[thread_index(name)]; }
  /// "attach", "detach", "set NAME=VALUE": the user half of the scheduler under test does it on the
  /// caller's fiber. Errors: what it says.
  using SchedulerControl = std::function<OrError<void>(std::string_view action)>;
  void set_scheduler_control(SchedulerControl control) { scheduler_control_ = std::move(control); }
  OrError<void> control_scheduler(std::string_view action) {
    return scheduler_control_ ? scheduler_control_(action) : error("no scheduler to control");
  }
  Random stream(u32 number) const;

  void enter(Actor& actor);   // it has run for the first time
  void leave(Actor& actor);   // its last step is under way
  void forget(Actor& actor);  // it is destroyed without having left
  void set_launcher(sched::Task* launcher) { launcher_ = launcher; }
  /// In interrupt context: every task ends with its step; those that sleep are woken.
  void stop();

  /// Ends the run at a time. Its own because it fires in interrupt context.
  struct StopTimer final : sched::Timer {
    explicit StopTimer(Run& r) : run(r) {}
    void fired(sched::Kernel&) override { run.stop(); }
    Run& run;
  } stop_timer{*this};

  /// Nothing of it may fire any more.
  void detach();

 private:
  void count_barrier_users();
  void plan_cgroup(const CgroupSpec& spec);
  void plan_cgroups();
  sched::TaskSpec describe(const ThreadSpec& thread, std::unique_ptr<Actor> actor,
                           u32 number) const;

  std::shared_ptr<const WorkloadSpec> spec_;
  sched::Kernel& kernel_;
  sched::Machine& machine_;
  Resources resources_;
  std::vector<Planned> planned_;
  std::vector<CgroupSpec> planned_cgroups_;
  std::vector<Pid> last_forked_;  // by index of the thread
  std::vector<bool> waited_for_;  // likewise: somebody calls waitpid() for it
  SchedulerControl scheduler_control_;
  std::vector<Actor*> actors_;  // by number; null where not running
  sched::Task* launcher_ = nullptr;
  u64 started_ = 0;
  u64 running_ = 0;
  u32 next_number_ = 0;
  bool stopping_ = false;
  bool finished_ = false;
  Troubles troubles_;

 public:
  std::weak_ptr<Run> self;  // what actors hold on to
};

/// `name` with %g, %i and %l replaced. %l stays where `loop` is null.
std::string substitute(const std::string& name, const Identity& who, const u64* loop);
bool has_loop_index(const std::string& name);

}  // namespace uscx::workload
