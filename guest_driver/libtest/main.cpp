// SPDX-License-Identifier: MIT
//
// DriverEntry: runs every case, counts, and fails, so that the driver is unloaded at once
// and whatever it has left behind is found.
#include "libtest.h"

static const LibCase *const Tables[] = {SetupCases,  AddCases,     BatchCases, NotifyCases,
                                        BrokenCases, PrivateCases, SgCases,    MdlCases,
                                        PciCases,    PciErrorCases};

static PVOID Allocate(SIZE_T size) {
    PHYSICAL_ADDRESS highest;
    highest.QuadPart = ~0ull >> 1;
    return MmAllocateContiguousMemory(size, highest);
}

Contiguous::Contiguous(SIZE_T bytes)
    : va((UCHAR *)Allocate(bytes)), pa(va ? (ULONG64)MmGetPhysicalAddress(va).QuadPart : 0),
      size(bytes) {
    if (va)
        RtlFillMemory(va, bytes, 0xA5); // what is cleared must be seen to be
}

Contiguous::~Contiguous() {
    if (va)
        MmFreeContiguousMemory(va);
}

bool Differs(const char *file, int line, const char *what, ULONG64 seen, ULONG64 expected) {
    const char *name = file;
    for (const char *c = file; *c; c++)
        if (*c == '/')
            name = c + 1;
    DbgPrint("vq7lib: %s, line %d: %s is 0x%I64x, not 0x%I64x\n", name, line, what, seen, expected);
    return false;
}

extern "C" NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT, PUNICODE_STRING) {
    ULONG all = 0, passed = 0;
    for (const LibCase *table : Tables)
        for (const LibCase *c = table; c->name; c++) {
            const bool ok = c->run();
            all++;
            passed += ok ? 1 : 0;
            DbgPrint("vq7lib: %s (%s)\n", ok ? "ok" : "failed", c->name);
        }
    DbgPrint("vq7lib: %u of %u cases passed\n", passed, all);
    return STATUS_NO_SUCH_DEVICE;
}
