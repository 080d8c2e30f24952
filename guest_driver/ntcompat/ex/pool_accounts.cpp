// SPDX-License-Identifier: MIT
//
// Who holds how much pool: by tag, and by the image whose code allocated it.
#include "mm/mi.h"

namespace {

struct TagSum {
    ULONG tag;
    size_t blocks;
    size_t bytes;
};

void AddSmall(const MI_BLOCK_INFO *block, void *context) {
    auto *sum = static_cast<TagSum *>(context);
    if (block->tag == sum->tag) {
        ++sum->blocks;
        sum->bytes += block->size;
    }
}

void AddRecord(const MI_RECORD *record, void *context) {
    auto *sum = static_cast<TagSum *>(context);
    if (record->kind == MiRecordPool && record->tag == sum->tag) {
        ++sum->blocks;
        sum->bytes += record->size;
    }
}

struct ImageLeaks {
    uint64_t base;
    uint64_t size;
    size_t pool_blocks;
    size_t mappings;
};

bool IsFrom(const ImageLeaks *leaks, uint64_t caller) {
    return caller - leaks->base < leaks->size;
}

void PrintTag(uint32_t tag, char *text) {
    for (int i = 0; i < 4; ++i, tag >>= 8) {
        const char c = static_cast<char>(tag & 0x7F);
        text[i] = c >= ' ' && c < 0x7F ? c : '.';
    }
    text[4] = 0;
}

void LeakedSmall(const MI_BLOCK_INFO *block, void *context) {
    auto *leaks = static_cast<ImageLeaks *>(context);
    if (!IsFrom(leaks, block->caller))
        return;
    char tag[5];
    PrintTag(block->tag, tag);
    KdPrint_("pool leak: %p, %zu bytes, tag '%s', allocated from image+0x%llx\n",
             reinterpret_cast<void *>(block->va), block->size, tag, block->caller - leaks->base);
    ++leaks->pool_blocks;
}

void LeakedRecord(const MI_RECORD *record, void *context) {
    auto *leaks = static_cast<ImageLeaks *>(context);
    if (!IsFrom(leaks, record->caller))
        return;
    static const char *const kinds[] = {"pool", "contiguous memory", "noncached memory",
                                        "I/O space mapping"};
    char tag[5];
    PrintTag(record->tag, tag);
    KdPrint_("%s leak: %p, %zu bytes, tag '%s', allocated from image+0x%llx\n", kinds[record->kind],
             reinterpret_cast<void *>(record->va), record->size, tag, record->caller - leaks->base);
    if (record->kind == MiRecordPool)
        ++leaks->pool_blocks;
    else
        ++leaks->mappings;
}

} // namespace

void ExQueryPoolTag(ULONG tag, size_t *blocks, size_t *bytes) {
    TagSum sum = {tag, 0, 0};
    MiForEachSmall(AddSmall, &sum);
    MiForEachRecord(AddRecord, &sum);
    *blocks = sum.blocks;
    *bytes = sum.bytes;
}

void ExCheckPoolOfImage(uint64_t base, uint64_t size) {
    ImageLeaks leaks = {base, size, 0, 0};
    MiForEachSmall(LeakedSmall, &leaks);
    MiForEachRecord(LeakedRecord, &leaks);
    if (leaks.pool_blocks)
        KdViolation(0xC4, "a driver was unloaded without freeing its pool", 0x62, base, 0,
                    leaks.pool_blocks);
    if (leaks.mappings)
        KdViolation(0xC4, "a driver was unloaded without freeing contiguous memory or I/O mappings",
                    0x62, base, 0, leaks.mappings);
}
