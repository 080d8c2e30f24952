// SPDX-License-Identifier: MIT
// What WDFLDR.SYS exports: binding a driver to the framework, and its end.
#include "driver.h"

using namespace wdfldr;

static constexpr ULONG kMajor = 1;
static constexpr ULONG kMinor = 9;

// Function counts of the released versions up to 1.9.
static bool IsReleasedCount(ULONG count) {
    return count == 396 || count == 387 || count == 386 || count == 383;
}

static NTSTATUS CheckBindInfo(const WDF_BIND_INFO *info) {
    static const char kName[] = "WdfVersionBind";
    static const WCHAR kComponent[] = L"KmdfLibrary";
    if (info->Size < sizeof(*info))
        return Refuse(STATUS_INVALID_PARAMETER, kName, "WDF_BIND_INFO has the wrong size");
    if (!info->Component || !info->FuncTable)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "no component or no function table");
    for (size_t i = 0; i < RTL_NUMBER_OF(kComponent); i++) {
        if (info->Component[i] != kComponent[i])
            return Refuse(STATUS_NOT_SUPPORTED, kName, "the component isn't KmdfLibrary");
    }
    if (info->Version.Major != kMajor || info->Version.Minor > kMinor)
        return Refuse(STATUS_NOT_SUPPORTED, kName, "the driver needs a newer KMDF than 1.9");
    if (!IsReleasedCount(info->FuncCount))
        return Refuse(STATUS_INVALID_PARAMETER, kName,
                      "FuncCount is that of no KMDF version up to 1.9");
    return STATUS_SUCCESS;
}

// "\Registry\...\Services\vq7test" -> "vq7test"; characters beyond ASCII become '?'.
static void SetDriverName(Globals *globals) {
    const UNICODE_STRING *path = &globals->registryPath;
    size_t length = path->Length / sizeof(WCHAR);
    size_t start = length;
    while (start > 0 && path->Buffer[start - 1] != L'\\')
        start--;
    for (size_t i = 0; i < WDF_DRIVER_GLOBALS_NAME_LEN - 1 && start + i < length; i++) {
        WCHAR c = path->Buffer[start + i];
        globals->pub.DriverName[i] = c < 128 ? static_cast<CHAR>(c) : '?';
    }
}

static ULONG MakeTag(const CHAR *name) {
    // Like the framework: the first four characters of the name, or FxDr.
    ULONG tag = 0;
    for (int i = 0; i < 4 && name[i]; i++)
        tag |= static_cast<ULONG>(static_cast<UCHAR>(name[i])) << (8 * i);
    return name[0] && name[1] && name[2] ? tag : 'rDxF';
}

extern "C" {

// PASSIVE_LEVEL. STATUS_INVALID_PARAMETER: malformed WDF_BIND_INFO;
// STATUS_NOT_SUPPORTED: another component or a newer version;
// STATUS_INSUFFICIENT_RESOURCES.
NTSTATUS NTAPI WdfVersionBind(PDRIVER_OBJECT driver, PUNICODE_STRING path, PWDF_BIND_INFO info,
                              PWDF_DRIVER_GLOBALS *out) {
    static const char kName[] = "WdfVersionBind";
    CheckIrql(PASSIVE_LEVEL, kName);
    if (!driver || !path || !info || !out)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "a parameter is NULL");
    *out = nullptr;
    NTSTATUS status = CheckBindInfo(info);
    if (!NT_SUCCESS(status))
        return status;
    size_t size = sizeof(Globals) + path->Length + sizeof(WCHAR);
    auto *globals = static_cast<Globals *>(ExAllocatePoolWithTag(NonPagedPool, size, 'rDxF'));
    if (!globals)
        return Refuse(STATUS_INSUFFICIENT_RESOURCES, kName, "out of memory");
    RtlZeroMemory(globals, size);
    globals->signature = Globals::kSignature;
    KeInitializeSpinLock(&globals->treeLock);
    InitializeListHead(&globals->live);
    globals->driverObject = driver;
    // Terminated, for WdfDriverGetRegistryPath.
    globals->registryPath.Buffer = reinterpret_cast<PWCH>(globals + 1);
    globals->registryPath.MaximumLength = static_cast<USHORT>(path->Length + sizeof(WCHAR));
    RtlCopyUnicodeString(&globals->registryPath, path);
    SetDriverName(globals);
    globals->pub.DriverTag = MakeTag(globals->pub.DriverName);
    FillFunctionTable(reinterpret_cast<void **>(info->FuncTable), info->FuncCount);
    *out = &globals->pub;
    DbgPrint("WDFLDR: %s bound to KMDF %u.%u (driver built for %u.%u.%u)\n",
             globals->pub.DriverName, kMajor, kMinor, info->Version.Major, info->Version.Minor,
             info->Version.Build);
    return STATUS_SUCCESS;
}

// PASSIVE_LEVEL. Deletes the driver object and what hangs below it; whatever the
// driver still holds then (a reference that was never given back) stops the system.
NTSTATUS NTAPI WdfVersionUnbind(PUNICODE_STRING path, PWDF_BIND_INFO info,
                                PWDF_DRIVER_GLOBALS pub) {
    static const char kName[] = "WdfVersionUnbind";
    CheckIrql(PASSIVE_LEVEL, kName);
    if (!path || !info || !pub)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "a parameter is NULL");
    Globals *globals = ToGlobals(pub, kName);
    if (Driver *driver = globals->driver) {
        if (driver->deviceCount)
            Stop(kPnpFatal, driver->Handle(), driver->deviceCount,
                 "%s: %s unbinds with %u devices left", kName, pub->DriverName,
                 driver->deviceCount);
        globals->driver = nullptr;
        driver->Delete();
    }
    if (globals->allocations)
        Stop(kObjectError, pub, static_cast<ULONG_PTR>(globals->allocations),
             "%s: %s leaves %d objects or contexts behind: references not given back", kName,
             pub->DriverName, static_cast<int>(globals->allocations));
    globals->signature = 0;
    ExFreePoolWithTag(globals, 'rDxF');
    return STATUS_SUCCESS;
}

// Class extensions are outside of what Windows 7's in-box drivers need here.
NTSTATUS NTAPI WdfVersionBindClass(PWDF_BIND_INFO, PWDF_DRIVER_GLOBALS, PWDF_CLASS_BIND_INFO) {
    return Refuse(STATUS_NOT_SUPPORTED, "WdfVersionBindClass", "no class extensions");
}

VOID NTAPI WdfVersionUnbindClass(PWDF_BIND_INFO, PWDF_DRIVER_GLOBALS, PWDF_CLASS_BIND_INFO) {
    Refuse(STATUS_NOT_SUPPORTED, "WdfVersionUnbindClass", "no class extensions");
}

NTSTATUS NTAPI WdfRegisterLibrary(PVOID, PUNICODE_STRING, PCUNICODE_STRING) {
    return Refuse(STATUS_NOT_SUPPORTED, "WdfRegisterLibrary", "the framework is built in");
}

// The image is loaded as a library; its entry point has nothing to do.
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT, PUNICODE_STRING) {
    return STATUS_SUCCESS;
}

} // extern "C"
