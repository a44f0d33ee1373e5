// SPDX-License-Identifier: GPL-2.0-only
#include "sched/ext/worker.h"

#include <deque>

#include "base/assert.h"

namespace uscx::sched::ext {

struct Worker::State {
  std::deque<std::function<void()>> pending;
  bool stop = false;
  Task* task = nullptr;
};

Worker::Worker(Kernel& kernel, std::string comm, int rt_priority, CpuId cpu)
    : kernel_(kernel), state_(std::make_shared<State>()) {
  auto state = state_;
  Kernel* k = &kernel;
  state_->task = &kernel.create_kthread(
      std::move(comm),
      [k, state](Task& self) {
        state->task = &self;
        main(*k, *state);
      },
      rt_priority, cpu);
}

void Worker::main(Kernel& kernel, State& state) {
  for (;;) {
    if (!state.pending.empty()) {
      auto work = std::move(state.pending.front());
      state.pending.pop_front();
      work();
      USCX_ASSERT(kernel.held().empty());
    } else if (state.stop) {
      return;
    } else {
      kernel.block(TASK_INTERRUPTIBLE);
    }
  }
}

void Worker::wake() {
  kernel_.wake_up(*state_->task);
}

void Worker::queue(std::function<void()> work) {
  USCX_ASSERT(!state_->stop);
  state_->pending.push_back(std::move(work));
  wake();
}

Task& Worker::task() {
  return *state_->task;
}

void Worker::shut_down() {
  if (state_->stop) return;
  state_->stop = true;
  wake();
}

}  // namespace uscx::sched::ext
