// SPDX-License-Identifier: MIT
//
// Device memory whose accesses are watched, for devices that lie (pnp/liar.cpp). Its pages
// are taken out of the page tables, as those of devices that are gone are; each access
// faults, and is let through to the device for the one instruction (ke/liar.cpp).
#include "ke/liar.h"
#include "mm/mi.h"

namespace {

struct Memory { // of a device
    uint64_t first_pfn;
    size_t pages;
};
struct Range { // of a mapping
    uint64_t va;
    size_t pages; // 0: free
    uint64_t first_pfn;
};

constexpr size_t kMemories = 8, kRanges = 32;
Memory memories[kMemories];
size_t memory_count;
Range ranges[kRanges];

const Range *Find(uint64_t va) {
    for (const Range &range : ranges)
        if (va >= range.va && va < range.va + range.pages * MI_PAGE_SIZE)
            return &range;
    return nullptr;
}

void Watch(uint64_t va, uint64_t pfn, size_t pages) {
    size_t i = 0;
    while (i < kRanges && ranges[i].pages)
        i++;
    if (i == kRanges)
        KdUnimplemented("more watched mappings of device memory than fit the table");
    ranges[i] = {va, pages, pfn};
    for (size_t page = 0; page < pages; page++)
        MiUnmapPage(va + page * MI_PAGE_SIZE);
}

// Pages of a mapping that are the device's, and are not watched yet.
void WatchPart(const MI_RECORD *record, const Memory &memory) {
    const uint64_t page = record->va & ~(MI_PAGE_SIZE - 1);
    for (size_t i = 0; i < record->pages; i++) {
        const uint64_t pfn = record->first_pfn + i, va = page + i * MI_PAGE_SIZE;
        if (pfn >= memory.first_pfn && pfn < memory.first_pfn + memory.pages && !Find(va) &&
            !MiIsGone(va))
            Watch(va, pfn, 1);
    }
}

void Visit(const MI_RECORD *record, void *context) {
    if (record->kind == MiRecordIoSpace)
        WatchPart(record, *static_cast<const Memory *>(context));
}

} // namespace

NTSTATUS MiWatchMemory(uint64_t physical, uint64_t length) {
    const Memory memory = {physical / MI_PAGE_SIZE,
                           ADDRESS_AND_SIZE_TO_SPAN_PAGES(physical, length)};
    if (memory_count == kMemories)
        return STATUS_INSUFFICIENT_RESOURCES;
    memories[memory_count++] = memory;
    MiForEachRecord(Visit, const_cast<Memory *>(&memory));
    return STATUS_SUCCESS;
}

void MiWatchMapping(const MI_RECORD *record) {
    for (size_t i = 0; i < memory_count; i++)
        WatchPart(record, memories[i]);
}

void MiUnwatchAll(void) {
    memory_count = 0;
    for (Range &range : ranges) {
        for (size_t i = 0; i < range.pages; i++)
            if (!MiIsGone(range.va + i * MI_PAGE_SIZE))
                MiMapPage(range.va + i * MI_PAGE_SIZE, range.first_pfn + i, TRUE, FALSE,
                          MmNonCached);
        range.pages = 0;
    }
}

bool MiIsWatched(uint64_t va, uint64_t *physical) {
    const Range *range = Find(va);
    if (range && physical)
        *physical = range->first_pfn * MI_PAGE_SIZE + (va - range->va);
    return range != nullptr;
}

void MiForgetWatched(uint64_t va, size_t pages) {
    for (Range &range : ranges)
        if (range.va >= va && range.va < va + pages * MI_PAGE_SIZE)
            range.pages = 0;
}

void MiBeginWatchedAccess(uint64_t va) {
    uint64_t physical = 0;
    MiIsWatched(va, &physical);
    MiMapPage(va & ~(MI_PAGE_SIZE - 1), physical / MI_PAGE_SIZE, TRUE, FALSE, MmNonCached);
}

void MiEndWatchedAccess(uint64_t va) {
    MiUnmapPage(va & ~(MI_PAGE_SIZE - 1));
}
