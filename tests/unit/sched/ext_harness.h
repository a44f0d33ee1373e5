// SPDX-License-Identifier: GPL-2.0-only
// Schedulers made of hand-written instructions, for tests that need no loader.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bpf/bpf.h"
#include "btf/btf.h"
#include "core_harness.h"
#include "sched/ext/internal.h"

namespace uscx::sched::testing {

inline bpf::Insn mov64(u8 dst, s32 imm) {
  return {0xb7, static_cast<u8>(dst & 15), 0, 0, imm};
}
inline bpf::Insn add64(u8 dst, s32 imm) {
  return {0x07, static_cast<u8>(dst & 15), 0, 0, imm};
}
inline bpf::Insn jne(u8 dst, s32 imm, s16 off) {
  return {0x55, static_cast<u8>(dst & 15), 0, off, imm};
}
/// r`dst` = *(u64 *)(r`src` + off)
inline bpf::Insn load64(u8 dst, u8 src, s16 off) {
  return {0x79, static_cast<u8>(dst & 15), static_cast<u8>(src & 15), off, 0};
}
inline bpf::Insn mov64_reg(u8 dst, u8 src) {
  return {0xbf, static_cast<u8>(dst & 15), static_cast<u8>(src & 15), 0, 0};
}
inline bpf::Insn call_kfunc(s32 index) {
  return {0x85, 0, 2, 0, index};
}
inline bpf::Insn exit_insn() {
  return {0x95, 0, 0, 0, 0};
}

/// return `value`, after `loops` rounds of two instructions.
inline std::vector<bpf::Insn> returning(s32 value, s32 loops = 1) {
  return {mov64(1, loops), add64(1, -1), jne(1, 0, -2), mov64(0, value), exit_insn()};
}

class ExtTest : public CoreTest {
 protected:
  bpf::StructOpsType& ops_type() {
    for (const auto& type : k().bpf().struct_ops_types()) {
      if (type->name() == "sched_ext_ops") return *type;
    }
    USCX_ASSERT(!"sched_ext_ops is registered");
    __builtin_unreachable();
  }
  ext::Ext::Impl& ext() { return k().ext().impl(); }

  /// A table with a name and nothing else.
  std::shared_ptr<bpf::StructOpsTable> make_table(const std::string& name) {
    const btf::Btf& btf = k().bpf().vmlinux();
    const u32 type = *btf.find_composite("sched_ext_ops");
    auto table = std::make_shared<bpf::StructOpsTable>();
    table->map_id = ++next_map_id_;
    table->data.resize(*btf.size_of(type));
    table->programs.resize(btf.members(type).size());
    std::memcpy(table->data.data() + field("name").byte_offset(), name.data(), name.size());
    return table;
  }
  btf::Member field(const char* member) {
    const btf::Btf& btf = k().bpf().vmlinux();
    const u32 type = *btf.find_composite("sched_ext_ops");
    return btf.members(type)[*btf.member_index(type, member)];
  }
  template <class T>
  void set(bpf::StructOpsTable& table, const char* member, T value) {
    std::memcpy(table.data.data() + field(member).byte_offset(), &value, sizeof(value));
  }
  void set_op(bpf::StructOpsTable& table, const char* member, std::vector<bpf::Insn> insns,
              bool sleepable = false) {
    const btf::Btf& btf = k().bpf().vmlinux();
    const u32 type = *btf.find_composite("sched_ext_ops");
    auto prog = std::make_shared<bpf::Program>();
    prog->id = ++next_map_id_;
    prog->name = member;
    prog->type = 27;  // BPF_PROG_TYPE_STRUCT_OPS
    prog->sleepable = sleepable;
    prog->struct_ops = &ops_type();
    prog->member_index = *btf.member_index(type, member);
    prog->member_name = member;
    prog->insns = std::move(insns);
    prog->subprogram_starts = {0};
    prog->struct_ops_map_id = table.map_id;
    table.programs[prog->member_index] = prog;
  }

  /// What a callback of `nr_args` arguments does, in C++: its program calls a kfunc made of `fn`.
  using Callback = std::function<u64(const std::array<u64, 5>& args)>;
  void set_callback(bpf::StructOpsTable& table, const char* member, u32 nr_args, Callback fn,
                    bool sleepable = false) {
    std::vector<bpf::Insn> insns{mov64_reg(6, 1)};
    for (u32 i = 0; i < nr_args; ++i) {
      insns.push_back(load64(static_cast<u8>(i + 1), 6, static_cast<s16>(8 * i)));
    }
    insns.push_back(call_kfunc(0));
    insns.push_back(exit_insn());
    set_op(table, member, std::move(insns), sleepable);
    auto kfunc = std::make_unique<bpf::Kfunc>();
    kfunc->name = member;
    kfunc->fn = [fn = std::move(fn)](bpf::KfuncCall& call) { return fn(call.args); };
    auto& slot = table.programs[*k().bpf().vmlinux().member_index(
        *k().bpf().vmlinux().find_composite("sched_ext_ops"), member)];
    auto prog = std::make_shared<bpf::Program>(*slot);
    prog->nr_args = nr_args;
    prog->kfuncs = {kfunc.get()};
    slot = prog;
    kfuncs_.push_back(std::move(kfunc));
  }
  static Task& task_arg(u64 address) {
    return *Task::from(reinterpret_cast<abi::task_struct*>(address));
  }
  ext::Sched& root() { return *ext().root; }

  /// Runs `call` as a system call of a task of its own, until it returns.
  void on_fiber(std::function<void()> call) {
    bool done = false;
    spawn("loader", steps({Step::system_call([&](Task&) {
            call();
            done = true;
          })}));
    for (int ms = 0; ms < 5000 && !done; ++ms) run_for(Nanos::from_ms(1));
    ASSERT_TRUE(done);
  }
  int reg(std::shared_ptr<bpf::StructOpsTable> table) {
    int ret = -1;
    on_fiber([&] { ret = ops_type().reg(table); });
    return ret;
  }
  void unreg(const std::shared_ptr<bpf::StructOpsTable>& table) {
    on_fiber([&] { ops_type().unreg(table); });
  }

 private:
  u32 next_map_id_ = 0;
  std::vector<std::unique_ptr<bpf::Kfunc>> kfuncs_;
};

}  // namespace uscx::sched::testing
