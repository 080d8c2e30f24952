// SPDX-License-Identifier: MIT
//
// The two boot images. They import from each other alone; whatever else they
// would need is an error of the build and is reported by name.
#include "loader.h"

void LoaderLoadImage(const char *name) {
    NTC_LOADER_BLOCK *block = loader.block;
    CpioMember file;
    if (!CpioFind((const uint8_t *)loader.archive, loader.archive_size, name, &file))
        LoaderFail("the archive lacks ", name);
    LoaderImage *image = &loader.images[block->module_count];
    if (!PeParse(file.data, file.size, &image->pe))
        LoaderFail("not a usable x64 image: ", name);
    uint64_t pages = PePages(&image->pe);
    image->memory = (uint8_t *)LoaderAllocate(pages);
    PeLayOut(&image->pe, file.data, image->memory);
    if (!PeRelocate(&image->pe, image->memory, loader.next_image))
        LoaderFail("bad relocations in ", name);

    NTC_BOOT_MODULE *module = &block->modules[block->module_count++];
    for (size_t i = 0; name[i] && i < sizeof(module->name) - 1; i++)
        module->name[i] = name[i];
    module->base = loader.next_image;
    module->size = image->pe.optional->image_size;
    module->physical = (uint64_t)image->memory;
    module->entry = image->pe.optional->entry ? module->base + image->pe.optional->entry : 0;
    loader.next_image += (pages + 16) * PE_PAGE & ~0xFFFFull; // a gap catches overruns
}

static uint64_t FindExport(const char *dll, const char *name) {
    for (uint32_t i = 0; i < loader.block->module_count; i++) {
        PeExport found;
        if (NameEqual(loader.block->modules[i].name, dll) &&
            PeFindExport(&loader.images[i].pe, loader.images[i].memory, name, &found) &&
            !found.forwarder)
            return loader.block->modules[i].base + found.rva;
    }
    return 0;
}

static void LinkImage(LoaderImage *image) {
    PeDirectory d = image->pe.optional->directory[PE_DIRECTORY_IMPORT];
    if (d.size == 0)
        return;
    uint8_t *m = image->memory;
    for (PeImportDescriptor *import = (PeImportDescriptor *)(m + d.rva); import->name_rva;
         import++) {
        const uint64_t *lookup = (const uint64_t *)(m + import->lookup_rva);
        uint64_t *slot = (uint64_t *)(m + import->address_rva);
        for (; *lookup; lookup++, slot++) {
            const char *name = (const char *)(m + (uint32_t)*lookup + 2); // after the hint
            *slot = FindExport((const char *)(m + import->name_rva), name);
            if (*slot == 0)
                LoaderFail("unresolved import of a boot image: ", name);
        }
    }
}

void LoaderLinkImages() {
    for (uint32_t i = 0; i < loader.block->module_count; i++)
        LinkImage(&loader.images[i]);
}

void LoaderProtectImages() {
    for (uint32_t m = 0; m < loader.block->module_count; m++) {
        const NTC_BOOT_MODULE *module = &loader.block->modules[m];
        const PeImage *pe = &loader.images[m].pe;
        LoaderMapPage(module->base, module->physical, false, false); // headers
        for (uint16_t s = 0; s < pe->file->section_count; s++) {
            const PeSection *section = &pe->sections[s];
            uint64_t length = section->virtual_size ? section->virtual_size : section->raw_size;
            for (uint64_t at = 0; at < length; at += PE_PAGE)
                LoaderMapPage(module->base + section->rva + at,
                              module->physical + section->rva + at,
                              (section->flags & PE_SECTION_WRITE) != 0,
                              (section->flags & PE_SECTION_EXECUTE) != 0);
        }
    }
}
