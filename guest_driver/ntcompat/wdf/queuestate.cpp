// SPDX-License-Identifier: MIT
// WdfIoQueueStart, Stop, Drain, Purge and their synchronous forms.
#include "queue.h"

using namespace wdfldr;

static void SetStarted(Queue *queue, bool started) {
    KIRQL irql;
    KeAcquireSpinLock(&queue->lock, &irql);
    queue->started = started;
    if (started) {
        queue->accept = !queue->shutdown;
        queue->notifyReady = true;
    }
    KeReleaseSpinLock(&queue->lock, irql);
}

static void SetCallback(Queue *queue, StateCallback *slot, PFN_WDF_IO_QUEUE_STATE routine,
                        WDFCONTEXT context, const char *function) {
    if (!routine)
        return;
    KIRQL irql;
    KeAcquireSpinLock(&queue->lock, &irql);
    bool busy = slot->routine != nullptr;
    if (!busy)
        *slot = {routine, context};
    KeReleaseSpinLock(&queue->lock, irql);
    if (busy)
        Stop(kQueueFatal, queue->Handle(), 0, "%s: an earlier call on %p is still under way",
             function, queue->Handle());
}

static void StopAccepting(Queue *queue) {
    KIRQL irql;
    KeAcquireSpinLock(&queue->lock, &irql);
    queue->accept = false;
    KeReleaseSpinLock(&queue->lock, irql);
}

// A synchronous call inside of the queue's own callback would wait for itself.
static void CheckNotInCallback(Queue *queue, const char *function) {
    bool inside = false;
    KIRQL irql;
    KeAcquireSpinLock(&queue->lock, &irql);
    for (LIST_ENTRY *e = queue->frames.Flink; e != &queue->frames; e = e->Flink) {
        if (CONTAINING_RECORD(e, PresentFrame, links)->thread == KeGetCurrentThread())
            inside = true;
    }
    KeReleaseSpinLock(&queue->lock, irql);
    if (inside)
        Stop(kQueueFatal, queue->Handle(), 0, "%s called from a callback of queue %p", function,
             queue->Handle());
}

WDF_API(VOID, WdfIoQueueStart, (PWDF_DRIVER_GLOBALS pub, WDFQUEUE handle)) {
    WDF_ENTER(WdfIoQueueStart, DISPATCH_LEVEL);
    auto *queue = From<Queue>(globals, handle, kName);
    SetStarted(queue, true);
    queue->Present();
}

WDF_API(VOID, WdfIoQueueStop,
        (PWDF_DRIVER_GLOBALS pub, WDFQUEUE handle, PFN_WDF_IO_QUEUE_STATE complete,
         WDFCONTEXT context)) {
    WDF_ENTER(WdfIoQueueStop, DISPATCH_LEVEL);
    auto *queue = From<Queue>(globals, handle, kName);
    SetCallback(queue, &queue->stopped, complete, context, kName);
    SetStarted(queue, false);
    queue->Present();
}

WDF_API(VOID, WdfIoQueueStopSynchronously, (PWDF_DRIVER_GLOBALS pub, WDFQUEUE handle)) {
    WDF_ENTER(WdfIoQueueStopSynchronously, PASSIVE_LEVEL);
    auto *queue = From<Queue>(globals, handle, kName);
    CheckNotInCallback(queue, kName);
    SetStarted(queue, false);
    WaitFor(queue, &queue->ownedIdle, kName);
}

WDF_API(VOID, WdfIoQueueDrain,
        (PWDF_DRIVER_GLOBALS pub, WDFQUEUE handle, PFN_WDF_IO_QUEUE_STATE complete,
         WDFCONTEXT context)) {
    WDF_ENTER(WdfIoQueueDrain, DISPATCH_LEVEL);
    auto *queue = From<Queue>(globals, handle, kName);
    SetCallback(queue, &queue->empty, complete, context, kName);
    StopAccepting(queue);
    queue->Present();
}

WDF_API(VOID, WdfIoQueueDrainSynchronously, (PWDF_DRIVER_GLOBALS pub, WDFQUEUE handle)) {
    WDF_ENTER(WdfIoQueueDrainSynchronously, PASSIVE_LEVEL);
    auto *queue = From<Queue>(globals, handle, kName);
    CheckNotInCallback(queue, kName);
    StopAccepting(queue);
    WaitFor(queue, &queue->allIdle, kName);
}

WDF_API(VOID, WdfIoQueuePurge,
        (PWDF_DRIVER_GLOBALS pub, WDFQUEUE handle, PFN_WDF_IO_QUEUE_STATE complete,
         WDFCONTEXT context)) {
    WDF_ENTER(WdfIoQueuePurge, DISPATCH_LEVEL);
    auto *queue = From<Queue>(globals, handle, kName);
    SetCallback(queue, &queue->empty, complete, context, kName);
    StopAccepting(queue);
    queue->CancelPending();
    queue->CancelOwned();
    queue->Present();
}

WDF_API(VOID, WdfIoQueuePurgeSynchronously, (PWDF_DRIVER_GLOBALS pub, WDFQUEUE handle)) {
    WDF_ENTER(WdfIoQueuePurgeSynchronously, PASSIVE_LEVEL);
    auto *queue = From<Queue>(globals, handle, kName);
    CheckNotInCallback(queue, kName);
    StopAccepting(queue);
    queue->CancelPending();
    queue->CancelOwned();
    WaitFor(queue, &queue->allIdle, kName);
}
