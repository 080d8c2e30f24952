// SPDX-License-Identifier: MIT
//
// Ranges of the system address space: system PTEs, large pool, kernel stacks.
#include "mm/mi.h"

namespace {

uint64_t system_pte_map[MI_SYSTEM_PTE_PAGES / 64];
MI_VA_SPACE system_ptes = {NTC_SYSTEM_PTE_BASE, MI_SYSTEM_PTE_PAGES, 0, system_pte_map, {0}};

// First free run of `pages` pages in [from, to); to: none.
uint32_t FindRun(const MI_VA_SPACE *space, uint32_t from, uint32_t to, size_t pages) {
    size_t run = 0;
    for (uint32_t i = from; i < to; ++i) {
        const uint64_t word = space->used[i / 64];
        if (i % 64 == 0 && word == ~0ull) {
            i += 63;
            run = 0;
        } else if (i % 64 == 0 && word == 0 && run + 64 < pages && i + 64 <= to) {
            i += 63;
            run += 64;
        } else if ((word >> (i % 64)) & 1) {
            run = 0;
        } else if (++run == pages) {
            return static_cast<uint32_t>(i + 1 - pages);
        }
    }
    return to;
}

// Pages of a kernel stack on Windows for x64: 24 KiB.
const size_t kStackPages = 6;

} // namespace

uint64_t MiReserveVa(MI_VA_SPACE *space, size_t pages) {
    if (pages == 0 || pages > space->pages)
        return 0;
    MiLockGuard guard(&space->lock);
    uint32_t first = FindRun(space, space->cursor, space->pages, pages);
    if (first == space->pages) {
        first = FindRun(space, 0, space->pages, pages);
        if (first == space->pages)
            return 0;
    }
    for (size_t i = first; i < first + pages; ++i)
        space->used[i / 64] |= 1ull << (i % 64);
    space->cursor = static_cast<uint32_t>((first + pages) % space->pages);
    return space->base + first * MI_PAGE_SIZE;
}

void MiReleaseVa(MI_VA_SPACE *space, uint64_t va, size_t pages) {
    const uint64_t first = (va - space->base) / MI_PAGE_SIZE;
    if (va < space->base || va % MI_PAGE_SIZE || first + pages > space->pages)
        KdViolation(0xDA, "released addresses are not of the range", 0x300, va, pages, 0);
    MiLockGuard guard(&space->lock);
    for (uint64_t i = first; i < first + pages; ++i) {
        if (!((space->used[i / 64] >> (i % 64)) & 1))
            KdViolation(0xDA, "released addresses are not reserved", 0x302, va, pages, i);
        space->used[i / 64] &= ~(1ull << (i % 64));
    }
}

uint64_t MiReserveSystemPtes(size_t pages) {
    if (MiFailsForLack("address-space"))
        return 0;
    const uint64_t va = MiReserveVa(&system_ptes, pages + 2);
    return va ? va + MI_PAGE_SIZE : 0;
}

void MiReleaseSystemPtes(uint64_t va, size_t pages) {
    for (size_t i = 0; i < pages; ++i) {
        if (MiPhysicalAddress(va + i * MI_PAGE_SIZE))
            KdViolation(0xDA, "released system PTEs are still mapped", 0x300, va, pages, i);
    }
    MiReleaseVa(&system_ptes, va - MI_PAGE_SIZE, pages + 2);
}

void *MmCreateKernelStack(void) {
    const uint64_t va = MiReserveSystemPtes(kStackPages);
    if (!va)
        return nullptr;
    if (!MiMapScattered(va, kStackPages)) {
        MiReleaseSystemPtes(va, kStackPages);
        return nullptr;
    }
    return reinterpret_cast<void *>(va + kStackPages * MI_PAGE_SIZE);
}

void MmDeleteKernelStack(void *top) {
    const uint64_t va = reinterpret_cast<uint64_t>(top) - kStackPages * MI_PAGE_SIZE;
    MiUnmapAndFree(va, kStackPages);
    MiReleaseSystemPtes(va, kStackPages);
}
