// SPDX-License-Identifier: MIT
//
// The types that drivers know by name, and the first directories.
#include "ob/obp.h"

struct _OBJECT_TYPE ObpEventType = {
    L"Event", 'nevE', sizeof(KEVENT), nullptr, nullptr, nullptr, FALSE, 0, 0, {}};
struct _OBJECT_TYPE ObpThreadType = {L"Thread", 'erhT', 0, nullptr, nullptr,
                                     nullptr,   FALSE,  0, 0,       {}};
struct _OBJECT_TYPE ObpFileType = {L"File",
                                   'eliF',
                                   sizeof(FILE_OBJECT),
                                   nullptr,
                                   nullptr,
                                   nullptr,
                                   FALSE,
                                   FIELD_OFFSET(FILE_OBJECT, Event),
                                   0,
                                   {}};
struct _OBJECT_TYPE ObpDeviceType = {
    L"Device", 'iveD', sizeof(DEVICE_OBJECT), nullptr, nullptr, nullptr, TRUE, -1, 0, {}};
struct _OBJECT_TYPE ObpDriverType = {
    L"Driver", 'virD', sizeof(DRIVER_OBJECT), nullptr, nullptr, nullptr, FALSE, -1, 0, {}};

// Drivers import these as variables that hold the type's address. The headers declare
// them the importer's way, hence the symbol names.
#define OBP_EXPORT_TYPE(name, type)                                                                \
    extern "C" NTC_EXPORT_DATA POBJECT_TYPE Ntc##name __asm__(#name);                              \
    POBJECT_TYPE Ntc##name = &type

OBP_EXPORT_TYPE(ExEventObjectType, ObpEventType);
OBP_EXPORT_TYPE(PsThreadType, ObpThreadType);
OBP_EXPORT_TYPE(IoFileObjectType, ObpFileType);
OBP_EXPORT_TYPE(IoDeviceObjectType, ObpDeviceType);
OBP_EXPORT_TYPE(IoDriverObjectType, ObpDriverType);
OBP_EXPORT_TYPE(CmKeyObjectType, ObpKeyType);

namespace {

void Must(NTSTATUS status, const char *what) {
    if (!NT_SUCCESS(status))
        KdViolation(0x5E, what, static_cast<uint64_t>(status), 0, 0, 0);
}

void Link(const WCHAR *path, const WCHAR *target) {
    UNICODE_STRING name, text;
    RtlInitUnicodeString(&name, path);
    RtlInitUnicodeString(&text, target);
    Must(ObpCreateSymbolicLink(&name, &text), "the first symbolic links");
}

} // namespace

void ObInitSystem(void) {
    Must(ObpCreateObject(&ObpDirectoryType, 0, &ObpRootDirectory), "the root directory");
    InitializeListHead(&static_cast<OBP_DIRECTORY *>(ObpRootDirectory)->children);
    static const WCHAR *const directories[] = {
        L"\\Device",           L"\\Driver",      L"\\GLOBAL??",     L"\\Callback",
        L"\\BaseNamedObjects", L"\\ObjectTypes", L"\\KernelObjects"};
    for (const WCHAR *path : directories)
        Must(ObpCreateDirectory(path), "the first directories");
    Link(L"\\??", L"\\GLOBAL??");
    Link(L"\\DosDevices", L"\\??");
    ExInitializeWorkers();
}
