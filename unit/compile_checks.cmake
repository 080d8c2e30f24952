# SPDX-License-Identifier: MIT
#
# Tests that compile the library the ways its users do. A compiler that is not
# installed leaves its row out, and the configure output says so.

file(GLOB VQ7_LIB_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/lib/virt*.cpp)
set(VQ7_LIB_DIR ${PROJECT_SOURCE_DIR}/lib)
set(VQ7_WARNINGS -Wall -Wextra -Werror)
find_program(VQ7_GCC gcc)
find_program(VQ7_GXX g++)
find_program(VQ7_CLANG NAMES clang clang-19 clang-16 clang-14)
find_program(VQ7_CLANGXX NAMES clang++ clang++-19 clang++-16 clang++-14)

function(vq7_compile_check name compiler)
  if(NOT ${compiler})
    message(STATUS "compile check ${name} left out: no ${compiler}")
    return()
  endif()
  add_test(NAME compile.${name} COMMAND ${${compiler}} ${ARGN})
  set_tests_properties(compile.${name} PROPERTIES TIMEOUT 120)
endfunction()

# Drivers: C++98, no exceptions, no RTTI; and what programs use today.
foreach(compiler IN ITEMS GXX CLANGXX)
  string(TOLOWER ${compiler} tag)
  vq7_compile_check(cxx98.${tag} VQ7_${compiler} -std=c++98 -pedantic ${VQ7_WARNINGS}
    -fno-exceptions -fno-rtti -O2 -fsyntax-only -I${VQ7_LIB_DIR} ${VQ7_LIB_SOURCES})
  vq7_compile_check(cxx20.${tag} VQ7_${compiler} -std=c++20 -pedantic ${VQ7_WARNINGS}
    -O2 -fsyntax-only -I${VQ7_LIB_DIR} ${VQ7_LIB_SOURCES})
endforeach()

# Headers from C.
foreach(compiler IN ITEMS GCC CLANG)
  string(TOLOWER ${compiler} tag)
  foreach(standard IN ITEMS c89 c11)
    vq7_compile_check(headers.${standard}.${tag} VQ7_${compiler} -std=${standard} -pedantic
      ${VQ7_WARNINGS} -fsyntax-only -I${VQ7_LIB_DIR}
      ${CMAKE_CURRENT_SOURCE_DIR}/compile/headers.c)
  endforeach()
endforeach()

# Visual Studio 2008's dialect, as WDK 7.1's compiler has it. Microsoft's
# headers are not here, so this is the user-mode side.
foreach(cpu IN ITEMS x86_64 i686)
  vq7_compile_check(msvc2008.${cpu} VQ7_CLANGXX --target=${cpu}-pc-windows-msvc
    -fms-compatibility-version=15 -DVIRTIO_OSDEP_USER_MODE -std=c++98 -Wall -Werror
    -fsyntax-only -I${VQ7_LIB_DIR} ${VQ7_LIB_SOURCES})
endforeach()

# The side of virtio_osdep.h that only Microsoft's compiler sees, with stand-ins for
# the two headers of Microsoft's that it wants.
set(VQ7_MODE_user VIRTIO_OSDEP_USER_MODE)
set(VQ7_MODE_kernel _KERNEL_MODE)
foreach(cpu IN ITEMS x86_64 i686)
  foreach(mode IN ITEMS user kernel)
    set(as_microsoft --target=${cpu}-pc-windows-msvc -fms-compatibility-version=15
        -U__clang__ -U__GNUC__ -D${VQ7_MODE_${mode}}=1 ${VQ7_WARNINGS} -fsyntax-only
        -isystem ${CMAKE_CURRENT_SOURCE_DIR}/compile/msvc -I${VQ7_LIB_DIR})
    vq7_compile_check(msvc2008.only.${mode}.${cpu} VQ7_CLANGXX -std=c++98 ${as_microsoft}
      ${VQ7_LIB_SOURCES})
    vq7_compile_check(msvc2008.only.headers.${mode}.${cpu} VQ7_CLANG -std=c89 ${as_microsoft}
      ${CMAKE_CURRENT_SOURCE_DIR}/compile/headers.c)
  endforeach()
