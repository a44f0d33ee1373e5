// SPDX-License-Identifier: GPL-2.0-only
// Layout: the range is cut into spans of 64 KiB. A span either belongs to a size class and holds
// equal slots, or it is part of one big allocation, or it is free. A table by span number finds the
// extent of an address in O(1). The memory is anonymous, since only that has huge pages on most
// systems: with thousands of tasks and runqueues in small ones, every second access would miss the
// TLB. A window that is not the mapped one is moved elsewhere by mremap(), which moves page tables.
//
// The slots of a class begin a cache line later in each span than in the one before. Else the lines
// of an object that every event touches, a few of dozens, would lie at the same places of every
// span, and share a small part of each cache's sets: 15 % of them for tasks.
//
// Free slots are taken last-in first-out and free spans lowest-first, so that addresses depend on
// the sequence of calls alone.
#include "bpf/window.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <set>

#include "base/assert.h"

namespace uscx::bpf {

namespace {

constexpr u32 kSpanShift = Span::kShift;
constexpr u64 kSpanSize = 1ULL << kSpanShift;
constexpr u32 kSpans = AddressWindow::kSize >> kSpanShift;
constexpr u64 kSpanTableBytes = u64{kSpans} * sizeof(Span);
constexpr u64 kPage = 4096;
constexpr u64 kHugePage = 2ULL << 20;
constexpr u64 kChunk = 64ULL << 20;  // the range becomes usable in these: whole huge pages

constexpr std::array<u32, 36> kClassSizes = {
    16,   32,   48,   64,   80,   96,   112,  128,  160,   192,   224,   256,
    320,  384,  448,  512,  640,  768,  896,  1024, 1088,  1280,  1536,  1792,
    2048, 2560, 2880, 3072, 3584, 4080, 4096, 8192, 12288, 16384, 20480, 32768};
constexpr u32 kNrClasses = kClassSizes.size();
constexpr u32 kLargestSlot = 32768;
constexpr u32 kLine = 64;

/// Do the slots of this size begin elsewhere in each span? Not where they are aligned to pages.
constexpr bool is_staggered(u32 slot_size) {
  return slot_size > kLine && slot_size < kPage && slot_size % kLine == 0;
}

/// Class by size in units of 16 bytes, rounded up.
constexpr auto kClassOf = [] {
  std::array<u8, kLargestSlot / 16 + 1> table{};
  u32 cls = 0;
  for (u32 units = 0; units < table.size(); units++) {
    while (kClassSizes[cls] < units * 16) cls++;
    table[units] = static_cast<u8>(cls);
  }
  return table;
}();

/// A size class: where its next slot comes from.
struct SizeClass {
  std::vector<Extent*> free;  // last in, first out
  Extent* fresh = nullptr;    // never used slots of the newest span
  u32 fresh_left = 0;
  u32 nr_spans = 0;
};

struct FileMapping {
  int fd;
  u64 length;  // whole pages
};

[[noreturn]] void out_of_memory(const char* what) {
  assertion_failed(what, __FILE__, __LINE__, "AddressWindow");
}

u64 page_up(u64 size) {
  return (size + kPage - 1) & ~(kPage - 1);
}

void* at_offset(u64 offset) {
  return reinterpret_cast<void*>(AddressWindow::kBase + offset);
}

/// Keeps others out of part of the range.
void reserve(u64 offset, u64 length) {
  void* at = mmap(at_offset(offset), length, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) out_of_memory("cannot reserve the address window");
}

/// Address space for `length` bytes, which are whole huge pages, that begins like one: what is moved
/// there from one of the range stays in huge pages.
u64 reserve_anywhere(u64 length) {
  void* at = mmap(nullptr, length + kHugePage, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) out_of_memory("cannot move the address window away");
  const u64 start = reinterpret_cast<u64>(at);
  const u64 aligned = (start + kHugePage - 1) & ~(kHugePage - 1);
  if (aligned > start) munmap(at, aligned - start);
  const u64 tail = start + kHugePage - aligned;
  if (tail > 0) munmap(reinterpret_cast<void*>(aligned + length), tail);
  return aligned;
}

}  // namespace

struct AddressWindow::Impl {
  Span* spans = nullptr;  // kSpans of them, address space that is backed as it is touched
  u32 nr_spans = 0;       // up to the highest span that was ever used
  u64 usable = 0;         // bytes of the range, from its start, that are mapped
  u64 parked = 0;         // where they are while another window is mapped
  // Offsets between which `usable` is a file, or own memory that one call may move.
  std::set<u64> seams{0};
  std::array<SizeClass, kNrClasses> classes;
  std::vector<std::unique_ptr<Extent[]>> slab_extents;
  std::map<u32, u32> free_spans;               // first -> count, below nr_spans, never adjacent
  std::map<u32, std::unique_ptr<Extent>> big;  // by first span
  std::map<u64, FileMapping> files;            // by address

