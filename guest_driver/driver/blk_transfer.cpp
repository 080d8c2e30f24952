// SPDX-License-Identifier: MIT
// From io_queue to the ring: cutting IOCTLs into virtio requests and sending
// them in order, as far as there is room.
#include "blk.h"

#define STATUS_BYTE_UNSET 0xFF // no VIRTIO_BLK_S_*

VOID BlkFinish(BLK_IO *io, LIST_ENTRY *finished) {
    RemoveEntryList(&io->link);
    io->done = TRUE;
    if (!io->hold) {
        InsertTailList(finished, &io->link);
    }
}

VOID BlkCompleteFinished(LIST_ENTRY *finished) {
    while (!IsListEmpty(finished)) {
        BLK_IO *io = CONTAINING_RECORD(RemoveHeadList(finished), BLK_IO, link);
        ULONG_PTR information = NT_SUCCESS(io->status) ? io->information : 0;

        WdfRequestCompleteWithInformation(io->request, io->status, information);
    }
}

VOID BlkDrainIoQueue(DEVICE_CONTEXT *dc, NTSTATUS status) {
    WDFREQUEST request;

    while (NT_SUCCESS(WdfIoQueueRetrieveNextRequest(dc->io_queue, &request))) {
        BLK_IO *io = BlkGetIo(request);
        VQ7_QUEUE *queue = &dc->queues[0];
        LIST_ENTRY finished;

        InitializeListHead(&finished);
        WdfSpinLockAcquire(queue->lock);
        io->status = status;
        InitializeListHead(&io->link);
        BlkFinish(io, &finished);
        WdfSpinLockRelease(queue->lock);
        BlkCompleteFinished(&finished);
    }
}

static VOID SetSegment(VIRTQ_SG *sg, UINT64 address, UINT32 length, BOOLEAN write) {
    sg->addr = address;
    sg->len = length;
    sg->write = write;
}

// The data segments of the next virtio request of `io`, from blk->sg[1] on.
static NTSTATUS BuildData(BLK_DEVICE *blk, BLK_IO *io, BLK_SLOT *slot, UINT16 *count,
                          UINT32 *bytes) {
    *count = 0;
    *bytes = 0;
    slot->bounced = FALSE;
    slot->offset = io->next;
    if (io->type == VIRTIO_BLK_T_GET_ID) {
        UINT64 pa = blk->shared_pa + slot->index * sizeof(BLK_SHARED) + offsetof(BLK_SHARED, id);
        RtlZeroMemory(blk->shared[slot->index].id, VIRTIO_BLK_ID_BYTES); // of another request
        SetSegment(&blk->sg[1], pa, VIRTIO_BLK_ID_BYTES, TRUE);
        *count = 1;
    }
    if (io->mdl == NULL) {
        return STATUS_SUCCESS;
    }
    NTSTATUS status =
        BlkBuildPart(&blk->limits, &io->cut, io->mdl, io->next,
                     (BOOLEAN)(io->type == VIRTIO_BLK_T_IN), &blk->sg[1], count, bytes);
    if (NT_SUCCESS(status) && *bytes == 0) {
        status = BlkBounce(blk, io, count, bytes);
        slot->bounced = (BOOLEAN)NT_SUCCESS(status);
    }
    return status;
}

static VOID FillHeader(BLK_DEVICE *blk, BLK_IO *io, const BLK_SLOT *slot, UINT16 data_count) {
    BLK_SHARED *shared = &blk->shared[slot->index];
    UINT64 pa = blk->shared_pa + slot->index * sizeof(BLK_SHARED);

    shared->header.type = io->type;
    shared->header.reserved = 0;
    shared->header.sector = io->sector + io->next / BLK_SECTOR_SIZE; // 0 without data
    shared->status = STATUS_BYTE_UNSET;
    SetSegment(&blk->sg[0], pa, sizeof(BLK_HEADER), FALSE);
    SetSegment(&blk->sg[1 + data_count], pa + offsetof(BLK_SHARED, status), 1, TRUE);
}

// Sends one virtio request of `io`. STATUS_INSUFFICIENT_RESOURCES: the ring is
// full; STATUS_DEVICE_BUSY: the bounce buffer is in use. The queue's lock is held.
static NTSTATUS SendPart(VQ7_QUEUE *queue, BLK_DEVICE *blk, BLK_IO *io) {
    UINT16 data_count;
    UINT32 bytes;
    UINT16 head;

    if (blk->free_slot == BLK_NO_SLOT) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    BLK_SLOT *slot = &blk->slots[blk->free_slot];
    NTSTATUS status = BuildData(blk, io, slot, &data_count, &bytes);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    FillHeader(blk, io, slot, data_count);

    UINT16 free_before = VirtqSplitNumFree(queue->vq);
    status = VirtqSplitAddBuffer(queue->vq, blk->sg, (UINT16)(data_count + 2), slot, &head);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    if (free_before - VirtqSplitNumFree(queue->vq) == 1) {
        queue->stats.indirect++; // a chain of two and more in one descriptor
    }
    if (slot->bounced) {
        blk->bounce_busy = TRUE;
        queue->stats.bounced++;
    }
    blk->free_slot = slot->next_free;
    slot->io = io;
    slot->bytes = bytes;
    slot->sent_ms = queue->clock_ms;
    io->next += bytes;
    io->in_flight++;
    io->all_sent = (BOOLEAN)(io->mdl == NULL || io->next == io->cut.total);
    Vq7QueuePublish(queue, head);
    return STATUS_SUCCESS;
}

