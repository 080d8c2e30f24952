// SPDX-License-Identifier: MIT
//
// Split virtqueue: many buffers in one call (VirtqSplitAddBatch is in
// virtqueue_split_add.cpp). One store to avail->idx, one load
// of used->idx and one store to used_event serve the whole batch.

#include "virtqueue_split_private.h"

NTSTATUS VirtqSplitPublishBatch(VIRTQ_SPLIT *vq, const UINT16 *heads, UINT16 count) {
    if (vq == NULL || (heads == NULL && count != 0)) {
        return STATUS_INVALID_PARAMETER;
    }
    if (VIRTIO_UNLIKELY(vq->broken_status != STATUS_SUCCESS)) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    VIRTQ_SPLIT_CHAIN *const chains = vq->chains;
    UINT16 *const ring = VirtqAvailRing(vq->avail);
    const UINT16 qsz = vq->qsz;
    const UINT32 pair = VirtioLoadPair16(&vq->num_added);
    const UINT16 avail_idx = (UINT16)(pair >> 16);
    for (UINT16 i = 0; i < count; i++) {
        const UINT16 head = heads[i];
        if (VIRTIO_UNLIKELY(head >= qsz || chains[head].state != VIRTQ_CHAIN_ADDED)) {
            // avail->idx has not moved: the entries written so far mean nothing.
            while (i > 0) {
                i--;
                chains[heads[i]].state = VIRTQ_CHAIN_ADDED;
            }
            return VirtqMisuse(vq, VIRTQ_STATUS_NOT_ADDED);
        }
        chains[head].state = VIRTQ_CHAIN_IN_FLIGHT;
        VirtioWriteU16(&ring[(UINT16)(avail_idx + i) & (qsz - 1)], head);
    }
    if (count != 0) {
        VirtqAdvanceAvail(vq, vq->avail, pair, count);
    }
    return STATUS_SUCCESS;
}

namespace {

// Nothing of what waits can be taken: why not.
VIRTIO_NOINLINE NTSTATUS Refuse(VIRTQ_SPLIT *vq, UINT16 waiting, UINT32 id) {
    const NTSTATUS error = VirtqUsedError(vq, waiting, id);
    VirtqBreak(vq, error, waiting);
    return error;
}

// Takes up to `most` (> 0) used entries, until one is refused: how many. What
// changes with each is kept in locals, and the queue told at the end.
VIRTIO_FORCEINLINE UINT32 TakeUsed(VIRTQ_SPLIT *vq, VIRTQ_COMPLETION *out, UINT32 most,
                                   UINT32 *last_id) {
    VIRTQ_SPLIT_CHAIN *const chains = vq->chains;
    const UINT32 used_idx = vq->last_used_idx;
    UINT16 free_head = vq->free_head;
    UINT32 freed = 0;
    UINT32 count = 0;

    do {
        UINT32 len;
        VIRTQ_SPLIT_CHAIN *chain = VirtqJudgeUsed(vq, (UINT16)(used_idx + count), last_id, &len);
        if (VIRTIO_UNLIKELY(chain == NULL)) {
            break;
        }
        out[count].cookie = chain->cookie;
        out[count].len = len;
        chain->state = VIRTQ_CHAIN_DONE;
        chains[chain->last].next = free_head;
        free_head = (UINT16)*last_id;
        freed += chain->count;
        VirtqFreeTable(vq, chain->table);
    } while (++count < most);
    if (VIRTIO_UNLIKELY(count == 0)) {
        return 0;
    }
    vq->free_head = free_head;
    vq->num_free = (UINT16)(vq->num_free + freed);
    VirtqAdvanceUsed(vq, (UINT16)(used_idx + count));
    return count;
}

} // namespace

NTSTATUS VirtqSplitGetUsedBatch(VIRTQ_SPLIT *vq, VIRTQ_COMPLETION *out, UINT16 cap,
                                UINT16 *count_out) {
    if (count_out == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    *count_out = 0;
    if (vq == NULL || out == NULL || cap == 0) {
        return STATUS_INVALID_PARAMETER;
    }
    if (VIRTIO_UNLIKELY(vq->broken_status != STATUS_SUCCESS)) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    UINT16 waiting = VirtqWaiting(vq);
    if (waiting == 0) {
        waiting = VirtqWaitingBehindFence(vq);
        if (waiting == 0) {
            return STATUS_NOT_FOUND;
        }
    }
    UINT32 id;
    if (VIRTIO_UNLIKELY(waiting > VirtqInFlight(vq))) {
        UINT32 len;
        (void)VirtqJudgeUsed(vq, vq->last_used_idx, &id, &len);
        return Refuse(vq, waiting, id);
    }
    const UINT32 taken = TakeUsed(vq, out, waiting < cap ? waiting : cap, &id);
    if (VIRTIO_UNLIKELY(taken == 0)) {
        return Refuse(vq, 1, id);
    }
    *count_out = (UINT16)taken;
    return STATUS_SUCCESS;
}
