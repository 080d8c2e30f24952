// SPDX-License-Identifier: MIT
//
// Coverage counters of an image that clang has instrumented (its section .lprfc). They lie in
// pages of their own that outlive the image, and are mapped again when it is loaded again: so
// what DriverUnload did isn't lost, and counts add up until the machine starts anew. Whoever
// reads the guest's physical memory finds them by the line that is logged.
#include "ldrp.h"

#include "kd/kdp.h"

extern "C" {

enum { LDR_MAX_COUNTED = 4 };

// In a page before the counters: without it a reader could take for counters what a machine
// that has just started anew has put there.
struct LDR_COUNTERS {
    char mark[8];
    uint32_t checksum; // the image's: other counters belong to another build
    uint32_t bytes;
    uint64_t boot; // other in each start of the machine: those before it have to be added
};

static struct {
    uint32_t checksum, bytes;
    uint64_t first_pfn; // of the page before the counters; 0: free
} LdrCounted[LDR_MAX_COUNTED];

static const PeSection *LdrCounterSection(const LDR_IMAGE *image) {
    static const char name[8] = {'.', 'l', 'p', 'r', 'f', 'c', 0, 0};
    for (uint16_t s = 0; s < image->pe.file->section_count; s++)
        if (RtlCompareMemory(image->pe.sections[s].name, name, sizeof(name)) == sizeof(name))
            return &image->pe.sections[s];
    return nullptr;
}

static uint64_t LdrMakeCounters(const LDR_IMAGE *image, uint32_t bytes) {
    const size_t pages = 1 + BYTES_TO_PAGES(bytes);
    uint64_t pfn = MiAllocateContiguousPages(pages, ~0ull >> 12, 0);
    if (pfn == 0)
        return 0;
    LDR_COUNTERS *header = (LDR_COUNTERS *)(NTC_DIRECT_MAP_BASE + pfn * PAGE_SIZE);
    __stosb((UCHAR *)header, 0, pages * PAGE_SIZE);
    RtlCopyMemory(header->mark, "VQ7COUNT", sizeof(header->mark));
    header->checksum = image->image.checksum;
    header->bytes = bytes;
    header->boot = __rdtsc();
    return pfn;
}

// Once for each build of an image.
static uint64_t LdrFindCounters(const LDR_IMAGE *image, uint32_t bytes) {
    for (auto &each : LdrCounted) {
        if (each.first_pfn != 0 && each.checksum == image->image.checksum && each.bytes == bytes)
            return each.first_pfn;
        if (each.first_pfn != 0)
            continue;
        each.first_pfn = LdrMakeCounters(image, bytes);
        each.checksum = image->image.checksum;
        each.bytes = bytes;
        return each.first_pfn;
    }
    return 0;
}

// The pages that take the place of the image's own for this section; 0: none.
uint64_t LdrCounterPages(const LDR_IMAGE *image, const PeSection *section) {
    if (section != LdrCounterSection(image))
        return 0;
    uint64_t pfn = LdrFindCounters(image, section->virtual_size);
    if (pfn == 0) {
        KdPrint_("ldr: no room to keep the counters of %ws\n", image->image.name);
        return 0;
    }
    KdPrint_("ldr: counters of %ws kept at physical %I64x\n", image->image.name, pfn * PAGE_SIZE);
    return pfn + 1;
}

} // extern "C"
