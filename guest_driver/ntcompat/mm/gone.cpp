// SPDX-License-Identifier: MIT
//
// Device memory behind which there is no device any more. On a PCI bus nobody answers:
// a read gives all ones, a write is lost. An emulator may answer otherwise, so these
// pages are taken out of the page tables; each access faults, and is let through to a
// page of ones for the one instruction (ke/trap.cpp).
#include "mm/mi.h"

namespace {

struct Range {
    uint64_t va;
    size_t pages; // 0: free
};

constexpr size_t kRanges = 32;
Range ranges[kRanges];
MI_LOCK lock;
uint64_t ones; // page frame number

struct Search {
    uint64_t physical, length;
};

// Pages of the record that are the device's.
Range PagesOf(const MI_RECORD *record, const Search *search) {
    const uint64_t first = record->first_pfn, end = first + record->pages;
    const uint64_t low = search->physical / MI_PAGE_SIZE;
    const uint64_t high = (search->physical + search->length + MI_PAGE_SIZE - 1) / MI_PAGE_SIZE;
    const uint64_t from = first > low ? first : low, to = end < high ? end : high;
    if (from >= to)
        return {0, 0};
    return {(record->va & ~(MI_PAGE_SIZE - 1)) + (from - first) * MI_PAGE_SIZE,
            static_cast<size_t>(to - from)};
}

void Visit(const MI_RECORD *record, void *context) {
    if (record->kind != MiRecordIoSpace)
        return;
    const Range range = PagesOf(record, static_cast<const Search *>(context));
    if (!range.pages || MiIsGone(range.va))
        return;
    {
        MiLockGuard guard(&lock);
        size_t i = 0;
        while (i < kRanges && ranges[i].pages)
            i++;
        if (i == kRanges)
            KdUnimplemented("more mappings of devices that are gone than fit the table");
        ranges[i] = range;
    }
    for (size_t i = 0; i < range.pages; i++)
        MiUnmapPage(range.va + i * MI_PAGE_SIZE);
}

void FillOnes() {
    RtlFillMemory(MiDirectMap(ones * MI_PAGE_SIZE), MI_PAGE_SIZE, 0xFF);
}

} // namespace

void MiRemoveDevice(uint64_t physical, uint64_t length) {
    if (!ones)
        ones = MiAllocatePage();
    if (!ones)
        KdViolation(0xC4, "no page for a device that is gone", 0, physical, length, 0);
    Search search = {physical, length};
    MiForEachRecord(Visit, &search);
}

bool MiIsGone(uint64_t va) {
    MiLockGuard guard(&lock);
    for (const Range &range : ranges)
        if (va >= range.va && va < range.va + range.pages * MI_PAGE_SIZE)
            return true;
    return false;
}

void MiForgetGone(uint64_t va, size_t pages) {
    MiLockGuard guard(&lock);
    for (Range &range : ranges)
        if (range.va >= va && range.va < va + pages * MI_PAGE_SIZE)
            range.pages = 0;
}

void MiBeginGoneAccess(uint64_t va) {
    FillOnes();
    MiMapPage(va & ~(MI_PAGE_SIZE - 1), ones, TRUE, FALSE, MmNonCached);
}

void MiEndGoneAccess(uint64_t va) {
    MiUnmapPage(va & ~(MI_PAGE_SIZE - 1));
}