  u32 take_spans(u32 count);
  void give_spans(u32 first, u32 count);
  void new_slab(u32 size_class);
  Extent* new_big(std::size_t size, const ObjectType& type);
  void free_big(u32 first);
  void map_own(u64 offset, u64 length);
  void move_own(u64 from, u64 to) const;
  void leave();
  void enter();
  static OrError<void> take_range();
};

AddressWindow::Impl* AddressWindow::mapped_ = nullptr;

u32 AddressWindow::Impl::take_spans(u32 count) {
  for (auto it = free_spans.begin(); it != free_spans.end(); ++it) {
    auto [first, available] = *it;
    if (available < count) continue;
    free_spans.erase(it);
    if (available > count) free_spans.emplace(first + count, available - count);
    return first;
  }
  const u32 first = nr_spans;
  if (u64{first} + count > kSpans) out_of_memory("the address window is full");
  nr_spans += count;
  if (const u64 end = nr_spans * kSpanSize; end > usable) {
    const u64 length = (end - usable + kChunk - 1) / kChunk * kChunk;
    map_own(usable, length);
    usable += length;
  }
  return first;
}

void AddressWindow::Impl::give_spans(u32 first, u32 count) {
  for (u32 i = 0; i < count; i++) spans[first + i] = Span{};
  auto next = free_spans.upper_bound(first);
  if (next != free_spans.end() && next->first == first + count) {
    count += next->second;
    next = free_spans.erase(next);
  }
  if (next != free_spans.begin()) {
    auto before = std::prev(next);
    if (before->first + before->second == first) {
      before->second += count;
      return;
    }
  }
  free_spans.emplace(first, count);
}

void AddressWindow::Impl::new_slab(u32 size_class) {
  SizeClass& of = classes[size_class];
  const u32 slot_size = kClassSizes[size_class];
  const bool staggered = is_staggered(slot_size);
  const u32 slots = kSpanSize / slot_size - (staggered ? 1 : 0);
  const u32 before = staggered ? of.nr_spans * kLine % slot_size : 0;
  const u32 lead = staggered ? slot_size - before : 0;
  of.nr_spans++;
  const u32 index = take_spans(1);
  // With an empty one before the first slot, where they are staggered, and some behind the last.
  const u64 length = (kSpanSize - 1 + lead) / slot_size + 1;
  auto& extents = slab_extents.emplace_back(std::make_unique<Extent[]>(length));
  Extent* first = extents.get() + (staggered ? 1 : 0);
  const u64 start = kBase + index * kSpanSize + before;
  for (u32 i = 0; i < slots; i++) first[i].start = start + u64{i} * slot_size;
  // Exact for offsets below 2^16 + slot_size: the error of the rounded-up reciprocal stays below
  // one slot.
  const u32 magic = static_cast<u32>(((1ULL << 32) + slot_size - 1) / slot_size);
  spans[index] = {extents.get(), magic, static_cast<u16>(lead), static_cast<u16>(size_class)};
  of.fresh = first;
  of.fresh_left = slots;
}

Extent* AddressWindow::Impl::new_big(std::size_t size, const ObjectType& type) {
  const u64 count = (size + kSpanSize - 1) >> kSpanShift;
  if (count > kSpans) out_of_memory("an allocation larger than the address window");
  const u32 first = take_spans(static_cast<u32>(count));
  auto extent = std::make_unique<Extent>(Extent{kBase + first * kSpanSize, size, &type});
  for (u32 i = 0; i < count; i++) spans[first + i] = {extent.get(), 0, 0, kNrClasses};
  Extent* raw = extent.get();
  big.emplace(first, std::move(extent));
  return raw;
}

void AddressWindow::Impl::free_big(u32 first) {
  auto it = big.find(first);
  USCX_ASSERT(it != big.end());
  const Extent extent = *it->second;
  const u64 offset = first * kSpanSize;
  const u64 length = ((extent.size + kSpanSize - 1) >> kSpanShift) << kSpanShift;
  if (auto file = files.find(extent.start); file != files.end()) {
    map_own(offset, length);
    close(file->second.fd);
    files.erase(file);
  } else if (madvise(at_offset(offset), length, MADV_DONTNEED) != 0) {
    std::memset(at_offset(offset), 0, extent.size);
  }
  big.erase(it);
  give_spans(first, static_cast<u32>(length >> kSpanShift));
}

/// Own memory, all zero, in place of whatever is there.
void AddressWindow::Impl::map_own(u64 offset, u64 length) {
  void* at = mmap(at_offset(offset), length, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) out_of_memory("cannot map the address window");
  madvise(at, length, MADV_HUGEPAGE);  // where there are none, small ones do
  seams.insert(offset);
  seams.insert(offset + length);
}

void AddressWindow::Impl::move_own(u64 from, u64 to) const {
  for (auto seam = seams.begin(), next = std::next(seam); next != seams.end(); seam = next++) {
    const u64 offset = *seam, length = *next - offset;
    if (files.contains(kBase + offset)) continue;
    if (mremap(reinterpret_cast<void*>(from + offset), length, length,
               MREMAP_MAYMOVE | MREMAP_FIXED, to + offset) == MAP_FAILED) {
      out_of_memory("cannot move the address window");
    }
  }
}

/// Gives the range to whoever comes next. Its files are there no more.
void AddressWindow::Impl::leave() {
  if (usable > 0) {
    parked = reserve_anywhere(usable);
    move_own(kBase, parked);
  }
  reserve(0, kSize);
  mapped_ = nullptr;
}

void AddressWindow::Impl::enter() {
  if (parked != 0) {
    move_own(parked, kBase);
    munmap(reinterpret_cast<void*>(parked), usable);
    parked = 0;
  }
  for (const auto& [address, file] : files) {
    void* at = mmap(reinterpret_cast<void*>(address), file.length, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_FIXED, file.fd, 0);
    if (at == MAP_FAILED) out_of_memory("cannot map a file into the address window");
  }
  mapped_ = this;
}

/// The range is reserved and nobody's: the window that was mapped has left it.
OrError<void> AddressWindow::Impl::take_range() {
  if (mapped_) {
    mapped_->leave();
    return {};
  }
  void* at = mmap(at_offset(0), kSize, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
  // Kernels before 4.17 take the address as a hint only.
  if (at != MAP_FAILED && at != at_offset(0)) {
    munmap(at, kSize);
    at = MAP_FAILED;
    errno = EEXIST;
  }
  if (at != MAP_FAILED) return {};
  return error(fmt::format("cannot reserve the address window {:#x}-{:#x}: {}", kBase,
                           kBase + kSize,
                           errno == EEXIST ? "the range is in use" : std::strerror(errno)));
}

AddressWindow::AddressWindow() : impl_(std::make_unique<Impl>()) {}

OrError<std::unique_ptr<AddressWindow>> AddressWindow::create() {
  std::unique_ptr<AddressWindow> window(new AddressWindow);
  Impl& impl = *window->impl_;
  void* spans = mmap(nullptr, kSpanTableBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (spans == MAP_FAILED) {
    return error(
        fmt::format("cannot reserve the address window's table: {}", std::strerror(errno)));
  }
  window->spans_ = impl.spans = static_cast<Span*>(spans);
  if (const auto free_range = Impl::take_range(); !free_range) {
    return std::unexpected(free_range.error());
  }
  impl.enter();
  return window;
}

AddressWindow::~AddressWindow() {
  if (active()) {
    munmap(at_offset(0), kSize);
    mapped_ = nullptr;
  } else if (impl_->parked != 0) {
    munmap(reinterpret_cast<void*>(impl_->parked), impl_->usable);
  }
  for (const auto& [address, file] : impl_->files) close(file.fd);
  if (impl_->spans) munmap(impl_->spans, kSpanTableBytes);
}

void* AddressWindow::allocate(std::size_t size, const ObjectType& type) {
  USCX_ASSERT(active());
  USCX_ASSERT(size <= kSize / 4);
  if (size > kLargestSlot) return reinterpret_cast<void*>(impl_->new_big(size, type)->start);
  const u32 size_class = kClassOf[(size + 15) / 16];
  SizeClass& from = impl_->classes[size_class];
  Extent* extent;
  if (!from.free.empty()) {
    extent = from.free.back();
    from.free.pop_back();
    std::memset(reinterpret_cast<void*>(extent->start), 0, kClassSizes[size_class]);
  } else {
    if (from.fresh_left == 0) impl_->new_slab(size_class);
    extent = from.fresh++;
    from.fresh_left--;
  }
  extent->size = size;
  extent->type = &type;
  return reinterpret_cast<void*>(extent->start);
}

void AddressWindow::free(void* memory) {
  if (!memory) return;
  USCX_ASSERT(active());
  const u64 offset = reinterpret_cast<u64>(memory) - kBase;
  const u64 index = offset >> kSpanShift;
  USCX_ASSERT(index < kSpans);
  const Span& span = impl_->spans[index];
  USCX_ASSERT(span.extents);
  if (span.size_class == kNrClasses) {
    USCX_ASSERT(span.extents->start == reinterpret_cast<u64>(memory));
    impl_->free_big(static_cast<u32>(index));
    return;
  }
  Extent* extent = &span.extents[((offset & (kSpanSize - 1)) + span.lead) * span.magic >> 32];
  USCX_ASSERT(extent->start == reinterpret_cast<u64>(memory) && extent->type);
  extent->type = nullptr;
  impl_->classes[span.size_class].free.push_back(extent);
}

Result<void*> AddressWindow::map_file(int fd, std::size_t size, const ObjectType& type) {
  USCX_ASSERT(active());
  if (size == 0 || size > kSize / 4) return fail(EINVAL);
  const int own_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (own_fd < 0) return fail(errno);
  Extent* extent = impl_->new_big(size, type);
  const u64 length = page_up(size);
  void* at = mmap(reinterpret_cast<void*>(extent->start), length, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_FIXED, own_fd, 0);
  if (at == MAP_FAILED) {
    const int why = errno;
    close(own_fd);
    impl_->free_big(static_cast<u32>((extent->start - kBase) >> kSpanShift));
    return fail(why);
  }
  impl_->files.emplace(extent->start, FileMapping{own_fd, length});
  impl_->seams.insert(extent->start - kBase);
  impl_->seams.insert(extent->start - kBase + length);
  return at;
}

void AddressWindow::map() {
  if (const auto free_range = Impl::take_range(); !free_range) {
    out_of_memory(free_range.error().message.c_str());
  }
  impl_->enter();
}

}  // namespace uscx::bpf
