# SPDX-License-Identifier: GPL-2.0-only
# uscx_libbpf: libbpf 1.7 or newer as a static library, with <bpf/...> headers
# and the <linux/bpf.h> that belongs to it.
#
# The distribution's own where new enough; otherwise compiled here from Debian's
# source package, which tools/fetch-libbpf.sh keeps in the download cache.
# USCX_LIBBPF_INCLUDE is the directory with bpf/bpf_helpers.h, for BPF programs.
find_package(PkgConfig REQUIRED)
find_package(ZLIB REQUIRED)
pkg_check_modules(libelf REQUIRED IMPORTED_TARGET libelf)
pkg_check_modules(libbpf QUIET libbpf>=1.7)

if(libbpf_FOUND AND NOT USCX_LIBBPF_FROM_SOURCE)
  find_library(USCX_LIBBPF_ARCHIVE NAMES libbpf.a HINTS ${libbpf_LIBRARY_DIRS})
endif()

if(USCX_LIBBPF_ARCHIVE)
  # The archive, not the shared library: its calls of syscall() must bind to ours.
  pkg_get_variable(USCX_LIBBPF_INCLUDE libbpf includedir)
  add_library(uscx_libbpf INTERFACE)
  target_include_directories(uscx_libbpf SYSTEM INTERFACE ${libbpf_INCLUDE_DIRS})
  target_link_libraries(uscx_libbpf INTERFACE ${USCX_LIBBPF_ARCHIVE} PkgConfig::libelf ZLIB::ZLIB)
  message(STATUS "libbpf ${libbpf_VERSION} of the distribution")
  return()
endif()

execute_process(COMMAND ${CMAKE_SOURCE_DIR}/tools/fetch-libbpf.sh
  OUTPUT_VARIABLE USCX_LIBBPF_SOURCE OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
file(READ ${USCX_LIBBPF_SOURCE}/.debian-version USCX_LIBBPF_VERSION)
string(STRIP "${USCX_LIBBPF_VERSION}" USCX_LIBBPF_VERSION)
message(STATUS "libbpf ${USCX_LIBBPF_VERSION} from ${USCX_LIBBPF_SOURCE}")

set(USCX_LIBBPF_INCLUDE ${CMAKE_BINARY_DIR}/libbpf/include)
foreach(header bpf.h libbpf.h btf.h libbpf_common.h libbpf_legacy.h bpf_helpers.h bpf_helper_defs.h
    bpf_tracing.h bpf_endian.h bpf_core_read.h skel_internal.h libbpf_version.h usdt.bpf.h)
  configure_file(${USCX_LIBBPF_SOURCE}/src/${header} ${USCX_LIBBPF_INCLUDE}/bpf/${header} COPYONLY)
endforeach()

file(GLOB libbpf_sources ${USCX_LIBBPF_SOURCE}/src/*.c)
add_library(uscx_libbpf STATIC ${libbpf_sources})
set_target_properties(uscx_libbpf PROPERTIES
  C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON EXPORT_COMPILE_COMMANDS OFF)
target_compile_definitions(uscx_libbpf PRIVATE _LARGEFILE64_SOURCE _FILE_OFFSET_BITS=64)
# Not ours to judge: no warnings, and its misaligned BTF reads are its own affair.
target_compile_options(uscx_libbpf PRIVATE -w)
if(USCX_SANITIZE)
  target_compile_options(uscx_libbpf PRIVATE -fno-sanitize=undefined)
endif()
target_include_directories(uscx_libbpf
  PRIVATE ${USCX_LIBBPF_SOURCE}/include ${USCX_LIBBPF_SOURCE}/src)
target_include_directories(uscx_libbpf SYSTEM
  PUBLIC ${USCX_LIBBPF_INCLUDE} ${USCX_LIBBPF_SOURCE}/include/uapi)
target_link_libraries(uscx_libbpf PUBLIC PkgConfig::libelf ZLIB::ZLIB)
