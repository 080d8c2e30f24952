// SPDX-License-Identifier: MIT
//
// Split virtqueue: publishing, kicking, getting back, interrupts. What each
// function promises is in virtqueue_split.h; which barrier meets which, in
// virtqueue_split_private.h.
//
// Every slow way out of a fast path is a function of its own, that the fast
// path ends with: it then needs no stack frame.

#include "virtqueue_split_private.h"

// -------------------------------------------------------------- publishing

namespace {

VIRTIO_NOINLINE NTSTATUS NotAdded(VIRTQ_SPLIT *vq) {
    return VirtqMisuse(vq, VIRTQ_STATUS_NOT_ADDED);
}

VIRTIO_FORCEINLINE NTSTATUS Publish(VIRTQ_SPLIT *vq, UINT16 head) {
    if (VIRTIO_UNLIKELY(vq == NULL)) {
        return STATUS_INVALID_PARAMETER;
    }
    if (VIRTIO_UNLIKELY(vq->broken_status != STATUS_SUCCESS)) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    if (VIRTIO_UNLIKELY(head > vq->mask)) {
        return NotAdded(vq);
    }
    VIRTQ_SPLIT_CHAIN *chain = &vq->chains[head];
    if (VIRTIO_UNLIKELY(chain->state != VIRTQ_CHAIN_ADDED)) {
        return NotAdded(vq);
    }
    VIRTQ_AVAIL *const avail = vq->avail;
    const UINT32 pair = VirtioLoadPair16(&vq->num_added);
    VirtioWriteU16(&VirtqAvailRing(avail)[VirtqSlot(vq, (UINT16)(pair >> 16))], head);
    chain->state = VIRTQ_CHAIN_IN_FLIGHT;
    VirtqAdvanceAvail(vq, avail, pair, 1);
    return STATUS_SUCCESS;
}

} // namespace

NTSTATUS VirtqSplitPublishChecked(VIRTQ_SPLIT *vq, UINT16 head) {
    return Publish(vq, head);
}

VOID VirtqSplitPublish(VIRTQ_SPLIT *vq, UINT16 head) {
    (void)Publish(vq, head);
}

// ----------------------------------------------------------------- kicking

namespace {

// Whether the device wants to hear of what was published since the last kick.
VIRTIO_FORCEINLINE BOOLEAN WantsKick(const VIRTQ_SPLIT *vq, UINT32 pair) {
    const UINT16 num_added = (UINT16)pair;
    const UINT16 avail_idx = (UINT16)(pair >> 16);
    const BOOLEAN full = (BOOLEAN)(vq->was_full != VIRTQ_FULL_NOT && vq->kick_when_full);

    if (VIRTIO_UNLIKELY(num_added == 0) && !full) {
        return FALSE;
    }

    // Pair B. Without it the CPU may read the device's old wish while our new
    // avail->idx is still in its store buffer, and both sides go to sleep.
    VIRTIO_MB();

    if (VIRTIO_UNLIKELY(full || num_added == 0xFFFF)) {
        return TRUE;
    }
    if (vq->event_idx) {
        UINT16 event = VirtioReadU16(VirtqUsedAvailEvent(vq->used, vq->qsz));
        return VirtqNeedEvent(event, avail_idx, (UINT16)(avail_idx - num_added));
    }
    return (BOOLEAN)((VirtioReadU16(&vq->used->flags) & VIRTQ_USED_F_NO_NOTIFY) == 0);
}

} // namespace

BOOLEAN VirtqSplitKickPrepare(VIRTQ_SPLIT *vq) {
    if (VIRTIO_UNLIKELY(vq == NULL || vq->broken_status != STATUS_SUCCESS)) {
        return FALSE;
    }
    const UINT32 pair = VirtioLoadPair16(&vq->num_added);
    VirtioStorePair16(&vq->prepared_idx, pair >> 16);
    if (VIRTIO_UNLIKELY(vq->was_full != VIRTQ_FULL_NOT)) {
        vq->was_full = VIRTQ_FULL_PREPARED;
    }
    return WantsKick(vq, pair);
}

