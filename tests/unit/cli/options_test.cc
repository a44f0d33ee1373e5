// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include "cli/run_options.h"
#include "cli/variables.h"

namespace uscx::cli {
namespace {

TEST(Duration, UnitsAndFractions) {
  EXPECT_EQ(parse_duration("2s")->ns, 2'000'000'000u);
  EXPECT_EQ(parse_duration("500ms")->ns, 500'000'000u);
  EXPECT_EQ(parse_duration("1.5s")->ns, 1'500'000'000u);
  EXPECT_EQ(parse_duration("250us")->ns, 250'000u);
  EXPECT_EQ(parse_duration("1m")->ns, 60'000'000'000u);
  EXPECT_EQ(parse_duration("24h")->ns, 86'400'000'000'000u);
}

TEST(Duration, RefusesWithAReason) {
  const std::pair<const char*, const char*> kBad[] = {
      {"", "not a number"},    {"2", "its unit is missing"}, {"s", "not a number"},
      {"2 s", "unknown unit"}, {"-1s", "not a number"},      {"25h", "too long"},
      {"1ns", "too short"},    {"0s", "too short"},          {"99999999999999999999s", "too long"}};
  for (const auto& [text, why] : kBad) {
    const auto r = parse_duration(text);
    ASSERT_FALSE(r) << text;
    EXPECT_NE(r.error().message.find(why), std::string::npos) << text << ": " << r.error().message;
  }
}

TEST(Setting, ValueAndResize) {
  const auto value = parse_setting("conf.limits[2]=-7");
  ASSERT_TRUE(value);
  EXPECT_EQ(value->path, "conf.limits[2]");
  EXPECT_EQ(value->value, "-7");
  EXPECT_FALSE(value->resize);
  const auto resize = parse_setting("cpu_gimme_task[16]");
  ASSERT_TRUE(resize);
  EXPECT_TRUE(resize->resize);
  EXPECT_EQ(resize->path, "cpu_gimme_task");
  EXPECT_EQ(resize->elements, 16u);
}

TEST(Setting, RefusesWhatIsNeither) {
  for (const char* text :
       {"", "x", "[4]", "x[", "x[]", "x[0]", "x[-1]", "x[4", "=3", "x[99999999999999]"}) {
    const auto r = parse_setting(text);
    ASSERT_FALSE(r) << text;
    EXPECT_EQ(r.error().message.find('\n'), std::string::npos);
  }
}

TEST(Replay, QuotesWhatAShellWouldTouch) {
  RunOptions o;
  o.scheduler = "my sched.bpf.o";
  o.settings = {"arr[4]"};
  EXPECT_EQ(replay_command(o),
            "uscx run 'my sched.bpf.o' --machine 1n2l4c2t --workload spin-sleep --duration 2s "
            "--seed 1 --kernel 7.3 --set 'arr[4]'");
}

}  // namespace
}  // namespace uscx::cli
