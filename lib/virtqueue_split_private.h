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

/* VIRTQ_SPLIT::seen, what is known of used->idx. */
#define VIRTQ_SEEN_NOTHING 0 /* since the last full fence */
#define VIRTQ_SEEN_TAKEN 1   /* an entry was taken since the last full fence */
#define VIRTQ_SEEN_WAITING 2 /* entries were waiting, and none was taken since */

/* VIRTQ_SPLIT::was_full. */
#define VIRTQ_FULL_NOT 0      /* each buffer found room since the last kick */
#define VIRTQ_FULL_REFUSED 1  /* one found none */
#define VIRTQ_FULL_PREPARED 2 /* the same, and a kick is prepared that says so */

/* VIRTQ_SPLIT_CHAIN::table of a head whose table is the one of its number. */
#define VIRTQ_OWN_TABLE 0xFFFE

/* Slot of a free-running index; the size is a power of two. */
static __inline UINT16 VirtqSlot(const VIRTQ_SPLIT *vq, UINT16 idx) {
    return (UINT16)(idx & vq->mask);
}

/* The caller's mistake where a function cannot tell. */
static __inline NTSTATUS VirtqMisuse(VIRTQ_SPLIT *vq, NTSTATUS status) {
    if (vq->misuse_count != 0xFFFFFFFFu) {
        vq->misuse_count++;
    }
    vq->last_misuse = status;
    return status;
}

/* The pairs of fields that are changed in one store: VirtioStorePair16. */
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_SPLIT, last_used_idx) % 4 == 0 &&
                         offsetof(VIRTQ_SPLIT, seen) == offsetof(VIRTQ_SPLIT, last_used_idx) + 2,
                     virtq_split_used_pair);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_SPLIT, num_added) % 4 == 0 &&
                         offsetof(VIRTQ_SPLIT, avail_idx) == offsetof(VIRTQ_SPLIT, num_added) + 2,
                     virtq_split_avail_pair);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_SPLIT, prepared_idx) % 4 == 0 &&
                         offsetof(VIRTQ_SPLIT, overrun) == offsetof(VIRTQ_SPLIT, prepared_idx) + 2,
                     virtq_split_prepared_pair);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_SPLIT_CHAIN, state) % 4 == 0 &&
                         offsetof(VIRTQ_SPLIT_CHAIN, table) ==
                             offsetof(VIRTQ_SPLIT_CHAIN, state) + 2,
                     virtq_split_chain_state_pair);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_SPLIT_CHAIN, last) % 4 == 0 &&
                         offsetof(VIRTQ_SPLIT_CHAIN, count) ==
                             offsetof(VIRTQ_SPLIT_CHAIN, last) + 2,
                     virtq_split_chain_extent_pair);

VIRTIO_FORCEINLINE UINT32 VirtqPair(UINT32 low, UINT32 high) {
    return (low & 0xFFFFu) | high << 16;
}

/* For VirtioStoreTriple. */
VIRTIO_FORCEINLINE UINT64 VirtqTriple(UINT32 low, UINT32 middle, UINT32 high) {
    return (UINT64)low | (UINT64)VirtqPair(middle, high) << 32;
}

/* Buffers that the device has, of a queue that is not broken. */
VIRTIO_FORCEINLINE UINT16 VirtqInFlight(const VIRTQ_SPLIT *vq) {
    return (UINT16)((VirtioLoadPair16(&vq->num_added) >> 16) - vq->last_used_idx);
}

/* num_added and avail_idx, `count` (at most the queue size) further. */
VIRTIO_FORCEINLINE UINT32 VirtqAdvanced(VIRTQ_SPLIT *vq, UINT32 pair, UINT32 count) {
    if (VIRTIO_UNLIKELY((pair & 0xFFFFu) + count > 0xFFFFu)) {
        /* Stops: a count that wrapped would look like few, and lose a kick. */
        vq->overrun = TRUE;
        return VirtqPair(0xFFFFu, (pair >> 16) + count);
    }
    return pair + (count << 16 | count);
}

/* Makes `count` placed heads visible; `pair` is num_added and avail_idx as yet. */
VIRTIO_FORCEINLINE VOID VirtqAdvanceAvail(VIRTQ_SPLIT *vq, VIRTQ_AVAIL *avail, UINT32 pair,
                                          UINT32 count) {
    const UINT32 advanced = VirtqAdvanced(vq, pair, count);

    VirtioStorePair16(&vq->num_added, advanced);
    VirtioStoreReleaseU16(&avail->idx, (UINT16)(advanced >> 16)); /* pair A */
}

/* Used entries that the device says are waiting; not checked yet. */
VIRTIO_FORCEINLINE UINT16 VirtqWaiting(const VIRTQ_SPLIT *vq) {
    return (UINT16)(VirtioLoadAcquireU16(&vq->used->idx) - vq->last_used_idx); /* pair C */
}

