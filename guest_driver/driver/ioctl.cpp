// SPDX-License-Identifier: MIT
// The IOCTLs of every device type, and the I/O queues' callbacks.
#include "driver.h"

static VOID FillQueueInfo(VQ7_QUEUE *queue, VQ7_QUEUE_INFO *info) {
    WdfSpinLockAcquire(queue->lock);
    info->size = queue->size;
    info->max_size = queue->max_size;
    info->vector = queue->vector;
    info->broken = (unsigned char)(queue->last_error != STATUS_SUCCESS);
    info->last_error = (unsigned int)queue->last_error;
    WdfSpinLockRelease(queue->lock);
}

static VOID FillDeviceInfo(DEVICE_CONTEXT *dc, VQ7_DEVICE_INFO *info) {
    RtlZeroMemory(info, sizeof(*info));
    info->size = sizeof(*info);
    info->version = VQ7_INTERFACE_VERSION;
    info->pci_vendor = dc->pci.vendor_id;
    info->pci_device = dc->pci.pci_device_id;
    info->pci_subsystem_vendor = dc->subsystem_vendor;
    info->pci_subsystem = dc->subsystem;
    info->pci_revision = dc->revision;
    info->pci_bus = dc->bus_number;
    info->pci_slot = dc->slot;
    info->pci_function = dc->function;
    info->virtio_type = dc->pci.device_type;
    info->transport = dc->pci.modern ? VQ7_TRANSPORT_MODERN : VQ7_TRANSPORT_LEGACY;
    info->interrupt_mode = dc->messages ? VQ7_INTERRUPT_MESSAGE : VQ7_INTERRUPT_LINE;
    info->vectors = dc->interrupts_connected;
    info->queue_count = dc->queue_count;
    info->device_features = dc->pci.device_features;
    info->driver_features = dc->pci.driver_features;
    info->state = (unsigned char)dc->state;
    WdfSpinLockAcquire(dc->register_lock);
    if (dc->state == Vq7Running) { // else a reset may be going on
        info->device_status = VirtioPciGetStatus(&dc->pci);
    }
    info->last_failure = (unsigned char)dc->last_failure;
    WdfSpinLockRelease(dc->register_lock);
    for (UINT16 i = 0; i < dc->queue_count && i < VQ7_MAX_QUEUES_REPORTED; i++) {
        FillQueueInfo(&dc->queues[i], &info->queue[i]);
    }
}

static VOID AddQueueStats(VQ7_QUEUE *queue, VQ7_STATS *stats) {
    WdfSpinLockAcquire(queue->lock);
    stats->submitted += queue->stats.submitted;
    stats->completed += queue->stats.completed;
    stats->errors += queue->stats.errors;
    stats->bytes_read += queue->stats.bytes_read;
    stats->bytes_written += queue->stats.bytes_written;
    stats->notifications += queue->stats.notifications;
    stats->suppressed += queue->stats.suppressed;
    stats->ring_full += queue->stats.ring_full;
    stats->indirect += queue->stats.indirect;
    stats->max_in_flight += queue->stats.max_in_flight;
    stats->odd_lengths += queue->stats.odd_lengths;
    stats->bounced += queue->stats.bounced;
    if (queue->running) { // else it may be being made anew
        stats->in_flight += VirtqSplitInFlight(queue->vq);
    }
    WdfSpinLockRelease(queue->lock);
}

static VOID FillStats(DEVICE_CONTEXT *dc, VQ7_STATS *stats) {
    RtlZeroMemory(stats, sizeof(*stats));
    stats->size = sizeof(*stats);
    for (UINT16 i = 0; i < dc->queue_count; i++) {
        AddQueueStats(&dc->queues[i], stats);
    }
    WdfSpinLockAcquire(dc->register_lock);
    Vq7FoldInterruptCounts(dc);
    stats->interrupts = dc->stats.interrupts;
    stats->interrupts_not_ours = dc->stats.interrupts_not_ours;
    stats->config_changes = dc->stats.config_changes;
    stats->dpcs = dc->stats.dpcs;
    WdfSpinLockRelease(dc->register_lock);
}

static VOID FillFailures(DEVICE_CONTEXT *dc, VQ7_FAILURES *failures) {
    RtlZeroMemory(failures, sizeof(*failures));
    failures->size = sizeof(*failures);
    failures->state = (unsigned int)dc->state;
    failures->timeout_ms = dc->timeout_ms;
    failures->retries = dc->retries;
    for (UINT16 i = 0; i < VQ7_MAX_QUEUES; i++) {
        VQ7_QUEUE *queue = &dc->queues[i];
        WdfSpinLockAcquire(queue->lock);
        failures->resent += queue->stats.resent;
        failures->timed_out += queue->stats.timed_out;
        failures->lost_interrupts += queue->stats.lost_interrupts;
        WdfSpinLockRelease(queue->lock);
    }
    WdfSpinLockAcquire(dc->register_lock);
    failures->last_failure = (unsigned int)dc->last_failure;
    failures->restarts = dc->stats.restarts;
    RtlCopyMemory(failures->count, dc->stats.failures, sizeof(failures->count));
    WdfSpinLockRelease(dc->register_lock);
}

