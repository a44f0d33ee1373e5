# SPDX-License-Identifier: GPL-2.0-only
# Both engines run the same random programs: random_programs COUNT [SEED].
add_executable(random_programs ${CMAKE_CURRENT_LIST_DIR}/random_programs.cc)
target_include_directories(random_programs PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_link_libraries(random_programs PRIVATE uscx_bpf)
add_test(NAME engines_agree COMMAND random_programs 10000)
add_test(NAME engines_agree_long COMMAND random_programs 1000000 2)
set_tests_properties(engines_agree_long PROPERTIES LABELS soak TIMEOUT 3600)
