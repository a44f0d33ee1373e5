// SPDX-License-Identifier: GPL-2.0-only
// Free ranges of numbers. Linux: kernel/bpf/range_tree.c, whose choices programs can see.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "base/types.h"

namespace uscx::bpf {

/// A set of u32, as ranges. Nothing overflows: members are below 2^31.
class RangeTree {
 public:
  /// The start of a range of at least `length`: of the smallest that fits, the one made last.
  std::optional<u32> find(u32 length) const {
    auto it = by_size_.lower_bound({length, 0, 0});
    if (it == by_size_.end()) return std::nullopt;
    return it->start;
  }

  /// Are all of [start, start + length) in the set? `length` > 0.
  bool contains(u32 start, u32 length) const {
    auto it = ranges_.upper_bound(start);
    return it != ranges_.begin() && std::prev(it)->second.end >= u64{start} + length;
  }

  void insert(u32 start, u32 length) {
    if (contains(start, length)) return;
    erase(start, length);
    u32 end = start + length;
    auto right = ranges_.find(end);
    auto left = ranges_.lower_bound(start);
    if (left != ranges_.begin() && std::prev(left)->second.end == start) {
      start = std::prev(left)->first;
      drop(start);
    }
    if (right != ranges_.end()) {
      const u32 old = right->first;
      end = right->second.end;
      drop(old);
    }
    add(start, end);
  }

  void erase(u32 start, u32 length) {
    const u32 end = start + length;
    auto it = ranges_.upper_bound(start);
    if (it != ranges_.begin() && std::prev(it)->second.end > start) --it;
    while (it != ranges_.end() && it->first < end) {
      const u32 from = it->first;
      const u32 to = it->second.end;
      ++it;
      drop(from);
      if (from < start) add(from, start);
      if (to > end) add(end, to);
    }
  }

 private:
  struct Range {
    u32 end;
    u64 made;  // sequence number
  };
  struct BySize {
    u32 size;
    u64 age;  // descends: later ones come first
    u32 start;
    auto operator<=>(const BySize&) const = default;
  };

  void add(u32 start, u32 end) {
    ranges_.emplace(start, Range{end, made_});
    by_size_.insert({end - start, ~made_, start});
    made_++;
  }
  void drop(u32 start) {
    auto it = ranges_.find(start);
    by_size_.erase({it->second.end - start, ~it->second.made, start});
    ranges_.erase(it);
  }

  std::map<u32, Range> ranges_;  // by start; never adjacent
  std::set<BySize> by_size_;
  u64 made_ = 0;
};

}  // namespace uscx::bpf
