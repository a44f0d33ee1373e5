// SPDX-License-Identifier: GPL-2.0-only
// Dynptrs: pointers to memory whose size is known at run time only, with it. On a program's stack,
// as Linux lays them out (struct bpf_dynptr_kern).
#pragma once

#include <cerrno>

#include "base/types.h"

namespace uscx::bpf {

struct Dynptr {
  static constexpr u32 kMaxSize = (1u << 24) - 1;  // DYNPTR_MAX_SIZE
  static constexpr u32 kReadOnly = 1u << 31;
  static constexpr u32 kLocal = 1, kRingbuf = 2, kSkb = 3, kXdp = 4;  // BPF_DYNPTR_TYPE_*

  u64 data;  // 0: null; of packets: the context's address
  u32 word;  // size, type, kReadOnly
  u32 offset;

  u32 size() const { return word & kMaxSize; }
  u32 type() const { return word << 1 >> 29; }
  /// Is it a packet's? Its bytes need not lie in one piece.
  bool of_packet() const { return type() == kSkb || type() == kXdp; }
  bool read_only() const { return word & kReadOnly; }
  /// 0 where `len` bytes at `off` lie inside, else E2BIG. Linux: bpf_dynptr_check_off_len.
  int check(u64 off, u64 len) const { return len > size() || off > size() - len ? E2BIG : 0; }
  u64 at(u64 off) const { return data + offset + off; }
  void set_size(u32 bytes) { word = (word & ~kMaxSize) | bytes; }

  static Dynptr to(u64 data, u32 type, u32 size) { return {data, size | type << 28, 0}; }
};
static_assert(sizeof(Dynptr) == 16);

class Bpf;
class HelperTable;
void add_dynptr_helpers(HelperTable& table);
void add_dynptr_kfuncs(Bpf& bpf);

}  // namespace uscx::bpf