endforeach()

# Compilers and CPUs that nobody has thought of are refused, with no fence left out
# in silence.
function(vq7_must_fail name text compiler)
  if(${compiler})
    add_test(NAME compile.refused.${name} COMMAND sh
      ${CMAKE_CURRENT_SOURCE_DIR}/compile/must_fail.sh ${text} ${${compiler}} -std=c++98
      -fsyntax-only ${ARGN} -I${VQ7_LIB_DIR} ${VQ7_LIB_DIR}/virtqueue_split.cpp)
    set_tests_properties(compile.refused.${name} PROPERTIES TIMEOUT 60)
  endif()
endfunction()
vq7_must_fail(layout "unknown compiler" VQ7_GXX -U__GNUC__)
vq7_must_fail(order "no memory order primitives known for this compiler" VQ7_GXX -U__GNUC__)
vq7_must_fail(layout.clang "unknown compiler" VQ7_CLANGXX -U__GNUC__ -U__clang__)
vq7_must_fail(order.clang "no memory order primitives known for this compiler" VQ7_CLANGXX
  -U__GNUC__ -U__clang__)
vq7_must_fail(cpu "no memory barriers known for this CPU" VQ7_CLANGXX
  --target=x86_64-pc-windows-msvc -fms-compatibility-version=15 -U__clang__ -U__GNUC__ -U_M_X64
  -U_M_AMD64 -D_KERNEL_MODE=1 -isystem ${CMAKE_CURRENT_SOURCE_DIR}/compile/msvc)
vq7_must_fail(endian "little-endian targets only" VQ7_CLANGXX --target=powerpc64-linux-gnu
  -ffreestanding)

# Which fences are there, on a strongly and on a weakly ordered CPU.
if(VQ7_CLANGXX)
  add_test(NAME compile.fences COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/compile/fences.sh
    ${VQ7_CLANGXX} ${VQ7_LIB_DIR} ${CMAKE_CURRENT_BINARY_DIR}/fences)
  set_tests_properties(compile.fences PROPERTIES TIMEOUT 120)
endif()

# Windows kernel mode: real objects, whose undefined symbols are looked at.
find_program(VQ7_NM NAMES llvm-nm llvm-nm-19 llvm-nm-16 llvm-nm-14)
foreach(cpu IN ITEMS x86_64 i686)
  find_path(VQ7_DDK_${cpu} ntddk.h PATHS /usr/${cpu}-w64-mingw32/include/ddk
            /usr/share/mingw-w64/include/ddk NO_DEFAULT_PATH)
  if(VQ7_CLANGXX AND VQ7_NM AND VQ7_DDK_${cpu})
    add_test(NAME compile.kernel.${cpu} COMMAND sh
      ${CMAKE_CURRENT_SOURCE_DIR}/compile/kernel_objects.sh ${VQ7_CLANGXX} ${VQ7_NM} ${cpu}
      ${VQ7_DDK_${cpu}} ${VQ7_LIB_DIR} ${CMAKE_CURRENT_BINARY_DIR}/kernel.${cpu})
    set_tests_properties(compile.kernel.${cpu} PROPERTIES TIMEOUT 300)
  else()
    message(STATUS "compile check kernel.${cpu} left out: no clang++, llvm-nm or ntddk.h")
  endif()
endforeach()

# Programs on Windows, which may include <windows.h> before the library or after it.
foreach(cpu IN ITEMS x86_64 i686)
  if(EXISTS /usr/${cpu}-w64-mingw32/include/windows.h)
    foreach(order IN ITEMS FIRST LAST)
      vq7_compile_check(windows.${cpu}.${order} VQ7_CLANGXX --target=${cpu}-w64-mingw32
        -std=c++98 ${VQ7_WARNINGS} -fsyntax-only -DVIRTIO_OSDEP_USER_MODE -DWINDOWS_${order}
        -I${VQ7_LIB_DIR} -isystem /usr/${cpu}-w64-mingw32/include
        ${CMAKE_CURRENT_SOURCE_DIR}/compile/windows_user.cpp ${VQ7_LIB_SOURCES})
    endforeach()
  endif()
