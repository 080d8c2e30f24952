// SPDX-License-Identifier: MIT
#include "loader.h"

static const uint64_t kPresent = 1, kWrite = 2, kLarge = 0x80, kGlobal = 0x100;
static const uint64_t kNoExecute = 1ull << 63;
static const uint64_t kAddress = 0x000FFFFFFFFFF000ull;
static const uint64_t kLargeSize = 0x200000;

static uint64_t *NextTable(uint64_t *table, uint64_t index) {
    if (!(table[index] & kPresent))
        table[index] = LoaderAllocate(1) | kPresent | kWrite;
    return (uint64_t *)(table[index] & kAddress);
}

static uint64_t *Directory(uint64_t va) {
    uint64_t *pointers = NextTable(LoaderRoot, (va >> 39) & 511);
    return NextTable(pointers, (va >> 30) & 511);
}

void LoaderMapDirect() {
    for (uint32_t i = 0; i < loader.memory_count; i++) {
        uint64_t end = loader.memory[i].base + loader.memory[i].size;
        for (uint64_t at = loader.memory[i].base & ~(kLargeSize - 1); at < end; at += kLargeSize) {
            uint64_t va = NTC_DIRECT_MAP_BASE + at;
            Directory(va)[(va >> 21) & 511] =
                at | kPresent | kWrite | kLarge | kGlobal | kNoExecute;
        }
    }
}

void LoaderMapPage(uint64_t va, uint64_t physical, bool writable, bool executable) {
    uint64_t *table = NextTable(Directory(va), (va >> 21) & 511);
    table[(va >> 12) & 511] =
        physical | kPresent | kGlobal | (writable ? kWrite : 0) | (executable ? 0 : kNoExecute);
}
