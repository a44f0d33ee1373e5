// SPDX-License-Identifier: GPL-2.0-only
#include "cli/advice.h"

#include <gtest/gtest.h>

#include "cli/verify.h"

namespace uscx::cli {
namespace {

TEST(Advice, TheLastLineThatIsKnownCounts) {
  const auto advice = advice_for(
      "4: (79) r1 = *(u64 *)(r0 +0)\n"
      "R0 invalid mem access 'map_value_or_null'\n"
      "processed 5 insns (limit 1000000) max_states_per_insn 0 total_states 0\n");
  ASSERT_TRUE(advice);
  EXPECT_NE(advice->remedy.find("Compare it with NULL"), std::string_view::npos);
}

TEST(Advice, AStarStandsForAnything) {
  ASSERT_TRUE(advice_for("calling kernel function scx_bpf_dsq_insert is not allowed\n"));
  EXPECT_FALSE(advice_for("calling kernel function scx_bpf_dsq_insert\n"));
}

TEST(Advice, TheDiagnosisIsNotLookedAt) {
  const auto advice = advice_for(
      "R7 invalid mem access 'scalar'\n"
      "\n"
      "Verification failed: Register Type Safety: Invalid dereference\n"
      "Reason:\n"
      "  a value that is misaligned\n");
  ASSERT_TRUE(advice);
  EXPECT_EQ(advice->pattern, "invalid mem access 'scalar'");
}

TEST(Advice, NothingForTextNobodyKnows) {
  EXPECT_FALSE(advice_for(""));
  EXPECT_FALSE(advice_for("all is well\n"));
}

TEST(Reason, IsTheLineBeforeDiagnosisAndStatistics) {
  EXPECT_EQ(reason_in("0: (95) exit\nR0 !read_ok\n\nVerification failed: X\n  more\n"),
            "R0 !read_ok");
  EXPECT_EQ(reason_in("R0 !read_ok\nprocessed 1 insns\nverification time 3 usec\n"),
            "R0 !read_ok");
  EXPECT_EQ(reason_in(""), "");
}

}  // namespace
}  // namespace uscx::cli
