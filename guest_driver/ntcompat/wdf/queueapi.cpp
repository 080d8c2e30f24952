// SPDX-License-Identifier: MIT
// WdfIoQueue...: creation, state, retrieval.
#include "queue.h"

using namespace wdfldr;

namespace wdfldr {

void Queue::OnDelete() {
    KIRQL irql;
    KeAcquireSpinLock(&lock, &irql);
    accept = false;
    KeReleaseSpinLock(&lock, irql);
    CancelPending();
    CancelOwned();
    WaitFor(this, &allIdle, "deletion of a queue");
    // A late presenting work item finds nothing to do, but has to end first.
    LARGE_INTEGER interval;
    interval.QuadPart = -10000; // 1 ms
    while (workQueued)
        KeDelayExecutionThread(KernelMode, FALSE, &interval);
    KeAcquireSpinLock(&device->lock, &irql);
    RemoveEntryList(&deviceLink);
    KeReleaseSpinLock(&device->lock, irql);
}

void Queue::OnDestroy() {
    if (work)
        IoFreeWorkItem(work);
    work = nullptr;
}

} // namespace wdfldr

static NTSTATUS CheckConfig(const WDF_IO_QUEUE_CONFIG *config, const Device *device) {
    static const char kName[] = "WdfIoQueueCreate";
    // Settings came with 1.9.
    if (config->Size != sizeof(*config) &&
        config->Size != FIELD_OFFSET(WDF_IO_QUEUE_CONFIG, Settings))
        return Refuse(STATUS_INFO_LENGTH_MISMATCH, kName, "WDF_IO_QUEUE_CONFIG has the wrong size");
    if (config->DispatchType <= WdfIoQueueDispatchInvalid ||
        config->DispatchType >= WdfIoQueueDispatchMax)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "DispatchType");
    if (config->PowerManaged != WdfTrue && config->PowerManaged != WdfFalse &&
        config->PowerManaged != WdfUseDefault)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "PowerManaged");
    bool handler = config->EvtIoDefault || config->EvtIoRead || config->EvtIoWrite ||
                   config->EvtIoDeviceControl || config->EvtIoInternalDeviceControl;
    if (config->DispatchType == WdfIoQueueDispatchManual ? handler : !handler)
        return Refuse(config->DispatchType == WdfIoQueueDispatchManual ? STATUS_INVALID_PARAMETER
                                                                       : STATUS_WDF_NO_CALLBACK,
                      kName, "a manual queue takes no request handler, any other needs one");
    if (config->Size == sizeof(*config) && config->DispatchType == WdfIoQueueDispatchParallel &&
        config->Settings.Parallel.NumberOfPresentedRequests == 0)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "NumberOfPresentedRequests is 0");
    if (config->DefaultQueue && device->defaultQueue)
        return Refuse(STATUS_UNSUCCESSFUL, kName, "the device has a default queue");
    return STATUS_SUCCESS;
}

static void Initialize(Queue *queue, Device *device, const WDF_IO_QUEUE_CONFIG *config) {
    queue->device = device;
    RtlCopyMemory(&queue->config, config, config->Size);
    if (config->Size != sizeof(*config))
        queue->config.Settings.Parallel.NumberOfPresentedRequests = ~0ul;
    queue->powerManaged = config->PowerManaged != WdfFalse;
    bool on = !queue->powerManaged || device->powerState == WdfPowerDeviceD0;
    queue->power = on ? QueuePower::On : QueuePower::Off;
    queue->passiveDelete = true;
    queue->noDelete = config->DefaultQueue;
    KeInitializeSpinLock(&queue->lock);
    InitializeListHead(&queue->pending);
    InitializeListHead(&queue->owned);
    InitializeListHead(&queue->frames);
    KeInitializeEvent(&queue->ownedIdle, NotificationEvent, TRUE);
    KeInitializeEvent(&queue->allIdle, NotificationEvent, TRUE);
    KeInitializeEvent(&queue->stopChange, NotificationEvent, FALSE);
}

static void SetScope(Queue *queue, Device *device) {
    queue->passiveCallbacks = queue->executionLevel == WdfExecutionLevelPassive;
    queue->ownCallbackLock.Initialize(queue->passiveCallbacks);
    if (queue->synchronizationScope == WdfSynchronizationScopeQueue)
        queue->scopeLock = &queue->ownCallbackLock;
    else if (queue->synchronizationScope == WdfSynchronizationScopeDevice)
        queue->scopeLock = &device->callbackLock;
}

