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

struct PeDirectory {
    uint32_t rva;
    uint32_t size;
};

struct PeFileHeader { // at e_lfanew, after "PE\0\0"
    uint32_t signature;
    uint16_t machine;
    uint16_t section_count;
    uint32_t time_stamp;
    uint32_t symbols;
    uint32_t symbol_count;
    uint16_t optional_size;
    uint16_t characteristics;
};

struct PeOptionalHeader { // PE32+
    uint16_t magic;
    uint8_t linker_version[2];
    uint32_t code_size;
    uint32_t data_size;
    uint32_t bss_size;
    uint32_t entry;
    uint32_t code_base;
    uint64_t image_base;
    uint32_t section_alignment;
    uint32_t file_alignment;
    uint16_t versions[6];
    uint32_t win32_version;
    uint32_t image_size;
    uint32_t header_size;
    uint32_t checksum;
    uint16_t subsystem;
    uint16_t dll_characteristics;
    uint64_t stack_heap[4];
    uint32_t loader_flags;
    uint32_t directory_count;
    PeDirectory directory[PE_DIRECTORIES];
};
static_assert(sizeof(PeFileHeader) == 24 && sizeof(PeOptionalHeader) == 240, "PE layout");

struct PeSection {
    char name[8];
    uint32_t virtual_size;
    uint32_t rva;
    uint32_t raw_size;
    uint32_t raw_offset;
    uint32_t unused[3];
    uint32_t flags;
};
static_assert(sizeof(PeSection) == 40, "PE layout");

struct PeImportDescriptor {
    uint32_t lookup_rva;
    uint32_t time_stamp;
    uint32_t forwarder;
    uint32_t name_rva;
    uint32_t address_rva;
};

struct PeExportDirectory {
    uint32_t flags;
    uint32_t time_stamp;
    uint32_t version;
    uint32_t name_rva;
    uint32_t ordinal_base;
    uint32_t function_count;
    uint32_t name_count;
    uint32_t functions_rva;
    uint32_t names_rva;
    uint32_t ordinals_rva;
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
    uint32_t at = *(const uint32_t *)(data + 0x3C);
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
        const uint64_t *from = (const uint64_t *)(data + s->raw_offset);
        uint64_t *to = (uint64_t *)(target + s->rva);
        uint32_t i8 = 0;
        for (; i8 < count / 8; i8++)
            to[i8] = from[i8];
        for (uint32_t b = i8 * 8; b < count; b++)
            target[s->rva + b] = data[s->raw_offset + b];
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
        const uint32_t *block = (const uint32_t *)(mapped + d.rva + at);
        uint32_t page = block[0], bytes = block[1];
        if (bytes < 8 || bytes > d.size - at)
            return false;
        const uint16_t *entries = (const uint16_t *)(block + 2);
        for (uint32_t i = 0; i < (bytes - 8) / 2; i++) {
            uint32_t type = entries[i] >> 12, rva = page + (entries[i] & 0xFFF);
            if (type == 0) // ABSOLUTE: padding
                continue;
            if (type != 10 || (uint64_t)rva + 8 > limit) // DIR64
                return false;
            *(uint64_t *)(mapped + rva) += delta;
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
    uint32_t rva = ((const uint32_t *)(mapped + e->functions_rva))[index];
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
    const uint32_t *names = (const uint32_t *)(mapped + e->names_rva);
    uint32_t low = 0, high = e->name_count; // names are sorted
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = PeCompareName(image, mapped, names[middle], name);
        if (order < 0)
            high = middle;
        else if (order > 0)
            low = middle + 1;
        else
            return PeExportAt(image, mapped, ((const uint16_t *)(mapped + e->ordinals_rva))[middle],
                              result);
    }
    return false;
}

#endif // NTC_PE_H_
