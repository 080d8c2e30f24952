// SPDX-License-Identifier: MIT
//
// Page frames. Two bitmaps (RAM, free) and one I/O lock count a page; at boot
// only those are touched, not the pages themselves.
#include "mm/mi.h"

namespace {

// The first MiB is left to whoever needs it by address (processor start-up).
const uint64_t kLowestPfn = 0x100;

uint64_t *ram_map;
uint64_t *free_map;
uint16_t *lock_counts;
uint64_t pfn_limit;
uint64_t free_count;
uint64_t low_hint;  // no free page below
uint64_t high_hint; // no free page above
MI_LOCK lock;

inline bool TestBit(const uint64_t *map, uint64_t pfn) {
    return (map[pfn / 64] >> (pfn % 64)) & 1;
}
inline void SetBit(uint64_t *map, uint64_t pfn) {
    map[pfn / 64] |= 1ull << (pfn % 64);
}
inline void ClearBit(uint64_t *map, uint64_t pfn) {
    map[pfn / 64] &= ~(1ull << (pfn % 64));
}

void SetRange(uint64_t *map, uint64_t first, uint64_t end) {
    while (first < end && first % 64)
        SetBit(map, first++);
    for (; first + 64 <= end; first += 64)
        map[first / 64] = ~0ull;
    while (first < end)
        SetBit(map, first++);
}

// Room for the bitmaps and counts, cut from the first range that holds them.
uint64_t CarveBootMemory(NTC_LOADER_BLOCK *block, uint64_t bytes) {
    for (uint32_t i = 0; i < block->range_count; ++i) {
        NTC_MEMORY_RANGE *range = &block->ranges[i];
        if (range->base >= kLowestPfn * MI_PAGE_SIZE && range->length >= bytes) {
            const uint64_t physical = range->base;
            range->base += bytes;
            range->length -= bytes;
            return physical;
        }
    }
    KdViolation(0x7D, "INSTALL_MORE_MEMORY: no range of RAM for the page database", bytes, 0, 0, 0);
}

uint64_t Take(uint64_t pfn) {
    ClearBit(free_map, pfn);
    --free_count;
    return pfn;
}

void CheckOwned(uint64_t pfn, const char *what) {
    if (pfn >= pfn_limit || !TestBit(ram_map, pfn))
        KdViolation(0x4E, what, 0x8F, pfn, pfn_limit, 0);
}

} // namespace

void MiInitializePhysicalMemory(NTC_LOADER_BLOCK *block) {
    pfn_limit = block->highest_physical / MI_PAGE_SIZE;
    const uint64_t map_bytes = (pfn_limit + 63) / 64 * 8;
    const uint64_t count_bytes = pfn_limit * sizeof(uint16_t);
    const uint64_t bytes = ROUND_TO_PAGES(2 * map_bytes + count_bytes);
    auto *memory = static_cast<uint8_t *>(MiDirectMap(CarveBootMemory(block, bytes)));
    memset(memory, 0, bytes);
    ram_map = reinterpret_cast<uint64_t *>(memory);
    free_map = reinterpret_cast<uint64_t *>(memory + map_bytes);
    lock_counts = reinterpret_cast<uint16_t *>(memory + 2 * map_bytes);
    for (uint32_t i = 0; i < block->range_count; ++i) {
        const uint64_t first = (block->ranges[i].base + MI_PAGE_SIZE - 1) / MI_PAGE_SIZE;
        const uint64_t end = (block->ranges[i].base + block->ranges[i].length) / MI_PAGE_SIZE;
        const uint64_t start = max(first, kLowestPfn);
        if (start >= end)
            continue;
        SetRange(ram_map, start, end);
        SetRange(free_map, start, end);
        free_count += end - start;
    }
    low_hint = kLowestPfn;
    high_hint = pfn_limit - 1;
}

