# SPDX-License-Identifier: GPL-2.0-only
# What make and CMake promise.
add_test(NAME infra_clean
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/clean_test.sh ${CMAKE_SOURCE_DIR})
add_test(NAME infra_install
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/install_test.sh ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
add_test(NAME soak_long_runs
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/soak_test.sh ${CMAKE_BINARY_DIR} ${USCX_KERNELS})
set_tests_properties(soak_long_runs PROPERTIES LABELS soak TIMEOUT 14400)
