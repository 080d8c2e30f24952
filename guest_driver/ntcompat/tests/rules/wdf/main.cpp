// SPDX-License-Identifier: MIT
//
// DriverEntry: finds the case that the service parameter names and runs it.
#include "wdfrules.h"

#include "../case_name.h"

const WdfCase *Current;

static const WdfCase *const Tables[] = {ObjectCases, RequestCases, UnloadCases, PowerCases};

static const WdfCase *FindCase(const char *name) {
    for (const WdfCase *table : Tables)
        for (const WdfCase *c = table; c->name; c++)
            if (strcmp(c->name, name) == 0)
                return c;
    return nullptr;
}

static NTSTATUS CreateDriver(PDRIVER_OBJECT driver, PUNICODE_STRING registry_path) {
    WDF_DRIVER_CONFIG config;
    bool own = Current && Current->add_device;
    WDF_DRIVER_CONFIG_INIT(&config, own ? Current->add_device : EvtDeviceAdd);
    return WdfDriverCreate(driver, registry_path, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}

static void Run(const WdfCase *c) {
    DbgPrint("wdfrules: case %s begins\n", c->name);
    NTSTATUS status = c->run(WdfGetDriver());
    if (strncmp(c->name, "control", 7) != 0)
        DbgPrint("wdfrules: case %s returned 0x%08x\n", c->name, status);
    else if (NT_SUCCESS(status))
        DbgPrint("control: ok (%s)\n", c->name);
    else
        DbgPrint("control: failed (%s): 0x%08x\n", c->name, status);
}

static void RunControls() {
    for (const WdfCase *table : Tables)
        for (const WdfCase *c = table; c->name; c++)
            if (c->run && strncmp(c->name, "control-", 8) == 0)
                Run(c);
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
    bool controls = strcmp(name, "controls") == 0;
    if (!Current && !controls) {
        DbgPrint("wdfrules: unknown case '%s'\n", name);
        return STATUS_NOT_FOUND;
    }
    status = CreateDriver(driver, registry_path);
    if (!NT_SUCCESS(status))
        return status;
    if (controls) {
        RunControls();
    } else if (Current->run) {
        Run(Current);
    } else {
        DbgPrint("wdfrules: case %s begins\n", name);
        return status;
    }
    return STATUS_NO_SUCH_DEVICE;
}
