// SPDX-License-Identifier: MIT
//
// Inside ldr, and what kd reads of it.
#ifndef NTC_LDRP_H_
#define NTC_LDRP_H_

#include "ntc.h"

#include "pe.h"

extern "C" {

enum { LDR_MAX_IMPORTS = 8, LDR_STUB_SIZE = 32, LDR_STUBS_PER_PAGE = 4096 / LDR_STUB_SIZE };

// RUNTIME_FUNCTION.
struct LDR_FUNCTION {
    uint32_t begin, end, unwind;
};

struct LDR_IMAGE {
    NTC_IMAGE image; // first: an NTC_IMAGE pointer is one of these
    PeImage pe;      // headers, through the direct map
    uint8_t *memory; // the pages through the direct map: writable, whatever the sections are
    uint64_t first_pfn;
    BOOLEAN boot; // never unloaded
    LDR_IMAGE *imports[LDR_MAX_IMPORTS];
    ULONG import_count;
    uint64_t stub_va, stub_pfn; // thunks of imports that do not exist; 0: none
    ULONG stub_count;
};

extern LIST_ENTRY PsLoadedModuleList;

static_assert(offsetof(NTC_IMAGE, base) == 0x30 && offsetof(NTC_IMAGE, size) == 0x40 &&
                  offsetof(NTC_IMAGE, full_name) == 0x48 &&
                  offsetof(NTC_IMAGE, base_name) == 0x58 && offsetof(NTC_IMAGE, checksum) == 0x78,
              "LDR_DATA_TABLE_ENTRY");

// counters.cpp. First page of what is mapped instead of the image's own; 0: nothing else.
uint64_t LdrCounterPages(const LDR_IMAGE *image, const PeSection *section);
// imports.cpp. Binds all imports, loading what they name.
NTSTATUS LdrBindImports(LDR_IMAGE *image);
void LdrFreeStubs(LDR_IMAGE *image);
// image.cpp. The loaded image of this name (any case), or NULL.
LDR_IMAGE *LdrFindLoaded(const char *name);
NTSTATUS LdrLoadImageLocked(const char *name, LDR_IMAGE **result);
void LdrDereferenceLocked(LDR_IMAGE *image);
// lookup.cpp. Resolves forwarders; 0: not exported.
uint64_t LdrExportAddress(LDR_IMAGE *image, const char *name);
// The function that contains rip, and its image's base; NULL: none known. Any IRQL.
const LDR_FUNCTION *LdrFindFunction(uint64_t rip, uint64_t *base);

} // extern "C"

#endif // NTC_LDRP_H_
