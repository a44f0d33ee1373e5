// SPDX-License-Identifier: GPL-2.0-only
// Exploration: the core as it is survives every seed, and finds each planted bug in few.
#include <cstdlib>

#include "explore_harness.h"

namespace uscx::sched::testing {
namespace {

struct Named {
  const char* name;
  ExploreTest::Scenario scenario;
};
constexpr Named kScenarios[] = {
    {"shared_queue", &ExploreTest::shared_queue},
    {"scheduler_queue", &ExploreTest::scheduler_queue},
    {"attach_detach", &ExploreTest::attach_detach},
    {"work_conserving", &ExploreTest::work_conserving},
    {"reenqueue", &ExploreTest::reenqueue},
    {"kick_wait", &ExploreTest::kick_wait},
    {"queues", &ExploreTest::queues},
    {"short_lives", &ExploreTest::short_lives},
};

u64 from_environment(const char* name, u64 otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

void report(const machine::SeedsRun& run, const char* scenario) {
  for (const machine::SeedFailure& f : run.failures) {
    ADD_FAILURE() << scenario << ", seed " << f.seed << ": " << f.what;
  }
  for (const std::string& kind : run.kinds()) ADD_FAILURE() << scenario << ": " << kind;
}

class ExploreCore : public ExploreTest, public ::testing::WithParamInterface<Named> {};

/// `make soak` sets USCX_EXPLORE_SEEDS; USCX_EXPLORE_FIRST with one seed repeats a failure.
TEST_P(ExploreCore, NoSeedFails) {
  const u64 seeds = from_environment("USCX_EXPLORE_SEEDS", 15);
  const u64 first = from_environment("USCX_EXPLORE_FIRST", 1);
  const auto run = search(GetParam().scenario, PlantedBug::kNone, seeds, first, false);
  EXPECT_EQ(run.seeds, seeds);
  report(run, GetParam().name);
}
INSTANTIATE_TEST_SUITE_P(Scenarios, ExploreCore, ::testing::ValuesIn(kScenarios),
                         [](const auto& param) { return std::string(param.param.name); });

struct Planted {
  PlantedBug bug;
  ExploreTest::Scenario scenario;
};
constexpr Planted kPlanted[] = {
    {PlantedBug::kDestroyDsqLockOrder, &ExploreTest::queues},
    {PlantedBug::kBypassClearedEarly, &ExploreTest::attach_detach},
    {PlantedBug::kClassSwitchDropsRqLock, &ExploreTest::attach_detach},
    {PlantedBug::kDispatchingNotAwaited, &ExploreTest::scheduler_queue},
    {PlantedBug::kQueueingNotAwaited, &ExploreTest::scheduler_queue},
    {PlantedBug::kHoldingCpuUnchecked, &ExploreTest::shared_queue},
    {PlantedBug::kKickLost, &ExploreTest::work_conserving},
    {PlantedBug::kReenqNotAwaited, &ExploreTest::reenqueue},
    {PlantedBug::kIdleMaskLate, &ExploreTest::shared_queue},
    {PlantedBug::kTaskStateBeforeInit, &ExploreTest::attach_detach},
    {PlantedBug::kForkNotExcluded, &ExploreTest::attach_detach},
    {PlantedBug::kIterCursorLeft, &ExploreTest::short_lives},
};
static_assert(std::size(kPlanted) + 1 == static_cast<std::size_t>(PlantedBug::kCount));

class ExplorePlanted : public ExploreTest, public ::testing::WithParamInterface<Planted> {};

TEST_P(ExplorePlanted, IsFoundWithinAThousandSeeds) {
  const auto run = search(GetParam().scenario, GetParam().bug, 1000);
  ASSERT_FALSE(run.failures.empty()) << to_string(GetParam().bug) << ": not in " << run.seeds;
  std::printf("%s: seed %llu: %s\n", std::string(to_string(GetParam().bug)).c_str(),
              static_cast<unsigned long long>(run.failures[0].seed),
              machine::failure_kind(run.failures[0].what).c_str());
}
INSTANTIATE_TEST_SUITE_P(Bugs, ExplorePlanted, ::testing::ValuesIn(kPlanted),
                         [](const auto& param) { return std::string(to_string(param.param.bug)); });

TEST_F(ExploreTest, ASeedIsTheSameEveryTime) {
  const auto delays = [&](u64 seed) {
    exploration_ = machine::Exploration::of_seed(seed);
    boot_explored("1n1l3c1t");
    rng_ = Random(seed);
    peers_.clear();
    calm_ = false;
    add_peers(5);
    EXPECT_EQ(run_rounds(shared_queue_table(), 1, Nanos::from_ms(5)), "");
    auto& m = static_cast<machine::ExploredMachine&>(*machine_);
    const std::array<u64, 5> numbers{m.sync_points(), m.delays(), m.contentions(), m.events(),
                                     k().nr_switches};
    invariants_.reset();
    kernel_.reset();
    return numbers;
  };
  for (u64 seed : {5U, 6U}) {
    const auto first = delays(seed);
    EXPECT_GT(first[1], 0U);
    EXPECT_EQ(first, delays(seed));
  }
}

}  // namespace
}  // namespace uscx::sched::testing
