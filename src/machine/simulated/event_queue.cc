// SPDX-License-Identifier: GPL-2.0-only
#include "machine/simulated/event_queue.h"

#include <algorithm>

namespace uscx::machine {

EventQueue::Handle EventQueue::make() {
  if (!free_.empty()) {
    const Handle event = free_.back();
    free_.pop_back();
    return event;
  }
  place_.push_back(kNotArmed);
  return static_cast<Handle>(place_.size() - 1);
}

void EventQueue::release(Handle event) {
  USCX_ASSERT(event < place_.size() && !armed(event));
  free_.push_back(event);
}

void EventQueue::arm(Handle event, u64 time) {
  USCX_ASSERT(event < place_.size());
  const Entry entry{.time = time, .sequence = sequence_++, .event = event};
  u32 place = place_[event];
  if (place == kNotArmed) {
    place = static_cast<u32>(heap_.size());
    heap_.push_back(entry);
    return up(place, entry);
  }
  if (entry.before(heap_[place])) {
    up(place, entry);
  } else {
    down(place, entry);
  }
}

void EventQueue::disarm(Handle event) {
  USCX_ASSERT(event < place_.size() && armed(event));
  const u32 place = place_[event];
  place_[event] = kNotArmed;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (place == heap_.size()) return;
  if (place > 0 && last.before(heap_[(place - 1) / 4])) {
    up(place, last);
  } else {
    down(place, last);
  }
}

EventQueue::Handle EventQueue::pop() {
  USCX_ASSERT(!empty());
  const Handle event = heap_[0].event;
  disarm(event);
  return event;
}

void EventQueue::up(u32 place, Entry entry) {
  while (place > 0) {
    const u32 parent = (place - 1) / 4;
    if (!entry.before(heap_[parent])) break;
    put(place, heap_[parent]);
    place = parent;
  }
  put(place, entry);
}

void EventQueue::down(u32 place, Entry entry) {
  const u32 size = static_cast<u32>(heap_.size());
  while (true) {
    const u32 first = place * 4 + 1;
    if (first >= size) break;
    u32 best = first;
    for (u32 child = first + 1; child < std::min(first + 4, size); ++child) {
      if (heap_[child].before(heap_[best])) best = child;
    }
    if (!heap_[best].before(entry)) break;
    put(place, heap_[best]);
    place = best;
  }
  put(place, entry);
}

}  // namespace uscx::machine