endforeach()

# The driver in the same dialect. The kernel's headers are mingw-w64's, which want
# another compiler's macros; those for x86 want more of it than can be had.
if(VQ7_DDK_x86_64)
  file(GLOB VQ7_DRIVER_SOURCES CONFIGURE_DEPENDS
       ${PROJECT_SOURCE_DIR}/guest_driver/driver/*.cpp)
  vq7_compile_check(msvc2008.driver VQ7_CLANGXX --target=x86_64-pc-windows-msvc
    -fms-compatibility-version=15 -std=c++98 ${VQ7_WARNINGS} -fsyntax-only
    -U_MSC_VER -D__GNUC__=4 -D__GNUC_MINOR__=2 -D__MINGW32__
    -D__INTRINSIC_DEFINED_InterlockedBitTestAndSet
    -D__INTRINSIC_DEFINED_InterlockedBitTestAndReset
    -D_WIN32_WINNT=0x0601 -DNTDDI_VERSION=0x06010000
    -D_CLANG_DISABLE_CRT_DEPRECATION_WARNINGS  # of 3DNow, which mingw-w64's headers include
    -isystem ${VQ7_DDK_x86_64} -isystem ${VQ7_DDK_x86_64}/..
    -I${PROJECT_SOURCE_DIR}/guest_driver/kmdf -I${PROJECT_SOURCE_DIR}/guest_driver/driver
    -I${VQ7_LIB_DIR} ${VQ7_DRIVER_SOURCES})
endif()

# The snippets of lib/README.md.
if(VQ7_GCC)
  add_test(NAME compile.readme COMMAND sh
    ${CMAKE_CURRENT_SOURCE_DIR}/compile/readme_snippets.sh ${VQ7_GCC} ${VQ7_LIB_DIR}
    ${CMAKE_CURRENT_SOURCE_DIR}/compile/readme_context.h ${CMAKE_CURRENT_BINARY_DIR}/readme)
endif()

# Programs outside of this build that use the library.
foreach(way IN ITEMS find_package add_subdirectory copy sources)
  add_test(NAME package.${way} COMMAND ${CMAKE_COMMAND}
    -DWAY=${way} -DSOURCE=${PROJECT_SOURCE_DIR} -DBUILD=${PROJECT_BINARY_DIR}
    -DWORK=${CMAKE_CURRENT_BINARY_DIR}/package.${way} -DSANITIZE=${VQ7_SANITIZE} -DCONFIG=$<CONFIG>
    -DCXX=${CMAKE_CXX_COMPILER} -P ${CMAKE_CURRENT_SOURCE_DIR}/compile/package_test.cmake)
  set_tests_properties(package.${way} PROPERTIES TIMEOUT 300)
endforeach()

# WDK 7.1's list of the library's sources; and what scripts that are older than this
# repository say to CMake. (Nightly runs those commands from end to end.)
add_test(NAME compile.wdk_sources COMMAND sh
  ${CMAKE_CURRENT_SOURCE_DIR}/compile/wdk_sources.sh ${PROJECT_SOURCE_DIR})
add_test(NAME package.older_options COMMAND sh
  ${CMAKE_CURRENT_SOURCE_DIR}/compile/older_options.sh ${PROJECT_SOURCE_DIR}
  ${CMAKE_CURRENT_BINARY_DIR}/older_options)
set_tests_properties(package.older_options PROPERTIES TIMEOUT 120)

add_test(NAME docs.barriers COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/compile/barriers.sh
  ${VQ7_LIB_DIR})

# Documents name tests and functions that exist. Without clang some tests are left out.
find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND AND VQ7_CLANGXX)
  set(doc_claims ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/doc_claims.py
      ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  add_test(NAME docs.claims COMMAND ${doc_claims} --claims
    docs/virtio/virtqueue-split-ring-win7.md)
  add_test(NAME docs.names COMMAND ${doc_claims} README.md lib/README.md
    docs/windows7-virtio-driver-contract.md)
  set_tests_properties(docs.claims docs.names PROPERTIES TIMEOUT 60)
endif()
