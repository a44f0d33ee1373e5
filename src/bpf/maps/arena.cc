// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/maps/arena.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/assert.h"
#include "bpf/bpf.h"
#include "bpf/maps/object.h"

namespace uscx::bpf {

namespace {

constexpr u64 k4GiB = u64{1} << 32;
constexpr u64 kViewBytes = k4GiB + 2 * ArenaMap::kGuard + ArenaMap::kPage;
/// Where user space's mappings go that may go anywhere: each a little behind a multiple of 4 GiB,
/// so that the lower half of no page's address is 0; at it where that would cross the next. Linux:
/// arena_get_unmapped_area, which finds some place.
constexpr u64 kUserBase = 0x1100'0000'0000;
constexpr u64 kUserOffset = 0x1'0000;
constexpr u64 kUserSlots = 256;

void* reserve(u64 address, u64 length, int flags) {
  return mmap(reinterpret_cast<void*>(address), length, PROT_NONE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

}  // namespace

int check_arena_spec(const MapSpec& s) {
  constexpr u32 kFlags = uapi::kSegvOnFault | uapi::kMmapable | uapi::kNoUserConv;
  if (s.key_size || s.value_size || s.max_entries == 0 || !(s.flags & uapi::kMmapable) ||
      (s.flags & ~kFlags) || s.extra % ArenaMap::kPage) {
    return EINVAL;
  }
  const u64 range = u64{s.max_entries} * ArenaMap::kPage;
  if (range > k4GiB) return E2BIG;
  return s.extra >> 32 != (s.extra + range - 1) >> 32 ? ERANGE : 0;
}

ArenaMap::ArenaMap(Bpf& bpf, MapSpec spec) : Map(bpf, std::move(spec)) {
  memfd_ = memfd_create(("bpf-map:" + spec_.name).c_str(), MFD_CLOEXEC);
  USCX_ASSERT(memfd_ >= 0);
  USCX_ASSERT(ftruncate(memfd_, static_cast<off_t>(spec_.max_entries * kPage)) == 0);
  own_fd_ = fcntl(memfd_, F_DUPFD_CLOEXEC, 3);
  USCX_ASSERT(own_fd_ >= 0);
  void* view = reserve(0, kViewBytes, 0);
  USCX_ASSERT(view != MAP_FAILED);
  view_ = reinterpret_cast<u64>(view);
  present_.resize((spec_.max_entries + 63) / 64);
  free_.insert(0, spec_.max_entries);
  if (spec_.extra) set_user_range(spec_.extra);
}

ArenaMap::~ArenaMap() {
  munmap(reinterpret_cast<void*>(view_), kViewBytes);
  close(own_fd_);
}

/// From here on it is known which part of the kernel's view is the file.
void ArenaMap::set_user_range(u64 start) {
  const u64 bytes = u64{spec_.max_entries} * kPage;
  user_start_ = start;
  user_end_ = start + bytes;
  void* at = mmap(reinterpret_cast<void*>(kern_vm_start() + static_cast<u32>(start)), bytes,
                  PROT_NONE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, own_fd_, 0);
  USCX_ASSERT(at != MAP_FAILED);
  fill_map_object(bpf_.vmlinux(), *this);
}

Result<u64> ArenaMap::map_user(u64 address, u64 length, bool fixed) {
  const u64 bytes = u64{spec_.max_entries} * kPage;
  length = (length + kPage - 1) / kPage * kPage;
  if (length > k4GiB) return fail(E2BIG);
  if (user_start_) {
    if (length > bytes) return fail(E2BIG);
    if (length != bytes || address != user_start_) return fail(EINVAL);
    return user_start_;
  }
  // Nobody maps part of an arena: libbpf maps all of it, and programs believe in max_entries.
  if (length != bytes) return fail(EINVAL);
  if (fixed) {
    if (address >> 32 != (address + length - 1) >> 32) return fail(EINVAL);
    set_user_range(address);
    return address;
  }
  for (u64 slot = 0; slot < kUserSlots; slot++) {
    const u64 offset = length <= k4GiB - kUserOffset ? kUserOffset : 0;
    const u64 start = kUserBase + slot * k4GiB + offset;
    void* at = reserve(start, length, MAP_FIXED_NOREPLACE);
    if (at == MAP_FAILED) continue;
    munmap(at, length);
    if (at != reinterpret_cast<void*>(start)) continue;  // kernels before 4.17
    set_user_range(start);
    return start;
  }
  return fail(ENOMEM);
}

void ArenaMap::set_present(u64 page, bool value) {
  const u64 bit = u64{1} << (page % 64);
  present_[page / 64] = value ? present_[page / 64] | bit : present_[page / 64] & ~bit;
}

void ArenaMap::protect(u64 page, u64 count, bool accessible) {
  void* at =
      reinterpret_cast<void*>(kern_vm_start() + static_cast<u32>(user_start_) + page * kPage);
  const int r = mprotect(at, count * kPage, accessible ? PROT_READ | PROT_WRITE : PROT_NONE);
  USCX_ASSERT(r == 0);
}

bool ArenaMap::user_has(u64 page) const {
  const auto offset = static_cast<off_t>(page * kPage);
  return lseek(own_fd_, offset, SEEK_DATA) == offset;
}

bool ArenaMap::page_came(u64 address) {
  const u64 start = kern_vm_start() + static_cast<u32>(user_start_);
  const u64 page = (address - start) / kPage;
  if (address < start || page >= max_pages() || present(page) || !user_has(page)) return false;
  // Its place in `free_` is taken at the next allocation (adopt_user_pages).
  protect(page, 1, true);
  return true;
}

std::byte* ArenaMap::at(u64 linear, u32 bytes) {
  const u64 first = static_cast<u32>(user_start_);
  const u64 offset = linear - first;
  const u64 size = user_end_ - user_start_;
  if (linear < first || offset >= size || bytes > size - offset) return nullptr;
  for (u64 page : {offset / kPage, (offset + bytes - 1) / kPage}) {
    if (present(page)) continue;
    if (!user_has(page)) return nullptr;
    adopt_user_pages();
  }
  return reinterpret_cast<std::byte*>(kern_vm_start() + linear);
}

void ArenaMap::adopt_user_pages() {
  struct stat st;
  USCX_ASSERT(fstat(own_fd_, &st) == 0);
  constexpr u64 kBlocksPerPage = kPage / 512;
  if (static_cast<u64>(st.st_blocks) / kBlocksPerPage == nr_pages_) return;
  off_t data = 0;
  while ((data = lseek(own_fd_, data, SEEK_DATA)) >= 0) {
    const off_t hole = lseek(own_fd_, data, SEEK_HOLE);
    for (; data < hole; data += kPage) {
      const u64 page = static_cast<u64>(data) / kPage;
      if (present(page)) continue;
      set_present(page, true);
      nr_pages_++;
      free_.erase(static_cast<u32>(page), 1);
      protect(page, 1, true);
    }
  }
}

u64 ArenaMap::alloc_pages(u64 address, u32 count) {
  if (count > max_pages()) return 0;
  adopt_user_pages();
  u32 page = 0;
  if (address) {
    if (address % kPage) return 0;
    const u64 wanted = page_of(address);
    if (wanted > max_pages() - count || !free_.contains(static_cast<u32>(wanted), count)) return 0;
    page = static_cast<u32>(wanted);
  } else {
    const auto found = free_.find(count);
    if (!found) return 0;
    page = *found;
  }
  // The pages exist from now on, so that those which user space makes can be told by their number.
  if (fallocate(own_fd_, 0, static_cast<off_t>(page * kPage), static_cast<off_t>(count * kPage))) {
    return 0;
  }
  free_.erase(page, count);
  for (u32 i = 0; i < count; i++) set_present(page + i, true);
  nr_pages_ += count;
  protect(page, count, true);
  return user_start_ + page * kPage;
}

void ArenaMap::free_pages(u64 address, u32 count) {
  const u64 start = (user_start_ & ~(k4GiB - 1)) + (static_cast<u32>(address) & ~(kPage - 1));
  if (start < user_start_) return;
  const u64 end = std::min(user_end_, start + u64{count} * kPage);
  if (start >= end) return;
  adopt_user_pages();
  const u32 page = static_cast<u32>((start - user_start_) / kPage);
  count = static_cast<u32>((end - start) / kPage);
  free_.insert(page, count);
  for (u32 i = 0; i < count; i++) {
    nr_pages_ -= present(page + i);
    set_present(page + i, false);
  }
  protect(page, count, false);
  const int r = fallocate(own_fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                          static_cast<off_t>(page * kPage), static_cast<off_t>(count * kPage));
  USCX_ASSERT(r == 0);
}

int ArenaMap::reserve_pages(u64 address, u32 count) {
  if (address % kPage) return 0;
  const u64 page = page_of(address);
  if (page + count > max_pages()) return -EINVAL;
  adopt_user_pages();
  if (!free_.contains(static_cast<u32>(page), count)) return -EBUSY;
  free_.erase(static_cast<u32>(page), count);
  return 0;
}

}  // namespace uscx::bpf
