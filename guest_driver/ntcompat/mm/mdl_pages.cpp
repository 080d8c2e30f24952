// SPDX-License-Identifier: MIT
//
// MDLs that own their pages: MmAllocatePagesForMdl and MmFreePagesFromMdl.
#include "mm/mi.h"

namespace {

uint64_t *PfnArray(PMDL mdl) {
    return reinterpret_cast<uint64_t *>(mdl + 1);
}

// One page in the range; contiguous single-page search keeps to the limits.
uint64_t PageInRange(uint64_t low, uint64_t high) {
    return MiAllocateContiguousRange(1, low, high, 0);
}

void FreeSome(PMDL mdl, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        MiUnlockPage(PfnArray(mdl)[i], mdl);
        MiFreePages(PfnArray(mdl)[i], 1);
    }
}

PMDL AllocatePages(PHYSICAL_ADDRESS low, PHYSICAL_ADDRESS high, PHYSICAL_ADDRESS skip, SIZE_T total,
                   ULONG flags, uint64_t caller) {
    if (KeGetCurrentIrql() > DISPATCH_LEVEL)
        KdViolation(0xC4, "MmAllocatePagesForMdl above DISPATCH_LEVEL", 0x7E, KeGetCurrentIrql(),
                    DISPATCH_LEVEL, 0);
    if (skip.QuadPart % static_cast<LONGLONG>(MI_PAGE_SIZE) || total > 0xFFFFF000)
        return nullptr;
    const size_t wanted = BYTES_TO_PAGES(total);
    if (!wanted)
        return nullptr;
    const size_t mdl_size = sizeof(MDL) + wanted * sizeof(PFN_NUMBER);
    auto *mdl = static_cast<PMDL>(ExpAllocatePool(NonPagedPool, mdl_size, ' ldM', caller));
    if (!mdl)
        return nullptr;
    MmInitializeMdl(mdl, nullptr, wanted * MI_PAGE_SIZE);
    mdl->Process = nullptr;
    mdl->MappedSystemVa = nullptr;
    // With skip bytes, later windows are tried when the first has too few pages.
    size_t got = 0;
    uint64_t first = static_cast<uint64_t>(low.QuadPart) / MI_PAGE_SIZE;
    uint64_t last = static_cast<uint64_t>(high.QuadPart) / MI_PAGE_SIZE;
    while (got < wanted && first <= MiHighestPfn()) {
        const uint64_t pfn = PageInRange(first, last);
        if (pfn) {
            if (!(flags & MM_DONT_ZERO_ALLOCATION))
                memset(MiDirectMap(pfn * MI_PAGE_SIZE), 0, MI_PAGE_SIZE);
            MiLockPage(pfn);
            PfnArray(mdl)[got++] = pfn;
        } else if (skip.QuadPart) {
            first += static_cast<uint64_t>(skip.QuadPart) / MI_PAGE_SIZE;
            last += static_cast<uint64_t>(skip.QuadPart) / MI_PAGE_SIZE;
        } else {
            break;
        }
    }
    if (!got || (got < wanted && (flags & MM_ALLOCATE_FULLY_REQUIRED))) {
        FreeSome(mdl, got);
        ExpFreePool(mdl, ' ldM', 0);
        return nullptr;
    }
    mdl->ByteCount = static_cast<ULONG>(got * MI_PAGE_SIZE);
    mdl->MdlFlags |= MDL_PAGES_LOCKED;
    return mdl;
}

} // namespace

PMDL NTAPI MmAllocatePagesForMdl(PHYSICAL_ADDRESS low, PHYSICAL_ADDRESS high, PHYSICAL_ADDRESS skip,
                                 SIZE_T total) {
    return AllocatePages(low, high, skip, total, 0, MI_CALLER());
}

PMDL NTAPI MmAllocatePagesForMdlEx(PHYSICAL_ADDRESS low, PHYSICAL_ADDRESS high,
                                   PHYSICAL_ADDRESS skip, SIZE_T total, MEMORY_CACHING_TYPE,
                                   ULONG flags) {
    if (flags & ~static_cast<ULONG>(MM_DONT_ZERO_ALLOCATION | MM_ALLOCATE_FULLY_REQUIRED |
                                    MM_ALLOCATE_FROM_LOCAL_NODE_ONLY))
        KdUnimplemented("MmAllocatePagesForMdlEx with these flags");
    return AllocatePages(low, high, skip, total, flags, MI_CALLER());
}

// The MDL itself stays; the caller frees it by ExFreePool.
VOID NTAPI MmFreePagesFromMdl(PMDL mdl) {
    if (KeGetCurrentIrql() > APC_LEVEL)
        KdViolation(0xC4, "MmFreePagesFromMdl above APC_LEVEL", 0x7E, KeGetCurrentIrql(), APC_LEVEL,
                    0);
    if (!(mdl->MdlFlags & MDL_PAGES_LOCKED))
        KdViolation(0xC4, "MmFreePagesFromMdl for an MDL without pages", 0x7C,
                    reinterpret_cast<uintptr_t>(mdl), static_cast<USHORT>(mdl->MdlFlags), 0);
    if (mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA)
        KdViolation(0xC4, "MmFreePagesFromMdl while the pages are mapped", 0xB8,
                    reinterpret_cast<uintptr_t>(mdl), static_cast<USHORT>(mdl->MdlFlags), 0);
    FreeSome(mdl, mdl->ByteCount / MI_PAGE_SIZE);
    mdl->MdlFlags &= ~MDL_PAGES_LOCKED;
    mdl->ByteCount = 0;
}
