// SPDX-License-Identifier: MIT
//
// Page tables below the loader's PML4, reached through the direct map.
#include "mm/mi.h"

namespace {

const uint64_t kPresent = 1, kWrite = 2, kWriteThrough = 8, kCacheDisable = 0x10, kLarge = 0x80,
               kGlobal = 0x100, kNoExecute = 1ull << 63;
const uint64_t kAddress = 0x000FFFFFFFFFF000ull;

uint64_t root;
MI_LOCK lock;
uint64_t window;        // the debugger's, for device memory
uint64_t *window_entry; // nullptr: there is none

inline uint64_t *Table(uint64_t entry) {
    return static_cast<uint64_t *>(MiDirectMap(entry & kAddress));
}

inline unsigned IndexOf(uint64_t va, unsigned shift) {
    return static_cast<unsigned>(va >> shift) & 511;
}

// The entry of the last level, making the tables on the way; nullptr: no memory.
uint64_t *EntryForMapping(uint64_t va) {
    uint64_t *table = Table(root);
    for (unsigned shift = 39; shift > 12; shift -= 9) {
        uint64_t *entry = &table[IndexOf(va, shift)];
        if (!(*entry & kPresent)) {
            const uint64_t pfn = MiAllocatePage();
            if (!pfn)
                return nullptr;
            memset(MiDirectMap(pfn * MI_PAGE_SIZE), 0, MI_PAGE_SIZE);
            *entry = pfn * MI_PAGE_SIZE | kPresent | kWrite;
        } else if (*entry & kLarge) {
            KdViolation(0x1A, "a page is mapped inside a large page", 0x41284, va, *entry, 0);
        }
        table = Table(*entry);
    }
    return &table[IndexOf(va, 12)];
}

// The present entry that maps va and the size of its page; 0: none.
uint64_t Walk(uint64_t va, uint64_t *page_size, uint64_t **where) {
    uint64_t *table = Table(root);
    for (unsigned shift = 39;; shift -= 9) {
        uint64_t *entry = &table[IndexOf(va, shift)];
        if (!(*entry & kPresent))
            return 0;
        if (shift == 12 || ((*entry & kLarge) && shift < 39)) {
            *page_size = 1ull << shift;
            if (where)
                *where = entry;
            return *entry;
        }
        table = Table(*entry);
    }
}

bool IsCanonical(uint64_t va) {
    const int64_t high = static_cast<int64_t>(va) >> 47;
    return high == 0 || high == -1;
}

uint64_t CacheBits(MEMORY_CACHING_TYPE caching) {
    switch (caching) {
    case MmCached:
        return 0;
    case MmNonCached:
    case MmWriteCombined: // the processor's default PAT has no write-combining entry
        return kCacheDisable | kWriteThrough;
    default:
        KdViolation(0xC4, "a caching type that doesn't exist", 0x16, caching, 0, 0);
    }
}

bool TryMap(uint64_t va, uint64_t entry_value) {
    uint64_t *entry = EntryForMapping(va);
    if (!entry)
        return false;
    if (*entry & kPresent)
        KdViolation(0x1A, "an address is mapped that is mapped already", 0x41287, va, *entry, 0);
    *entry = entry_value;
    return true;
}

uint64_t Unmap(uint64_t va) {
    uint64_t size;
    uint64_t *entry;
    const uint64_t value = Walk(va, &size, &entry);
    if (!value || size != MI_PAGE_SIZE)
        KdViolation(0x1A, "an address is unmapped that isn't mapped", 0x41287, va, value, 0);
    *entry = 0;
    __invlpg(reinterpret_cast<void *>(va));
    return (value & kAddress) / MI_PAGE_SIZE;
}

} // namespace

void MiInitializePageTables(NTC_LOADER_BLOCK *block) {
    root = block->page_table_root;
}

void MiMapPage(uint64_t va, uint64_t pfn, BOOLEAN writable, BOOLEAN executable,
               MEMORY_CACHING_TYPE caching) {
    const uint64_t value = pfn * MI_PAGE_SIZE | kPresent | kGlobal | (writable ? kWrite : 0) |
                           (executable ? 0 : kNoExecute) | CacheBits(caching);
    MiLockGuard guard(&lock);
    if (!TryMap(va, value))
        KdViolation(0x1A, "no memory for page tables", 0x5, va, 0, 0);
}

void MiUnmapPage(uint64_t va) {
    MiLockGuard guard(&lock);
    Unmap(va);
}

uint64_t MiPhysicalAddress(uint64_t va) {
    uint64_t size;
    const uint64_t entry = IsCanonical(va) ? Walk(va, &size, nullptr) : 0;
    if (!entry)
        return 0;
    return (entry & kAddress & ~(size - 1)) | (va & (size - 1));
}

bool MiIsWritable(uint64_t va) {
    uint64_t size;
    const uint64_t entry = IsCanonical(va) ? Walk(va, &size, nullptr) : 0;
    return (entry & (kPresent | kWrite)) == (kPresent | kWrite);
}

bool MiQueryPage(uint64_t va, MI_PAGE_INFO *info) {
    uint64_t size;
    const uint64_t entry = IsCanonical(va) ? Walk(va, &size, nullptr) : 0;
    if (!entry)
        return false;
    info->physical = (entry & kAddress & ~(size - 1)) | (va & (size - 1));
    info->writable = (entry & kWrite) != 0;
    return true;
}

void *MiMapDebugWindow(uint64_t physical) {
    if (!window_entry || physical >= 1ull << 52)
        return nullptr;
    *window_entry = (physical & kAddress) | kPresent | kWrite | kNoExecute | CacheBits(MmNonCached);
    __invlpg(reinterpret_cast<void *>(window));
    return reinterpret_cast<void *>(window + physical % MI_PAGE_SIZE);
}

void MiInitializeDebugWindow(void) {
    window = MiReserveSystemPtes(1);
    if (window)
        window_entry = EntryForMapping(window);
}

bool MiMapScattered(uint64_t va, size_t pages) {
    for (size_t i = 0; i < pages; ++i) {
        const uint64_t pfn = (i & 1) ? MiAllocatePageHigh() : MiAllocatePage();
        bool mapped = false;
        if (pfn) {
            MiLockGuard guard(&lock);
            mapped = TryMap(va + i * MI_PAGE_SIZE,
                            pfn * MI_PAGE_SIZE | kPresent | kWrite | kGlobal | kNoExecute);
        }
        if (mapped)
            continue;
        if (pfn)
            MiFreePages(pfn, 1);
        MiUnmapAndFree(va, i);
        return false;
    }
    return true;
}

void MiUnmapAndFree(uint64_t va, size_t pages) {
    for (size_t i = 0; i < pages; ++i) {
        uint64_t pfn;
        {
            MiLockGuard guard(&lock);
            pfn = Unmap(va + i * MI_PAGE_SIZE);
        }
        MiFreePages(pfn, 1);
    }
}
