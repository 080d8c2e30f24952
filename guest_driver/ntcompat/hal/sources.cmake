# SPDX-License-Identifier: MIT
list(APPEND NTC_HAL_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/acpi.cpp
  ${CMAKE_CURRENT_LIST_DIR}/apic.cpp
  ${CMAKE_CURRENT_LIST_DIR}/hotplug.cpp
  ${CMAKE_CURRENT_LIST_DIR}/init.cpp
  ${CMAKE_CURRENT_LIST_DIR}/pci.cpp
  ${CMAKE_CURRENT_LIST_DIR}/time.cpp
  ${NTC_DIR}/ke/intrinsics.cpp)
