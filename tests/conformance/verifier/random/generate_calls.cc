// SPDX-License-Identifier: GPL-2.0-only
#include <string_view>

#include "conformance/verifier/random/generator.h"

namespace uscx::conformance {

void Generator::helper() {
  switch (random_.below(6)) {
    case 0:
      return call(5);  // ktime_get_ns
    case 1:
      return call(8);  // get_smp_processor_id
    case 2:
      return update_element();
    case 3: {  // map_delete_elem
      ld_map(1, 1);
      mov_frame(2, -8 * static_cast<s32>(1 + random_.below(5)));
      return call(3);
    }
    case 4:
      return ringbuf_record();
    default:
      return read_into_stack();
  }
}

void Generator::update_element() {
  const u32 map = random_.below(2);
  const u32 value = any(Kind::kValue);
  ld_map(1, map);
  mov_frame(2, -8);
  if (value > 5 && value < 10 && random_.percent(50)) {
    mov(3, value);
  } else {
    mov_frame(3, random_.percent(50) ? -32 : -24);
  }
  mov_imm(4, 0);
  call(2);
}

/// probe_read_kernel, or skb_load_bytes, into the stack, a bounded number of bytes.
void Generator::read_into_stack() {
  const u32 n = scalar();
  const u32 limit = 1 + random_.below(40);
  bound_below(n, limit);
  const bool low = n <= 4 && n != 2;
  if (low) mov(5, n);
  const u32 length = low ? 5 : n;
  if (program_.type == kXdp) {
    mov(4, length);
    mov(1, 6);
    mov_imm(2, 0);
    mov_frame(3, -32);
    return call(189);  // xdp_load_bytes
  }
  if (has_packet()) {
    mov(4, length);
    mov(1, 6);
    mov_imm(2, 0);
    mov_frame(3, -32);
    return call(26);
  }
  mov(2, length);
  mov_frame(1, -32);
  mov_imm(3, 0);
  call(113);
}

/// A record of a ring buffer, written to, submitted or discarded; now and then forgotten.
void Generator::ringbuf_record() {
  if (sections_) return call(5);
  const s32 size_of_record = 8 * static_cast<s32>(1 + random_.below(4));
  ld_map(1, kGeneratedRingbuf);
  mov_imm(2, size_of_record);
  mov_imm(3, 0);
  call(131);
  const bool checked = !mistake();
  const u32 jump = here();
  if (checked) emit(kJmp | kJeq | kImm, 0, 0, 0, 0);
  store_imm(0, size_of_record - (mistake() ? 4 : 8), kDw, random_.below(9));
  mov(1, 0);
  mov_imm(2, 0);
  if (!mistake()) call(random_.percent(50) ? 132 : 133);
  if (checked) land(jump);
  clobber();
}

void Generator::call_kfunc(std::string_view name) {
  emit(kJmp | kCall, 0, 2, 0, static_cast<s32>(links_.btf_id(name, true)));
  clobber();
  // A result, of those that have one.
  constexpr std::string_view kVoid[] = {
      "bpf_rcu_read_lock", "bpf_rcu_read_unlock", "bpf_preempt_disable",  "bpf_preempt_enable",
      "bpf_task_release",  "bpf_cpumask_release", "bpf_iter_num_destroy", "bpf_cpumask_set_cpu"};
  if (std::find(std::begin(kVoid), std::end(kVoid), name) == std::end(kVoid)) {
    reg(0) = {Kind::kScalar, ~0u};
  }
}

void Generator::kfunc() {
  if (has_packet()) return helper();
  if (sections_) return arithmetic();
  // kprobes may not call those of objects
  switch (random_.below(program_.type == kKprobe && !mistake() ? 3 : 6)) {
    case 0:
      return section("bpf_rcu_read_lock", "bpf_rcu_read_unlock");
    case 1:
      return section("bpf_preempt_disable", "bpf_preempt_enable");
    case 2:
      return number_iterator();
    case 3:
      return task_reference();
    case 4:
      return cpumask();
    default:
      return program_.type == kStructOps ? sched_ext_kfunc() : helper();
  }
}

void Generator::section(std::string_view enter, std::string_view leave) {
  call_kfunc(enter);
  ++sections_;
  block(1 + random_.below(2), 3);
  --sections_;
  if (!mistake()) call_kfunc(leave);
}

/// A reference, released or not.
void Generator::task_reference() {
  mov_imm(1, static_cast<s32>(random_.below(5)));
  call_kfunc("bpf_task_from_pid");
  const bool checked = !mistake();
  const u32 jump = here();
  if (checked) emit(kJmp | kJeq | kImm, 0, 0, 0, 0);
  mov(1, 0);
  if (mistake()) emit(kLdx | kMem | kW, 2, 1, static_cast<s32>(links_.task_offset("pid")), 0);
  if (!mistake()) call_kfunc("bpf_task_release");
  if (checked) land(jump);
  clobber();
}

/// A mask held in r8 meanwhile, with a bit set and read.
void Generator::cpumask() {
  if (reserved_ & (1u << 8)) return arithmetic();
  call_kfunc("bpf_cpumask_create");
  const bool checked = !mistake();
  const u32 jump = here();
  if (checked) emit(kJmp | kJeq | kImm, 0, 0, 0, 0);
  mov(8, 0);
  mov_imm(1, static_cast<s32>(random_.below(8)));
  mov(2, 8);
  call_kfunc("bpf_cpumask_set_cpu");
  mov_imm(1, static_cast<s32>(random_.below(8)));
  mov(2, 8);
  call_kfunc("bpf_cpumask_test_cpu");
  mov(1, 8);
  if (!mistake()) call_kfunc("bpf_cpumask_release");
  if (mistake()) {
    mov(2, 8);
    mov_imm(1, 0);
    call_kfunc("bpf_cpumask_test_cpu");
  }
  if (checked) land(jump);
  clobber();
  reg(8) = {};
}

/// for (i = 0; i < n; i++)
void Generator::number_iterator() {
  mov_frame(1, -80);
  mov_imm(2, 0);
  mov_imm(3, 1 + static_cast<s32>(random_.below(6)));
  call_kfunc("bpf_iter_num_new");
  const u32 top = here();
  mov_frame(1, -80);
  call_kfunc("bpf_iter_num_next");
  const u32 jump = here();
  emit(kJmp | kJeq | kImm, 0, 0, 0, 0);
  const auto before = regs_;
  ++sections_;
  block(1, 3);
  --sections_;
  emit(kJmp | kJa, 0, 0, static_cast<s32>(top) - static_cast<s32>(here()) - 1, 0);
  land(jump);
  merge(before);
  mov_frame(1, -80);
  if (!mistake()) call_kfunc("bpf_iter_num_destroy");
}

void Generator::sched_ext_kfunc() {
  if (const u32 task = any(Kind::kTask); task < 10 && random_.percent(70)) {
    mov(1, task);
    return call_kfunc(random_.percent(70) ? "scx_bpf_task_cpu" : "scx_bpf_task_running");
  }
  mov_imm(1, 0);
  call_kfunc(random_.percent(50) ? "scx_bpf_nr_cpu_ids" : "scx_bpf_dsq_nr_queued");
}

void Generator::subprogram_call() {
  if (here() > 150) return;
  const u32 value = any(Kind::kValue);
  if (value < 10) {
    mov(1, value);
  } else {
    mov_frame(1, -32);
  }
  calls_.push_back(here());
  emit(kJmp | kCall, 0, 1, 0, 0);
  clobber();
  reg(0) = {Kind::kScalar, ~0u};
  needs_subprogram_ = true;
}

void Generator::add_subprogram() {
  const u32 start = here();
  for (const u32 at : calls_) out_[at].imm = static_cast<s32>(start - at - 1);
  const u8 s = size();
  const u32 room = mistake() ? 40 : 16;
  emit(static_cast<u8>(kLdx | kMem | s), 0, 1, static_cast<s32>(random_.below(room / 8) * 8), 0);
  emit(kAlu64 | kAdd | kImm, 0, 0, 0, 3);
  if (random_.percent(30)) store_imm(10, -8, kDw, 1);
  emit(kJmp | kExit, 0, 0, 0, 0);
}

}  // namespace uscx::conformance
