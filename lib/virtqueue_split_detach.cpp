// SPDX-License-Identifier: MIT
//
// Split virtqueue: taking buffers back from a device that was reset.

#include "virtqueue_split_private.h"

NTSTATUS VirtqSplitDetachUnused(VIRTQ_SPLIT *vq, void **cookie_out) {
    if (vq == NULL || cookie_out == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    *cookie_out = NULL;
    // No buffer is added while the queue is broken, so none appears behind the
    // cursor, and a whole detach walks the table once.
    for (; vq->detach_next < vq->qsz; vq->detach_next++) {
        VIRTQ_SPLIT_CHAIN *chain = &vq->chains[vq->detach_next];
        if (chain->state != VIRTQ_CHAIN_ADDED && chain->state != VIRTQ_CHAIN_IN_FLIGHT) {
            continue;
        }
        if (vq->broken_status == STATUS_SUCCESS) {
            VirtqSetBroken(vq, VIRTQ_STATUS_DETACHED);
        }
        if (chain->state == VIRTQ_CHAIN_IN_FLIGHT) {
            vq->broken_in_flight--;
        }
        *cookie_out = chain->cookie;
        VirtqFreeChain(vq, chain, vq->detach_next, VIRTQ_CHAIN_NONE);
        vq->detach_next++;
        return STATUS_SUCCESS;
    }
    if (vq->broken_status == STATUS_SUCCESS) {
        vq->detach_next = 0; // found nothing in a working queue: it goes on working
    }
    return STATUS_NOT_FOUND;
}
