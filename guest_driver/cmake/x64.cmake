# SPDX-License-Identifier: MIT
set(VQ7_ARCH x64)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(VQ7_TRIPLE x86_64-w64-mingw32)
include(${CMAKE_CURRENT_LIST_DIR}/mingw-clang.cmake)
