// SPDX-License-Identifier: GPL-2.0-only
// What bpf_testmod's kfuncs and struct_ops types do, as far as the tests that run programs ask.
#include "conformance/verifier/testmod.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <memory>

#include "bpf/kfunc.h"
#include "bpf/maps/arena.h"
#include "bpf/program.h"
#include "bpf/uapi.h"
#include "bpf/verifier/kfunc_proto.h"
#include "btf/btf.h"

namespace uscx::conformance {

namespace {

using bpf::KfuncCall;

struct Flag {
  std::string_view name;
  u32 verifier;
  u32 registry;
};
constexpr Flag kFlags[] = {
    {"KF_ACQUIRE", bpf::verifier::kKf_Acquire, bpf::kKfAcquire},
    {"KF_RELEASE", bpf::verifier::kKf_Release, bpf::kKfRelease},
    {"KF_RET_NULL", bpf::verifier::kKf_RetNull, bpf::kKfRetNull},
    {"KF_SLEEPABLE", bpf::verifier::kKf_Sleepable, bpf::kKfSleepable},
    {"KF_DESTRUCTIVE", bpf::verifier::kKf_Destructive, bpf::kKfDestructive},
    {"KF_RCU", bpf::verifier::kKf_Rcu, bpf::kKfRcu},
    {"KF_RCU_PROTECTED", bpf::verifier::kKf_RcuProtected, bpf::kKfRcuProtected},
    {"KF_ITER_NEW", bpf::verifier::kKf_IterNew, bpf::kKfIterNew},
    {"KF_ITER_NEXT", bpf::verifier::kKf_IterNext, bpf::kKfIterNext},
    {"KF_ITER_DESTROY", bpf::verifier::kKf_IterDestroy, bpf::kKfIterDestroy},
    {"KF_IMPLICIT_ARGS", bpf::verifier::kKf_ImplicitArgs, bpf::kKfImplicitArgs},
    {"KF_SPINLOCK_SAFE", bpf::verifier::kKf_SpinlockSafe, 0},
};

bool has_flag(std::string_view flags, std::string_view wanted) {
  while (!flags.empty()) {
    const auto end = std::min(flags.find('|'), flags.size());
    if (flags.substr(0, end) == wanted) return true;
    flags.remove_prefix(std::min(end + 1, flags.size()));
  }
  return false;
}

u32 hooks_of(std::string_view set) {
  using bpf::verifier::KfuncHook;
  const auto bit = [](KfuncHook hook) { return 1u << static_cast<u32>(hook); };
  if (set == "bpf_testmod_common_kfunc_ids") return bit(KfuncHook::kCommon);
  return bit(KfuncHook::kTc) | bit(KfuncHook::kTracing) | bit(KfuncHook::kSyscall) |
         bit(KfuncHook::kStructOps);
}

/// struct bpf_iter_testmod_seq
struct Seq {
  s64 value;
  s32 count;
};

u64 seq_new(KfuncCall& call) {
  auto* it = call.memory<Seq>(0, true);
  if (!it) return 0;
  it->count = static_cast<s32>(call.args[2]);
  if (it->count < 0) return static_cast<u64>(-EINVAL);
  it->value = static_cast<s64>(call.args[1]);
  return 0;
}

u64 seq_next(KfuncCall& call) {
  auto* it = call.memory<Seq>(0, true);
  if (!it || it->count <= 0) return 0;
  --it->count;
  return reinterpret_cast<u64>(&it->value);
}

u64 seq_destroy(KfuncCall& call) {
  if (auto* it = call.memory<Seq>(0, true)) it->count = 0;
  return 0;
}

u64 seq_value(KfuncCall& call) {
  const auto* it = call.memory<Seq>(1, false);
  if (!it || it->count < 0) return 0;
  return static_cast<u64>(static_cast<s32>(call.args[0]) + it->value);
}

u64 test4(KfuncCall& call) {
  const s64 sum = static_cast<s8>(call.args[0]) + static_cast<s16>(call.args[1]) +
                  static_cast<s32>(call.args[2]) + static_cast<s64>(call.args[3]);
  return static_cast<u64>(sum);
}

/// struct st_ops_args
struct StOpsArgs {
  u64 a;
};

u64 nothing(KfuncCall&) {
  return 0;
}

u64 implicit_arg(KfuncCall& call) {
  const s32 a = static_cast<s32>(call.args[0]);
  return a > 0 ? static_cast<u64>(a) : static_cast<u64>(-EINVAL);
}

u64 implicit_arg_legacy(KfuncCall& call) {
  return static_cast<u32>(call.args[0]) + static_cast<u32>(call.args[1]);
}

/// The program's arena, which the verifier saw to.
bpf::ArenaMap& arena_of(const KfuncCall& call) {
  const auto& maps = call.program.maps;
  const auto arena = std::find_if(maps.begin(), maps.end(), [](const auto& map) {
    return map->spec().type == bpf::uapi::kMapArena;
  });
  return static_cast<bpf::ArenaMap&>(**arena);
}

/// Argument `i`, an arena pointer, as a u64; one that is not there reads as zero and takes what is
/// written. Linux: the arena's scratch page.
u64& arena_word(KfuncCall& call, u32 i) {
  static u64 scratch;
  scratch = 0;
  std::byte* word = arena_of(call).at(static_cast<u32>(call.args[i]), sizeof(u64));
  return word ? *reinterpret_cast<u64*>(word) : scratch;
}

u64 arena_arg(KfuncCall& call) {
  return arena_word(call, 0)++;
}

/// The address that the kernel would use: the arena's base and the low half.
u64 arena_address(KfuncCall& call) {
  return arena_of(call).kern_vm_start() + static_cast<u32>(call.args[0]);
}

u64 arena_address_nullable(KfuncCall& call) {
  return static_cast<u32>(call.args[0]) ? arena_address(call) : 0;
}

u64 arena_sum(KfuncCall& call, u32 count) {
  u64 sum = 0;
  for (u32 i = 0; i < count; ++i) sum += arena_word(call, i);
  // The last one is nullable.
  return static_cast<u32>(call.args[count]) ? sum + arena_word(call, count) : sum;
}

/// An object that programs only hand on.
u64 trusted_object(KfuncCall& call) {
  static constexpr bpf::ObjectType kMember{"prog_test_member"};
  static std::map<bpf::AddressWindow*, u64> objects;
  u64& object = objects[&call.bpf.window()];
  if (!object) object = reinterpret_cast<u64>(call.bpf.window().allocate(8, kMember));
  return object;
}

/// A table of callbacks, kept while it is registered.
class Ops final : public bpf::StructOpsType {
 public:
  explicit Ops(std::string_view name) : name_(name) {}
  std::string_view name() const override { return name_; }
  int check_member(std::string_view member, u32 index, const bpf::Program& prog) override {
    // No CFI stub: what the kernel calls unsupported.
    if (member == "unsupported_ops" || member.starts_with("tramp_")) return kNotSupported;
    if (name_ == "bpf_testmod_ops3" && member == "test_1") prog.priv_stack_requested = true;
    if (name_ == "bpf_dummy_ops" && member != "test_sleepable" && prog.sleepable) return EINVAL;
    indexes_[std::string(member)] = index;
    return 0;
  }
  bool has_check_write() const override { return name_ == "bpf_testmod_st_ops"; }
  /// Linux: st_ops_btf_struct_access.
  int check_write(const btf::Btf& btf, u32 btf_id, u32 off, u32 size, const bpf::Program&,
                  std::string&) const override {
    const bool own = btf.name(btf_id) == "st_ops_args";
    return own && off + size <= sizeof(StOpsArgs) ? 0 : EACCES;
  }
  int init_member(std::string_view, u32, bpf::StructOpsTable&) override { return 0; }
  int validate(const bpf::StructOpsTable&) override { return 0; }
  int reg(std::shared_ptr<bpf::StructOpsTable> table) override {
    table_ = std::move(table);
    return 0;
  }
  void unreg(const std::shared_ptr<bpf::StructOpsTable>&) override { table_ = nullptr; }

