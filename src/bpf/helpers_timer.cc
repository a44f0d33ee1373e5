// SPDX-License-Identifier: GPL-2.0-only
// Helpers on timers.
#include "bpf/bpf.h"
#include "bpf/impl.h"

namespace uscx::bpf {

namespace {

using A = ArgKind;
constexpr u64 kTimerSize = 16;

u64 timer_init(HelperCall& call) {
  Map* map = call.bpf.impl().map_at(call.args[1]);
  if (!map) {
    call.fault("argument 2 is not a map");
    return 0;
  }
  if (!call.memory(0, kTimerSize, true)) return 0;
  return static_cast<u64>(call.bpf.impl().timers.init(call.args[0], *map, call.args[2]));
}

u64 timer_set_callback(HelperCall& call) {
  if (!is_callback(call.args[1])) {
    call.fault("argument 2 is not a callback");
    return 0;
  }
  std::shared_ptr<const Program> program = call.bpf.impl().programs.find(call.program.id);
  if (!program) {
    call.fault("the program is not loaded");
    return 0;
  }
  return static_cast<u64>(
      call.bpf.impl().timers.set_callback(call.args[0], call.args[1], std::move(program)));
}

u64 timer_start(HelperCall& call) {
  return static_cast<u64>(call.bpf.impl().timers.start(call.args[0], call.args[1], call.args[2]));
}

u64 timer_cancel(HelperCall& call) {
  return static_cast<u64>(call.bpf.impl().timers.cancel(call.args[0]));
}

}  // namespace

void add_timer_helpers(HelperTable& table) {
  table.add({169, "bpf_timer_init", timer_init, {A::kTimer, A::kConstMapPtr, A::kAnything}});
  table.add({170, "bpf_timer_set_callback", timer_set_callback, {A::kTimer, A::kCallback}});
  table.add({171, "bpf_timer_start", timer_start, {A::kTimer, A::kAnything, A::kAnything}});
  table.add({172, "bpf_timer_cancel", timer_cancel, {A::kTimer}});
}

}  // namespace uscx::bpf
