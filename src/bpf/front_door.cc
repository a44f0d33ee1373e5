// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/front_door.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

#include "bpf/bpf.h"

namespace uscx::bpf {

namespace {

constexpr u32 kPage = 4096;
constexpr u32 kCommonSize = 20;  // through log_true_size

bool all_zero(const u8* from, const u8* to) {
  return std::all_of(from, to, [](u8 b) { return b == 0; });
}

}  // namespace

Result<std::string> object_name(const char (&name)[uapi::kObjNameLen]) {
  std::string out;
  for (const char c : name) {
    if (c == '\0') return out;
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    if (!letter && !digit && c != '_' && c != '.') break;
    out += c;
  }
  return fail(EINVAL);
}

long FrontDoor::call(u32 cmd, u64 attr_address, u32 size, u64 common_address, u32 common_size) {
  if (auto r = copy_attr(attr_address, size); !r) return -r.error().value;
  if (cmd & uapi::kCommonAttrs) {
    if (auto r = copy_common(common_address, common_size); !r) return -r.error().value;
    cmd &= ~uapi::kCommonAttrs;
  }
  return to_syscall(dispatch(cmd));
}

Result<void> FrontDoor::check_tail(u64 address, u32 size, u32 known) {
  if (size > kPage) return fail(E2BIG);
  if (size <= known) return {};
  std::vector<u8> tail(size - known);
  if (auto r = memory_.read(tail.data(), address + known, tail.size()); !r) return r;
  if (!all_zero(tail.data(), tail.data() + tail.size())) return fail(E2BIG);
  return {};
}

Result<void> FrontDoor::copy_attr(u64 address, u32 size) {
  if (auto r = check_tail(address, size, sizeof(attr_)); !r) return r;
  attr_address_ = address;
  attr_size_ = std::min<u32>(size, sizeof(attr_));
  return memory_.read(attr_.bytes, address, attr_size_);
}

Result<void> FrontDoor::copy_common(u64 address, u32 size) {
  if (auto r = check_tail(address, size, kCommonSize); !r) return r;
  common_address_ = address;
  common_size_ = std::min<u32>(size, sizeof(common_));
  return memory_.read(&common_, address, common_size_);
}

bool FrontDoor::only_first(std::size_t bytes) const {
  return all_zero(attr_.bytes + bytes, attr_.bytes + sizeof(attr_));
}

Result<void> FrontDoor::put_attr(std::size_t offset, u32 value) {
  return memory_.write(attr_address_ + offset, &value, sizeof(value));
}

Result<UserLog> FrontDoor::make_log(u64 buf, u32 size, u32 level, u32 true_size_offset) {
  const bool common = common_.log_buf || common_.log_size || common_.log_level;
  const bool own = buf || size || level;
  if (common && own &&
      (common_.log_buf != buf || common_.log_size != size || common_.log_level != level)) {
    return fail(EINVAL);
  }
  auto log = own ? UserLog::make(buf, size, level)
                 : UserLog::make(common_.log_buf, common_.log_size, common_.log_level);
  if (!log) return log;
  if (own && true_size_offset && attr_size_ >= true_size_offset + 4) {
    log->true_size_address = attr_address_ + true_size_offset;
  } else if (common && common_size_ >= kCommonSize) {
    log->true_size_address = common_address_ + offsetof(uapi::CommonAttr, log_true_size);
  }
  return log;
}

Result<long> FrontDoor::unserved(std::string_view name, int errnum) {
  bpf_.count_unserved("bpf(" + std::string(name) + ")");
  return fail(errnum);
}

Result<long> FrontDoor::dispatch(u32 cmd) {
  using namespace uapi;
  switch (cmd) {
    case kMapCreate:
      return map_create();
    case kMapLookupElem:
      return map_lookup();
    case kMapUpdateElem:
      return map_update();
    case kMapDeleteElem:
      return map_delete();
    case kMapGetNextKey:
      return map_next_key();
    case kMapLookupAndDeleteElem:
      return map_lookup_and_delete();
    case kMapFreeze:
      return map_freeze();
    case kProgLoad:
      return prog_load();
    case kProgTestRun:
      return prog_test_run();
    case kProgBindMap:
      return prog_bind_map();
    case kProgAssocStructOps:
      return prog_assoc_struct_ops();
    case kLinkCreate:
      return link_create();
    case kLinkDetach:
      return link_detach();
    case kLinkUpdate:
      return link_update();
    case kRawTracepointOpen:
      return raw_tracepoint_open();
    case kBtfLoad:
      return btf_load();
    case kObjGetInfoByFd:
      return info_by_fd();
    case kProgGetNextId:
    case kMapGetNextId:
    case kBtfGetNextId:
    case kLinkGetNextId:
      return next_id(cmd);
    case kProgGetFdById:
    case kMapGetFdById:
    case kBtfGetFdById:
    case kLinkGetFdById:
      return fd_by_id(cmd);
    case kTokenCreate:
      // There is no bpffs to take one from: what Linux says about any other directory.
      if (!only_first(8) || attr_.token.flags) return fail(EINVAL);
      return fail(::fcntl(static_cast<int>(attr_.token.bpffs_fd), F_GETFD) < 0 ? EBADF : EINVAL);
    case kObjPin:
      return unserved("OBJ_PIN", ENOENT);
    case kObjGet:
      return unserved("OBJ_GET", ENOENT);
    case kProgAttach:
      return unserved("PROG_ATTACH", EINVAL);
    case kProgDetach:
      return unserved("PROG_DETACH", EINVAL);
    case kProgQuery:
      return unserved("PROG_QUERY", EINVAL);
    case kTaskFdQuery:
      return unserved("TASK_FD_QUERY", ENOENT);
    case kMapLookupBatch:
    case kMapLookupAndDeleteBatch:
    case kMapUpdateBatch:
    case kMapDeleteBatch:
      return unserved("MAP_*_BATCH", kEnotsupp);
    case kEnableStats:
      return unserved("ENABLE_STATS", EINVAL);
    case kIterCreate:
      return unserved("ITER_CREATE", EINVAL);
    case kProgStreamReadByFd:
      return prog_stream_read();
    default:
      return fail(EINVAL);
  }
}

}  // namespace uscx::bpf
