// SPDX-License-Identifier: MIT
// Power: the device runs from EvtDeviceD0EntryPostInterruptsEnabled to
// EvtDeviceD0ExitPreInterruptsDisabled, and is reset the rest of the time.
//
// Not in EvtDeviceD0Entry: the interrupts are connected after it, and MSI-X is
// sure to be enabled only then; until then a legacy device has its
// configuration where the vector registers will be (Virtio 1.2, 4.1.4.10).
// Not in EvtDeviceD0Exit: an interrupt line that stays up with nobody to take it
// down would hang whoever shares it.
#include "driver.h"

// The last two (6.1): some devices insist. dma.cpp sees to it that the addresses are those
// that the platform wants; the barriers of the library are those for real hardware.
static const UINT64 WantedFeatures =
    VIRTIO_FEATURE(VIRTIO_F_VERSION_1_BIT) | VIRTIO_FEATURE(VIRTIO_F_RING_EVENT_IDX_BIT) |
    VIRTIO_FEATURE(VIRTIO_F_RING_INDIRECT_DESC_BIT) | VIRTIO_FEATURE(VIRTIO_F_ACCESS_PLATFORM_BIT) |
    VIRTIO_FEATURE(VIRTIO_F_ORDER_PLATFORM_BIT);

static NTSTATUS Negotiate(DEVICE_CONTEXT *dc) {
    NTSTATUS status = Vq7Reset(dc);

    if (NT_SUCCESS(status)) {
        status = VirtioPciNegotiate(&dc->pci, WantedFeatures | dc->type->wanted, 0);
    }
    return status;
}