  /// What is registered for the member; null where nothing is.
  std::shared_ptr<const bpf::Program> callback(std::string_view member) const {
    const auto index = indexes_.find(member);
    return table_ && index != indexes_.end() ? table_->programs[index->second] : nullptr;
  }

 private:
  static constexpr int kNotSupported = 524;  // ENOTSUPP
  std::string_view name_;
  std::map<std::string, u32, std::less<>> indexes_;
  std::shared_ptr<bpf::StructOpsTable> table_;
};

u64 add_ten(KfuncCall& call) {
  auto* args = call.memory<StOpsArgs>(0, true);
  return args ? args->a += 10 : 0;
}

/// Calls a callback of bpf_testmod_st_ops. What the module has the verifier put before and after
/// such programs is done here, around them: 1000 more in front, 10000 behind and the result
/// doubled.
u64 call_st_ops(KfuncCall& call, std::string_view member) {
  auto* args = call.memory<StOpsArgs>(0, true);
  if (!args) return 0;
  for (const auto& type : call.bpf.struct_ops_types()) {
    if (type->name() != "bpf_testmod_st_ops") continue;
    const auto program = static_cast<const Ops&>(*type).callback(member);
    if (!program) break;
    if (member != "test_epilogue") args->a += 1000;
    const u64 words[] = {call.args[0]};
    const u64 result = call.bpf.run(*program, words);
    if (member == "test_prologue") return result;
    args->a += 10000;
    return args->a * 2;
  }
  return static_cast<u64>(-1);
}

/// Kfuncs that the tests which run programs call; of the others, running one is a fault.
const std::map<std::string_view, bpf::KfuncFn>& functions() {
  static const std::map<std::string_view, bpf::KfuncFn> kFunctions = {
      {"bpf_iter_testmod_seq_new", seq_new},
      {"bpf_iter_testmod_seq_next", seq_next},
      {"bpf_iter_testmod_seq_destroy", seq_destroy},
      {"bpf_iter_testmod_seq_value", seq_value},
      {"bpf_kfunc_call_test4", test4},
      {"bpf_kfunc_common_test", nothing},
      {"bpf_kfunc_dynptr_test", nothing},
      {"bpf_kfunc_call_test_mem_len_pass1", nothing},
      {"bpf_kfunc_implicit_arg", implicit_arg},
      {"bpf_kfunc_arena_arg_test", arena_arg},
      {"bpf_kfunc_arena_cap_test", arena_address},
      {"bpf_kfunc_arena_cap_nullable_test", arena_address_nullable},
      {"bpf_kfunc_arena_args5_test", [](KfuncCall& call) { return arena_sum(call, 4); }},
      {"bpf_kfunc_arena_mixed_test", [](KfuncCall& call) { return arena_sum(call, 1); }},
      {"bpf_kfunc_get_default_trusted_ptr_test", trusted_object},
      {"bpf_kfunc_put_default_trusted_ptr_test", nothing},
      {"bpf_kfunc_st_ops_inc10", add_ten},
      {"bpf_kfunc_st_ops_test_prologue",
       [](KfuncCall& call) { return call_st_ops(call, "test_prologue"); }},
      {"bpf_kfunc_st_ops_test_epilogue",
       [](KfuncCall& call) { return call_st_ops(call, "test_epilogue"); }},
      {"bpf_kfunc_st_ops_test_pro_epilogue",
       [](KfuncCall& call) { return call_st_ops(call, "test_pro_epilogue"); }},
      {"bpf_kfunc_implicit_arg_legacy", implicit_arg_legacy},
      {"bpf_kfunc_implicit_arg_legacy_impl", implicit_arg_legacy},
  };
  return kFunctions;
}

}  // namespace

bool Testmod::implicit(std::string_view name) const {
  for (const KfuncLine& kfunc : kfuncs) {
    if (kfunc.name == name) return has_flag(kfunc.flags, "KF_IMPLICIT_ARGS");
  }
  return false;
}

void register_kernel_struct_ops(bpf::Bpf& bpf) {
  for (const char* name : {"bpf_dummy_ops", "tcp_congestion_ops", "Qdisc_ops"}) {
    const auto& known = bpf.struct_ops_types();
    const bool there = std::any_of(known.begin(), known.end(),
                                   [&](const auto& type) { return type->name() == name; });
    if (!there) bpf.register_struct_ops(std::make_unique<Ops>(name));
  }
}

OrError<void> register_testmod(bpf::Bpf& bpf, const Testmod& module) {
  std::vector<bpf::verifier::KfuncProto> protos;
  for (const Testmod::KfuncLine& line : module.kfuncs) {
    bpf::verifier::KfuncProto proto{.name = line.name, .hooks = hooks_of(line.set)};
    bpf::Kfunc kfunc;
    kfunc.name = line.name;
    kfunc.set = "bpf_testmod";
    for (const Flag& flag : kFlags) {
      if (!has_flag(line.flags, flag.name)) continue;
      proto.flags |= flag.verifier;
      kfunc.flags |= flag.registry;
    }
    const auto known = functions().find(line.name);
    if (known != functions().end()) {
      kfunc.fn = known->second;
    } else {
      kfunc.fn = [name = line.name](KfuncCall& call) {
        call.fault(fmt::format("{} is only declared here", name));
        return u64{0};
      };
    }
    protos.push_back(proto);
    if (!bpf.kfuncs().find(kfunc.name)) bpf.kfuncs().add(std::move(kfunc));
  }
  if (auto r = bpf.register_module("bpf_testmod", module.btf, protos); !r) return r;
  for (const char* name : {"bpf_testmod_ops", "bpf_testmod_ops2", "bpf_testmod_ops3",
                           "bpf_testmod_st_ops", "bpf_testmod_multi_st_ops"}) {
    bpf.register_struct_ops(std::make_unique<Ops>(name));
  }
  return {};
}

}  // namespace uscx::conformance
