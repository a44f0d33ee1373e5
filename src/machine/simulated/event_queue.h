// SPDX-License-Identifier: GPL-2.0-only
// What happens next in virtual time. Events of the coming milliseconds lie unsorted in the buckets
// of a timer wheel; only those of the bucket that time has reached are kept in order, in a heap so
// small that it stays in the cache. What is further away waits in a heap of its own. Arming, moving
// and disarming are O(1) for nearly all events. docs/performance.md has what this was measured
// against. Allocates only while it grows.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "base/assert.h"
#include "base/types.h"

namespace uscx::machine {

/// Where an armed event is. `next` is its place where it is in a heap.
struct EventNode {
  enum class Where : u8 { kNowhere, kNear, kWheel, kFar };
  u64 time = 0;
  u64 sequence = 0;
  u32 next = 0;
  u32 prev = 0;
  Where where = Where::kNowhere;
};

/// A 4-ary heap of events by (time, sequence), which knows the place of each.
class EventHeap {
 public:
  explicit EventHeap(std::vector<EventNode>& nodes) : nodes_(nodes) {}
  EventHeap(const EventHeap&) = delete;
  EventHeap& operator=(const EventHeap&) = delete;

  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  /// Of the first event.
  u64 time() const { return entries_[0].time; }
  u32 top() const { return entries_[0].event; }
  /// Adds an event with the time and sequence number that its node has.
  void push(u32 event);
  void remove(u32 event);

 private:
  struct Entry {
    u64 time;
    u64 sequence;
    u32 event;
    bool before(const Entry& o) const {
      return time != o.time ? time < o.time : sequence < o.sequence;
    }
  };
  void put(u32 place, const Entry& entry) {
    entries_[place] = entry;
    nodes_[entry.event].next = place;
  }
  void up(u32 place, const Entry& entry);
  void down(u32 place, const Entry& entry);

  std::vector<EventNode>& nodes_;
  std::vector<Entry> entries_;
};

/// Events by (time, order of scheduling). An event is a handle made once and armed many times.
class EventQueue {
 public:
  using Handle = u32;

  EventQueue();
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  /// A new event, not armed. Reuses released handles.
  Handle make();
  /// Gives the handle back; it must not be armed.
  void release(Handle event);

  bool empty() const { return size() == 0; }
  std::size_t size() const { return near_.size() + in_wheel_ + far_.size(); }
  bool armed(Handle event) const { return nodes_[event].where != Where::kNowhere; }
  /// Of an armed event.
  u64 time(Handle event) const { return nodes_[event].time; }

  /// Arms `event` for `time`, or moves it there: behind all others of that time either way.
  void arm(Handle event, u64 time);
  void disarm(Handle event);

  /// Of the first event; there must be one.
  u64 next_time() {
    fill_near();
    return near_.time();
  }
  /// Disarms the first event and returns it.
  Handle pop();
  /// What pop() would most likely return; kNone where that would have to be looked for.
  Handle likely_next() const { return near_.empty() ? kNone : near_.top(); }
  static constexpr Handle kNone = ~0U;
  /// Events that time has come near to since the last forget_arrived(): soon, one of them is first.
  std::span<const Handle> arrived() const { return arrived_; }
  void forget_arrived() { arrived_.clear(); }

 private:
  using Where = EventNode::Where;
  // 4096 buckets of 1.024 us: the wheel reaches over the period of a tick (4 ms).
  static constexpr u32 kBucketShift = 10;
  static constexpr u32 kBuckets = 4096;
  static constexpr u32 kWords = kBuckets / 64;
  static u64 bucket_of(u64 time) { return time >> kBucketShift; }

  void insert(Handle event);
  void remove(Handle event);
  void link(Handle event);
  void unlink(Handle event);
  /// Makes sure that near_ has the first event.
  void fill_near() {
    USCX_ASSERT(!empty());
    if (near_.empty()) advance();
  }
  void advance();
  u64 next_bucket() const;

  // near_ has every event up to and including bucket reached_; the wheel those of the kBuckets - 1
  // buckets that follow it; far_ those that were further away when they were armed.
  u64 reached_ = 0;
  u64 sequence_ = 0;
  std::vector<EventNode> nodes_;  // by handle
  EventHeap near_{nodes_};
  EventHeap far_{nodes_};
  std::size_t in_wheel_ = 0;
  std::array<Handle, kBuckets> heads_;  // of each bucket's list; kNone: empty
  std::array<u64, kWords> occupied_{};  // which buckets have any
  u64 occupied_words_ = 0;              // which words of occupied_ are not 0
  std::vector<Handle> free_;
  std::vector<Handle> arrived_;
};

}  // namespace uscx::machine
