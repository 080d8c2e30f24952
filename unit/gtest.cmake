# SPDX-License-Identifier: MIT
# vq7_gtest(NAME [OWN_HEADERS | PLAIN]): what every program of Google Test is built with.
#
# Most of the time of such a build goes into Google Test's headers, and into optimizing
# tests that are over in a moment: so the headers are precompiled, once for all programs
# that have the same options (OWN_HEADERS: for one of many files that hasn't; PLAIN: for one
# of a single file), and the tests are built with -O0. The library under test keeps the options of the build type.
find_package(GTest REQUIRED)

set(VQ7_TEST_HEADERS <gtest/gtest.h> <gmock/gmock.h> <algorithm> <cstring> <memory> <string>
    <vector>)
set(VQ7_TEST_OPTIONS -Wall -Wextra)
if(NOT VQ7_SANITIZE)
  list(APPEND VQ7_TEST_OPTIONS -O0)
endif()

file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/test_headers.cpp "// Has the headers compiled.\n")
add_library(vq7_test_headers OBJECT ${CMAKE_CURRENT_BINARY_DIR}/test_headers.cpp)
target_precompile_headers(vq7_test_headers PRIVATE ${VQ7_TEST_HEADERS})
target_compile_options(vq7_test_headers PRIVATE ${VQ7_TEST_OPTIONS})
target_link_libraries(vq7_test_headers PRIVATE GTest::gtest GTest::gmock)
set_target_properties(vq7_test_headers PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)

function(vq7_gtest name)
  cmake_parse_arguments(PARSE_ARGV 1 own "OWN_HEADERS;PLAIN" "" "")
  set_target_properties(${name} PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
  target_compile_options(${name} PRIVATE ${VQ7_TEST_OPTIONS})
  target_link_libraries(${name} PRIVATE GTest::gmock GTest::gtest_main)
  if(own_OWN_HEADERS)
    target_precompile_headers(${name} PRIVATE ${VQ7_TEST_HEADERS})
  elseif(NOT own_PLAIN)
    target_precompile_headers(${name} REUSE_FROM vq7_test_headers)
  endif()
endfunction()
