// SPDX-License-Identifier: MIT
// A device that breaks the virtqueue protocol or does not answer, and its way back.
#include "driver.h"

VOID Vq7WaitForRegisters(DEVICE_CONTEXT *dc) {
    WdfSpinLockAcquire(dc->register_lock);
    WdfSpinLockRelease(dc->register_lock);
}

LONG Vq7FailureOf(NTSTATUS queue_status) {
    switch (queue_status) {
    case VIRTQ_STATUS_USED_ID_RANGE:
        return VQ7_FAILURE_USED_ID;
    case VIRTQ_STATUS_USED_IDX_AHEAD:
        return VQ7_FAILURE_USED_INDEX;
    case VIRTQ_STATUS_USED_NOT_ISSUED:
        return VQ7_FAILURE_NOT_ISSUED;
    case VIRTQ_STATUS_USED_MID_CHAIN:
        return VQ7_FAILURE_MID_CHAIN;
    case VIRTQ_STATUS_USED_TWICE:
        return VQ7_FAILURE_USED_TWICE;
    case VIRTQ_STATUS_USED_LENGTH:
        return VQ7_FAILURE_USED_LENGTH;
    default:
        return VQ7_FAILURE_PROTOCOL;
    }
}

NTSTATUS Vq7FailStatus(const DEVICE_CONTEXT *dc) {
    switch (dc->fail_reason) {
    case VQ7_FAILURE_TIME_OUT:
    case VQ7_FAILURE_RESET_STUCK:
        return STATUS_IO_TIMEOUT;
    case VQ7_FAILURE_START:
        return STATUS_IO_DEVICE_ERROR;
    default:
        return STATUS_DEVICE_PROTOCOL_ERROR;
    }
}

VOID Vq7NoteFailure(DEVICE_CONTEXT *dc, LONG reason) {
    WdfSpinLockAcquire(dc->register_lock);
    dc->last_failure = reason;
    dc->stats.failures[reason]++;
    WdfSpinLockRelease(dc->register_lock);
}

VOID Vq7NoteFailed(DEVICE_CONTEXT *dc) {
    if (InterlockedExchange(&dc->fail_noted, 1) == 0) {
        Vq7NoteFailure(dc, dc->fail_reason);
    }
}

VOID Vq7DeviceFail(DEVICE_CONTEXT *dc, LONG reason) {
    LONG state = dc->state;

    while (state == Vq7Running || state == Vq7Recovering) {
        // Before the state: who stops the device ends its requests with this.
        InterlockedCompareExchange(&dc->fail_reason, reason, VQ7_FAILURE_NONE);
        LONG seen = InterlockedCompareExchange(&dc->state, Vq7Failed, state);
        if (seen == state) {
            WdfWorkItemEnqueue(dc->fail_work);
            return;
        }
        state = seen;
    }
    // Stopping, or failed already.
}

static void LogLine(const char *line, void *context) {
    (void)context;
    Vq7Log("%s\n", line);
}

// What each of them held, before that is taken back.
static VOID LogBrokenQueues(DEVICE_CONTEXT *dc) {
    for (UINT16 i = 0; i < dc->queue_count; i++) {
        if (dc->queues[i].last_error != STATUS_SUCCESS) {
            Vq7Log("queue %u is broken, status 0x%08x\n", i,
                   (unsigned int)dc->queues[i].last_error);
            VirtqSplitDump(dc->queues[i].vq, LogLine, NULL);
        }
    }
}

static VOID TakeBack(DEVICE_CONTEXT *dc, VQ7_TAKE_BACK what, NTSTATUS status) {
    if (dc->type->TakeBack != NULL) {
        dc->type->TakeBack(dc, what, status);
    }
}

static VOID StopQueues(DEVICE_CONTEXT *dc) {
    Vq7WatchdogStop(dc);
    Vq7WaitForRegisters(dc);
    Vq7QueuesRun(dc, FALSE);
}

// power_lock is held, the state is Vq7Failed.
static VOID EndFailed(DEVICE_CONTEXT *dc) {
    StopQueues(dc);
    Vq7NoteFailed(dc);
    Vq7ResetAndIsolate(dc);
    LogBrokenQueues(dc);
    TakeBack(dc, Vq7EndAll, Vq7FailStatus(dc));
    Vq7Log("%02x:%02x.%x has failed\n", dc->bus_number, dc->slot, dc->function);
}