BOOLEAN VirtqSplitKick(VIRTQ_SPLIT *vq) {
    if (VIRTIO_UNLIKELY(vq == NULL || vq->broken_status != STATUS_SUCCESS)) {
        return FALSE;
    }
    const UINT32 pair = VirtioLoadPair16(&vq->num_added);
    const BOOLEAN kick = WantsKick(vq, pair);
    // This settles what a KickPrepare has seen, too: its KickCommit, still to come,
    // counts from here. From there the count would wrap, and look like few.
    VirtioStorePair16(&vq->prepared_idx, pair >> 16);
    vq->was_full = VIRTQ_FULL_NOT;
    VirtioStorePair16(&vq->num_added, pair & 0xFFFF0000u);
    return kick;
}

VOID VirtqSplitKickCommit(VIRTQ_SPLIT *vq) {
    if (VIRTIO_UNLIKELY(vq == NULL)) {
        return;
    }
    const UINT16 avail_idx = vq->avail_idx;
    if (VIRTIO_UNLIKELY(vq->was_full == VIRTQ_FULL_PREPARED)) {
        vq->was_full = VIRTQ_FULL_NOT; // not what was refused since
    }
    // Beyond the end of the count only "many" is known: the next kick is sure.
    const UINT32 since = vq->overrun ? 0xFFFFu : (UINT32)avail_idx - vq->prepared_idx;
    VirtioStorePair16(&vq->num_added, VirtqPair(since, avail_idx));
}

// ------------------------------------------------------------ getting back

// Slow: runs once, before the queue is broken. Every loop is bounded by counts
// of private memory.
NTSTATUS VirtqUsedError(const VIRTQ_SPLIT *vq, UINT16 waiting, UINT32 id) {
    if (waiting > vq->qsz) {
        return VIRTQ_STATUS_USED_IDX_AHEAD; // entries were overwritten: none can be
                                            // judged
    }
    if (id >= vq->qsz) {
        return VIRTQ_STATUS_USED_ID_RANGE;
    }
    for (UINT16 head = 0; head < vq->qsz; head++) {
        UINT16 index = head;
        if (vq->chains[head].state != VIRTQ_CHAIN_IN_FLIGHT) {
            continue;
        }
        for (UINT16 i = 1; i < vq->chains[head].count; i++) {
            index = vq->chains[index].next;
            if (index == id) {
                return VIRTQ_STATUS_USED_MID_CHAIN;
            }
        }
    }
    if (vq->chains[id].state == VIRTQ_CHAIN_DONE) {
        return VIRTQ_STATUS_USED_TWICE;
    }
    if (waiting > VirtqInFlight(vq)) {
        return VIRTQ_STATUS_USED_IDX_AHEAD;
    }
    if (vq->chains[id].state != VIRTQ_CHAIN_IN_FLIGHT) {
        return VIRTQ_STATUS_USED_NOT_ISSUED;
    }
    return VIRTQ_STATUS_USED_LENGTH;
}

BOOLEAN VirtqSplitHasUsed(const VIRTQ_SPLIT *vq) {
    if (VIRTIO_UNLIKELY(vq == NULL || vq->broken_status != STATUS_SUCCESS)) {
        return FALSE;
    }
    // What was seen and is gone is for GetUsed to say.
    if (VirtqWaiting(vq) != 0 || vq->seen == VIRTQ_SEEN_WAITING) {
        return TRUE;
    }
    if (VirtqIsFenced(vq)) {
        return FALSE;
    }
    VIRTIO_MB(); // pair D: as VirtqWaitingBehindFence, which may note it
    return (BOOLEAN)(VirtqWaiting(vq) != 0);
}

