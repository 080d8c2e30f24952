// SPDX-License-Identifier: MIT
// Virtqueues: their memory, their set-up in the device, and notifications.
#include "driver.h"

#define RING_ALIGN VIRTQ_LEGACY_ALIGN // good for modern devices, too
VIRTIO_STATIC_ASSERT(RING_ALIGN == PAGE_SIZE, common_buffers_are_aligned_for_rings);

// Indirect tables of a queue: one a buffer up to this many; further ones go
// into the ring itself.
#define MAX_INDIRECT_TABLES 128

static VOID FreeQueue(VQ7_QUEUE *queue) {
    if (queue->vq != NULL) {
        ExFreePoolWithTag(queue->vq, VQ7_POOL_TAG);
        queue->vq = NULL;
    }
    Vq7DeleteBuffer(&queue->ring);
    Vq7DeleteBuffer(&queue->indirect_pool);
    queue->size = 0;
}

static UINT16 IndirectTables(const VQ7_QUEUE *queue) {
    return (UINT16)(queue->size < MAX_INDIRECT_TABLES ? queue->size : MAX_INDIRECT_TABLES);
}

static UINT16 IndirectLength(const VQ7_QUEUE *queue) {
    UINT16 chain = queue->device->type->chain_max;

    return chain < queue->size ? chain : queue->size;
}

static BOOLEAN Accepted(const DEVICE_CONTEXT *dc, UINT32 bit) {
    return (BOOLEAN)((dc->pci.driver_features & VIRTIO_FEATURE(bit)) != 0);
}

