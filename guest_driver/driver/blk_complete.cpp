// SPDX-License-Identifier: MIT
// From the ring back to the callers: completions, and what is taken back when
// the device stops.
#include "blk.h"

// How often a DPC looks again when the device has finished more meanwhile.
#define MAX_ROUNDS 4

static VOID FreeSlot(BLK_DEVICE *blk, BLK_SLOT *slot) {
    if (slot->bounced) {
        blk->bounce_busy = FALSE;
    }
    slot->io = NULL;
    slot->next_free = blk->free_slot;
    blk->free_slot = slot->index;
}

// The status byte alone decides (5.2.6): used lengths of 0, 1, without the status byte, or
// of more than there is room for are what some devices say of requests that they did.
static NTSTATUS PartStatus(UINT8 answer) {
    switch (answer) {
    case VIRTIO_BLK_S_OK:
        return STATUS_SUCCESS;
    case VIRTIO_BLK_S_IOERR:
        return STATUS_IO_DEVICE_ERROR;
    case VIRTIO_BLK_S_UNSUPP:
        return STATUS_NOT_SUPPORTED;
    default: // also where the device has left it alone
        return STATUS_DEVICE_PROTOCOL_ERROR;
    }
}

// What the device has to write for a request that it did (2.7.8.2).
static UINT32 ExpectedLength(const BLK_SLOT *slot) {
    switch (slot->io->type) {
    case VIRTIO_BLK_T_IN:
        return slot->bytes + 1;
    case VIRTIO_BLK_T_GET_ID:
        return VIRTIO_BLK_ID_BYTES + 1;
    default:
        return 1;
    }
}

// Counted, and said of the first.
static VOID NoteOddLength(VQ7_QUEUE *queue, BLK_DEVICE *blk, const BLK_SLOT *slot, UINT32 written,
                          BOOLEAN cut) {
    UINT32 expected = ExpectedLength(slot);

    if (written == expected && !cut) {
        return;
    }
    queue->stats.odd_lengths++;
    if (!blk->odd_length_said) {
        blk->odd_length_said = TRUE;
        Vq7Log("the device says it wrote %s%u bytes where %u are expected (request type %u): the "
               "status byte decides\n",
               cut ? "more than " : "", written, expected, slot->io->type);
    }
}

static VOID CountPart(QUEUE_STATS *stats, const BLK_SLOT *slot, NTSTATUS status) {
    stats->completed++;
    if (!NT_SUCCESS(status)) {
        stats->errors++;
    } else if (slot->io->type == VIRTIO_BLK_T_IN) {
        stats->bytes_read += slot->bytes;
    } else {
        stats->bytes_written += slot->bytes; // 0 without data
    }
}

// `cut`: the device said more than `written`.
static VOID CompletePart(VQ7_QUEUE *queue, BLK_DEVICE *blk, BLK_SLOT *slot, UINT32 written,
                         BOOLEAN cut, LIST_ENTRY *finished) {
    BLK_IO *io = slot->io;
    // Read once: the device may change it at any time.
    NTSTATUS status = PartStatus(*(volatile UINT8 *)&blk->shared[slot->index].status);

    if (NT_SUCCESS(status)) {
        NoteOddLength(queue, blk, slot, written, cut);
        if (slot->bounced && io->type == VIRTIO_BLK_T_IN) {
            status = BlkCopyMdl(io->mdl, slot->offset, blk->bounce, slot->bytes, TRUE);
        }
    }
    CountPart(&queue->stats, slot, status);
    if (NT_SUCCESS(status) && io->type == VIRTIO_BLK_T_GET_ID) {
        RtlCopyMemory(io->out, blk->shared[slot->index].id, VIRTIO_BLK_ID_BYTES);
    }
    FreeSlot(blk, slot);
    io->in_flight--;
    if (!NT_SUCCESS(status) && NT_SUCCESS(io->status)) {
        io->status = status;
    }
    if (io->in_flight != 0 || (!io->all_sent && NT_SUCCESS(io->status))) {
        return;
    }
    if (blk->current == io) {
        blk->current = NULL; // the rest of it is not sent
    }
    BlkFinish(io, finished);
}

// One ring's worth at most, since nothing is sent meanwhile and nothing comes back twice.
// STATUS_NOT_FOUND: no more; or how the ring is broken.
static NTSTATUS TakeUsed(VQ7_QUEUE *queue, BLK_DEVICE *blk, LIST_ENTRY *finished) {
    for (;;) {
        void *cookie;
        UINT32 written;
        UINT32 cut_before = queue->vq->used_length_cut;
        NTSTATUS status = VirtqSplitGetUsed(queue->vq, &cookie, &written);

        if (!NT_SUCCESS(status)) {
            return status;
        }
        CompletePart(queue, blk, (BLK_SLOT *)cookie, written,
                     (BOOLEAN)(queue->vq->used_length_cut != cut_before), finished);
    }
}

// The queue's lock is held. TRUE: the device keeps finishing more.
static BOOLEAN Drain(VQ7_QUEUE *queue, BLK_DEVICE *blk, LIST_ENTRY *finished) {
    for (int round = 0; round < MAX_ROUNDS; round++) {
        VirtqSplitDisableInterrupts(queue->vq);
        NTSTATUS status = TakeUsed(queue, blk, finished);
        if (status != STATUS_NOT_FOUND) {
            queue->running = FALSE;
            queue->last_error = status;
            Vq7DeviceFail(queue->device, Vq7FailureOf(status));
            return FALSE;
        }
        if (VirtqSplitEnableInterrupts(queue->vq)) {
            return FALSE;
        }
    }
    return TRUE;
}

