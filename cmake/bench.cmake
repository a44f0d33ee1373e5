# SPDX-License-Identifier: GPL-2.0-only
# uscx_bench: prints rates and costs (`make bench`). Needs Google Benchmark (libbenchmark-dev).
find_package(benchmark QUIET)
if(NOT benchmark_FOUND)
  message(STATUS "Google Benchmark was not found: no uscx_bench")
  return()
endif()
file(GLOB uscx_bench_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*.cc)
list(REMOVE_ITEM uscx_bench_sources ${CMAKE_SOURCE_DIR}/bench/verifier_speed.cc)  # a program of its own
add_executable(uscx_bench EXCLUDE_FROM_ALL ${uscx_bench_sources})
target_link_libraries(uscx_bench PRIVATE uscx_cli benchmark::benchmark)
target_compile_definitions(uscx_bench PRIVATE
  USCX_BENCH_BUILD="${CMAKE_BINARY_DIR}" USCX_BENCH_SOURCE="${CMAKE_SOURCE_DIR}/bench")
add_dependencies(uscx_bench examples)
