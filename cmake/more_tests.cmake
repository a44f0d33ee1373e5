# SPDX-License-Identifier: GPL-2.0-only
# Tests that are no GoogleTest executables. Each directory of tests/ may have a
# tests.cmake of its own; ${USCX_KERNELS} is where make kernel-schedulers puts
# the kernel's objects. A test labelled "soak" is left to make soak.
set(USCX_KERNELS ${CMAKE_BINARY_DIR}/kernel CACHE PATH "The kernel's own compiled schedulers")
file(GLOB test_lists CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/*/tests.cmake)
foreach(test_list ${test_lists})
  include(${test_list})
endforeach()
