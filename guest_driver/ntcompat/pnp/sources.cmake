# SPDX-License-Identifier: MIT
list(APPEND NTC_KERNEL_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/devnode.cpp
  ${CMAKE_CURRENT_LIST_DIR}/events.cpp
  ${CMAKE_CURRENT_LIST_DIR}/iface.cpp
  ${CMAKE_CURRENT_LIST_DIR}/liar.cpp
  ${CMAKE_CURRENT_LIST_DIR}/match.cpp
  ${CMAKE_CURRENT_LIST_DIR}/msix.cpp
  ${CMAKE_CURRENT_LIST_DIR}/pci.cpp
  ${CMAKE_CURRENT_LIST_DIR}/pciaddr.cpp
  ${CMAKE_CURRENT_LIST_DIR}/pciid.cpp
  ${CMAKE_CURRENT_LIST_DIR}/pcipdo.cpp
  ${CMAKE_CURRENT_LIST_DIR}/pcires.cpp
  ${CMAKE_CURRENT_LIST_DIR}/power.cpp
  ${CMAKE_CURRENT_LIST_DIR}/property.cpp
  ${CMAKE_CURRENT_LIST_DIR}/resources.cpp
  ${CMAKE_CURRENT_LIST_DIR}/service.cpp)
