// SPDX-License-Identifier: GPL-2.0-only
// What keeping events in order costs: the machine's queue (a timer wheel before a small heap)
// against one heap of all of them. "Hold": the first event is taken, and armed again somewhat
// later, as a CPU's or a sleeping task's is; every fourth time one that is armed is moved, as the
// end of a compute step is by an interrupt.
#include <benchmark/benchmark.h>

#include <vector>

#include "base/hash.h"
#include "machine/simulated/event_queue.h"

namespace uscx::bench {
namespace {

using machine::EventHeap;
using machine::EventNode;
using machine::EventQueue;

/// One heap with the interface of the queue.
class HeapOnly {
 public:
  u32 make() {
    nodes_.emplace_back();
    return static_cast<u32>(nodes_.size() - 1);
  }
  void arm(u32 event, u64 time) {
    EventNode& node = nodes_[event];
    if (node.where != EventNode::Where::kNowhere) heap_.remove(event);
    node.time = time;
    node.sequence = sequence_++;
    node.where = EventNode::Where::kNear;
    heap_.push(event);
  }
  u64 next_time() const { return heap_.time(); }
  u32 pop() {
    const u32 event = heap_.top();
    heap_.remove(event);
    nodes_[event].where = EventNode::Where::kNowhere;
    return event;
  }

 private:
  std::vector<EventNode> nodes_;
  EventHeap heap_{nodes_};
  u64 sequence_ = 0;
};

template <class Queue>
void hold(benchmark::State& state) {
  constexpr u64 kFurthestNs = 600'000;
  Queue queue;
  Random random(1);
  std::vector<u32> events;
  for (s64 i = 0; i < state.range(0); ++i) {
    events.push_back(queue.make());
    queue.arm(events.back(), random.below(kFurthestNs));
  }
  u32 round = 0;
  for (auto _ : state) {
    const u64 now = queue.next_time();
    const u32 event = queue.pop();
    queue.arm(event, now + random.below(kFurthestNs));
    if (++round % 4 == 0) {
      queue.arm(events[random.below(events.size())], now + random.below(kFurthestNs));
    }
  }
}
BENCHMARK(hold<HeapOnly>)->RangeMultiplier(8)->Range(32, 16384);
BENCHMARK(hold<EventQueue>)->RangeMultiplier(8)->Range(32, 16384);

}  // namespace
}  // namespace uscx::bench
