// SPDX-License-Identifier: MIT
//
// DriverEntry: finds the case that the service parameter names and runs it.
#include "wdfrules.h"

#include "../case_name.h"

const WdfCase *Current;

static const WdfCase *FindCase(const char *name) {
    static const WdfCase *const tables[] = {ObjectCases, RequestCases};
    for (const WdfCase *table : tables)
        for (const WdfCase *c = table; c->name; c++)
            if (strcmp(c->name, name) == 0)
                return c;
    return nullptr;
}

static NTSTATUS CreateDriver(PDRIVER_OBJECT driver, PUNICODE_STRING registry_path) {
    WDF_DRIVER_CONFIG config;
    WDF_DRIVER_CONFIG_INIT(&config, EvtDeviceAdd);
    return WdfDriverCreate(driver, registry_path, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}

// Fails but for the cases with a device: what is left behind is seen at the unbind.
extern "C" NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING registry_path) {
    char name[64];
    NTSTATUS status = ReadCase(registry_path, name, sizeof(name));
    if (!NT_SUCCESS(status)) {
        DbgPrint("wdfrules: no parameter Case: 0x%08x\n", status);
        return status;
    }
    Current = FindCase(name);
    if (!Current) {
        DbgPrint("wdfrules: unknown case '%s'\n", name);
        return STATUS_NOT_FOUND;
    }
    DbgPrint("wdfrules: case %s begins\n", name);
    status = CreateDriver(driver, registry_path);
    if (!NT_SUCCESS(status) || !Current->run)
        return status;
    status = Current->run(WdfGetDriver());
    if (strncmp(name, "control", 7) != 0)
        DbgPrint("wdfrules: case %s returned 0x%08x\n", name, status);
    else if (NT_SUCCESS(status))
        DbgPrint("control: ok (%s)\n", name);
    else
        DbgPrint("control: failed (%s): 0x%08x\n", name, status);
    return STATUS_NO_SUCH_DEVICE;
}
