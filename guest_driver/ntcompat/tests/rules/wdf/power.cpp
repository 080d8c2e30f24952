// SPDX-License-Identifier: MIT
//
// A queue that loses its power and gets it back with requests in the driver: who is
// asked about what, and when requests can be retrieved.
#include "wdfrules.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            DbgPrint("wdfrules: %s, line %u\n", #condition, __LINE__);                             \
            return STATUS_UNSUCCESSFUL;                                                            \
        }                                                                                          \
    } while (0)

// Of ntifs.h and wdfstatus.h.
extern "C" NTSYSAPI PDEVICE_OBJECT NTAPI IoGetDeviceAttachmentBaseRef(PDEVICE_OBJECT device);
static const auto Paused = (NTSTATUS)0xC0200203; // STATUS_WDF_PAUSED

static const ULONG Code = CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, METHOD_BUFFERED, FILE_ANY_ACCESS);
static const int Requests = 3; // A is kept, B is given back, C comes while the queue stops

struct Sent {
    PIRP irp;
    KEVENT done;
    NTSTATUS status;
};

static WDFQUEUE Manual;
static Sent Sents[Requests];
static WDFREQUEST Taken[Requests]; // by the driver, in order
static int Stops, Resumes, ReadyCalls;
static NTSTATUS WhileStopping;
static WDFREQUEST Resumed[Requests];
static ULONG StopFlags;

static VOID NTAPI EvtIoDeviceControl(WDFQUEUE, WDFREQUEST request, size_t, size_t, ULONG) {
    NTSTATUS status = WdfRequestForwardToIoQueue(request, Manual);
    if (!NT_SUCCESS(status))
        WdfRequestComplete(request, status);
}

// A and B are in the driver; the first call still gets C.
static VOID NTAPI EvtIoStop(WDFQUEUE queue, WDFREQUEST request, ULONG flags) {
    StopFlags |= flags;
    if (Stops++ == 0)
        WhileStopping = WdfIoQueueRetrieveNextRequest(queue, &Taken[2]);
    WdfRequestStopAcknowledge(request, request == Taken[1]);
}

static VOID NTAPI EvtIoResume(WDFQUEUE, WDFREQUEST request) {
    if (Resumes < Requests)
        Resumed[Resumes] = request;
    Resumes++;
}

static VOID NTAPI EvtReady(WDFQUEUE, WDFCONTEXT) {
    ReadyCalls++;
}

