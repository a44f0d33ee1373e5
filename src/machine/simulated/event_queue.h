// SPDX-License-Identifier: GPL-2.0-only
// What happens next in virtual time: a 4-ary heap whose entries know their places, so that an event
// can be moved or taken out in O(log n). Allocates only while it grows.
#pragma once

#include <vector>

#include "base/assert.h"
#include "base/types.h"

namespace uscx::machine {

/// Events by (time, order of scheduling). An event is a handle made once and armed many times.
class EventQueue {
 public:
  using Handle = u32;
  static constexpr u32 kNotArmed = ~0U;

  /// A new event, not armed. Reuses released handles.
  Handle make();
  /// Gives the handle back; it must not be armed.
  void release(Handle event);

  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  bool armed(Handle event) const { return place_[event] != kNotArmed; }
  /// Of an armed event.
  u64 time(Handle event) const { return heap_[place_[event]].time; }

  /// Arms `event` for `time`, or moves it there: behind all others of that time either way.
  void arm(Handle event, u64 time);
  void disarm(Handle event);

  u64 next_time() const {
    USCX_ASSERT(!empty());
    return heap_[0].time;
  }
  /// Disarms the first event and returns it.
  Handle pop();

 private:
  struct Entry {
    u64 time;
    u64 sequence;
    Handle event;
    bool before(const Entry& o) const {
      return time != o.time ? time < o.time : sequence < o.sequence;
    }
  };
  void put(u32 place, const Entry& entry) {
    heap_[place] = entry;
    place_[entry.event] = place;
  }
  void up(u32 place, Entry entry);
  void down(u32 place, Entry entry);

  std::vector<Entry> heap_;
  std::vector<u32> place_;  // by handle: index in heap_, or kNotArmed
  std::vector<Handle> free_;
  u64 sequence_ = 0;
};

}  // namespace uscx::machine