uint64_t MiAllocatePage(void) {
    MiLockGuard guard(&lock);
    for (uint64_t word = low_hint / 64; word < (pfn_limit + 63) / 64; ++word) {
        if (!free_map[word])
            continue;
        const uint64_t pfn = word * 64 + static_cast<unsigned>(__builtin_ctzll(free_map[word]));
        low_hint = pfn;
        return Take(pfn);
    }
    return 0;
}

uint64_t MiAllocatePageHigh(void) {
    MiLockGuard guard(&lock);
    for (uint64_t word = high_hint / 64 + 1; word-- > 0;) {
        if (!free_map[word])
            continue;
        const uint64_t pfn =
            word * 64 + 63u - static_cast<unsigned>(__builtin_clzll(free_map[word]));
        high_hint = pfn;
        return Take(pfn);
    }
    return 0;
}

// First fit from lowest_pfn. No block crosses a multiple of boundary_pages (0: none).
uint64_t MiAllocateContiguousRange(size_t count, uint64_t lowest_pfn, uint64_t highest_pfn,
                                   uint64_t boundary_pages) {
    if (count == 0 || (boundary_pages && count > boundary_pages))
        return 0;
    MiLockGuard guard(&lock);
    const uint64_t limit = min(highest_pfn, pfn_limit - 1);
    uint64_t start = max(lowest_pfn, low_hint);
    uint64_t run = 0;
    for (uint64_t pfn = start; pfn <= limit; ++pfn) {
        if (pfn % 64 == 0 && !free_map[pfn / 64]) {
            pfn += 63;
            run = 0;
            continue;
        }
        if (!TestBit(free_map, pfn)) {
            run = 0;
            continue;
        }
        if (boundary_pages && pfn % boundary_pages == 0)
            run = 0;
        if (++run < count)
            continue;
        const uint64_t first = pfn + 1 - count;
        for (uint64_t i = first; i <= pfn; ++i)
            Take(i);
        return first;
    }
    return 0;
}

uint64_t MiAllocateContiguousPages(size_t count, uint64_t highest_pfn, uint64_t boundary_pages) {
    if (MiFailsForLack("contiguous-memory"))
        return 0;
    return MiAllocateContiguousRange(count, 0, highest_pfn, boundary_pages);
}

void MiFreePages(uint64_t first_pfn, size_t count) {
    MiLockGuard guard(&lock);
    for (uint64_t pfn = first_pfn; pfn < first_pfn + count; ++pfn) {
        CheckOwned(pfn, "a page that is not RAM of the page allocator is freed");
        if (TestBit(free_map, pfn))
            KdViolation(0x4E, "a free page is freed again", 0x99, pfn, 0, 0);
        if (lock_counts[pfn])
            KdViolation(0x4E, "a page is freed that an MDL still locks for I/O", 0x9A, pfn,
                        lock_counts[pfn], 0);
        SetBit(free_map, pfn);
        ++free_count;
    }
    low_hint = min(low_hint, first_pfn);
    high_hint = max(high_hint, first_pfn + count - 1);
}

bool MiIsRam(uint64_t pfn) {
    return pfn < pfn_limit && TestBit(ram_map, pfn);
}

uint64_t MiFreePageCount(void) {
    return free_count;
}

uint64_t MiHighestPfn(void) {
    return pfn_limit - 1;
}

void MiLockPage(uint64_t pfn) {
    MiLockGuard guard(&lock);
    if (pfn >= pfn_limit) // device memory isn't counted
        return;
    if (++lock_counts[pfn] == 0)
        KdViolation(0x4E, "a page is locked 65536 times", 0x7, pfn, 0, 0);
}

void MiUnlockPage(uint64_t pfn, PMDL mdl) {
    MiLockGuard guard(&lock);
    if (pfn >= pfn_limit)
        return;
    if (lock_counts[pfn]-- == 0)
        KdViolation(0x4E, "a page is unlocked more often than it was locked", 0x7, pfn,
                    reinterpret_cast<uintptr_t>(mdl), 0);
}

bool MiIsPageLocked(uint64_t pfn) {
    return pfn < pfn_limit && lock_counts[pfn] != 0;
}
