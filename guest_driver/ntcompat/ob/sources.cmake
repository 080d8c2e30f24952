# SPDX-License-Identifier: MIT
list(APPEND NTC_KERNEL_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/event.cpp
  ${CMAKE_CURRENT_LIST_DIR}/handle.cpp
  ${CMAKE_CURRENT_LIST_DIR}/init.cpp
  ${CMAKE_CURRENT_LIST_DIR}/namespace.cpp
  ${CMAKE_CURRENT_LIST_DIR}/object.cpp)
