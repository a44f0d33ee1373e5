// SPDX-License-Identifier: GPL-2.0-only
// The reserved address window: everything a BPF program can point at lives here.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/types.h"

namespace uscx::bpf {

/// What kind of kernel object an extent holds, declared once by whoever owns the type:
/// `inline constexpr ObjectType kTaskObject{"task_struct", &task_write_allowed};`
struct ObjectType {
  const char* name;
  /// May a program store `size` bytes at `offset`? Null: never. (Linux: btf_struct_access.)
  bool (*may_write)(u64 offset, u32 size) = nullptr;
  /// Memory that belongs to programs (map values, stacks, contexts they may write).
  bool program_memory = false;
  /// How much of an object programs can see, from its start; 0: all. What the kernel keeps behind
  /// the struct of the ABI stays its own: Extent::size is at most this.
  u64 visible_size = 0;
};

/// Memory of programs: stacks, map values, buffers; all of it readable and writable.
inline constexpr ObjectType kProgramMemory{"memory", nullptr, true};
/// Memory that programs may only read (contexts, frozen data, strings).
inline constexpr ObjectType kReadOnlyMemory{"read-only memory"};

/// One allocation of the window, as the checking interpreter sees it.
struct Extent {
  u64 start = 0;
  u64 size = 0;
  const ObjectType* type = nullptr;

  bool contains(u64 addr, u64 bytes) const {
    return addr >= start && bytes <= size && addr - start <= size - bytes;
  }
  bool may_write(u64 addr, u32 bytes) const {
    if (!contains(addr, bytes)) return false;
    return type->program_memory || (type->may_write && type->may_write(addr - start, bytes));
  }
};

/// 64 KiB of the window, as AddressWindow::find and generated code look an address up: its extent
/// is extents[(offset in the span + lead) * magic >> 32].
struct Span {
  static constexpr u32 kShift = 16;
  Extent* extents = nullptr;  // null: free. One per slot, and empty ones for what is around them
  u32 magic = 0;              // 0 for an allocation that is its spans' only one
  u16 lead = 0;               // by how much the first extent would begin before the span
  u16 size_class = 0;
};

/// A range of addresses with a fixed base and a deterministic allocator, so that programs which
/// look at (or hash) addresses behave the same in every run. Memory is host memory at its own
/// address: a window pointer is a C++ pointer. Several windows may exist in a process; they share
/// the addresses and only the active one is mapped (like switch_mm), so a Kernel activates its
/// window before it runs. Not thread-safe.
class AddressWindow {
 public:
  static constexpr u64 kBase = 0x2000'0000'0000;  // clear of ASLR, of arenas at 1<<44 and of asan
  static constexpr u64 kSize = 1ULL << 38;        // address space, backed as it is touched

  static OrError<std::unique_ptr<AddressWindow>> create();
  ~AddressWindow();
  AddressWindow(const AddressWindow&) = delete;
  AddressWindow& operator=(const AddressWindow&) = delete;

  /// Zeroed memory of the given type, recorded as one extent. Alignment is 16, or a page for sizes
  /// of a page and more. Deterministic: the n-th call of a run gives the same address in each run.
  /// Never null for size <= kSize/4: exhaustion aborts.
  void* allocate(std::size_t size, const ObjectType& type);
  /// Ends the extent that starts at `memory`; later accesses by programs are faults.
  void free(void* memory);

  /// Maps `size` bytes of file `fd` (a map's memfd) into the window as one extent; the window keeps
  /// its own duplicate of fd. `free` undoes it.
  Result<void*> map_file(int fd, std::size_t size, const ObjectType& type);

  /// The extent that holds `addr`, or null. O(1).
  const Extent* find(u64 addr) const {
    const u64 offset = addr - kBase;
    if (offset >= kSize) return nullptr;
    const Span& span = spans_[offset >> Span::kShift];
    if (!span.extents) return nullptr;
    constexpr u64 kInSpan = (1ULL << Span::kShift) - 1;
    const Extent* extent = &span.extents[((offset & kInSpan) + span.lead) * span.magic >> 32];
    return extent->type && addr - extent->start < extent->size ? extent : nullptr;
  }
  /// The spans, kSize >> Span::kShift of them; at one address as long as the window lives.
  const Span* span_table() const { return spans_; }
  static bool inside(u64 addr) { return addr - kBase < kSize; }

  /// Makes this the mapped window of the process. Cheap where it is already.
  void activate() {
    if (!active()) map();
  }
  bool active() const { return mapped_ == impl_.get(); }

  template <class T, class... Args>
  T* make(const ObjectType& type, Args&&... args) {
    return new (allocate(sizeof(T), type)) T(static_cast<Args&&>(args)...);
  }
  template <class T>
  void destroy(T* object) {
    object->~T();
    free(object);
  }

 private:
  AddressWindow();
  void map();
  struct Impl;
  /// Whose bytes are at kBase, as a CPU has one page table base register. The addresses are the
  /// process's, so this is too: the one static of the BPF machine.
  static Impl* mapped_;
  const Span* spans_ = nullptr;  // impl_'s
  std::unique_ptr<Impl> impl_;
};

}  // namespace uscx::bpf
