/* SPDX-License-Identifier: MIT */
/*
 * Split virtqueue, driver side (Virtio 1.2, 2.7).
 *
 * The queue owns no memory: the caller gives it nonpaged state
 * (VirtqSplitStateSize bytes), DMA memory for the ring, and, where indirect
 * descriptors are wanted, DMA memory for their tables. Nothing here allocates,
 * blocks, or touches a device register.
 *
 * Use:
 *
 *   VirtqSplitInit, or VirtqSplitInitAreas
 *   VirtqSplitAddBuffer           describe a buffer; gives its head
 *   VirtqSplitPublish             hand it to the device
 *   VirtqSplitKick                TRUE: write the device's notify register
 *   VirtqSplitGetUsed             until it says STATUS_NOT_FOUND
 *   ... device reset ...
 *   VirtqSplitDetachUnused        until it says STATUS_NOT_FOUND
 *   VirtqSplitReset
 *
 * IRQL and locking: every function may be called at IRQL <= DISPATCH_LEVEL.
 * Calls on one queue are serialized by the caller (one spin lock a queue will
 * do); different queues are independent. Functions of a const queue write nothing
 * and may also be called without the lock, for a hint: what they read of two words
 * may then not belong together (VirtqSplitInFlight may give any number).
 *
 * Trust: the device may write any byte of the ring and of the indirect tables
 * at any time. Whatever the driver needs later is kept in private memory, and
 * nothing read from the ring is used before it is checked, nor read twice.
 * A device that breaks the protocol makes the queue *broken*: the call that saw
 * it returns the status below, every later one STATUS_INVALID_DEVICE_STATE,
 * and the ring is neither read nor written any more (but read, as bare numbers,
 * by VirtqSplitDump) until the driver has reset the device, detached its buffers
 * and called VirtqSplitReset.
 */
#ifndef VIRTQUEUE_SPLIT_H_
#define VIRTQUEUE_SPLIT_H_

#include "virtio_osdep.h"
#include "virtio_ring.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "No descriptor", "no table". */
#define VIRTQ_SPLIT_NO_DESC ((UINT16)0xFFFFu)

/* VirtqSplitDump writes at most this many lines, of at most so many characters.
 */
#define VIRTQ_SPLIT_DUMP_MAX_LINES 40
#define VIRTQ_SPLIT_DUMP_LINE_SIZE 128

/*
 * How a device can break the protocol, and the status that says so. Returned
 * by VirtqSplitGetUsed and VirtqSplitGetUsedBatch, kept for
 * VirtqSplitBrokenStatus. Distinct from each other; a null argument has the status of
 * the first one, too, but doesn't break the queue (VirtqSplitIsBroken).
 */
/* used id not below the queue size (2.7.8) */
#define VIRTQ_STATUS_USED_ID_RANGE STATUS_INVALID_PARAMETER
/* used->idx more than the buffers in flight ahead, or back from where it was
 * seen (2.7.8, 2.7.14) */
#define VIRTQ_STATUS_USED_IDX_AHEAD STATUS_IO_DEVICE_ERROR
/* used id is not a head that was published (2.7.8) */
#define VIRTQ_STATUS_USED_NOT_ISSUED STATUS_DEVICE_PROTOCOL_ERROR
/* used id is a descriptor inside a chain in flight, not its head (2.7.8) */
#define VIRTQ_STATUS_USED_MID_CHAIN STATUS_DEVICE_DATA_ERROR
/* used id was completed before, and not issued again since (2.7.8) */
#define VIRTQ_STATUS_USED_TWICE STATUS_REQUEST_OUT_OF_SEQUENCE
/* used length above the writable bytes of the chain (2.7.8.2) */
#define VIRTQ_STATUS_USED_LENGTH STATUS_DATA_OVERRUN

/*
 * How a driver can misuse the queue where the function has no result: counted
 * by VirtqSplitMisuseCount, the last one kept for VirtqSplitLastMisuse.
 */
