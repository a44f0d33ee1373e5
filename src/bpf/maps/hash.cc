// SPDX-License-Identifier: GPL-2.0-only
// HASH, RHASH, PERCPU_HASH, LRU_HASH and LRU_PERCPU_HASH. Elements are slots of one slab in the
// window; an update takes a fresh slot, as in Linux, so that a pointer to the old value goes on
// seeing the old value until the slot is used again. Buckets are walked in order of a fixed hash:
// the same in every run.
#include <bit>
#include <cstring>

#include "base/assert.h"
#include "base/hash.h"
#include "bpf/bpf.h"
#include "bpf/maps/map.h"

namespace uscx::bpf {

namespace {

constexpr u32 kNone = ~0u;
constexpr u32 kMaxBuckets = 1u << 22;

class HashMap final : public Map {
 public:
  HashMap(Bpf& bpf, MapSpec spec)
      : Map(bpf, std::move(spec)),
        areas_(percpu() ? bpf.host().nr_cpu_ids() : 1),
        slots_(u64{spec_.max_entries} + 1),
        key_stride_(round_up8(spec_.key_size)) {
    const u32 buckets = std::bit_ceil(std::min(spec_.max_entries, kMaxBuckets));
    heads_.assign(buckets, kNone);
    keys_ = static_cast<std::byte*>(window().allocate(slots_ * key_stride_, kReadOnlyMemory));
    const ObjectType& type = spec_.flags & uapi::kRdonlyProg ? kReadOnlyMemory : kProgramMemory;
    values_ = static_cast<std::byte*>(window().allocate(slots_ * value_stride() * areas_, type));
  }

  ~HashMap() override {
    for (u32 bucket = 0; bucket < heads_.size(); ++bucket) {
      for (u32 slot = heads_[bucket]; slot != kNone; slot = nodes_[slot].next) free_slot(slot);
    }
    window().free(values_);
    window().free(keys_);
  }

  u64 lookup(const std::byte* key) override {
    const u32 slot = find(key);
    if (slot == kNone) return 0;
    touch(slot);
    return value_at(slot, percpu() ? bpf_.host().this_cpu() : 0);
  }

  u64 lookup_percpu(const std::byte* key, u32 cpu) override {
    if (!percpu() || cpu >= areas_) return 0;
    const u32 slot = find(key);
    return slot == kNone ? 0 : value_at(slot, cpu);
  }

  Result<void> update(const std::byte* key, const std::byte* value, u64 flags) override {
    return store(key, flags, [&](u32 slot, bool fresh) {
      const u32 cpu = percpu() ? bpf_.host().this_cpu() : 0;
      write_value(slot, cpu, value, fresh);
    });
  }

  Result<void> user_update(const std::byte* key, const std::byte* value, u64 flags) override {
    return store(key, flags, [&](u32 slot, bool fresh) {
      for (u32 cpu = 0; cpu < areas_; ++cpu) {
        write_value(slot, cpu, value + std::size_t{cpu} * value_stride(), fresh);
      }
    });
  }

  Result<void> erase(const std::byte* key) override {
    u32 slot;
    {
      LockGuard guard(lock(), bpf_.host().held_locks());
      slot = unlink(key);
    }
    if (slot == kNone) return fail(ENOENT);
    free_slot(slot);
    return {};
  }

  Result<void> user_lookup(const std::byte* key, std::byte* value) override {
    const u32 slot = find(key);
    if (slot == kNone) return fail(ENOENT);
    copy_out(slot, value);
    return {};
  }

  Result<void> user_lookup_and_delete(const std::byte* key, std::byte* value, u64 flags) override {
    if (flags & ~u64{uapi::kLock}) return fail(EINVAL);
    const u32 slot = find(key);
    if (slot == kNone) return fail(ENOENT);
    copy_out(slot, value);
    return erase(key);
  }

  Result<void> next_key(const std::byte* key, std::byte* next) override {
    const u32 at = key ? find(key) : kNone;
    const u32 slot = at == kNone ? first_from(0) : after(at);
    if (slot == kNone) return fail(ENOENT);
    std::memcpy(next, key_at(slot), spec_.key_size);
    return {};
  }

  u64 key_of_value(u64 value, u32*) override {
    const u64 slot = (value - reinterpret_cast<u64>(values_)) / value_stride() % slots_;
    return reinterpret_cast<u64>(key_at(static_cast<u32>(slot)));
  }

  Result<u32> for_each(const std::function<bool(u64, u64)>& fn) override {
    u32 calls = 0;
    const u32 cpu = percpu() ? bpf_.host().this_cpu() : 0;
    for (u32 slot = first_from(0), next; slot != kNone; slot = next) {
      next = after(slot);  // the callback may delete this element
      ++calls;
      if (!fn(reinterpret_cast<u64>(key_at(slot)), value_at(slot, cpu))) break;
      if (next != kNone && !nodes_[next].used) break;
    }
    return calls;
  }

 private:
  struct Node {
    u32 next = kNone;  // in its bucket
    u32 bucket = 0;
    bool used = false;
    u32 newer = kNone;  // LRU order
    u32 older = kNone;
  };

  std::byte* key_at(u32 slot) const { return keys_ + u64{slot} * key_stride_; }
  u64 value_at(u32 slot, u32 cpu) const {
    return reinterpret_cast<u64>(values_) + (cpu * slots_ + slot) * value_stride();
  }
  bool lru() const {
    return spec_.type == uapi::kMapLruHash || spec_.type == uapi::kMapLruPercpuHash;
  }

  u32 bucket_of(const std::byte* key) const {
    StreamHash hash;
    hash.add_bytes(key, spec_.key_size);
    return static_cast<u32>(hash.value()) & static_cast<u32>(heads_.size() - 1);
  }

