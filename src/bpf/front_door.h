// SPDX-License-Identifier: GPL-2.0-only
// bpf(2): one call. One function a command, in files by kind of object.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/types.h"
#include "bpf/maps/map.h"
#include "bpf/uapi.h"
#include "bpf/user_log.h"
#include "bpf/user_memory.h"

namespace uscx::bpf {

class Bpf;
class Link;
class Program;
struct BtfObject;
namespace net {
class Packet;
}

/// One call of bpf(2): its attributes, copied in once, and the caller's memory. Commands return
/// what the system call returns.
class FrontDoor {
 public:
  FrontDoor(Bpf& bpf, UserMemory& memory) : bpf_(bpf), memory_(memory) {}
  FrontDoor(const FrontDoor&) = delete;
  FrontDoor& operator=(const FrontDoor&) = delete;

  long call(u32 cmd, u64 attr_address, u32 size, u64 common_address, u32 common_size);

 private:
  Result<void> copy_attr(u64 address, u32 size);
  Result<void> copy_common(u64 address, u32 size);
  /// EFAULT, or E2BIG where bytes that we do not know are not zero.
  Result<void> check_tail(u64 address, u32 size, u32 known);
  Result<long> dispatch(u32 cmd);
  Result<long> unserved(std::string_view name, int errnum);
  /// CHECK_ATTR: all bytes after the command's last field are zero.
  bool only_first(std::size_t bytes) const;
  /// Where a log goes: the command's own attributes, or the common ones.
  Result<UserLog> make_log(u64 buf, u32 size, u32 level, u32 true_size_offset);
  /// Writes a u32 of the caller's attributes.
  Result<void> put_attr(std::size_t offset, u32 value);

  // front_door_map.cc
  Result<long> map_create();
  Result<long> map_lookup();
  Result<long> map_update();
  Result<long> map_delete();
  Result<long> map_next_key();
  Result<long> map_lookup_and_delete();
  Result<long> map_freeze();
  Result<MapSpec> map_spec(UserLog& log);
  Result<void> map_btf(MapSpec& spec);
  Result<void> map_inner(MapSpec& spec);
  Result<long> publish(std::shared_ptr<Map> map);
  Result<std::shared_ptr<Map>> map_of(u32 fd, u32 needs_flags_without);
  Result<std::vector<std::byte>> copy_key(const Map& map);

  // front_door_prog.cc
  Result<long> prog_load();
  Result<void> prog_check_attr();
  Result<std::shared_ptr<Program>> prog_from_attr();
  Result<void> prog_check_target(Program& program, UserLog& log);
  Result<void> prog_check_struct_ops(Program& program, UserLog& log);
  Result<void> prog_check_attach(Program& program, UserLog& log);
  Result<std::shared_ptr<BtfObject>> prog_attach_btf();
  Result<void> prog_check_and_resolve(Program& program, UserLog& log);
  Result<long> prog_bind_map();
  Result<long> prog_assoc_struct_ops();
  Result<long> prog_stream_read();

  // front_door_test_run.cc, front_door_test_run_net.cc and front_door_test_run_nf.cc
  Result<long> prog_test_run();
  Result<long> test_run_syscall(const Program& program);
  Result<long> test_run_raw_tracepoint(const Program& program);
  Result<long> test_run_tracing(const Program& program);
  Result<long> test_run_skb(const Program& program);
  Result<long> test_run_xdp(const Program& program);
  Result<long> test_run_netfilter(const Program& program);
  template <class T>
  Result<std::optional<T>> test_run_context();
  Result<void> test_run_context_out(const void* context, u32 size);
  Result<void> test_run_fragments(net::Packet& packet, u32 copied);
  Result<u32> test_run_repeat(const Program& program, u64 context, u32& duration_ns);
  Result<void> test_run_finish(const net::Packet& packet, u32 retval, u32 duration_ns);

  // front_door_link.cc
  Result<long> link_create();
  Result<long> link_detach();
  Result<long> link_update();
  Result<long> raw_tracepoint_open();
  Result<long> attach_tracing(std::shared_ptr<Program> program, u64 cookie);
  Result<long> publish(std::shared_ptr<Link> link);

  // front_door_info.cc
  Result<long> btf_load();
  Result<long> info_by_fd();
  Result<void> prog_info(const Program& program);
  Result<void> map_info(const Map& map);
  Result<void> btf_info(const BtfObject& btf);
  Result<void> link_info(const Link& link);
  template <class Info>
  Result<Info> copy_info();
  template <class Info>
  Result<void> put_info(const Info& info);
  Result<long> next_id(u32 cmd);
  Result<long> fd_by_id(u32 cmd);

  Bpf& bpf_;
  UserMemory& memory_;
  u64 attr_address_ = 0;
  u32 attr_size_ = 0;
  uapi::Attr attr_{};
  u64 common_address_ = 0;
  u32 common_size_ = 0;
  uapi::CommonAttr common_{};
};

/// A name of BPF_OBJ_NAME_LEN bytes: letters, digits, '_' and '.', with a NUL. EINVAL otherwise.
Result<std::string> object_name(const char (&name)[uapi::kObjNameLen]);

}  // namespace uscx::bpf
