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
        VirtioWriteU16(&ring[(avail_idx + i) & (qsz - 1)], head);
    }
    if (count != 0) {
        VirtqAdvanceAvail(vq, vq->avail, pair, count);
    }
    return STATUS_SUCCESS;
}

namespace {

// The first of what waits, `id`, can't be taken: why not.
VIRTIO_NOINLINE NTSTATUS Refuse(VIRTQ_SPLIT *vq, UINT16 waiting, UINT32 id) {
    const NTSTATUS error = VirtqUsedError(vq, waiting, id);
    VirtqBreak(vq, error, waiting);
    return error;
}

// More are there than are in flight; the first of them says what it comes from.
VIRTIO_NOINLINE NTSTATUS RefuseAhead(VIRTQ_SPLIT *vq, UINT16 waiting) {
    UINT32 id, len;
    (void)VirtqJudgeUsed(vq, vq->last_used_idx, &id, &len);
    return Refuse(vq, waiting, id);
}

// Takes up to `most` (> 0) used entries, until one is refused. What changes with
// each is kept in locals, and the queue told at the end.
VIRTIO_NOINLINE NTSTATUS TakeMany(VIRTQ_SPLIT *vq, VIRTQ_COMPLETION *out, UINT32 most,
                                  UINT16 *count_out) {
    VIRTQ_SPLIT_CHAIN *const chains = vq->chains;
    const UINT32 used_idx = vq->last_used_idx;
    UINT16 free_head = vq->free_head;
    UINT32 freed = 0;
    UINT32 count = 0;
    UINT32 id;

    do {
        UINT32 len;
        VIRTQ_SPLIT_CHAIN *chain = VirtqJudgeUsed(vq, (UINT16)(used_idx + count), &id, &len);
        if (VIRTIO_UNLIKELY(chain == NULL)) {
            break;
        }
        out[count].cookie = chain->cookie;
        out[count].len = len;
        chain->state = VIRTQ_CHAIN_DONE;
        chains[chain->last].next = free_head;
        free_head = (UINT16)id;
        freed += chain->count;
        VirtqFreeTable(vq, chain->table);
    } while (++count < most);
    if (VIRTIO_UNLIKELY(count == 0)) {
        return Refuse(vq, 1, id);
    }
    vq->free_head = free_head;
    vq->num_free = (UINT16)(vq->num_free + freed);
    VirtqAdvanceUsed(vq, (UINT16)(used_idx + count));
    *count_out = (UINT16)count;
    return STATUS_SUCCESS;
}

// As TakeMany of one, without what a loop costs.
VIRTIO_FORCEINLINE NTSTATUS TakeOne(VIRTQ_SPLIT *vq, VIRTQ_COMPLETION *out, UINT16 *count_out) {
    const UINT16 used_idx = vq->last_used_idx;
    UINT32 id, len;
    VIRTQ_SPLIT_CHAIN *chain = VirtqJudgeUsed(vq, used_idx, &id, &len);

    if (VIRTIO_UNLIKELY(chain == NULL)) {
        return Refuse(vq, 1, id);
    }
    out->cookie = chain->cookie;
    out->len = len;
    VirtqFreeChain(vq, chain, (UINT16)id, VIRTQ_CHAIN_DONE);
    VirtqAdvanceUsed(vq, (UINT16)(used_idx + 1));
    *count_out = 1;
    return STATUS_SUCCESS;
}

VIRTIO_FORCEINLINE NTSTATUS Take(VIRTQ_SPLIT *vq, VIRTQ_COMPLETION *out, UINT16 cap, UINT16 waiting,
                                 UINT16 *count_out) {
    if (VIRTIO_UNLIKELY(waiting > VirtqInFlight(vq))) {
        return RefuseAhead(vq, waiting);
    }
    return waiting == 1 || cap == 1 ? TakeOne(vq, out, count_out)
                                    : TakeMany(vq, out, waiting < cap ? waiting : cap, count_out);
}

VIRTIO_NOINLINE NTSTATUS TakeAfterNone(VIRTQ_SPLIT *vq, VIRTQ_COMPLETION *out, UINT16 cap,
                                       UINT16 *count_out) {
    if (VirtqWentBack(vq)) {
        return VIRTQ_STATUS_USED_IDX_AHEAD;
    }
    const UINT16 waiting = VirtqWaitingBehindFence(vq);
    return waiting == 0 ? STATUS_NOT_FOUND : Take(vq, out, cap, waiting, count_out);
}

} // namespace

NTSTATUS VirtqSplitGetUsedBatch(VIRTQ_SPLIT *vq, VIRTQ_COMPLETION *out, UINT16 cap,
                                UINT16 *count_out) {
    if (VIRTIO_UNLIKELY(count_out == NULL)) {
        return STATUS_INVALID_PARAMETER;
    }
    *count_out = 0;
    if (VIRTIO_UNLIKELY(vq == NULL || out == NULL || cap == 0)) {
        return STATUS_INVALID_PARAMETER;
    }
    if (VIRTIO_UNLIKELY(vq->broken_status != STATUS_SUCCESS)) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    const UINT16 waiting = VirtqWaiting(vq);
    if (VIRTIO_UNLIKELY(waiting == 0)) {
        return TakeAfterNone(vq, out, cap, count_out);
    }
    return Take(vq, out, cap, waiting, count_out);
}
