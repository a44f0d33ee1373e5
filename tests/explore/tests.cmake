# SPDX-License-Identifier: GPL-2.0-only
# Stress and exploration beyond what unit_sched does of them each time.
add_test(NAME stress COMMAND test_sched --gtest_filter=StressTest.*)
# A million events take seconds in an optimised build, and minutes in others.
if(CMAKE_BUILD_TYPE STREQUAL Release AND NOT USCX_SANITIZE)
  set(stress_events 1000000)
else()
  set(stress_events 100000)
endif()
set_tests_properties(stress PROPERTIES
  ENVIRONMENT "USCX_STRESS_SEEDS=5;USCX_STRESS_EVENTS=${stress_events}" TIMEOUT 600)

add_test(NAME soak_stress COMMAND test_sched --gtest_filter=StressTest.*)
set_tests_properties(soak_stress PROPERTIES LABELS soak TIMEOUT 14400
  ENVIRONMENT "USCX_STRESS_SEEDS=100;USCX_STRESS_EVENTS=1000000")
# More than 10,000 seeds over the eight scenarios.
add_test(NAME soak_explore COMMAND test_sched --gtest_filter=*ExploreCore*)
set_tests_properties(soak_explore PROPERTIES LABELS soak TIMEOUT 14400
  ENVIRONMENT "USCX_EXPLORE_SEEDS=1300")