// power_lock is held; there are no buffers at the device. On failure it has failed.
static NTSTATUS Start(DEVICE_CONTEXT *dc) {
    NTSTATUS status = Vq7StartAgain(dc);

    if (NT_SUCCESS(status)) {
        WdfSpinLockAcquire(dc->register_lock);
        dc->stats.restarts++;
        WdfSpinLockRelease(dc->register_lock);
        return status;
    }
    dc->fail_reason = VQ7_FAILURE_START;
    dc->fail_noted = 1;
    dc->state = Vq7Failed; // before the requests: whoever comes now is told
    Vq7NoteFailure(dc, VQ7_FAILURE_START);
    TakeBack(dc, Vq7EndAll, Vq7FailStatus(dc));
    return status;
}

// power_lock is held, the state is Vq7Recovering.
static NTSTATUS Recover(DEVICE_CONTEXT *dc, VQ7_TAKE_BACK what) {
    StopQueues(dc);
    if (dc->state == Vq7Failed) { // its ring was broken meanwhile
        EndFailed(dc);
        return STATUS_DEVICE_PROTOCOL_ERROR;
    }
    NTSTATUS status = Vq7ResetOrIsolate(dc);
    if (!NT_SUCCESS(status)) {
        dc->fail_reason = VQ7_FAILURE_RESET_STUCK;
        dc->fail_noted = 1; // it was, with the reset
        dc->state = Vq7Failed;
        TakeBack(dc, Vq7EndAll, Vq7FailStatus(dc));
        Vq7Log("%02x:%02x.%x has failed\n", dc->bus_number, dc->slot, dc->function);
        return status;
    }
    TakeBack(dc, what, STATUS_IO_TIMEOUT);
    return Start(dc);
}

static VOID RecoverFromTimeOut(DEVICE_CONTEXT *dc) {
    Vq7Log("%02x:%02x.%x does not answer: it is reset\n", dc->bus_number, dc->slot, dc->function);
    Vq7NoteFailure(dc, VQ7_FAILURE_TIME_OUT);
    Recover(dc, Vq7KeepRetries);
}

// power_lock is held. One that was failing meanwhile fails.
static NTSTATUS RestartNow(DEVICE_CONTEXT *dc) {
    LONG state = InterlockedCompareExchange(&dc->state, Vq7Recovering, Vq7Running);

    if (state == Vq7Running) {
        return Recover(dc, Vq7KeepAll);
    }
    if (state != Vq7Failed) {
        return STATUS_DEVICE_NOT_READY;
    }
    NTSTATUS status = Vq7ResetOrIsolate(dc);
    return NT_SUCCESS(status) ? Start(dc) : status;
}

static VOID Resume(DEVICE_CONTEXT *dc) {
    if (dc->type->Resume != NULL) {
        dc->type->Resume(dc);
    }
}

// IRQL: PASSIVE_LEVEL, because a reset may take long.
VOID NTAPI Vq7EvtFailWork(WDFWORKITEM work) {
    DEVICE_CONTEXT *dc = Vq7GetDevice(WdfWorkItemGetParentObject(work));
    NTSTATUS status = STATUS_SUCCESS;

    WdfWaitLockAcquire(dc->power_lock, NULL);
    if (dc->state == Vq7Recovering) {
        RecoverFromTimeOut(dc);
    }
    if (dc->state == Vq7Failed && dc->fail_noted == 0) {
        EndFailed(dc);
    }
    WDFREQUEST request =
        (WDFREQUEST)InterlockedExchangePointer((PVOID volatile *)&dc->restart_request, NULL);
    if (request != NULL) {
        status = RestartNow(dc);
    }
    WdfWaitLockRelease(dc->power_lock);
    Resume(dc);
    if (request != NULL) {
        WdfRequestComplete(request, status);
    }
}

VOID Vq7Restart(DEVICE_CONTEXT *dc, WDFREQUEST request) {
    if (InterlockedCompareExchangePointer((PVOID volatile *)&dc->restart_request, request, NULL) !=
        NULL) {
        WdfRequestComplete(request, STATUS_DEVICE_BUSY);
        return;
    }
    WdfWorkItemEnqueue(dc->fail_work);
}