// FALSE: there was no room for all of it. What comes back makes some.
static BOOLEAN SendParts(VQ7_QUEUE *queue, BLK_DEVICE *blk, BLK_IO *io) {
    while (!io->all_sent) {
        NTSTATUS status = io->status; // of a part that came back already

        if (NT_SUCCESS(status)) {
            status = SendPart(queue, blk, io);
        }
        if (status == STATUS_DEVICE_BUSY) {
            return FALSE;
        }
        if (status == STATUS_INSUFFICIENT_RESOURCES) {
            if (!io->full_counted) {
                io->full_counted = TRUE;
                queue->stats.ring_full++;
            }
            return FALSE;
        }
        if (!NT_SUCCESS(status)) {
            io->status = status;
            io->all_sent = TRUE; // no more of it
        }
    }
    return TRUE;
}

// The next request to send. Its lock is released for a while, since the
// framework may call back when a request leaves its queue; blk->pumping keeps
// the order meanwhile. NULL: there is none, or the queue stopped meanwhile.
static BLK_IO *NextIo(VQ7_QUEUE *queue, BLK_DEVICE *blk, LIST_ENTRY *finished) {
    DEVICE_CONTEXT *dc = queue->device;
    WDFREQUEST request;

    if (!IsListEmpty(&blk->restart)) {
        LIST_ENTRY *link = RemoveHeadList(&blk->restart);
        InsertTailList(&blk->active, link);
        return CONTAINING_RECORD(link, BLK_IO, link);
    }
    WdfSpinLockRelease(queue->lock);
    NTSTATUS status = WdfIoQueueRetrieveNextRequest(dc->io_queue, &request);
    WdfSpinLockAcquire(queue->lock);
    if (!NT_SUCCESS(status)) {
        return NULL;
    }
    BLK_IO *io = BlkGetIo(request);
    if (queue->running) {
        InsertTailList(&blk->active, &io->link);
        return io;
    }
    InsertTailList(&blk->restart, &io->link);
    if (dc->state == Vq7Failed || io->purged) {
        io->status = STATUS_DEVICE_NOT_READY;
        BlkFinish(io, finished);
    }
    return NULL;
}

// Sends until nothing waits or the ring is full. The queue's lock is held.
static VOID SendWaiting(VQ7_QUEUE *queue, BLK_DEVICE *blk, LIST_ENTRY *finished) {
    // One ring's worth: a device that is as fast as the callers must not keep
    // this CPU here. What is then left is sent when something comes back.
    UINT32 budget = queue->size;

    while (queue->running && (budget > 0 || VirtqSplitInFlight(queue->vq) == 0)) {
        if (blk->current == NULL) {
            blk->pump_again = FALSE;
            blk->current = NextIo(queue, blk, finished);
            if (blk->current == NULL && blk->pump_again) {
                continue; // one came while we looked
            }
        }
        if (blk->current == NULL || !SendParts(queue, blk, blk->current)) {
            return;
        }
        BLK_IO *io = blk->current;
        blk->current = NULL;
        if (budget > 0) {
            budget--;
        }
        if (io->in_flight == 0) {
            BlkFinish(io, finished); // failed with nothing at the device
        }
    }
}

VOID BlkPump(VQ7_QUEUE *queue) {
    DEVICE_CONTEXT *dc = queue->device;
    BLK_DEVICE *blk = BlkOf(dc);
    LIST_ENTRY finished;
    KIRQL irql;

    InitializeListHead(&finished);
    // While NextIo is without the lock, too: a thread that lost its CPU there would
    // stop all others, and what it has not yet kicked.
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    WdfSpinLockAcquire(queue->lock);
    if (blk->pumping) {
        blk->pump_again = TRUE; // whoever is at it looks again
    } else {
        blk->pumping = TRUE;
        SendWaiting(queue, blk, &finished);
        blk->pumping = FALSE;
        Vq7QueueKick(queue);
    }
    WdfSpinLockRelease(queue->lock);
    KeLowerIrql(irql);
    BlkCompleteFinished(&finished);
    if (dc->state == Vq7Failed) {
        BlkDrainIoQueue(dc, STATUS_DEVICE_NOT_READY);
    }
}
