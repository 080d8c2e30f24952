// SPDX-License-Identifier: MIT
//
// Images that have gone, as debuggers look for them: an address in one still has a name.
#include "debugger.h"

extern "C" {

UNLOADED_DRIVER KdpUnloaded[KD_UNLOADED];
UNLOADED_DRIVER *MmUnloadedDrivers = KdpUnloaded;
ULONG MmLastUnloadedDrivers; // the next one to be written

} // extern "C"

namespace {

enum { NAME_MAX = 32 };
WCHAR names[KD_UNLOADED][NAME_MAX];

const char *BaseName(const char *path) {
    const char *name = path;
    for (; *path; path++)
        if (*path == '\\')
            name = path + 1;
    return name;
}

} // namespace

void KdpRememberUnloaded(const KD_SYMBOLS *symbols) {
    const ULONG slot = MmLastUnloadedDrivers % KD_UNLOADED;
    UNLOADED_DRIVER *u = &KdpUnloaded[slot];
    const char *name = BaseName(symbols->path);
    USHORT length = 0;
    for (; name[length] && length < NAME_MAX; length++)
        names[slot][length] = (WCHAR)(UCHAR)name[length];
    u->Name.Buffer = names[slot];
    u->Name.Length = u->Name.MaximumLength = (USHORT)(length * sizeof(WCHAR));
    u->StartAddress = symbols->base;
    u->EndAddress = symbols->base + symbols->size;
    u->CurrentTime = KiSystemTime();
    MmLastUnloadedDrivers = (slot + 1) % KD_UNLOADED;
}
