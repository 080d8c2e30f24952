#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Compiles every source of the library as a Windows kernel driver does, and
# fails if an object needs anything that is not the library's own, the kernel's
# memory functions, or (x64, large frames) nothing at all: no CRT, no 64-bit
# division helpers, no floating point.
#
#   kernel_objects.sh CLANGXX LLVM_NM CPU DDK_INCLUDE LIB_DIR WORK_DIR
set -eu
clangxx=$1 nm=$2 cpu=$3 ddk=$4 lib=$5 work=$6

rm -rf "$work"
mkdir -p "$work"
flags="--target=$cpu-w64-mingw32 -std=c++98 -O2 -Wall -Wextra -Werror -ffreestanding
 -D_CLANG_DISABLE_CRT_DEPRECATION_WARNINGS
 -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-stack-protector
 -D__INTRINSIC_DEFINED_InterlockedBitTestAndSet
 -D__INTRINSIC_DEFINED_InterlockedBitTestAndReset"
prefix=
if [ "$cpu" = i686 ]; then
    flags="$flags -mno-sse -mno-mmx -mno-80387 -msoft-float"
    prefix=_
fi
# Clang finds mingw-w64's folders by itself only where a gcc of that target is, too.
for source in "$lib"/virt*.cpp; do
    # shellcheck disable=SC2086 # the flags are a list
    "$clangxx" $flags -isystem "$ddk" -isystem "$ddk/.." -I"$lib" -c "$source" -o "$work/$(basename "$source").o"
done
"$nm" --defined-only --extern-only --format=just-symbols "$work"/*.o |
    sed '/:$/d;/^$/d' | sort -u >"$work/defined"
for name in memset memcpy memmove memcmp; do
    echo "$prefix$name"
done >>"$work/defined"
sort -u -o "$work/defined" "$work/defined"
"$nm" --undefined-only --format=just-symbols "$work"/*.o |
    sed '/:$/d;/^$/d' | sort -u >"$work/undefined"
if comm -23 "$work/undefined" "$work/defined" | grep .; then
    echo "the library needs the symbols above, which a driver does not have" >&2
    exit 1
fi
