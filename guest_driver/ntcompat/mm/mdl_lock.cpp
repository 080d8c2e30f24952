// SPDX-License-Identifier: MIT
//
// Locking and mapping the pages of MDLs. All memory is resident, so that a lock is
// a count which the page allocator respects.
#include "mm/mi.h"

namespace {

uint64_t *PfnArray(PMDL mdl) {
    return reinterpret_cast<uint64_t *>(mdl + 1);
}

ULONG PageCount(PMDL mdl) {
    return ADDRESS_AND_SIZE_TO_SPAN_PAGES(
        reinterpret_cast<uint64_t>(mdl->StartVa) + mdl->ByteOffset, mdl->ByteCount);
}

uint64_t FlagsOf(PMDL mdl) {
    return static_cast<USHORT>(mdl->MdlFlags);
}

uint64_t AddressOf(PMDL mdl) {
    return reinterpret_cast<uint64_t>(mdl);
}

// Page by page, since the part that fails has to leave no locks behind.
bool LockPages(PMDL mdl, bool write) {
    const uint64_t start = reinterpret_cast<uint64_t>(mdl->StartVa);
    const ULONG pages = PageCount(mdl);
    for (ULONG i = 0; i < pages; ++i) {
        const uint64_t va = start + i * MI_PAGE_SIZE;
        const uint64_t physical = MiPhysicalAddress(va);
        if (!physical || (write && !MiIsWritable(va))) {
            while (i-- > 0)
                MiUnlockPage(PfnArray(mdl)[i], mdl);
            return false;
        }
        PfnArray(mdl)[i] = physical / MI_PAGE_SIZE;
        MiLockPage(PfnArray(mdl)[i]);
    }
    return true;
}

void CheckIrql(ULONG code, PMDL mdl) {
    if (KeGetCurrentIrql() > DISPATCH_LEVEL)
        KdViolation(0xC4, "an MDL function above DISPATCH_LEVEL", code, KeGetCurrentIrql(),
                    AddressOf(mdl), 0);
}

void CheckMappable(PMDL mdl) {
    if (mdl->MdlFlags & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL))
        KdViolation(0xC4, "an MDL is mapped that has a system address already", 0xB2,
                    AddressOf(mdl), FlagsOf(mdl),
                    MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL);
    if (!(mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_PARTIAL)))
        KdViolation(0xC4, "an MDL is mapped whose pages are not locked", 0xB3, AddressOf(mdl),
                    FlagsOf(mdl), MDL_PAGES_LOCKED | MDL_PARTIAL);
}

} // namespace

// Kernel addresses only: there are no processes, so that any other address is a
// bad one, and raises STATUS_ACCESS_VIOLATION as documented.
VOID NTAPI MmProbeAndLockPages(PMDL mdl, KPROCESSOR_MODE mode, LOCK_OPERATION operation) {
    CheckIrql(0x70, mdl);
    const CSHORT wrong = MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL |
                         MDL_PARTIAL | MDL_IO_SPACE;
    if (mdl->MdlFlags & wrong)
        KdViolation(0xC4, "MmProbeAndLockPages for an MDL that is built already", 0xB0,
                    AddressOf(mdl), FlagsOf(mdl), FlagsOf(mdl) & static_cast<USHORT>(wrong));
    if (mdl->Next)
        KdViolation(0xC4, "MmProbeAndLockPages for a chain of MDLs", 0x16, AddressOf(mdl), 0, 0);
    const bool write = operation != IoReadAccess;
    const bool user = mode != KernelMode;
    const bool kernel_address = reinterpret_cast<int64_t>(mdl->StartVa) < 0;
    if (user || !kernel_address || !LockPages(mdl, write))
        ExRaiseStatus(STATUS_ACCESS_VIOLATION);
    mdl->Process = nullptr;
    mdl->MdlFlags |= MDL_PAGES_LOCKED;
    if (write)
        mdl->MdlFlags |= MDL_WRITE_OPERATION;
}

