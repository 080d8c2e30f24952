// SPDX-License-Identifier: MIT
//
// Split virtqueue: many buffers in one call. One store to avail->idx, one load
// of used->idx and one store to used_event serve the whole batch.

#include "virtqueue_split_private.h"

NTSTATUS VirtqSplitAddBatch(VIRTQ_SPLIT *vq, const VIRTQ_BUFFER *buffers, UINT16 count,
                            UINT16 *heads_out, UINT16 *added_out) {
    if (added_out == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    *added_out = 0;
    if (buffers == NULL || heads_out == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    for (UINT16 i = 0; i < count; i++) {
        NTSTATUS status = VirtqSplitAddBuffer(vq, buffers[i].sg, buffers[i].sg_count,
                                              buffers[i].cookie, &heads_out[i]);
        if (!NT_SUCCESS(status)) {
            return status;
        }
        *added_out = (UINT16)(i + 1);
    }
    return STATUS_SUCCESS;
}

NTSTATUS VirtqSplitPublishBatch(VIRTQ_SPLIT *vq, const UINT16 *heads, UINT16 count) {
    if (vq == NULL || (heads == NULL && count != 0)) {
        return STATUS_INVALID_PARAMETER;
    }
    if (vq->broken_status != STATUS_SUCCESS) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    for (UINT16 i = 0; i < count; i++) {
        NTSTATUS status = VirtqPlaceHead(vq, heads[i], (UINT16)(vq->avail_idx + i));
        if (!NT_SUCCESS(status)) {
            // avail->idx has not moved: the entries written so far mean nothing.
            while (i > 0) {
                i--;
                vq->chains[heads[i]].state = VIRTQ_CHAIN_ADDED;
            }
            return status;
        }
    }
    if (count != 0) {
        VirtqAdvanceAvail(vq, count);
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
    if (VIRTQ_UNLIKELY(vq->broken_status != STATUS_SUCCESS)) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    UINT16 waiting = VirtqWaitingForSure(vq);
    if (waiting == 0) {
        vq->event_unfenced = FALSE;
        return STATUS_NOT_FOUND;
    }
    UINT16 count = 0;
    NTSTATUS error = STATUS_SUCCESS;
    while (count < cap && count < waiting) {
        if (VIRTQ_UNLIKELY(!VirtqTakeUsed(vq, (UINT16)(waiting - count), &out[count].cookie,
                                          &out[count].len, &error))) {
            break;
        }
        count++;
    }
    if (VIRTQ_UNLIKELY(count == 0)) {
        VirtqBreak(vq, error, waiting);
        return error;
    }
    VirtqRearm(vq);
    *count_out = count;
    return STATUS_SUCCESS;
}
