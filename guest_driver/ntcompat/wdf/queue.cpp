// SPDX-License-Identifier: MIT
// Requests in a queue: arrival, presentation to the driver, cancellation.
#include "queue.h"

namespace wdfldr {

void Queue::UpdateEvents() {
    if (ownedCount == 0)
        KeSetEvent(&ownedIdle, IO_NO_INCREMENT, FALSE);
    else
        KeClearEvent(&ownedIdle);
    if (ownedCount == 0 && pendingCount == 0)
        KeSetEvent(&allIdle, IO_NO_INCREMENT, FALSE);
    else
        KeClearEvent(&allIdle);
    KeSetEvent(&stopChange, IO_NO_INCREMENT, FALSE);
    if (pendingCount == 0)
        notifyReady = true;
}

void Queue::AddOwned(Request *request, RequestState state) {
    request->queue = this;
    request->state = state;
    request->stopMarked = request->stopPending = request->stopAcknowledged = false;
    InsertTailList(&owned, &request->queueLink);
    ownedCount++;
    UpdateEvents();
}

// A canceled request that the driver has seen before goes through
// EvtIoCanceledOnQueue where there is one; others are completed.
static void CancelTaken(Queue *queue, Request *request) {
    if (request->presented && queue->config.EvtIoCanceledOnQueue) {
        CallbackGuard guard(queue->scopeLock);
        queue->config.EvtIoCanceledOnQueue(queue->HandleAs<WDFQUEUE>(),
                                           request->HandleAs<WDFREQUEST>());
        return;
    }
    request->Complete(STATUS_CANCELLED, IO_NO_INCREMENT);
}

// Cancel routine of a pending request. Whoever takes a request out of the list
// clears this routine first, so that it finds the request where it was.
static VOID NTAPI CancelPendingIrp(PDEVICE_OBJECT, PIRP irp) {
    IoReleaseCancelSpinLock(irp->CancelIrql);
    auto *request = static_cast<Request *>(irp->Tail.Overlay.DriverContext[0]);
    Queue *queue = request->queue;
    KIRQL irql;
    KeAcquireSpinLock(&queue->lock, &irql);
    RemoveEntryList(&request->queueLink);
    queue->pendingCount--;
    queue->AddOwned(request, RequestState::Canceled);
    KeReleaseSpinLock(&queue->lock, irql);
    CancelTaken(queue, request);
}

bool TakeFromPending(Queue *queue, Request *request, RequestState state) {
    if (!IoSetCancelRoutine(request->irp, nullptr))
        return false;
    RemoveEntryList(&request->queueLink);
    queue->pendingCount--;
    queue->AddOwned(request, state);
    return true;
}

NTSTATUS Queue::Insert(Request *request, bool atHead) {
    PIRP irp = request->irp;
    KIRQL irql;
    KeAcquireSpinLock(&lock, &irql);
    if (!accept && !atHead) {
        KeReleaseSpinLock(&lock, irql);
        return STATUS_WDF_BUSY;
    }
    request->queue = this;
    request->state = RequestState::Queued;
    irp->Tail.Overlay.DriverContext[0] = request;
    if (atHead)
        InsertHeadList(&pending, &request->queueLink);
    else
        InsertTailList(&pending, &request->queueLink);
    pendingCount++;
    UpdateEvents();
    (void)IoSetCancelRoutine(irp, &CancelPendingIrp);
    // Cancelled before the routine was there: nobody will call it.
    bool cancelled = irp->Cancel && TakeFromPending(this, request, RequestState::Canceled);
    KeReleaseSpinLock(&lock, irql);
    if (cancelled)
        CancelTaken(this, request);
    return STATUS_SUCCESS;
}

static Request *TakeOfFile(Queue *queue, PFILE_OBJECT file, RequestState state);

Request *Queue::TakeNext() {
    return TakeOfFile(this, nullptr, RequestState::Driver);
}

Request *Queue::TakePresentable() {
    if (!started || power != QueuePower::On || config.DispatchType == WdfIoQueueDispatchManual)
        return nullptr;
    ULONG limit = config.DispatchType == WdfIoQueueDispatchSequential
                      ? 1
                      : config.Settings.Parallel.NumberOfPresentedRequests;
    return ownedCount < limit ? TakeNext() : nullptr;
}

bool Queue::TakeDueCallbacks(StateCallback *due, ULONG *count) {
    *count = 0;
    if (stopped.routine && !started && ownedCount == 0) {
        due[(*count)++] = stopped;
        stopped = {};
    }
    if (empty.routine && !accept && ownedCount == 0 && pendingCount == 0) {
        due[(*count)++] = empty;
        empty = {};
    }
    if (ready.routine && notifyReady && started && power == QueuePower::On && pendingCount > 0) {
        due[(*count)++] = ready;
        notifyReady = false;
    }
    return *count > 0;
}

VOID NTAPI Queue::WorkRoutine(PDEVICE_OBJECT, PVOID context) {
    auto *queue = static_cast<Queue *>(context);
    KIRQL irql;
    KeAcquireSpinLock(&queue->lock, &irql);
    queue->workQueued = false;
    KeReleaseSpinLock(&queue->lock, irql);
    queue->Present();
    queue->Dereference();
}

// Lock held.
void Queue::QueueWork() {
    bool something = pendingCount > 0 || stopped.routine || empty.routine;
    if (workQueued || !something)
        return;
    workQueued = true;
    Reference();
    IoQueueWorkItem(work, &WorkRoutine, DelayedWorkQueue, this);
}

void Queue::Present() {
    KIRQL irql;
    KeAcquireSpinLock(&lock, &irql);
    PKTHREAD thread = KeGetCurrentThread();
    // Inside of a callback that this very loop made: the loop goes on after it, the
    // stack doesn't grow with each request completed in its own callback.
    for (LIST_ENTRY *e = frames.Flink; e != &frames; e = e->Flink) {
        if (CONTAINING_RECORD(e, PresentFrame, links)->thread == thread) {
            KeReleaseSpinLock(&lock, irql);
            return;
        }
    }
    if ((passiveCallbacks && irql > PASSIVE_LEVEL) || (scopeLock && scopeLock->IsOwner())) {
        QueueWork();
        KeReleaseSpinLock(&lock, irql);
        return;
    }
    PresentFrame frame;
    frame.thread = thread;
    InsertTailList(&frames, &frame.links);
    Reference();
    for (;;) {
        StateCallback due[3];
        ULONG count;
        if (TakeDueCallbacks(due, &count)) {
            KeReleaseSpinLock(&lock, irql);
            for (ULONG i = 0; i < count; i++) {
                CallbackGuard guard(scopeLock);
                due[i].routine(HandleAs<WDFQUEUE>(), due[i].context);
            }
            KeAcquireSpinLock(&lock, &irql);
            continue;
        }
        Request *request = TakePresentable();
        if (!request)
            break;
        request->presented = true;
        KeReleaseSpinLock(&lock, irql);
        Deliver(request);
        KeAcquireSpinLock(&lock, &irql);
    }
    RemoveEntryList(&frame.links);
    KeSetEvent(&stopChange, IO_NO_INCREMENT, FALSE);
    KeReleaseSpinLock(&lock, irql);
    Dereference();
}

void Queue::ReleaseOwned(Request *request) {
    KIRQL irql;
    KeAcquireSpinLock(&lock, &irql);
    RemoveEntryList(&request->queueLink);
    ownedCount--;
    UpdateEvents();
    KeReleaseSpinLock(&lock, irql);
}

static Request *TakeOfFile(Queue *queue, PFILE_OBJECT file, RequestState state) {
    for (LIST_ENTRY *e = queue->pending.Flink; e != &queue->pending; e = e->Flink) {
        auto *request = CONTAINING_RECORD(e, Request, queueLink);
        if (file && IoGetCurrentIrpStackLocation(request->irp)->FileObject != file)
            continue;
        if (TakeFromPending(queue, request, state))
            return request;
    }
    return nullptr;
}

void Queue::CancelPending(PFILE_OBJECT file) {
    KIRQL irql;
    KeAcquireSpinLock(&lock, &irql);
    while (Request *request = TakeOfFile(this, file, RequestState::Canceled)) {
        KeReleaseSpinLock(&lock, irql);
        CancelTaken(this, request);
        KeAcquireSpinLock(&lock, &irql);
    }
    KeReleaseSpinLock(&lock, irql);
}

} // namespace wdfldr
