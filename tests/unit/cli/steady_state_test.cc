// SPDX-License-Identifier: GPL-2.0-only
// What the event loop costs once a run has settled: no allocation, and little time.
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <new>

#include "cli/session.h"

#if defined(__SANITIZE_ADDRESS__)
#define USCX_SLOW_BUILD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define USCX_SLOW_BUILD 1
#endif
#endif
#ifndef NDEBUG
#define USCX_SLOW_BUILD 1
#endif

namespace {
bool counting = false;
std::size_t allocations = 0;

void* allocate(std::size_t size) {
  if (counting) ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  std::abort();
}
}  // namespace

void* operator new(std::size_t size) {
  return allocate(size);
}
void* operator new[](std::size_t size) {
  return allocate(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace uscx::cli {
namespace {

class SteadyState : public ::testing::Test {
 protected:
  /// A session under the example scheduler that has run for a while.
  void settle(const char* machine, const std::string& workload_json) {
    const std::string path = ::testing::TempDir() + "uscx-steady-state.json";
    std::ofstream(path) << workload_json;
    RunOptions options;
    options.scheduler = USCX_TEST_SCHEDULER;
    options.machine = machine;
    options.workload = path;
    options.duration = "1h";
    options.quiet = true;
    auto plan = plan_run(options);
    ASSERT_TRUE(plan);
    plan_ = *plan;
    auto m = machine::load_machine(plan_.options.machine);
    auto w = workload::Workload::load(plan_.options.workload);
    ASSERT_TRUE(m && w) << w.error().message;
    session_ = std::make_unique<Session>(plan_, std::move(*m), std::move(*w));
    ASSERT_TRUE(session_->start());
    advance(Nanos::from_ms(300));
    ASSERT_TRUE(session_->measuring());
  }
  void advance(Nanos by) {
    const auto over = session_->advance(session_->now() + by);
    ASSERT_TRUE(over && !*over);
  }

  RunPlan plan_;
  std::unique_ptr<Session> session_;
};

TEST_F(SteadyState, NoEventAllocates) {
  settle("1n2l4c2t", R"({"tasks": {"sleeper": {"instance": "cpus*4", "run": {"min": 50, "max": 150},
                                                "sleep": {"min": 200, "max": 600}}}})");
  const u64 events = session_->events();
  allocations = 0;
  counting = true;
  const auto over = session_->advance(session_->now() + Nanos::from_ms(200));
  counting = false;
  ASSERT_TRUE(over && !*over);
  EXPECT_GT(session_->events() - events, 50'000u);
  EXPECT_EQ(allocations, 0u);
}

TEST_F(SteadyState, TwoSpinnersAThousandTimesFasterThanReal) {
#ifdef USCX_SLOW_BUILD
  GTEST_SKIP() << "did not run: not an optimised build";
#endif
  settle("1n1l4c1t", R"({"tasks": {"spinner": {"instance": 2, "run": 10000}}})");
  constexpr u64 kSeconds = 20;
  const std::clock_t begin = std::clock();
  advance(Nanos::from_s(kSeconds));
  const double cpu_s = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  EXPECT_LT(cpu_s * 1000, static_cast<double>(kSeconds));
}

}  // namespace
}  // namespace uscx::cli
