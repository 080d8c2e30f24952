// SPDX-License-Identifier: MIT
// Loading and unloading.
#include "driver.h"

extern "C" DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_UNLOAD EvtDriverUnload;

// IRQL: PASSIVE_LEVEL.
extern "C" NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING registry_path) {
    WDF_DRIVER_CONFIG config;

    WDF_DRIVER_CONFIG_INIT(&config, Vq7EvtDeviceAdd);
    config.EvtDriverUnload = EvtDriverUnload;
    config.DriverPoolTag = VQ7_POOL_TAG;
    NTSTATUS status =
        WdfDriverCreate(driver, registry_path, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
    if (!NT_SUCCESS(status)) {
        Vq7Log("WdfDriverCreate failed, status 0x%08x\n", (unsigned int)status);
        return status;
    }
    Vq7Log("loaded\n");
    return STATUS_SUCCESS;
}

static VOID NTAPI EvtDriverUnload(WDFDRIVER) {
    Vq7Log("unloaded\n");
}
