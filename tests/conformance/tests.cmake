# SPDX-License-Identifier: GPL-2.0-only
# Suites nobody here wrote: tests/conformance/run SUITE.
foreach(suite sched-ext-objects)
  add_test(NAME conformance_${suite}
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/run ${suite}
      --uscx ${CMAKE_BINARY_DIR}/uscx --kernels ${USCX_KERNELS} --jobs 2)
endforeach()

# What tasks saw on the real kernel; both sides of it are outside of the repository.
add_test(NAME conformance_opslog
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/run opslog
    --uscx ${CMAKE_BINARY_DIR}/uscx --kernels ${USCX_KERNELS} --jobs 2)
set_tests_properties(conformance_opslog PROPERTIES SKIP_REGULAR_EXPRESSION "did not run")

# The public BPF ISA suite: data, read from a directory; where it is absent the test says so.
set(USCX_ISA_SUITE ${CMAKE_SOURCE_DIR}/../shared/conformance/isa CACHE PATH
  "The cases of the BPF ISA conformance suite")
add_executable(conformance_isa ${CMAKE_CURRENT_LIST_DIR}/isa/main.cc)
target_include_directories(conformance_isa PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_link_libraries(conformance_isa PRIVATE uscx_bpf)
add_test(NAME conformance_isa COMMAND conformance_isa ${USCX_ISA_SUITE})
set_tests_properties(conformance_isa PROPERTIES SKIP_REGULAR_EXPRESSION "did not run")
