// SPDX-License-Identifier: GPL-2.0-only
// The debug dump: what it says about the scheduler, each CPU and each runnable task. Stack traces
// are left out: there are none of simulated tasks (docs/fidelity.md).
#include "sched/ext/dump.h"

#include <fmt/format.h>

#include <bit>

#include "sched/flags.h"
#include "sched/trace_programs.h"

namespace uscx::sched::ext {

// ---- lines
// ----------------------------------------------------------------------------------------

DumpState& dump_of(Ext::Impl& ext) {
  if (!ext.dump) ext.dump = std::make_shared<DumpState>();
  return *ext.dump;
}

void dump_line(Kernel& kernel, SeqBuf& s, std::string_view text) {
  const std::string_view shown = text.substr(0, abi::SCX_EXIT_MSG_LEN - 1);
  kernel.trace().scx_dump(kernel.now(), shown);
  trace_programs_text(kernel, "sched_ext_dump", shown, 0);
  if (s.size() == 0) return;
  s.print(text);
  s.put('\n');
}

std::string format_bitmap(const unsigned long* bits, u32 nr_bits) {
  std::string text;
  for (u32 chunk = (nr_bits + 31) / 32; chunk-- > 0;) {
    const u32 width = chunk == (nr_bits - 1) / 32 && nr_bits % 32 ? nr_bits % 32 : 32;
    const u64 word = bits[chunk / 2] >> (chunk % 2 * 32);
    const u32 value = static_cast<u32>(width == 32 ? word : word & ((1UL << width) - 1));
    if (!text.empty()) text += ',';
    text += fmt::format("{:0{}x}", value, (width + 3) / 4);
  }
  return text;
}

namespace {

void dump_newline(Kernel& kernel, SeqBuf& s) {
  kernel.trace().scx_dump(kernel.now(), "");
  trace_programs_text(kernel, "sched_ext_dump", "", 0);
  if (s.size() > 0) s.put('\n');
}

template <class... Args>
void line(Kernel& kernel, SeqBuf& s, fmt::format_string<Args...> format, Args&&... args) {
  dump_line(kernel, s, fmt::format(format, std::forward<Args>(args)...));
}

void flush(Kernel& kernel, DumpState& dd) {
  if (dd.cursor == 0) return;
  if (dd.first) {  // tells the callback's lines from the kernel's
    dump_newline(kernel, *dd.s);
    dd.first = false;
  }
  // An overflowed line ends at the buffer's NUL instead of a newline.
  std::string_view text(dd.line.data(), strnlen(dd.line.data(), dd.line.size()));
  while (true) {
    const std::size_t end = text.find('\n');
    dump_line(kernel, *dd.s, fmt::format("{}{}", dd.prefix, text.substr(0, end)));
    if (end == std::string_view::npos || end + 1 == text.size()) break;
    text.remove_prefix(end + 1);
  }
  dd.cursor = 0;
}

/// Lets a callback print into `s` for a scope.
class OpsDump {
 public:
  OpsDump(Ext::Impl& ext, SeqBuf& s, std::string_view prefix)
      : kernel_(ext.kernel), dd_(dump_of(ext)) {
    dd_.cpu = kernel_.cpu();
    dd_.first = true;
    dd_.cursor = 0;
    dd_.s = &s;
    dd_.prefix = prefix;
  }
  ~OpsDump() {
    flush(kernel_, dd_);
    dd_.cpu = kNoCpu;
    dd_.s = nullptr;
  }
  OpsDump(const OpsDump&) = delete;
  OpsDump& operator=(const OpsDump&) = delete;

 private:
  Kernel& kernel_;
  DumpState& dd_;
};

/// Linux: task_state_to_char().
char state_char(const Task& p) {
  constexpr u32 kIdleState = TASK_UNINTERRUPTIBLE | 0x400;  // TASK_NOLOAD
  constexpr u32 kReported = 0x7f;
  if (p.__state == kIdleState) return 'I';
  const u32 state = (p.__state | static_cast<u32>(p.exit_state)) & kReported;
  return "RSDTtXZP"[std::bit_width(state)];
}

/// Milliseconds from now to `at`, negative where it has passed. Linux: jiffies_delta_msecs().
s64 jiffies_delta_ms(const Kernel& kernel, u64 at, u64 now) {
  return static_cast<s64>(at - now) * 1000 / static_cast<s64>(kernel.config().hz);
}

struct Dumper {
  Sched& sch;
  Kernel& kernel;
  abi::scx_dump_ctx* ctx;  // in the window: callbacks get it
  bool all_tasks;

