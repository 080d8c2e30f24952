/* SPDX-License-Identifier: MIT */
/*
 * Steps that several sources of the split queue share. Not for callers.
 *
 * Ordering, once for all: four pairs of accesses matter, and each barrier below
 * says which one it serves.
 *
 *   A  descriptors, avail ring entry  ->  avail->idx         (2.7.13.3.1)
 *      a store-release here meets the device's load-acquire of avail->idx
 *   B  avail->idx  ->  avail_event or used->flags            (2.7.13.4.1)
 *      a full fence here meets the device's full fence between its store to
 *      avail_event and its re-read of avail->idx
 *   C  used->idx  ->  used ring entry, buffer contents       (2.7.14)
 *      a load-acquire here meets the device's store-release of used->idx
 *   D  used_event or avail->flags  ->  used->idx             (2.7.7, 2.7.14)
 *      a full fence here meets the device's full fence between its store to
 *      used->idx and its read of used_event or avail->flags (2.7.7.2)
 */
#ifndef VIRTQUEUE_SPLIT_PRIVATE_H_
#define VIRTQUEUE_SPLIT_PRIVATE_H_

#include "virtqueue_split.h"

/* VIRTQ_SPLIT_CHAIN::state of a descriptor. */
#define VIRTQ_CHAIN_NONE 0      /* free, or not a head */
#define VIRTQ_CHAIN_ADDED 1     /* a head, not published yet */
#define VIRTQ_CHAIN_IN_FLIGHT 2 /* a head that the device has */
#define VIRTQ_CHAIN_DONE 3      /* was a head, and completed; says nothing more */

/* Slot of a free-running index; the size is a power of two. */
static __inline UINT16 VirtqSlot(const VIRTQ_SPLIT *vq, UINT16 idx) {
    return (UINT16)(idx & (vq->qsz - 1));
}

/* The caller's mistake where a function cannot tell. */
static __inline NTSTATUS VirtqMisuse(VIRTQ_SPLIT *vq, NTSTATUS status) {
    if (vq->misuse_count != 0xFFFFFFFFu) {
        vq->misuse_count++;
    }
    vq->last_misuse = status;
    return status;
}

/* Makes `count` placed heads visible. */
VIRTIO_FORCEINLINE VOID VirtqAdvanceAvail(VIRTQ_SPLIT *vq, VIRTQ_AVAIL *avail, UINT16 old_idx,
                                          UINT16 count) {
    const UINT16 avail_idx = (UINT16)(old_idx + count);
    const UINT32 added = (UINT32)vq->num_added + count;

    vq->avail_idx = avail_idx;
    vq->num_in_flight = (UINT16)(vq->num_in_flight + count);
    vq->published += count;
    /* Saturates: a count that wrapped would look like few, and lose a kick. */
    vq->num_added = (UINT16)(added > 0xFFFFu ? 0xFFFFu : added);
    VirtioStoreReleaseU16(&avail->idx, avail_idx); /* pair A */
}

/* Used entries that the device says are waiting; not checked yet. */
VIRTIO_FORCEINLINE UINT16 VirtqWaiting(const VIRTQ_SPLIT *vq) {
    return (UINT16)(VirtioLoadAcquireU16(&vq->used->idx) - vq->last_used_idx); /* pair C */
}

/* Descriptors of a chain, and its table, back to the free lists. */
VIRTIO_FORCEINLINE VOID VirtqFreeChain(VIRTQ_SPLIT *vq, VIRTQ_SPLIT_CHAIN *chain, UINT16 head) {
    const UINT16 table = chain->table;

    vq->num_free = (UINT16)(vq->num_free + chain->count);
    vq->chains[chain->last].next = vq->free_head;
    vq->free_head = head;
    if (table != VIRTQ_SPLIT_NO_DESC) {
        chain->table = VIRTQ_SPLIT_NO_DESC;
        vq->indirect_num_free++;
        if (!vq->own_tables) {
            vq->chains[table].table_next = vq->indirect_free_head;
            vq->indirect_free_head = table;
        }
    }
}