WDF_API(NTSTATUS, WdfIoQueueCreate,
        (PWDF_DRIVER_GLOBALS pub, WDFDEVICE deviceHandle, PWDF_IO_QUEUE_CONFIG config,
         PWDF_OBJECT_ATTRIBUTES attributes, WDFQUEUE *out)) {
    WDF_ENTER(WdfIoQueueCreate, DISPATCH_LEVEL);
    auto *device = From<Device>(globals, deviceHandle, kName);
    CheckNotNull(config, kName, "Config");
    if (out)
        *out = nullptr;
    NTSTATUS status = CheckConfig(config, device);
    if (!NT_SUCCESS(status))
        return status;
    status = CheckAttributes(globals, attributes, kParentOptional | kLevelsAllowed);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    Object *parent = ParentOf(globals, attributes, device);
    if (!IsBelow(parent, device))
        return Refuse(STATUS_INVALID_DEVICE_REQUEST, kName, "the parent isn't below the device");
    auto *queue = New<Queue>(globals, Type::Queue);
    if (!queue)
        return STATUS_INSUFFICIENT_RESOURCES;
    Initialize(queue, device, config);
    queue->work = IoAllocateWorkItem(device->deviceObject);
    if (!queue->work) {
        Free(globals, queue);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    PIO_WORKITEM work = queue->work;
    status = FinishCreate(globals, queue, parent, attributes);
    if (!NT_SUCCESS(status)) {
        IoFreeWorkItem(work);
        return Refuse(status, kName, "attributes");
    }
    SetScope(queue, device);
    KIRQL irql;
    KeAcquireSpinLock(&device->lock, &irql);
    InsertTailList(&device->queues, &queue->deviceLink);
    if (config->DefaultQueue)
        device->defaultQueue = queue;
    KeReleaseSpinLock(&device->lock, irql);
    if (out)
        *out = queue->HandleAs<WDFQUEUE>();
    return STATUS_SUCCESS;
}

WDF_API(WDFDEVICE, WdfIoQueueGetDevice, (PWDF_DRIVER_GLOBALS pub, WDFQUEUE handle)) {
    WDF_ENTER(WdfIoQueueGetDevice, DISPATCH_LEVEL);
    return From<Queue>(globals, handle, kName)->device->HandleAs<WDFDEVICE>();
}

WDF_API(WDF_IO_QUEUE_STATE, WdfIoQueueGetState,
        (PWDF_DRIVER_GLOBALS pub, WDFQUEUE handle, PULONG queued, PULONG inDriver)) {
    WDF_ENTER(WdfIoQueueGetState, DISPATCH_LEVEL);
    auto *queue = From<Queue>(globals, handle, kName);
    KIRQL irql;
    KeAcquireSpinLock(&queue->lock, &irql);
    ULONG state = (queue->accept ? WdfIoQueueAcceptRequests : 0) |
                  (queue->started ? WdfIoQueueDispatchRequests : 0) |
                  (queue->pendingCount == 0 ? WdfIoQueueNoRequests : 0) |
                  (queue->ownedCount == 0 ? WdfIoQueueDriverNoRequests : 0) |
                  (queue->powerManaged && queue->power != QueuePower::On ? WdfIoQueuePnpHeld : 0);
    if (queued)
        *queued = queue->pendingCount;
    if (inDriver)
        *inDriver = queue->ownedCount;
    KeReleaseSpinLock(&queue->lock, irql);
    return static_cast<WDF_IO_QUEUE_STATE>(state);
}

WDF_API(NTSTATUS, WdfIoQueueRetrieveNextRequest,
        (PWDF_DRIVER_GLOBALS pub, WDFQUEUE handle, WDFREQUEST *out)) {
    WDF_ENTER(WdfIoQueueRetrieveNextRequest, DISPATCH_LEVEL);
    auto *queue = From<Queue>(globals, handle, kName);
    CheckNotNull(out, kName, "OutRequest");
    *out = nullptr;
    if (queue->config.DispatchType == WdfIoQueueDispatchParallel)
        return Refuse(STATUS_INVALID_DEVICE_STATE, kName, "the queue is parallel");
    for (;;) {
        KIRQL irql;
        KeAcquireSpinLock(&queue->lock, &irql);
        // While it goes off, too: only EvtIoQueueReady and presenting end at once.
        bool paused = !queue->started || queue->power == QueuePower::Off;
        Request *request = paused ? nullptr : queue->TakeNext();
        KeReleaseSpinLock(&queue->lock, irql);
        if (!request)
            return paused ? STATUS_WDF_PAUSED : STATUS_NO_MORE_ENTRIES;
        if (!queue->config.AllowZeroLengthRequests &&
            IsZeroLength(IoGetCurrentIrpStackLocation(request->irp))) {
            request->Complete(STATUS_SUCCESS, IO_NO_INCREMENT);
            continue;
        }
        request->presented = true;
        *out = request->HandleAs<WDFREQUEST>();
        return STATUS_SUCCESS;
    }
}

WDF_API(NTSTATUS, WdfIoQueueReadyNotify,
        (PWDF_DRIVER_GLOBALS pub, WDFQUEUE handle, PFN_WDF_IO_QUEUE_STATE ready,
         WDFCONTEXT context)) {
    WDF_ENTER(WdfIoQueueReadyNotify, DISPATCH_LEVEL);
    auto *queue = From<Queue>(globals, handle, kName);
    if (queue->config.DispatchType != WdfIoQueueDispatchManual)
        return Refuse(STATUS_INVALID_DEVICE_REQUEST, kName, "the queue isn't manual");
    KIRQL irql;
    KeAcquireSpinLock(&queue->lock, &irql);
    NTSTATUS status = STATUS_SUCCESS;
    if (ready && queue->ready.routine)
        status = STATUS_INVALID_DEVICE_REQUEST; // registered already
    else if (!ready && queue->started)
        status = STATUS_INVALID_DEVICE_REQUEST; // only a stopped queue lets it go
    else
        queue->ready = {ready, context};
    KeReleaseSpinLock(&queue->lock, irql);
    if (NT_SUCCESS(status))
        queue->Present();
    return status;
}
