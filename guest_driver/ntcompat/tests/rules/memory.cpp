// SPDX-License-Identifier: MIT
//
// MDLs, I/O mappings, contiguous memory.
#include "rules.h"

static UCHAR *Buffer;

// An MDL for two pages of pool; the pages are not locked.
static PMDL NewMdl(void) {
    Buffer = (UCHAR *)RulesAllocate(2 * PAGE_SIZE);
    return Buffer ? IoAllocateMdl(Buffer, 2 * PAGE_SIZE, FALSE, FALSE, nullptr) : nullptr;
}

static PMDL LockedMdl(void) {
    PMDL mdl = NewMdl();
    if (mdl)
        MmProbeAndLockPages(mdl, KernelMode, IoModifyAccess);
    return mdl;
}

static NTSTATUS FreeLocked(PDRIVER_OBJECT) {
    IoFreeMdl(LockedMdl());
    return STATUS_SUCCESS;
}

static NTSTATUS LockTwice(PDRIVER_OBJECT) {
    MmProbeAndLockPages(LockedMdl(), KernelMode, IoModifyAccess);
    return STATUS_SUCCESS;
}

static NTSTATUS UnlockTwice(PDRIVER_OBJECT) {
    PMDL mdl = LockedMdl();
    MmUnlockPages(mdl);
    MmUnlockPages(mdl);
    return STATUS_SUCCESS;
}

static NTSTATUS UnlockNonPaged(PDRIVER_OBJECT) {
    PMDL mdl = NewMdl();
    MmBuildMdlForNonPagedPool(mdl);
    MmUnlockPages(mdl);
    return STATUS_SUCCESS;
}

static NTSTATUS MapUnlocked(PDRIVER_OBJECT) {
    MmMapLockedPagesSpecifyCache(NewMdl(), KernelMode, MmCached, nullptr, FALSE,
                                 NormalPagePriority);
    return STATUS_SUCCESS;
}

static NTSTATUS UnmapTwice(PDRIVER_OBJECT) {
    PMDL mdl = LockedMdl();
    PVOID va =
        MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, nullptr, FALSE, NormalPagePriority);
    MmUnmapLockedPages(va, mdl);
    MmUnmapLockedPages(va, mdl);
    return STATUS_SUCCESS;
}

static NTSTATUS FreeLockedPool(PDRIVER_OBJECT) {
    LockedMdl();
    ExFreePoolWithTag(Buffer, RULES_TAG);
    return STATUS_SUCCESS;
}

// The first local APIC page: device memory that no RAM is behind.
static PVOID MapRegisters(SIZE_T size) {
    PHYSICAL_ADDRESS address;
    address.QuadPart = 0xFEE00000;
    return MmMapIoSpace(address, size, MmNonCached);
}

static NTSTATUS MapRam(PDRIVER_OBJECT) {
    Buffer = (UCHAR *)RulesAllocate(PAGE_SIZE);
    MmMapIoSpace(MmGetPhysicalAddress(Buffer), PAGE_SIZE, MmNonCached);
    return STATUS_SUCCESS;
}

static NTSTATUS UnmapOtherSize(PDRIVER_OBJECT) {
    MmUnmapIoSpace(MapRegisters(PAGE_SIZE), 2 * PAGE_SIZE);
    return STATUS_SUCCESS;
}

static NTSTATUS UnmapNotMapped(PDRIVER_OBJECT) {
    Buffer = (UCHAR *)RulesAllocate(PAGE_SIZE);
    MmUnmapIoSpace(Buffer, PAGE_SIZE);
    return STATUS_SUCCESS;
}

static NTSTATUS UseUnmapped(PDRIVER_OBJECT) {
    auto *registers = (volatile ULONG *)MapRegisters(PAGE_SIZE);
    MmUnmapIoSpace((PVOID)registers, PAGE_SIZE);
    DbgPrint("ntcrules: 0x%x\n", registers[0x30 / 4]);
    return STATUS_SUCCESS;
}

static NTSTATUS MapLeak(PDRIVER_OBJECT) {
    return MapRegisters(PAGE_SIZE) ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static NTSTATUS ContiguousTwice(PDRIVER_OBJECT) {
    PHYSICAL_ADDRESS highest;
    highest.QuadPart = 0xFFFFFFFF;
    PVOID memory = MmAllocateContiguousMemory(2 * PAGE_SIZE, highest);
    MmFreeContiguousMemory(memory);
    MmFreeContiguousMemory(memory);
    return STATUS_SUCCESS;
}

const RuleCase MemoryCases[] = {
    {"mdl-free-locked", FreeLocked},
    {"mdl-lock-twice", LockTwice},
    {"mdl-unlock-twice", UnlockTwice},
    {"mdl-unlock-nonpaged", UnlockNonPaged},
    {"mdl-map-unlocked", MapUnlocked},
    {"mdl-unmap-twice", UnmapTwice},
    {"mdl-free-locked-pool", FreeLockedPool},
    {"io-space-ram", MapRam},
    {"io-space-other-size", UnmapOtherSize},
    {"io-space-not-mapped", UnmapNotMapped},
    {"io-space-use-unmapped", UseUnmapped},
    {"io-space-leak", MapLeak},
    {"contiguous-free-twice", ContiguousTwice},
    {nullptr, nullptr},
};
