// SPDX-License-Identifier: GPL-2.0-only
// Which callback may call which kfunc.
#include "sched/ext/kfunc_table.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "bpf/struct_ops.h"
#include "bpf/uapi.h"
#include "sched/ext/op_table.h"

namespace uscx::sched::ext {
namespace {

constexpr btf::KernelVersion k7_2{7, 2};
constexpr btf::KernelVersion k7_3{7, 3};

class NamedType final : public bpf::StructOpsType {
 public:
  explicit NamedType(std::string name) : name_(std::move(name)) {}
  std::string_view name() const override { return name_; }
  int check_member(std::string_view, u32, const bpf::Program&) override { return 0; }
  int init_member(std::string_view, u32, bpf::StructOpsTable&) override { return 0; }
  int validate(const bpf::StructOpsTable&) override { return 0; }
  int reg(std::shared_ptr<bpf::StructOpsTable>) override { return 0; }
  void unreg(const std::shared_ptr<bpf::StructOpsTable>&) override {}

 private:
  std::string name_;
};

/// 0 or EACCES, for a callback `member` of struct `type`.
int from_member(std::string_view kfunc, std::string member, btf::KernelVersion version = k7_3,
                std::string type = "sched_ext_ops") {
  const NamedType ops(std::move(type));
  bpf::Program prog;
  prog.type = bpf::uapi::kProgStructOps;
  prog.struct_ops = &ops;
  prog.member_name = std::move(member);
  return filter_kfunc(prog, kfunc, version);
}

int from_type(std::string_view kfunc, u32 type) {
  bpf::Program prog;
  prog.type = type;
  return filter_kfunc(prog, kfunc, k7_3);
}

TEST(KfuncFilter, ContextSensitiveSetsByCallback) {
  // One kfunc of each set; the callbacks that may call it.
  const std::map<std::string, std::set<std::string>> allowed = {
      {"scx_bpf_dsq_insert", {"select_cpu", "enqueue", "dispatch", "sub_ecaps_updated"}},
      {"scx_bpf_dsq_move_to_local", {"dispatch", "sub_ecaps_updated"}},
      {"scx_bpf_reenqueue_local", {"cpu_release"}},
      {"scx_bpf_create_dsq",
       {"init_task", "dump", "cgroup_init", "cgroup_exit", "cgroup_prep_move", "cgroup_cancel_move",
        "cgroup_set_weight", "cgroup_set_bandwidth", "cgroup_set_idle", "sub_attach", "sub_detach",
        "cpu_online", "cpu_offline", "init_cids", "init", "exit"}},
      {"scx_bpf_cid_override", {"init_cids"}},
  };
  const std::set<std::string> members = {"select_cpu",
                                         "enqueue",
                                         "dequeue",
                                         "dispatch",
                                         "tick",
                                         "runnable",
                                         "running",
                                         "stopping",
                                         "quiescent",
                                         "yield",
                                         "core_sched_before",
                                         "set_weight",
                                         "set_cpumask",
                                         "update_idle",
                                         "cpu_acquire",
                                         "cpu_release",
                                         "init_task",
                                         "exit_task",
                                         "enable",
                                         "disable",
                                         "dump",
                                         "dump_cpu",
                                         "dump_task",
                                         "cgroup_init",
                                         "cgroup_exit",
                                         "cgroup_prep_move",
                                         "cgroup_move",
                                         "cgroup_cancel_move",
                                         "cgroup_set_weight",
                                         "cgroup_set_bandwidth",
                                         "cgroup_set_idle",
                                         "sub_attach",
                                         "sub_detach",
                                         "sub_caps_updated",
                                         "sub_ecaps_updated",
                                         "cpu_online",
                                         "cpu_offline",
                                         "init_cids",
                                         "init",
                                         "exit"};
  for (const auto& [kfunc, callers] : allowed) {
    for (const std::string& member : members) {
      EXPECT_EQ(from_member(kfunc, member), callers.contains(member) ? 0 : EACCES)
          << kfunc << " from " << member;
    }
  }
}

TEST(KfuncFilter, AKfuncInTwoSetsIsOpenToBoth) {
  for (const char* member : {"select_cpu", "enqueue", "init", "exit"}) {
    EXPECT_EQ(from_member("scx_bpf_select_cpu_dfl", member), 0) << member;
  }
  EXPECT_EQ(from_member("scx_bpf_select_cpu_dfl", "dispatch"), EACCES);
  for (const char* member : {"dispatch", "init", "init_task"}) {
    EXPECT_EQ(from_member("scx_bpf_dsq_move", member), 0) << member;
  }
  EXPECT_EQ(from_member("scx_bpf_dsq_move", "enqueue"), EACCES);
}

TEST(KfuncFilter, AnyAndIdleAreOpenToEveryCallback) {
  for (const char* member : {"select_cpu", "running", "cgroup_move", "dump_task", "exit"}) {
    EXPECT_EQ(from_member("scx_bpf_kick_cpu", member), 0) << member;
    EXPECT_EQ(from_member("scx_bpf_pick_idle_cpu", member), 0) << member;
    EXPECT_EQ(from_member("scx_bpf_cid_to_cpu", member), 0) << member;
  }
}

TEST(KfuncFilter, OtherStructOpsAndOtherTypes) {
  EXPECT_EQ(from_member("scx_bpf_kick_cpu", "ssthresh", k7_3, "tcp_congestion_ops"), EACCES);
  EXPECT_EQ(from_member("bpf_task_from_pid", "ssthresh", k7_3, "tcp_congestion_ops"), 0);

  EXPECT_EQ(from_type("scx_bpf_create_dsq", bpf::uapi::kProgSyscall), 0);
  EXPECT_EQ(from_type("scx_bpf_select_cpu_and", bpf::uapi::kProgSyscall), 0);
  EXPECT_EQ(from_type("scx_bpf_dsq_insert", bpf::uapi::kProgSyscall), EACCES);
  EXPECT_EQ(from_type("scx_bpf_reenqueue_local", bpf::uapi::kProgSyscall), EACCES);
  EXPECT_EQ(from_type("scx_bpf_now", bpf::uapi::kProgTracing), 0);
  EXPECT_EQ(from_type("scx_bpf_pick_any_cpu", bpf::uapi::kProgTracing), 0);
  EXPECT_EQ(from_type("scx_bpf_select_cpu_dfl", bpf::uapi::kProgTracing), EACCES);
  EXPECT_EQ(from_type("scx_bpf_now", bpf::uapi::kProgKprobe), EACCES);
}

TEST(KfuncFilter, CidFormMayNotNameCpus) {
  const char* cid = "sched_ext_ops_cid";
  EXPECT_EQ(from_member("scx_bpf_kick_cpu", "enqueue", k7_3, cid), EACCES);
  EXPECT_EQ(from_member("scx_bpf_select_cpu_dfl", "select_cid", k7_3, cid), EACCES);
  EXPECT_EQ(from_member("scx_bpf_kick_cid", "enqueue", k7_3, cid), 0);
  EXPECT_EQ(from_member("scx_bpf_dsq_insert", "select_cid", k7_3, cid), 0);
  EXPECT_EQ(from_member("scx_bpf_create_dsq", "cpuctl_init", k7_3, cid), 0);
  EXPECT_EQ(from_member("scx_bpf_create_dsq", "cid_online", k7_3, cid), 0);
  // The other way round is open: schedulers move over step by step.
  EXPECT_EQ(from_member("scx_bpf_kick_cid", "enqueue"), 0);
}

TEST(KfuncFilter, TheKernelsDiffer) {
  EXPECT_EQ(from_member("scx_bpf_cid_override", "init", k7_2), 0);
  EXPECT_EQ(from_member("scx_bpf_cid_override", "init", k7_3), EACCES);
  EXPECT_FALSE(find_kfunc_row("scx_bpf_cpu_rq")->exists_in(k7_3));
  EXPECT_TRUE(find_kfunc_row("scx_bpf_cpu_rq")->exists_in(k7_2));
  EXPECT_FALSE(find_kfunc_row("scx_bpf_sub_grant")->exists_in(k7_2));
  EXPECT_EQ(find_kfunc_row("scx_bpf_events")->flags_in(k7_2), 0u);
  EXPECT_EQ(find_kfunc_row("scx_bpf_events")->flags_in(k7_3), u32{bpf::kKfImplicitArgs});
}

TEST(KfuncTable, NoNameTwice) {
  std::set<std::string_view> names;
  for (const KfuncRow& row : kfunc_table()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_NE(row.sets & ~u32{kSetCpuOnly}, 0u) << row.name;
  }
}

TEST(KfuncTable, SaysWhoMayCall) {
  EXPECT_EQ(callable_from(*find_kfunc_row("scx_bpf_dsq_insert"), k7_2),
            "select_cpu, enqueue, dispatch");
  EXPECT_EQ(callable_from(*find_kfunc_row("scx_bpf_dsq_move_to_local"), k7_3),
            "dispatch, sub_ecaps_updated");
  EXPECT_EQ(callable_from(*find_kfunc_row("scx_bpf_kick_cpu"), k7_3),
            "all callbacks of the cpu form, SYSCALL, TRACING");
}

/// callback -> the callbacks that kfuncs of it call, of the same scheduler.
std::map<std::string, std::set<std::string>> nested_callbacks(btf::KernelVersion version) {
  std::map<std::string, std::set<std::string>> edges;
  std::istringstream lines(kfunc_graph(version));
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with("(of another scheduler)")) continue;
    const std::size_t first = line.find(" -> "), second = line.find(" -> ", first + 4);
    EXPECT_NE(second, std::string::npos) << line;
    edges[line.substr(0, first)].insert(line.substr(second + 4));
  }
  return edges;
}

TEST(KfuncTable, NoCallbackCanCallItself) {
  // Linux keeps one frame of its locks and one task under way for each callback of a scheduler: a
  // kfunc that got back to the callback that called it would overwrite them.
  for (const auto version : {k7_2, k7_3}) {
    const auto edges = nested_callbacks(version);
    EXPECT_TRUE(edges.at("dispatch").contains("dequeue"));
    for (const auto& [start, unused] : edges) {
      std::set<std::string> reached;
      std::vector<std::string> todo{start};
      while (!todo.empty()) {
        const std::string at = todo.back();
        todo.pop_back();
        if (!edges.contains(at)) continue;
        for (const std::string& next : edges.at(at)) {
          if (reached.insert(next).second) todo.push_back(next);
        }
      }
      EXPECT_FALSE(reached.contains(start)) << start;
    }
  }
}

}  // namespace
}  // namespace uscx::sched::ext
