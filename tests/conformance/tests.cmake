# SPDX-License-Identifier: GPL-2.0-only
# Suites nobody here wrote: tests/conformance/run SUITE.
foreach(suite sched-ext-objects sched-ext-verdicts verifier)
  add_test(NAME conformance_${suite}
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/run ${suite}
      --uscx ${CMAKE_BINARY_DIR}/uscx --kernels ${USCX_KERNELS} --jobs 2)
endforeach()

# What tasks saw on the real kernel; the program, and of the first what was measured, are outside of
# the repository.
foreach(suite opslog opslog-policies)
  add_test(NAME conformance_${suite}
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/run ${suite}
      --uscx ${CMAKE_BINARY_DIR}/uscx --kernels ${USCX_KERNELS} --jobs 2)
  set_tests_properties(conformance_${suite} PROPERTIES SKIP_REGULAR_EXPRESSION "did not run")
endforeach()

# The public BPF ISA suite: data, read from a directory; where it is absent the test says so.
set(USCX_ISA_SUITE ${CMAKE_SOURCE_DIR}/../shared/conformance/isa CACHE PATH
  "The cases of the BPF ISA conformance suite")
add_executable(conformance_isa ${CMAKE_CURRENT_LIST_DIR}/isa/main.cc)
target_include_directories(conformance_isa PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_link_libraries(conformance_isa PRIVATE uscx_bpf)
add_test(NAME conformance_isa COMMAND conformance_isa ${USCX_ISA_SUITE})
set_tests_properties(conformance_isa PROPERTIES SKIP_REGULAR_EXPRESSION "did not run")

# Programs that load objects with libbpf into a kernel of their own process, without the command.
function(uscx_loader_program name)
  list(TRANSFORM ARGN PREPEND ${CMAKE_SOURCE_DIR}/)
  add_executable(${name} ${ARGN} ${CMAKE_SOURCE_DIR}/src/cli/user_half.cc
    ${CMAKE_SOURCE_DIR}/src/cli/loader_host.cc ${CMAKE_SOURCE_DIR}/src/cli/struct_ops_mask.cc)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE uscx_machine uscx_libbpf)
  target_link_options(${name} PRIVATE
    LINKER:--wrap=open,--wrap=open64,--wrap=faccessat,--wrap=fopen,--wrap=fopen64,--wrap=uname
    LINKER:--wrap=gzopen,--wrap=gzopen64,--wrap=mmap,--wrap=mmap64)
endfunction()

# The kernel's BPF selftests, program by program; generated programs, against a real kernel's
# verdicts, and run where they are accepted; verification time here and in this machine's kernel.
set(verifier tests/conformance/verifier)
uscx_loader_program(conformance_verifier ${verifier}/main.cc ${verifier}/expectations.cc
  ${verifier}/elsewhere.cc ${verifier}/messages.cc ${verifier}/subject.cc ${verifier}/conntrack.cc
  ${verifier}/testmod.cc ${verifier}/testmod_btf.cc ${verifier}/workers.cc)
uscx_loader_program(conformance_random ${verifier}/random/main.cc ${verifier}/random/batch.cc
  ${verifier}/random/engines.cc ${verifier}/random/machine.cc
  ${verifier}/random/planted_check.cc ${verifier}/random/run_check.cc ${verifier}/random/sound.cc
  ${verifier}/random/generate.cc
  ${verifier}/random/generate_flow.cc ${verifier}/random/generate_memory.cc
  ${verifier}/random/generate_calls.cc ${verifier}/random/generate_more.cc ${verifier}/random/refusal.cc ${verifier}/random/recorded.cc ${verifier}/workers.cc)
uscx_loader_program(verifier_speed bench/verifier_speed.cc)

# Links the parts of a scheduler for tools/scx-crates.sh.
add_executable(bpf_link ${CMAKE_SOURCE_DIR}/tests/support/bpf_link.c)
target_link_libraries(bpf_link PRIVATE uscx_libbpf)

# What is accepted of them, by every engine.
add_test(NAME conformance_engines COMMAND conformance_random engines --count 2000 --jobs 2)
add_test(NAME soak_conformance_engines COMMAND conformance_random engines --count 200000 --jobs 2)
set_tests_properties(soak_conformance_engines PROPERTIES LABELS soak TIMEOUT 7200)

# A slice of the generated programs in every test, all that the real kernel was asked about in soak.
set(random_compare conformance_random compare ${CMAKE_CURRENT_LIST_DIR}/verifier/random/linux-7.3.txt
  --vmlinux ${USCX_KERNELS}/7.3/bpf/vmlinux.btf --floor 97 --jobs 2)
add_test(NAME conformance_random COMMAND ${random_compare} --count 2000)
add_test(NAME conformance_random_more COMMAND conformance_random compare
  ${CMAKE_CURRENT_LIST_DIR}/verifier/random/linux-7.3-more.txt
  --vmlinux ${USCX_KERNELS}/7.3/bpf/vmlinux.btf --floor 97 --jobs 2)
add_test(NAME soak_conformance_random COMMAND ${random_compare} --count 20000)
set_tests_properties(soak_conformance_random PROPERTIES LABELS soak TIMEOUT 7200)

# What the verifier accepts, run against what it claimed. Of 2,000,000 it accepts a million; programs
# of the second family do more. A verifier with a fault must be found out.
set(random_sound conformance_random sound --jobs 2
  --endless ${CMAKE_CURRENT_LIST_DIR}/verifier/random/endless.txt)
add_test(NAME conformance_sound COMMAND ${random_sound} --count 8000)
add_test(NAME conformance_sound_more COMMAND ${random_sound} --first 1000000000 --count 4000)
add_test(NAME conformance_planted COMMAND conformance_random planted --first 1000000000 --count 20000
  --jobs 2)
add_test(NAME soak_conformance_sound COMMAND ${random_sound} --count 2020000)
add_test(NAME soak_conformance_sound_more COMMAND ${random_sound} --first 1000000000 --count 100000)
set_tests_properties(soak_conformance_sound soak_conformance_sound_more PROPERTIES
  LABELS soak TIMEOUT 14400)
