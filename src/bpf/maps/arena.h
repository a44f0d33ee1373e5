// SPDX-License-Identifier: GPL-2.0-only
// BPF_MAP_TYPE_ARENA: up to 4 GiB of sparse pages, shared by programs and user space.
// Linux: kernel/bpf/arena.c.
#pragma once

#include <vector>

#include "bpf/maps/map.h"
#include "bpf/maps/range_tree.h"

namespace uscx::bpf {

/// The pages are those of a memory file. User space maps the file at user_vm_start; the kernel's
/// view of it is inaccessible but for allocated pages, so that machine code faults where Linux's
/// would. Pointers of programs are user addresses, of which the low 32 bits count: a user mapping
/// never crosses 4 GiB.
class ArenaMap final : public Map {
 public:
  static constexpr u64 kPage = 4096;
  /// How far an access can lie off a pointer: bytes of a signed 16-bit offset.
  static constexpr u64 kGuard = 1 << 15;

  ArenaMap(Bpf& bpf, MapSpec spec);
  ~ArenaMap() override;

  u64 user_vm_start() const { return user_start_; }
  u64 user_vm_end() const { return user_end_; }
  /// Where the kernel has what user space has at the addresses whose low 32 bits are 0.
  u64 kern_vm_start() const { return view_ + kGuard; }
  u64 nr_pages() const { return nr_pages_; }

  /// mmap(2) of the map's descriptor: where user space shall have it. `fixed`: at `address`, which
  /// the caller insists on. Linux: arena_get_unmapped_area and arena_map_mmap.
  Result<u64> map_user(u64 address, u64 length, bool fixed);

  /// Is `linear` (register plus offset of an access) an address of the arena or beside it?
  static bool near(u64 linear) { return linear + kGuard < (u64{1} << 32) + 2 * kGuard; }
  /// The bytes at `linear`; null where a page of them is not there.
  std::byte* at(u64 linear, u32 bytes);
  /// A fault of machine code at `address` in the kernel's view: true where user space has made the
  /// page meanwhile, so that the access can be tried again. Safe in a signal handler.
  bool page_came(u64 address);

  // What the kfuncs of the same names do; addresses are the program's.
  u64 alloc_pages(u64 address, u32 count);
  void free_pages(u64 address, u32 count);
  /// 0 or a negative errno.
  int reserve_pages(u64 address, u32 count);

  u64 direct_address() const override { return user_start_; }
  int memfd() const override { return memfd_; }
  Result<void> user_lookup(const std::byte*, std::byte*) override { return fail(EINVAL); }
  Result<void> user_update(const std::byte*, const std::byte*, u64) override {
    return fail(EOPNOTSUPP);
  }
  Result<void> user_erase(const std::byte*) override { return fail(EOPNOTSUPP); }

 private:
  u32 max_pages() const { return static_cast<u32>((user_end_ - user_start_) / kPage); }
  /// Index of the page with the program's address `address`; beyond max_pages() where it has none.
  u64 page_of(u64 address) const {
    return static_cast<u32>(address - static_cast<u32>(user_start_)) / kPage;
  }
  bool present(u64 page) const { return present_[page / 64] >> (page % 64) & 1; }
  void set_present(u64 page, bool value);
  void set_user_range(u64 start);
  void protect(u64 page, u64 count, bool accessible);
  bool user_has(u64 page) const;
  /// User space makes pages by touching them: they are allocated from then on.
  void adopt_user_pages();

  int memfd_ = -1;   // user space's
  int own_fd_ = -1;  // ours, of the same file
  u64 view_ = 0;     // of the guard before the kernel's view
  u64 user_start_ = 0;
  u64 user_end_ = 0;
  u64 nr_pages_ = 0;
  std::vector<u64> present_;  // bits by page
  RangeTree free_;
};

/// Linux: arena_map_alloc's checks. 0 or a positive errno.
int check_arena_spec(const MapSpec& spec);

}  // namespace uscx::bpf
