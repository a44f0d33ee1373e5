// SPDX-License-Identifier: GPL-2.0-only
#include "base/huge_heap.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace uscx {

void put_heap_into_huge_pages() {
#ifdef __GLIBC__
  // glibc does this for who sets GLIBC_TUNABLES=glibc.malloc.hugetlb=1, and for nobody else. Here
  // its heap is made long once, as address space, and what is added later has small pages.
  constexpr int kHeap = 256 << 20;
  constexpr int kSmallest = 1 << 20,
                kLargest = 32 << 20;  // what is not from the heap; glibc's most
  constexpr std::uintptr_t kPage = 4096;
  mallopt(M_MMAP_THRESHOLD, kLargest);
  mallopt(M_TRIM_THRESHOLD, 2 * kHeap);
  mallopt(M_TOP_PAD, kHeap);
  const auto from = (reinterpret_cast<std::uintptr_t>(sbrk(0)) + kPage - 1) & ~(kPage - 1);
  void* volatile more = std::malloc(2 * kSmallest);  // more than there is: the heap grows
  const auto to = reinterpret_cast<std::uintptr_t>(sbrk(0)) & ~(kPage - 1);
  std::free(more);
  mallopt(M_TOP_PAD, kSmallest);
  if (to > from) madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
#endif
}

}  // namespace uscx
