// SPDX-License-Identifier: GPL-2.0-only
// The helpers that programs may ask for: which ones, and who may.
#include <algorithm>
#include <array>

#include "bpf/dynptr.h"
#include "bpf/impl.h"
#include "bpf/maps/ringbuf.h"
#include "bpf/net/helpers.h"
#include "bpf/uapi.h"

namespace uscx::bpf {

namespace {

/// The engines know it by its number in the instruction: it may end the function that calls.
u64 tail_call(HelperCall& call) {
  call.fault("bpf_tail_call by register");
  return 0;
}

}  // namespace

void add_tail_call_helper(HelperTable& table) {
  table.add(
      {12, "bpf_tail_call", tail_call, {ArgKind::kCtx, ArgKind::kConstMapPtr, ArgKind::kAnything}});
}

void add_helpers(HelperTable& table) {
  add_unserved_helpers(table);
  add_tail_call_helper(table);
  add_map_helpers(table);
  add_task_helpers(table);
  add_timer_helpers(table);
  add_text_helpers(table);
  add_dynptr_helpers(table);
  add_ringbuf_helpers(table);
  net::add_lwt_helpers(table);
  net::add_skb_helpers(table);
  net::add_xdp_helpers(table);
  net::add_socket_helpers(table);
}

/// Helpers we know by name so that a refusal can say which. All ids of Linux 7.3 that the programs
/// of a scheduler may call, and those that real objects were seen to call.
void add_unserved_helpers(HelperTable& table) {
  struct Known {
    u32 id;
    std::string_view name;
  };
  static constexpr std::array kKnown = {
      Known{22, "bpf_perf_event_read"},
      Known{25, "bpf_perf_event_output"},
      Known{27, "bpf_get_stackid"},
      Known{46, "bpf_get_socket_cookie"},
      Known{55, "bpf_perf_event_read_value"},
      Known{67, "bpf_get_stack"},
      Known{80, "bpf_get_current_cgroup_id"},
      Known{109, "bpf_send_signal"},
      Known{117, "bpf_send_signal_thread"},
      Known{120, "bpf_get_ns_current_pid_tgid"},
      Known{123, "bpf_get_current_ancestor_cgroup_id"},
      Known{37, "bpf_current_task_under_cgroup"},
      Known{17, "bpf_get_cgroup_classid"},
      Known{126, "bpf_seq_printf"},
      Known{127, "bpf_seq_write"},
      Known{141, "bpf_get_task_stack"},
      Known{149, "bpf_snprintf_btf"},
      Known{166, "bpf_sys_bpf"},
      Known{167, "bpf_btf_find_by_name_kind"},
      Known{168, "bpf_sys_close"},
      Known{174, "bpf_get_attach_cookie"},
      Known{175, "bpf_task_pt_regs"},
      Known{176, "bpf_get_branch_snapshot"},
      Known{179, "bpf_kallsyms_lookup_name"},
      Known{180, "bpf_find_vma"},
      Known{183, "bpf_get_func_arg"},
      Known{184, "bpf_get_func_ret"},
      Known{185, "bpf_get_func_arg_cnt"},
  };
  for (const Known& known : kKnown) {
    Helper helper;
    helper.id = known.id;
    helper.name = known.name;
    table.add(helper);
  }
}

bool helper_allowed(const Program& program, const Helper& helper) {
  // What bpf_base_func_proto() does not hand out: only tracing programs may ask for these, and
  // programs of SYSCALL type, which have all that tracing has.
  static constexpr std::array<u32, 16> kTracingOnly = {4,   16,  22,  25,  27,  45,  67,  126,
                                                       127, 160, 173, 174, 183, 184, 185, 37};
  const bool tracing = program.type == uapi::kProgTracing || program.type == uapi::kProgSyscall ||
                       program.type == uapi::kProgKprobe || program.type == uapi::kProgTracepoint ||
                       program.type == uapi::kProgRawTracepoint;
  static constexpr std::array<u32, 4> kSyscallOnly = {166, 167, 168, 179};
  auto in = [&](const auto& ids) {
    return std::find(ids.begin(), ids.end(), helper.id) != ids.end();
  };
  if (in(kSyscallOnly)) return program.type == uapi::kProgSyscall;
  // bpf_current_task_under_cgroup, bpf_get_current_comm and the coarse clock are everybody's but a
  // struct_ops program's in older kernels; the comm is in the base set.
  if (helper.id == 16 || helper.id == 37) return true;
  if (helper.id == 160) return program.type != uapi::kProgStructOps;
  return tracing || !in(kTracingOnly);
}

}  // namespace uscx::bpf
