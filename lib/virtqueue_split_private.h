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

#if defined(__GNUC__) || defined(__clang__)
#define VIRTQ_UNLIKELY(x) __builtin_expect(!!(x), 0)
#else
#define VIRTQ_UNLIKELY(x) (x)
#endif

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

/* ADDED -> IN_FLIGHT, and the avail ring entry; avail->idx is not stored yet. */
static __inline NTSTATUS VirtqPlaceHead(VIRTQ_SPLIT *vq, UINT16 head, UINT16 avail_idx) {
    if (VIRTQ_UNLIKELY(head >= vq->qsz || vq->chains[head].state != VIRTQ_CHAIN_ADDED)) {
        return VirtqMisuse(vq, VIRTQ_STATUS_NOT_ADDED);
    }
    vq->chains[head].state = VIRTQ_CHAIN_IN_FLIGHT;
    VirtioWriteU16(&VirtqAvailRing(vq->avail)[VirtqSlot(vq, avail_idx)], head);
    return STATUS_SUCCESS;
}

/* Makes `count` placed heads visible. */
static __inline VOID VirtqAdvanceAvail(VIRTQ_SPLIT *vq, UINT16 count) {
    UINT32 added = (UINT32)vq->num_added + count;

    vq->avail_idx = (UINT16)(vq->avail_idx + count);
    vq->num_in_flight = (UINT16)(vq->num_in_flight + count);
    vq->published += count;
    /* Saturates: a count that wrapped would look like few, and lose a kick. */
    vq->num_added = (UINT16)(added > 0xFFFFu ? 0xFFFFu : added);
    VirtioStoreReleaseU16(&vq->avail->idx, vq->avail_idx); /* pair A */
}

/* Used entries that the device says are waiting; not checked yet. */
static __inline UINT16 VirtqWaiting(const VIRTQ_SPLIT *vq) {
    return (UINT16)(VirtioLoadAcquireU16(&vq->used->idx) - vq->last_used_idx); /* pair C */
}

/*
 * The same for a caller that will go to sleep on 0: if used_event was moved
 * since the last full fence, only a look behind a fence is final (pair D).
 */
static __inline UINT16 VirtqWaitingForSure(const VIRTQ_SPLIT *vq) {
    UINT16 waiting = VirtqWaiting(vq);
    if (waiting == 0 && vq->event_unfenced) {
        VIRTIO_MB();
        waiting = VirtqWaiting(vq);
    }
    return waiting;
}

/* Descriptors of a chain, and its table, back to the free lists. */
static __inline VOID VirtqFreeChain(VIRTQ_SPLIT *vq, UINT16 head) {
    VIRTQ_SPLIT_CHAIN *chain = &vq->chains[head];
    UINT16 table = vq->head_indirect[head];

    vq->chains[chain->last].next = vq->free_head;
    vq->free_head = head;
    vq->num_free = (UINT16)(vq->num_free + chain->count);
    vq->cookies[head] = NULL;
    if (table != VIRTQ_SPLIT_NO_DESC) {
        vq->head_indirect[head] = VIRTQ_SPLIT_NO_DESC;
        vq->indirect_next[table] = vq->indirect_free_head;
        vq->indirect_free_head = table;
        vq->indirect_num_free++;
    }
}

/* What is wrong with a used entry that a fast check refused; virtqueue_split.cpp. */
NTSTATUS VirtqUsedError(const VIRTQ_SPLIT *vq, UINT16 waiting, UINT32 id);

/*
 * Takes the next used entry; `waiting` (> 0) are there, says the device. The
 * entry is read once, into locals; what is believed of it is only that it
 * names a chain in flight and a length within that chain's writable bytes.
 * Refused: nothing changed but *error_out.
 */
static __inline BOOLEAN VirtqTakeUsed(VIRTQ_SPLIT *vq, UINT16 waiting, void **cookie_out,
                                      UINT32 *len_out, NTSTATUS *error_out) {
    VIRTQ_USED_ELEM *entry = &VirtqUsedRing(vq->used)[VirtqSlot(vq, vq->last_used_idx)];
    UINT32 id = VirtioReadU32(&entry->id);
    UINT32 len = VirtioReadU32(&entry->len);

    if (VIRTQ_UNLIKELY(waiting > vq->num_in_flight || id >= vq->qsz ||
                       vq->chains[id].state != VIRTQ_CHAIN_IN_FLIGHT ||
                       len > vq->chains[id].writable)) {
        *error_out = VirtqUsedError(vq, waiting, id);
        return FALSE;
    }
    *cookie_out = vq->cookies[id];
    *len_out = len;
    vq->chains[id].state = VIRTQ_CHAIN_DONE;
    VirtqFreeChain(vq, (UINT16)id);
    vq->num_in_flight--;
    vq->last_used_idx++;
    return TRUE;
}

/* The device broke the protocol: nothing is believed from here on. */
static __inline VOID VirtqBreak(VIRTQ_SPLIT *vq, NTSTATUS status, UINT16 waiting) {
    vq->broken_status = status;
    /* Past what was refused, so that a debugger sees how far things came. */
    vq->last_used_idx =
        (UINT16)(vq->last_used_idx + (status == VIRTQ_STATUS_USED_IDX_AHEAD ? waiting : 1));
}

/* Lets used_event follow last_used_idx while interrupts are wanted. */
static __inline VOID VirtqRearm(VIRTQ_SPLIT *vq) {
    if (vq->event_idx && !vq->interrupts_off) {
        VirtioWriteU16(VirtqAvailUsedEvent(vq->avail, vq->qsz), vq->last_used_idx);
        vq->event_unfenced = TRUE;
    }
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
