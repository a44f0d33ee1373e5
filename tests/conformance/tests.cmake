# SPDX-License-Identifier: GPL-2.0-only
# Suites nobody here wrote: tests/conformance/run SUITE.
foreach(suite sched-ext-objects)
  add_test(NAME conformance_${suite}
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/run ${suite}
      --uscx ${CMAKE_BINARY_DIR}/uscx --kernels ${USCX_KERNELS} --jobs 2)
endforeach()
