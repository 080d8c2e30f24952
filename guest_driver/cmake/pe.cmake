# SPDX-License-Identifier: MIT
# Functions that add PE images with PDBs: Windows drivers, the kernel modules
# of ntcompat, and programs. Everything is freestanding: no C runtime.

# The header folders are named, because clang finds those of mingw-w64 by itself
# only in some releases, and never the host's.
option(VQ7_DWARF "DWARF in the images, for gdb: for images that nobody boots" OFF)

set(VQ7_PE_COMPILE_OPTIONS
    -ffreestanding
    -nostdlibinc
    "SHELL:-isystem /usr/${VQ7_TRIPLE}/include"
    -fno-builtin-printf
    -fno-stack-protector
    -fno-ident
    -fasynchronous-unwind-tables  # x64 code without unwind data can't be unwound
    -g -gcodeview $<$<BOOL:${VQ7_DWARF}>:-gdwarf-4>
    -O2
    -Wall -Wextra -Werror
    -Wno-unknown-pragmas
    -D_CLANG_DISABLE_CRT_DEPRECATION_WARNINGS  # of 3DNow, which mingw-w64's headers include
    $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>
    $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>
    $<$<COMPILE_LANGUAGE:CXX>:-fno-threadsafe-statics>)

# Kernel mode: the DDK headers as system headers (their warnings aren't ours),
# and on x86 no floating-point or vector registers.
set(VQ7_KERNEL_COMPILE_OPTIONS
    ${VQ7_PE_COMPILE_OPTIONS}
    "SHELL:-isystem /usr/${VQ7_TRIPLE}/include/ddk"
    -D__INTRINSIC_DEFINED_InterlockedBitTestAndSet
    -D__INTRINSIC_DEFINED_InterlockedBitTestAndReset
    -D_WIN32_WINNT=0x0601 -DWINVER=0x0601 -DNTDDI_VERSION=0x06010000)
if(VQ7_ARCH STREQUAL "x86")
  list(APPEND VQ7_KERNEL_COMPILE_OPTIONS -march=i686 -mno-sse -mno-mmx -mno-80387)
endif()

# vq7_pe(name SUFFIX .sys ENTRY symbol SUBSYSTEM native TYPE EXE|DLL
#        OPTIONS compile options  LIBS libraries  SOURCES files
#        [LINK extra linker arguments])
# Makes ${VQ7_OUT}/<name><suffix> and its .pdb.
function(vq7_pe name)
  cmake_parse_arguments(PE "" "SUFFIX;ENTRY;SUBSYSTEM;STANDARD" "OPTIONS;LIBS;SOURCES;LINK" ${ARGN})
  if(NOT PE_STANDARD)
    set(PE_STANDARD 20)
  endif()
  add_executable(${name} ${PE_SOURCES})
  set_target_properties(${name} PROPERTIES
    SUFFIX ${PE_SUFFIX}
    CXX_STANDARD ${PE_STANDARD} CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
    RUNTIME_OUTPUT_DIRECTORY ${VQ7_OUT})
  target_compile_options(${name} PRIVATE ${PE_OPTIONS})
  target_link_libraries(${name} PRIVATE ${PE_LIBS})
  set(entry ${PE_ENTRY})
  target_link_options(${name} PRIVATE
    -fuse-ld=lld -nostdlib -nostartfiles
    -L/usr/${VQ7_TRIPLE}/lib
    LINKER:--subsystem,${PE_SUBSYSTEM}
    LINKER:--entry,${entry}
    LINKER:--pdb=${VQ7_OUT}/${name}.pdb
    LINKER:-Xlink=-pdbaltpath:%_PDB%  # the file's name, not where it was built
    LINKER:-Xlink=-brepro             # a hash for a time stamp: same input, same image
    LINKER:--dynamicbase,--nxcompat
    LINKER:--exclude-all-symbols
    ${PE_LINK})
endfunction()

# vq7_windows_image(name)
# For what runs on Windows: writes the checksum, which Windows wants of a driver and lld
# leaves 0, and refuses what Windows 7 would not load.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(VQ7_PACKAGE ${CMAKE_CURRENT_LIST_DIR}/../package)
function(vq7_windows_image name)
  if(VQ7_DWARF) # for gdb alone: with a symbol table behind the sections
    return()
  endif()
  add_custom_command(
    TARGET ${name} POST_BUILD
    COMMAND ${Python3_EXECUTABLE} ${VQ7_PACKAGE}/pe_checksum.py $<TARGET_FILE:${name}>
    COMMAND ${Python3_EXECUTABLE} -B ${VQ7_PACKAGE}/check_image.py $<TARGET_FILE:${name}>
    VERBATIM)
  set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS
               ${VQ7_PACKAGE}/check_image.py ${VQ7_PACKAGE}/windows7-exports.txt)
endfunction()
