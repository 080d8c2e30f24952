// SPDX-License-Identifier: MIT
// Interrupts: lines, which may be shared, and messages.
#include "driver.h"

// A removed device reads as all ones.
#define ISR_ABSENT 0xFF
#define STATUS_ABSENT 0xFF

// Adds bits to the ISR status that the DPC will see. InterlockedOr is not in the
// headers of every WDK for x86.
static VOID AddIsrStatus(DEVICE_CONTEXT *dc, LONG bits) {
    LONG old = dc->isr_status;

    for (;;) {
        LONG seen = InterlockedCompareExchange(&dc->isr_status, old | bits, old);
        if (seen == old) {
            return;
        }
        old = seen;
    }
}

// IRQL: DIRQL. Connected from before EvtDeviceD0EntryPostInterruptsEnabled to
// after EvtDeviceD0ExitPreInterruptsDisabled, so the registers are mapped; a
// device that was reset has ISR status 0.
static BOOLEAN ClaimLine(DEVICE_CONTEXT *dc) {
    UINT8 isr = VirtioPciReadIsr(&dc->pci); // also takes the line down (4.1.4.5)

    if (isr == 0 || isr == ISR_ABSENT) {
        InterlockedIncrement(&dc->isr_not_ours);
        return FALSE;
    }
    AddIsrStatus(dc, isr);
    return TRUE;
}

BOOLEAN NTAPI Vq7EvtIsr(WDFINTERRUPT interrupt, ULONG) {
    DEVICE_CONTEXT *dc = Vq7GetDevice(WdfInterruptGetDevice(interrupt));

    if (!dc->messages && !ClaimLine(dc)) {
        return FALSE;
    }
    InterlockedIncrement(&dc->isr_taken);
    WdfInterruptQueueDpcForIsr(interrupt);
    return TRUE;
}

VOID Vq7FoldInterruptCounts(DEVICE_CONTEXT *dc) {
    dc->stats.interrupts += (ULONG)InterlockedExchange(&dc->isr_taken, 0);
    dc->stats.interrupts_not_ours += (ULONG)InterlockedExchange(&dc->isr_not_ours, 0);
}

// What a DPC has to look at.
typedef struct _DPC_WORK {
    BOOLEAN config;       // the configuration may have changed
    BOOLEAN config_alone; // nothing else could have been the reason
    BOOLEAN all_queues;
    BOOLEAN message_queues; // those with this message
    UINT16 message;
} DPC_WORK;

static VOID FindLineWork(DEVICE_CONTEXT *dc, DPC_WORK *work) {
    LONG isr = InterlockedExchange(&dc->isr_status, 0);

    work->config = (BOOLEAN)((isr & VIRTIO_PCI_ISR_CONFIG) != 0);
    work->config_alone = work->config;
    work->all_queues = (BOOLEAN)((isr & VIRTIO_PCI_ISR_QUEUE) != 0);
    work->message_queues = FALSE;
    work->message = VIRTIO_PCI_NO_VECTOR;
}

static VOID FindMessageWork(DEVICE_CONTEXT *dc, UINT16 message, DPC_WORK *work) {
    work->config = (BOOLEAN)(message == 0);
    work->config_alone = (BOOLEAN)(message == 0 && dc->interrupts_connected > 1);
    work->all_queues = FALSE;
    work->message_queues = TRUE;
    work->message = message;
}

// The register lock is held. Why the device has failed: it asks for a reset (2.1.2), or is
// gone; or VQ7_FAILURE_NONE.
static LONG TakeConfig(DEVICE_CONTEXT *dc, BOOLEAN told) {
    BOOLEAN changed = FALSE;

    if (dc->state != Vq7Running) {
        return VQ7_FAILURE_NONE;
    }
    UINT8 status = VirtioPciGetStatus(&dc->pci);
    if (status == STATUS_ABSENT) {
        return VQ7_FAILURE_GONE;
    }
    if ((status & VIRTIO_STATUS_DEVICE_NEEDS_RESET) != 0) {
        return VQ7_FAILURE_NEEDS_RESET;
    }
    if (dc->type->ConfigChanged != NULL) {
        changed = dc->type->ConfigChanged(dc);
    }
    if (changed || told) {
        dc->stats.config_changes++;
    }
    return VQ7_FAILURE_NONE;
}

static VOID FailFor(DEVICE_CONTEXT *dc, LONG failure) {
    if (failure == VQ7_FAILURE_NONE) {
        return;
    }
    Vq7Log("the device %s\n", failure == VQ7_FAILURE_GONE ? "is gone" : "asks for a reset");
    Vq7DeviceFail(dc, failure);
}

VOID Vq7LookAtConfig(DEVICE_CONTEXT *dc) {
    WdfSpinLockAcquire(dc->register_lock);
    LONG failure = TakeConfig(dc, FALSE);
    WdfSpinLockRelease(dc->register_lock);
    FailFor(dc, failure);
}

static VOID StartDpc(DEVICE_CONTEXT *dc, const DPC_WORK *work) {
    LONG failure = VQ7_FAILURE_NONE;

    WdfSpinLockAcquire(dc->register_lock);
    dc->stats.dpcs++;
    Vq7FoldInterruptCounts(dc);
    if (work->config) {
        failure = TakeConfig(dc, work->config_alone);
    }
    WdfSpinLockRelease(dc->register_lock);
    FailFor(dc, failure);
}

// IRQL: DISPATCH_LEVEL. May run on several CPUs at once: each queue has a lock.
VOID NTAPI Vq7EvtDpc(WDFINTERRUPT interrupt, WDFOBJECT device) {
    DEVICE_CONTEXT *dc = Vq7GetDevice(device);
    DPC_WORK work;
    BOOLEAN more = FALSE;

    if (dc->messages) {
        FindMessageWork(dc, Vq7GetInterrupt(interrupt)->index, &work);
    } else {
        FindLineWork(dc, &work);
    }
    StartDpc(dc, &work);
    for (UINT16 i = 0; i < dc->queue_count && dc->type->Service != NULL; i++) {
        VQ7_QUEUE *queue = &dc->queues[i];
        if (work.all_queues || (work.message_queues && queue->vector == work.message)) {
            more = (BOOLEAN)(dc->type->Service(queue) || more);
        }
    }
    if (more) {
        // The device is faster than a DPC should run: go on in the next one.
        AddIsrStatus(dc, VIRTIO_PCI_ISR_QUEUE);
        WdfInterruptQueueDpcForIsr(interrupt);
    }
}
