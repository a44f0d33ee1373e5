// SPDX-License-Identifier: GPL-2.0-only
// ARRAY and PERCPU_ARRAY: max_entries values, always there.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "base/assert.h"
#include "bpf/bpf.h"
#include "bpf/maps/map.h"

namespace uscx::bpf {

namespace {

u32 index_of(const std::byte* key) {
  u32 index;
  std::memcpy(&index, key, sizeof(index));
  return index;
}

/// The values are one extent, as they are adjacent in Linux; a per-CPU array has one area a CPU.
class ArrayMap final : public Map {
 public:
  ArrayMap(Bpf& bpf, MapSpec spec) : Map(bpf, std::move(spec)) {
    areas_ = percpu() ? bpf.host().nr_cpu_ids() : 1;
    area_bytes_ = u64{value_stride()} * spec_.max_entries;
    key_ = static_cast<u32*>(window().allocate(sizeof(u32), kReadOnlyMemory));
    const ObjectType& type = spec_.flags & uapi::kRdonlyProg ? kReadOnlyMemory : kProgramMemory;
    if (spec_.flags & uapi::kMmapable) {
      map_memfd(type);
    } else {
      base_ = reinterpret_cast<u64>(window().allocate(area_bytes_ * areas_, type));
    }
  }

  ~ArrayMap() override {
    if (!spec_.fields.fields.empty()) {
      for (u32 i = 0; i < spec_.max_entries; ++i) {
        for (u32 cpu = 0; cpu < areas_; ++cpu) free_fields(value_at(i, cpu));
      }
    }
    window().free(reinterpret_cast<void*>(base_));
    window().free(key_);
  }

  u64 lookup(const std::byte* key) override {
    const u32 index = index_of(key);
    if (index >= spec_.max_entries) return 0;
    return value_at(index, percpu() ? bpf_.host().this_cpu() : 0);
  }

  u64 lookup_percpu(const std::byte* key, u32 cpu) override {
    const u32 index = index_of(key);
    if (!percpu() || cpu >= areas_ || index >= spec_.max_entries) return 0;
    return value_at(index, cpu);
  }

  Result<void> update(const std::byte* key, const std::byte* value, u64 flags) override {
    if (auto r = check_update(key, flags); !r) return r;
    store(value_at(index_of(key), percpu() ? bpf_.host().this_cpu() : 0), value);
    return {};
  }

  Result<void> user_lookup(const std::byte* key, std::byte* value) override {
    const u32 index = index_of(key);
    if (index >= spec_.max_entries) return fail(ENOENT);
    for (u32 cpu = 0; cpu < areas_; ++cpu) {
      copy_to_user(value + std::size_t{cpu} * value_stride(),
                   reinterpret_cast<const std::byte*>(value_at(index, cpu)));
    }
    return {};
  }

  Result<void> user_update(const std::byte* key, const std::byte* value, u64 flags) override {
    if (auto r = check_update(key, flags); !r) return r;
    for (u32 cpu = 0; cpu < areas_; ++cpu) {
      store(value_at(index_of(key), cpu), value + std::size_t{cpu} * value_stride());
    }
    return {};
  }

  Result<void> next_key(const std::byte* key, std::byte* next) override {
    u32 index = key ? index_of(key) : ~0u;
    if (index >= spec_.max_entries) {
      index = 0;
    } else if (++index == spec_.max_entries) {
      return fail(ENOENT);
    }
    std::memcpy(next, &index, sizeof(index));
    return {};
  }

  Result<u32> for_each(const std::function<bool(u64, u64)>& fn) override {
    const u32 cpu = percpu() ? bpf_.host().this_cpu() : 0;
    for (u32 i = 0; i < spec_.max_entries; ++i) {
      *key_ = i;
      if (!fn(reinterpret_cast<u64>(key_), value_at(i, cpu))) return i + 1;
    }
    return spec_.max_entries;
  }

  u64 key_of_value(u64 value, u32* index) override {
    *index = static_cast<u32>((value - base_) / value_stride());
    return reinterpret_cast<u64>(index);
  }

  std::optional<ArrayLayout> array_layout() const override {
    if (percpu()) return std::nullopt;
    return ArrayLayout{base_, value_stride(), spec_.max_entries};
  }
  u64 direct_address() const override { return percpu() ? 0 : base_; }
  int memfd() const override { return memfd_; }

 private:
  u64 value_at(u32 index, u32 cpu) const {
    return base_ + cpu * area_bytes_ + u64{index} * value_stride();
  }

  void store(u64 address, const std::byte* value) {
    copy_value(reinterpret_cast<std::byte*>(address), value);
    free_fields(address);
  }

  Result<void> check_update(const std::byte* key, u64 flags) const {
    if ((flags & ~u64{uapi::kLock}) > uapi::kExist) return fail(EINVAL);
    if (index_of(key) >= spec_.max_entries) return fail(E2BIG);
    if (flags & uapi::kNoExist) return fail(EEXIST);
    if ((flags & uapi::kLock) && !spec_.fields.has(FieldKind::kSpinLock)) return fail(EINVAL);
    return {};
  }

  /// The file the caller maps and our view of it. It is handed over as the map's descriptor.
  void map_memfd(const ObjectType& type) {
    memfd_ = ::memfd_create(("bpf-map:" + spec_.name).c_str(), MFD_CLOEXEC);
    USCX_ASSERT(memfd_ >= 0);
    const u64 bytes = (area_bytes_ + 4095) & ~u64{4095};
    USCX_ASSERT(::ftruncate(memfd_, static_cast<off_t>(bytes)) == 0);
    auto mapped = window().map_file(memfd_, bytes, type);
    USCX_ASSERT(mapped.has_value());
    base_ = reinterpret_cast<u64>(*mapped);
  }

  u32 areas_ = 1;
  u64 area_bytes_ = 0;
  u64 base_ = 0;
  int memfd_ = -1;
  u32* key_ = nullptr;
};

}  // namespace

std::shared_ptr<Map> make_array_map(Bpf& bpf, MapSpec spec) {
  return std::make_shared<ArrayMap>(bpf, std::move(spec));
}

}  // namespace uscx::bpf
