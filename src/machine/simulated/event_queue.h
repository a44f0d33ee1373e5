// SPDX-License-Identifier: GPL-2.0-only
// What happens next in virtual time. Events of the coming milliseconds lie unsorted in the buckets
// of a timer wheel; only those of the bucket that time has reached, and of the one behind it, are
// kept in order, in lists of 16 ns each. What is further away waits in a heap. Arming, moving and
// disarming are O(1) for nearly all events. docs/performance.md has what this was measured against.
// Allocates only while it grows.
#pragma once

#include <array>
#include <bit>
#include <span>
#include <vector>

#include "base/assert.h"
#include "base/types.h"

namespace uscx::sched {
struct Task;
}

namespace uscx::machine {

/// What an event is. The queue does not look at it: it only keeps it beside the time.
struct Event {
  enum class Kind : u8 { kProgress, kTick, kTimer, kResched, kIrqWork, kResume };
  Kind kind = Kind::kProgress;
  CpuId cpu = kNoCpu;
  void* target = nullptr;  // kTimer: the Timer; kIrqWork: the IrqWork; kResume: the explored
                           // machine's own; kResched: null, or its time includes that of leaving
                           // idle
  // kTimer: who had the CPU when it was armed, and likely sleeps; or null. A hint: not to be read.
  const sched::Task* sleeper = nullptr;
  u32 slot = 0;  // of that task
};

/// An event and where it is while it is armed: one cache line. `next` is its place where it is in
/// the wheel or in the heap.
struct alignas(64) EventNode {
  enum class Where : u8 { kNowhere, kNear, kWheel, kFar };
  u64 time = 0;
  u64 sequence = 0;
  u32 next = 0;
  u32 prev = 0;
  Where where = Where::kNowhere;
  bool seen = false;  // by look_ahead()
  Event event{};

  bool before(const EventNode& o) const {
    return time != o.time ? time < o.time : sequence < o.sequence;
  }
};
static_assert(sizeof(EventNode) == 64);

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
  /// What the event is: the caller's to set.
  Event& at(Handle event) { return nodes_[event].event; }
  const Event& at(Handle event) const { return nodes_[event].event; }

  /// It will be armed or moved soon.
  void prefetch(Handle event) const { __builtin_prefetch(&nodes_[event]); }

  bool empty() const {
    return (near_lists_[0] | near_lists_[1] | occupied_words_) == 0 && far_.empty();
  }
  bool armed(Handle event) const { return nodes_[event].where != Where::kNowhere; }
  /// Of an armed event.
  u64 time(Handle event) const { return nodes_[event].time; }

  /// Arms `event` for `time`, or moves it there: behind all others of that time either way.
  void arm(Handle event, u64 time);
  void disarm(Handle event);

  /// Of the first event; there must be one.
  u64 next_time() {
    fill_near();
    return nodes_[first_near()].time;
  }
  /// Disarms the first event and returns it.
  Handle pop() {
    fill_near();
    const u32 number = first_list();
    NearList& list = near_[number];
    const Handle event = list.first;
    EventNode& node = nodes_[event];
    node.where = Where::kNowhere;
    forget_seen(event);
    list.first = node.next;
    if (list.first == kNone) {
      leave_list(number);
    } else {
      nodes_[list.first].prev = kNone;
    }
    return event;
  }
  static constexpr Handle kNone = ~0U;
  /// The next event in order that this has not yet told of, of those of the coming microsecond or
  /// two; or kNone. It may be disarmed or moved before it comes, and others may come before it.
  Handle look_ahead();
  /// How many events that look_ahead() told of are still to come.
  u32 seen_ahead() const { return seen_; }

