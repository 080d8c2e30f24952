// SPDX-License-Identifier: MIT
// A device that breaks the virtqueue protocol, and one that does not reset.
#include "driver.h"

NTSTATUS Vq7ResetOrIsolate(DEVICE_CONTEXT *dc) {
    NTSTATUS status = VirtioPciReset(&dc->pci, RESET_TIMEOUT_MS);

    // A device that is no longer there does no DMA either; but whether it is gone is
    // what it says itself.
    if (NT_SUCCESS(status)) {
        return status;
    }
    Vq7Log("%02x:%02x.%x does not reset, status 0x%08x: bus mastering is switched off\n",
           dc->bus_number, dc->slot, dc->function, (unsigned int)status);
    if (!Vq7SetBusMaster(dc, FALSE)) {
        Vq7Log("cannot write the PCI command register\n");
    }
    return status;
}

VOID Vq7WaitForRegisters(DEVICE_CONTEXT *dc) {
    WdfSpinLockAcquire(dc->register_lock);
    WdfSpinLockRelease(dc->register_lock);
}

VOID Vq7DeviceFail(DEVICE_CONTEXT *dc, NTSTATUS status) {
    // Before the state: who stops the device ends its requests with this. All callers
    // say the same.
    dc->fail_status = status;
    if (InterlockedCompareExchange(&dc->state, Vq7Failed, Vq7Running) != Vq7Running) {
        return; // stopping, or failed already
    }
    WdfWorkItemEnqueue(dc->fail_work);
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

// IRQL: PASSIVE_LEVEL, because a reset may take long.
VOID NTAPI Vq7EvtFailWork(WDFWORKITEM work) {
    DEVICE_CONTEXT *dc = Vq7GetDevice(WdfWorkItemGetParentObject(work));

    WdfWaitLockAcquire(dc->power_lock, NULL);
    if (dc->state == Vq7Failed) {
        Vq7WaitForRegisters(dc);
        Vq7QueuesRun(dc, FALSE);
        Vq7ResetOrIsolate(dc);
        LogBrokenQueues(dc);
        if (dc->type->TakeBack != NULL) {
            dc->type->TakeBack(dc, FALSE, dc->fail_status);
        }
        Vq7Log("%02x:%02x.%x has failed\n", dc->bus_number, dc->slot, dc->function);
    }
    WdfWaitLockRelease(dc->power_lock);
}
