# SPDX-License-Identifier: GPL-2.0-only
# The built-in kernel BTF: abi/kernel_types.h, compiled for BPF, filtered by version, embedded.
#
#   kernel_types.h --clang -target bpf--> abi_btf.o --mkbtf--> builtin_btf.cc, abi_layout.cc --> uscx_builtin_btf
#
# mkbtf is built from the sources of src/btf that do not need the result.

find_program(USCX_BPF_CLANG NAMES clang-19 clang-20 clang-21 clang-22 clang
             DOC "A clang of version 19 or newer with the BPF target")
if(NOT USCX_BPF_CLANG)
  message(FATAL_ERROR "No clang found for BPF; install clang-19 or newer")
endif()
execute_process(COMMAND ${USCX_BPF_CLANG} -dumpversion OUTPUT_VARIABLE uscx_bpf_clang_version
                OUTPUT_STRIP_TRAILING_WHITESPACE)
if(uscx_bpf_clang_version VERSION_LESS 19)
  message(FATAL_ERROR "${USCX_BPF_CLANG} is version ${uscx_bpf_clang_version}; BPF needs clang 19 or newer")
endif()

set(uscx_abi_out ${CMAKE_BINARY_DIR}/abi)
file(MAKE_DIRECTORY ${uscx_abi_out})

# clang describes only types that something uses: a variable of every type the header defines.
file(GLOB uscx_abi_headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/abi/*.h ${CMAKE_SOURCE_DIR}/abi/kernel/*.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${uscx_abi_headers})
set(uscx_abi_roots "#include \"abi/kernel_types.h\"\n")
foreach(header ${uscx_abi_headers})
  file(STRINGS ${header} lines REGEX "^((struct|union|enum) [a-z_0-9]+ {|typedef .*|} [a-zA-Z_0-9]+;)")
  foreach(line ${lines})
    if(line MATCHES "^(struct|union|enum) ([a-zA-Z_0-9]+) {")
      set(tag "${CMAKE_MATCH_1}")
      set(name "${CMAKE_MATCH_2}")
      string(APPEND uscx_abi_roots "${tag} ${name} uscx_root_${name};\n")
    elseif(line MATCHES "^typedef [^(]*\\(\\*([a-zA-Z_0-9]+)\\)\\(")
      string(APPEND uscx_abi_roots "${CMAKE_MATCH_1} uscx_root_${CMAKE_MATCH_1};\n")
    elseif(line MATCHES "^typedef [^(]*[ *]([a-zA-Z_0-9]+);?$")
      string(APPEND uscx_abi_roots "${CMAKE_MATCH_1} uscx_root_${CMAKE_MATCH_1};\n")
    elseif(line MATCHES "^} ([a-zA-Z_0-9]+);")
      string(APPEND uscx_abi_roots "${CMAKE_MATCH_1} uscx_root_${CMAKE_MATCH_1};\n")
    endif()
  endforeach()
endforeach()
file(CONFIGURE OUTPUT ${uscx_abi_out}/abi_btf.c CONTENT "${uscx_abi_roots}" @ONLY)

add_custom_command(
  OUTPUT ${uscx_abi_out}/abi_btf.o
  COMMAND ${USCX_BPF_CLANG} -target bpf -g -O2 -std=gnu11 -funsigned-char -Wall -Werror -DABI_EMIT_BTF
          -I${CMAKE_SOURCE_DIR} -c ${uscx_abi_out}/abi_btf.c -o ${uscx_abi_out}/abi_btf.o
  DEPENDS ${uscx_abi_out}/abi_btf.c ${uscx_abi_headers}
  COMMENT "Compiling the kernel's types to BTF"
  VERBATIM)

find_package(fmt REQUIRED)
set(uscx_mkbtf_sources parse.cc btf.cc path.cc builder.cc filter.cc elf.cc profile.cc)
list(TRANSFORM uscx_mkbtf_sources PREPEND ${CMAKE_SOURCE_DIR}/src/btf/)
add_executable(mkbtf ${CMAKE_SOURCE_DIR}/tools/mkbtf.cc ${uscx_mkbtf_sources} ${CMAKE_SOURCE_DIR}/src/base/assert.cc)
target_include_directories(mkbtf PRIVATE ${CMAKE_SOURCE_DIR}/src)
target_link_libraries(mkbtf PRIVATE fmt::fmt)

add_custom_command(
  OUTPUT ${uscx_abi_out}/builtin_btf.cc ${uscx_abi_out}/abi_layout.cc
  COMMAND mkbtf ${uscx_abi_out}/abi_btf.o ${uscx_abi_out}/builtin_btf.cc ${uscx_abi_out}/abi_layout.cc
  DEPENDS mkbtf ${uscx_abi_out}/abi_btf.o
  COMMENT "Making the built-in BTF"
  VERBATIM)

add_library(uscx_builtin_btf STATIC ${uscx_abi_out}/builtin_btf.cc ${uscx_abi_out}/abi_layout.cc)
target_include_directories(uscx_builtin_btf PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
