// SPDX-License-Identifier: MIT
// Queues on the way out of and back to D0, and at removal. The driver answers for
// each request that it had when its queue began to stop: it completes, requeues or
// acknowledges it. What it retrieves after that stays with it, unasked: a queue
// hands out requests until it is off.
#include "queue.h"

namespace wdfldr {

// Waits until `done` holds; lock held at the call of `done`.
template <class F> static void WaitUntil(Queue *queue, const char *what, F done) {
    for (;;) {
        KIRQL irql;
        KeAcquireSpinLock(&queue->lock, &irql);
        bool is = done();
        if (!is)
            KeClearEvent(&queue->stopChange);
        KeReleaseSpinLock(&queue->lock, irql);
        if (is)
            return;
        WaitFor(queue, &queue->stopChange, what);
    }
}

static void SetPower(Queue *queue, QueuePower power) {
    KIRQL irql;
    KeAcquireSpinLock(&queue->lock, &irql);
    queue->power = power;
    KeReleaseSpinLock(&queue->lock, irql);
}

// Lock held.
void Queue::MarkOwned() {
    for (LIST_ENTRY *e = owned.Flink; e != &owned; e = e->Flink) {
        auto *request = CONTAINING_RECORD(e, Request, queueLink);
        request->stopMarked = request->state == RequestState::Driver;
        request->stopPending = request->stopAcknowledged = false;
    }
}

// The next one to call EvtIoStop for, referenced. `allDone`: none is left to wait for.
Request *Queue::NextMarked(bool *allDone) {
    Request *found = nullptr;
    *allDone = true;
    KIRQL irql;
    KeAcquireSpinLock(&lock, &irql);
    for (LIST_ENTRY *e = owned.Flink; e != &owned; e = e->Flink) {
        auto *request = CONTAINING_RECORD(e, Request, queueLink);
        if (!request->stopMarked || request->stopAcknowledged)
            continue;
        *allDone = false;
        // One whose EvtRequestCancel was called is being completed.
        if (!found && !request->stopPending && config.EvtIoStop && !request->cancelCalled) {
            found = request;
            request->stopPending = true;
            request->Reference();
        }
    }
    KeClearEvent(&stopChange);
    KeReleaseSpinLock(&lock, irql);
    return found;
}

void Queue::StopMarked(ULONG action, const char *what) {
    for (;;) {
        bool allDone;
        Request *request = NextMarked(&allDone);
        if (allDone)
            return;
        if (!request) {
            WaitFor(this, &stopChange, what);
            continue;
        }
        ULONG flags = action | (request->cancelable ? WdfRequestStopRequestCancelable : 0);
        {
            CallbackGuard guard(scopeLock);
            config.EvtIoStop(HandleAs<WDFQUEUE>(), request->HandleAs<WDFREQUEST>(), flags);
        }
        request->Dereference();
    }
}

void Queue::Leave() {
    SetPower(this, QueuePower::Leaving);
    WaitUntil(this, "power-down", [this] { return IsListEmpty(&frames); });
}

void Queue::Hold() {
    KIRQL irql;
    KeAcquireSpinLock(&lock, &irql);
    power = QueuePower::Stopping;
    MarkOwned();
    KeReleaseSpinLock(&lock, irql);
    StopMarked(WdfRequestStopActionSuspend, "power-down");
    SetPower(this, QueuePower::Off);
}

void Queue::Purge() {
    KIRQL irql;
    KeAcquireSpinLock(&lock, &irql);
    accept = false;
    shutdown = true;
    KeReleaseSpinLock(&lock, irql);
    CancelPending();
    CancelOwned();
    KeAcquireSpinLock(&lock, &irql);
    power = QueuePower::Purging;
    MarkOwned();
    KeReleaseSpinLock(&lock, irql);
    StopMarked(WdfRequestStopActionPurge, "removal");
    SetPower(this, QueuePower::Off);
    Present(); // state callbacks that came due
}

// The next owned request that was not resumed yet, referenced.
static Request *NextToResume(Queue *queue) {
    Request *found = nullptr;
    KIRQL irql;
    KeAcquireSpinLock(&queue->lock, &irql);
    for (LIST_ENTRY *e = queue->owned.Flink; e != &queue->owned && !found; e = e->Flink) {
        auto *request = CONTAINING_RECORD(e, Request, queueLink);
        if (!request->stopMarked)
            continue;
        request->stopMarked = request->stopPending = request->stopAcknowledged = false;
        if (request->cancelCalled)
            continue;
        request->Reference();
        found = request;
    }
    KeReleaseSpinLock(&queue->lock, irql);
    return found;
}

// EvtIoResume comes for whatever the driver holds, also for what it retrieved while
// the queue stopped.
void Queue::Restart() {
    KIRQL irql;
    KeAcquireSpinLock(&lock, &irql);
    power = QueuePower::Restarting;
    MarkOwned();
    KeReleaseSpinLock(&lock, irql);
    while (Request *request = NextToResume(this)) {
        if (config.EvtIoResume) {
            CallbackGuard guard(scopeLock);
            config.EvtIoResume(HandleAs<WDFQUEUE>(), request->HandleAs<WDFREQUEST>());
        }
        request->Dereference();
    }
    SetPower(this, QueuePower::On);
}

void Queue::Restarted() {
    KIRQL irql;
    KeAcquireSpinLock(&lock, &irql);
    if (pendingCount > 0)
        notifyReady = true;
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

// In two steps, so that a queue that hands on to another never finds it off before
// itself has ended its callbacks, or not yet on.
void HoldQueues(Device *device) {
    ForEachQueue(device, true, [](Queue *queue) { queue->Leave(); });
    ForEachQueue(device, true, [](Queue *queue) { queue->Hold(); });
}

void ResumeQueues(Device *device) {
    ForEachQueue(device, true, [](Queue *queue) { queue->Restart(); });
    ForEachQueue(device, true, [](Queue *queue) { queue->Restarted(); });
}

void PurgeQueues(Device *device, bool powerManaged) {
    ForEachQueue(device, powerManaged, [](Queue *queue) { queue->Purge(); });
}

} // namespace wdfldr
