// SPDX-License-Identifier: GPL-2.0-only
// Helpers on ring buffers, in both directions.
#include <cstring>

#include "bpf/bpf.h"
#include "bpf/dynptr.h"
#include "bpf/impl.h"
#include "bpf/maps/ringbuf.h"

namespace uscx::bpf {

namespace {

using A = ArgKind;
constexpr u64 kNoWakeup = 1, kForceWakeup = 2;  // BPF_RB_*
constexpr u32 kMaxSamples = 128 * 1024;         // BPF_MAX_USER_RINGBUF_SAMPLES

constexpr u64 error_value(int errnum) {
  return static_cast<u64>(-s64{errnum});
}

RingbufMap* ring_arg(HelperCall& call) {
  auto* map = dynamic_cast<RingbufMap*>(call.bpf.impl().map_at(call.args[0]));
  if (!map) call.fault("argument 1 is not a ring buffer");
  return map;
}

/// The ring that holds the reserved record at `address`.
RingbufMap* ring_of(HelperCall& call, u64 address) {
  RingbufMap* found = nullptr;
  call.bpf.impl().maps.for_each([&](const std::shared_ptr<Map>& map) {
    auto* ring = dynamic_cast<RingbufMap*>(map.get());
    if (ring && ring->holds(address)) found = ring;
  });
  if (!found) call.fault("not a reserved record of a ring buffer");
  return found;
}

u64 reserve(HelperCall& call) {
  RingbufMap* ring = ring_arg(call);
  return ring && !call.args[2] ? ring->reserve(call.args[1]) : 0;
}

template <bool discard>
u64 commit(HelperCall& call) {
  if (RingbufMap* ring = ring_of(call, call.args[0])) ring->commit(call.args[0], discard);
  return 0;
}

u64 output(HelperCall& call) {
  RingbufMap* ring = ring_arg(call);
  const void* from = ring ? call.memory(1, call.args[2], false) : nullptr;
  if (!from) return 0;
  if (call.args[3] & ~(kNoWakeup | kForceWakeup)) return error_value(EINVAL);
  const u64 record = ring->reserve(call.args[2]);
  if (!record) return error_value(EAGAIN);
  std::memcpy(reinterpret_cast<void*>(record), from, call.args[2]);
  ring->commit(record, false);
  return 0;
}

u64 query(HelperCall& call) {
  RingbufMap* ring = ring_arg(call);
  return ring ? ring->query(call.args[1]) : 0;
}

u64 reserve_dynptr(HelperCall& call) {
  RingbufMap* ring = ring_arg(call);
  auto* pointer = ring ? call.memory<Dynptr>(3, true) : nullptr;
  if (!pointer) return 0;
  *pointer = {};
  const auto size = static_cast<u32>(call.args[1]);
  if (call.args[2]) return error_value(EINVAL);
  if (size > Dynptr::kMaxSize) return error_value(E2BIG);
  const u64 record = ring->reserve(size);
  if (!record) return error_value(EINVAL);
  *pointer = Dynptr::to(record, Dynptr::kRingbuf, size);
  return 0;
}

template <bool discard>
u64 commit_dynptr(HelperCall& call) {
  auto* pointer = call.memory<Dynptr>(0, true);
  if (!pointer || !pointer->data) return 0;
  if (RingbufMap* ring = ring_of(call, pointer->data)) ring->commit(pointer->data, discard);
  *pointer = {};
  return 0;
}

u64 user_drain(HelperCall& call) {
  RingbufMap* ring = ring_arg(call);
  if (!ring) return 0;
  if (call.args[3] & ~(kNoWakeup | kForceWakeup)) return error_value(EINVAL);
  auto* pointer = static_cast<Dynptr*>(call.bpf.window().allocate(sizeof(Dynptr), kReadOnlyMemory));
  u64 result = 0, stop = 0;
  for (u32 i = 0; i < kMaxSamples && !stop && !call.faulted(); ++i) {
    const auto sample = ring->peek_sample();
    if (!sample && sample.error().value == EAGAIN) continue;
    if (!sample && sample.error().value == ENODATA) break;
    if (!sample) {
      result = error_value(sample.error().value);
      break;
    }
    *pointer = Dynptr::to(sample->address, Dynptr::kLocal, sample->size);
    stop = call.call_back(call.args[1], {reinterpret_cast<u64>(pointer), call.args[2], 0, 0, 0});
    ring->release_sample(sample->size);
    ++result;
  }
  call.bpf.window().free(pointer);
  return result;
}

}  // namespace

void add_ringbuf_helpers(HelperTable& table) {
  table.add({130,
             "bpf_ringbuf_output",
             output,
             {A::kConstMapPtr, A::kMem, A::kSizeOrZero, A::kAnything}});
  table.add({131, "bpf_ringbuf_reserve", reserve, {A::kConstMapPtr, A::kAnything, A::kAnything}});
  table.add({132, "bpf_ringbuf_submit", commit<false>, {A::kLong, A::kAnything}});
  table.add({133, "bpf_ringbuf_discard", commit<true>, {A::kLong, A::kAnything}});
  table.add({134, "bpf_ringbuf_query", query, {A::kConstMapPtr, A::kAnything}});
  table.add({198,
             "bpf_ringbuf_reserve_dynptr",
             reserve_dynptr,
             {A::kConstMapPtr, A::kAnything, A::kAnything, A::kLong}});
  table.add({199, "bpf_ringbuf_submit_dynptr", commit_dynptr<false>, {A::kLong, A::kAnything}});
  table.add({200, "bpf_ringbuf_discard_dynptr", commit_dynptr<true>, {A::kLong, A::kAnything}});
  table.add({209,
             "bpf_user_ringbuf_drain",
             user_drain,
             {A::kConstMapPtr, A::kCallback, A::kAnything, A::kAnything}});
}

}  // namespace uscx::bpf
