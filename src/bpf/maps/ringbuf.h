// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "bpf/maps/map.h"

namespace uscx::bpf {

/// RINGBUF and USER_RINGBUF. The memory is a memfd that user space maps as it maps Linux's: a page
/// with the consumer's position, one with the producer's, then the data twice, so that a record
/// that wraps is contiguous. Here the second copy is memory of its own: what is written to one is
/// copied to the other when a record is committed. Linux: kernel/bpf/ringbuf.c.
class RingbufMap final : public Map {
 public:
  RingbufMap(Bpf& bpf, MapSpec spec);
  ~RingbufMap() override;

  static constexpr u32 kHeader = 8;          // BPF_RINGBUF_HDR_SZ
  static constexpr u32 kBusy = 1u << 31;     // BPF_RINGBUF_BUSY_BIT
  static constexpr u32 kDiscard = 1u << 30;  // BPF_RINGBUF_DISCARD_BIT

  /// The address of a new record of `size` bytes; 0 where it does not fit.
  u64 reserve(u64 size);
  /// Ends the record at `address`, for consumers to see or skip.
  void commit(u64 address, bool discard);
  /// Does the map hold a reserved record at `address`, and of which size?
  bool holds(u64 address) const;
  u32 record_size(u64 address) const;
  /// BPF_RB_AVAIL_DATA, ..._RING_SIZE, ..._CONS_POS, ..._PROD_POS.
  u64 query(u64 what) const;

  /// The next sample that user space sent: ENODATA where there is none, EAGAIN after one that was
  /// discarded, EINVAL and E2BIG where user space broke the protocol.
  struct Sample {
    u64 address = 0;
    u32 size = 0;
  };
  Result<Sample> peek_sample();
  void release_sample(u32 size);

  Result<void> user_lookup(const std::byte*, std::byte*) override { return fail(kEnotsupp); }
  Result<void> user_update(const std::byte*, const std::byte*, u64) override {
    return fail(kEnotsupp);
  }
  Result<void> user_erase(const std::byte*) override { return fail(kEnotsupp); }
  Result<void> next_key(const std::byte*, std::byte*) override { return fail(kEnotsupp); }
  int memfd() const override { return memfd_; }

 private:
  u64& consumer() const { return *reinterpret_cast<u64*>(base_); }
  u64& producer() const { return *reinterpret_cast<u64*>(base_ + kPage); }
  u64 data() const { return base_ + 2 * kPage; }
  u64 mask() const { return u64{spec_.max_entries} - 1; }
  u32& header_at(u64 position) const {
    return *reinterpret_cast<u32*>(data() + (position & mask()));
  }
  void mirror(u64 offset, u64 bytes);

  static constexpr u64 kPage = 4096;
  int memfd_ = -1;
  u64 base_ = 0;
  u64 pending_ = 0;  // position of the oldest record that is not committed
};

class HelperTable;
std::shared_ptr<Map> make_ringbuf_map(Bpf& bpf, MapSpec spec);
void add_ringbuf_helpers(HelperTable& table);

}  // namespace uscx::bpf
