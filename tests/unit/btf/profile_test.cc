// SPDX-License-Identifier: GPL-2.0-only
// The built-in BTF: what each version has, and that nothing real schedulers use is missing.
#include "btf/profile.h"

#include <gtest/gtest.h>

#include "abi/abi.h"
#include "btf/btf.h"
#include "known_paths.h"

namespace uscx::btf {
namespace {

Btf builtin(KernelVersion version) {
  auto btf = Btf::parse(builtin_btf(version));
  EXPECT_TRUE(btf) << btf.error().message;
  return std::move(*btf);
}

u32 size_of(const Btf& btf, std::string_view name) {
  const auto id = btf.find(name, Kind::kStruct);
  return id ? btf.size_of(*id).value_or(0) : 0;
}

bool has_member(const Btf& btf, std::string_view type, std::string_view member) {
  const auto id = btf.find(type, Kind::kStruct);
  return id && btf.member_index(*id, member);
}

TEST(KernelVersion, ReadsAndOrders) {
  EXPECT_EQ(*parse_version("7.3"), (KernelVersion{7, 3}));
  EXPECT_EQ(parse_version("6.12")->to_string(), "6.12");
  EXPECT_LT((KernelVersion{6, 18}), (KernelVersion{7, 2}));
  for (const char* wrong :
       {"", "7", "7.", ".3", "7.3.1", "7.3-rc1", "v7.3", "7,3", "7.99999", "any"}) {
    EXPECT_FALSE(parse_version(wrong)) << wrong;
  }
  EXPECT_EQ(parse_version("seven").error().message,
            "'seven' is no kernel version; expected one like 7.3");
}

TEST(Profile, EveryKnownVersionHasOne) {
  EXPECT_EQ(known_versions().back(), kDefaultVersion);
  for (const KernelVersion v : known_versions())
    EXPECT_FALSE(builtin_btf(v).empty()) << v.to_string();
  EXPECT_TRUE(builtin_btf({2, 6}).empty());
}

TEST(Profile, TablesPassedByPosition) {
  const Btf v72 = builtin({7, 2}), v73 = builtin({7, 3});
  EXPECT_EQ(size_of(v72, "sched_ext_ops"), 472u);
  EXPECT_EQ(size_of(v73, "sched_ext_ops"), 512u);
  EXPECT_EQ(size_of(v72, "sched_ext_ops_cid"), 456u);
  EXPECT_EQ(size_of(v73, "sched_ext_ops_cid"), 496u);
  EXPECT_EQ(size_of(v73, "bpf_struct_ops_sched_ext_ops"), 576u);
  EXPECT_EQ(size_of(v72, "scx_event_stats"), 13u * 8);
  EXPECT_EQ(size_of(v73, "scx_event_stats"), 21u * 8);
  EXPECT_EQ(size_of(v72, "scx_cid_topo"), 24u);
  EXPECT_EQ(size_of(v73, "scx_cid_topo"), 32u);
  EXPECT_TRUE(has_member(v72, "sched_ext_ops_cid", "cgroup_init"));
  EXPECT_FALSE(has_member(v73, "sched_ext_ops_cid", "cgroup_init"));
  EXPECT_TRUE(has_member(v73, "sched_ext_ops_cid", "cpuctl_init"));
  // The table inside the value struct is the version's own.
  const auto value = v72.find("bpf_struct_ops_sched_ext_ops", Kind::kStruct);
  ASSERT_TRUE(value);
  EXPECT_EQ(v72.members(*value)[1].type, v72.find("sched_ext_ops", Kind::kStruct));
  EXPECT_FALSE(v72.find("sched_ext_ops___until_7_3", Kind::kStruct));
}

TEST(Profile, DeclarationsComeAndGo) {
  const Btf v72 = builtin({7, 2}), v73 = builtin({7, 3});
  EXPECT_TRUE(v72.find("scx_bpf_cpu_rq", Kind::kFunc));
  EXPECT_FALSE(v73.find("scx_bpf_cpu_rq", Kind::kFunc));
  EXPECT_FALSE(v72.find("scx_bpf_sub_grant", Kind::kFunc));
  EXPECT_TRUE(v73.find("scx_bpf_sub_grant", Kind::kFunc));
  EXPECT_FALSE(v72.find("scx_enable_args", Kind::kStruct));
  EXPECT_FALSE(v72.find("scx_cap_flags", Kind::kEnum));
  EXPECT_EQ(v72.find_enumerator("SCX_EXIT_ERROR_RESCUE"), std::nullopt);
  EXPECT_EQ(v73.find_enumerator("SCX_EXIT_ERROR_RESCUE"), 1028u);
  EXPECT_EQ(v72.find_enumerator("SCX_TASK_REENQ_REASON_BITS"), 2u);
  EXPECT_EQ(v73.find_enumerator("SCX_TASK_REENQ_REASON_BITS"), 3u);
  EXPECT_EQ(v73.func_proto(*v73.find("scx_bpf_cidperf_set", Kind::kFunc))->result,
            v73.find("s32", Kind::kTypedef));
  EXPECT_EQ(v72.func_proto(*v72.find("scx_bpf_cidperf_set", Kind::kFunc))->result, 0u);
  EXPECT_FALSE(has_member(v72, "sched_ext_entity", "slice_oob"));
  EXPECT_TRUE(has_member(v73, "sched_ext_entity", "slice_oob"));
}

TEST(Profile, DroppedMembersMoveNothing) {
  for (const KernelVersion v : known_versions()) {
    const Btf btf = builtin(v);
    const u32 task = btf.find("task_struct", Kind::kStruct).value_or(0);
    EXPECT_EQ(btf.size_of(task), sizeof(abi::task_struct));
    EXPECT_EQ(btf.find_member_path(task, "scx.slice")->byte_offset(),
              offsetof(abi::task_struct, scx) + offsetof(abi::sched_ext_entity, slice));
    EXPECT_EQ(btf.find_member_path(task, "comm")->byte_offset(), offsetof(abi::task_struct, comm));
    const u32 rq = btf.find("rq", Kind::kStruct).value_or(0);
    EXPECT_EQ(btf.find_member_path(rq, "scx.nr_running")->byte_offset(),
              offsetof(abi::rq, scx) + offsetof(abi::scx_rq, nr_running));
  }
}

TEST(Profile, WhatRealSchedulersReachIsThere) {
  for (const KernelVersion v : known_versions()) {
    const Btf btf = builtin(v);
    for (const KnownPath& known : kKnownPaths) {
      if (std::string_view(known.root) == "scx_enable_args" && v < KernelVersion{7, 3}) continue;
      const auto root = btf.find_composite(known.root);
      ASSERT_TRUE(root) << known.root << " in " << v.to_string();
      const auto field = btf.find_member_path(*root, known.path);
      EXPECT_TRUE(field) << v.to_string() << ": " << (field ? "" : field.error().message);
    }
  }
}

TEST(Profile, PerCpuVariablesHaveTheirSection) {
  const Btf btf = builtin(kDefaultVersion);
  const auto section = btf.find(".data..percpu", Kind::kDatasec);
  ASSERT_TRUE(section);
  u32 end = 0;
  for (const SecVar& var : btf.section_vars(*section)) {
    EXPECT_GE(var.offset, end);
    EXPECT_EQ(var.size, btf.size_of(var.type));
    end = var.offset + var.size;
  }
  EXPECT_EQ(btf.type(*section).size, end);
  EXPECT_TRUE(btf.find("runqueues", Kind::kVar));
}

TEST(Profile, NothingOfTheHeaderItselfLeaks) {
  for (const KernelVersion v : known_versions()) {
    const Btf btf = builtin(v);
    for (u32 id = 1; id < btf.type_count(); ++id) {
      EXPECT_FALSE(btf.name(id).starts_with("uscx_")) << btf.name(id);
      EXPECT_FALSE(btf.name(id).starts_with("uapi_")) << btf.name(id);
      EXPECT_EQ(btf.name(id).find("___until_"), std::string_view::npos) << btf.name(id);
      EXPECT_FALSE(btf.name(id).starts_with("since:")) << btf.name(id);
    }
  }
}

}  // namespace
}  // namespace uscx::btf
