// SPDX-License-Identifier: GPL-2.0-only
// Layout: the range is cut into spans of 64 KiB. A span either belongs to a size class and holds
// equal slots, or it is part of one big allocation, or it is free. A table by span number finds the
// extent of an address in O(1). All bytes are in one sparse memfd, at the offset that the address
// has in the range, so that the window can be unmapped and mapped again.
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

#include "base/assert.h"

namespace uscx::bpf {

namespace {

constexpr u32 kSpanShift = Span::kShift;
constexpr u64 kSpanSize = 1ULL << kSpanShift;
constexpr u32 kSpans = AddressWindow::kSize >> kSpanShift;
constexpr u64 kSpanTableBytes = u64{kSpans} * sizeof(Span);
constexpr u64 kPage = 4096;

constexpr std::array<u32, 34> kClassSizes = {
    16,   32,   48,   64,   80,   96,   112,   128,   160,   192,  224,  256,
    320,  384,  448,  512,  640,  768,  896,   1024,  1280,  1536, 1792, 2048,
    2560, 3072, 3584, 4080, 4096, 8192, 12288, 16384, 20480, 32768};
constexpr u32 kNrClasses = 34;
constexpr u32 kLargestSlot = 32768;

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

}  // namespace

struct AddressWindow::Impl {
  int memfd = -1;
  Span* spans = nullptr;  // kSpans of them, address space that is backed as it is touched
  u32 nr_spans = 0;       // up to the highest span that was ever used
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
  void map_own(u64 offset, u64 length) const;
};

/// Whose bytes are mapped at kBase, as a CPU has one page table base register. The addresses are
/// the process's, so this is too: the one static of the BPF machine.
static const void* mapped_window = nullptr;

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
  const u32 slot_size = kClassSizes[size_class];
  const u32 slots = kSpanSize / slot_size;
  const u32 index = take_spans(1);
  auto& extents = slab_extents.emplace_back(std::make_unique<Extent[]>(slots + 1));
  const u64 start = kBase + index * kSpanSize;
  for (u32 i = 0; i < slots; i++) extents[i].start = start + u64{i} * slot_size;
  // Exact for offsets below 2^16: the error of the rounded-up reciprocal stays below one slot.
  const u32 magic = static_cast<u32>(((1ULL << 32) + slot_size - 1) / slot_size);
  spans[index] = {extents.get(), magic, size_class};
  classes[size_class].fresh = extents.get();
  classes[size_class].fresh_left = slots;
}

Extent* AddressWindow::Impl::new_big(std::size_t size, const ObjectType& type) {
  const u64 count = (size + kSpanSize - 1) >> kSpanShift;
  if (count > kSpans) out_of_memory("an allocation larger than the address window");
  const u32 first = take_spans(static_cast<u32>(count));
  auto extent = std::make_unique<Extent>(Extent{kBase + first * kSpanSize, size, &type});
  for (u32 i = 0; i < count; i++) spans[first + i] = {extent.get(), 0, kNrClasses};
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
  } else {
    const int r = fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                            static_cast<off_t>(offset), static_cast<off_t>(length));
    if (r != 0) std::memset(reinterpret_cast<void*>(extent.start), 0, extent.size);
  }
  big.erase(it);
  give_spans(first, static_cast<u32>(length >> kSpanShift));
}

void AddressWindow::Impl::map_own(u64 offset, u64 length) const {
  void* at = mmap(reinterpret_cast<void*>(kBase + offset), length, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_FIXED | MAP_NORESERVE, memfd, static_cast<off_t>(offset));
  if (at == MAP_FAILED) out_of_memory("cannot map the address window");
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
  impl.spans = static_cast<Span*>(spans);
  impl.memfd = memfd_create("uscx-window", MFD_CLOEXEC);
  if (impl.memfd < 0 || ftruncate(impl.memfd, kSize) != 0) {
    return error(fmt::format("cannot create the memory file of the address window: {}",
                             std::strerror(errno)));
  }
  if (!mapped_window) {
    void* at = mmap(reinterpret_cast<void*>(kBase), kSize, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
    // Kernels before 4.17 take the address as a hint only.
    if (at != MAP_FAILED && at != reinterpret_cast<void*>(kBase)) {
      munmap(at, kSize);
      at = MAP_FAILED;
      errno = EEXIST;
    }
    if (at == MAP_FAILED) {
      return error(fmt::format("cannot reserve the address window {:#x}-{:#x}: {}", kBase,
                               kBase + kSize,
                               errno == EEXIST ? "the range is in use" : std::strerror(errno)));
    }
  }
  window->activate();
  return window;
}

AddressWindow::~AddressWindow() {
  if (active()) {
    munmap(reinterpret_cast<void*>(kBase), kSize);
    mapped_window = nullptr;
  }
  for (const auto& [address, file] : impl_->files) close(file.fd);
  if (impl_->memfd >= 0) close(impl_->memfd);
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
  Extent* extent = &span.extents[((offset & (kSpanSize - 1)) * span.magic) >> 32];
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
  return at;
}

const Span* AddressWindow::span_table() const {
  return impl_->spans;
}

const Extent* AddressWindow::find(u64 addr) const {
  const u64 offset = addr - kBase;
  const u64 index = offset >> kSpanShift;
  if (index >= kSpans) return nullptr;
  const Span& span = impl_->spans[index];
  if (!span.extents) return nullptr;
  const Extent* extent = &span.extents[((offset & (kSpanSize - 1)) * span.magic) >> 32];
  return extent->type && addr - extent->start < extent->size ? extent : nullptr;
}

void AddressWindow::activate() {
  if (active()) return;
  impl_->map_own(0, kSize);
  for (const auto& [address, file] : impl_->files) {
    void* at = mmap(reinterpret_cast<void*>(address), file.length, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_FIXED, file.fd, 0);
    if (at == MAP_FAILED) out_of_memory("cannot map a file into the address window");
  }
  mapped_window = impl_.get();
}

bool AddressWindow::active() const {
  return mapped_window == impl_.get();
}

}  // namespace uscx::bpf