  u64 ctx_arg() const { return reinterpret_cast<u64>(ctx); }
  bool wanted(const Task& p) const { return all_tasks || task_on_sched(sch, p); }
  void header(SeqBuf& s, const ExitInfo& ei);
  void cpus(SeqBuf& s, CpuId exit_cpu);
  void cpu(SeqBuf& s, CpuId cpu);
  void cpu_state(SeqBuf& s, Rq& rq);
  void task(SeqBuf& s, Rq& rq, Task& p, char marker);
  void events(SeqBuf& s);
};

void Dumper::header(SeqBuf& s, const ExitInfo& ei) {
  line(kernel, s, "{}: root", sch.ops.name);
  if (ei.info->kind == abi::SCX_EXIT_NONE) {
    line(kernel, s, "Debug dump triggered by {}", ei.info->reason);
    return;
  }
  const Task& current = kernel.current();
  if (ei.info->exit_cpu >= 0) {
    line(kernel, s, "{}[{}] triggered exit kind {} on CPU {}:", current.comm, current.pid,
         static_cast<u32>(ei.info->kind), ei.info->exit_cpu);
  } else {
    line(kernel, s, "{}[{}] triggered exit kind {}:", current.comm, current.pid,
         static_cast<u32>(ei.info->kind));
  }
  line(kernel, s, "  {} ({})", ei.info->reason, ei.msg);
  dump_newline(kernel, s);
  line(kernel, s, "Backtrace:");
}

void Dumper::cpu_state(SeqBuf& s, Rq& rq) {
  dump_newline(kernel, s);
  line(kernel, s, "CPU {:<4d}: nr_run={} flags={:#x} cpu_rel={} ksync={}", rq.id, rq.scx.nr_running,
       rq.scx.flags, static_cast<u32>(rq.scx.cpu_released), rq.scx.kick_sync);
  if (kernel.config().version >= btf::KernelVersion{7, 3}) {
    // Tasks are rescued from sub-schedulers only, of which there are none yet.
    line(kernel, s, "          rescue=0 budget=0us rescuing=none[-1]");
  }
  const Task& current = *rq.current();
  line(kernel, s, "          curr={}[{}] class={}", current.comm, current.pid,
       current.klass->name());
  const SchedCpu& pcpu = sch.cpu(rq.id);
  const auto mask = [&](std::string_view label, const CpuSet& set) {
    if (set.empty()) return;
    line(kernel, s, "  {:<15}: {}", label, format_bitmap(set.words.data(), kernel.nr_cpus()));
  };
  mask("cpus_to_kick", pcpu.cpus_to_kick);
  mask("idle_to_kick", pcpu.cpus_to_kick_if_idle);
  mask("cpus_to_preempt", pcpu.cpus_to_preempt);
  mask("cpus_to_wait", pcpu.cpus_to_wait);
  mask("cpus_to_sync", ext_rq(rq).cpus_to_sync);
}

void Dumper::task(SeqBuf& s, Rq& rq, Task& p, char marker) {
  const u64 ops_state = static_cast<u64>(p.scx.ops_state.counter);
  const Dsq* dsq = task_dsq(p);
  dump_newline(kernel, s);
  line(kernel, s, " {}{} {}[{}] {}root {:+}ms", marker, state_char(p), p.comm, p.pid,
       task_on_sched(sch, p) ? "*" : "",
       jiffies_delta_ms(kernel, p.scx.runnable_at, ctx->at_jiffies));
  line(kernel, s, "      scx_state/flags={}/{:#x} dsq_flags={:#x} ops_state/qseq={}/{}",
       get_task_state(p) >> abi::SCX_TASK_STATE_SHIFT,
       p.scx.flags & ~static_cast<u32>(abi::SCX_TASK_STATE_MASK), p.scx.dsq_flags,
       ops_state & kOpssStateMask, ops_state >> abi::SCX_OPSS_QSEQ_SHIFT);
  line(kernel, s, "      sticky/holding_cpu={}/{} dsq_id={}", p.scx.sticky_cpu, p.scx.holding_cpu,
       dsq ? fmt::format("{:#x}", dsq->id) : "(n/a)");
  line(kernel, s, "      dsq_vtime={} slice={} weight={}", p.scx.dsq_vtime, p.scx.slice,
       p.scx.weight);
  line(kernel, s, "      cpus={} no_mig={}", format_bitmap(p.cpus_ptr->bits, kernel.nr_cpus()),
       p.migration_disabled);
  if (sch.has_op(Op::kDumpTask)) {
    OpsDump scope(sch.ext, s, "    ");
    call_op(sch, Op::kDumpTask, &rq, {ctx_arg(), p.address()});
  }
}

void Dumper::cpu(SeqBuf& s, CpuId id) {
  Rq& rq = kernel.rq(id);
  kernel.rq_lock(rq);
  ExtRq& xrq = ext_rq(rq);
  const bool idle = xrq.runnable_list.empty() && rq.current()->klass == &kernel.idle_class();
  if (!idle || sch.has_op(Op::kDumpCpu)) {
    // Kept apart until it is clear that an idle CPU has anything to say.
    SeqBuf nested = s.rest();
    cpu_state(nested, rq);
    const u64 used = nested.used();
    if (sch.has_op(Op::kDumpCpu)) {
      OpsDump scope(sch.ext, nested, "  ");
      call_op(sch, Op::kDumpCpu, &rq, {ctx_arg(), static_cast<u64>(id), static_cast<u64>(idle)});
    }
    if (!idle || used != nested.used()) {
      s.commit(nested);
      Task& current = *rq.current();
      if (current.klass == &kernel.ext_class() && wanted(current)) task(s, rq, current, '*');
      for (Task* p = xrq.runnable_list.front(); p; p = xrq.runnable_list.next(*p)) {
        if (wanted(*p)) task(s, rq, *p, ' ');
      }
    }
  }
  kernel.rq_unlock(rq);
}

void Dumper::cpus(SeqBuf& s, CpuId exit_cpu) {
  dump_newline(kernel, s);
  line(kernel, s, "CPU states");
  line(kernel, s, "----------");
  if (exit_cpu >= 0) cpu(s, exit_cpu);  // first, so that it is not what is cut
  for (u32 id = 0; id < kernel.nr_cpus(); ++id) {
    if (static_cast<CpuId>(id) != exit_cpu) cpu(s, static_cast<CpuId>(id));
  }
}

void Dumper::events(SeqBuf& s) {
  dump_newline(kernel, s);
  line(kernel, s, "Event counters");
  line(kernel, s, "--------------");
  for (const auto& [name, value] : event_list(sch)) {
    line(kernel, s, "{:>40}: {:>16}", name, value);
  }
}

}  // namespace

void ops_dump_append(Ext::Impl& ext, std::string_view text) {
  DumpState& dd = dump_of(ext);
  const std::size_t room = dd.line.size() - dd.cursor;
  if (room > 0) {
    const std::size_t copied = std::min(text.size(), room - 1);
    std::memcpy(dd.line.data() + dd.cursor, text.data(), copied);
    dd.line[dd.cursor + copied] = '\0';
  }
  dd.cursor = static_cast<u32>(std::min(dd.cursor + text.size(), dd.line.size()));
  if (dd.cursor == 0) return;
  // A line may come in several calls: it goes out when it ends, or does not fit any more.
  if (dd.cursor >= dd.line.size() || dd.line[dd.cursor - 1] == '\n') flush(ext.kernel, dd);
}

void dump_state(Sched& sch, ExitInfo& ei, bool dump_all_tasks) {
  Kernel& kernel = sch.kernel;
  LockGuard guard(sch.ext.dump_lock, kernel.held());
  if (sch.dump_disabled) return;

  auto* ctx = static_cast<abi::scx_dump_ctx*>(
      kernel.window().allocate(sizeof(abi::scx_dump_ctx), bpf::kReadOnlyMemory));
  *ctx = {.kind = ei.info->kind,
          .exit_code = ei.info->exit_code,
          .reason = ei.info->reason,
          .at_ns = kernel.now().ns,
          .at_jiffies = kernel.jiffies()};
  SeqBuf s(ei.dump, ei.dump_len);
  Dumper dumper{.sch = sch, .kernel = kernel, .ctx = ctx, .all_tasks = dump_all_tasks};
  dumper.header(s, ei);
  if (sch.has_op(Op::kDump)) {
    OpsDump scope(sch.ext, s, "");
    call_op(sch, Op::kDump, nullptr, {dumper.ctx_arg()});
  }
  dumper.cpus(s, ei.info->exit_cpu);
  dumper.events(s);
  kernel.window().free(ctx);

  constexpr char kTruncated[] = "\n\n~~~~ TRUNCATED ~~~~\n";
  if (s.overflowed() && ei.dump_len >= sizeof(kTruncated)) {
    std::memcpy(ei.dump + ei.dump_len - sizeof(kTruncated), kTruncated, sizeof(kTruncated));
  }
}

}  // namespace uscx::sched::ext
