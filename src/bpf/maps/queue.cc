// SPDX-License-Identifier: GPL-2.0-only
// QUEUE and STACK: values without keys, first in first out, or last in first out.
#include <cstring>
#include <deque>

#include "bpf/bpf.h"
#include "bpf/maps/map.h"

namespace uscx::bpf {

namespace {

class QueueMap final : public Map {
 public:
  QueueMap(Bpf& bpf, MapSpec spec) : Map(bpf, std::move(spec)) {}

  Result<void> push(const std::byte* value, u64 flags) override {
    const bool replace = flags & uapi::kExist;
    if ((flags & uapi::kNoExist) || flags > uapi::kExist) return fail(EINVAL);
    LockGuard guard(lock(), bpf_.host().held_locks());
    if (values_.size() == spec_.max_entries) {
      if (!replace) return fail(E2BIG);
      values_.pop_front();
    }
    values_.emplace_back(value, value + spec_.value_size);
    return {};
  }

  Result<void> pop(std::byte* value) override { return take(value, true); }
  Result<void> peek(std::byte* value) override { return take(value, false); }

  Result<void> user_lookup(const std::byte*, std::byte* value) override { return peek(value); }
  Result<void> user_update(const std::byte*, const std::byte* value, u64 flags) override {
    return push(value, flags);
  }
  Result<void> user_erase(const std::byte*) override { return fail(EINVAL); }
  Result<void> user_lookup_and_delete(const std::byte*, std::byte* value, u64) override {
    return pop(value);
  }
  Result<void> next_key(const std::byte*, std::byte*) override { return fail(EINVAL); }

 private:
  Result<void> take(std::byte* value, bool remove) {
    LockGuard guard(lock(), bpf_.host().held_locks());
    if (values_.empty()) {
      std::memset(value, 0, spec_.value_size);
      return fail(ENOENT);
    }
    const bool last = spec_.type == uapi::kMapStack;
    const auto& chosen = last ? values_.back() : values_.front();
    std::memcpy(value, chosen.data(), spec_.value_size);
    if (remove) last ? values_.pop_back() : values_.pop_front();
    return {};
  }

  std::deque<std::vector<std::byte>> values_;  // oldest first
};

}  // namespace

std::shared_ptr<Map> make_queue_map(Bpf& bpf, MapSpec spec) {
  return std::make_shared<QueueMap>(bpf, std::move(spec));
}

}  // namespace uscx::bpf
