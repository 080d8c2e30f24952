// SPDX-License-Identifier: MIT
//
// PE32+ images (Microsoft PE format specification): checking a file, laying it
// out, relocating, and finding exports. Freestanding and free of policy: the
// boot loader and the kernel's loader decide where pages come from.
#ifndef NTC_PE_H_
#define NTC_PE_H_

#include <stddef.h>
#include <stdint.h>

enum {
    PE_MACHINE_AMD64 = 0x8664,
    PE_MAGIC_64 = 0x20B,
    PE_DIRECTORY_EXPORT = 0,
    PE_DIRECTORY_IMPORT = 1,
    PE_DIRECTORY_EXCEPTION = 3,
    PE_DIRECTORY_SECURITY = 4, // a file offset: certificates are not mapped
    PE_DIRECTORY_RELOCATION = 5,
    PE_DIRECTORY_LOAD_CONFIG = 10,
    PE_DIRECTORIES = 16,
    PE_FILE_DLL = 0x2000, // characteristics
    PE_PAGE = 4096,
};
static const uint32_t PE_SECTION_EXECUTE = 0x20000000u;
static const uint32_t PE_SECTION_WRITE = 0x80000000u;

// As they are in a file, which may have them at odd addresses if it is damaged.
typedef uint16_t __attribute__((aligned(1))) PeU16;
typedef uint32_t __attribute__((aligned(1))) PeU32;
typedef uint64_t __attribute__((aligned(1))) PeU64;

struct PeDirectory {
    PeU32 rva;
    PeU32 size;
};

struct PeFileHeader { // at e_lfanew, after "PE\0\0"
    PeU32 signature;
    PeU16 machine;
    PeU16 section_count;
    PeU32 time_stamp;
    PeU32 symbols;
    PeU32 symbol_count;
    PeU16 optional_size;
    PeU16 characteristics;
};

struct PeOptionalHeader { // PE32+
    PeU16 magic;
    uint8_t linker_version[2];
    PeU32 code_size;
    PeU32 data_size;
    PeU32 bss_size;
    PeU32 entry;
    PeU32 code_base;
    PeU64 image_base;
    PeU32 section_alignment;
    PeU32 file_alignment;
    PeU16 versions[6];
    PeU32 win32_version;
    PeU32 image_size;
    PeU32 header_size;
    PeU32 checksum;
    PeU16 subsystem;
    PeU16 dll_characteristics;
    PeU64 stack_heap[4];
    PeU32 loader_flags;
    PeU32 directory_count;
    PeDirectory directory[PE_DIRECTORIES];
};
static_assert(sizeof(PeFileHeader) == 24 && sizeof(PeOptionalHeader) == 240, "PE layout");

struct PeSection {
    char name[8];
    PeU32 virtual_size;
    PeU32 rva;
    PeU32 raw_size;
    PeU32 raw_offset;
    PeU32 unused[3];
    PeU32 flags;
};
static_assert(sizeof(PeSection) == 40, "PE layout");

struct PeImportDescriptor {
    PeU32 lookup_rva;
    PeU32 time_stamp;
    PeU32 forwarder;
    PeU32 name_rva;
    PeU32 address_rva;
};

struct PeExportDirectory {
    PeU32 flags;
    PeU32 time_stamp;
    PeU32 version;
    PeU32 name_rva;
    PeU32 ordinal_base;
    PeU32 function_count;
    PeU32 name_count;
    PeU32 functions_rva;
    PeU32 names_rva;
    PeU32 ordinals_rva;
};

// An image file after PeParse, or a mapped image after PeFromMapped.
struct PeImage {
    const PeFileHeader *file;
    const PeOptionalHeader *optional;
    const PeSection *sections;
};

static inline bool PeParse(const uint8_t *data, size_t size, PeImage *image) {
    if (size < 64 || data[0] != 'M' || data[1] != 'Z')
        return false;
    uint32_t at = *(const PeU32 *)(data + 0x3C);
    if (at > size || size - at < sizeof(PeFileHeader) + sizeof(PeOptionalHeader))
        return false;
    image->file = (const PeFileHeader *)(data + at);
    image->optional = (const PeOptionalHeader *)(data + at + sizeof(PeFileHeader));
    const PeOptionalHeader *o = image->optional;
    if (image->file->signature != 0x4550 || image->file->machine != PE_MACHINE_AMD64 ||
        o->magic != PE_MAGIC_64 || o->section_alignment < PE_PAGE ||
        image->file->optional_size < sizeof(PeOptionalHeader) ||
        o->directory_count < PE_DIRECTORIES)
        return false;
    for (int i = 0; i < PE_DIRECTORIES; i++) {
        PeDirectory d = o->directory[i];
        if (i != PE_DIRECTORY_SECURITY && (uint64_t)d.rva + d.size > o->image_size)
            return false;
    }
    size_t table = at + sizeof(PeFileHeader) + image->file->optional_size;
    if (table + image->file->section_count * sizeof(PeSection) > size || o->header_size > size ||
        o->header_size > o->image_size)
        return false;
    image->sections = (const PeSection *)(data + table);
    for (uint16_t i = 0; i < image->file->section_count; i++) {
        const PeSection *s = &image->sections[i];
        uint64_t end = (uint64_t)s->rva + (s->virtual_size ? s->virtual_size : s->raw_size);
        if (s->rva % PE_PAGE != 0 || end > o->image_size ||
            (uint64_t)s->raw_offset + s->raw_size > size)
            return false;
    }
    return true;
}

