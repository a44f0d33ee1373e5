# SPDX-License-Identifier: GPL-2.0-only
# The command, and what a scheduler outside this tree is built from:
#   bin/uscx
#   include/uscx/vmlinux.h          the kernel's types, for BPF programs
#   include/uscx/bpf/*.h            libbpf's headers for BPF programs
#   share/uscx/examples             the examples, one of them with its own makefile
#   share/pkgconfig/uscx.pc         pkg-config --cflags uscx: flags for clang -target bpf
include(GNUInstallDirs)
if(TARGET uscx)
  install(TARGETS uscx RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

set(uscx_includes ${CMAKE_INSTALL_INCLUDEDIR}/uscx)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/abi DESTINATION ${uscx_includes}
  FILES_MATCHING PATTERN "*.h" PATTERN "abi.h" EXCLUDE)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/examples/schedulers/include/ DESTINATION ${uscx_includes})
foreach(header bpf_helpers bpf_helper_defs bpf_tracing bpf_endian bpf_core_read)
  install(FILES ${USCX_LIBBPF_INCLUDE}/bpf/${header}.h DESTINATION ${uscx_includes}/bpf)
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/generated/install/vmlinux.h
  "/* SPDX-License-Identifier: GPL-2.0-only */\n#include \"abi/vmlinux.h\"\n")
install(FILES ${CMAKE_BINARY_DIR}/generated/install/vmlinux.h DESTINATION ${uscx_includes})

install(DIRECTORY ${CMAKE_SOURCE_DIR}/examples/ DESTINATION ${CMAKE_INSTALL_DATADIR}/uscx/examples
  PATTERN "include" EXCLUDE)
# Relative to where the file lies, so that an installation can be moved.
file(WRITE ${CMAKE_BINARY_DIR}/generated/install/uscx.pc
"prefix=\${pcfiledir}/../..
bindir=\${prefix}/${CMAKE_INSTALL_BINDIR}
includedir=\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}
Name: uscx
Description: Runs compiled sched_ext schedulers on a simulated machine
Version: ${PROJECT_VERSION}
Cflags: -I\${includedir}/uscx
")
install(FILES ${CMAKE_BINARY_DIR}/generated/install/uscx.pc
  DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
