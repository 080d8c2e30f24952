// SPDX-License-Identifier: MIT
//
// Physically contiguous and noncached memory. Both are mapped in the system PTE
// range with an unmapped page on each side.
#include "mm/mi.h"

namespace {

// `low`, `high` and `boundary` are physical byte addresses, as the callers give them.
PVOID AllocateContiguous(SIZE_T size, uint64_t low, uint64_t high, uint64_t boundary,
                         MEMORY_CACHING_TYPE caching, uint16_t kind, uint64_t caller) {
    if (KeGetCurrentIrql() > DISPATCH_LEVEL)
        KdViolation(0xC4, "contiguous memory is allocated above DISPATCH_LEVEL", 0x2,
                    KeGetCurrentIrql(), 0, size);
    if (size == 0)
        KdViolation(0xC4, "contiguous memory of zero bytes is allocated", 0x0, KeGetCurrentIrql(),
                    0, 0);
    if (boundary & (boundary - 1))
        KdViolation(0xC4, "a boundary for contiguous memory that is no power of 2", 0x16, boundary,
                    size, 0);
    const size_t pages = BYTES_TO_PAGES(size);
    const uint64_t boundary_pages = boundary / MI_PAGE_SIZE;
    if (boundary && boundary_pages < pages)
        return nullptr;
    const uint64_t lowest = (low + MI_PAGE_SIZE - 1) / MI_PAGE_SIZE;
    const uint64_t end = high == ~0ull ? ~0ull / MI_PAGE_SIZE : (high + 1) / MI_PAGE_SIZE;
    if (end == 0)
        return nullptr;
    const uint64_t pfn = MiAllocateContiguousRange(pages, lowest, end - 1, boundary_pages);
    if (!pfn)
        return nullptr;
    const uint64_t va = MiReserveSystemPtes(pages);
    const MI_RECORD record = {nullptr, va, size, pages, caller, 'mCmM', 0, kind, pfn};
    if (!va || !MiInsertRecord(&record)) {
        if (va)
            MiReleaseSystemPtes(va, pages);
        MiFreePages(pfn, pages);
        return nullptr;
    }
    for (size_t i = 0; i < pages; ++i)
        MiMapPage(va + i * MI_PAGE_SIZE, pfn + i, TRUE, FALSE, caching);
    memset(reinterpret_cast<void *>(va), MI_FILL_ALLOCATED, pages * MI_PAGE_SIZE);
    return reinterpret_cast<PVOID>(va);
}

void FreeContiguous(PVOID address, uint16_t kind, const SIZE_T *size) {
    const uint64_t va = reinterpret_cast<uint64_t>(address);
    if (KeGetCurrentIrql() > DISPATCH_LEVEL)
        KdViolation(0xC4, "contiguous memory is freed above DISPATCH_LEVEL", 0x12,
                    KeGetCurrentIrql(), 0, va);
    MI_RECORD record;
    if (!MiFindRecord(va, &record) || record.kind != kind)
        KdViolation(0xC2, "contiguous memory is freed that was never allocated", 0x60, va, 0, 0);
    if (size && *size != record.size)
        KdViolation(0xC4, "memory is freed with another size than it was allocated with", 0x16, va,
                    record.size, *size);
    if (!MiRemoveRecord(va, &record))
        KdViolation(0xC2, "contiguous memory is freed twice", 0x60, va, 0, 0);
    for (size_t i = 0; i < record.pages; ++i)
        MiUnmapPage(va + i * MI_PAGE_SIZE);
    MiReleaseSystemPtes(va, record.pages);
    MiFreePages(record.first_pfn, record.pages);
}

} // namespace

PVOID NTAPI MmAllocateContiguousMemory(SIZE_T size, PHYSICAL_ADDRESS highest) {
    return AllocateContiguous(size, 0, static_cast<uint64_t>(highest.QuadPart), 0, MmCached,
                              MiRecordContiguous, MI_CALLER());
}

PVOID NTAPI MmAllocateContiguousMemorySpecifyCache(SIZE_T size, PHYSICAL_ADDRESS lowest,
                                                   PHYSICAL_ADDRESS highest,
                                                   PHYSICAL_ADDRESS boundary,
                                                   MEMORY_CACHING_TYPE caching) {
    return AllocateContiguous(
        size, static_cast<uint64_t>(lowest.QuadPart), static_cast<uint64_t>(highest.QuadPart),
        static_cast<uint64_t>(boundary.QuadPart), caching, MiRecordContiguous, MI_CALLER());
}

PVOID NTAPI MmAllocateContiguousMemorySpecifyCacheNode(SIZE_T size, PHYSICAL_ADDRESS lowest,
                                                       PHYSICAL_ADDRESS highest,
                                                       PHYSICAL_ADDRESS boundary,
                                                       MEMORY_CACHING_TYPE caching,
                                                       NODE_REQUIREMENT) {
    return AllocateContiguous(
        size, static_cast<uint64_t>(lowest.QuadPart), static_cast<uint64_t>(highest.QuadPart),
        static_cast<uint64_t>(boundary.QuadPart), caching, MiRecordContiguous, MI_CALLER());
}

VOID NTAPI MmFreeContiguousMemory(PVOID address) {
    FreeContiguous(address, MiRecordContiguous, nullptr);
}

VOID NTAPI MmFreeContiguousMemorySpecifyCache(PVOID address, SIZE_T size, MEMORY_CACHING_TYPE) {
    FreeContiguous(address, MiRecordContiguous, &size);
}

PVOID NTAPI MmAllocateNonCachedMemory(SIZE_T size) {
    return AllocateContiguous(size, 0, ~0ull, 0, MmNonCached, MiRecordNonCached, MI_CALLER());
}

VOID NTAPI MmFreeNonCachedMemory(PVOID address, SIZE_T size) {
    FreeContiguous(address, MiRecordNonCached, &size);
}
