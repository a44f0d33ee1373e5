# SPDX-License-Identifier: GPL-2.0-only
# The named workloads are part of the command: examples/workloads/NAME.json, each whole, as data.
set(USCX_BUILTIN_WORKLOADS spin-sleep hackbench schbench)
set(USCX_BUILTIN_WORKLOAD_LIST)
foreach(name ${USCX_BUILTIN_WORKLOADS})
  set(file ${CMAKE_SOURCE_DIR}/examples/workloads/${name}.json)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} text)
  string(APPEND USCX_BUILTIN_WORKLOAD_LIST "    {\"${name}\", R\"json(${text})json\"},\n")
endforeach()
configure_file(${CMAKE_SOURCE_DIR}/src/workload/builtins.cc.in
  ${CMAKE_BINARY_DIR}/generated/workload_builtins.cc @ONLY)
target_sources(uscx_workload PRIVATE ${CMAKE_BINARY_DIR}/generated/workload_builtins.cc)