static NTSTATUS AllocateQueue(VQ7_QUEUE *queue) {
    DEVICE_CONTEXT *dc = queue->device;

    queue->vq = (VIRTQ_SPLIT *)ExAllocatePoolWithTag(NonPagedPool, VirtqSplitStateSize(queue->size),
                                                     VQ7_POOL_TAG);
    if (queue->vq == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    NTSTATUS status =
        Vq7CommonBuffer(dc, VirtqSplitRingMemSize(queue->size, RING_ALIGN, TRUE), &queue->ring);
    if (NT_SUCCESS(status) && Accepted(dc, VIRTIO_F_RING_INDIRECT_DESC_BIT)) {
        size_t bytes = (size_t)IndirectTables(queue) * IndirectLength(queue) * sizeof(VIRTQ_DESC);
        status = Vq7CommonBuffer(dc, bytes, &queue->indirect_pool);
    }
    return status;
}

// The size to use: the device's largest, within reason where there is a choice.
static NTSTATUS ChooseSize(VQ7_QUEUE *queue, UINT16 *size) {
    DEVICE_CONTEXT *dc = queue->device;
    NTSTATUS status = VirtioPciQueueMaxSize(&dc->pci, queue->index, &queue->max_size);

    *size = queue->max_size;
    if (NT_SUCCESS(status) && dc->pci.modern) {
        if (*size > VQ7_MAX_QUEUE_SIZE) {
            *size = VQ7_MAX_QUEUE_SIZE;
        }
        while (*size & (*size - 1)) {
            *size = (UINT16)(*size & (*size - 1)); // down to a power of two
        }
    }
    return status;
}

static NTSTATUS InitRing(VQ7_QUEUE *queue) {
    DEVICE_CONTEXT *dc = queue->device;
    PVOID pool_va = NULL;
    UINT64 pool_pa = 0;

    if (queue->indirect_pool != NULL) {
        pool_va = WdfCommonBufferGetAlignedVirtualAddress(queue->indirect_pool);
        pool_pa = Vq7BufferAddress(queue->indirect_pool);
    }
    NTSTATUS status = VirtqSplitInit(
        queue->vq, queue->size, Accepted(dc, VIRTIO_F_RING_EVENT_IDX_BIT),
        (BOOLEAN)(pool_va != NULL), WdfCommonBufferGetAlignedVirtualAddress(queue->ring),
        Vq7BufferAddress(queue->ring), RING_ALIGN, pool_va, pool_pa, IndirectTables(queue),
        IndirectLength(queue));
    if (NT_SUCCESS(status)) {
        // Legacy devices often say a wrong length (Virtio 1.2, 2.7.8.1), and some modern ones
        // do. The type knows what to make of it.
        VirtqSplitSetCutUsedLength(queue->vq, TRUE);
    }
    return status;
}

static NTSTATUS MapNotifyRegister(VQ7_QUEUE *queue) {
    DEVICE_CONTEXT *dc = queue->device;
    VIRTIO_PCI_REGION region;
    NTSTATUS status = VirtioPciGetNotifyRegion(&dc->pci, queue->index, &region);

    return NT_SUCCESS(status) ? Vq7MapRegion(dc, &region) : status;
}

static NTSTATUS SetupQueue(VQ7_QUEUE *queue) {
    DEVICE_CONTEXT *dc = queue->device;
    UINT16 size = 0;
    NTSTATUS status = ChooseSize(queue, &size);

    if (!NT_SUCCESS(status)) {
        return status;
    }
    BOOLEAN indirect = Accepted(dc, VIRTIO_F_RING_INDIRECT_DESC_BIT);
    if (size != queue->size || indirect != (BOOLEAN)(queue->indirect_pool != NULL)) {
        FreeQueue(queue);
        queue->size = size;
        status = AllocateQueue(queue);
    }
    if (NT_SUCCESS(status)) {
        status = InitRing(queue);
    }
    if (NT_SUCCESS(status)) {
        queue->vector = dc->messages ? Vq7QueueMessage(queue->index, dc->interrupts_connected)
                                     : (UINT16)VIRTIO_PCI_NO_VECTOR;
        queue->last_error = STATUS_SUCCESS;
        status = VirtioPciQueueSetup(&dc->pci, queue->index, queue->size, queue->vq->desc_pa,
                                     queue->vq->avail_pa, queue->vq->used_pa, queue->vector);
    }
    return NT_SUCCESS(status) ? MapNotifyRegister(queue) : status;
}

NTSTATUS Vq7QueuesSetup(DEVICE_CONTEXT *dc) {
    for (UINT16 i = 0; i < dc->type->queues; i++) {
        NTSTATUS status = SetupQueue(&dc->queues[i]);
        dc->queue_count = (UINT16)(i + 1);
        if (!NT_SUCCESS(status)) {
            Vq7Log("queue %u: status 0x%08x\n", i, (unsigned int)status);
            return status;
        }
    }
    return STATUS_SUCCESS;
}

VOID Vq7QueuesFree(DEVICE_CONTEXT *dc) {
    if (dc->type != NULL && dc->type->QueuesGone != NULL) {
        dc->type->QueuesGone(dc);
    }
    for (UINT16 i = 0; i < VQ7_MAX_QUEUES; i++) {
        FreeQueue(&dc->queues[i]);
    }
    dc->queue_count = 0;
}

VOID Vq7QueuesRun(DEVICE_CONTEXT *dc, BOOLEAN run) {
    for (UINT16 i = 0; i < dc->queue_count; i++) {
        WdfSpinLockAcquire(dc->queues[i].lock);
        dc->queues[i].running = run;
        WdfSpinLockRelease(dc->queues[i].lock);
    }
}

VOID Vq7QueuePublish(VQ7_QUEUE *queue, UINT16 head) {
    UINT16 in_flight;

    VirtqSplitPublish(queue->vq, head);
    queue->stats.submitted++;
    in_flight = VirtqSplitInFlight(queue->vq);
    if (in_flight > queue->stats.max_in_flight) {
        queue->stats.max_in_flight = in_flight;
    }
}

VOID Vq7QueueKick(VQ7_QUEUE *queue) {
    if (!queue->running || queue->vq->num_added == 0) {
        return;
    }
    if (VirtqSplitKick(queue->vq)) {
        VirtioPciNotify(&queue->device->pci, queue->index);
        queue->stats.notifications++;
    } else {
        queue->stats.suppressed++;
    }
}
