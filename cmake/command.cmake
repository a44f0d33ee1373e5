# SPDX-License-Identifier: GPL-2.0-only
# The command, at ${CMAKE_BINARY_DIR}/uscx.
if(NOT EXISTS ${CMAKE_SOURCE_DIR}/src/cli/main.cc)
  message(WARNING "src/cli/main.cc is not there: no command is built")
  return()
endif()
add_executable(uscx ${CMAKE_SOURCE_DIR}/src/cli/main.cc)
target_link_libraries(uscx PRIVATE uscx_cli)
set_target_properties(uscx PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