/* The table of a chain that is freed, back to the free list, if it is of there. */
VIRTIO_FORCEINLINE VOID VirtqFreeTable(VIRTQ_SPLIT *vq, UINT16 table) {
    if (table < VIRTQ_OWN_TABLE) {
        vq->indirect_num_free++;
        vq->chains[table].table_next = vq->indirect_free_head;
        vq->indirect_free_head = table;
    }
}

/* Descriptors of a chain, and its table, back to the free lists. */
VIRTIO_FORCEINLINE VOID VirtqFreeChain(VIRTQ_SPLIT *vq, VIRTQ_SPLIT_CHAIN *chain, UINT16 head,
                                       UINT16 state) {
    chain->state = state;
    vq->chains[chain->last].next = vq->free_head;
    vq->free_head = head;
    vq->num_free = (UINT16)(vq->num_free + chain->count);
    VirtqFreeTable(vq, chain->table);
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
    const UINT32 mask = vq->mask;
    VIRTQ_USED_ELEM *entry = &VirtqUsedRing(vq->used)[used_idx & mask];
    VIRTQ_SPLIT_CHAIN *chain;

    *id = VirtioReadU32(&entry->id);
    *len = VirtioReadU32(&entry->len);
    if (VIRTIO_UNLIKELY(*id > mask)) {
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
        vq->used_length_cut++;
    }
    return chain;
}

/* From here on nothing is believed, nor taken. */
static __inline VOID VirtqSetBroken(VIRTQ_SPLIT *vq, NTSTATUS status) {
    vq->broken_in_flight = VirtqInFlight(vq);
    vq->broken_status = status;
}

/* The device broke the protocol. */
static __inline VOID VirtqBreak(VIRTQ_SPLIT *vq, NTSTATUS status, UINT16 waiting) {
    VirtqSetBroken(vq, status);
    /* Past what was refused, so that a debugger sees how far things came. */
    vq->last_used_idx =
        (UINT16)(vq->last_used_idx + (status == VIRTQ_STATUS_USED_IDX_AHEAD ? waiting : 1));
}

/* Notes what was taken, and lets used_event follow while interrupts are wanted. */
VIRTIO_FORCEINLINE VOID VirtqAdvanceUsed(VIRTQ_SPLIT *vq, UINT16 used_idx) {
    VirtioStorePair16(&vq->last_used_idx, VirtqPair(used_idx, VIRTQ_SEEN_TAKEN));
    if (vq->follow != NULL) {
        VirtioWriteU16(vq->follow, used_idx);
    }
}

/* Whether "none" is final without a fence: used_event was not moved since one. */
VIRTIO_FORCEINLINE BOOLEAN VirtqIsFenced(const VIRTQ_SPLIT *vq) {
    return (BOOLEAN)(vq->follow == NULL || vq->seen != VIRTQ_SEEN_TAKEN);
}

/*
 * How many are waiting, for a caller that found none and will go to sleep on
 * it: if used_event was moved since the last full fence, only a look behind a
 * fence is final (pair D).
 */
static __inline UINT16 VirtqWaitingBehindFence(VIRTQ_SPLIT *vq) {
    if (VirtqIsFenced(vq)) {
        return 0;
    }
    VIRTIO_MB();
    vq->seen = VIRTQ_SEEN_NOTHING;
    return VirtqWaiting(vq);
}

/*
 * For a caller that found none: whether used->idx has gone back from what
 * VirtqEnableAfter saw, which breaks the queue. A device that went to and fro
 * would keep a loop going that drains until none are waiting.
 */
static __inline BOOLEAN VirtqWentBack(VIRTQ_SPLIT *vq) {
    if (vq->seen != VIRTQ_SEEN_WAITING) {
        return FALSE;
    }
    VirtqBreak(vq, VIRTQ_STATUS_USED_IDX_AHEAD, 0);
    return TRUE;
}

static __inline BOOLEAN VirtqCannotWait(const VIRTQ_SPLIT *vq) {
    return (BOOLEAN)(vq == NULL || vq->avail == NULL || vq->broken_status != STATUS_SUCCESS);
}

/*
 * Asks for an interrupt after `after` more used entries and gives how many are
 * waiting, seen behind the fence of pair D.
 */
static __inline UINT16 VirtqEnableAfter(VIRTQ_SPLIT *vq, UINT16 after) {
    UINT16 waiting;

    vq->interrupts_off = FALSE;
    if (vq->event_idx) {
        vq->follow = VirtqAvailUsedEvent(vq->avail, vq->qsz);
        VirtioWriteU16(vq->follow, (UINT16)(vq->last_used_idx + after));
    } else {
        VirtioWriteU16(&vq->avail->flags, 0);
    }
    VIRTIO_MB();
    waiting = VirtqWaiting(vq);
    if (vq->seen != VIRTQ_SEEN_WAITING) {
        vq->seen = (UINT16)(waiting != 0 ? VIRTQ_SEEN_WAITING : VIRTQ_SEEN_NOTHING);
    }
    return waiting;
}

#endif /* VIRTQUEUE_SPLIT_PRIVATE_H_ */
