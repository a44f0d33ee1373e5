# SPDX-License-Identifier: GPL-2.0-only
# tests/unit/<layer>/*_test.cc become one executable per layer, test_<layer>.
function(uscx_unit_tests layer)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${layer}/*.cc
    ${CMAKE_SOURCE_DIR}/tests/unit/${layer}/*.c)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${layer} ${sources})
  target_include_directories(test_${layer} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_precompile_headers(test_${layer} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:<gmock/gmock.h$<ANGLE-R>>
    $<$<COMPILE_LANGUAGE:CXX>:<gtest/gtest.h$<ANGLE-R>> $<$<COMPILE_LANGUAGE:CXX>:<fmt/format.h$<ANGLE-R>>)
  target_compile_definitions(test_${layer} PRIVATE
    USCX_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/unit/${layer}")
  target_link_libraries(test_${layer} PRIVATE ${ARGN} GTest::gtest_main GTest::gmock)
  add_test(NAME unit_${layer} COMMAND test_${layer})
endfunction()

uscx_unit_tests(base uscx_base)
uscx_unit_tests(btf uscx_btf)
uscx_unit_tests(bpf uscx_bpf)
uscx_unit_tests(verifier uscx_bpf)
# Real libbpf, talking to our bpf(2) in the same process.
uscx_unit_tests(libbpf uscx_bpf uscx_libbpf)
target_link_options(test_libbpf PRIVATE
  LINKER:--wrap=open,--wrap=open64,--wrap=faccessat,--wrap=fopen,--wrap=fopen64,--wrap=uname)
uscx_unit_tests(sched uscx_sched uscx_machine)
uscx_unit_tests(machine uscx_machine)
uscx_unit_tests(workload uscx_workload uscx_machine)
uscx_unit_tests(observe uscx_observe uscx_machine)
uscx_unit_tests(cli uscx_cli)
target_compile_definitions(test_cli PRIVATE
  USCX_TEST_SCHEDULER="${CMAKE_BINARY_DIR}/examples/fifo.bpf.o")
add_dependencies(test_cli examples)
include(${CMAKE_SOURCE_DIR}/cmake/fuzz.cmake)
include(${CMAKE_SOURCE_DIR}/cmake/more_tests.cmake OPTIONAL)