/* publish: not a head that was added and not yet published */
#define VIRTQ_STATUS_NOT_ADDED STATUS_INVALID_DEVICE_REQUEST
/* reset: buffers that nobody has taken back; also makes the queue broken */
#define VIRTQ_STATUS_BUFFERS_LEFT STATUS_DEVICE_BUSY
/* what VirtqSplitBrokenStatus says between VirtqSplitDetachUnused and reset */
#define VIRTQ_STATUS_DETACHED STATUS_DEVICE_NOT_READY

/* One physically contiguous piece of a buffer. */
typedef struct _VIRTQ_SG {
    UINT64 addr;   /* device (guest physical) address */
    UINT32 len;    /* bytes, not 0 */
    BOOLEAN write; /* TRUE: the device writes it */
} VIRTQ_SG;

/* A buffer, for VirtqSplitAddBatch. */
typedef struct _VIRTQ_BUFFER {
    const VIRTQ_SG *sg;
    UINT16 sg_count;
    void *cookie;
} VIRTQ_BUFFER;

/* A finished buffer, from VirtqSplitGetUsedBatch. */
typedef struct _VIRTQ_COMPLETION {
    void *cookie;
    UINT32 len; /* bytes the device wrote */
} VIRTQ_COMPLETION;

/* Where the three parts of a ring are, for VirtqSplitInitAreas. */
typedef struct _VIRTQ_SPLIT_AREAS {
    void *desc_va; /* VirtqSplitDescAreaSize bytes, 16-byte aligned */
    UINT64 desc_pa;
    void *avail_va; /* VirtqSplitAvailAreaSize bytes, 2-byte aligned */
    UINT64 avail_pa;
    void *used_va; /* VirtqSplitUsedAreaSize bytes, 4-byte aligned */
    UINT64 used_pa;
} VIRTQ_SPLIT_AREAS;

/* Private: what the driver remembers of one descriptor, all in one place. */
typedef struct _VIRTQ_SPLIT_CHAIN {
    void *cookie;      /* of a head */
    UINT32 writable;   /* of a head: bytes the device may write */
    UINT16 last;       /* of a head: last descriptor of the chain */
    UINT16 count;      /* of a head: descriptors in the chain */
    UINT16 state;      /* of a head: VIRTQ_CHAIN_* of virtqueue_split_private.h */
    UINT16 table;      /* of a head in use: its table (or VIRTQ_OWN_TABLE), or NO_DESC */
    UINT16 next;       /* next in the free list, or in its chain */
    UINT16 table_next; /* of the table of this number: next free one */
} VIRTQ_SPLIT_CHAIN;

/*
 * A queue. Callers may read the fields of the first group and set
 * indirect_threshold; the rest is private. Allocate VirtqSplitStateSize bytes.
 */
typedef struct _VIRTQ_SPLIT {
    /* readable */
    UINT16 qsz;
    BOOLEAN event_idx;
    BOOLEAN indirect;
    VIRTQ_DESC *desc;
    VIRTQ_AVAIL *avail;
    VIRTQ_USED *used;
    UINT64 desc_pa;
    UINT64 avail_pa;
    UINT64 used_pa;
    /* pairs, each 4-byte aligned: the library changes both in one store */
    UINT16 last_used_idx; /* used entries taken, free-running */
    UINT16 seen;          /* private: VIRTQ_SEEN_* of virtqueue_split_private.h */
    UINT16 num_added;     /* published since the last kick; stops at 65535 */
    UINT16 avail_idx;     /* what avail->idx was last set to */

    UINT16 free_head; /* private: first free descriptor, or NO_DESC */
    UINT16 num_free;  /* free descriptors */

    /* settable: chains of more segments than this go indirect (8 at Init) */
    UINT16 indirect_threshold;

    /* private: indirect tables */
    UINT16 indirect_max_desc;    /* of a table; no more than qsz are ever used */
    UINT16 indirect_table_count; /* at most qsz are ever needed */
    UINT16 indirect_free_head;
    UINT16 indirect_num_free; /* of the free list; with own_tables always all */

    UINT16 mask;         /* qsz - 1 */
    UINT16 prepared_idx; /* pair: avail_idx at the last KickPrepare, and */
    UINT16 overrun;      /* whether num_added was at its end since then */
    UINT16 detach_next;
    UINT16 broken_in_flight;   /* of a broken queue: buffers in flight */
    NTSTATUS broken_status;    /* STATUS_SUCCESS: not broken */
    VIRTQ_SPLIT_CHAIN *chains; /* [qsz] */

    /* private: notifications */
    volatile UINT16 *follow; /* used_event while it follows what is taken, or null */
    BOOLEAN interrupts_off;  /* shadow of what the device was told */
    BOOLEAN kick_when_full;
    UINT8 was_full;          /* VIRTQ_FULL_* of virtqueue_split_private.h */
    BOOLEAN cut_used_length; /* a used length too great is cut, not an error */

    /* private: indirect tables */
    BOOLEAN own_tables;           /* as many tables as descriptors: a head has the one of
                                     its number */
    UINT32 indirect_table_stride; /* bytes */
    VIRTQ_DESC *indirect_pool_va;
    UINT64 indirect_pool_pa;

    /* private: misuse */
    NTSTATUS last_misuse;
    UINT32 misuse_count;

    UINT32 used_length_cut; /* readable: used lengths that were cut, all in all */

    void *storage[1]; /* the chains */
} VIRTQ_SPLIT;

