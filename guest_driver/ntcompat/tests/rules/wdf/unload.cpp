// SPDX-License-Identifier: MIT
//
// A device that is started and, later, removed, its driver unloaded: what must be given
// back by then, and what a driver is told about requests that it holds.
#include "wdfrules.h"

static const ULONG Tag = 'luRN';

static NTSTATUS LeakObject(WDFDEVICE) {
    WDFOBJECT object;
    NTSTATUS status = CreateObject(WDF_NO_OBJECT_ATTRIBUTES, &object);
    if (NT_SUCCESS(status))
        WdfObjectReference(object);
    return status;
}

static NTSTATUS LeakHandle(WDFDEVICE) {
    HANDLE key;
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, L"\\Registry\\Machine\\System\\CurrentControlSet\\Services");
    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE,
                               nullptr, nullptr);
    NTSTATUS status = ZwOpenKey(&key, KEY_READ, &attributes);
    DbgPrint("wdfrules: a handle that stays open: %p\n", key);
    return status;
}

static NTSTATUS LeakPool(WDFDEVICE) {
    PVOID block = ExAllocatePoolWithTag(NonPagedPool, 40, Tag);
    DbgPrint("wdfrules: a block that is not freed: %p\n", block);
    return block ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

// WdfDeviceWdmGetPhysicalDevice, which kmdf/ doesn't wrap.
static PDEVICE_OBJECT PhysicalDevice(WDFDEVICE device) {
    typedef PDEVICE_OBJECT NTAPI GET(PWDF_DRIVER_GLOBALS globals, WDFDEVICE device);
    auto *get = (GET *)WdfFunctions[WdfDeviceWdmGetPhysicalDeviceTableIndex];
    return get(WdfDriverGlobals, device);
}

static NTSTATUS NewAdapter(WDFDEVICE device, PDMA_ADAPTER *adapter) {
    DEVICE_DESCRIPTION description;
    ULONG registers;
    RtlZeroMemory(&description, sizeof(description));
    description.Version = DEVICE_DESCRIPTION_VERSION;
    description.Master = TRUE;
    description.ScatterGather = TRUE;
    description.Dma64BitAddresses = TRUE;
    description.InterfaceType = PCIBus;
    description.MaximumLength = PAGE_SIZE;
    *adapter = IoGetDmaAdapter(PhysicalDevice(device), &description, &registers);
    return *adapter ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static NTSTATUS LeakAdapter(WDFDEVICE device) {
    PDMA_ADAPTER adapter;
    return NewAdapter(device, &adapter);
}

static NTSTATUS LeakBuffer(WDFDEVICE device) {
    PDMA_ADAPTER adapter;
    PHYSICAL_ADDRESS address;
    NTSTATUS status = NewAdapter(device, &adapter);
    if (!NT_SUCCESS(status))
        return status;
    PVOID buffer = adapter->DmaOperations->AllocateCommonBuffer(adapter, PAGE_SIZE, &address, TRUE);
    return buffer ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

// ---- legal ----------------------------------------------------------------------------

static WDFREQUEST volatile Kept;

static void Keep(WDFQUEUE, WDFREQUEST request) {
    Kept = request;
    DbgPrint("wdfrules: keeps its request\n");
}

// The device leaves D0, and the queue takes the request back.
static void Stop(WDFREQUEST request, ULONG flags) {
    bool suspend = flags == WdfRequestStopActionSuspend;
    DbgPrint("control: %s (control-io-stop): %s\n", request == Kept ? "ok" : "failed",
             suspend ? "suspend" : "another action");
    WdfRequestStopAcknowledge(request, TRUE);
}

const WdfCase UnloadCases[] = {
    {"unload-leak-object", nullptr, nullptr, LeakObject},
    {"unload-leak-handle", nullptr, nullptr, LeakHandle},
    {"unload-leak-pool", nullptr, nullptr, LeakPool},
    {"unload-leak-adapter", nullptr, nullptr, LeakAdapter},
    {"unload-leak-buffer", nullptr, nullptr, LeakBuffer},
    {"control-io-stop", nullptr, Keep, nullptr, Stop},
    {nullptr, nullptr, nullptr},
};
