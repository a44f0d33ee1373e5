# SPDX-License-Identifier: GPL-2.0-only
# Each scenario file is a test of that name.
file(GLOB scenarios CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.json)
foreach(scenario ${scenarios})
  get_filename_component(name ${scenario} NAME_WE)
  add_test(NAME scenario_${name}
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/run --build ${CMAKE_BINARY_DIR} -j 1 ${scenario})
  set_tests_properties(scenario_${name} PROPERTIES TIMEOUT 1200)
endforeach()

add_test(NAME scenario_truncated
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/truncated $<TARGET_FILE:uscx> ${USCX_KERNELS}/7.3/scx_simple.bpf.o)
set_tests_properties(scenario_truncated PROPERTIES TIMEOUT 1200)
