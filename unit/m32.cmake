# SPDX-License-Identifier: MIT
# The same unit tests as a 32-bit program, in which size_t, pointers and PFN_NUMBER
# are 32 bits wide, as in x86 Windows. Google Test comes as a 64-bit library, so its
# sources, which Debian installs beside it, are built again.
include(CheckCXXSourceRuns)
set(CMAKE_REQUIRED_FLAGS -m32)
check_cxx_source_runs("#include <string>
int main() { return sizeof(void *) == 4 ? 0 : 1; }" VQ7_HAVE_M32)
unset(CMAKE_REQUIRED_FLAGS)
find_path(VQ7_GTEST_SOURCE src/gtest-all.cc PATHS /usr/src/googletest/googletest NO_DEFAULT_PATH)
if(VQ7_SANITIZE OR NOT VQ7_HAVE_M32 OR NOT VQ7_GTEST_SOURCE)
  message(STATUS "32-bit unit tests left out: they want -m32 (g++-multilib), Google Test's"
                 " sources, and a build without sanitizers")
  return()
endif()

add_library(vq7_virtio_m32 STATIC ${VQ7_LIB_SOURCES})
set_target_properties(vq7_virtio_m32 PROPERTIES
  CXX_STANDARD 98 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
target_compile_options(vq7_virtio_m32 PRIVATE -Wall -Wextra -pedantic -Werror)
add_library(vq7_gtest_m32 STATIC ${VQ7_GTEST_SOURCE}/src/gtest-all.cc
            ${VQ7_GTEST_SOURCE}/src/gtest_main.cc)
target_include_directories(vq7_gtest_m32 PRIVATE ${VQ7_GTEST_SOURCE})

set(m32_tests ${VQ7_UNIT_TESTS})
list(REMOVE_ITEM m32_tests virtqueue_split_order_test.cpp) # knows no sizes
add_executable(library_tests_m32 ${m32_tests} model/split_device.cpp)
target_include_directories(library_tests_m32 PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${VQ7_LIB_DIR})
target_compile_options(library_tests_m32 PRIVATE -Wall -Wextra -O0)
target_link_libraries(library_tests_m32 PRIVATE vq7_virtio_m32 vq7_gtest_m32)
target_precompile_headers(library_tests_m32 PRIVATE <gtest/gtest.h> <gmock/gmock.h>)
set_target_properties(library_tests_m32 vq7_gtest_m32 PROPERTIES
  CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
target_compile_options(vq7_gtest_m32 PRIVATE -O0) # is over in a moment
foreach(target IN ITEMS vq7_virtio_m32 vq7_gtest_m32 library_tests_m32)
  target_compile_options(${target} PRIVATE -m32)
endforeach()
target_link_options(library_tests_m32 PRIVATE -m32)
add_test(NAME library_tests_m32 COMMAND library_tests_m32)
set_tests_properties(library_tests_m32 PROPERTIES TIMEOUT 120
  ENVIRONMENT VQ7_HISTORY_COUNT=300)
