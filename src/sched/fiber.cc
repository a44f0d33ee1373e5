// SPDX-License-Identifier: GPL-2.0-only
#include "sched/fiber.h"

#include <sys/mman.h>

#include "base/assert.h"
#include "sched/stack_switch.h"

#if defined(__SANITIZE_ADDRESS__)
#define USCX_ASAN_FIBERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define USCX_ASAN_FIBERS 1
#endif
#endif
#ifdef USCX_ASAN_FIBERS
#include <sanitizer/common_interface_defs.h>
#endif

namespace uscx::sched {

namespace {

/// Thrown out of suspend() when the fiber is destroyed, so that what its stack owns is released.
struct FiberEnds {};

constexpr std::size_t kGuardSize = 4096;

}  // namespace

struct Fiber::Impl {
  StackContext inside, outside;
  std::byte* stack = nullptr;  // with a guard page below
  std::function<void()> entry;
  bool running = false;
  bool done = true;
  bool ending = false;
  // The sanitizer's view of the two stacks.
  void* inside_fake = nullptr;
  void* outside_fake = nullptr;
  const void* outside_bottom = nullptr;
  std::size_t outside_size = 0;

  void enter() {
    running = true;
#ifdef USCX_ASAN_FIBERS
    __sanitizer_start_switch_fiber(&outside_fake, stack + kGuardSize, kStackSize);
#endif
    switch_stack(outside, inside);
#ifdef USCX_ASAN_FIBERS
    __sanitizer_finish_switch_fiber(outside_fake, nullptr, nullptr);
#endif
    running = false;
  }

  void leave() {
#ifdef USCX_ASAN_FIBERS
    // A finished fiber's fake stack goes.
    __sanitizer_start_switch_fiber(done ? nullptr : &inside_fake, outside_bottom, outside_size);
#endif
    switch_stack(inside, outside);
    arrived();
  }

  /// First thing on the fiber's stack after every switch to it.
  void arrived() {
#ifdef USCX_ASAN_FIBERS
    __sanitizer_finish_switch_fiber(inside_fake, &outside_bottom, &outside_size);
#endif
  }

  static void main(void* argument) {
    auto* self = static_cast<Impl*>(argument);
    self->inside_fake = nullptr;
    self->arrived();
    for (;;) {
      try {
        self->entry();
      } catch (const FiberEnds&) {
      }
      self->entry = nullptr;
      self->done = true;
      self->leave();  // returns where the fiber is started again
    }
  }
};

Fiber::Fiber() : impl_(std::make_unique<Impl>()) {
  void* memory = mmap(nullptr, kStackSize + kGuardSize, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  USCX_ASSERT(memory != MAP_FAILED);
  impl_->stack = static_cast<std::byte*>(memory);
  USCX_ASSERT(mprotect(memory, kGuardSize, PROT_NONE) == 0);
  make_stack(impl_->inside, impl_->stack + kGuardSize, kStackSize, &Impl::main, impl_.get());
}

Fiber::~Fiber() {
  USCX_ASSERT(!impl_->running);
  if (!impl_->done) {
    impl_->ending = true;
    impl_->enter();
    USCX_ASSERT(impl_->done);
  }
  munmap(impl_->stack, kStackSize + kGuardSize);
}

void Fiber::start(std::function<void()> entry) {
  USCX_ASSERT(impl_->done && held.empty());
  impl_->entry = std::move(entry);
  impl_->done = false;
  impl_->inside_fake = nullptr;
}

void Fiber::resume() {
  USCX_ASSERT(!impl_->done && !impl_->running);
  impl_->enter();
}

void Fiber::suspend() {
  USCX_ASSERT(impl_->running && !held.atomic());
  // While it unwinds, destructors may want to wait: nobody is left to wait for.
  if (impl_->ending) return;
  impl_->leave();
  if (impl_->ending) throw FiberEnds{};
}

bool Fiber::finished() const {
  return impl_->done;
}

}  // namespace uscx::sched