static VOID ClearStats(DEVICE_CONTEXT *dc) {
    for (UINT16 i = 0; i < VQ7_MAX_QUEUES; i++) {
        WdfSpinLockAcquire(dc->queues[i].lock);
        RtlZeroMemory(&dc->queues[i].stats, sizeof(dc->queues[i].stats));
        WdfSpinLockRelease(dc->queues[i].lock);
    }
    WdfSpinLockAcquire(dc->register_lock);
    Vq7FoldInterruptCounts(dc); // counted before the clearing
    RtlZeroMemory(&dc->stats, sizeof(dc->stats));
    WdfSpinLockRelease(dc->register_lock);
}

static VOID GetDeviceInfo(DEVICE_CONTEXT *dc, WDFREQUEST request) {
    PVOID buffer;
    NTSTATUS status =
        WdfRequestRetrieveOutputBuffer(request, sizeof(VQ7_DEVICE_INFO), &buffer, NULL);

    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(request, status);
        return;
    }
    FillDeviceInfo(dc, (VQ7_DEVICE_INFO *)buffer);
    WdfRequestCompleteWithInformation(request, STATUS_SUCCESS, sizeof(VQ7_DEVICE_INFO));
}

static VOID GetStats(DEVICE_CONTEXT *dc, WDFREQUEST request) {
    PVOID buffer;
    NTSTATUS status = WdfRequestRetrieveOutputBuffer(request, sizeof(VQ7_STATS), &buffer, NULL);

    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(request, status);
        return;
    }
    FillStats(dc, (VQ7_STATS *)buffer);
    WdfRequestCompleteWithInformation(request, STATUS_SUCCESS, sizeof(VQ7_STATS));
}

static VOID GetFailures(DEVICE_CONTEXT *dc, WDFREQUEST request) {
    PVOID buffer;
    NTSTATUS status = WdfRequestRetrieveOutputBuffer(request, sizeof(VQ7_FAILURES), &buffer, NULL);

    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(request, status);
        return;
    }
    FillFailures(dc, (VQ7_FAILURES *)buffer);
    WdfRequestCompleteWithInformation(request, STATUS_SUCCESS, sizeof(VQ7_FAILURES));
}

static VOID SetTimeout(DEVICE_CONTEXT *dc, WDFREQUEST request) {
    PVOID buffer;
    NTSTATUS status = WdfRequestRetrieveInputBuffer(request, sizeof(VQ7_TIMEOUT), &buffer, NULL);

    if (NT_SUCCESS(status)) {
        const VQ7_TIMEOUT timeout = *(const VQ7_TIMEOUT *)buffer;
        if (Vq7TimeoutIsValid(&timeout)) {
            dc->retries = timeout.retries;
            dc->timeout_ms = timeout.timeout_ms;
            Vq7WatchdogStart(dc);
        } else {
            status = STATUS_INVALID_PARAMETER;
        }
    }
    WdfRequestComplete(request, status);
}

// IRQL: <= DISPATCH_LEVEL, the device in D0.
VOID NTAPI Vq7EvtDeviceControl(WDFQUEUE queue, WDFREQUEST request, size_t output_length, size_t,
                               ULONG code) {
    DEVICE_CONTEXT *dc = Vq7GetDevice(WdfIoQueueGetDevice(queue));

    switch (code) {
    case IOCTL_VQ7_GET_DEVICE_INFO:
        GetDeviceInfo(dc, request);
        return;
    case IOCTL_VQ7_GET_STATS:
        GetStats(dc, request);
        return;
    case IOCTL_VQ7_CLEAR_STATS:
        ClearStats(dc);
        WdfRequestComplete(request, STATUS_SUCCESS);
        return;
    case IOCTL_VQ7_GET_FAILURES:
        GetFailures(dc, request);
        return;
    case IOCTL_VQ7_RESTART:
        Vq7Restart(dc, request);
        return;
    case IOCTL_VQ7_SET_TIMEOUT:
        SetTimeout(dc, request);
        return;
    default:
        if (dc->type->DeviceControl == NULL ||
            !dc->type->DeviceControl(dc, request, output_length, code)) {
            WdfRequestComplete(request, STATUS_INVALID_DEVICE_REQUEST);
        }
        return;
    }
}

// IRQL: <= DISPATCH_LEVEL. For a request that the driver holds while the queue
// is stopped.
VOID NTAPI Vq7EvtIoStop(WDFQUEUE queue, WDFREQUEST request, ULONG flags) {
    DEVICE_CONTEXT *dc = Vq7GetDevice(WdfIoQueueGetDevice(queue));

    if (dc->type->IoStop != NULL) {
        dc->type->IoStop(dc, request, flags);
    }
}

// IRQL: <= DISPATCH_LEVEL. Requests have come, or the queue has power again.
VOID NTAPI Vq7EvtIoQueueReady(WDFQUEUE, WDFCONTEXT context) {
    DEVICE_CONTEXT *dc = (DEVICE_CONTEXT *)context;

    if (dc->state != Vq7Stopped && dc->type->Resume != NULL) {
        dc->type->Resume(dc);
    }
}
