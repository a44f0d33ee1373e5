// SPDX-License-Identifier: GPL-2.0-only
// bpf_cpumask_*: CPU masks that programs make and hold. Linux: kernel/bpf/cpumask.c.
#include <cstring>
#include <memory>
#include <vector>

#include "abi/abi.h"
#include "base/bitmap.h"
#include "bpf/bpf.h"
#include "bpf/cpumask.h"
#include "bpf/impl.h"

namespace uscx::bpf {

namespace {

/// Where the last bpf_cpumask_any_*distribute() of each CPU stopped.
using DistributeState = std::vector<u32>;

u32 nr_cpus(KfuncCall& call) {
  return call.bpf.host().nr_cpu_ids();
}
u32 words(KfuncCall& call) {
  return (nr_cpus(call) + 63) / 64;
}

/// A mask to read: any memory of its size, since masks are members of tasks and others.
const unsigned long* mask(KfuncCall& call, u32 i) {
  return static_cast<const unsigned long*>(call.memory(i, u64{words(call)} * 8, false));
}

/// A mask that the program owns.
abi::bpf_cpumask* own(KfuncCall& call, u32 i) {
  return call.object<abi::bpf_cpumask>(i, kBpfCpumaskObject);
}

unsigned long* own_bits(KfuncCall& call, u32 i) {
  abi::bpf_cpumask* object = own(call, i);
  return object ? object->cpumask.bits : nullptr;
}

void drop(Bpf& bpf, u64 address) {
  auto* object = reinterpret_cast<abi::bpf_cpumask*>(address);
  if (--object->usage.refs.counter == 0) bpf.impl().free_after_grace(object);
}

u64 create(KfuncCall& call) {
  auto* object = call.bpf.window().make<abi::bpf_cpumask>(kBpfCpumaskObject);
  object->usage.refs.counter = 1;
  return reinterpret_cast<u64>(object);
}

u64 acquire(KfuncCall& call) {
  abi::bpf_cpumask* object = own(call, 0);
  if (object) ++object->usage.refs.counter;
  return reinterpret_cast<u64>(object);
}

u64 release(KfuncCall& call) {
  if (own(call, 0)) drop(call.bpf, call.args[0]);
  return 0;
}

u64 first(KfuncCall& call) {
  const auto* m = mask(call, 0);
  return m ? bitmap::first(m, nr_cpus(call)) : 0;
}

u64 first_zero(KfuncCall& call) {
  const auto* m = mask(call, 0);
  if (!m) return 0;
  u32 cpu = 0;
  while (cpu < nr_cpus(call) && bitmap::test(m, cpu)) ++cpu;
  return cpu;
}

/// The first CPU at or after `from` that is in both, or nr_cpu_ids.
u32 next_in_both(const unsigned long* a, const unsigned long* b, u32 n, u32 from) {
  for (u32 cpu = bitmap::next(a, n, from); cpu < n; cpu = bitmap::next(a, n, cpu + 1)) {
    if (bitmap::test(b, cpu)) return cpu;
  }
  return n;
}

u64 first_and(KfuncCall& call) {
  const auto* a = mask(call, 0);
  const auto* b = mask(call, 1);
  return a && b ? next_in_both(a, b, nr_cpus(call), 0) : 0;
}

bool valid_cpu(KfuncCall& call, u32 i) {
  return static_cast<u32>(call.args[i]) < nr_cpus(call);
}

u64 set_cpu(KfuncCall& call) {
  auto* m = own_bits(call, 1);
  if (m && valid_cpu(call, 0)) bitmap::set(m, static_cast<u32>(call.args[0]));
  return 0;
}

u64 clear_cpu(KfuncCall& call) {
  auto* m = own_bits(call, 1);
  if (m && valid_cpu(call, 0)) bitmap::clear(m, static_cast<u32>(call.args[0]));
  return 0;
}

u64 test_cpu(KfuncCall& call) {
  const auto* m = mask(call, 1);
  return m && valid_cpu(call, 0) && bitmap::test(m, static_cast<u32>(call.args[0]));
}

u64 test_and_set_cpu(KfuncCall& call) {
  auto* m = own_bits(call, 1);
  if (!m || !valid_cpu(call, 0)) return 0;
  const bool was = bitmap::test(m, static_cast<u32>(call.args[0]));
  bitmap::set(m, static_cast<u32>(call.args[0]));
  return was;
}

u64 test_and_clear_cpu(KfuncCall& call) {
  auto* m = own_bits(call, 1);
  if (!m || !valid_cpu(call, 0)) return 0;
  const bool was = bitmap::test(m, static_cast<u32>(call.args[0]));
  bitmap::clear(m, static_cast<u32>(call.args[0]));
  return was;
}

u64 setall(KfuncCall& call) {
  if (auto* m = own_bits(call, 0)) std::memset(m, 0xff, u64{words(call)} * 8);
  return 0;
}

u64 clear(KfuncCall& call) {
  if (auto* m = own_bits(call, 0)) std::memset(m, 0, u64{words(call)} * 8);
  return 0;
}

template <class Combine>
u64 combine(KfuncCall& call, Combine&& of_words) {
  auto* to = own_bits(call, 0);
  const auto* a = mask(call, 1);
  const auto* b = mask(call, 2);
  if (!to || !a || !b) return 0;
  for (u32 w = 0; w < words(call); ++w) to[w] = of_words(a[w], b[w]);
  return bitmap::first(to, nr_cpus(call)) < nr_cpus(call);
}

u64 and_masks(KfuncCall& call) {
  return combine(call, [](unsigned long a, unsigned long b) { return a & b; });
}
u64 or_masks(KfuncCall& call) {
  combine(call, [](unsigned long a, unsigned long b) { return a | b; });
  return 0;
}
u64 xor_masks(KfuncCall& call) {
  combine(call, [](unsigned long a, unsigned long b) { return a ^ b; });
  return 0;
}

/// Whether `of(a, b)` has no bit below nr_cpu_ids.
template <class Combine>
u64 none(KfuncCall& call, Combine&& of_words) {
  const auto* a = mask(call, 0);
  const auto* b = mask(call, 1);
  if (!a || !b) return 0;
  std::vector<unsigned long> both(words(call));
  for (u32 w = 0; w < both.size(); ++w) both[w] = of_words(a[w], b[w]);
  return bitmap::first(both.data(), nr_cpus(call)) == nr_cpus(call);
}

u64 equal(KfuncCall& call) {
  return none(call, [](unsigned long a, unsigned long b) { return a ^ b; });
}
u64 intersects(KfuncCall& call) {
  const u64 apart = none(call, [](unsigned long a, unsigned long b) { return a & b; });
  return !call.faulted() && !apart;
}
u64 subset(KfuncCall& call) {
  return none(call, [](unsigned long a, unsigned long b) { return a & ~b; });
}

u64 empty(KfuncCall& call) {
  const auto* m = mask(call, 0);
  return m && bitmap::first(m, nr_cpus(call)) == nr_cpus(call);
}

u64 full(KfuncCall& call) {
  const auto* m = mask(call, 0);
  return m && bitmap::weight(m, nr_cpus(call)) == nr_cpus(call);
}

u64 copy(KfuncCall& call) {
  auto* to = own_bits(call, 0);
  const auto* from = mask(call, 1);
  if (to && from) std::memmove(to, from, u64{words(call)} * 8);
  return 0;
}

u64 weight(KfuncCall& call) {
  const auto* m = mask(call, 0);
  return m ? bitmap::weight(m, nr_cpus(call)) : 0;
}

u64 populate(KfuncCall& call) {
  auto* to = own(call, 0);
  const u64 size = call.args[2];
  const void* from = call.memory(1, size, false);
  if (!to || !from) return 0;
  if (size < u64{words(call)} * 8) return static_cast<u64>(-s64{EACCES});
  std::memcpy(to->cpumask.bits, from, u64{words(call)} * 8);
  return 0;
}

/// The next CPU after the one this CPU was given last, so that repeated calls spread.
u64 distribute(KfuncCall& call, DistributeState& last, const unsigned long* a,
               const unsigned long* b) {
  if (!a || !b) return 0;
  const u32 n = nr_cpus(call);
  last.resize(n);
  u32& previous = last[call.bpf.host().this_cpu()];
  u32 next = next_in_both(a, b, n, previous + 1);
  if (next >= n) next = next_in_both(a, b, n, 0);
  if (next < n) previous = next;
  return next;
}

}  // namespace

void add_cpumask_kfuncs(Bpf& bpf) {
  bpf.register_kptr_destructor("bpf_cpumask", [&bpf](u64 address) { drop(bpf, address); });
  constexpr std::string_view kSet = "cpumask_kfunc_btf_ids";
  auto add = [&](std::string_view name, u32 flags, KfuncFn fn) {
    bpf.kfuncs().add({name, flags, std::move(fn), kSet});
  };
  add("bpf_cpumask_create", kKfAcquire | kKfRetNull, create);
  add("bpf_cpumask_release", kKfRelease, release);
  add("bpf_cpumask_acquire", kKfAcquire | kKfTrustedArgs, acquire);
  add("bpf_cpumask_first", kKfRcu, first);
  add("bpf_cpumask_first_zero", kKfRcu, first_zero);
  add("bpf_cpumask_first_and", kKfRcu, first_and);
  add("bpf_cpumask_set_cpu", kKfRcu, set_cpu);
  add("bpf_cpumask_clear_cpu", kKfRcu, clear_cpu);
  add("bpf_cpumask_test_cpu", kKfRcu, test_cpu);
  add("bpf_cpumask_test_and_set_cpu", kKfRcu, test_and_set_cpu);
  add("bpf_cpumask_test_and_clear_cpu", kKfRcu, test_and_clear_cpu);
  add("bpf_cpumask_setall", kKfRcu, setall);
  add("bpf_cpumask_clear", kKfRcu, clear);
  add("bpf_cpumask_and", kKfRcu, and_masks);
  add("bpf_cpumask_or", kKfRcu, or_masks);
  add("bpf_cpumask_xor", kKfRcu, xor_masks);
  add("bpf_cpumask_equal", kKfRcu, equal);
  add("bpf_cpumask_intersects", kKfRcu, intersects);
  add("bpf_cpumask_subset", kKfRcu, subset);
  add("bpf_cpumask_empty", kKfRcu, empty);
  add("bpf_cpumask_full", kKfRcu, full);
  add("bpf_cpumask_copy", kKfRcu, copy);
  add("bpf_cpumask_weight", kKfRcu, weight);
  add("bpf_cpumask_populate", kKfRcu, populate);
  auto last = std::make_shared<DistributeState>();
  add("bpf_cpumask_any_distribute", kKfRcu, [last](KfuncCall& call) {
    const auto* m = mask(call, 0);
    return distribute(call, *last, m, m);
  });
  add("bpf_cpumask_any_and_distribute", kKfRcu,
      [last](KfuncCall& call) { return distribute(call, *last, mask(call, 0), mask(call, 1)); });
}

}  // namespace uscx::bpf
