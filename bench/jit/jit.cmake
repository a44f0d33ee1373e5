# SPDX-License-Identifier: GPL-2.0-only
# jit_bench: the JIT's code against clang's, for the same C. Not part of `all`.
set(jit_bench_out ${CMAKE_BINARY_DIR}/bench/jit)
file(MAKE_DIRECTORY ${jit_bench_out})
find_program(USCX_OBJCOPY NAMES llvm-objcopy-19 llvm-objcopy-20 llvm-objcopy-21 llvm-objcopy-22
  llvm-objcopy)
set(jit_bench_objects)
foreach(kernel hash_loop mask_scan arena_heap)
  set(source ${CMAKE_CURRENT_LIST_DIR}/${kernel}.c)
  set(out ${jit_bench_out}/${kernel})
  add_custom_command(OUTPUT ${out}.o ${out}.text
    COMMAND ${USCX_BPF_CLANG} -O2 -Dkernel=native_${kernel} -c ${source} -o ${out}.o
    COMMAND ${USCX_BPF_CLANG} -target bpf -mcpu=v4 -O2 -c ${source} -o ${out}.bpf.o
    COMMAND ${USCX_OBJCOPY} -O binary --only-section=.text ${out}.bpf.o ${out}.text
    DEPENDS ${source} VERBATIM)
  list(APPEND jit_bench_objects ${out}.o)
endforeach()
add_executable(jit_bench EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/jit_bench.cc ${jit_bench_objects})
target_include_directories(jit_bench PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_link_libraries(jit_bench PRIVATE uscx_bpf)
