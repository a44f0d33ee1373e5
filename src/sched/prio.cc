// SPDX-License-Identifier: GPL-2.0-only
// Nice values, weights, policies.
#include <array>

#include "base/bitmap.h"
#include "sched/deadline.h"
#include "sched/private.h"

namespace uscx::sched {

namespace {

// One nice level is 10 % of CPU time, so weights go by a factor of 1.25 around 1024. The values are
// Linux's, which programs see as p->scx.weight.
constexpr std::array<u32, 40> kPrioToWeight = {
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906,  3121,  2501,  1991,  1586,  1277,  1024,  820,   655,   526,   423,  335,  272,  215,
    172,   137,   110,   87,    70,    56,    45,    36,    29,    23,    18,   15};
constexpr u32 kWeightIdlePrio = 3;

bool valid_policy(int policy) {
  return dl_policy(policy) || rt_policy(policy) || fair_policy(policy);
}

/// Linux: __checkparam_dl(), with the limits of sched_deadline_period_{min,max}_us.
bool valid_parameters(const DlParameters& par) {
  constexpr u64 kShortestRuntimeNs = 1 << 10;
  constexpr u64 kShortestPeriodNs = 100'000, kLongestPeriodNs = (1ULL << 22) * 1000;
  return par.runtime_ns >= kShortestRuntimeNs && par.runtime_ns <= par.deadline_ns &&
         par.deadline_ns <= par.period_ns && par.period_ns >= kShortestPeriodNs &&
         par.period_ns <= kLongestPeriodNs;
}

}  // namespace

u32 prio_to_weight(int index) {
  return kPrioToWeight.at(static_cast<std::size_t>(index));
}

int normal_prio(int policy, int rt_priority, int nice) {
  if (dl_policy(policy)) return -1;  // MAX_DL_PRIO - 1
  return rt_policy(policy) ? MAX_RT_PRIO - 1 - rt_priority : DEFAULT_PRIO + nice;
}

void set_load_weight(Kernel& kernel, Task& p, bool update_load) {
  const u32 weight = p.policy == static_cast<u32>(SCHED_IDLE)
                         ? kWeightIdlePrio
                         : prio_to_weight(p.static_prio - MAX_RT_PRIO);
  p.se.load.weight = static_cast<unsigned long>(weight) << 10;
  p.se.load.inv_weight = static_cast<u32>((1ULL << 32) / weight);
  if (update_load) p.klass->reweight_task(kernel.task_rq(p), p, weight);
}

void Kernel::set_nice(Task& p, int nice) {
  activate();
  if (task_nice(p) == nice || nice < -20 || nice > 19) return;
  Rq& r = task_rq_lock(p);
  if (!fair_policy(static_cast<int>(p.policy))) {
    p.static_prio = DEFAULT_PRIO + nice;
  } else {
    sched_change(p, DEQUEUE_SAVE, [&] {
      p.static_prio = DEFAULT_PRIO + nice;
      set_load_weight(*this, p, true);
      p.prio = p.normal_prio = p.static_prio;
    });
  }
  task_rq_unlock(r, p);
}

SchedClass& Kernel::class_for(const Task&, int policy, int prio) {
  if (dl_policy(policy)) return *dl_;
  if (rt_prio(prio)) return *rt_;
  if (ext_->task_should_scx(policy)) return ext_class();
  return *fair_;
}

Result<void> Kernel::set_scheduler(Task& p, int policy, int rt_priority) {
  return private_->setscheduler(p, policy, rt_priority, {});
}

Result<void> Kernel::set_deadline(Task& p, const DlParameters& parameters) {
  DlParameters whole = parameters;
  if (whole.period_ns == 0) whole.period_ns = whole.deadline_ns;
  return private_->setscheduler(p, SCHED_DEADLINE, 0, whole);
}

/// Whether `p` has all that it is to have.
bool Kernel::Private::has_policy(const Task& p, int policy, int rt_priority,
                                 const DlParameters& parameters) {
  if (policy != static_cast<int>(p.policy)) return false;
  if (dl_policy(policy)) return p.dl->parameters == parameters;
  return !rt_policy(policy) || static_cast<u32>(rt_priority) == p.rt_priority;
}

/// What may keep a task from a policy, with its locks held. Linux: the middle of
/// __sched_setscheduler().
Result<void> Kernel::Private::check_setscheduler(Task& p, int policy,
                                                 const DlParameters& parameters) {
  if (!dl_policy(policy)) return {};
  // Admission is to the whole machine: a task that could not use all of it would not get its share.
  for (u32 i = 0; i < k.nr_cpus(); ++i) {
    const bool active = bitmap::test(k.active_mask_->bits, i);
    if (active && !bitmap::test(p.cpus_ptr->bits, i)) return fail(EPERM);
  }
  return dl_set_parameters(p, policy, parameters);
}

Result<void> Kernel::Private::setscheduler(Task& p, int policy, int rt_priority,
                                           const DlParameters& parameters) {
  k.activate();
  if (!valid_policy(policy) || rt_priority < 0 || rt_priority > MAX_RT_PRIO - 1 ||
      rt_policy(policy) != (rt_priority != 0) ||
      (dl_policy(policy) && !valid_parameters(parameters))) {
    return fail(EINVAL);
  }
  Rq& r = k.task_rq_lock(p);
  k.update_rq_clock(r);
  const auto unlock = [&] { k.task_rq_unlock(r, p); };
  if (&p == Task::from(r.stop)) {
    unlock();
    return fail(EINVAL);
  }
  if (const int err = k.ext_->check_setscheduler(p, policy); err != 0) {
    unlock();
    return fail(err);
  }
  if (has_policy(p, policy, rt_priority, parameters)) {
    unlock();
    return {};
  }
  if (const Result<void> ok = check_setscheduler(p, policy, parameters); !ok) {
    unlock();
    return ok;
  }

  const int old_prio = p.prio;
  const int new_prio = normal_prio(policy, rt_priority, task_nice(p));
  SchedClass& next = k.class_for(p, policy, new_prio);
  int flags = DEQUEUE_SAVE | DEQUEUE_MOVE | DEQUEUE_NOCLOCK;
  if (new_prio == old_prio && !dl_policy(policy)) flags &= ~DEQUEUE_MOVE;
  if (p.klass != &next) flags |= DEQUEUE_CLASS;
  SchedChange scope = k.sched_change_begin(p, flags);
  p.policy = static_cast<u32>(policy);
  p.rt_priority = static_cast<u32>(rt_priority);
  p.normal_prio = new_prio;
  set_load_weight(k, p, true);
  p.klass = &next;
  p.prio = new_prio;
  // A task that loses priority goes ahead of its new equals.
  if (scope.queued && old_prio < p.prio) scope.flags |= ENQUEUE_HEAD;
  k.sched_change_end(scope);
  unlock();
  return {};
}

}  // namespace uscx::sched