 private:
  using Where = EventNode::Where;
  // 4096 buckets of 1.024 us: the wheel reaches over the period of a tick (4 ms).
  static constexpr u32 kBucketShift = 10;
  static constexpr u32 kBuckets = 4096;
  static constexpr u32 kWords = kBuckets / 64;
  static u64 bucket_of(u64 time) { return time >> kBucketShift; }
  // 64 lists of 16 ns for each of two buckets: nearly always of one event.
  static constexpr u32 kNearShift = kBucketShift - 6;
  static constexpr u32 kNearLists = 128;
  struct NearList {
    Handle first, last;
    u64 last_time;  // so that who comes behind it need not read it
  };
  /// Part of a bucket: what comes in it, in no order. A bucket of several, of which only the first
  /// has room, is still read without waiting for one event to find the next.
  struct alignas(64) Chunk {
    static constexpr u32 kEvents = 14;
    std::array<Handle, kEvents> events;
    u32 next = kNone;  // chunk of the bucket, which is full, or free one; kNone: the last
  };
  /// EventNode::next is chunk * kPlacesInChunk + index.
  static constexpr u32 kPlacesInChunk = 16;
  static constexpr u32 kSingle = 1U << 31;  // see heads_
  /// The list a near event is on. One of a bucket that was passed already, when nothing came in it,
  /// is before all others.
  u32 near_list(u64 time) const {
    return bucket_of(time) < reached_ ? static_cast<u32>(reached_ % 2) * 64
                                      : static_cast<u32>(time >> kNearShift) % kNearLists;
  }
  /// Of the bucket that was reached; which must have one.
  u32 first_list() const {
    const u32 half = static_cast<u32>(reached_ % 2);
    return half * 64 + static_cast<u32>(std::countr_zero(near_lists_[half]));
  }
  void leave_list(u32 number) { near_lists_[number / 64] &= ~(1ULL << (number % 64)); }
  Handle first_near() const { return near_[first_list()].first; }

  void link_near(Handle event);
  /// A near event that leaves: look_ahead() goes on behind the one before it.
  void forget_seen(Handle event) {
    EventNode& node = nodes_[event];
    if (event == last_seen_) last_seen_ = node.prev;
    seen_ -= node.seen;
    node.seen = false;
  }
  /// The first list that has any, from that of `slot`, a time in units of 16 ns; or the end of what
  /// is near.
  u64 next_slot(u64 slot) const;
  void unlink_near(Handle event);
  void remove(Handle event);
  void link(u32 bucket, Handle event);
  void link_more(u32 bucket, Handle event);
  void unlink(Handle event);
  void put(u32 bucket, Handle event);
  void occupy(u32 bucket);
  void vacate(u32 bucket);
  void add_chunk(u32 bucket, u32 next);
  u32 drop_chunk(u32 chunk);
  void collect(u64 bucket);
  void collect_chunks(u32 head);
  /// Makes sure that the bucket that was reached has the first event.
  void fill_near() {
    if (near_lists_[reached_ % 2] == 0) advance();
  }
  void advance();
  void take_far(u64 bucket);
  void prefetch_bucket(u64 bucket) const;
  u64 next_bucket() const;

  // near_ has every event up to and including bucket reached_ + 1, each list in the order of time
  // and arming; the wheel those of the kBuckets - 2 buckets that follow it; far_ those that were
  // further away when they were armed.
  u64 reached_ = 0;
  u64 sequence_ = 0;
  std::vector<EventNode> nodes_;     // by handle
  std::array<u64, 2> near_lists_{};  // which lists of near_ have any; even buckets, then odd ones
  std::array<NearList, kNearLists> near_;
  EventHeap far_{nodes_};
  // By bucket: kNone, its only event and kSingle, or its first chunk and how many events that has:
  // a bucket's chunk, which is in no cache, is written when an event is armed, and not read.
  std::array<u32, kBuckets> heads_;
  std::vector<Chunk> chunks_;
  u32 free_chunk_ = kNone;
  std::array<u64, kWords> occupied_{};  // which buckets have any
  u64 occupied_words_ = 0;              // which words of occupied_ are not 0
  std::vector<Handle> free_;
  std::vector<Handle> collected_;
  // Where look_ahead() is: in which list, as a time in units of 16 ns, and behind which event of
  // it; kNone: before the first.
  u64 seen_slot_ = 0;
  Handle last_seen_ = kNone;
  u32 seen_ = 0;
};

}  // namespace uscx::machine
