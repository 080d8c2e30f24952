// SPDX-License-Identifier: MIT
//
// Questions about addresses and memory, and pageable sections (nothing is paged
// here; the calls are checked and counted for nothing).
#include "mm/mi.h"

PHYSICAL_ADDRESS NTAPI MmGetPhysicalAddress(PVOID address) {
    PHYSICAL_ADDRESS physical;
    physical.QuadPart =
        static_cast<LONGLONG>(MiPhysicalAddress(reinterpret_cast<uint64_t>(address)));
    return physical;
}

PVOID NTAPI MmGetVirtualForPhysical(PHYSICAL_ADDRESS physical) {
    return MiDirectMap(static_cast<uint64_t>(physical.QuadPart));
}

BOOLEAN NTAPI MmIsAddressValid(PVOID address) {
    return MiPhysicalAddress(reinterpret_cast<uint64_t>(address)) != 0;
}

NTC_EXPORT BOOLEAN NTAPI MmIsNonPagedSystemAddressValid(PVOID address) {
    return MmIsAddressValid(address);
}

MM_SYSTEMSIZE NTAPI MmQuerySystemSize(VOID) {
    const uint64_t mebibytes = MiHighestPfn() / 256;
    return mebibytes >= 512 ? MmLargeSystem : mebibytes >= 128 ? MmMediumSystem : MmSmallSystem;
}

BOOLEAN NTAPI MmIsThisAnNtAsSystem(VOID) {
    return FALSE;
}

// An array in nonpaged pool, ended by an all-zero entry; the caller frees it.
PPHYSICAL_MEMORY_RANGE NTAPI MmGetPhysicalMemoryRanges(VOID) {
    MiPagedCode(__func__);
    const uint32_t count = KeLoaderBlock->range_count;
    auto *ranges = static_cast<PPHYSICAL_MEMORY_RANGE>(ExpAllocatePool(
        NonPagedPool, (count + 1) * sizeof(PHYSICAL_MEMORY_RANGE), 'hPmM', MI_CALLER()));
    if (!ranges)
        return nullptr;
    memset(ranges, 0, (count + 1) * sizeof(PHYSICAL_MEMORY_RANGE));
    for (uint32_t i = 0; i < count; ++i) {
        ranges[i].BaseAddress.QuadPart = static_cast<LONGLONG>(KeLoaderBlock->ranges[i].base);
        ranges[i].NumberOfBytes.QuadPart = static_cast<LONGLONG>(KeLoaderBlock->ranges[i].length);
    }
    return ranges;
}

namespace {

NTC_IMAGE *CheckSection(PVOID address, const char *what) {
    if (KeGetCurrentIrql() > APC_LEVEL)
        KdViolation(0xC4, what, 0x16, KeGetCurrentIrql(), reinterpret_cast<uintptr_t>(address), 0);
    NTC_IMAGE *image = LdrFindImage(reinterpret_cast<uint64_t>(address));
    if (!image)
        KdViolation(0xC4, "a pageable section that is in no image", 0x16,
                    reinterpret_cast<uintptr_t>(address), 0, 0);
    return image;
}

} // namespace

PVOID NTAPI MmLockPagableDataSection(PVOID address) {
    CheckSection(address, "MmLockPagableDataSection above APC_LEVEL");
    return address;
}

VOID NTAPI MmLockPagableSectionByHandle(PVOID handle) {
    CheckSection(handle, "MmLockPagableSectionByHandle above APC_LEVEL");
}

VOID NTAPI MmUnlockPagableImageSection(PVOID handle) {
    CheckSection(handle, "MmUnlockPagableImageSection above APC_LEVEL");
}

PVOID NTAPI MmPageEntireDriver(PVOID address) {
    NTC_IMAGE *image = CheckSection(address, "MmPageEntireDriver above APC_LEVEL");
    return reinterpret_cast<PVOID>(image->base);
}

VOID NTAPI MmResetDriverPaging(PVOID address) {
    CheckSection(address, "MmResetDriverPaging above APC_LEVEL");
}