VOID NTAPI MmUnlockPages(PMDL mdl) {
    CheckIrql(0x78, mdl);
    if (mdl->MdlFlags & MDL_SOURCE_IS_NONPAGED_POOL)
        KdViolation(0xC4, "MmUnlockPages for an MDL of nonpaged pool", 0x7D, AddressOf(mdl),
                    FlagsOf(mdl), 0);
    if (mdl->MdlFlags & MDL_PARTIAL)
        KdViolation(0xC4, "MmUnlockPages for a partial MDL", 0xB4, AddressOf(mdl), FlagsOf(mdl),
                    MDL_PARTIAL);
    if (!(mdl->MdlFlags & MDL_PAGES_LOCKED))
        KdViolation(0xC4, "MmUnlockPages for an MDL whose pages are not locked", 0x7C,
                    AddressOf(mdl), FlagsOf(mdl), 0);
    if (mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA)
        MmUnmapLockedPages(mdl->MappedSystemVa, mdl);
    const ULONG pages = PageCount(mdl);
    for (ULONG i = 0; i < pages; ++i)
        MiUnlockPage(PfnArray(mdl)[i], mdl);
    mdl->MdlFlags &= ~(MDL_PAGES_LOCKED | MDL_WRITE_OPERATION);
}

PVOID NTAPI MmMapLockedPagesSpecifyCache(PMDL mdl, KPROCESSOR_MODE mode,
                                         MEMORY_CACHING_TYPE caching, PVOID,
                                         ULONG bug_check_on_failure, MM_PAGE_PRIORITY) {
    CheckIrql(0x76, mdl);
    if (mode != KernelMode)
        KdUnimplemented("MmMapLockedPagesSpecifyCache for user mode");
    if (bug_check_on_failure)
        KdViolation(0xC4, "MmMapLockedPagesSpecifyCache with BugCheckOnFailure", 0x82,
                    AddressOf(mdl), FlagsOf(mdl), 0);
    CheckMappable(mdl);
    const ULONG pages = PageCount(mdl);
    const uint64_t va = MiReserveSystemPtes(pages);
    if (!va)
        return nullptr;
    for (ULONG i = 0; i < pages; ++i)
        MiMapPage(va + i * MI_PAGE_SIZE, PfnArray(mdl)[i], TRUE, FALSE, caching);
    mdl->MappedSystemVa = reinterpret_cast<PVOID>(va + mdl->ByteOffset);
    mdl->MdlFlags |= MDL_MAPPED_TO_SYSTEM_VA;
    if (mdl->MdlFlags & MDL_PARTIAL)
        mdl->MdlFlags |= MDL_PARTIAL_HAS_BEEN_MAPPED;
    return mdl->MappedSystemVa;
}

// Obsolete, and a bug check under Driver Verifier: it can't fail otherwise.
PVOID NTAPI MmMapLockedPages(PMDL mdl, KPROCESSOR_MODE) {
    KdViolation(0xC4, "MmMapLockedPages instead of MmMapLockedPagesSpecifyCache", 0x81,
                AddressOf(mdl), FlagsOf(mdl), 0);
}

VOID NTAPI MmUnmapLockedPages(PVOID address, PMDL mdl) {
    if (KeGetCurrentIrql() > DISPATCH_LEVEL)
        KdViolation(0xC4, "MmUnmapLockedPages above DISPATCH_LEVEL", 0x79, KeGetCurrentIrql(),
                    reinterpret_cast<uintptr_t>(address), AddressOf(mdl));
    if (!(mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA) || (mdl->MdlFlags & MDL_SOURCE_IS_NONPAGED_POOL))
        KdViolation(0xC4, "MmUnmapLockedPages for an MDL that isn't mapped", 0xB6, AddressOf(mdl),
                    FlagsOf(mdl), MDL_MAPPED_TO_SYSTEM_VA);
    if ((mdl->MdlFlags & MDL_PARTIAL) && !(mdl->MdlFlags & MDL_PARTIAL_HAS_BEEN_MAPPED))
        KdViolation(0xC4, "MmUnmapLockedPages for a part that uses its source's mapping", 0xB5,
                    AddressOf(mdl), FlagsOf(mdl), MDL_PARTIAL);
    if (address != mdl->MappedSystemVa)
        KdViolation(0xDA, "MmUnmapLockedPages with another address than the mapping's", 0x400,
                    reinterpret_cast<uintptr_t>(address),
                    reinterpret_cast<uintptr_t>(mdl->MappedSystemVa), AddressOf(mdl));
    const uint64_t va = reinterpret_cast<uint64_t>(PAGE_ALIGN(address));
    const ULONG pages = PageCount(mdl);
    for (ULONG i = 0; i < pages; ++i)
        MiUnmapPage(va + i * MI_PAGE_SIZE);
    MiReleaseSystemPtes(va, pages);
    mdl->MappedSystemVa = nullptr;
    mdl->MdlFlags &= ~(MDL_MAPPED_TO_SYSTEM_VA | MDL_PARTIAL_HAS_BEEN_MAPPED);
}
