// SPDX-License-Identifier: MIT
//
// Pool blocks below a page. Each size class carves whole pages into slots; a slot
// is header, body, guard bytes up to its end. Freed slots go to the end of a queue
// and keep a fill pattern that is checked when they come into use again, so that
// writing after free is seen.
#include "mm/mi.h"

namespace {

const uint32_t kMagicUsed = 0x6C6F6F50; // 'Pool'
const uint32_t kMagicFree = 0x65657246; // 'Free'
const uint8_t kGuard = 0xBD;
const size_t kLeastGuard = 8;

struct Header {
    uint32_t magic;
    uint32_t tag;
    uint32_t size; // as asked for
    uint16_t slot_size;
    uint16_t pool_type;
    uint64_t caller;
    LIST_ENTRY links; // of the live blocks, or of the class's free slots
    uint64_t canary;  // the address, scrambled: catches a write before the body
};
static_assert(sizeof(Header) == 48, "the body has to be 16-byte aligned");

const uint16_t kSlotSizes[] = {80,  96,  128, 160,  192,  256,  320,
                               448, 576, 800, 1008, 1344, 2032, 4096};
const size_t kClasses = sizeof(kSlotSizes) / sizeof(kSlotSizes[0]);
const uint16_t kHidden = 0x8000; // in pool_type: mm's own

struct Class {
    LIST_ENTRY free;
    uint32_t free_slots;
};

Class classes[kClasses];
LIST_ENTRY live;
uint64_t page_map[MI_SMALL_POOL_PAGES / 64];
MI_VA_SPACE space = {MI_SMALL_POOL_BASE, MI_SMALL_POOL_PAGES, 0, page_map, {0}};
uint64_t first_page_va;
uint64_t end_page_va;
MI_LOCK lock;

// Freed slots wait until so many are there before the first is used again.
const uint32_t kQuarantine = 16;

uint64_t CanaryOf(const Header *header) {
    return reinterpret_cast<uint64_t>(header) ^ 0xA5C396E15A3C691Eull;
}

uint8_t *BodyOf(Header *header) {
    return reinterpret_cast<uint8_t *>(header + 1);
}

bool GrowClass(size_t index) {
    const uint64_t va = MiReserveVa(&space, 1);
    if (!va)
        return false;
    if (!MiMapScattered(va, 1)) {
        MiReleaseVa(&space, va, 1);
        return false;
    }
    if (!first_page_va)
        first_page_va = va;
    end_page_va = max(end_page_va, va + MI_PAGE_SIZE);
    const uint16_t slot = kSlotSizes[index];
    memset(reinterpret_cast<void *>(va), MI_FILL_FREED, MI_PAGE_SIZE);
    for (uint64_t at = va; at + slot <= va + MI_PAGE_SIZE; at += slot) {
        auto *header = reinterpret_cast<Header *>(at);
        header->magic = kMagicFree;
        header->slot_size = slot;
        header->tag = 0;
        header->caller = 0;
        header->canary = CanaryOf(header);
        MiLockGuard guard(&lock);
        InsertTailList(&classes[index].free, &header->links);
        ++classes[index].free_slots;
    }
    return true;
}

void CheckFreeSlot(Header *header) {
    if (header->magic != kMagicFree || header->canary != CanaryOf(header))
        KdViolation(0x19, "the header of a free pool block was overwritten", 0x3,
                    reinterpret_cast<uintptr_t>(header), header->magic, header->tag);
    const uint8_t *body = BodyOf(header);
    const size_t length = header->slot_size - sizeof(Header);
    for (size_t i = 0; i < length; i += 8) {
        const uint64_t value = *reinterpret_cast<const uint64_t *>(body + i);
        if (value != 0x0101010101010101ull * MI_FILL_FREED)
            KdViolation(
                0x19,
                "a pool block was written after it had been freed (parameter 4: its last tag)", 0x3,
                reinterpret_cast<uintptr_t>(body + i), value, header->tag);
    }
}

void CheckGuard(Header *header) {
    const uint8_t *body = BodyOf(header);
    const size_t end = header->slot_size - sizeof(Header);
    for (size_t i = header->size; i < end; ++i) {
        if (body[i] != kGuard)
            KdViolation(0x19, "the data behind a pool block is corrupt (overrun)", 0x21,
                        reinterpret_cast<uintptr_t>(body), header->size, body[i]);
    }
}

// Any address may come: nothing is read before it is known to be mapped pool.
Header *HeaderOf(void *block) {
    const uint64_t va = reinterpret_cast<uint64_t>(block);
    const uint64_t header = va - sizeof(Header);
    if (va % 16 || !MiPhysicalAddress(va) || (header ^ va) / MI_PAGE_SIZE)
        KdViolation(0xC2, "an address is freed that was never allocated", 0x46, va, 0, 0);
    return reinterpret_cast<Header *>(header);
}

} // namespace

