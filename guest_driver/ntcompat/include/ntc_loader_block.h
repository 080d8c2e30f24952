// SPDX-License-Identifier: MIT
//
// What the loader hands to ntoskrnl.exe; the only header both include.
#ifndef NTC_LOADER_BLOCK_H_
#define NTC_LOADER_BLOCK_H_

#include <stdint.h>

#define NTC_DIRECT_MAP_BASE 0xFFFF800000000000ull
#define NTC_IMAGE_BASE 0xFFFFF80000000000ull
#define NTC_SYSTEM_PTE_BASE 0xFFFFF88000000000ull
#define NTC_POOL_BASE 0xFFFFFA8000000000ull

#define NTC_MAX_RANGES 64
#define NTC_MAX_BOOT_MODULES 4

typedef struct _NTC_MEMORY_RANGE {
    uint64_t base;   // physical, page-aligned
    uint64_t length; // bytes
} NTC_MEMORY_RANGE;

typedef struct _NTC_BOOT_MODULE {
    char name[32];     // "ntoskrnl.exe", "hal.dll"
    uint64_t base;     // virtual, NTC_IMAGE_BASE + x
    uint64_t size;     // SizeOfImage
    uint64_t physical; // its pages are contiguous here
    uint64_t entry;    // virtual, 0: none
} NTC_BOOT_MODULE;

// Lives in the direct map; the kernel's only argument.
typedef struct _NTC_LOADER_BLOCK {
    uint32_t size; // sizeof(NTC_LOADER_BLOCK)
    uint32_t range_count;
    NTC_MEMORY_RANGE ranges[NTC_MAX_RANGES]; // usable RAM, without anything the
                                             // loader, the archive or the boot
                                             // images occupy
    uint64_t highest_physical;               // end of the direct map
    uint64_t page_table_root;                // physical address of the PML4 in use
    uint64_t archive;                        // virtual (direct map): the cpio archive
    uint64_t archive_size;
    uint64_t free_image_va; // first unused address of the image range
    uint32_t module_count;
    NTC_BOOT_MODULE modules[NTC_MAX_BOOT_MODULES];
    char command_line[1024];
} NTC_LOADER_BLOCK;

#endif // NTC_LOADER_BLOCK_H_
