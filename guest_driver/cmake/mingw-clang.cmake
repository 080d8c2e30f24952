# SPDX-License-Identifier: MIT
# Shared half of the two guest toolchain files: clang + lld with the mingw-w64
# headers and import libraries. The including file sets VQ7_TRIPLE.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_C_COMPILER clang)
set(CMAKE_CXX_COMPILER clang++)
set(CMAKE_C_COMPILER_TARGET ${VQ7_TRIPLE})
set(CMAKE_CXX_COMPILER_TARGET ${VQ7_TRIPLE})
set(CMAKE_AR llvm-ar)
set(CMAKE_RANLIB llvm-ranlib)
# Nothing is linked by default, so the compiler is tried without a link.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH /usr/${VQ7_TRIPLE})
