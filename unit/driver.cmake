# SPDX-License-Identifier: MIT
# The parts of the driver that are pure arithmetic.
set(VQ7_DRIVER ${CMAKE_CURRENT_SOURCE_DIR}/../guest_driver/driver)
foreach(name IN ITEMS pci_bars blk_split)
  add_executable(driver_${name}_test driver/${name}_test.cpp ${VQ7_DRIVER}/${name}.cpp)
  target_include_directories(driver_${name}_test PRIVATE ${VQ7_DRIVER})
  target_link_libraries(driver_${name}_test PRIVATE VQ7::virtio)
  vq7_gtest(driver_${name}_test)
  add_test(NAME driver_${name}_test COMMAND driver_${name}_test)
  set_tests_properties(driver_${name}_test PROPERTIES TIMEOUT 60)
endforeach()

# The whole driver in a host program: driver/host/ stands for kernel and framework.
file(GLOB VQ7_HOST_DRIVER CONFIGURE_DEPENDS ${VQ7_DRIVER}/*.cpp)
file(GLOB VQ7_HOST_TESTS CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/driver/host/*.cpp
     ${CMAKE_CURRENT_SOURCE_DIR}/driver/host_*_test.cpp)
add_library(driver_host OBJECT ${VQ7_HOST_DRIVER})
# A queue of its own, whose barriers a test can be at.
add_library(driver_host_queue OBJECT ${VQ7_QUEUE_SOURCES})
target_compile_options(driver_host_queue PRIVATE
  -include ${CMAKE_CURRENT_SOURCE_DIR}/driver/host/barrier.h)
add_executable(driver_host_test ${VQ7_HOST_TESTS} $<TARGET_OBJECTS:driver_host>
  $<TARGET_OBJECTS:driver_host_queue>)
foreach(target IN ITEMS driver_host driver_host_queue driver_host_test)
  target_include_directories(${target} PRIVATE
    ${CMAKE_CURRENT_SOURCE_DIR}/driver/host ${VQ7_DRIVER}/../kmdf ${VQ7_DRIVER})
  target_link_libraries(${target} PRIVATE VQ7::virtio)
  target_compile_options(${target} PRIVATE -fshort-wchar) # WCHAR has 16 bits
endforeach()
# Warnings are the guest build's affair: it has the real headers.
# What the driver has not set is nothing that it could mean.
target_compile_options(driver_host PRIVATE -w -fno-exceptions -fno-rtti -fno-strict-aliasing
                       -ftrivial-auto-var-init=pattern)
set_target_properties(driver_host PROPERTIES CXX_STANDARD 98 CXX_STANDARD_REQUIRED ON)
target_link_libraries(driver_host_test PRIVATE vq7_unit_model)
vq7_gtest(driver_host_test OWN_HEADERS)
target_compile_options(driver_host_test PRIVATE -Wno-multichar -Wno-unused-function
                       -Wno-attributes)
add_test(NAME driver_host_test COMMAND driver_host_test)
set_tests_properties(driver_host_test PROPERTIES TIMEOUT 60)
