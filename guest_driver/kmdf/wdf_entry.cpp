// SPDX-License-Identifier: MIT
// The image entry point of a KMDF driver. It binds to the framework, calls the
// driver's own DriverEntry, and sees to it that the driver unbinds after its
// DriverUnload: WDFLDR.SYS must not keep a client whose image is gone.
#include <ntddk.h>
#include <wdf.h>
#include "wdf_bind.h"

extern "C" {

DRIVER_INITIALIZE DriverEntry;
NTSTATUS NTAPI FxDriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath);

WDFFUNC WdfFunctions[WdfFunctionTableNumEntries];
PWDF_DRIVER_GLOBALS WdfDriverGlobals;
}

static WCHAR ComponentName[] = L"KmdfLibrary";
static WDF_BIND_INFO BindInfo = {
    sizeof(WDF_BIND_INFO),
    ComponentName,
    {KMDF_MAJOR_VERSION_BOUND, KMDF_MINOR_VERSION_BOUND, KMDF_BUILD_NUMBER_BOUND},
    WdfFunctionTableNumEntries,
    WdfFunctions,
    NULL,
};

// The loader keeps using the registry path until the unbind, while the
// system's own string is gone after DriverEntry: hence a copy.
static WCHAR RegistryPathBuffer[260];
static UNICODE_STRING RegistryPathCopy = {0, sizeof(RegistryPathBuffer), RegistryPathBuffer};

static PDRIVER_UNLOAD DisplacedUnload;

static VOID Unbind(VOID) {
    NTSTATUS status = WdfVersionUnbind(&RegistryPathCopy, &BindInfo, WdfDriverGlobals);

    if (!NT_SUCCESS(status)) {
        DbgPrint("kmdf: WdfVersionUnbind failed, status 0x%08x\n", (unsigned int)status);
    }
}

// IRQL: PASSIVE_LEVEL. First what the framework (or the driver) had put into
// DriverUnload, then the unbind.
static VOID NTAPI StubUnload(PDRIVER_OBJECT driver) {
    if (DisplacedUnload != NULL) {
        DisplacedUnload(driver);
    }
    Unbind();
}

// IRQL: PASSIVE_LEVEL. Returns what WdfVersionBind or DriverEntry returns;
// STATUS_BUFFER_TOO_SMALL when the registry path is longer than any real one.
NTSTATUS NTAPI FxDriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING registry_path) {
    NTSTATUS status;

    if (registry_path->Length > sizeof(RegistryPathBuffer) - sizeof(WCHAR)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    RtlCopyUnicodeString(&RegistryPathCopy, registry_path);
    status = WdfVersionBind(driver, &RegistryPathCopy, &BindInfo, &WdfDriverGlobals);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = DriverEntry(driver, registry_path);
    if (!NT_SUCCESS(status)) {
        Unbind();
        return status;
    }
    if (WdfDriverGlobals->DisplaceDriverUnload) {
        DisplacedUnload = driver->DriverUnload;
        driver->DriverUnload = StubUnload;
    }
    return STATUS_SUCCESS;
}