/* ------------------------------------------------------------------ sizes */

/*
 * Bytes of a VIRTQ_SPLIT for a queue of `qsz`; 0 if qsz is not a power of two
 * in 1..32768 (2.7).
 */
size_t VirtqSplitStateSize(UINT16 qsz);

/*
 * Bytes of a contiguous ring: descriptors, avail ring, padding up to `align`,
 * used ring (2.7.2). `align` is a power of two >= 4; the legacy interface wants
 * 4096. The sizes are those of the table in 2.7, which hold the event fields
 * whether or not EVENT_IDX is negotiated, so event_idx does not matter.
 * 0: invalid qsz or align.
 */
size_t VirtqSplitRingMemSize(UINT16 qsz, UINT32 align, BOOLEAN event_idx);

/* Bytes of each part on its own (2.7): 16*qsz, 6+2*qsz, 6+8*qsz; 0: invalid
 * qsz. */
size_t VirtqSplitDescAreaSize(UINT16 qsz);
size_t VirtqSplitAvailAreaSize(UINT16 qsz);
size_t VirtqSplitUsedAreaSize(UINT16 qsz);

/* ---------------------------------------------------------- setting it up */

/*
 * Sets up a queue in one contiguous piece of DMA memory, and clears it.
 *
 *   vq         VirtqSplitStateSize(qsz) bytes of nonpaged memory, any content
 *   qsz        descriptors; a power of two in 1..32768
 *   event_idx  VIRTIO_F_EVENT_IDX was negotiated
 *   indirect   VIRTIO_F_INDIRECT_DESC was negotiated
 *   ring_va, ring_pa  VirtqSplitRingMemSize bytes, 16-byte aligned both
 *                     (4096 for the legacy interface)
 *   ring_align        as for VirtqSplitRingMemSize
 *   indirect_pool_va, indirect_pool_pa  indirect_table_count tables of
 *         indirect_max_desc descriptors (of 16 bytes), 16-byte aligned; a null
 *         pool means that all chains are direct. Not looked at unless
 *         `indirect`. At most qsz tables are used.
 *
 * The device must not know the ring yet, or have been reset.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_PARAMETER  null or misaligned memory, invalid qsz or align, a
 *   pool without tables, or an area that wraps around the end of the address
 *   space. *vq is unchanged.
 */
NTSTATUS VirtqSplitInit(VIRTQ_SPLIT *vq, UINT16 qsz, BOOLEAN event_idx, BOOLEAN indirect,
                        void *ring_va, UINT64 ring_pa, UINT32 ring_align, void *indirect_pool_va,
                        UINT64 indirect_pool_pa, UINT16 indirect_table_count,
                        UINT16 indirect_max_desc);

/*
 * The same with the three parts in separate places, as the modern transport
 * allows (4.1.4.3). device_max_qsz is the largest size the device takes (its
 * queue_size register before it is set, 4.1.5.1.3); STATUS_INVALID_PARAMETER
 * also if qsz is above it.
 */
