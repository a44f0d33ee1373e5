# SPDX-License-Identifier: GPL-2.0-only
# BPF programs of this repository, compiled as anybody would compile theirs:
#   examples/schedulers/NAME.bpf.c        -> ${CMAKE_BINARY_DIR}/examples/NAME.bpf.o
#   tests/scenario/schedulers/NAME.bpf.c  -> ${CMAKE_BINARY_DIR}/scenario/NAME.bpf.o
# (USCX_BPF_CLANG is found by builtin_btf.cmake.)

# uscx_bpf_objects(TARGET SOURCE_DIR OUTPUT_DIR): all *.bpf.c of a directory.
function(uscx_bpf_objects target source_dir output_dir)
  file(GLOB sources CONFIGURE_DEPENDS ${source_dir}/*.bpf.c)
  set(objects)
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WLE)
    set(object ${output_dir}/${name}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${output_dir}
      COMMAND ${USCX_BPF_CLANG} -target bpf -mcpu=v3 -g -O2 -Wall -Wextra -Werror
        -Wno-unused-parameter -fno-stack-protector
        -I${CMAKE_SOURCE_DIR}/examples/schedulers/include -I${CMAKE_SOURCE_DIR}/abi
        -I${CMAKE_SOURCE_DIR} -isystem ${USCX_LIBBPF_INCLUDE}
        -MD -MF ${object}.d -c ${source} -o ${object}
      DEPENDS ${source} DEPFILE ${object}.d VERBATIM
      COMMENT "Compiling ${name}")
    list(APPEND objects ${object})
  endforeach()
  add_custom_target(${target} ALL DEPENDS ${objects})
endfunction()

uscx_bpf_objects(examples
  ${CMAKE_SOURCE_DIR}/examples/schedulers ${CMAKE_BINARY_DIR}/examples)
uscx_bpf_objects(scenario_schedulers
  ${CMAKE_SOURCE_DIR}/tests/scenario/schedulers ${CMAKE_BINARY_DIR}/scenario)
