# SPDX-License-Identifier: MIT
# The library's unit tests once more, on a library built for gcov. What costs time, the
# tests' own object files, is that of the programs that ctest runs. Built and run by
# ci/coverage.sh alone.
add_library(vq7_virtio_coverage STATIC EXCLUDE_FROM_ALL ${VQ7_LIB_SOURCES})
set_target_properties(vq7_virtio_coverage PROPERTIES
  CXX_STANDARD 98 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
# Each copy of an inlined function would count its branches anew.
target_compile_options(vq7_virtio_coverage PRIVATE --coverage -O0 -g -UNDEBUG
  "-DVIRTIO_FORCEINLINE=static __inline")

set(coverage_objects)
foreach(name IN LISTS VQ7_LIBRARY_TESTS)
  list(APPEND coverage_objects $<TARGET_OBJECTS:${name}>)
endforeach()
add_executable(library_tests_coverage EXCLUDE_FROM_ALL ${coverage_objects})
target_link_libraries(library_tests_coverage PRIVATE vq7_unit_model vq7_virtio_coverage GTest::gmock
                      GTest::gtest_main)
target_link_options(library_tests_coverage PRIVATE --coverage)