NTSTATUS VirtqSplitInitAreas(VIRTQ_SPLIT *vq, UINT16 qsz, UINT16 device_max_qsz, BOOLEAN event_idx,
                             BOOLEAN indirect, const VIRTQ_SPLIT_AREAS *areas,
                             void *indirect_pool_va, UINT64 indirect_pool_pa,
                             UINT16 indirect_table_count, UINT16 indirect_max_desc);

/*
 * Back to the state after Init, errors forgotten; shared memory is cleared. What
 * was set stays set (indirect_threshold, VirtqSplitSetKickWhenFull,
 * VirtqSplitSetCutUsedLength), and misuse and cut lengths are counted on.
 * Call it after the device was reset and every buffer taken back. With buffers
 * left, nothing is cleared: the queue becomes broken
 * (VIRTQ_STATUS_BUFFERS_LEFT), so that they can still be detached.
 */
VOID VirtqSplitReset(VIRTQ_SPLIT *vq);

/*
 * The same, telling: STATUS_SUCCESS, VIRTQ_STATUS_BUFFERS_LEFT, or
 * STATUS_INVALID_PARAMETER (null, or never initialized).
 */
NTSTATUS VirtqSplitResetChecked(VIRTQ_SPLIT *vq);

/*
 * After the device was reset: takes back one buffer that was added and never
 * completed. The order is that of descriptor indices. Once it has given one, the
 * queue takes no new buffers until VirtqSplitReset; one that had none goes on.
 *
 * STATUS_SUCCESS            *cookie_out is the cookie of the buffer
 * STATUS_NOT_FOUND          there are no more; *cookie_out is null
 * STATUS_INVALID_PARAMETER  null argument
 */
NTSTATUS VirtqSplitDetachUnused(VIRTQ_SPLIT *vq, void **cookie_out);

/* ---------------------------------------------------- giving buffers away */

/*
 * Describes a buffer to the device without handing it over yet (2.7.13.1).
 * Segments that the device reads come before those it writes (2.7.4.2). A
 * chain of more than indirect_threshold segments, or than there are free
 * descriptors, goes into an indirect table if one is free and long enough;
 * else it takes one descriptor a segment.
 *
 *   cookie    given back by VirtqSplitGetUsed; any value, null too
 *   head_out  names the chain for VirtqSplitPublish
 *
 * STATUS_SUCCESS
 * STATUS_INSUFFICIENT_RESOURCES  no room now; buffers that come back make some.
 *                                Room is looked for first: of what finds none, the
 *                                segments may not have been judged
 * STATUS_INVALID_BUFFER_SIZE     never fits: more segments than
 * VirtqSplitMaxChain (2.7.5.3.1), or 4 GiB or more in all (2.7.5)
 * STATUS_INVALID_PARAMETER       null argument, no segment, a segment of length
 *                                0, one that passes the end of the address
 *                                space, or a readable one after a writable one
 * STATUS_INVALID_DEVICE_STATE    the queue is broken
 * STATUS_IO_DEVICE_ERROR         the private free list was overwritten
 * After an error nothing has changed.
 */
NTSTATUS VirtqSplitAddBuffer(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count, void *cookie,
                             UINT16 *head_out);

/*
 * Adds buffers one after the other until one is refused; *added_out of them
 * were added, their heads are in heads_out[0..*added_out). The status is that
 * of the first one refused, or STATUS_SUCCESS.
 */
NTSTATUS VirtqSplitAddBatch(VIRTQ_SPLIT *vq, const VIRTQ_BUFFER *buffers, UINT16 count,
                            UINT16 *heads_out, UINT16 *added_out);

/*
 * Puts a chain into the avail ring and makes it visible (2.7.13.2, 2.7.13.3):
 * the device may use it at once. A head that was not just added, or was
 * published before, is refused: nothing happens, and VirtqSplitMisuseCount
 * goes up.
 */
VOID VirtqSplitPublish(VIRTQ_SPLIT *vq, UINT16 head);

