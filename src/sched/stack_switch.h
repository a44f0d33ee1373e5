// SPDX-License-Identifier: GPL-2.0-only
// Going from one stack to another. ucontext does it with a system call each time, to switch the
// signal mask, which is the same everywhere here; on x86-64 a few instructions do.
#pragma once

#include <cstddef>

#ifndef __x86_64__
#include <ucontext.h>
#endif

namespace uscx::sched {

#ifdef __x86_64__

/// Where a stack that is not running goes on: everything else it needs lies on it.
struct StackContext {
  void* stack_pointer = nullptr;
};

#else

struct StackContext {
  ucontext_t context{};
};

#endif

/// Makes `context` one that begins with `main(argument)`, which must not return, on the memory at
/// `stack`.
void make_stack(StackContext& context, void* stack, std::size_t size, void (*main)(void*),
                void* argument);
/// Leaves this stack, in `from`, and goes on with `to`. Returns when somebody switches back.
void switch_stack(StackContext& from, const StackContext& to);

}  // namespace uscx::sched
