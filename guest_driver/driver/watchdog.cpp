// SPDX-License-Identifier: MIT
// Requests that the device does not answer, and interrupts that it owes.
//
// A timer looks at the oldest request of each queue. Its ticks are the clock, and requests
// are stamped with that: sending one costs a store, and a machine that stood still (paused,
// saved, in a debugger) is one tick older afterwards, however long it was.
#include "driver.h"

// A time-out is seen when it is over, and at most two of these later.
#define TICKS_A_TIMEOUT 4
#define TICK_MAX_MS 1000

// How often a tick services a queue whose device finishes more all the while.
#define MAX_ROUNDS 16

static EVT_WDF_TIMER EvtTimer;

BOOLEAN Vq7TimeoutIsValid(const VQ7_TIMEOUT *timeout) {
    return (BOOLEAN)((timeout->timeout_ms == VQ7_TIMEOUT_OFF ||
                      (timeout->timeout_ms >= VQ7_TIMEOUT_MIN &&
                       timeout->timeout_ms <= VQ7_TIMEOUT_MAX)) &&
                     timeout->retries <= VQ7_RETRIES_MAX);
}

static ULONG TickMs(ULONG timeout_ms) {
    ULONG tick = timeout_ms / TICKS_A_TIMEOUT;

    return tick < TICK_MAX_MS ? tick : TICK_MAX_MS;
}

// The first tick may have come right after the request.
static BOOLEAN IsLate(const DEVICE_CONTEXT *dc, UINT32 age_ms) {
    ULONG timeout = dc->timeout_ms;

    return (BOOLEAN)(timeout != VQ7_TIMEOUT_OFF && age_ms >= timeout + dc->tick_ms);
}

// The queue's lock is held.
static UINT32 OldestAge(VQ7_QUEUE *queue) {
    const VQ7_TYPE_OPS *type = queue->device->type;

    if (!queue->running || type->OldestAge == NULL) {
        return 0;
    }
    return type->OldestAge(queue);
}

// The queue's lock is held. TRUE: the device has finished buffers, and its interrupt is
// overdue: they were there a tick ago, or nobody can wait any longer.
static BOOLEAN IsInterruptLost(VQ7_QUEUE *queue, UINT32 age) {
    BOOLEAN waiting = VirtqSplitHasUsed(queue->vq);
    UINT16 at = queue->vq->last_used_idx;
    BOOLEAN lost = (BOOLEAN)(waiting && (IsLate(queue->device, age) ||
                                         (queue->was_waiting && queue->was_waiting_at == at)));

    queue->was_waiting = waiting;
    queue->was_waiting_at = at;
    if (lost) {
        queue->stats.lost_interrupts++;
    }
    return lost;
}

// TRUE: its oldest request is late.
static BOOLEAN LookAtQueue(VQ7_QUEUE *queue) {
    DEVICE_CONTEXT *dc = queue->device;
    BOOLEAN lost = FALSE;
    UINT32 age = 0;

    WdfSpinLockAcquire(queue->lock);
    if (queue->running) {
        queue->clock_ms += dc->tick_ms;
        age = OldestAge(queue);
        lost = IsInterruptLost(queue, age);
    }
    WdfSpinLockRelease(queue->lock);
    if (!lost || dc->type->Service == NULL) {
        return IsLate(dc, age);
    }
    // What is left after so many rounds is seen by the next tick.
    for (int round = 0; round < MAX_ROUNDS && dc->type->Service(queue); round++) {
    }
    WdfSpinLockAcquire(queue->lock);
    age = OldestAge(queue);
    WdfSpinLockRelease(queue->lock);
    return IsLate(dc, age);
}

static VOID TimeOut(DEVICE_CONTEXT *dc) {
    // One that asks for a reset, or is gone, says so itself.
    Vq7LookAtConfig(dc);
    if (InterlockedCompareExchange(&dc->state, Vq7Recovering, Vq7Running) == Vq7Running) {
        WdfWorkItemEnqueue(dc->fail_work);
    }
}

// IRQL: DISPATCH_LEVEL. May come once more after Vq7WatchdogStop; then nothing runs.
static VOID NTAPI EvtTimer(WDFTIMER timer) {
    DEVICE_CONTEXT *dc = Vq7GetDevice(WdfTimerGetParentObject(timer));
    BOOLEAN late = FALSE;

    for (UINT16 i = 0; i < dc->queue_count; i++) {
        late = (BOOLEAN)(LookAtQueue(&dc->queues[i]) || late);
    }
    if (late) {
        TimeOut(dc);
    }
    if (dc->state == Vq7Running) {
        Vq7WatchdogStart(dc);
    }
}

NTSTATUS Vq7WatchdogCreate(DEVICE_CONTEXT *dc) {
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_TIMER_CONFIG config;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = dc->device;
    WDF_TIMER_CONFIG_INIT(&config, EvtTimer);
    config.AutomaticSerialization = FALSE;
    return WdfTimerCreate(&config, &attributes, &dc->watchdog);
}

VOID Vq7WatchdogStart(DEVICE_CONTEXT *dc) {
    ULONG timeout = dc->timeout_ms;

    if (timeout == VQ7_TIMEOUT_OFF) {
        WdfTimerStop(dc->watchdog, FALSE);
        return;
    }
    dc->tick_ms = TickMs(timeout);
    WdfTimerStart(dc->watchdog, WDF_REL_TIMEOUT_IN_MS(dc->tick_ms));
}

VOID Vq7WatchdogStop(DEVICE_CONTEXT *dc) {
    WdfTimerStop(dc->watchdog, TRUE);
}
