// SPDX-License-Identifier: GPL-2.0-only
// Resilient spin locks, interrupt flags, streams and iteration over bits. Linux:
// kernel/bpf/rqspinlock.c, stream.c, helpers.c.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bpf/bpf.h"
#include "bpf/format.h"
#include "bpf/generic_kfuncs.h"
#include "bpf/streams.h"

namespace uscx::bpf {

namespace {

constexpr u64 error_value(int errnum) {
  return static_cast<u64>(-s64{errnum});
}

/// Who holds which bpf_res_spin_lock. Locks may nest in any order, which is why they are no ranked
/// locks: a deadlock is an answer.
class ResSpinLocks {
 public:
  /// EDEADLK where the context holds it; ETIMEDOUT where another one does, which Linux would say
  /// after a quarter of a second.
  int lock(u64 address, const HeldLocks* holder) {
    for (const Held& held : held_) {
      if (held.address == address) return held.holder == holder ? EDEADLK : ETIMEDOUT;
    }
    held_.push_back({address, holder});
    return 0;
  }
  /// Why `address` could not be taken. Linux: bpf_prog_report_rqspinlock_violation.
  std::string violation(u64 address, int err, bool irqsave, const HeldLocks* holder) const {
    std::vector<u64> held;
    for (const Held& h : held_) {
      if (h.holder == holder) held.push_back(h.address);
    }
    std::string text = fmt::format(
        "ERROR: {} for bpf_res_spin_lock{}\nAttempted lock   = {:#018x}\nTotal held locks = {}\n",
        err == ETIMEDOUT ? "Timeout detected" : "AA or ABBA deadlock detected",
        irqsave ? "_irqsave" : "", address, held.size());
    for (std::size_t i = 0; i < held.size(); ++i) {
      text += fmt::format("Held lock[{:2}] = {:#018x}\n", i, held[i]);
    }
    return text;
  }
  bool unlock(u64 address, const HeldLocks* holder) {
    return std::erase_if(held_, [&](const Held& held) {
             return held.address == address && held.holder == holder;
           }) != 0;
  }

