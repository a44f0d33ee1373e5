// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs of the BPF core itself. Linux: kernel/bpf/helpers.c, bpf_iter.c.
#include "bpf/bpf.h"
#include "bpf/impl.h"

namespace uscx::bpf {

namespace {

constexpr s64 kMaxLoops = 8 * 1024 * 1024;  // BPF_MAX_LOOPS

/// struct bpf_iter_num as its kfuncs see it.
struct NumIterator {
  s32 current;
  s32 end;
};

u64 iter_num_new(KfuncCall& call) {
  auto* it = call.memory<NumIterator>(0, true);
  if (!it) return 0;
  const auto start = static_cast<s32>(call.args[1]);
  const auto end = static_cast<s32>(call.args[2]);
  it->current = it->end = 0;
  if (start > end) return static_cast<u64>(-s64{EINVAL});
  if (s64{end} - start > kMaxLoops) return static_cast<u64>(-s64{E2BIG});
  // One before the first; wraps for INT_MIN as Linux's does.
  it->current = static_cast<s32>(static_cast<u32>(start) - 1);
  it->end = end;
  return 0;
}

u64 iter_num_next(KfuncCall& call) {
  auto* it = call.memory<NumIterator>(0, true);
  if (!it) return 0;
  const auto next = static_cast<s32>(static_cast<u32>(it->current) + 1);
  if (next >= it->end) {
    it->current = it->end = 0;
    return 0;
  }
  it->current = next;
  return reinterpret_cast<u64>(&it->current);
}

u64 iter_num_destroy(KfuncCall& call) {
  if (auto* it = call.memory<NumIterator>(0, true)) it->current = it->end = 0;
  return 0;
}

/// A program runs to its end before anything else does, and what it may hold outlives the run, so
/// that these have nothing left to do.
u64 nothing(KfuncCall&) {
  return 0;
}

u64 throw_exception(KfuncCall& call) {
  call.throw_exception(call.args[0]);
  return 0;
}

u64 same_pointer(KfuncCall& call) {
  return call.args[0];
}

/// The list of the sources of wakeups (struct wakeup_source): a simulated machine has no devices,
/// and none of these. Linux: drivers/base/power/wakeup.c.
KfuncFn empty_list() {
  struct ListHead {
    u64 next, prev;
  };
  static constexpr ObjectType kListHead{"list_head"};
  return [head = u64{0}](KfuncCall& call) mutable {
    if (!head) {
      auto* list = call.bpf.window().make<ListHead>(kListHead);
      head = list->next = list->prev = reinterpret_cast<u64>(list);
    }
    return head;
  };
}

/// What stands for an index of sleepable RCU: a number that is no address, and not null.
u64 read_lock(KfuncCall&) {
  return 1;
}

}  // namespace

void add_generic_kfuncs(Bpf& bpf) {
  constexpr std::string_view kSet = "common_btf_ids";
  auto add = [&](std::string_view name, u32 flags, KfuncFn fn) {
    bpf.kfuncs().add({name, flags, std::move(fn), kSet});
  };
  add("bpf_iter_num_new", kKfIterNew, iter_num_new);
  add("bpf_iter_num_next", kKfIterNext | kKfRetNull, iter_num_next);
  add("bpf_iter_num_destroy", kKfIterDestroy, iter_num_destroy);
  add("bpf_throw", 0, throw_exception);
  add_arena_kfuncs(bpf);
  add("bpf_rcu_read_lock", 0, nothing);
  add("bpf_rcu_read_unlock", 0, nothing);
  add("bpf_preempt_disable", 0, nothing);
  add("bpf_preempt_enable", 0, nothing);
  add("bpf_wakeup_sources_get_head", 0, empty_list());
  add("bpf_wakeup_sources_read_lock", kKfAcquire, read_lock);
  add("bpf_wakeup_sources_read_unlock", kKfRelease, nothing);
  add("bpf_rdonly_cast", 0, same_pointer);
  add("bpf_cast_to_kern_ctx", 0, same_pointer);
}

}  // namespace uscx::bpf
