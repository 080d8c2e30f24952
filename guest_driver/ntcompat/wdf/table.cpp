// SPDX-License-Identifier: MIT
// The table of 396 functions. What a source defines with WDF_API lands in the
// section .wdftab; every other entry is a stub that stops the guest with its name.
#include "wdfldr.h"

using namespace wdfldr;

static const char *const kNames[] = {
#define WDF_FUNCTION(index, name) #name,
#include "wdf_functions.inc"
#undef WDF_FUNCTION
};

template <ULONG kIndex> static void NTAPI Missing() {
    Stop(kFatalError, nullptr, kIndex, "%s is not implemented", kNames[kIndex]);
}

static void (*const kMissing[])() = {
#define WDF_FUNCTION(index, name) &Missing<index>,
#include "wdf_functions.inc"
#undef WDF_FUNCTION
};

// Bounds of the section: the linker sorts .wdftab$a, $m, $z.
__attribute__((section(".wdftab$a"), used)) static const TableEntry kFirst = {~0ull, nullptr};
__attribute__((section(".wdftab$z"), used)) static const TableEntry kLast = {~0ull, nullptr};

void wdfldr::FillFunctionTable(void **table, ULONG count) {
    for (ULONG i = 0; i < count; i++)
        table[i] = reinterpret_cast<void *>(kMissing[i]);
    // Through volatile pointers: the compiler would take the bounds for two
    // unrelated objects.
    const TableEntry *volatile first = &kFirst;
    const TableEntry *volatile last = &kLast;
    for (const TableEntry *entry = first + 1; entry < last; entry++) {
        if (entry->function && entry->index < count)
            table[entry->index] = entry->function;
    }
}
