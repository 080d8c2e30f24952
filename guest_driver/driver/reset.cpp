// SPDX-License-Identifier: MIT
// Resets, and devices that do not follow.
#include "driver.h"

// How long a device may take (Virtio 1.2, 4.1.4.3.2). The first milliseconds are waited for
// at full attention, because most devices need none; then others may have the processor.
#define RESET_QUICK_MS 2
#define RESET_TIMEOUT_MS 1000
#define RESET_STEP_MS 10

#define DEVICE_ABSENT 0xFF // what the status of a removed device reads as

// A step takes as long as it says, or up to a clock tick more: it ends either way.
static VOID Sleep(ULONG milliseconds) {
    LARGE_INTEGER interval;

    interval.QuadPart = -10000 * (LONGLONG)milliseconds;
    KeDelayExecutionThread(KernelMode, FALSE, &interval);
}

NTSTATUS Vq7Reset(DEVICE_CONTEXT *dc) {
    NTSTATUS status = VirtioPciReset(&dc->pci, RESET_QUICK_MS);

    // Its status is looked at, and not written once more: that would be another reset.
    for (ULONG waited = 0; status == STATUS_IO_TIMEOUT && waited < RESET_TIMEOUT_MS;
         waited += RESET_STEP_MS) {
        Sleep(RESET_STEP_MS);
        UINT8 value = VirtioPciGetStatus(&dc->pci);
        if (value == 0) {
            status = STATUS_SUCCESS;
        } else if (value == DEVICE_ABSENT) {
            status = STATUS_DEVICE_DOES_NOT_EXIST;
        }
    }
    return status;
}

static VOID Isolate(DEVICE_CONTEXT *dc) {
    if (!Vq7SetBusMaster(dc, FALSE)) {
        Vq7Log("cannot write the PCI command register\n");
    }
}

NTSTATUS Vq7ResetOrIsolate(DEVICE_CONTEXT *dc) {
    NTSTATUS status = Vq7Reset(dc);

    // A device that is no longer there does no DMA either; but whether it is gone is
    // what it says itself.
    if (NT_SUCCESS(status)) {
        return status;
    }
    Vq7Log("%02x:%02x.%x does not reset, status 0x%08x: bus mastering is switched off\n",
           dc->bus_number, dc->slot, dc->function, (unsigned int)status);
    Vq7NoteFailure(dc, status == STATUS_DEVICE_DOES_NOT_EXIST ? VQ7_FAILURE_GONE
                                                              : VQ7_FAILURE_RESET_STUCK);
    Isolate(dc);
    return status;
}

VOID Vq7ResetAndIsolate(DEVICE_CONTEXT *dc) {
    if (NT_SUCCESS(Vq7ResetOrIsolate(dc))) {
        Isolate(dc);
    }
}
