// SPDX-License-Identifier: GPL-2.0-only
#include "machine/simulated/event_queue.h"

#include <algorithm>
#include <bit>

namespace uscx::machine {

// ---- the heap -----------------------------------------------------------------------------------

void EventHeap::push(u32 event) {
  const EventNode& node = nodes_[event];
  const Entry entry{.time = node.time, .sequence = node.sequence, .event = event};
  entries_.push_back(entry);
  up(static_cast<u32>(entries_.size() - 1), entry);
}

void EventHeap::remove(u32 event) {
  const u32 place = nodes_[event].next;
  USCX_ASSERT(place < entries_.size() && entries_[place].event == event);
  const Entry last = entries_.back();
  entries_.pop_back();
  if (place == entries_.size()) return;
  if (place > 0 && last.before(entries_[(place - 1) / 4])) {
    up(place, last);
  } else {
    down(place, last);
  }
}

void EventHeap::up(u32 place, const Entry& entry) {
  while (place > 0) {
    const u32 parent = (place - 1) / 4;
    if (!entry.before(entries_[parent])) break;
    put(place, entries_[parent]);
    place = parent;
  }
  put(place, entry);
}

void EventHeap::down(u32 place, const Entry& entry) {
  const u32 size = static_cast<u32>(entries_.size());
  while (true) {
    const u32 first = place * 4 + 1;
    if (first >= size) break;
    u32 best = first;
    for (u32 child = first + 1; child < std::min(first + 4, size); ++child) {
      if (entries_[child].before(entries_[best])) best = child;
    }
    if (!entries_[best].before(entry)) break;
    put(place, entries_[best]);
    place = best;
  }
  put(place, entry);
}

// ---- the queue ----------------------------------------------------------------------------------

EventQueue::EventQueue() {
  heads_.fill(kNone);
  collected_.reserve(256);  // more than come in a microsecond on all but the largest machines
}

EventQueue::Handle EventQueue::make() {
  if (!free_.empty()) {
    const Handle event = free_.back();
    free_.pop_back();
    return event;
  }
  nodes_.emplace_back();
  return static_cast<Handle>(nodes_.size() - 1);
}

void EventQueue::release(Handle event) {
  USCX_ASSERT(event < nodes_.size() && !armed(event));
  free_.push_back(event);
}

inline void EventQueue::occupy(u32 bucket) {
  occupied_[bucket / 64] |= 1ULL << (bucket % 64);
  occupied_words_ |= 1ULL << (bucket / 64);
}

inline void EventQueue::link(u32 bucket, Handle event) {
  if (heads_[bucket] != kNone) return link_more(bucket, event);
  heads_[bucket] = kSingle | event;
  occupy(bucket);
}

void EventQueue::arm(Handle event, u64 time) {
  USCX_ASSERT(event < nodes_.size());
  EventNode& node = nodes_[event];
  if (node.where != Where::kNowhere) remove(event);
  node.time = time;
  node.sequence = sequence_++;
  const u64 bucket = bucket_of(time);
  if (bucket <= reached_ + 1) {
    link_near(event);
  } else if (bucket - reached_ < kBuckets) {
    node.where = Where::kWheel;
    link(static_cast<u32>(bucket % kBuckets), event);
  } else {
    node.where = Where::kFar;
    far_.push(event);
  }
}

void EventQueue::disarm(Handle event) {
  USCX_ASSERT(event < nodes_.size() && armed(event));
  remove(event);
  nodes_[event].where = Where::kNowhere;
}

void EventQueue::remove(Handle event) {
  switch (nodes_[event].where) {
    case Where::kNear:
      return unlink_near(event);
    case Where::kWheel:
      return unlink(event);
    case Where::kFar:
      return far_.remove(event);
    case Where::kNowhere:
      USCX_ASSERT(!"armed");
  }
}

/// Behind those that come before it; mostly the last is one.
void EventQueue::link_near(Handle event) {
  EventNode& node = nodes_[event];
  node.where = Where::kNear;
  const u32 number = near_list(node.time);
  NearList& list = near_[number];
  u64& lists = near_lists_[number / 64];
  if ((lists & (1ULL << (number % 64))) == 0) {
    lists |= 1ULL << (number % 64);
    list = {event, event, node.time};
    node.next = node.prev = kNone;
    return;
  }
  if (node.time > list.last_time) {
    node.prev = list.last;
    node.next = kNone;
    nodes_[list.last].next = event;
    list.last = event;
    list.last_time = node.time;
    return;
  }
  Handle before = list.last;
  while (before != kNone && node.before(nodes_[before])) before = nodes_[before].prev;
  node.prev = before;
  node.next = before == kNone ? list.first : nodes_[before].next;
  (before == kNone ? list.first : nodes_[before].next) = event;
  (node.next == kNone ? list.last : nodes_[node.next].prev) = event;
  // Its time is that of the last already, whether it is the last now or not.
}

void EventQueue::unlink_near(Handle event) {
  forget_seen(event);
  const EventNode& node = nodes_[event];
  const u32 number = near_list(node.time);
  NearList& list = near_[number];
  (node.prev == kNone ? list.first : nodes_[node.prev].next) = node.next;
  (node.next == kNone ? list.last : nodes_[node.next].prev) = node.prev;
  if (list.first == kNone) {
    leave_list(number);
  } else if (node.next == kNone) {
    list.last_time = nodes_[node.prev].time;
  }
}

/// To a bucket that has events.
void EventQueue::link_more(u32 bucket, Handle event) {
  const u32 head = heads_[bucket];
  if ((head & kSingle) != 0) {
    add_chunk(bucket, kNone);
    put(bucket, head & ~kSingle);
  } else if (head % kPlacesInChunk == Chunk::kEvents) {
    add_chunk(bucket, head / kPlacesInChunk);
  }
  put(bucket, event);
}

/// The bucket's first chunk has room.
void EventQueue::put(u32 bucket, Handle event) {
  const u32 place = heads_[bucket]++;
  nodes_[event].next = place;
  chunks_[place / kPlacesInChunk].events[place % kPlacesInChunk] = event;
}

/// The last event of the first chunk takes its place.
void EventQueue::unlink(Handle event) {
  const EventNode& node = nodes_[event];
  const u32 bucket = bucket_of(node.time) % kBuckets;
  u32& head = heads_[bucket];
  if ((head & kSingle) != 0) {
    USCX_ASSERT(head == (kSingle | event));
    head = kNone;
    return vacate(bucket);
  }
  const u32 last_place = --head;
  const u32 chunk = last_place / kPlacesInChunk;
  const Handle last = chunks_[chunk].events[last_place % kPlacesInChunk];
  Handle& place = chunks_[node.next / kPlacesInChunk].events[node.next % kPlacesInChunk];
  USCX_ASSERT(place == event);
  if (last != event) {
    place = last;
    nodes_[last].next = node.next;
  }
  if (last_place % kPlacesInChunk != 0) return;
  const u32 next = drop_chunk(chunk);
  head = next == kNone ? kNone : next * kPlacesInChunk + Chunk::kEvents;
  if (next == kNone) vacate(bucket);
}

void EventQueue::vacate(u32 bucket) {
  occupied_[bucket / 64] &= ~(1ULL << (bucket % 64));
  if (occupied_[bucket / 64] == 0) occupied_words_ &= ~(1ULL << (bucket / 64));
}

/// An empty chunk before the bucket's `next`.
void EventQueue::add_chunk(u32 bucket, u32 next) {
  u32 added = free_chunk_;
  if (added == kNone) {
    added = static_cast<u32>(chunks_.size());
    chunks_.emplace_back();
  } else {
    free_chunk_ = chunks_[added].next;
  }
  chunks_[added].next = next;
  heads_[bucket] = added * kPlacesInChunk;
}

/// Frees it. The one behind it, or kNone.
u32 EventQueue::drop_chunk(u32 chunk) {
  const u32 next = chunks_[chunk].next;
  chunks_[chunk].next = free_chunk_;
  free_chunk_ = chunk;
  return next;
}

/// Moves the bucket's events to near_.
void EventQueue::collect(u64 number) {
  if (!far_.empty()) take_far(number);
  const u32 bucket = static_cast<u32>(number % kBuckets);
  const u32 head = heads_[bucket];
  if (head == kNone) return;
  heads_[bucket] = kNone;
  vacate(bucket);
  if ((head & kSingle) != 0) return link_near(head & ~kSingle);
  collect_chunks(head);
  for (const Handle event : collected_) __builtin_prefetch(&nodes_[event]);
  for (const Handle event : collected_) link_near(event);
}

/// Into collected_, those first that were armed first: of thousands that are due at one instant, as
/// ticks are, each then goes behind the one before it, and none has to look for its place.
void EventQueue::collect_chunks(u32 head) {
  u32 chunk = head / kPlacesInChunk, count = head % kPlacesInChunk;
  collected_.clear();
  while (chunk != kNone) {
    const auto& events = chunks_[chunk].events;
    collected_.insert(collected_.end(), events.rend() - count, events.rend());
    chunk = drop_chunk(chunk);
    count = Chunk::kEvents;
  }
  std::ranges::reverse(collected_);
}

void EventQueue::take_far(u64 bucket) {
  while (!far_.empty() && bucket_of(far_.time()) == bucket) {
    const Handle event = far_.top();
    far_.remove(event);
    link_near(event);
  }
}

/// So that collect() finds its chunks in the cache.
void EventQueue::prefetch_bucket(u64 bucket) const {
  const u32 head = heads_[bucket % kBuckets];
  if ((head & kSingle) != 0) return;  // or empty
  for (u32 chunk = head / kPlacesInChunk; chunk != kNone; chunk = chunks_[chunk].next) {
    __builtin_prefetch(&chunks_[chunk]);
  }
}

/// The first bucket with events behind reached_, round the wheel.
u64 EventQueue::next_bucket() const {
  const u32 from = (reached_ + 1) % kBuckets;
  const u32 word = from / 64;
  const auto ahead = [&](u32 found) { return reached_ + 1 + (found - from) % kBuckets; };
  if (const u64 bits = occupied_[word] & (~0ULL << (from % 64))) {
    return ahead(word * 64 + static_cast<u32>(std::countr_zero(bits)));
  }
  // The words after it, then all from the beginning: the last of them is `word` again.
  const u64 after = word == 63 ? 0 : occupied_words_ & (~0ULL << (word + 1));
  const u64 words = after != 0 ? after : occupied_words_;
  const u32 first = static_cast<u32>(std::countr_zero(words));
  return ahead(first * 64 + static_cast<u32>(std::countr_zero(occupied_[first])));
}

/// Goes on to the next bucket in which anything happens, and puts what does in order.
void EventQueue::advance() {
  USCX_ASSERT(!empty());
  constexpr u64 kNever = ~0ULL;
  ++reached_;
  if (near_lists_[reached_ % 2] == 0) {
    const u64 in_wheel = occupied_words_ != 0 ? next_bucket() : kNever;
    const u64 in_far = far_.empty() ? kNever : bucket_of(far_.time());
    reached_ = std::min(in_wheel, in_far);
    collect(reached_);
  }
  collect(reached_ + 1);
  prefetch_bucket(reached_ + 2);
}

u64 EventQueue::next_slot(u64 slot) const {
  for (u64 bucket = slot / 64; bucket <= reached_ + 1; slot = ++bucket * 64) {
    const u64 lists = near_lists_[bucket % 2] & (~0ULL << (slot % 64));
    if (lists != 0) return bucket * 64 + static_cast<u64>(std::countr_zero(lists));
  }
  return (reached_ + 2) * 64;
}

EventQueue::Handle EventQueue::look_ahead() {
  Handle next = last_seen_ == kNone ? kNone : nodes_[last_seen_].next;
  if (next == kNone) {
    // The rest of this list is seen, or it has none.
    const u64 from = last_seen_ == kNone ? std::max(seen_slot_, reached_ * 64) : seen_slot_ + 1;
    const u64 slot = next_slot(from);
    if (slot == (reached_ + 2) * 64) return kNone;
    seen_slot_ = slot;
    next = near_[slot % kNearLists].first;
  }
  EventNode& node = nodes_[next];
  Handle after = node.next;
  if (after == kNone) {
    const u64 slot = next_slot(seen_slot_ + 1);
    after = slot == (reached_ + 2) * 64 ? next : near_[slot % kNearLists].first;
  }
  __builtin_prefetch(&nodes_[after]);
  last_seen_ = next;
  if (!node.seen) {
    node.seen = true;
    ++seen_;
  }
  return next;
}

}  // namespace uscx::machine
