// SPDX-License-Identifier: GPL-2.0-only
// --set and --get on a real object, which the build makes: USCX_TEST_SCHEDULER.
#include "cli/variables.h"

#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cstring>

#include "cli/session.h"

namespace uscx::cli {
namespace {

/// The object, opened and not loaded: no kernel is asked.
class Variables : public ::testing::Test {
 protected:
  void SetUp() override {
    object_ = bpf_object__open_file(USCX_TEST_SCHEDULER, nullptr);
    ASSERT_NE(object_, nullptr);
  }
  void TearDown() override { bpf_object__close(object_); }

  /// Empty where all went well.
  std::string set(const std::string& text) {
    const auto setting = parse_setting(text);
    if (!setting) return setting.error().message;
    const auto r = apply_settings(object_, {*setting});
    return r ? "" : r.error().message;
  }
  std::string unreadable(const std::string& path) {
    const auto r = check_readable(object_, path);
    return r ? "" : r.error().message;
  }

  bpf_object* object_ = nullptr;
};

TEST_F(Variables, OpsMembersBySetting) {
  const bpf_map* ops = bpf_object__find_map_by_name(object_, "fifo_ops");
  ASSERT_NE(ops, nullptr);
  std::size_t size = 0;
  const auto* bytes = static_cast<const char*>(bpf_map__initial_value(ops, &size));
  ASSERT_NE(bytes, nullptr);
  const std::string before(bytes, size);
  EXPECT_EQ(set("fifo_ops.timeout_ms=1234"), "");
  EXPECT_NE(std::string(bytes, size), before);
  EXPECT_EQ(set("fifo_ops.name=other"), "");
  EXPECT_NE(std::string(bytes, size).find("other"), std::string::npos);
}

TEST_F(Variables, WhatOpsRefuse) {
  EXPECT_EQ(set("fifo_op.flags=1"),
            "--set fifo_op: the scheduler has no such variable; did you mean fifo_ops?");
  EXPECT_EQ(set("fifo_ops.flag=1"), "--set fifo_ops.flag: no member 'flag'; did you mean flags?");
  EXPECT_NE(set("fifo_ops.enqueue=1").find("neither NULL nor a program"), std::string::npos);
  EXPECT_NE(set("fifo_ops.timeout_ms=99999999999").find("does not fit"), std::string::npos);
  EXPECT_NE(set("fifo_ops.flags=1|NO_SUCH_FLAG").find("neither"), std::string::npos);
}

TEST_F(Variables, NumbersAreJoined) {
  EXPECT_EQ(set("slice_ns=1|4|0x10"), "");
  std::size_t size = 0;
  const bpf_map* map;
  u64 value = 0;
  bpf_object__for_each_map(map, object_) {
    if (std::strstr(bpf_map__name(map), ".rodata"))
      std::memcpy(&value, bpf_map__initial_value(map, &size), 8);
  }
  EXPECT_EQ(value, 0x15u);
}

TEST_F(Variables, OnlyDataIsReadable) {
  EXPECT_EQ(unreadable("nr_idle"), "");
  EXPECT_EQ(unreadable("uei.msg"), "");
  EXPECT_EQ(unreadable("nr_idel"),
            "--get nr_idel: the scheduler has no such variable; did you mean nr_idle?");
  EXPECT_NE(unreadable("uei.massage").find("no member"), std::string::npos);
  EXPECT_NE(unreadable("fifo_ops.flags").find("no such variable"), std::string::npos);
}

std::string value_in(const observe::RunReport& report, const std::string& name) {
  for (const auto& [its_name, value] : report.variables) {
    if (its_name == name) return value;
  }
  return "not reported";
}

TEST(Values, AreReadWhenTheSchedulerHasExited) {
  RunOptions options;
  options.scheduler = USCX_TEST_SCHEDULER;
  options.machine = "1n1l2c1t";
  options.duration = "50ms";
  options.quiet = true;
  options.settings = {"slice_ns=777777"};
  options.wanted = {"slice_ns", "nr_idle", "uei.kind", "uei.reason", "uei"};
  const auto plan = plan_run(options);
  ASSERT_TRUE(plan);
  Session session(*plan, *machine::load_machine(options.machine),
                  *workload::Workload::load(options.workload));
  const auto report = session.run();
  ASSERT_TRUE(report);
  EXPECT_EQ(value_in(*report, "slice_ns"), "777777");
  EXPECT_NE(value_in(*report, "nr_idle"), "0");
  EXPECT_EQ(value_in(*report, "uei.kind"), "64");
  EXPECT_EQ(value_in(*report, "uei.reason"), "\"unregistered from user space\"");
  EXPECT_EQ(value_in(*report, "uei").find("{\"kind\":64,"), 0u);
}

}  // namespace
}  // namespace uscx::cli
