# SPDX-License-Identifier: MIT
list(APPEND NTC_KERNEL_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/lists.cpp
  ${CMAKE_CURRENT_LIST_DIR}/lookaside.cpp
  ${CMAKE_CURRENT_LIST_DIR}/misc.cpp
  ${CMAKE_CURRENT_LIST_DIR}/mutex.cpp
  ${CMAKE_CURRENT_LIST_DIR}/pool.cpp
  ${CMAKE_CURRENT_LIST_DIR}/pool_accounts.cpp
  ${CMAKE_CURRENT_LIST_DIR}/worker.cpp)
