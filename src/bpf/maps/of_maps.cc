// SPDX-License-Identifier: GPL-2.0-only
// ARRAY_OF_MAPS and HASH_OF_MAPS: maps by index or key. Programs look them up; user space puts them
// in by fd and reads their ids.
#include <cstring>
#include <map>
#include <vector>

#include "bpf/bpf.h"
#include "bpf/impl.h"
#include "bpf/maps/map.h"

namespace uscx::bpf {

namespace {

/// Inner maps by key, in the order of the keys' bytes.
class MapOfMaps final : public Map {
 public:
  MapOfMaps(Bpf& bpf, MapSpec spec)
      : Map(bpf, std::move(spec)), template_(make_unserved_map(bpf, *spec_.inner)) {}

  const Map* inner_map() const override { return template_.get(); }
  const MapSpec* inner_spec() const override { return spec_.inner.get(); }

  u64 lookup(const std::byte* key) override {
    auto it = maps_.find(inside(key));
    return it == maps_.end() ? 0 : it->second->address();
  }

  Result<void> user_lookup(const std::byte* key, std::byte* value) override {
    auto it = maps_.find(inside(key));
    if (it == maps_.end()) return fail(ENOENT);
    std::memcpy(value, &it->second->id, sizeof(u32));
    return {};
  }

  Result<void> user_update(const std::byte* key, const std::byte* value, u64 flags) override {
    if (auto r = check_update(key, flags); !r) return r;
    s32 fd;
    std::memcpy(&fd, value, sizeof(fd));
    auto map = bpf_.impl().fds.get<Map>(fd);
    if (!map) return std::unexpected(map.error());
    if (!map_meta_equal(*spec_.inner, (*map)->spec())) return fail(EINVAL);
    std::shared_ptr<Map>& slot = maps_[inside(key)];
    bpf_.impl().release_after_grace(std::move(slot));
    slot = *map;
    return {};
  }

  Result<void> user_erase(const std::byte* key) override {
    auto it = maps_.find(inside(key));
    if (it == maps_.end()) return fail(ENOENT);
    bpf_.impl().release_after_grace(std::move(it->second));
    maps_.erase(it);
    return {};
  }

  Result<void> next_key(const std::byte* key, std::byte* next) override {
    return is_array() ? next_index(key, next) : next_hashed(key, next);
  }

 private:
  using Key = std::vector<std::byte>;

  bool is_array() const { return spec_.type == uapi::kMapArrayOfMaps; }
  static u32 index_of(const std::byte* key) {
    u32 index;
    std::memcpy(&index, key, sizeof(index));
    return index;
  }

  Key inside(const std::byte* key) const { return Key(key, key + spec_.key_size); }

  Result<void> check_update(const std::byte* key, u64 flags) const {
    if (is_array()) {
      if (flags != uapi::kAny) return fail(EINVAL);
      return index_of(key) < spec_.max_entries ? Result<void>{} : fail(E2BIG);
    }
    if (flags > uapi::kExist) return fail(EINVAL);
    const bool there = maps_.contains(inside(key));
    if (there && flags == uapi::kNoExist) return fail(EEXIST);
    if (!there && flags == uapi::kExist) return fail(ENOENT);
    return there || maps_.size() < spec_.max_entries ? Result<void>{} : fail(E2BIG);
  }

  Result<void> next_index(const std::byte* key, std::byte* next) const {
    u32 index = key ? index_of(key) : ~0u;
    if (index >= spec_.max_entries) {
      index = 0;
    } else if (++index == spec_.max_entries) {
      return fail(ENOENT);
    }
    std::memcpy(next, &index, sizeof(index));
    return {};
  }

  Result<void> next_hashed(const std::byte* key, std::byte* next) const {
    auto it = key ? maps_.find(inside(key)) : maps_.end();
    it = it == maps_.end() ? maps_.begin() : std::next(it);
    if (it == maps_.end()) return fail(ENOENT);
    std::memcpy(next, it->first.data(), spec_.key_size);
    return {};
  }

  std::map<Key, std::shared_ptr<Map>> maps_;
  std::shared_ptr<Map> template_;
};

}  // namespace

std::shared_ptr<Map> make_map_of_maps(Bpf& bpf, MapSpec spec) {
  return std::make_shared<MapOfMaps>(bpf, std::move(spec));
}

}  // namespace uscx::bpf
