# SPDX-License-Identifier: MIT
list(APPEND NTC_KERNEL_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/contiguous.cpp
  ${CMAKE_CURRENT_LIST_DIR}/gone.cpp
  ${CMAKE_CURRENT_LIST_DIR}/init.cpp
  ${CMAKE_CURRENT_LIST_DIR}/iospace.cpp
  ${CMAKE_CURRENT_LIST_DIR}/lack.cpp
  ${CMAKE_CURRENT_LIST_DIR}/mdl.cpp
  ${CMAKE_CURRENT_LIST_DIR}/mdl_lock.cpp
  ${CMAKE_CURRENT_LIST_DIR}/mdl_pages.cpp
  ${CMAKE_CURRENT_LIST_DIR}/pagetable.cpp
  ${CMAKE_CURRENT_LIST_DIR}/physical.cpp
  ${CMAKE_CURRENT_LIST_DIR}/pool_large.cpp
  ${CMAKE_CURRENT_LIST_DIR}/pool_small.cpp
  ${CMAKE_CURRENT_LIST_DIR}/query.cpp
  ${CMAKE_CURRENT_LIST_DIR}/vaspace.cpp
  ${CMAKE_CURRENT_LIST_DIR}/watch.cpp)