static NTSTATUS NTAPI OnComplete(PDEVICE_OBJECT, PIRP irp, PVOID context) {
    auto sent = (Sent *)context;
    sent->status = irp->IoStatus.Status;
    KeSetEvent(&sent->done, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static bool Send(PDEVICE_OBJECT device, Sent *sent) {
    KeInitializeEvent(&sent->done, NotificationEvent, FALSE);
    sent->irp = IoAllocateIrp(device->StackSize, FALSE);
    if (!sent->irp)
        return false;
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(sent->irp);
    next->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    next->Parameters.DeviceIoControl.IoControlCode = Code;
    IoSetCompletionRoutine(sent->irp, OnComplete, sent, TRUE, TRUE, TRUE);
    return IoCallDriver(device, sent->irp) == STATUS_PENDING;
}

static VOID NTAPI PowerDone(PDEVICE_OBJECT, UCHAR, POWER_STATE, PVOID context, PIO_STATUS_BLOCK) {
    KeSetEvent((PKEVENT)context, IO_NO_INCREMENT, FALSE);
}

static NTSTATUS SetPower(WDFDEVICE device, DEVICE_POWER_STATE state) {
    KEVENT done;
    POWER_STATE power;
    KeInitializeEvent(&done, NotificationEvent, FALSE);
    power.DeviceState = state;
    PDEVICE_OBJECT pdo = IoGetDeviceAttachmentBaseRef(WdfDeviceWdmGetDeviceObject(device));
    NTSTATUS status = PoRequestPowerIrp(pdo, IRP_MN_SET_POWER, power, PowerDone, &done, nullptr);
    if (status == STATUS_PENDING)
        KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, nullptr);
    ObDereferenceObject(pdo);
    return status;
}

static NTSTATUS Cycle(WDFDEVICE device) {
    PDEVICE_OBJECT top = WdfDeviceWdmGetDeviceObject(device);
    WDFREQUEST none;
    for (Sent &sent : Sents)
        CHECK(Send(top, &sent));
    CHECK(ReadyCalls == 1); // from empty to one alone
    CHECK(NT_SUCCESS(WdfIoQueueRetrieveNextRequest(Manual, &Taken[0])));
    CHECK(NT_SUCCESS(WdfIoQueueRetrieveNextRequest(Manual, &Taken[1])));

    CHECK(SetPower(device, PowerDeviceD3) == STATUS_PENDING);
    CHECK(NT_SUCCESS(WhileStopping) && Taken[2] != nullptr);
    CHECK(Stops == 2 && StopFlags == WdfRequestStopActionSuspend); // nobody asks about C
    CHECK(WdfIoQueueRetrieveNextRequest(Manual, &none) == Paused); // B waits
    CHECK(Resumes == 0 && ReadyCalls == 1);

    CHECK(SetPower(device, PowerDeviceD0) == STATUS_PENDING);
    CHECK(Resumes == 2 && Resumed[0] == Taken[0] && Resumed[1] == Taken[2]);
    CHECK(ReadyCalls == 2); // for B, which was put back
    CHECK(NT_SUCCESS(WdfIoQueueRetrieveNextRequest(Manual, &Taken[1])));
    for (WDFREQUEST request : Taken)
        WdfRequestComplete(request, STATUS_SUCCESS);
    for (Sent &sent : Sents) {
        KeWaitForSingleObject(&sent.done, Executive, KernelMode, FALSE, nullptr);
        CHECK(sent.status == STATUS_SUCCESS);
        IoFreeIrp(sent.irp);
    }
    return STATUS_SUCCESS;
}

// A thread of its own: power requests can come when the start request is complete.
static VOID NTAPI CycleThread(PVOID context) {
    LARGE_INTEGER pause; // 100 ms
    pause.QuadPart = -1000000;
    KeDelayExecutionThread(KernelMode, FALSE, &pause);
    NTSTATUS status = Cycle((WDFDEVICE)context);
    DbgPrint("control: %s (%s): 0x%08x\n", NT_SUCCESS(status) ? "ok" : "failed", Current->name,
             status);
}

static NTSTATUS NTAPI EvtSelfManagedIoInit(WDFDEVICE device) {
    HANDLE thread;
    NTSTATUS status = PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr,
                                           CycleThread, device);
    if (NT_SUCCESS(status))
        ZwClose(thread);
    return status;
}

static NTSTATUS CreateQueues(WDFDEVICE device) {
    WDF_IO_QUEUE_CONFIG config;
    WDFQUEUE queue;
    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoDeviceControl = EvtIoDeviceControl;
    config.PowerManaged = WdfTrue;
    NTSTATUS status = WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, &queue);
    if (!NT_SUCCESS(status))
        return status;
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchManual);
    config.PowerManaged = WdfTrue;
    config.EvtIoStop = EvtIoStop;
    config.EvtIoResume = EvtIoResume;
    status = WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, &Manual);
    return NT_SUCCESS(status) ? WdfIoQueueReadyNotify(Manual, EvtReady, nullptr) : status;
}

static NTSTATUS NTAPI AddPowerDevice(WDFDRIVER, PWDFDEVICE_INIT init) {
    WDF_PNPPOWER_EVENT_CALLBACKS callbacks;
    WDFDEVICE device;
    WDF_PNPPOWER_EVENT_CALLBACKS_INIT(&callbacks);
    callbacks.EvtDeviceSelfManagedIoInit = EvtSelfManagedIoInit;
    WdfDeviceInitSetPnpPowerEventCallbacks(init, &callbacks);
    NTSTATUS status = WdfDeviceCreate(&init, WDF_NO_OBJECT_ATTRIBUTES, &device);
    return NT_SUCCESS(status) ? CreateQueues(device) : status;
}

const WdfCase PowerCases[] = {
    {"control-queue-power", nullptr, nullptr, nullptr, nullptr, AddPowerDevice},
    {nullptr, nullptr, nullptr},
};