namespace {

// Nothing to give.
VIRTIO_NOINLINE NTSTATUS GetNone(void **cookie_out, UINT32 *len_out, NTSTATUS status) {
    *cookie_out = NULL;
    *len_out = 0;
    return status;
}

VIRTIO_NOINLINE NTSTATUS GetRefused(VIRTQ_SPLIT *vq, UINT16 waiting, UINT32 id, void **cookie_out,
                                    UINT32 *len_out) {
    NTSTATUS error = VirtqUsedError(vq, waiting, id);

    VirtqBreak(vq, error, waiting);
    return GetNone(cookie_out, len_out, error);
}

// More are there than are in flight; the first of them says what it comes from.
VIRTIO_NOINLINE NTSTATUS GetAhead(VIRTQ_SPLIT *vq, UINT16 waiting, void **cookie_out,
                                  UINT32 *len_out) {
    UINT32 id, len;

    (void)VirtqJudgeUsed(vq, vq->last_used_idx, &id, &len);
    return GetRefused(vq, waiting, id, cookie_out, len_out);
}

// Takes the next used entry; `waiting` (> 0) are there, says the device.
VIRTIO_FORCEINLINE NTSTATUS GetNext(VIRTQ_SPLIT *vq, UINT16 waiting, void **cookie_out,
                                    UINT32 *len_out) {
    const UINT16 used_idx = vq->last_used_idx;
    UINT32 id, len;

    if (VIRTIO_UNLIKELY(waiting > VirtqInFlight(vq))) {
        return GetAhead(vq, waiting, cookie_out, len_out);
    }
    VIRTQ_SPLIT_CHAIN *chain = VirtqJudgeUsed(vq, used_idx, &id, &len);
    if (VIRTIO_UNLIKELY(chain == NULL)) {
        return GetRefused(vq, 1, id, cookie_out, len_out);
    }
    void *cookie = chain->cookie;
    *len_out = len;
    *cookie_out = cookie;
    VirtqFreeChain(vq, chain, (UINT16)id, VIRTQ_CHAIN_DONE);
    VirtqAdvanceUsed(vq, (UINT16)(used_idx + 1));
    return STATUS_SUCCESS;
}

VIRTIO_NOINLINE NTSTATUS GetAfterNone(VIRTQ_SPLIT *vq, void **cookie_out, UINT32 *len_out) {
    if (VirtqWentBack(vq)) {
        return GetNone(cookie_out, len_out, VIRTQ_STATUS_USED_IDX_AHEAD);
    }
    const UINT16 waiting = VirtqWaitingBehindFence(vq);

    return waiting == 0 ? GetNone(cookie_out, len_out, STATUS_NOT_FOUND)
                        : GetNext(vq, waiting, cookie_out, len_out);
}

} // namespace

NTSTATUS VirtqSplitGetUsed(VIRTQ_SPLIT *vq, void **cookie_out, UINT32 *len_out) {
    if (VIRTIO_UNLIKELY(vq == NULL) || VIRTIO_UNLIKELY(cookie_out == NULL) ||
        VIRTIO_UNLIKELY(len_out == NULL)) {
        return STATUS_INVALID_PARAMETER;
    }
    if (VIRTIO_UNLIKELY(vq->broken_status != STATUS_SUCCESS)) {
        return GetNone(cookie_out, len_out, STATUS_INVALID_DEVICE_STATE);
    }
    const UINT16 waiting = VirtqWaiting(vq);
    if (VIRTIO_UNLIKELY(waiting == 0)) {
        return GetAfterNone(vq, cookie_out, len_out);
    }
    return GetNext(vq, waiting, cookie_out, len_out);
}

// -------------------------------------------------------------- interrupts

VOID VirtqSplitDisableInterrupts(VIRTQ_SPLIT *vq) {
    if (VIRTIO_UNLIKELY(VirtqCannotWait(vq))) {
        return;
    }
    vq->interrupts_off = TRUE;
    vq->follow = NULL;
    if (vq->event_idx) {
        // avail->flags stays 0 with EVENT_IDX (2.7.7.1): as far away as it gets.
        VirtioWriteU16(VirtqAvailUsedEvent(vq->avail, vq->qsz), (UINT16)(vq->last_used_idx - 1));
    } else {
        VirtioWriteU16(&vq->avail->flags, VIRTQ_AVAIL_F_NO_INTERRUPT);
    }
}

BOOLEAN VirtqSplitEnableInterrupts(VIRTQ_SPLIT *vq) {
    if (VIRTIO_UNLIKELY(VirtqCannotWait(vq))) {
        return TRUE;
    }
    return (BOOLEAN)(VirtqEnableAfter(vq, 0) == 0);
}
