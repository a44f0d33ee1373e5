// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/timer.h"

#include <time.h>

#include <map>

#include "bpf/bpf.h"
#include "bpf/impl.h"

namespace uscx::bpf {

namespace {

constexpr u64 kMaxClocks = 16;
constexpr u64 kTimerAbs = 1;     // BPF_F_TIMER_ABS
constexpr u64 kTimerCpuPin = 2;  // BPF_F_TIMER_CPU_PIN

}  // namespace

struct BpfTimer {
  HostTimer host;
  Map* map = nullptr;
  u64 value = 0;       // of the map that holds the timer
  u32* key = nullptr;  // an array's index, in the window
  u64 callback = 0;
  std::shared_ptr<const Program> program;
  bool forgotten = false;
};

TimerTable::~TimerTable() {
  // Maps go before us and take their timers with them; what is left belongs to nobody.
  std::map<u64, std::shared_ptr<BpfTimer>> ordered(timers_.begin(), timers_.end());
  for (auto& [address, timer] : ordered) forget(address);
}

long TimerTable::init(u64 address, Map& map, u64 flags) {
  const u64 clock = flags & (kMaxClocks - 1);
  if (flags >= kMaxClocks ||
      (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME && clock != CLOCK_BOOTTIME)) {
    return -EINVAL;
  }
  if (timers_.contains(address)) return -EBUSY;
  u32 offset = 0;
  for (const Field& field : map.spec().fields.fields) {
    if (field.kind == FieldKind::kTimer) offset = field.offset;
  }
  auto timer = std::make_shared<BpfTimer>();
  timer->map = &map;
  timer->value = address - offset;
  timer->key = static_cast<u32*>(bpf_.window().allocate(sizeof(u32), kReadOnlyMemory));
  std::weak_ptr<BpfTimer> weak = timer;
  timer->host.fire = [this, weak] {
    if (auto t = weak.lock()) fire(t);
  };
  timers_[address] = std::move(timer);
  return 0;
}

long TimerTable::set_callback(u64 address, u64 callback, std::shared_ptr<const Program> program) {
  auto it = timers_.find(address);
  if (it == timers_.end()) return -EINVAL;
  it->second->callback = callback;
  it->second->program = std::move(program);
  return 0;
}

long TimerTable::start(u64 address, u64 nsecs, u64 flags) {
  if (flags & ~(kTimerAbs | kTimerCpuPin)) return -EINVAL;
  auto it = timers_.find(address);
  if (it == timers_.end() || !it->second->program) return -EINVAL;
  const CpuId pinned = flags & kTimerCpuPin ? static_cast<CpuId>(bpf_.host().this_cpu()) : kNoCpu;
  bpf_.host().timer_start(it->second->host, nsecs, flags & kTimerAbs, pinned);
  return 0;
}

long TimerTable::cancel(u64 address) {
  // With interrupts off Linux cannot wait for a callback that runs elsewhere.
  if (bpf_.host().held_locks().atomic()) return -EOPNOTSUPP;
  auto it = timers_.find(address);
  if (it == timers_.end()) return -EINVAL;
  auto running = running_.find(bpf_.host().this_cpu());
  if (running != running_.end() && running->second == it->second.get()) return -EDEADLK;
  BpfTimer& timer = *it->second;
  timer.callback = 0;
  timer.program.reset();
  return bpf_.host().timer_cancel(timer.host) ? 1 : 0;
}

void TimerTable::forget(u64 address) {
  auto it = timers_.find(address);
  if (it == timers_.end()) return;
  std::shared_ptr<BpfTimer> timer = std::move(it->second);
  timers_.erase(it);
  timer->forgotten = true;
  bpf_.host().timer_cancel(timer->host);
  bpf_.impl().free_after_grace(timer->key);
}

void TimerTable::fire(const std::shared_ptr<BpfTimer>& timer) {
  if (timer->forgotten || !timer->program) return;
  const std::shared_ptr<const Program> program = timer->program;
  const u32 cpu = bpf_.host().this_cpu();
  running_[cpu] = timer.get();
  const u64 key = timer->map->key_of_value(timer->value, timer->key);
  Bpf::Impl& impl = bpf_.impl();
  impl.in_run([&] {
    return impl.engine->run_callback(*program, timer->callback,
                                          {timer->map->address(), key, timer->value, 0, 0});
  });
  running_.erase(cpu);
}

}  // namespace uscx::bpf
