// SPDX-License-Identifier: MIT
//
// Device memory.
#include "ke/liar.h"
#include "mm/mi.h"

PVOID NTAPI MmMapIoSpace(PHYSICAL_ADDRESS physical, SIZE_T size, MEMORY_CACHING_TYPE caching) {
    const uint64_t start = static_cast<uint64_t>(physical.QuadPart);
    if (KeGetCurrentIrql() > DISPATCH_LEVEL)
        KdViolation(0xC4, "MmMapIoSpace above DISPATCH_LEVEL", 0x73, KeGetCurrentIrql(), start,
                    size);
    if (size == 0)
        KdViolation(0xC4, "MmMapIoSpace of zero bytes", 0x16, start, 0, 0);
    const uint64_t first = start / MI_PAGE_SIZE;
    const size_t pages = ADDRESS_AND_SIZE_TO_SPAN_PAGES(start, size);
    for (size_t i = 0; i < pages; ++i) {
        if (MiIsRam(first + i) && !MiIsPageLocked(first + i))
            KdViolation(0xC4, "MmMapIoSpace of RAM that isn't locked", 0x83, start, size,
                        first + i);
    }
    const uint64_t va = MiReserveSystemPtes(pages);
    if (!va)
        return nullptr;
    const uint64_t address = va + start % MI_PAGE_SIZE;
    const MI_RECORD record = {nullptr, address,         size, pages, MI_CALLER(), 'oImM',
                              0,       MiRecordIoSpace, first};
    if (!MiInsertRecord(&record)) {
        MiReleaseSystemPtes(va, pages);
        return nullptr;
    }
    for (size_t i = 0; i < pages; ++i)
        MiMapPage(va + i * MI_PAGE_SIZE, first + i, TRUE, FALSE, caching);
    MiWatchMapping(&record);
    return reinterpret_cast<PVOID>(address);
}

VOID NTAPI MmUnmapIoSpace(PVOID address, SIZE_T size) {
    const uint64_t va = reinterpret_cast<uint64_t>(address);
    if (KeGetCurrentIrql() > APC_LEVEL)
        KdViolation(0xC4, "MmUnmapIoSpace above APC_LEVEL", 0x7B, KeGetCurrentIrql(), va, size);
    MI_RECORD record;
    if (!MiFindRecord(va, &record) || record.kind != MiRecordIoSpace)
        KdViolation(0xDA, "MmUnmapIoSpace of an address that MmMapIoSpace didn't return", 0x400, va,
                    size, 0);
    if (record.size != size)
        KdViolation(0xDA, "MmUnmapIoSpace with another length than was mapped", 0x400, va, size,
                    record.size);
    MiRemoveRecord(va, &record);
    const uint64_t page = va & ~(MI_PAGE_SIZE - 1);
    for (size_t i = 0; i < record.pages; ++i)
        if (!MiIsGone(page + i * MI_PAGE_SIZE) && !MiIsWatched(page + i * MI_PAGE_SIZE, nullptr))
            MiUnmapPage(page + i * MI_PAGE_SIZE);
    MiForgetGone(page, record.pages);
    MiForgetWatched(page, record.pages);
    MiReleaseSystemPtes(page, record.pages);
}
