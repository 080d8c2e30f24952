// SPDX-License-Identifier: MIT
#include "mm/mi.h"

void MmInitSystem(NTC_LOADER_BLOCK *block) {
    MiInitializePhysicalMemory(block);
    MiInitializePageTables(block);
    MiInitializeSmallPool();
    KdPrint_("mm: %llu KiB free\n", MiFreePageCount() * 4);
}
