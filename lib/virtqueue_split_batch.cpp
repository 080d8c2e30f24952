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
    const UINT16 avail_idx = vq->avail_idx;
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
        VirtqAdvanceAvail(vq, vq->avail, avail_idx, count);
    }
    return STATUS_SUCCESS;
}

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
    const UINT16 most = waiting < cap ? waiting : cap;
    const UINT16 in_flight = vq->num_in_flight;
    const UINT16 used_idx = vq->last_used_idx;
    UINT16 count = 0;
    do {
        UINT32 id, len;
        VIRTQ_SPLIT_CHAIN *chain = VirtqJudgeUsed(vq, (UINT16)(used_idx + count), &id, &len);
        if (VIRTIO_UNLIKELY(chain == NULL || waiting > in_flight)) {
            if (count == 0) {
                NTSTATUS error = VirtqUsedError(vq, waiting, id);
                VirtqBreak(vq, error, waiting);
                return error;
            }
            break;
        }
        out[count].cookie = chain->cookie;
        out[count].len = len;
        chain->state = VIRTQ_CHAIN_DONE;
        VirtqFreeChain(vq, chain, (UINT16)id);
    } while (++count < most);
    vq->num_in_flight = (UINT16)(in_flight - count);
    vq->last_used_idx = (UINT16)(used_idx + count);
    VirtqRearm(vq, (UINT16)(used_idx + count));
    *count_out = count;
    return STATUS_SUCCESS;
}
