// SPDX-License-Identifier: MIT
//
// Requests: a device whose queue gets one when the device has started.
#include "wdfrules.h"

static PVOID Sender; // the thread that sends the request

static const ULONG Code = CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS);

static VOID NTAPI EvtIoDeviceControl(WDFQUEUE queue, WDFREQUEST request, size_t, size_t, ULONG) {
    Current->request(queue, request);
}

// Only where a case keeps its request.
static VOID NTAPI EvtIoStop(WDFQUEUE, WDFREQUEST request, ULONG flags) {
    if (Current->stop)
        Current->stop(request, flags);
}

// A thread of its own: the device is started only when the start request is complete.
static VOID NTAPI SendRequest(PVOID context) {
    auto device = (PDEVICE_OBJECT)context;
    KEVENT event;
    IO_STATUS_BLOCK io;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    PIRP irp =
        IoBuildDeviceIoControlRequest(Code, device, nullptr, 0, nullptr, 0, FALSE, &event, &io);
    NTSTATUS status = irp ? IoCallDriver(device, irp) : STATUS_INSUFFICIENT_RESOURCES;
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, nullptr);
        status = io.Status;
    }
    if (Current->stop || strncmp(Current->name, "control", 7) != 0)
        DbgPrint("wdfrules: case %s: the request returned 0x%08x\n", Current->name, status);
    else
        DbgPrint("control: %s (%s): 0x%08x\n", NT_SUCCESS(status) ? "ok" : "failed", Current->name,
                 status);
}

static NTSTATUS NTAPI EvtSelfManagedIoInit(WDFDEVICE device) {
    HANDLE handle;
    if (!Current->request)
        return STATUS_SUCCESS;
    NTSTATUS status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr,
                                           SendRequest, WdfDeviceWdmGetDeviceObject(device));
    if (!NT_SUCCESS(status))
        return status;
    status = ObReferenceObjectByHandle(handle, SYNCHRONIZE, nullptr, KernelMode, &Sender, nullptr);
    ZwClose(handle);
    return status;
}

// The thread has left the driver before it is unloaded.
static VOID NTAPI EvtSelfManagedIoCleanup(WDFDEVICE) {
    if (!Sender)
        return;
    KeWaitForSingleObject(Sender, Executive, KernelMode, FALSE, nullptr);
    ObDereferenceObject(Sender);
    Sender = nullptr;
}

NTSTATUS NTAPI EvtDeviceAdd(WDFDRIVER, PWDFDEVICE_INIT init) {
    WDF_PNPPOWER_EVENT_CALLBACKS callbacks;
    WDF_IO_QUEUE_CONFIG config;
    WDFDEVICE device;
    WDFQUEUE queue;
    WDF_PNPPOWER_EVENT_CALLBACKS_INIT(&callbacks);
    callbacks.EvtDeviceSelfManagedIoInit = EvtSelfManagedIoInit;
    callbacks.EvtDeviceSelfManagedIoCleanup = EvtSelfManagedIoCleanup;
    WdfDeviceInitSetPnpPowerEventCallbacks(init, &callbacks);
    NTSTATUS status = WdfDeviceCreate(&init, WDF_NO_OBJECT_ATTRIBUTES, &device);
    if (!NT_SUCCESS(status))
        return status;
    if (Current->add)
        return Current->add(device);
    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoDeviceControl = EvtIoDeviceControl;
    config.EvtIoStop = EvtIoStop;
    return WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, &queue);
}

static void CompletedTwice(WDFQUEUE, WDFREQUEST request) {
    WdfObjectReference(request); // the handle stays good
    WdfRequestComplete(request, STATUS_SUCCESS);
    WdfRequestComplete(request, STATUS_SUCCESS);
}

static void UsedCompleted(WDFQUEUE, WDFREQUEST request) {
    WdfRequestComplete(request, STATUS_SUCCESS);
    WdfRequestSetInformation(request, 0);
}

static void PendingStatus(WDFQUEUE, WDFREQUEST request) {
    WdfRequestComplete(request, STATUS_PENDING);
}

static void TooMuchInformation(WDFQUEUE, WDFREQUEST request) {
    WdfRequestCompleteWithInformation(request, STATUS_SUCCESS, 4096);
}

static void Deleted(WDFQUEUE, WDFREQUEST request) {
    WdfObjectDelete(request);
}

static VOID NTAPI NoCancel(WDFREQUEST) {}

static void Cancelable(WDFQUEUE, WDFREQUEST request) {
    WdfRequestMarkCancelable(request, NoCancel);
    WdfRequestComplete(request, STATUS_SUCCESS);
}

static void StopInCallback(WDFQUEUE queue, WDFREQUEST) {
    WdfIoQueueStopSynchronously(queue);
}

static void Legal(WDFQUEUE, WDFREQUEST request) {
    WdfRequestMarkCancelable(request, NoCancel);
    NTSTATUS status = WdfRequestUnmarkCancelable(request);
    WdfRequestComplete(request, status);
}

const WdfCase RequestCases[] = {
    {"request-completed-twice", nullptr, CompletedTwice},
    {"request-used-completed", nullptr, UsedCompleted},
    {"request-pending-status", nullptr, PendingStatus},
    {"request-too-much-information", nullptr, TooMuchInformation},
    {"request-deleted", nullptr, Deleted},
    {"request-cancelable", nullptr, Cancelable},
    {"queue-stop-in-callback", nullptr, StopInCallback},
    {"control-requests", nullptr, Legal},
    {nullptr, nullptr, nullptr},
};
