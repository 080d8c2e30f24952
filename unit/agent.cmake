# SPDX-License-Identifier: MIT
# Tests of the console agent's core, with a fake platform.
set(agent_dir ${CMAKE_CURRENT_LIST_DIR}/../guest_driver/agent)
file(GLOB agent_core CONFIGURE_DEPENDS ${agent_dir}/core/*.cpp)
list(FILTER agent_core EXCLUDE REGEX "/crt\\.cpp$") # the host has its own

add_library(vq7_agent_core STATIC ${agent_core} ${CMAKE_CURRENT_LIST_DIR}/agent/fake_platform.cpp)
set_target_properties(vq7_agent_core PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
target_compile_options(vq7_agent_core PRIVATE -Wall -Wextra)
target_link_libraries(vq7_agent_core PUBLIC GTest::gtest)

foreach(name agent_blocks_test agent_commands_test agent_event_test agent_framing_test
             agent_ioctl_test agent_workload_test)
  add_executable(${name} ${CMAKE_CURRENT_LIST_DIR}/agent/${name}.cpp)
  target_link_libraries(${name} PRIVATE vq7_agent_core)
  vq7_gtest(${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 60)
endforeach()

# The Win32 back end, on a Windows that the test plays.
add_executable(agent_win32_test ${CMAKE_CURRENT_LIST_DIR}/agent/win32_requests_test.cpp
               ${agent_dir}/win32/requests.cpp)
target_include_directories(agent_win32_test PRIVATE ${CMAKE_CURRENT_LIST_DIR}/agent/fake_windows)
vq7_gtest(agent_win32_test)
add_test(NAME agent_win32_test COMMAND agent_win32_test)
set_tests_properties(agent_win32_test PROPERTIES TIMEOUT 60)