 private:
  struct Held {
    u64 address;
    const HeldLocks* holder;
  };
  std::vector<Held> held_;
};

constexpr u64 kLockSize = 8;

u64 res_lock(KfuncCall& call, ResSpinLocks& locks, bool irqsave) {
  if (!call.memory(0, kLockSize, true)) return 0;
  Host& host = call.bpf.host();
  const HeldLocks* holder = &host.held_locks();
  const int err = locks.lock(call.args[0], holder);
  if (err) {
    report_on_stderr(host, call.program, locks.violation(call.args[0], err, irqsave, holder));
  }
  return error_value(err);
}

u64 res_unlock(KfuncCall& call, ResSpinLocks& locks) {
  if (!call.memory(0, kLockSize, true)) return 0;
  if (!locks.unlock(call.args[0], &call.bpf.host().held_locks())) {
    call.fault("bpf_res_spin_unlock of a lock that is not held");
  }
  return 0;
}

/// Programs run with interrupts off as it were: nothing comes in between. The flags say "on".
u64 irq_save(KfuncCall& call) {
  constexpr u64 kInterruptsOn = 1u << 9;  // X86_EFLAGS_IF
  if (auto* flags = call.memory<u64>(0, true)) *flags = kInterruptsOn;
  return 0;
}
u64 irq_restore(KfuncCall& call) {
  call.memory<u64>(0, false);
  return 0;
}

/// What a stream is given is a message like any other, too.
u64 stream_vprintk(KfuncCall& call) {
  constexpr u32 kMaxFormat = 1u << 16;
  Stream* stream = call.program.streams.find(static_cast<u32>(call.args[0]));
  const auto bytes = static_cast<u32>(call.args[3]);
  const std::string_view fmt = call.string(1, kMaxFormat);
  if (call.faulted()) return 0;
  if (!stream) return error_value(ENOENT);
  if (bytes % 8 || bytes > kMaxFormatArgs * 8 || (bytes && !call.args[2])) {
    return error_value(EINVAL);
  }
  std::vector<u64> values(bytes / 8);
  if (bytes) {
    const void* from = call.memory(2, bytes, false);
    if (!from) return 0;
    std::memcpy(values.data(), from, bytes);
  }
  auto text = call.bpf.format(fmt, values);
  if (!text) return error_value(text.error().value);
  if (text->size() > kMaxFormatted) return error_value(ENOMEM);
  if (int err = stream->push(*text)) return error_value(err);
  if (!text->empty() && text->back() == '\n') text->pop_back();
  call.bpf.host().trace_printk(*text);
  return 0;
}

u64 stream_print_stack(KfuncCall& call) {
  Stream* stream = call.program.streams.find(static_cast<u32>(call.args[0]));
  if (!stream) return error_value(ENOENT);
  (void)stream->push(stack_text(call.bpf.host()));
  return 0;
}

// Iteration over the bits that are set in up to 511 words. The words are copied, as in Linux.

/// Linux: struct bpf_iter_bits_kern; the copy lives in the window.
struct BitsIterator {
  u64 words;  // address of the copy; 0: drained
  u32 nr_bits;
  s32 bit;
};
static_assert(sizeof(BitsIterator) == 16);

u64 bits_new(KfuncCall& call) {
  constexpr u32 kMaxWords = 511;  // BITS_ITER_NR_WORDS_MAX
  auto* it = call.memory<BitsIterator>(0, true);
  if (!it) return 0;
  *it = {0, 0, -1};
  const auto words = static_cast<u32>(call.args[2]);
  if (!call.args[1] || !words) return error_value(EINVAL);
  if (words > kMaxWords) return error_value(E2BIG);
  void* copy = call.bpf.window().allocate(words * sizeof(u64), kReadOnlyMemory);
  if (!read_kernel(call.bpf.window(), copy, call.args[1], words * sizeof(u64))) {
    call.bpf.window().free(copy);
    return error_value(EFAULT);
  }
  *it = {reinterpret_cast<u64>(copy), words * 64, -1};
  return 0;
}

u64 bits_next(KfuncCall& call) {
  auto* it = call.memory<BitsIterator>(0, true);
  if (!it || !it->words) return 0;
  const auto* words = reinterpret_cast<const u64*>(it->words);
  for (u32 bit = static_cast<u32>(it->bit + 1); bit < it->nr_bits; ++bit) {
    const u64 rest = words[bit / 64] >> (bit % 64);
    if (!rest) {
      bit |= 63;
      continue;
    }
    it->bit = static_cast<s32>(bit) + std::countr_zero(rest);
    return reinterpret_cast<u64>(&it->bit);
  }
  it->nr_bits = 0;
  return 0;
}

u64 bits_destroy(KfuncCall& call) {
  auto* it = call.memory<BitsIterator>(0, true);
  if (it && it->words) call.bpf.window().free(reinterpret_cast<void*>(it->words));
  if (it) it->words = 0;
  return 0;
}

}  // namespace

void add_lock_kfuncs(Bpf& bpf) {
  auto add = [&](std::string_view name, u32 flags, KfuncFn fn) {
    bpf.kfuncs().add({name, flags, std::move(fn), "common_btf_ids"});
  };
  const auto locks = std::make_shared<ResSpinLocks>();
  for (const bool irqsave : {false, true}) {
    add(irqsave ? "bpf_res_spin_lock_irqsave" : "bpf_res_spin_lock", kKfRetNull,
        [locks, irqsave](KfuncCall& call) { return res_lock(call, *locks, irqsave); });
  }
  for (const char* name : {"bpf_res_spin_unlock", "bpf_res_spin_unlock_irqrestore"}) {
    add(name, 0, [locks](KfuncCall& call) { return res_unlock(call, *locks); });
  }
  add("bpf_local_irq_save", 0, irq_save);
  add("bpf_local_irq_restore", 0, irq_restore);
  add("bpf_stream_vprintk", kKfImplicitArgs, stream_vprintk);
  add("bpf_stream_vprintk_impl", 0, stream_vprintk);
  add("bpf_stream_print_stack", kKfImplicitArgs, stream_print_stack);
  add("bpf_iter_bits_new", kKfIterNew, bits_new);
  add("bpf_iter_bits_next", kKfIterNext | kKfRetNull, bits_next);
  add("bpf_iter_bits_destroy", kKfIterDestroy, bits_destroy);
}

}  // namespace uscx::bpf