BOOLEAN BlkService(VQ7_QUEUE *queue) {
    BLK_DEVICE *blk = BlkOf(queue->device);
    LIST_ENTRY finished;
    BOOLEAN more = FALSE;

    InitializeListHead(&finished);
    WdfSpinLockAcquire(queue->lock);
    if (queue->running) {
        more = Drain(queue, blk, &finished);
    }
    WdfSpinLockRelease(queue->lock);
    BlkPump(queue); // first: the device works while the callers are told
    BlkCompleteFinished(&finished);
    return more;
}

// To be sent again from the start, before the younger ones that were not sent yet:
// what parts of it the device has done by now it may do twice.
static VOID KeepForRestart(BLK_DEVICE *blk, BLK_IO *io) {
    RemoveEntryList(&io->link);
    InsertHeadList(&blk->restart, &io->link);
    io->next = 0;
    io->all_sent = FALSE;
    io->taken_back = FALSE;
    io->status = STATUS_SUCCESS;
}

static VOID EndList(LIST_ENTRY *list, NTSTATUS status, LIST_ENTRY *finished) {
    while (!IsListEmpty(list)) {
        BLK_IO *io = CONTAINING_RECORD(list->Flink, BLK_IO, link);
        io->status = status;
        BlkFinish(io, finished);
    }
}

// Whether a request is kept that was given to the device, or waits for room.
static BOOLEAN IsKept(VQ7_QUEUE *queue, BLK_IO *io, VQ7_TAKE_BACK what) {
    if (io->purged) {
        return FALSE;
    }
    if (what != Vq7KeepRetries || !io->taken_back) {
        return TRUE;
    }
    if (io->resends >= queue->device->retries) {
        queue->stats.timed_out++;
        return FALSE;
    }
    io->resends++;
    queue->stats.resent++;
    return TRUE;
}

// Not only those that EvtIoStop was called for: the framework hands out requests
// while it stops the queue, and does not ask about these.
static VOID KeepActive(VQ7_QUEUE *queue, BLK_DEVICE *blk, VQ7_TAKE_BACK what) {
    LIST_ENTRY *link = blk->active.Blink;

    while (link != &blk->active) {
        BLK_IO *io = CONTAINING_RECORD(link, BLK_IO, link);
        link = link->Blink;
        if (IsKept(queue, io, what)) {
            KeepForRestart(blk, io);
        }
    }
}

static VOID DetachAll(VQ7_QUEUE *queue, BLK_DEVICE *blk) {
    void *cookie;

    while (NT_SUCCESS(VirtqSplitDetachUnused(queue->vq, &cookie))) {
        BLK_SLOT *slot = (BLK_SLOT *)cookie;
        slot->io->in_flight--;
        slot->io->taken_back = TRUE;
        FreeSlot(blk, slot);
    }
    blk->current = NULL;
}

VOID BlkTakeBack(DEVICE_CONTEXT *dc, VQ7_TAKE_BACK what, NTSTATUS status) {
    BLK_DEVICE *blk = BlkOf(dc);
    VQ7_QUEUE *queue = &dc->queues[0];
    LIST_ENTRY finished;

    InitializeListHead(&finished);
    WdfSpinLockAcquire(queue->lock);
    DetachAll(queue, blk);
    if (what == Vq7EndAll) {
        EndList(&blk->restart, status, &finished);
    } else {
        KeepActive(queue, blk, what);
    }
    EndList(&blk->active, status, &finished);
    WdfSpinLockRelease(queue->lock);
    BlkCompleteFinished(&finished);
    if (what == Vq7EndAll) {
        BlkDrainIoQueue(dc, status);
    }
}

UINT32 BlkOldestAge(VQ7_QUEUE *queue) {
    const BLK_DEVICE *blk = BlkOf(queue->device);
    UINT32 oldest = 0;

    for (UINT16 i = 0; i < blk->slot_count; i++) {
        UINT32 age = queue->clock_ms - blk->slots[i].sent_ms;
        if (blk->slots[i].io != NULL && age > oldest) {
            oldest = age;
        }
    }
    return oldest;
}

// A suspended request stays with the driver and is sent again after the next
// power-up. One that is to be purged is at the device, which completes it, or
// waits for a power-up that will not come.
VOID BlkIoStop(DEVICE_CONTEXT *dc, WDFREQUEST request, ULONG flags) {
    BLK_IO *io = BlkGetIo(request);
    VQ7_QUEUE *queue = &dc->queues[0];
    LIST_ENTRY finished;
    BOOLEAN acknowledge = FALSE;

    InitializeListHead(&finished);
    WdfSpinLockAcquire(queue->lock);
    if (!io->done && (flags & WdfRequestStopActionPurge)) {
        io->purged = TRUE;
        if (io->link.Flink != NULL && !queue->running && io->in_flight == 0) {
            io->status = STATUS_CANCELLED;
            BlkFinish(io, &finished);
        }
    } else if (!io->done && (flags & WdfRequestStopActionSuspend)) {
        io->hold = TRUE;
        acknowledge = TRUE;
    }
    WdfSpinLockRelease(queue->lock);

    if (acknowledge) {
        // Without the lock: the framework may call back. The request cannot go
        // away meanwhile, since it is held.
        WdfRequestStopAcknowledge(request, FALSE);
        WdfSpinLockAcquire(queue->lock);
        io->hold = FALSE;
        if (io->done) {
            InsertTailList(&finished, &io->link);
        }
        WdfSpinLockRelease(queue->lock);
    }
    BlkCompleteFinished(&finished);
}