void MiInitializeSmallPool(void) {
    InitializeListHead(&live);
    for (size_t i = 0; i < kClasses; ++i)
        InitializeListHead(&classes[i].free);
}

bool MiIsSmallPoolAddress(uint64_t va) {
    return va >= MI_SMALL_POOL_BASE && va < MI_SMALL_POOL_BASE + MI_SMALL_POOL_PAGES * MI_PAGE_SIZE;
}

void *MiAllocateSmall(size_t size, uint32_t tag, uint16_t pool_type, uint64_t caller, bool hidden) {
    size_t index = 0;
    while (index < kClasses && kSlotSizes[index] < size + sizeof(Header) + kLeastGuard)
        ++index;
    if (index == kClasses)
        return nullptr;
    for (int attempt = 0;; ++attempt) {
        {
            MiLockGuard guard(&lock);
            Class *slots = &classes[index];
            if (slots->free_slots > kQuarantine || (attempt && slots->free_slots)) {
                auto *header = CONTAINING_RECORD(slots->free.Flink, Header, links);
                CheckFreeSlot(header);
                RemoveEntryList(&header->links);
                --slots->free_slots;
                header->magic = kMagicUsed;
                header->tag = tag;
                header->size = static_cast<uint32_t>(size);
                header->pool_type = static_cast<uint16_t>(pool_type | (hidden ? kHidden : 0));
                header->caller = caller;
                InsertTailList(&live, &header->links);
                uint8_t *body = BodyOf(header);
                memset(body, MI_FILL_ALLOCATED, size);
                memset(body + size, kGuard, header->slot_size - sizeof(Header) - size);
                return body;
            }
        }
        if (!GrowClass(index) && attempt)
            return nullptr;
    }
}

void MiFreeSmall(void *block, uint32_t tag) {
    MiLockGuard guard(&lock);
    Header *header = HeaderOf(block);
    const uint64_t va = reinterpret_cast<uint64_t>(block);
    if (header->magic == kMagicFree && header->canary == CanaryOf(header))
        KdViolation(0xC2, "a pool block is freed that is free already", 0x7, header->tag,
                    header->caller, va);
    if (header->magic != kMagicUsed)
        KdViolation(0xC2,
                    "an address is freed that was never allocated, or its header is overwritten",
                    0x46, va, header->magic, 0);
    if (header->canary != CanaryOf(header))
        KdViolation(0x19, "the header of a pool block was overwritten (underrun)", 0x20, va,
                    header->canary, header->size);
    if (tag && tag != header->tag)
        KdViolation(0xC2, "a pool block is freed with another tag than it was allocated with", 0xA,
                    va, header->tag, tag);
    CheckGuard(header);
    RemoveEntryList(&header->links);
    header->magic = kMagicFree;
    memset(block, MI_FILL_FREED, header->slot_size - sizeof(Header));
    size_t index = 0;
    while (kSlotSizes[index] != header->slot_size)
        ++index;
    InsertTailList(&classes[index].free, &header->links);
    ++classes[index].free_slots;
}

void MiForEachSmall(void (*visit)(const MI_BLOCK_INFO *block, void *context), void *context) {
    MiLockGuard guard(&lock);
    for (LIST_ENTRY *entry = live.Flink; entry != &live; entry = entry->Flink) {
        auto *header = CONTAINING_RECORD(entry, Header, links);
        if (header->pool_type & kHidden)
            continue;
        const MI_BLOCK_INFO info = {reinterpret_cast<uint64_t>(BodyOf(header)), header->size,
                                    header->caller, header->tag, header->pool_type};
        visit(&info, context);
    }
}
