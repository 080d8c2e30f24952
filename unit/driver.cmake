# SPDX-License-Identifier: MIT
# The parts of the driver that are pure arithmetic.
set(VQ7_DRIVER ${CMAKE_CURRENT_SOURCE_DIR}/../guest_driver/driver)
foreach(name IN ITEMS pci_bars blk_split)
  add_executable(driver_${name}_test driver/${name}_test.cpp ${VQ7_DRIVER}/${name}.cpp)
  target_include_directories(driver_${name}_test PRIVATE ${VQ7_DRIVER})
  target_link_libraries(driver_${name}_test PRIVATE VQ7::virtio GTest::gtest_main)
  set_target_properties(driver_${name}_test PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
  target_compile_options(driver_${name}_test PRIVATE -Wall -Wextra)
  add_test(NAME driver_${name}_test COMMAND driver_${name}_test)
  set_tests_properties(driver_${name}_test PROPERTIES TIMEOUT 60)
endforeach()
