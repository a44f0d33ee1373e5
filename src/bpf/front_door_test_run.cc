// SPDX-License-Identifier: GPL-2.0-only
// bpf(2): PROG_TEST_RUN, of programs that get no packet. Linux: net/bpf/test_run.c.
#include <algorithm>
#include <array>

#include "bpf/bpf.h"
#include "bpf/exec/exec.h"
#include "bpf/front_door.h"
#include "bpf/impl.h"
#include "bpf/isa.h"
#include "bpf/net/contexts.h"
#include "bpf/verifier/prog_type.h"
#include "bpf/verifier/proof.h"

namespace uscx::bpf {

namespace {

constexpr u32 kMaxFuncArgs = 12;  // MAX_BPF_FUNC_ARGS

/// A word of kernel memory that traced functions get a pointer to.
class Word {
 public:
  explicit Word(AddressWindow& window)
      : window_(window), word_(static_cast<u64*>(window.allocate(sizeof(u64), kReadOnlyMemory))) {}
  ~Word() { window_.free(word_); }
  Word(const Word&) = delete;
  Word& operator=(const Word&) = delete;
  u64& operator*() { return *word_; }
  u64 address() const { return reinterpret_cast<u64>(word_); }

 private:
  AddressWindow& window_;
  u64* word_;
};

/// Calls a function of the kernel that programs may trace: those at its entry, itself, those at its
/// exit.
template <class Fn>
u64 traced_call(Bpf& bpf, std::string_view name, std::span<const u64> args, Fn&& function) {
  bpf.trace_hook(name, args);
  std::array<u64, kMaxFuncArgs> all{};
  std::copy(args.begin(), args.end(), all.begin());
  all[args.size()] = function();
  bpf.trace_exit_hook(name, std::span(all).first(args.size() + 1));
  return all[args.size()];
}

u64 sum(std::span<const u64> args) {
  u64 total = 0;
  for (const u64 a : args) total += a;
  return total;
}

/// The functions that are there to be traced. Linux: bpf_fentry_test1 to 10.
void call_fentry_tests(Bpf& bpf) {
  auto adds = [&](std::string_view name, std::initializer_list<u64> list) {
    const std::span<const u64> args(list.begin(), list.size());
    traced_call(bpf, name, args, [&] { return sum(args); });
  };
  const std::array<u64, 1> one{1}, null{0};
  traced_call(bpf, "bpf_fentry_test1", one, [] { return u64{2}; });
  adds("bpf_fentry_test2", {2, 3});
  adds("bpf_fentry_test3", {4, 5, 6});
  adds("bpf_fentry_test4", {7, 8, 9, 10});
  adds("bpf_fentry_test5", {11, 12, 13, 14, 15});
  adds("bpf_fentry_test6", {16, 17, 18, 19, 20, 21});
  traced_call(bpf, "bpf_fentry_test7", null, [] { return u64{0}; });
  Word word(bpf.window());
  const std::array<u64, 1> pointer{word.address()};
  traced_call(bpf, "bpf_fentry_test8", pointer, [&] { return *word; });
  traced_call(bpf, "bpf_fentry_test9", pointer, [&] { return *word; });
  traced_call(bpf, "bpf_fentry_test10", null, [] { return u64{0}; });
}

/// Linux: bpf_modify_return_test and bpf_modify_return_test2, which add one to what they get.
u32 call_modify_return_tests(Bpf& bpf) {
  Word b(bpf.window());
  u32 side_effects = 0;
  u64 result = 0;
  auto call = [&](std::string_view name, std::initializer_list<u64> list) {
    const std::span<const u64> args(list.begin(), list.size());
    *b = 2;
    result += traced_call(bpf, name, args, [&] {
      *b += 1;
      return sum(args) - b.address() + *b;
    });
    if (*b != 2) ++side_effects;
  };
  call("bpf_modify_return_test", {1, b.address()});
  call("bpf_modify_return_test2", {1, b.address(), 3, 4, 5, 6, 7});
  return side_effects << 16 | static_cast<u16>(result);
}

/// How much of its context the program looks at. Linux: prog->aux->max_ctx_offset.
u32 max_ctx_offset(const Program& program) {
  u32 most = 0;
  for (u32 i = 0; i < program.insns.size(); ++i) {
    const Insn& insn = program.insns[i];
    if (program.proof->insns[i].memory != verifier::Memory::kContext) continue;
    most = std::max(most, static_cast<u32>(insn.off) + isa::bytes_of(insn));
  }
  return most;
}

}  // namespace

Result<long> FrontDoor::prog_test_run() {
  using namespace verifier;
  const uapi::TestRunAttr& t = attr_.test;
  if (!only_first(offsetof(uapi::TestRunAttr, batch_size) + 4)) return fail(EINVAL);
  if ((t.ctx_size_in != 0) != (t.ctx_in != 0) || (t.ctx_size_out != 0) != (t.ctx_out != 0)) {
    return fail(EINVAL);
  }
  auto found = bpf_.impl().fds.get<Program>(static_cast<int>(t.prog_fd));
  if (!found) return std::unexpected(found.error());
  const Program& program = **found;
  if (net::skb_type(program.type) != net::SkbType::kNone) return test_run_skb(program);
  switch (program.type) {
    case kProgSyscall:
      return test_run_syscall(program);
    case kProgXdp:
      return test_run_xdp(program);
    case kProgNetfilter:
      return test_run_netfilter(program);
    case kProgTracing:
      return test_run_tracing(program);
    case kProgRawTracepoint:
      return test_run_raw_tracepoint(program);
    case kProgLwtSeg6local:
    case kProgFlowDissector:
    case kProgSkLookup:
      return unserved("PROG_TEST_RUN of " + std::string(prog_type_name(program.type)), kEnotsupp);
    default:
      return fail(kEnotsupp);  // in Linux too, but for bpf_dummy_ops
  }
}

/// Linux: bpf_prog_test_run_syscall.
Result<long> FrontDoor::test_run_syscall(const Program& program) {
  const uapi::TestRunAttr& t = attr_.test;
  if (t.data_in || t.data_out || t.ctx_out || t.duration || t.repeat || t.flags || t.batch_size ||
      t.ctx_size_in > 0xffff) {
    return fail(EINVAL);
  }
  void* context = nullptr;
  Bpf::Impl& impl = bpf_.impl();
  if (t.ctx_size_in) {
    context = bpf_.window().allocate(t.ctx_size_in, kProgramMemory);
    if (auto r = memory_.read(context, t.ctx_in, t.ctx_size_in); !r) {
      bpf_.window().free(context);
      return std::unexpected(r.error());
    }
  }
  const auto result = static_cast<u32>(impl.in_run(
      [&] { return impl.engine->run_with_context(program, reinterpret_cast<u64>(context)); }));
  Result<void> done = put_attr(offsetof(uapi::TestRunAttr, retval), result);
  if (context) {
    if (done) done = memory_.write(t.ctx_in, context, t.ctx_size_in);
    bpf_.window().free(context);
  }
  if (!done) return std::unexpected(done.error());
  return 0;
}

/// Linux: bpf_prog_test_run_raw_tp.
Result<long> FrontDoor::test_run_raw_tracepoint(const Program& program) {
  const uapi::TestRunAttr& t = attr_.test;
  constexpr u32 kOnCpu = 1;  // BPF_F_TEST_RUN_ON_CPU
  if (t.data_in || t.data_out || t.ctx_out || t.duration || t.repeat || t.batch_size ||
      t.ctx_size_in < max_ctx_offset(program) || t.ctx_size_in > kMaxFuncArgs * sizeof(u64)) {
    return fail(EINVAL);
  }
  if (!(t.flags & kOnCpu) && t.cpu) return fail(EINVAL);
  if (t.flags & kOnCpu) {
    if (program.sleepable) return fail(EINVAL);
    if (t.cpu != bpf_.host().this_cpu()) {
      if (t.cpu >= bpf_.host().nr_cpu_ids()) return fail(ENXIO);
      return unserved("PROG_TEST_RUN on another CPU", EINVAL);
    }
  }
  std::array<u64, kMaxFuncArgs> args{};
  if (t.ctx_size_in) {
    if (auto r = memory_.read(args.data(), t.ctx_in, t.ctx_size_in); !r) return fail(EFAULT);
  }
  const auto result = static_cast<u32>(bpf_.run(program, args));
  if (auto r = put_attr(offsetof(uapi::TestRunAttr, retval), result); !r) return fail(EFAULT);
  return 0;
}

/// The program itself is not run, but where it is attached to what is called. Linux:
/// bpf_prog_test_run_tracing.
Result<long> FrontDoor::test_run_tracing(const Program& program) {
  using namespace verifier;
  const uapi::TestRunAttr& t = attr_.test;
  if (t.flags || t.cpu || t.batch_size) return fail(EINVAL);
  u32 result = 0;
  switch (program.expected_attach_type) {
    case kTraceFentry:
    case kTraceFexit:
    case kTraceFsession:
    case kTraceFentryMulti:
    case kTraceFexitMulti:
    case kTraceFsessionMulti:
      call_fentry_tests(bpf_);
      break;
    case kModifyReturn:
      if (bpf_.has_trace_hook("bpf_modify_return_test") ||
          bpf_.has_trace_hook("bpf_modify_return_test2")) {
        return unserved("PROG_TEST_RUN of an attached fmod_ret program", kEnotsupp);
      }
      result = call_modify_return_tests(bpf_);
      break;
    default:
      return fail(EFAULT);
  }
  if (auto r = put_attr(offsetof(uapi::TestRunAttr, retval), result); !r) return fail(EFAULT);
  return 0;
}

}  // namespace uscx::bpf
