# SPDX-License-Identifier: GPL-2.0-only
# tests/fuzz/NAME_fuzz.cc is a libFuzzer entry that also brings a fixed series of inputs, which runs
# as an ordinary test. USCX_FUZZERS (clang) builds the open-ended ones, fuzz_NAME.
option(USCX_FUZZERS "Build libFuzzer binaries (clang only)" OFF)
function(uscx_fuzz_test name)
  add_executable(test_fuzz_${name} ${CMAKE_SOURCE_DIR}/tests/fuzz/${name}_fuzz.cc)
  target_compile_definitions(test_fuzz_${name} PRIVATE USCX_FUZZ_MAIN)
  target_link_libraries(test_fuzz_${name} PRIVATE ${ARGN})
  add_test(NAME fuzz_${name} COMMAND test_fuzz_${name})
  if(USCX_FUZZERS)
    add_executable(fuzz_${name} ${CMAKE_SOURCE_DIR}/tests/fuzz/${name}_fuzz.cc)
    target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    target_link_libraries(fuzz_${name} PRIVATE ${ARGN})
  endif()
endfunction()

uscx_fuzz_test(btf uscx_btf)
uscx_fuzz_test(bpf_program uscx_bpf)
uscx_fuzz_test(bpf_syscall uscx_bpf)
target_include_directories(test_fuzz_bpf_syscall PRIVATE ${CMAKE_SOURCE_DIR}/tests)
if(USCX_FUZZERS)
  target_include_directories(fuzz_bpf_syscall PRIVATE ${CMAKE_SOURCE_DIR}/tests)
endif()
