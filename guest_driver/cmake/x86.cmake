# SPDX-License-Identifier: MIT
set(VQ7_ARCH x86)
set(CMAKE_SYSTEM_PROCESSOR i686)
set(VQ7_TRIPLE i686-w64-mingw32)
include(${CMAKE_CURRENT_LIST_DIR}/mingw-clang.cmake)
