# SPDX-License-Identifier: GPL-2.0-only
# Each scenario file is a test of that name.
file(GLOB scenarios CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.json)
foreach(scenario ${scenarios})
  get_filename_component(name ${scenario} NAME_WE)
  add_test(NAME scenario_${name}
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/run --build ${CMAKE_BINARY_DIR} -j 1 ${scenario})
  set_tests_properties(scenario_${name} PROPERTIES TIMEOUT 1200)
endforeach()

# Which idle CPU a task is given: data, asked through a scheduler.
add_test(NAME scenario_idle_select
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/idle_select --build ${CMAKE_BINARY_DIR})
set_tests_properties(scenario_idle_select PROPERTIES TIMEOUT 1200)

add_test(NAME scenario_truncated
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/truncated $<TARGET_FILE:uscx> ${USCX_KERNELS}/7.3/scx_simple.bpf.o)
set_tests_properties(scenario_truncated PROPERTIES TIMEOUT 1200)

# Broken in random places: a few in every test, many in make soak.
add_test(NAME scenario_corrupted
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/corrupted $<TARGET_FILE:uscx> ${USCX_KERNELS}/7.3/scx_simple.bpf.o 200)
set_tests_properties(scenario_corrupted PROPERTIES TIMEOUT 1200)
foreach(scheduler scx_simple scx_central scx_cpu0)
  add_test(NAME soak_corrupted_${scheduler}
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/corrupted $<TARGET_FILE:uscx> ${USCX_KERNELS}/7.3/${scheduler}.bpf.o 5000 1000)
  set_tests_properties(soak_corrupted_${scheduler} PROPERTIES LABELS soak TIMEOUT 7200)
endforeach()

add_test(NAME scenario_same_fingerprint
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/same_fingerprint --kernels ${USCX_KERNELS} --duration 200ms $<TARGET_FILE:uscx>)
set_tests_properties(scenario_same_fingerprint PROPERTIES TIMEOUT 1200)

# The other builds, for make soak: they give the same fingerprints, and take bad input as well.
foreach(preset debug clang-release asan)
  add_test(NAME soak_build_${preset}
    COMMAND bash -c "cmake --preset ${preset} && cmake --build --preset ${preset} --target uscx"
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(soak_build_${preset} PROPERTIES
    LABELS soak FIXTURES_SETUP build_${preset} RUN_SERIAL ON TIMEOUT 7200)
endforeach()
set(asan_uscx ${CMAKE_SOURCE_DIR}/build-asan/uscx)
add_test(NAME soak_same_fingerprint
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/same_fingerprint --kernels ${USCX_KERNELS} --duration 2s $<TARGET_FILE:uscx>
    ${CMAKE_SOURCE_DIR}/build-debug ${CMAKE_SOURCE_DIR}/build-clang ${asan_uscx})
set_tests_properties(soak_same_fingerprint PROPERTIES
  FIXTURES_REQUIRED "build_debug;build_clang-release;build_asan")
foreach(scenario bad_input hostile limits)
  add_test(NAME soak_asan_${scenario}
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/run --build ${CMAKE_BINARY_DIR} --uscx ${asan_uscx} -j 1
      ${CMAKE_CURRENT_LIST_DIR}/${scenario}.json)
endforeach()
foreach(damage truncated corrupted)
  add_test(NAME soak_asan_${damage}
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/${damage} ${asan_uscx} ${USCX_KERNELS}/7.3/scx_simple.bpf.o)
endforeach()
set_tests_properties(soak_asan_bad_input soak_asan_hostile soak_asan_limits soak_asan_truncated
  soak_asan_corrupted PROPERTIES FIXTURES_REQUIRED build_asan)
set_tests_properties(soak_same_fingerprint soak_asan_bad_input soak_asan_hostile soak_asan_limits
  soak_asan_truncated soak_asan_corrupted PROPERTIES LABELS soak TIMEOUT 7200)

# Every message that can end a scheduler, raised.
add_test(NAME scenario_errors COMMAND ${CMAKE_CURRENT_LIST_DIR}/errors/run --build ${CMAKE_BINARY_DIR})
set_tests_properties(scenario_errors PROPERTIES TIMEOUT 1200)

# Long ones, for make soak.
file(GLOB long_scenarios CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/soak/*.json)
foreach(scenario ${long_scenarios})
  get_filename_component(name ${scenario} NAME_WE)
  add_test(NAME soak_${name}
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/run --build ${CMAKE_BINARY_DIR} -j 1 ${scenario})
  set_tests_properties(soak_${name} PROPERTIES LABELS soak TIMEOUT 14400)
endforeach()
