// SPDX-License-Identifier: MIT
//
// Imports by name. What an image wants and nobody exports becomes a thunk: the
// image loads, as the function may never be called, and stops the guest with
// the function's name when it is.
#include "ldrp.h"

extern "C" {

// Where every thunk goes. `name` is the import's name in the image.
static void LdrMissingImport(const char *name) {
    KdUnimplemented(name);
}

static void LdrEmit(uint8_t **at, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        *(*at)++ = (uint8_t)(value >> (8 * i));
}

static NTSTATUS LdrMakeStub(LDR_IMAGE *image, uint64_t name_va, uint64_t *stub) {
    if (image->stub_va == 0) {
        image->stub_pfn = MiAllocatePage();
        image->stub_va = image->stub_pfn ? MiReserveSystemPtes(1) : 0;
        if (image->stub_va == 0)
            return STATUS_INSUFFICIENT_RESOURCES;
        MiMapPage(image->stub_va, image->stub_pfn, FALSE, TRUE, MmCached);
    }
    if (image->stub_count == LDR_STUBS_PER_PAGE)
        return STATUS_DRIVER_ENTRYPOINT_NOT_FOUND;
    uint64_t offset = (uint64_t)image->stub_count++ * LDR_STUB_SIZE;
    uint8_t *at = (uint8_t *)(NTC_DIRECT_MAP_BASE + image->stub_pfn * PAGE_SIZE + offset);
    LdrEmit(&at, 0xB948, 2); // mov rcx, name
    LdrEmit(&at, name_va, 8);
    LdrEmit(&at, 0xB848, 2); // mov rax, LdrMissingImport
    LdrEmit(&at, (uint64_t)LdrMissingImport, 8);
    LdrEmit(&at, 0xE0FF, 2); // jmp rax: the caller is on top of the stack trace
    *stub = image->stub_va + offset;
    return STATUS_SUCCESS;
}

void LdrFreeStubs(LDR_IMAGE *image) {
    if (image->stub_va != 0) {
        MiUnmapPage(image->stub_va);
        MiReleaseSystemPtes(image->stub_va, 1);
    }
    if (image->stub_pfn != 0)
        MiFreePages(image->stub_pfn, 1);
    image->stub_va = image->stub_pfn = 0;
}

// A kernel-mode DLL that an import brought in is initialized by the loader.
static NTSTATUS LdrInitializeDll(LDR_IMAGE *dll) {
    typedef NTSTATUS (*DLL_INITIALIZE)(PUNICODE_STRING);
    DLL_INITIALIZE initialize = (DLL_INITIALIZE)LdrExportAddress(dll, "DllInitialize");
    if (!initialize)
        return STATUS_SUCCESS;
    WCHAR path[128];
    UNICODE_STRING registry_path = {0, sizeof(path), path};
    size_t stem = 0;
    while (dll->image.name[stem] && dll->image.name[stem] != L'.')
        stem++;
    UNICODE_STRING name = {(USHORT)(stem * sizeof(WCHAR)), (USHORT)(stem * sizeof(WCHAR)),
                           dll->image.name};
    RtlAppendUnicodeToString(&registry_path,
                             L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\");
    RtlAppendUnicodeStringToString(&registry_path, &name);
    return initialize(&registry_path);
}

static NTSTATUS LdrImportedImage(LDR_IMAGE *image, const char *name, LDR_IMAGE **dll) {
    if (image->import_count == LDR_MAX_IMPORTS)
        return STATUS_INSUFFICIENT_RESOURCES;
    bool loaded = LdrFindLoaded(name) != nullptr;
    NTSTATUS status = LdrLoadImageLocked(name, dll);
    if (!NT_SUCCESS(status))
        return status;
    image->imports[image->import_count++] = *dll; // dropped with the image
    return loaded ? STATUS_SUCCESS : LdrInitializeDll(*dll);
}

static NTSTATUS LdrBindDescriptor(LDR_IMAGE *image, const PeImportDescriptor *import) {
    const uint64_t by_ordinal = 1ull << 63;
    const char *dll_name = (const char *)(image->memory + import->name_rva);
    LDR_IMAGE *dll;
    NTSTATUS status = LdrImportedImage(image, dll_name, &dll);
    if (!NT_SUCCESS(status)) {
        KdPrint_("ldr: %ws imports from %s: status %08x\n", image->image.name, dll_name, status);
        return status;
    }
    uint32_t lookup_rva = import->lookup_rva ? import->lookup_rva : import->address_rva;
    const uint64_t *lookup = (const uint64_t *)(image->memory + lookup_rva);
    uint64_t *slot = (uint64_t *)(image->memory + import->address_rva);
    for (; *lookup; lookup++, slot++) {
        if (*lookup & by_ordinal) {
            KdPrint_("ldr: %ws imports %s by ordinal\n", image->image.name, dll_name);
            return STATUS_DRIVER_ORDINAL_NOT_FOUND;
        }
        uint32_t rva = (uint32_t)*lookup + 2; // after the hint
        const char *name = (const char *)(image->memory + rva);
        uint64_t address = LdrExportAddress(dll, name);
        if (address == 0) {
            KdPrint_("ldr: %ws needs %s!%s, which does not exist here\n", image->image.name,
                     dll_name, name);
            status = LdrMakeStub(image, image->image.base + rva, &address);
            if (!NT_SUCCESS(status))
                return status;
        }
        *slot = address;
    }
    return STATUS_SUCCESS;
}

NTSTATUS LdrBindImports(LDR_IMAGE *image) {
    PeDirectory d = image->pe.optional->directory[PE_DIRECTORY_IMPORT];
    if (d.size == 0)
        return STATUS_SUCCESS;
    if ((uint64_t)d.rva + d.size > image->image.size)
        return STATUS_INVALID_IMAGE_FORMAT;
    const PeImportDescriptor *import = (const PeImportDescriptor *)(image->memory + d.rva);
    for (; import->name_rva; import++) {
        NTSTATUS status = LdrBindDescriptor(image, import);
        if (!NT_SUCCESS(status))
            return status;
    }
    return STATUS_SUCCESS;
}

} // extern "C"
