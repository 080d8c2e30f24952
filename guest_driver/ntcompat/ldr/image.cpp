// SPDX-License-Identifier: MIT
//
// Loading and unloading images. PASSIVE_LEVEL; one at a time.
#include "ldrp.h"

#include "cpio.h"

#include "kd/kdp.h"

extern "C" {

enum { LDR_TAG = 0x2072644C, LDR_IMAGE_ALIGNMENT = 0x10000 }; // "Ldr "

static LDR_IMAGE LdrBootImages[NTC_MAX_BOOT_MODULES];
static uint64_t LdrNextBase;
static KMUTEX LdrLock;

static void LdrAppend(WCHAR *to, size_t room, size_t *length, const char *text) {
    for (; *text && *length + 1 < room; text++)
        to[(*length)++] = (WCHAR)*text;
    to[*length] = 0;
}

// Its names, as Windows has them: the kernel and HAL are in system32, others among drivers.
static void LdrSetName(LDR_IMAGE *image, const char *name) {
    NTC_IMAGE *i = &image->image;
    size_t length = 0, path = 0;
    LdrAppend(i->name, RTL_NUMBER_OF(i->name), &length, name);
    LdrAppend(i->path, RTL_NUMBER_OF(i->path), &path, "\\SystemRoot\\system32\\");
    if (!image->boot)
        LdrAppend(i->path, RTL_NUMBER_OF(i->path), &path, "DRIVERS\\");
    LdrAppend(i->path, RTL_NUMBER_OF(i->path), &path, name);
    RtlInitUnicodeString(&i->base_name, i->name);
    RtlInitUnicodeString(&i->full_name, i->path);
}

// To the debugger, if there is one.
static void LdrReport(LDR_IMAGE *image, bool unload) {
    char path[RTL_NUMBER_OF(image->image.path)];
    size_t length = 0;
    do
        path[length] = (char)image->image.path[length];
    while (path[length++]);
    const KD_SYMBOLS symbols = {path, length, image->image.base, (uint32_t)image->image.size,
                                image->image.checksum};
    if (unload)
        KdUnloadSymbols(&symbols);
    else
        KdLoadSymbols(&symbols);
}

void LdrReportBootImages(void) {
    for (LIST_ENTRY *e = PsLoadedModuleList.Flink; e != &PsLoadedModuleList; e = e->Flink)
        LdrReport(CONTAINING_RECORD(e, LDR_IMAGE, image.links), false);
}

void LdrInitSystem(NTC_LOADER_BLOCK *block) {
    LdrNextBase = block->free_image_va;
    KeInitializeMutex(&LdrLock, 0);
    for (uint32_t i = 0; i < block->module_count; i++) {
        const NTC_BOOT_MODULE *module = &block->modules[i];
        LDR_IMAGE *image = &LdrBootImages[i];
        image->memory = (uint8_t *)(NTC_DIRECT_MAP_BASE + module->physical);
        image->image.base = module->base;
        image->image.size = module->size;
        image->image.entry = module->entry;
        image->image.references = image->image.load_count = 1;
        image->first_pfn = module->physical / PAGE_SIZE;
        image->boot = TRUE;
        LdrSetName(image, module->name);
        uint32_t at = *(const uint32_t *)(image->memory + 0x3C);
        image->pe.file = (const PeFileHeader *)(image->memory + at);
        image->pe.optional = (const PeOptionalHeader *)(image->pe.file + 1);
        image->pe.sections = (const PeSection *)((const uint8_t *)image->pe.optional +
                                                 image->pe.file->optional_size);
        image->image.checksum = image->pe.optional->checksum;
        InsertTailList(&PsLoadedModuleList, &image->image.links);
    }
}

LDR_IMAGE *LdrFindLoaded(const char *name) {
    for (LIST_ENTRY *e = PsLoadedModuleList.Flink; e != &PsLoadedModuleList; e = e->Flink) {
        LDR_IMAGE *image = CONTAINING_RECORD(e, LDR_IMAGE, image.links);
        char text[RTL_NUMBER_OF(image->image.name)];
        for (size_t i = 0; i < RTL_NUMBER_OF(text); i++)
            text[i] = (char)image->image.name[i];
        if (NameEqual(text, name))
            return image;
    }
    return nullptr;
}

// Windows' compilers put this value there, to be replaced by the loader.
static void LdrSetSecurityCookie(LDR_IMAGE *image) {
    const uint64_t default_cookie = 0x00002B992DDFA232ull;
    const uint32_t cookie_field = 0x58; // of IMAGE_LOAD_CONFIG_DIRECTORY64
    PeDirectory d = image->pe.optional->directory[PE_DIRECTORY_LOAD_CONFIG];
    if (d.size < cookie_field + 8)
        return;
    uint64_t va = *(const uint64_t *)(image->memory + d.rva + cookie_field);
    if (va < image->image.base || va - image->image.base > image->image.size - 8)
        return;
    uint64_t *cookie = (uint64_t *)(image->memory + (va - image->image.base));
    if (*cookie == default_cookie)
        *cookie = (__rdtsc() * 0x9E3779B97F4A7C15ull) >> 16 | 1;
}

static void LdrMapSections(LDR_IMAGE *image) {
    uint64_t base = image->image.base;
    MiMapPage(base, image->first_pfn, FALSE, FALSE, MmCached); // headers: one page is enough
    for (uint16_t s = 0; s < image->pe.file->section_count; s++) {
        const PeSection *section = &image->pe.sections[s];
        uint64_t length = section->virtual_size ? section->virtual_size : section->raw_size;
        uint64_t pfn = LdrCounterPages(image, section);
        if (pfn == 0)
            pfn = image->first_pfn + section->rva / PAGE_SIZE;
        for (uint64_t at = section->rva; at < section->rva + length; at += PAGE_SIZE)
            MiMapPage(base + at, pfn + (at - section->rva) / PAGE_SIZE,
                      (section->flags & PE_SECTION_WRITE) != 0,
                      (section->flags & PE_SECTION_EXECUTE) != 0, MmCached);
    }
}

static void LdrFreeImage(LDR_IMAGE *image, bool mapped) {
    if (mapped)
        for (uint64_t at = 0; at < image->image.size; at += PAGE_SIZE)
            if (MiPhysicalAddress(image->image.base + at) != 0)
                MiUnmapPage(image->image.base + at);
    LdrFreeStubs(image);
    MiFreePages(image->first_pfn, PePages(&image->pe));
    for (ULONG i = 0; i < image->import_count; i++)
        LdrDereferenceLocked(image->imports[i]);
    ExFreePoolWithTag(image, LDR_TAG);
}

// Copies and relocates; imports are next. The file has been checked.
static NTSTATUS LdrPlace(LDR_IMAGE *image, const PeImage *pe, const uint8_t *data) {
    size_t pages = PePages(pe);
    image->first_pfn = MiAllocateContiguousPages(pages, ~0ull >> 12, 0);
    if (image->first_pfn == 0)
        return STATUS_INSUFFICIENT_RESOURCES;
    image->memory = (uint8_t *)(NTC_DIRECT_MAP_BASE + image->first_pfn * PAGE_SIZE);
    __stosb(image->memory, 0, pages * PAGE_SIZE);
    PeLayOut(pe, data, image->memory);
    image->pe.file = (const PeFileHeader *)(image->memory + ((const uint8_t *)pe->file - data));
    image->pe.optional = (const PeOptionalHeader *)(image->pe.file + 1);
    image->pe.sections =
        (const PeSection *)((const uint8_t *)image->pe.optional + pe->file->optional_size);
    image->image.base = LdrNextBase;
    image->image.size = pe->optional->image_size;
    image->image.entry = pe->optional->entry ? LdrNextBase + pe->optional->entry : 0;
    LdrNextBase = (LdrNextBase + (pages + 1) * PAGE_SIZE + LDR_IMAGE_ALIGNMENT - 1) &
                  ~(uint64_t)(LDR_IMAGE_ALIGNMENT - 1);
    return PeRelocate(pe, image->memory, image->image.base) ? STATUS_SUCCESS
                                                            : STATUS_INVALID_IMAGE_FORMAT;
}

NTSTATUS LdrLoadImageLocked(const char *name, LDR_IMAGE **result) {
    LDR_IMAGE *image = LdrFindLoaded(name);
    if (image) {
        image->image.references++;
        *result = image;
        return STATUS_SUCCESS;
    }
    const void *data;
    size_t size;
    PeImage pe;
    if (!LdrFindFile(name, &data, &size)) {
        KdPrint_("ldr: %s is not in the boot archive\n", name);
        return STATUS_OBJECT_NAME_NOT_FOUND;
    }
    if (!PeParse((const uint8_t *)data, size, &pe)) {
        KdPrint_("ldr: %s is not a usable x64 image\n", name);
        return STATUS_INVALID_IMAGE_FORMAT;
    }
    image = (LDR_IMAGE *)ExAllocatePoolWithTag(NonPagedPool, sizeof(LDR_IMAGE), LDR_TAG);
    if (!image)
        return STATUS_INSUFFICIENT_RESOURCES;
    __stosb((UCHAR *)image, 0, sizeof(*image));
    LdrSetName(image, name);
    image->image.references = image->image.load_count = 1;
    image->image.checksum = pe.optional->checksum;
    NTSTATUS status = LdrPlace(image, &pe, (const uint8_t *)data);
    if (!NT_SUCCESS(status)) {
        if (image->first_pfn != 0)
            MiFreePages(image->first_pfn, PePages(&pe));
        ExFreePoolWithTag(image, LDR_TAG);
        return status;
    }
    status = LdrBindImports(image);
    if (!NT_SUCCESS(status)) {
        LdrFreeImage(image, false);
        return status;
    }
    LdrSetSecurityCookie(image);
    LdrMapSections(image);
    InsertTailList(&PsLoadedModuleList, &image->image.links);
    KdPrint_("ldr: %s at %016I64x, %u bytes\n", name, image->image.base, (ULONG)image->image.size);
    LdrReport(image, false);
    *result = image;
    return STATUS_SUCCESS;
}

void LdrDereferenceLocked(LDR_IMAGE *image) {
    if (--image->image.references != 0 || image->boot)
        return;
    // Kernel-mode DLLs are told; drivers have had DriverUnload.
    void (*unload)(void) = (void (*)(void))LdrExportAddress(image, "DllUnload");
    if (unload)
        unload();
    ExCheckPoolOfImage(image->image.base, image->image.size);
    ObCheckHandlesOfImage(image->image.base, image->image.size);
    LdrReport(image, true);
    RemoveEntryList(&image->image.links);
    LdrFreeImage(image, true);
}

static void LdrAcquire(void) {
    KeWaitForSingleObject(&LdrLock, Executive, KernelMode, FALSE, nullptr);
}

NTSTATUS LdrLoadSystemImage(const WCHAR *name, NTC_IMAGE **result) {
    char text[RTL_NUMBER_OF(((NTC_IMAGE *)nullptr)->name)];
    size_t i = 0;
    for (; name[i]; i++) {
        if (i + 1 >= sizeof(text) || name[i] > 0x7E)
            return STATUS_OBJECT_NAME_INVALID;
        text[i] = (char)name[i];
    }
    text[i] = 0;
    LDR_IMAGE *image = nullptr;
    LdrAcquire();
    NTSTATUS status = LdrLoadImageLocked(text, &image);
    KeReleaseMutex(&LdrLock, FALSE);
    *result = image ? &image->image : nullptr;
    return status;
}

void LdrUnloadSystemImage(NTC_IMAGE *image) {
    LdrAcquire();
    LdrDereferenceLocked((LDR_IMAGE *)image);
    KeReleaseMutex(&LdrLock, FALSE);
}

} // extern "C"
