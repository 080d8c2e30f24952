// SPDX-License-Identifier: MIT
// One request on its way into the driver's callback; power and removal of queues.
#include "queue.h"

namespace wdfldr {

// Calls the handler for the request's type. FALSE: the driver has none.
static bool CallHandler(Queue *queue, Request *request, PIO_STACK_LOCATION stack) {
    auto q = queue->HandleAs<WDFQUEUE>();
    auto r = request->HandleAs<WDFREQUEST>();
    const WDF_IO_QUEUE_CONFIG &config = queue->config;
    const auto &ioctl = stack->Parameters.DeviceIoControl;
    if (stack->MajorFunction == IRP_MJ_READ && config.EvtIoRead)
        config.EvtIoRead(q, r, stack->Parameters.Read.Length);
    else if (stack->MajorFunction == IRP_MJ_WRITE && config.EvtIoWrite)
        config.EvtIoWrite(q, r, stack->Parameters.Write.Length);
    else if (stack->MajorFunction == IRP_MJ_DEVICE_CONTROL && config.EvtIoDeviceControl)
        config.EvtIoDeviceControl(q, r, ioctl.OutputBufferLength, ioctl.InputBufferLength,
                                  ioctl.IoControlCode);
    else if (stack->MajorFunction == IRP_MJ_INTERNAL_DEVICE_CONTROL &&
             config.EvtIoInternalDeviceControl)
        config.EvtIoInternalDeviceControl(q, r, ioctl.OutputBufferLength, ioctl.InputBufferLength,
                                          ioctl.IoControlCode);
    else if (config.EvtIoDefault)
        config.EvtIoDefault(q, r);
    else
        return false;
    return true;
}

bool IsZeroLength(PIO_STACK_LOCATION stack) {
    return (stack->MajorFunction == IRP_MJ_READ && stack->Parameters.Read.Length == 0) ||
           (stack->MajorFunction == IRP_MJ_WRITE && stack->Parameters.Write.Length == 0);
}

void Queue::Deliver(Request *request) {
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(request->irp);
    if (IsZeroLength(stack) && !config.AllowZeroLengthRequests) {
        request->Complete(STATUS_SUCCESS, IO_NO_INCREMENT);
        return;
    }
    KIRQL before = KeGetCurrentIrql();
    bool handled;
    {
        CallbackGuard guard(scopeLock);
        handled = CallHandler(this, request, stack);
    }
    if (KeGetCurrentIrql() != before)
        Stop(kIrqlMismatch, Handle(), KeGetCurrentIrql(),
             "an I/O callback of queue %p returned at IRQL %u, called at %u", Handle(),
             static_cast<unsigned>(KeGetCurrentIrql()), static_cast<unsigned>(before));
    if (!handled)
        request->Complete(STATUS_INVALID_DEVICE_REQUEST, IO_NO_INCREMENT);
}

void WaitFor(Queue *queue, KEVENT *event, const char *what) {
    LARGE_INTEGER interval;
    interval.QuadPart = -50000000; // 5 s
    while (KeWaitForSingleObject(event, Executive, KernelMode, FALSE, &interval) == STATUS_TIMEOUT)
        DbgPrint("WDFLDR: %s: %s waits, %u requests queued, %u in the driver\n",
                 queue->globals->pub.DriverName, what, static_cast<unsigned>(queue->pendingCount),
                 static_cast<unsigned>(queue->ownedCount));
}

// Next owned request that EvtIoStop was not called for; referenced.
static Request *NextToStop(Queue *queue, bool *allStopped) {
    Request *found = nullptr;
    *allStopped = true;
    KIRQL irql;
    KeAcquireSpinLock(&queue->lock, &irql);
    for (LIST_ENTRY *e = queue->owned.Flink; e != &queue->owned; e = e->Flink) {
        auto *request = CONTAINING_RECORD(e, Request, queueLink);
        if (request->stopAcknowledged)
            continue;
        *allStopped = false;
        if (!found && !request->stopPending && queue->config.EvtIoStop &&
            request->state == RequestState::Driver) {
            found = request;
            request->stopPending = true;
            request->Reference();
        }
    }
    KeClearEvent(&queue->stopChange);
    KeReleaseSpinLock(&queue->lock, irql);
    return found;
}

void Queue::Hold() {
    KIRQL irql;
    KeAcquireSpinLock(&lock, &irql);
    powered = false;
    KeReleaseSpinLock(&lock, irql);
    for (;;) {
        bool allStopped;
        Request *request = NextToStop(this, &allStopped);
        if (allStopped)
            return;
        if (!request) {
            WaitFor(this, &stopChange, "power-down");
            continue;
        }
        ULONG flags = WdfRequestStopActionSuspend;
        if (request->cancelable)
            flags |= WdfRequestStopRequestCancelable;
        {
            CallbackGuard guard(scopeLock);
            config.EvtIoStop(HandleAs<WDFQUEUE>(), request->HandleAs<WDFREQUEST>(), flags);
        }
        request->Dereference();
    }
}

void Queue::Resume() {
    KIRQL irql;
    KeAcquireSpinLock(&lock, &irql);
    powered = true;
    if (pendingCount > 0)
        notifyReady = true;
    for (;;) {
        Request *stoppedRequest = nullptr;
        for (LIST_ENTRY *e = owned.Flink; e != &owned && !stoppedRequest; e = e->Flink) {
            auto *request = CONTAINING_RECORD(e, Request, queueLink);
            if (request->stopAcknowledged)
                stoppedRequest = request;
        }
        if (!stoppedRequest)
            break;
        stoppedRequest->stopAcknowledged = stoppedRequest->stopPending = false;
        stoppedRequest->Reference();
        KeReleaseSpinLock(&lock, irql);
        if (config.EvtIoResume) {
            CallbackGuard guard(scopeLock);
            config.EvtIoResume(HandleAs<WDFQUEUE>(), stoppedRequest->HandleAs<WDFREQUEST>());
        }
        stoppedRequest->Dereference();
        KeAcquireSpinLock(&lock, &irql);
    }
    KeReleaseSpinLock(&lock, irql);
    Present();
}

// The driver creates no queues while the device changes its power or goes, so the
// list can be walked without its lock at PASSIVE_LEVEL.
template <class F> static void ForEachQueue(Device *device, bool powerManaged, F action) {
    for (LIST_ENTRY *e = device->queues.Flink; e != &device->queues; e = e->Flink) {
        auto *queue = CONTAINING_RECORD(e, Queue, deviceLink);
        if (queue->powerManaged == powerManaged)
            action(queue);
    }
}

void HoldQueues(Device *device) {
    ForEachQueue(device, true, [](Queue *queue) { queue->Hold(); });
}

void ResumeQueues(Device *device) {
    ForEachQueue(device, true, [](Queue *queue) { queue->Resume(); });
}

void PurgeQueues(Device *device, bool powerManaged) {
    ForEachQueue(device, powerManaged, [](Queue *queue) {
        KIRQL irql;
        KeAcquireSpinLock(&queue->lock, &irql);
        queue->accept = false;
        KeReleaseSpinLock(&queue->lock, irql);
        queue->CancelPending();
        queue->CancelOwned();
        WaitFor(queue, &queue->allIdle, "removal");
        queue->Present(); // state callbacks that came due
    });
}

} // namespace wdfldr
