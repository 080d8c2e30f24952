// SPDX-License-Identifier: MIT
#ifndef NTC_LOADER_H_
#define NTC_LOADER_H_

#include "../include/ntc_loader_block.h"
#include "../ldr/cpio.h"
#include "../ldr/pe.h"

// Firmware data and the boot parameters live below; never handed out.
static const uint64_t kLowMemory = 0x100000;

struct LoaderMemory {
    uint64_t base, size;
    bool usable; // RAM; otherwise mapped alone (ACPI tables)
};

struct LoaderImage {
    PeImage pe;
    uint8_t *memory; // identity-mapped
};

struct Loader {
    LoaderMemory memory[NTC_MAX_RANGES];
    uint32_t memory_count;
    uint64_t next_page, limit;
    uint64_t archive, archive_size;
    uint64_t next_image; // virtual
    NTC_LOADER_BLOCK *block;
    LoaderImage images[NTC_MAX_BOOT_MODULES];
    char command_line[1024];
};

extern Loader loader;
extern "C" uint64_t LoaderRoot[512]; // the PML4

// Prints the reason as a bug check and halts.
[[noreturn]] void LoaderFail(const char *what, const char *name);
// Physically contiguous pages, zeroed.
uint64_t LoaderAllocate(uint64_t pages);
// Maps all RAM at NTC_DIRECT_MAP_BASE with 2 MiB pages, writable, no-execute.
void LoaderMapDirect();
void LoaderMapPage(uint64_t va, uint64_t physical, bool writable, bool executable);
// Copies and relocates an image of the archive; no mapping yet.
void LoaderLoadImage(const char *name);
// Binds the imports of the loaded images to each other.
void LoaderLinkImages();
// Maps the images with the protections of their sections.
void LoaderProtectImages();

#endif // NTC_LOADER_H_