/*
 * The same, telling.
 *
 * STATUS_SUCCESS
 * VIRTQ_STATUS_NOT_ADDED       not a head that waits to be published
 * STATUS_INVALID_PARAMETER     null queue
 * STATUS_INVALID_DEVICE_STATE  the queue is broken
 */
NTSTATUS VirtqSplitPublishChecked(VIRTQ_SPLIT *vq, UINT16 head);

/* Publishes all of heads[0..count) with one store to avail->idx, or none. */
NTSTATUS VirtqSplitPublishBatch(VIRTQ_SPLIT *vq, const UINT16 *heads, UINT16 count);

/*
 * VirtqSplitAddBatch and VirtqSplitPublishBatch in one, and cheaper: adds buffers one after
 * the other until one is refused, and publishes those that were added with one
 * store to avail->idx. *submitted_out says how many. The status is that of the
 * first one refused (VirtqSplitAddBuffer), or STATUS_SUCCESS.
 */
NTSTATUS VirtqSplitSubmitBatch(VIRTQ_SPLIT *vq, const VIRTQ_BUFFER *buffers, UINT16 count,
                               UINT16 *submitted_out);

/* ---------------------------------------------------------- notifications */

/*
 * Whether the device wants to be notified of what was published since the last
 * kick (2.7.10, 2.7.13.4). TRUE: write its notify register. Contains the full
 * fence that 2.7.13.4.1 demands. FALSE where nothing was published (but see
 * VirtqSplitSetKickWhenFull). With more than 65,534 publishes since the last kick
 * the answer is always TRUE.
 */
BOOLEAN VirtqSplitKickPrepare(VIRTQ_SPLIT *vq);

/*
 * Ends the kick that VirtqSplitKickPrepare began, whatever it said: what was
 * published up to then is settled, what was published since is not lost.
 */
VOID VirtqSplitKickCommit(VIRTQ_SPLIT *vq);

/*
 * VirtqSplitKickPrepare and VirtqSplitKickCommit in one, and cheaper: for a
 * caller that writes the notify register whenever the answer is TRUE, at once or
 * after giving up its lock. What is published after the call counts for the next.
 * VirtqSplitKickCommit need not follow. Where it does, or where this call comes
 * between VirtqSplitKickPrepare and it, it settles nothing more.
 */
BOOLEAN VirtqSplitKick(VIRTQ_SPLIT *vq);

/*
 * Whether the next kick says TRUE, suppression or not, published or not, after a
 * buffer found no room: for devices that are slow to look. Off at Init.
 */
VOID VirtqSplitSetKickWhenFull(VIRTQ_SPLIT *vq, BOOLEAN on);

/* VIRTIO_F_EVENT_IDX arithmetic (2.7.10.1): did the step old -> new pass
 * `event`? */
static __inline BOOLEAN VirtqNeedEvent(UINT16 event, UINT16 new_idx, UINT16 old_idx) {
    return (BOOLEAN)((UINT16)(new_idx - event - 1) < (UINT16)(new_idx - old_idx));
}

/* ---------------------------------------------------- getting buffers back */

/*
 * Whether VirtqSplitGetUsed has something to say. FALSE on a broken queue. A hint
 * only: a device may say yes here and no there as often as it likes, so a loop
 * has to end with what VirtqSplitGetUsed says.
 */
BOOLEAN VirtqSplitHasUsed(const VIRTQ_SPLIT *vq);

/*
 * Takes back the next buffer that the device has finished (2.7.14). While
 * interrupts are enabled used_event follows, so that a drain loop that ends
 * with STATUS_NOT_FOUND (or VirtqSplitHasUsed FALSE) has lost no interrupt.
 * It does end: STATUS_NOT_FOUND after VirtqSplitEnableInterrupts saw buffers
 * waiting is VIRTQ_STATUS_USED_IDX_AHEAD.
 *
 * STATUS_SUCCESS               *cookie_out, *len_out (bytes written by the
 * device) STATUS_NOT_FOUND             nothing is finished
 * STATUS_INVALID_PARAMETER     null argument
 * STATUS_INVALID_DEVICE_STATE  the queue is broken
 * VIRTQ_STATUS_USED_*          the device broke the protocol; so is the queue
 * now. After an error the outputs that there are, are null and 0.
 */
