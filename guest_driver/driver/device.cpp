// SPDX-License-Identifier: MIT
// EvtDriverDeviceAdd: the device object and everything that lives as long.
#include <initguid.h>
#include "driver.h"
#include "blk.h"

DEFINE_GUID(Vq7InterfaceGuid, 0x8a6c7f2e, 0x51b0, 0x4d0b, 0x9e, 0x43, 0x5b, 0x7a, 0x3c, 0x1d, 0x7e,
            0x07);

static EVT_WDF_OBJECT_CONTEXT_CLEANUP EvtDeviceCleanup;

// The requests and the rings are gone when this is called.
static VOID NTAPI EvtDeviceCleanup(WDFOBJECT object) {
    DEVICE_CONTEXT *dc = Vq7GetDevice(object);

    if (dc->type != NULL && dc->type->Destroy != NULL) {
        dc->type->Destroy(dc);
    }
}

// KMDF 1.9 takes interrupt objects here alone, before the device's resources
// are known: as many as could be used. It gives them the device's interrupts
// in this order; those that are left over stay idle.
static NTSTATUS CreateInterrupts(DEVICE_CONTEXT *dc) {
    for (UINT16 i = 0; i < VQ7_MAX_INTERRUPTS; i++) {
        WDF_INTERRUPT_CONFIG config;
        WDF_OBJECT_ATTRIBUTES attributes;

        WDF_INTERRUPT_CONFIG_INIT(&config, Vq7EvtIsr, Vq7EvtDpc);
        WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, INTERRUPT_CONTEXT);
        NTSTATUS status = WdfInterruptCreate(dc->device, &config, &attributes, &dc->interrupts[i]);
        if (!NT_SUCCESS(status)) {
            return status;
        }
        Vq7GetInterrupt(dc->interrupts[i])->index = i;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS CreateIoQueues(DEVICE_CONTEXT *dc) {
    WDF_IO_QUEUE_CONFIG config;

    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.PowerManaged = WdfTrue;
    config.EvtIoDeviceControl = Vq7EvtDeviceControl;
    NTSTATUS status =
        WdfIoQueueCreate(dc->device, &config, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    // Requests that wait for the ring wait here, where the framework cancels
    // them and holds them back while the device has no power.
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchManual);
    config.PowerManaged = WdfTrue;
    config.EvtIoStop = Vq7EvtIoStop;
    status = WdfIoQueueCreate(dc->device, &config, WDF_NO_OBJECT_ATTRIBUTES, &dc->io_queue);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    return WdfIoQueueReadyNotify(dc->io_queue, Vq7EvtIoQueueReady, dc);
}

static NTSTATUS CreateLocks(DEVICE_CONTEXT *dc) {
    WDF_OBJECT_ATTRIBUTES attributes;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = dc->device;
    NTSTATUS status = WdfWaitLockCreate(&attributes, &dc->power_lock);
    if (NT_SUCCESS(status)) {
        status = WdfSpinLockCreate(&attributes, &dc->register_lock);
    }
    for (UINT16 i = 0; NT_SUCCESS(status) && i < VQ7_MAX_QUEUES; i++) {
        dc->queues[i].device = dc;
        dc->queues[i].index = i;
        status = WdfSpinLockCreate(&attributes, &dc->queues[i].lock);
    }
    return status;
}

static NTSTATUS CreateFailWork(DEVICE_CONTEXT *dc) {
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_WORKITEM_CONFIG config;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = dc->device;
    WDF_WORKITEM_CONFIG_INIT(&config, Vq7EvtFailWork);
    config.AutomaticSerialization = FALSE;
    return WdfWorkItemCreate(&config, &attributes, &dc->fail_work);
}

// Rings, tables and headers are common buffers. The data is not mapped by the
// framework; dma.cpp says why.
static NTSTATUS CreateDmaEnabler(DEVICE_CONTEXT *dc) {
    WDF_DMA_ENABLER_CONFIG config;

    WDF_DMA_ENABLER_CONFIG_INIT(&config, WdfDmaProfileScatterGather64, BLK_MAX_TRANSFER);
    return WdfDmaEnablerCreate(dc->device, &config, WDF_NO_OBJECT_ATTRIBUTES, &dc->dma);
}

static VOID SetCallbacks(PWDFDEVICE_INIT init) {
    WDF_PNPPOWER_EVENT_CALLBACKS callbacks;
    WDF_OBJECT_ATTRIBUTES attributes;

    WDF_PNPPOWER_EVENT_CALLBACKS_INIT(&callbacks);
    callbacks.EvtDevicePrepareHardware = Vq7EvtPrepareHardware;
    callbacks.EvtDeviceReleaseHardware = Vq7EvtReleaseHardware;
    callbacks.EvtDeviceD0Entry = Vq7EvtD0Entry;
    callbacks.EvtDeviceD0EntryPostInterruptsEnabled = Vq7EvtPostInterruptsEnabled;
    callbacks.EvtDeviceD0ExitPreInterruptsDisabled = Vq7EvtPreInterruptsDisabled;
    callbacks.EvtDeviceD0Exit = Vq7EvtD0Exit;
    callbacks.EvtDeviceSurpriseRemoval = Vq7EvtSurpriseRemoval;
    callbacks.EvtDeviceSelfManagedIoInit = Vq7EvtIoStarted;
    callbacks.EvtDeviceSelfManagedIoRestart = Vq7EvtIoStarted;
    WdfDeviceInitSetPnpPowerEventCallbacks(init, &callbacks);

    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, BLK_IO);
    WdfDeviceInitSetRequestAttributes(init, &attributes);
}

static NTSTATUS CreateAll(DEVICE_CONTEXT *dc) {
    NTSTATUS status = CreateLocks(dc);

    if (NT_SUCCESS(status)) {
        status = CreateInterrupts(dc);
    }
    if (NT_SUCCESS(status)) {
        status = CreateIoQueues(dc);
    }
    if (NT_SUCCESS(status)) {
        status = CreateFailWork(dc);
    }
    if (NT_SUCCESS(status)) {
        status = Vq7WatchdogCreate(dc);
    }
    if (NT_SUCCESS(status)) {
        status = CreateDmaEnabler(dc);
    }
    if (NT_SUCCESS(status)) {
        status = WdfDeviceCreateDeviceInterface(dc->device, &Vq7InterfaceGuid, NULL);
    }
    return status;
}

// IRQL: PASSIVE_LEVEL. After a failure the framework deletes what was made.
NTSTATUS NTAPI Vq7EvtDeviceAdd(WDFDRIVER, PWDFDEVICE_INIT init) {
    VQ7_SETTINGS settings;
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFDEVICE device;

    NTSTATUS status = Vq7ReadSettings(&settings);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    SetCallbacks(init);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, DEVICE_CONTEXT);
    attributes.EvtCleanupCallback = EvtDeviceCleanup;
    status = WdfDeviceCreate(&init, &attributes, &device);
    if (NT_SUCCESS(status)) {
        DEVICE_CONTEXT *dc = Vq7GetDevice(device);
        dc->device = device;
        dc->mode = settings.mode;
        dc->timeout_ms = settings.timeout.timeout_ms;
        dc->retries = settings.timeout.retries;
        status = CreateAll(dc);
    }
    if (!NT_SUCCESS(status)) {
        Vq7Log("cannot add a device, status 0x%08x\n", (unsigned int)status);
    }
    return status;
}
