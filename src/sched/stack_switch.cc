// SPDX-License-Identifier: GPL-2.0-only
#include "sched/stack_switch.h"

#include <cstdint>

#include "base/assert.h"

namespace uscx::sched {

#ifdef __x86_64__

// The registers that a called function preserves go onto the stack; the control words of the
// floating point units are the same on all stacks. A new stack begins as if it had been left just
// before a return to uscx_stack_begins, with r12 and r13 as below.
extern "C" void uscx_switch_stack(void** from, void* to);
extern "C" void uscx_stack_begins();
asm(R"(
  .pushsection .text
  .globl uscx_switch_stack
  .hidden uscx_switch_stack
  .type uscx_switch_stack, @function
uscx_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size uscx_switch_stack, .-uscx_switch_stack

  .globl uscx_stack_begins
  .hidden uscx_stack_begins
  .type uscx_stack_begins, @function
uscx_stack_begins:
  .cfi_startproc
  .cfi_undefined rip
  movq %r12, %rdi
  callq *%r13
  ud2
  .cfi_endproc
  .size uscx_stack_begins, .-uscx_stack_begins
  .popsection
)");

void make_stack(StackContext& context, void* stack, std::size_t size, void (*main)(void*),
                void* argument) {
  const auto top = (reinterpret_cast<std::uintptr_t>(stack) + size) & ~std::uintptr_t{15};
  auto* sp = reinterpret_cast<void**>(top);
  *--sp = nullptr;  // two words keep the stack aligned as a call expects it
  *--sp = nullptr;
  *--sp = reinterpret_cast<void*>(&uscx_stack_begins);
  *--sp = nullptr;                        // rbp: the end of the chain of frames
  *--sp = nullptr;                        // rbx
  *--sp = argument;                       // r12
  *--sp = reinterpret_cast<void*>(main);  // r13
  *--sp = nullptr;                        // r14
  *--sp = nullptr;                        // r15
  context.stack_pointer = sp;
}

void switch_stack(StackContext& from, const StackContext& to) {
  uscx_switch_stack(&from.stack_pointer, to.stack_pointer);
}

#else

static void begin(unsigned main_low, unsigned main_high, unsigned low, unsigned high) {
  const auto join = [](unsigned l, unsigned h) { return std::uintptr_t{h} << 32 | l; };
  auto* main = reinterpret_cast<void (*)(void*)>(join(main_low, main_high));
  main(reinterpret_cast<void*>(join(low, high)));
}

void make_stack(StackContext& context, void* stack, std::size_t size, void (*main)(void*),
                void* argument) {
  USCX_ASSERT(getcontext(&context.context) == 0);
  context.context.uc_stack.ss_sp = stack;
  context.context.uc_stack.ss_size = size;
  context.context.uc_link = nullptr;
  // makecontext() passes ints only.
  const auto m = reinterpret_cast<std::uintptr_t>(main);
  const auto a = reinterpret_cast<std::uintptr_t>(argument);
  const auto low = [](std::uintptr_t x) { return static_cast<unsigned>(x); };
  const auto high = [](std::uintptr_t x) { return static_cast<unsigned>(std::uint64_t{x} >> 32); };
  makecontext(&context.context, reinterpret_cast<void (*)()>(&begin), 4, low(m), high(m), low(a),
              high(a));
}

void switch_stack(StackContext& from, const StackContext& to) {
  swapcontext(&from.context, &to.context);
}

#endif

}  // namespace uscx::sched
