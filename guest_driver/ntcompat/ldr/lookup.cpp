// SPDX-License-Identifier: MIT
//
// Looking things up in loaded images: by address, by exported name, by function.
#include "ldrp.h"

#include "cpio.h"

extern "C" {

LIST_ENTRY PsLoadedModuleList = {&PsLoadedModuleList, &PsLoadedModuleList};

NTC_IMAGE *LdrFindImage(uint64_t address) {
    for (LIST_ENTRY *e = PsLoadedModuleList.Flink; e != &PsLoadedModuleList; e = e->Flink) {
        NTC_IMAGE *image = CONTAINING_RECORD(e, NTC_IMAGE, links);
        if (address >= image->base && address - image->base < image->size)
            return image;
    }
    return nullptr;
}

// "ntoskrnl.Name": the image is named without its extension.
static uint64_t LdrFollowForwarder(const char *forwarder) {
    for (LIST_ENTRY *e = PsLoadedModuleList.Flink; e != &PsLoadedModuleList; e = e->Flink) {
        LDR_IMAGE *image = CONTAINING_RECORD(e, LDR_IMAGE, image.links);
        size_t i = 0;
        while (forwarder[i] && forwarder[i] != '.' &&
               (forwarder[i] | 0x20) == (image->image.name[i] | 0x20))
            i++;
        if (i > 0 && forwarder[i] == '.' && image->image.name[i] == L'.')
            return LdrExportAddress(image, forwarder + i + 1);
    }
    return 0;
}

uint64_t LdrExportAddress(LDR_IMAGE *image, const char *name) {
    PeExport found;
    if (!PeFindExport(&image->pe, image->memory, name, &found))
        return 0;
    return found.forwarder ? LdrFollowForwarder(found.forwarder) : image->image.base + found.rva;
}

void *LdrFindExport(NTC_IMAGE *image, const char *name) {
    return (void *)LdrExportAddress((LDR_IMAGE *)image, name);
}

const LDR_FUNCTION *LdrFindFunction(uint64_t rip, uint64_t *base) {
    LDR_IMAGE *image = (LDR_IMAGE *)LdrFindImage(rip);
    if (!image)
        return nullptr;
    *base = image->image.base;
    PeDirectory d = image->pe.optional->directory[PE_DIRECTORY_EXCEPTION];
    const LDR_FUNCTION *table = (const LDR_FUNCTION *)(image->image.base + d.rva);
    uint32_t offset = (uint32_t)(rip - image->image.base);
    uint32_t low = 0, high = d.size / sizeof(LDR_FUNCTION);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (offset < table[middle].begin)
            high = middle;
        else if (offset >= table[middle].end)
            low = middle + 1;
        else
            return &table[middle];
    }
    return nullptr;
}

PVOID MmGetSystemRoutineAddress(PUNICODE_STRING name) {
    char text[128];
    USHORT length = name->Length / sizeof(WCHAR);
    if (length >= sizeof(text))
        return nullptr;
    for (USHORT i = 0; i < length; i++)
        text[i] = (char)name->Buffer[i];
    text[length] = 0;
    static const char *const modules[] = {"ntoskrnl.exe", "hal.dll"};
    for (const char *module : modules) {
        uint64_t address = LdrExportAddress(LdrFindLoaded(module), text);
        if (address)
            return (PVOID)address;
    }
    return nullptr;
}

// PVOID RtlPcToFileHeader(PVOID PcValue, PVOID *BaseOfImage), winnt.h.
NTC_EXPORT PVOID RtlPcToFileHeader(PVOID pc, PVOID *base) {
    NTC_IMAGE *image = LdrFindImage((uint64_t)pc);
    *base = image ? (PVOID)image->base : nullptr;
    return *base;
}

// PRUNTIME_FUNCTION RtlLookupFunctionEntry(DWORD64, PDWORD64, history table), winnt.h.
NTC_EXPORT const void *RtlLookupFunctionEntry(ULONG64 pc, PULONG64 base, void *history) {
    (void)history;
    uint64_t found = 0;
    const void *function = LdrFindFunction(pc, &found);
    *base = found;
    return function;
}

} // extern "C"