/* What is wrong with a used entry that a fast check refused;
 * virtqueue_split.cpp. */
NTSTATUS VirtqUsedError(const VIRTQ_SPLIT *vq, UINT16 waiting, UINT32 id);

/*
 * Looks at the used entry of index `used_idx`, once, and copies it to
 * locals. What is believed of it is only that it names a chain in flight and a
 * length within that chain's writable bytes. Refused: null.
 */
VIRTIO_FORCEINLINE VIRTQ_SPLIT_CHAIN *VirtqJudgeUsed(VIRTQ_SPLIT *vq, UINT16 used_idx, UINT32 *id,
                                                     UINT32 *len) {
    const UINT16 qsz = vq->qsz;
    VIRTQ_USED_ELEM *entry = &VirtqUsedRing(vq->used)[used_idx & (qsz - 1)];
    VIRTQ_SPLIT_CHAIN *chain;

    *id = VirtioReadU32(&entry->id);
    *len = VirtioReadU32(&entry->len);
    if (VIRTIO_UNLIKELY(*id >= qsz)) {
        return NULL;
    }
    chain = &vq->chains[*id];
    if (VIRTIO_UNLIKELY(chain->state != VIRTQ_CHAIN_IN_FLIGHT)) {
        return NULL;
    }
    if (VIRTIO_UNLIKELY(*len > chain->writable)) {
        if (!vq->cut_used_length) {
            return NULL;
        }
        *len = chain->writable;
    }
    return chain;
}

/* The device broke the protocol: nothing is believed from here on. */
static __inline VOID VirtqBreak(VIRTQ_SPLIT *vq, NTSTATUS status, UINT16 waiting) {
    vq->broken_status = status;
    /* Past what was refused, so that a debugger sees how far things came. */
    vq->last_used_idx =
        (UINT16)(vq->last_used_idx + (status == VIRTQ_STATUS_USED_IDX_AHEAD ? waiting : 1));
}

/* Lets used_event follow `used_idx` while interrupts are wanted. */
VIRTIO_FORCEINLINE VOID VirtqRearm(VIRTQ_SPLIT *vq, UINT16 used_idx) {
    if (VIRTIO_UNLIKELY(!vq->rearm)) {
        return;
    }
    vq->event_unfenced = TRUE;
    VirtioWriteU16(VirtqAvailUsedEvent(vq->avail, vq->qsz), used_idx);
}

/*
 * How many are waiting, for a caller that found none and will go to sleep on
 * it: if used_event was moved since the last full fence, only a look behind a
 * fence is final (pair D).
 */
static __inline UINT16 VirtqWaitingBehindFence(VIRTQ_SPLIT *vq) {
    if (!vq->event_unfenced) {
        return 0;
    }
    VIRTIO_MB();
    vq->event_unfenced = FALSE;
    return VirtqWaiting(vq);
}

static __inline BOOLEAN VirtqCannotWait(const VIRTQ_SPLIT *vq) {
    return (BOOLEAN)(vq == NULL || vq->avail == NULL || vq->broken_status != STATUS_SUCCESS);
}

/*
 * Asks for an interrupt after `after` more used entries and gives how many are
 * waiting, seen behind the fence of pair D.
 */
static __inline UINT16 VirtqEnableAfter(VIRTQ_SPLIT *vq, UINT16 after) {
    vq->interrupts_off = FALSE;
    vq->rearm = vq->event_idx;
    if (vq->event_idx) {
        VirtioWriteU16(VirtqAvailUsedEvent(vq->avail, vq->qsz),
                       (UINT16)(vq->last_used_idx + after));
    } else {
        VirtioWriteU16(&vq->avail->flags, 0);
    }
    VIRTIO_MB();
    vq->event_unfenced = FALSE;
    return VirtqWaiting(vq);
}

#endif /* VIRTQUEUE_SPLIT_PRIVATE_H_ */
