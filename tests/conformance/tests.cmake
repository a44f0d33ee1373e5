# SPDX-License-Identifier: GPL-2.0-only
# Suites nobody here wrote: tests/conformance/run SUITE.
foreach(suite sched-ext-objects verifier)
  add_test(NAME conformance_${suite}
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/run ${suite}
      --uscx ${CMAKE_BINARY_DIR}/uscx --kernels ${USCX_KERNELS} --jobs 2)
endforeach()

# The public BPF ISA suite: data, read from a directory; where it is absent the test says so.
set(USCX_ISA_SUITE ${CMAKE_SOURCE_DIR}/../shared/conformance/isa CACHE PATH
  "The cases of the BPF ISA conformance suite")
add_executable(conformance_isa ${CMAKE_CURRENT_LIST_DIR}/isa/main.cc)
target_include_directories(conformance_isa PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_link_libraries(conformance_isa PRIVATE uscx_bpf)
add_test(NAME conformance_isa COMMAND conformance_isa ${USCX_ISA_SUITE})
set_tests_properties(conformance_isa PROPERTIES SKIP_REGULAR_EXPRESSION "did not run")

# The kernel's BPF selftests, program by program through libbpf and the front door.
file(GLOB verifier_suite CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/verifier/*.cc)
add_executable(conformance_verifier ${verifier_suite} ${CMAKE_SOURCE_DIR}/src/cli/user_half.cc
  ${CMAKE_SOURCE_DIR}/src/cli/loader_host.cc)
target_include_directories(conformance_verifier PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_link_libraries(conformance_verifier PRIVATE uscx_machine uscx_libbpf)
target_link_options(conformance_verifier PRIVATE
  LINKER:--wrap=open,--wrap=open64,--wrap=faccessat,--wrap=fopen,--wrap=fopen64,--wrap=uname
  LINKER:--wrap=gzopen,--wrap=gzopen64)

# Generated programs: against a real kernel's verdicts, and run where they are accepted.
file(GLOB random_suite CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/verifier/random/*.cc)
add_executable(conformance_random ${random_suite} ${CMAKE_CURRENT_LIST_DIR}/verifier/workers.cc
  ${CMAKE_SOURCE_DIR}/src/cli/user_half.cc ${CMAKE_SOURCE_DIR}/src/cli/loader_host.cc)
target_include_directories(conformance_random PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_link_libraries(conformance_random PRIVATE uscx_machine uscx_libbpf)
target_link_options(conformance_random PRIVATE
  LINKER:--wrap=open,--wrap=open64,--wrap=faccessat,--wrap=fopen,--wrap=fopen64,--wrap=uname
  LINKER:--wrap=gzopen,--wrap=gzopen64)

# Links the parts of a scheduler for tools/scx-crates.sh.
add_executable(bpf_link ${CMAKE_SOURCE_DIR}/tests/support/bpf_link.c)
target_link_libraries(bpf_link PRIVATE uscx_libbpf)
