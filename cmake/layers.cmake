# SPDX-License-Identifier: GPL-2.0-only
# uscx_layer(NAME [DEPENDS layers...] [SUBDIRS dirs...] [TOGETHER files...] [MAIN file])
# One static library per floor of the house: src/NAME/*.cc and its SUBDIRS.
# TOGETHER are files that every event passes through: one translation unit where USCX_TOGETHER is on,
# so that the compiler sees through their calls (docs/performance.md). Their names must not clash.
# MAIN is left out of the library and becomes the command's main file.
option(USCX_TOGETHER "Compile the files of each layer that every event passes through as one" ON)

function(uscx_layer name)
  cmake_parse_arguments(L "" "MAIN" "DEPENDS;SUBDIRS;TOGETHER" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
  foreach(dir ${L_SUBDIRS})
    file(GLOB more CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/${dir}/*.cc)
    list(APPEND sources ${more})
  endforeach()
  if(L_MAIN)
    list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/src/${name}/${L_MAIN})
  endif()
  if(sources)
    add_library(uscx_${name} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(uscx_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  if(L_TOGETHER AND USCX_TOGETHER)
    list(TRANSFORM L_TOGETHER PREPEND ${CMAKE_SOURCE_DIR}/src/${name}/)
    set_source_files_properties(${L_TOGETHER} PROPERTIES UNITY_GROUP hot)
    set_target_properties(uscx_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  endif()
  # The library headers that nearly every file includes, parsed once for all layers.
  if(name STREQUAL base)
    target_precompile_headers(uscx_base PRIVATE <fmt/format.h> <algorithm> <expected> <functional> <map> <memory>
      <optional> <set> <span> <string> <string_view> <unordered_map> <utility> <variant> <vector>)
  elseif(sources)
    target_precompile_headers(uscx_${name} REUSE_FROM uscx_base)
  endif()
  target_include_directories(uscx_${name} ${scope} ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
  target_link_libraries(uscx_${name} ${scope} fmt::fmt)
  foreach(dep ${L_DEPENDS})
    target_link_libraries(uscx_${name} ${scope} uscx_${dep})
  endforeach()
endfunction()
