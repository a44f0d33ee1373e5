// SPDX-License-Identifier: GPL-2.0-only
// The cpu controller's files: cpu.weight, cpu.weight.nice, cpu.idle, cpu.max, cpu.max.burst.
//
// They are written without cgroup_mutex; sched_ext is told under scx_cgroup_ops_rwsem. The fair
// class has taken the new value by then.
#include <algorithm>
#include <cerrno>

#include "sched/cgroup.h"
#include "sched/private.h"

namespace uscx::sched {

namespace {

constexpr u64 kWeightMin = 1, kWeightMax = 10'000;
constexpr u64 kMinShares = 2, kMaxShares = 1UL << 18;
constexpr u64 kIdleShares = 3;  // WEIGHT_IDLEPRIO
constexpr u64 kMinPeriodUs = 1'000, kMaxPeriodUs = 1'000'000;
constexpr u64 kMaxRuntimeUs = (1ULL << 44) - 1;  // MAX_BW
constexpr u64 kMaxUs = ~0ULL / 1'000;

/// Rounded to the nearest. Linux: sched_weight_from_cgroup(), sched_weight_to_cgroup().
u64 shares_of_weight(u64 weight) {
  return (weight * 1024 + 50) / 100;
}
u64 weight_of_shares(u64 shares) {
  return std::clamp<u64>((shares * 100 + 512) / 1024, kWeightMin, kWeightMax);
}

bool valid_bandwidth(u64 period_us, u64 quota_us, u64 burst_us) {
  const bool limited = quota_us != kRuntimeInf;
  if (period_us > kMaxUs || (limited && quota_us > kMaxUs) || burst_us > kMaxUs) return false;
  if (quota_us < kMinPeriodUs || period_us < kMinPeriodUs || period_us > kMaxPeriodUs) return false;
  if (!limited) return true;
  return quota_us <= kMaxRuntimeUs && burst_us <= quota_us && burst_us + quota_us <= kMaxRuntimeUs;
}

}  // namespace

/// `shares` 1024 for a weight of 100. Linux: sched_group_set_shares().
Result<void> Cgroups::set_shares(Cgroup& cgrp, u64 shares) {
  if (!cgrp.online) return fail(ENODEV);
  if (cgrp.group->is_root() || cgrp.group->idle != 0) return fail(EINVAL);
  fair_group_set_shares(*cgrp.group, std::clamp(shares, kMinShares, kMaxShares) << 10);
  return {};
}

Result<void> Cgroups::set_weight(Cgroup& cgrp, u64 weight) {
  kernel_.activate();
  if (weight < kWeightMin || weight > kWeightMax) return fail(ERANGE);
  if (auto done = set_shares(cgrp, shares_of_weight(weight)); !done) return done;
  kernel_.ext().group_set_weight(*cgrp.group, static_cast<u32>(weight));
  return {};
}

Result<void> Cgroups::set_weight_nice(Cgroup& cgrp, s64 nice) {
  kernel_.activate();
  if (nice < -20 || nice > 19) return fail(ERANGE);
  const u32 shares = prio_to_weight(static_cast<int>(nice) + 20);
  if (auto done = set_shares(cgrp, shares); !done) return done;
  kernel_.ext().group_set_weight(*cgrp.group, static_cast<u32>(weight_of_shares(shares)));
  return {};
}

Result<void> Cgroups::set_idle(Cgroup& cgrp, s64 idle) {
  kernel_.activate();
  if (!cgrp.online) return fail(ENODEV);
  TaskGroup& group = *cgrp.group;
  if (group.is_root() || idle < 0 || idle > 1) return fail(EINVAL);
  if (group.idle != idle) {
    group.idle = static_cast<int>(idle);
    fair_group_set_shares(group, (idle ? kIdleShares : 1024) << 10);
  }
  kernel_.ext().group_set_idle(group, idle != 0);
  return {};
}

Result<void> Cgroups::set_bandwidth(Cgroup& cgrp, u64 period_us, u64 quota_us, u64 burst_us) {
  kernel_.activate();
  if (!cgrp.online) return fail(ENODEV);
  TaskGroup& group = *cgrp.group;
  if (group.is_root() || !valid_bandwidth(period_us, quota_us, burst_us)) return fail(EINVAL);
  const u64 quota_ns = quota_us == kRuntimeInf ? kRuntimeInf : quota_us * 1'000;
  fair_group_set_bandwidth(kernel_, group, period_us * 1'000, quota_ns, burst_us * 1'000);
  kernel_.ext().group_set_bandwidth(group, period_us, quota_us, burst_us);
  return {};
}

Result<void> Cgroups::set_max(Cgroup& cgrp, u64 quota_us, u64 period_us) {
  return set_bandwidth(cgrp, period_us, quota_us, cgrp.group->fair.bandwidth.burst_ns / 1'000);
}

Result<void> Cgroups::set_burst(Cgroup& cgrp, u64 burst_us) {
  const FairBandwidth& b = cgrp.group->fair.bandwidth;
  const u64 quota_us = b.enabled() ? b.quota_ns / 1'000 : kRuntimeInf;
  return set_bandwidth(cgrp, b.period_ns / 1'000, quota_us, burst_us);
}

}  // namespace uscx::sched