static NTSTATUS SetUpMessages(DEVICE_CONTEXT *dc) {
    if (Vq7MsixEnabled(dc) != dc->messages) {
        Vq7Log("MSI-X is %s, but the interrupts are %s\n", dc->messages ? "off" : "on",
               dc->messages ? "messages" : "lines");
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    if (!dc->messages) {
        return STATUS_SUCCESS;
    }
    return VirtioPciSetConfigVector(&dc->pci, 0);
}

// On failure the device is reset, and has no queues.
static NTSTATUS StartTransport(DEVICE_CONTEXT *dc) {
    NTSTATUS status = Negotiate(dc);

    if (NT_SUCCESS(status)) {
        status = SetUpMessages(dc);
    }
    if (NT_SUCCESS(status) && dc->type->Configure != NULL) {
        status = dc->type->Configure(dc);
    }
    if (NT_SUCCESS(status)) {
        status = Vq7QueuesSetup(dc);
    }
    if (NT_SUCCESS(status) && dc->type->QueuesReady != NULL) {
        status = dc->type->QueuesReady(dc);
    }
    if (!NT_SUCCESS(status)) {
        VirtioPciFail(&dc->pci);
        Vq7ResetOrIsolate(dc);
        Vq7QueuesFree(dc);
    }
    return status;
}

// Whether the device, and not the system, is why it can't be started.
static BOOLEAN IsDevicesFault(NTSTATUS status) {
    return (BOOLEAN)(status == STATUS_DEVICE_CONFIGURATION_ERROR ||
                     status == STATUS_DEVICE_DATA_ERROR || status == STATUS_NOT_SUPPORTED ||
                     status == STATUS_NOT_FOUND);
}

static NTSTATUS StartDevice(DEVICE_CONTEXT *dc) {
    NTSTATUS status = StartTransport(dc);

    // A modern interface that looks right and doesn't work is left for the legacy one, as
    // one that is malformed.
    if (IsDevicesFault(status) && dc->pci.modern && dc->mode == VirtioPciModeAuto &&
        dc->pci.pci_device_id <= VIRTIO_PCI_DEVICE_ID_TRANSITIONAL_LAST && dc->revision == 0) {
        Vq7Log("%02x:%02x.%x: its modern interface can't be started, status 0x%08x: the legacy "
               "one is tried\n",
               dc->bus_number, dc->slot, dc->function, (unsigned int)status);
        status = Vq7OpenTransport(dc, VirtioPciModeLegacy, TRUE);
        if (NT_SUCCESS(status)) {
            status = StartTransport(dc);
        }
    }
    if (!NT_SUCCESS(status)) {
        return status;
    }
    VirtioPciDriverOk(&dc->pci);
    dc->fail_reason = VQ7_FAILURE_NONE;
    dc->fail_noted = 0;
    dc->state = Vq7Running;
    Vq7QueuesRun(dc, TRUE);
    Vq7WatchdogStart(dc);
    // An interrupt that came before it was running told nobody.
    Vq7LookAtConfig(dc);
    return STATUS_SUCCESS;
}

static VOID LogStart(DEVICE_CONTEXT *dc) {
    Vq7Log("%02x:%02x.%x %s, %s, features 0x%08x%08x of 0x%08x%08x, %s, %u vector(s), "
           "%u queue(s)\n",
           dc->bus_number, dc->slot, dc->function, dc->type->name,
           dc->pci.modern ? "modern" : "legacy", (unsigned int)(dc->pci.driver_features >> 32),
           (unsigned int)dc->pci.driver_features, (unsigned int)(dc->pci.device_features >> 32),
           (unsigned int)dc->pci.device_features, dc->messages ? "MSI-X" : "INTx",
           dc->interrupts_connected, dc->queue_count);
}

VOID Vq7DeviceStop(DEVICE_CONTEXT *dc, BOOLEAN keep, NTSTATUS status) {
    WdfWaitLockAcquire(dc->power_lock, NULL);
    LONG old = InterlockedExchange(&dc->state, Vq7Stopped);
    if (old != Vq7Stopped) {
        BOOLEAN failed = (BOOLEAN)(old == Vq7Failed);

        Vq7WatchdogStop(dc);
        Vq7WaitForRegisters(dc);
        Vq7QueuesRun(dc, FALSE);
        if (failed) {
            Vq7NoteFailed(dc); // the work item may not have run yet: its part
            Vq7ResetAndIsolate(dc);
        } else {
            Vq7ResetOrIsolate(dc);
        }
        if (dc->type->TakeBack != NULL) {
            dc->type->TakeBack(dc, keep && !failed ? Vq7KeepAll : Vq7EndAll,
                               failed ? Vq7FailStatus(dc) : status);
        }
        Vq7Log("%02x:%02x.%x stopped\n", dc->bus_number, dc->slot, dc->function);
    }
    WdfWaitLockRelease(dc->power_lock);
}

static NTSTATUS SwitchOnBusMaster(DEVICE_CONTEXT *dc) {
    if (!Vq7SetBusMaster(dc, TRUE)) {
        Vq7Log("%02x:%02x.%x: bus mastering cannot be switched on\n", dc->bus_number, dc->slot,
               dc->function);
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    return STATUS_SUCCESS;
}

// IRQL: PASSIVE_LEVEL, interrupts not connected.
NTSTATUS NTAPI Vq7EvtD0Entry(WDFDEVICE device, WDF_POWER_DEVICE_STATE) {
    DEVICE_CONTEXT *dc = Vq7GetDevice(device);
    // Whoever had the device before may have left it running. If it was isolated, the
    // bus driver may have switched bus mastering on again.
    NTSTATUS status = Vq7ResetOrIsolate(dc);

    // It may be off since then, and no document says that the bus driver switches it
    // on.
    return NT_SUCCESS(status) ? SwitchOnBusMaster(dc) : status;
}

static VOID LogOutcome(DEVICE_CONTEXT *dc, NTSTATUS status) {
    if (NT_SUCCESS(status)) {
        LogStart(dc);
        return;
    }
    Vq7Log("cannot start %02x:%02x.%x (%s), status 0x%08x\n", dc->bus_number, dc->slot,
           dc->function, dc->type->name, (unsigned int)status);
}

NTSTATUS Vq7StartAgain(DEVICE_CONTEXT *dc) {
    NTSTATUS status = SwitchOnBusMaster(dc); // off since it failed

    if (NT_SUCCESS(status)) {
        status = StartDevice(dc);
    }
    LogOutcome(dc, status);
    return status;
}

// IRQL: PASSIVE_LEVEL, interrupts connected.
NTSTATUS NTAPI Vq7EvtPostInterruptsEnabled(WDFDEVICE device, WDF_POWER_DEVICE_STATE) {
    DEVICE_CONTEXT *dc = Vq7GetDevice(device);

    WdfWaitLockAcquire(dc->power_lock, NULL);
    NTSTATUS status = StartDevice(dc);
    WdfWaitLockRelease(dc->power_lock);
    LogOutcome(dc, status);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    if (dc->type->Resume != NULL) {
        dc->type->Resume(dc);
    }
    return STATUS_SUCCESS;
}

// IRQL: PASSIVE_LEVEL. The queues have power again since the callback above, and
// io_queue may hold requests from before: WdfIoQueueReadyNotify is documented
// for the first request of an empty queue alone.
NTSTATUS NTAPI Vq7EvtIoStarted(WDFDEVICE device) {
    DEVICE_CONTEXT *dc = Vq7GetDevice(device);

    if (dc->type->Resume != NULL) {
        dc->type->Resume(dc);
    }
    return STATUS_SUCCESS;
}

// IRQL: PASSIVE_LEVEL, interrupts still connected.
NTSTATUS NTAPI Vq7EvtPreInterruptsDisabled(WDFDEVICE device, WDF_POWER_DEVICE_STATE) {
    Vq7DeviceStop(Vq7GetDevice(device), TRUE, STATUS_CANCELLED);
    return STATUS_SUCCESS;
}

// IRQL: PASSIVE_LEVEL. For paths that come here without the callback above.
NTSTATUS NTAPI Vq7EvtD0Exit(WDFDEVICE device, WDF_POWER_DEVICE_STATE) {
    Vq7DeviceStop(Vq7GetDevice(device), TRUE, STATUS_CANCELLED);
    return STATUS_SUCCESS;
}

// IRQL: PASSIVE_LEVEL. The device will complete nothing any more.
VOID NTAPI Vq7EvtSurpriseRemoval(WDFDEVICE device) {
    Vq7DeviceStop(Vq7GetDevice(device), FALSE, STATUS_DEVICE_REMOVED);
}
