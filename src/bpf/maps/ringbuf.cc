// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/maps/ringbuf.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "bpf/bpf.h"
#include "bpf/dynptr.h"

namespace uscx::bpf {

namespace {

constexpr u64 kMaxRecord = ~0u / 4;  // RINGBUF_MAX_RECORD_SZ

constexpr u64 round_up8_long(u64 n) {
  return (n + 7) & ~u64{7};
}

}  // namespace

RingbufMap::RingbufMap(Bpf& bpf, MapSpec spec) : Map(bpf, std::move(spec)) {
  memfd_ = ::memfd_create(("bpf-map:" + spec_.name).c_str(), MFD_CLOEXEC);
  USCX_ASSERT(memfd_ >= 0);
  const u64 bytes = 2 * kPage + 2 * u64{spec_.max_entries};
  USCX_ASSERT(::ftruncate(memfd_, static_cast<off_t>(bytes)) == 0);
  auto mapped = window().map_file(memfd_, bytes, kProgramMemory);
  USCX_ASSERT(mapped.has_value());
  base_ = reinterpret_cast<u64>(*mapped);
}

RingbufMap::~RingbufMap() {
  window().free(reinterpret_cast<void*>(base_));
}

u64 RingbufMap::reserve(u64 size) {
  if (size > kMaxRecord) return 0;
  const u64 length = round_up8_long(size + kHeader);
  if (length > spec_.max_entries) return 0;
  LockGuard guard(lock(), bpf_.host().held_locks());
  const u64 begin = producer(), end = begin + length;
  while (pending_ < begin) {
    const u32 header = header_at(pending_);
    if (header & kBusy) break;
    pending_ += round_up8_long((header & ~kDiscard) + kHeader);
  }
  // Neither what is not consumed nor what is not committed may be overwritten.
  if (end - consumer() > mask() || end - pending_ > mask()) return 0;
  header_at(begin) = static_cast<u32>(size) | kBusy;
  (&header_at(begin))[1] = static_cast<u32>(((begin & mask()) + 2 * kPage) / kPage);
  producer() = end;
  return data() + (begin & mask()) + kHeader;
}

bool RingbufMap::holds(u64 address) const {
  const u64 offset = address - kHeader - data();
  return address >= data() + kHeader && offset <= mask() && offset % 8 == 0 &&
         (header_at(offset) & kBusy);
}

u32 RingbufMap::record_size(u64 address) const {
  return header_at(address - kHeader - data()) & ~(kBusy | kDiscard);
}

void RingbufMap::commit(u64 address, bool discard) {
  const u64 offset = address - kHeader - data();
  u32& header = header_at(offset);
  header = (header & ~kBusy) | (discard ? kDiscard : 0);
  mirror(offset, kHeader + (header & ~kDiscard));
}

void RingbufMap::mirror(u64 offset, u64 bytes) {
  const u64 size = spec_.max_entries;
  auto* at = reinterpret_cast<std::byte*>(data());
  const u64 first = std::min(bytes, size - offset);
  std::memcpy(at + size + offset, at + offset, first);
  std::memcpy(at, at + size, bytes - first);
}

u64 RingbufMap::query(u64 what) const {
  switch (what) {
    case 0:
      return producer() - consumer();
    case 1:
      return spec_.max_entries;
    case 2:
      return consumer();
    case 3:
      return producer();
    default:
      return 0;
  }
}

Result<RingbufMap::Sample> RingbufMap::peek_sample() {
  if (producer() % 8) return fail(EINVAL);
  const u64 position = consumer();
  if (position >= producer()) return fail(ENODATA);
  const u32 header = header_at(position);
  const u32 size = header & ~(kBusy | kDiscard);
  const u64 length = round_up8_long(u64{size} + kHeader);
  if (length > producer() - position) return fail(EINVAL);
  if (length > spec_.max_entries || size > Dynptr::kMaxSize) return fail(E2BIG);
  if (header & kDiscard) {
    consumer() = position + length;
    return fail(EAGAIN);
  }
  if (header & kBusy) return fail(ENODATA);
  return Sample{data() + ((position + kHeader) & mask()), size};
}

void RingbufMap::release_sample(u32 size) {
  consumer() += round_up8_long(u64{size} + kHeader);
}

std::shared_ptr<Map> make_ringbuf_map(Bpf& bpf, MapSpec spec) {
  return std::make_shared<RingbufMap>(bpf, std::move(spec));
}

}  // namespace uscx::bpf