static inline size_t PePages(const PeImage *image) {
    return ((size_t)image->optional->image_size + PE_PAGE - 1) / PE_PAGE;
}

// Copies headers and sections to `target` (image_size bytes, already zero).
static inline void PeLayOut(const PeImage *image, const uint8_t *data, uint8_t *target) {
    for (uint32_t i = 0; i < image->optional->header_size; i++)
        target[i] = data[i];
    for (uint16_t i = 0; i < image->file->section_count; i++) {
        const PeSection *s = &image->sections[i];
        uint32_t count = s->raw_size;
        if (s->virtual_size && s->virtual_size < count)
            count = s->virtual_size;
        // Eight at a time; a file may have its sections anywhere.
        const uint8_t *from = data + s->raw_offset;
        uint8_t *to = target + s->rva;
        uint32_t done = 0;
        for (; count - done >= 8; done += 8)
            __builtin_memcpy(to + done, from + done, 8);
        for (; done < count; done++)
            to[done] = from[done];
    }
}

// Applies base relocations to the image at `mapped`, which will run at `base`.
static inline bool PeRelocate(const PeImage *image, uint8_t *mapped, uint64_t base) {
    uint64_t delta = base - image->optional->image_base;
    PeDirectory d = image->optional->directory[PE_DIRECTORY_RELOCATION];
    uint32_t limit = image->optional->image_size;
    if (delta == 0)
        return true;
    if (d.size == 0)
        return (image->file->characteristics & 1) == 0; // RELOCS_STRIPPED
    if ((uint64_t)d.rva + d.size > limit)
        return false;
    for (uint32_t at = 0; at + 8 <= d.size;) {
        const PeU32 *block = (const PeU32 *)(mapped + d.rva + at);
        uint32_t page = block[0], bytes = block[1];
        if (bytes < 8 || bytes > d.size - at)
            return false;
        const PeU16 *entries = (const PeU16 *)(block + 2);
        for (uint32_t i = 0; i < (bytes - 8) / 2; i++) {
            uint32_t type = entries[i] >> 12, rva = page + (entries[i] & 0xFFF);
            if (type == 0) // ABSOLUTE: padding
                continue;
            if (type != 10 || (uint64_t)rva + 8 > limit) // DIR64
                return false;
            *(PeU64 *)(mapped + rva) += delta;
        }
        at += bytes;
    }
    return true;
}

// Result of an export look-up: an address in the image, or a forwarder string
// ("OTHER.Name"), or neither when the image does not export the name.
struct PeExport {
    uint32_t rva;
    const char *forwarder;
};

// Entry `index` of the export address table.
static inline bool PeExportAt(const PeImage *image, const uint8_t *mapped, uint32_t index,
                              PeExport *result) {
    PeDirectory d = image->optional->directory[PE_DIRECTORY_EXPORT];
    const PeExportDirectory *e = (const PeExportDirectory *)(mapped + d.rva);
    if (index >= e->function_count)
        return false;
    uint32_t rva = ((const PeU32 *)(mapped + e->functions_rva))[index];
    if (rva >= image->optional->image_size)
        return false;
    result->rva = rva;
    result->forwarder = nullptr;
    if (rva < d.rva || rva - d.rva >= d.size)
        return true;
    result->forwarder = (const char *)(mapped + rva);
    for (; rva < image->optional->image_size; rva++)
        if (mapped[rva] == 0)
            return true;
    return false; // the string has no end
}

// `count` entries of `size` bytes at `rva` lie inside the image.
static inline bool PeInside(const PeImage *image, uint32_t rva, uint64_t count, size_t size) {
    return rva + count * size <= image->optional->image_size;
}

// strcmp(name, string at rva), but not beyond the image.
static inline int PeCompareName(const PeImage *image, const uint8_t *mapped, uint32_t rva,
                                const char *name) {
    for (; rva < image->optional->image_size; rva++, name++) {
        int order = (int)(uint8_t)*name - (int)mapped[rva];
        if (order != 0 || *name == 0)
            return order;
    }
    return 1;
}

static inline bool PeFindExport(const PeImage *image, const uint8_t *mapped, const char *name,
                                PeExport *result) {
    PeDirectory d = image->optional->directory[PE_DIRECTORY_EXPORT];
    if (d.size < sizeof(PeExportDirectory))
        return false;
    const PeExportDirectory *e = (const PeExportDirectory *)(mapped + d.rva);
    if (!PeInside(image, e->names_rva, e->name_count, 4) ||
        !PeInside(image, e->ordinals_rva, e->name_count, 2) ||
        !PeInside(image, e->functions_rva, e->function_count, 4))
        return false;
    const PeU32 *names = (const PeU32 *)(mapped + e->names_rva);
    uint32_t low = 0, high = e->name_count; // names are sorted
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = PeCompareName(image, mapped, names[middle], name);
        if (order < 0)
            high = middle;
        else if (order > 0)
            low = middle + 1;
        else
            return PeExportAt(image, mapped, ((const PeU16 *)(mapped + e->ordinals_rva))[middle],
                              result);
    }
    return false;
}

#endif // NTC_PE_H_
