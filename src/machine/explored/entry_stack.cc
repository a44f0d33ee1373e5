// SPDX-License-Identifier: GPL-2.0-only
#include "machine/explored/entry_stack.h"

#include <sys/mman.h>
#include <ucontext.h>

#include "base/assert.h"
#include "base/types.h"

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

namespace uscx::machine {

namespace {
constexpr std::size_t kStackSize = 512 * 1024;  // touched as far as it is used
constexpr std::size_t kGuardSize = 4096;
}  // namespace

struct EntryStack::Impl {
  ucontext_t inside{}, outside{};
  std::byte* stack = nullptr;  // with a guard page below
  std::function<void()> entry;
  bool running = false;
  bool done = true;
  // The sanitizer's view: the stack to go on on, which may be a fiber's, and the loop's.
  void* inside_fake = nullptr;
  const void* inside_bottom = nullptr;
  std::size_t inside_size = 0;
  void* outside_fake = nullptr;
  const void* outside_bottom = nullptr;
  std::size_t outside_size = 0;

  void enter() {
    running = true;
#ifdef USCX_ASAN_FIBERS
    __sanitizer_start_switch_fiber(&outside_fake, inside_bottom, inside_size);
#endif
    swapcontext(&outside, &inside);
#ifdef USCX_ASAN_FIBERS
    __sanitizer_finish_switch_fiber(outside_fake, &inside_bottom, &inside_size);
#endif
    running = false;
  }

  void leave() {
#ifdef USCX_ASAN_FIBERS
    __sanitizer_start_switch_fiber(done ? nullptr : &inside_fake, outside_bottom, outside_size);
#endif
    swapcontext(&inside, &outside);
    arrived();
  }

  void arrived() {
#ifdef USCX_ASAN_FIBERS
    __sanitizer_finish_switch_fiber(inside_fake, &outside_bottom, &outside_size);
#endif
  }

  static void main(unsigned low, unsigned high) {
    auto* self = reinterpret_cast<Impl*>(static_cast<u64>(high) << 32 | low);
    self->arrived();
    for (;;) {
      self->entry();
      self->done = true;
      self->inside_fake = nullptr;
      self->leave();  // returns where the next entry begins
    }
  }
};

EntryStack::EntryStack() : impl_(std::make_unique<Impl>()) {
  void* memory = mmap(nullptr, kStackSize + kGuardSize, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  USCX_ASSERT(memory != MAP_FAILED);
  impl_->stack = static_cast<std::byte*>(memory);
  USCX_ASSERT(mprotect(memory, kGuardSize, PROT_NONE) == 0);
  impl_->inside_bottom = impl_->stack + kGuardSize;
  impl_->inside_size = kStackSize;
  USCX_ASSERT(getcontext(&impl_->inside) == 0);
  impl_->inside.uc_stack.ss_sp = impl_->stack + kGuardSize;
  impl_->inside.uc_stack.ss_size = kStackSize;
  impl_->inside.uc_link = nullptr;
  const u64 self = reinterpret_cast<u64>(impl_.get());
  makecontext(&impl_->inside, reinterpret_cast<void (*)()>(&Impl::main), 2,
              static_cast<unsigned>(self), static_cast<unsigned>(self >> 32));
}

EntryStack::~EntryStack() {
  USCX_ASSERT(impl_->done && !impl_->running);
  munmap(impl_->stack, kStackSize + kGuardSize);
}

void EntryStack::start(std::function<void()> entry) {
  USCX_ASSERT(impl_->done);
  impl_->entry = std::move(entry);
  impl_->done = false;
}

void EntryStack::resume() {
  USCX_ASSERT(!impl_->done && !impl_->running);
  impl_->enter();
}

void EntryStack::give_way() {
  USCX_ASSERT(impl_->running && !impl_->done);
  impl_->leave();
}

bool EntryStack::finished() const {
  return impl_->done;
}

}  // namespace uscx::machine
