// SPDX-License-Identifier: MIT
//
// Pool blocks of a page and more: page-aligned, on pages that are not neighbours
// in physical memory, with an unmapped page behind. And the table of everything
// that mm maps on a caller's behalf.
#include "mm/mi.h"

namespace {

const size_t kBuckets = 1024;
MI_RECORD *buckets[kBuckets];
MI_LOCK table_lock;

uint64_t page_map[MI_LARGE_POOL_PAGES / 64];
MI_VA_SPACE space = {MI_LARGE_POOL_BASE, MI_LARGE_POOL_PAGES, 0, page_map, {0}};

inline MI_RECORD **BucketOf(uint64_t va) {
    return &buckets[(va / MI_PAGE_SIZE) % kBuckets];
}

// The bytes between the end of the block and the end of its last page.
void FillTail(void *block, size_t size, size_t pages) {
    memset(static_cast<uint8_t *>(block) + size, 0xBD, pages * MI_PAGE_SIZE - size);
}

void CheckTail(const MI_RECORD *record) {
    auto *bytes = reinterpret_cast<const uint8_t *>(record->va);
    for (size_t i = record->size; i < record->pages * MI_PAGE_SIZE; ++i) {
        if (bytes[i] != 0xBD)
            KdViolation(0x19, "the data behind a pool block is corrupt (overrun)", 0x21, record->va,
                        record->size, bytes[i]);
    }
}

} // namespace

bool MiInsertRecord(const MI_RECORD *record) {
    auto *copy = static_cast<MI_RECORD *>(MiAllocateSmall(sizeof(MI_RECORD), 'cRmM', 0, 0, true));
    if (!copy)
        return false;
    *copy = *record;
    MiLockGuard guard(&table_lock);
    MI_RECORD **bucket = BucketOf(record->va);
    copy->next = *bucket;
    *bucket = copy;
    return true;
}

bool MiFindRecord(uint64_t va, MI_RECORD *record) {
    MiLockGuard guard(&table_lock);
    for (MI_RECORD *entry = *BucketOf(va); entry; entry = entry->next) {
        if (entry->va == va) {
            *record = *entry;
            return true;
        }
    }
    return false;
}

bool MiRemoveRecord(uint64_t va, MI_RECORD *record) {
    MI_RECORD *found = nullptr;
    {
        MiLockGuard guard(&table_lock);
        for (MI_RECORD **link = BucketOf(va); *link; link = &(*link)->next) {
            if ((*link)->va == va) {
                found = *link;
                *link = found->next;
                break;
            }
        }
    }
    if (!found)
        return false;
    *record = *found;
    MiFreeSmall(found, 'cRmM');
    return true;
}

void MiForEachRecord(void (*visit)(const MI_RECORD *record, void *context), void *context) {
    MiLockGuard guard(&table_lock);
    for (size_t i = 0; i < kBuckets; ++i) {
        for (MI_RECORD *entry = buckets[i]; entry; entry = entry->next)
            visit(entry, context);
    }
}

void *MiAllocateLarge(size_t size, uint32_t tag, uint16_t pool_type, uint64_t caller) {
    const size_t pages = BYTES_TO_PAGES(size);
    if (pages >= MI_LARGE_POOL_PAGES)
        return nullptr;
    const uint64_t va = MiReserveVa(&space, pages + 1);
    if (!va)
        return nullptr;
    const MI_RECORD record = {nullptr, va, size, pages, caller, tag, pool_type, MiRecordPool, 0};
    if (!MiMapScattered(va, pages)) {
        MiReleaseVa(&space, va, pages + 1);
        return nullptr;
    }
    if (!MiInsertRecord(&record)) {
        MiUnmapAndFree(va, pages);
        MiReleaseVa(&space, va, pages + 1);
        return nullptr;
    }
    auto *block = reinterpret_cast<void *>(va);
    memset(block, MI_FILL_ALLOCATED, size);
    FillTail(block, size, pages);
    return block;
}

void MiFreeLarge(void *block, uint32_t tag) {
    const uint64_t va = reinterpret_cast<uint64_t>(block);
    MI_RECORD record;
    if (!MiFindRecord(va, &record)) {
        if (va >= MI_LARGE_POOL_BASE &&
            va < MI_LARGE_POOL_BASE + MI_LARGE_POOL_PAGES * MI_PAGE_SIZE && va % MI_PAGE_SIZE == 0)
            KdViolation(0xC2, "a pool block is freed that is free already or never was one", 0x7, 0,
                        0, va);
        KdViolation(0xC2, "an address is freed that was never allocated", 0x46, va, 0, 0);
    }
    if (record.kind != MiRecordPool)
        KdViolation(0xC2, "memory is freed to the pool that is no pool", 0x46, va, record.kind, 0);
    if (tag && tag != record.tag)
        KdViolation(0xC2, "a pool block is freed with another tag than it was allocated with", 0xA,
                    va, record.tag, tag);
    CheckTail(&record);
    // Two processors that free the same block meet here.
    if (!MiRemoveRecord(va, &record))
        KdViolation(0xC2, "a pool block is freed that is free already", 0x7, 0, 0, va);
    MiUnmapAndFree(va, record.pages);
    MiReleaseVa(&space, va, record.pages + 1);
}
