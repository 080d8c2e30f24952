# SPDX-License-Identifier: MIT
list(APPEND NTC_KERNEL_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/archive.cpp
  ${CMAKE_CURRENT_LIST_DIR}/counters.cpp
  ${CMAKE_CURRENT_LIST_DIR}/image.cpp
  ${CMAKE_CURRENT_LIST_DIR}/imports.cpp
  ${CMAKE_CURRENT_LIST_DIR}/lookup.cpp)
