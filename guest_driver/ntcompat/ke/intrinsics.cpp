// SPDX-License-Identifier: MIT
//
// Intrinsics of Microsoft's compiler that mingw-w64's headers declare and clang
// does not provide. Linked into both kernel images, exported by none.
#include "ntc.h"

extern "C" {

void _disable(void) {
    __asm__ volatile("cli" : : : "memory");
}

void _enable(void) {
    __asm__ volatile("sti" : : : "memory");
}

void __invlpg(void *address) {
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

} // extern "C"
