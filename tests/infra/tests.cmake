# SPDX-License-Identifier: GPL-2.0-only
# What make and CMake promise.
add_test(NAME infra_clean
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/clean_test.sh ${CMAKE_SOURCE_DIR})
add_test(NAME infra_install
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/install_test.sh ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
add_test(NAME soak_long_runs
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/soak_test.sh ${CMAKE_BINARY_DIR} ${USCX_KERNELS})
set_tests_properties(soak_long_runs PROPERTIES LABELS soak TIMEOUT 14400)

# Perfetto's trace processor is no package of the registries; where it is installed, it is asked.
add_test(NAME infra_trace_sql
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/trace_sql.py $<TARGET_FILE:uscx>
    ${USCX_KERNELS}/7.3/scx_simple.bpf.o --machine 1n1l4c1t --duration 200ms)
set_tests_properties(infra_trace_sql PROPERTIES SKIP_RETURN_CODE 77)

# Pages that are generated are up to date, and code in them is real.
add_test(NAME infra_docs COMMAND ${CMAKE_SOURCE_DIR}/tools/docs --check $<TARGET_FILE:uscx>)
add_test(NAME infra_docs_code
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/docs_code.py $<TARGET_FILE:uscx> ${USCX_BPF_CLANG} ${USCX_LIBBPF_INCLUDE})
add_test(NAME infra_how_to
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/how_to.py $<TARGET_FILE:uscx> ${CMAKE_BINARY_DIR}
    ${CMAKE_BINARY_DIR}/examples/fifo.bpf.o)
