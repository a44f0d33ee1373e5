// SPDX-License-Identifier: GPL-2.0-only
// bpf(2): links.
#include <algorithm>

#include "bpf/bpf.h"
#include "bpf/front_door.h"
#include "bpf/impl.h"

namespace uscx::bpf {

namespace {

/// Where the kernel calls trace_hook(); programs at other tracepoints and functions never run.
constexpr std::string_view kCalled[] = {
    "bpf_scx_reg",        "bpf_scx_unreg",      "nmi_handler",         "sched_ext_dump",
    "sched_ext_event",    "sched_ext_exit",     "sched_ext_bypass_lb", "sched_migrate_task",
    "sched_process_exit", "sched_process_fork", "sched_process_free",  "sched_switch",
    "sched_wakeup",       "sched_wakeup_new",   "sched_waking"};

}  // namespace

Result<long> FrontDoor::publish(std::shared_ptr<Link> link) {
  link->id = bpf_.impl().links.add(link);
  auto fd = bpf_.impl().fds.add(link);
  if (!fd) link->release();
  return fd;
}

Result<long> FrontDoor::link_create() {
  const uapi::LinkCreateAttr& a = attr_.link_create;
  if (a.attach_type == uapi::kStructOps) {
    auto map = bpf_.impl().fds.get<Map>(static_cast<int>(a.prog_fd));
    if (!map) return std::unexpected(map.error());
    auto table = std::dynamic_pointer_cast<StructOpsMap>(*map);
    if (!table) return fail(EINVAL);
    auto link = make_struct_ops_link(bpf_, std::move(table));
    if (!link) return std::unexpected(link.error());
    return publish(std::move(*link));
  }
  auto program = bpf_.impl().fds.get<Program>(static_cast<int>(a.prog_fd));
  if (!program) return std::unexpected(program.error());
  const u32 type = (*program)->type;
  if (type == uapi::kProgTracing) {
    if (a.attach_type != (*program)->expected_attach_type) return fail(EINVAL);
    return attach_tracing(std::move(*program), a.cookie);
  }
  if (a.attach_type == uapi::kPerfEvent) {
    if (type != uapi::kProgKprobe && type != uapi::kProgTracepoint && type != 7) {
      return fail(EINVAL);
    }
    if (a.flags) return fail(EINVAL);
    // There are no perf events, so no descriptor is one.
    return fail(EBADF);
  }
  return unserved("LINK_CREATE of program type " + std::to_string(type), EINVAL);
}

Result<long> FrontDoor::attach_tracing(std::shared_ptr<Program> program, u64 cookie) {
  const std::string& name = program->attach_name;
  if (std::ranges::find(kCalled, name) == std::end(kCalled)) {
    bpf_.count_unserved("calls at " + name);
  }
  auto link = make_tracing_link(bpf_, std::move(program));
  link->cookie = cookie;
  return publish(std::move(link));
}

Result<long> FrontDoor::raw_tracepoint_open() {
  const uapi::RawTracepointAttr& a = attr_.raw_tracepoint;
  if (!only_first(sizeof(a))) return fail(EINVAL);
  auto program = bpf_.impl().fds.get<Program>(static_cast<int>(a.prog_fd));
  if (!program) return std::unexpected(program.error());
  if ((*program)->type != uapi::kProgTracing) {
    return unserved("RAW_TRACEPOINT_OPEN by name", EINVAL);
  }
  // The name is in the program already.
  if (a.name) return fail(EINVAL);
  return attach_tracing(std::move(*program), a.cookie);
}

Result<long> FrontDoor::link_detach() {
  if (!only_first(4)) return fail(EINVAL);
  auto link = bpf_.impl().fds.get<Link>(static_cast<int>(
      attr_.bytes[0] | attr_.bytes[1] << 8 | attr_.bytes[2] << 16 | attr_.bytes[3] << 24));
  if (!link) return std::unexpected(link.error());
  if (int err = (*link)->detach()) return fail(err);
  return 0;
}

Result<long> FrontDoor::link_update() {
  const uapi::LinkUpdateAttr& a = attr_.link_update;
  constexpr u32 kReplace = 4;  // BPF_F_REPLACE
  if (!only_first(sizeof(a)) || (a.flags & ~kReplace)) return fail(EINVAL);
  auto link = bpf_.impl().fds.get<Link>(static_cast<int>(a.link_fd));
  if (!link) return std::unexpected(link.error());
  // No struct_ops type here has an update operation, and tracing links have none in Linux.
  return fail((*link)->map ? EOPNOTSUPP : EINVAL);
}

}  // namespace uscx::bpf
