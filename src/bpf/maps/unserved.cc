// SPDX-License-Identifier: GPL-2.0-only
// Types of map that exist so that programs which use them can be verified. Each use is an error
// with the type's name in it: a helper call is a fault of the program, bpf(2) answers EOPNOTSUPP.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "bpf/bpf.h"
#include "bpf/maps/map.h"

namespace uscx::bpf {

namespace {

constexpr u64 kPage = 4096;

class UnservedMap final : public Map {
 public:
  UnservedMap(Bpf& bpf, MapSpec spec) : Map(bpf, std::move(spec)) {
    // libbpf maps an arena.
    if (spec_.type == uapi::kMapArena) {
      memfd_ = ::memfd_create(("bpf-map:" + spec_.name).c_str(), MFD_CLOEXEC);
      USCX_ASSERT(memfd_ >= 0);
      const u64 bytes = spec_.max_entries * kPage;
      USCX_ASSERT(::ftruncate(memfd_, static_cast<off_t>(bytes)) == 0);
    }
  }
  ~UnservedMap() override {
    if (memfd_ >= 0) ::close(memfd_);
  }

  bool served() const override { return false; }
  u64 direct_address() const override { return spec_.type == uapi::kMapArena ? address() : 0; }
  int memfd() const override { return memfd_; }

  Result<void> user_lookup(const std::byte*, std::byte*) override { return refuse("lookup"); }
  Result<void> user_update(const std::byte*, const std::byte*, u64) override {
    return refuse("update");
  }
  Result<void> user_erase(const std::byte*) override { return refuse("delete"); }
  Result<void> next_key(const std::byte*, std::byte*) override { return refuse("get_next_key"); }

 private:
  Result<void> refuse(std::string_view what) {
    bpf_.count_unserved(fmt::format("{} of a {} map", what, map_type_name(spec_.type)));
    return fail(EOPNOTSUPP);
  }

  int memfd_ = -1;
};

}  // namespace

std::shared_ptr<Map> make_unserved_map(Bpf& bpf, MapSpec spec) {
  // A program must not write what a lookup in these gives. Linux: dev_map_init_map.
  const bool devices = spec.type == uapi::kMapDevmap || spec.type == uapi::kMapDevmapHash;
  if (devices) spec.flags |= uapi::kRdonlyProg;
  return std::make_shared<UnservedMap>(bpf, std::move(spec));
}

}  // namespace uscx::bpf