  u32 find(const std::byte* key) const {
    for (u32 slot = heads_[bucket_of(key)]; slot != kNone; slot = nodes_[slot].next) {
      if (std::memcmp(key_at(slot), key, spec_.key_size) == 0) return slot;
    }
    return kNone;
  }

  u32 first_from(u32 bucket) const {
    for (; bucket < heads_.size(); ++bucket) {
      if (heads_[bucket] != kNone) return heads_[bucket];
    }
    return kNone;
  }
  u32 after(u32 slot) const {
    return nodes_[slot].next != kNone ? nodes_[slot].next : first_from(nodes_[slot].bucket + 1);
  }

  void write_value(u32 slot, u32 cpu, const std::byte* value, bool fresh) {
    auto* to = reinterpret_cast<std::byte*>(value_at(slot, cpu));
    fresh ? init_value(to, value) : copy_value(to, value);
  }

  void copy_out(u32 slot, std::byte* value) const {
    for (u32 cpu = 0; cpu < areas_; ++cpu) {
      copy_to_user(value + std::size_t{cpu} * value_stride(),
                   reinterpret_cast<const std::byte*>(value_at(slot, cpu)));
    }
  }

  template <class Write>
  Result<void> store(const std::byte* key, u64 flags, Write&& write) {
    const u64 what = flags & ~u64{uapi::kLock};
    // Linux does not look closer where the values are per CPU.
    if (what > (percpu() ? u64{uapi::kNoExist | uapi::kExist} : u64{uapi::kExist})) {
      return fail(EINVAL);
    }
    if ((flags & uapi::kLock) && !spec_.fields.has(FieldKind::kSpinLock)) return fail(EINVAL);
    u32 evicted = kNone;
    u32 replaced = kNone;
    {
      LockGuard guard(lock(), bpf_.host().held_locks());
      const u32 old = find(key);
      if (old != kNone && what == uapi::kNoExist) return fail(EEXIST);
      if (old == kNone && what == uapi::kExist) return fail(ENOENT);
      // A per-CPU value, or one under its lock, is written in place.
      if (old != kNone && (percpu() || (flags & uapi::kLock))) {
        write(old, false);
        return {};
      }
      if (old == kNone && count_ == spec_.max_entries) {
        if (!lru()) return fail(E2BIG);
        evicted = unlink(key_at(oldest_));
      }
      const u32 slot = take_slot();
      std::memcpy(key_at(slot), key, spec_.key_size);
      if (percpu()) {
        for (u32 cpu = 0; cpu < areas_; ++cpu) {
          std::memset(reinterpret_cast<void*>(value_at(slot, cpu)), 0, value_stride());
        }
      }
      write(slot, true);
      if (old != kNone) replaced = unlink(key);
      link(slot, key);
    }
    if (evicted != kNone) free_slot(evicted);
    if (replaced != kNone) free_slot(replaced);
    return {};
  }

  u32 take_slot() {
    if (!free_.empty()) {
      const u32 slot = free_.back();
      free_.pop_back();
      return slot;
    }
    USCX_ASSERT(nodes_.size() < slots_);
    nodes_.emplace_back();
    return static_cast<u32>(nodes_.size() - 1);
  }

  void link(u32 slot, const std::byte* key) {
    Node& node = nodes_[slot];
    node.bucket = bucket_of(key);
    node.next = heads_[node.bucket];
    node.used = true;
    heads_[node.bucket] = slot;
    ++count_;
    push_newest(slot);
  }

  /// Takes the element of `key` out; its slot stays taken until free_slot. kNone where there is
  /// none.
  u32 unlink(const std::byte* key) {
    for (u32* at = &heads_[bucket_of(key)]; *at != kNone; at = &nodes_[*at].next) {
      const u32 slot = *at;
      if (std::memcmp(key_at(slot), key, spec_.key_size) != 0) continue;
      *at = nodes_[slot].next;
      nodes_[slot].next = kNone;
      nodes_[slot].used = false;
      --count_;
      drop_from_order(slot);
      return slot;
    }
    return kNone;
  }

  void free_slot(u32 slot) {
    for (u32 cpu = 0; cpu < areas_; ++cpu) free_fields(value_at(slot, cpu));
    free_.push_back(slot);
  }

  void touch(u32 slot) {
    if (!lru() || slot == newest_) return;
    drop_from_order(slot);
    push_newest(slot);
  }
  void push_newest(u32 slot) {
    if (!lru()) return;
    nodes_[slot].older = newest_;
    nodes_[slot].newer = kNone;
    if (newest_ != kNone) nodes_[newest_].newer = slot;
    newest_ = slot;
    if (oldest_ == kNone) oldest_ = slot;
  }
  void drop_from_order(u32 slot) {
    if (!lru()) return;
    Node& node = nodes_[slot];
    (node.newer != kNone ? nodes_[node.newer].older : newest_) = node.older;
    (node.older != kNone ? nodes_[node.older].newer : oldest_) = node.newer;
    node.newer = node.older = kNone;
  }

  u32 areas_;
  u64 slots_;  // one more than max_entries, for an update of a full map
  u32 key_stride_;
  std::byte* keys_ = nullptr;
  std::byte* values_ = nullptr;
  std::vector<u32> heads_;
  std::vector<Node> nodes_;
  std::vector<u32> free_;
  u32 count_ = 0;
  u32 newest_ = kNone;
  u32 oldest_ = kNone;
};

}  // namespace

std::shared_ptr<Map> make_hash_map(Bpf& bpf, MapSpec spec) {
  return std::make_shared<HashMap>(bpf, std::move(spec));
}

}  // namespace uscx::bpf