NTSTATUS VirtqSplitGetUsed(VIRTQ_SPLIT *vq, void **cookie_out, UINT32 *len_out);

/*
 * Takes back up to `cap` buffers. STATUS_SUCCESS: *count_out (> 0) of them are
 * in out[]. Other results as VirtqSplitGetUsed, with *count_out 0: a bad entry
 * behind good ones is reported by the next call. STATUS_INVALID_PARAMETER also for
 * a `cap` of 0.
 */
NTSTATUS VirtqSplitGetUsedBatch(VIRTQ_SPLIT *vq, VIRTQ_COMPLETION *out, UINT16 cap,
                                UINT16 *count_out);

/*
 * For devices that set used lengths wrongly, as those of the legacy interface often
 * do (2.7.8.1) and some modern ones: a length above the writable bytes of its chain is
 * cut to them and counted in used_length_cut, instead of breaking the queue. Off at
 * Init; survives VirtqSplitReset, and so does the count.
 */
VOID VirtqSplitSetCutUsedLength(VIRTQ_SPLIT *vq, BOOLEAN on);

/* ------------------------------------------------------------- interrupts */

/*
 * Asks the device for no interrupts (2.7.7). A hint: one may still come. With
 * EVENT_IDX the device is asked for an interrupt at the 65,536th entry after those
 * taken. Does nothing on a broken queue.
 */
VOID VirtqSplitDisableInterrupts(VIRTQ_SPLIT *vq);

/*
 * Asks for an interrupt at the next used buffer (2.7.7). TRUE: nothing is
 * waiting, and the next buffer will interrupt. FALSE: buffers are waiting,
 * whose interrupt may not come: drain again. TRUE on a broken queue.
 */
BOOLEAN VirtqSplitEnableInterrupts(VIRTQ_SPLIT *vq);

/*
 * Asks for an interrupt once more than three quarters of the buffers in flight have
 * been used (with EVENT_IDX; without it, at the next one). Result as above,
 * where "waiting" means that many.
 */
BOOLEAN VirtqSplitEnableInterruptsDelayed(VIRTQ_SPLIT *vq);

/*
 * VirtqSplitEnableInterrupts in two steps, for a caller that wants to look
 * several times: PrepareWait asks for the interrupt and gives a position; Poll
 * says, with no side effect, whether the device has used a buffer since. A hint
 * only, like VirtqSplitHasUsed.
 */
UINT16 VirtqSplitPrepareWait(VIRTQ_SPLIT *vq);
BOOLEAN VirtqSplitPoll(const VIRTQ_SPLIT *vq, UINT16 position);

/* ------------------------------------------------------------- inspection */

UINT16 VirtqSplitQueueSize(const VIRTQ_SPLIT *vq);
UINT16 VirtqSplitNumFree(const VIRTQ_SPLIT *vq);
/* Buffers published and not yet taken back. */
UINT16 VirtqSplitInFlight(const VIRTQ_SPLIT *vq);
/* Most segments that VirtqSplitAddBuffer takes: the queue size (2.7.5.3.1). */
UINT16 VirtqSplitMaxChain(const VIRTQ_SPLIT *vq);
BOOLEAN VirtqSplitIsBroken(const VIRTQ_SPLIT *vq);
/* Why it is broken; STATUS_SUCCESS: it is not. */
NTSTATUS VirtqSplitBrokenStatus(const VIRTQ_SPLIT *vq);
/* Publishes and resets that were refused since Init. */
UINT32 VirtqSplitMisuseCount(const VIRTQ_SPLIT *vq);
NTSTATUS VirtqSplitLastMisuse(const VIRTQ_SPLIT *vq);

/*
 * Describes the queue in at most VIRTQ_SPLIT_DUMP_MAX_LINES lines without line
 * ends, one call of logfn each. Works on a broken queue and on a null one; uses
 * about 200 bytes of stack.
 */
VOID VirtqSplitDump(const VIRTQ_SPLIT *vq, void (*logfn)(const char *line, void *ctx), void *ctx);

#ifdef __cplusplus
}
#endif

#endif /* VIRTQUEUE_SPLIT_H_ */
