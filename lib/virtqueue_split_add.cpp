// SPDX-License-Identifier: MIT
//
// Split virtqueue: describing buffers (2.7.13.1), one and many.
//
// A segment is checked and written in one step. Until EnterChain all that has
// changed is the content of free descriptors, so a refusal needs no undoing.

#include "virtqueue_split_private.h"

namespace {

// Flags and next of a descriptor, as the upper half of its second 8 bytes.
#define LINK_NONE ((UINT64)0)
#define LINK_NEXT ((UINT64)VIRTQ_DESC_F_NEXT << 32)
#define LINK_WRITE ((UINT64)VIRTQ_DESC_F_WRITE << 32)
#define LINK_ONE_FURTHER ((UINT64)1 << 48)

// No bytes, or some past the end of the address space. One comparison tells, but
// for a segment that ends where the address space does.
VIRTIO_FORCEINLINE BOOLEAN IsBadSegment(const VIRTQ_SG *sg) {
    return (BOOLEAN)(VIRTIO_UNLIKELY(sg->addr + sg->len <= sg->addr) &&
                     (sg->len == 0 || sg->addr + sg->len != 0));
}

VIRTIO_FORCEINLINE VOID WriteDescriptor(VIRTQ_DESC *desc, const VIRTQ_SG *sg, UINT64 link) {
    desc->addr = sg->addr;
    VirtioStoreTriple(&desc->len, sg->len | link);
}

VIRTIO_FORCEINLINE VOID EndChain(VIRTQ_DESC *desc, const VIRTQ_SG *last) {
    VirtioStorePair16(&desc->flags, last->write ? VIRTQ_DESC_F_WRITE : 0);
}

// Enters a chain of `count` descriptors, from the head of the free list to
// `last`, into the books; `free_head` is the first one behind it.
VIRTIO_FORCEINLINE VOID EnterChain(VIRTQ_SPLIT *vq, VIRTQ_SPLIT_CHAIN *chain, UINT16 free_head,
                                   UINT16 last, UINT16 count, UINT32 writable, UINT16 table,
                                   UINT16 state) {
    vq->free_head = free_head;
    vq->num_free = (UINT16)(vq->num_free - count);
    chain->writable = writable;
    VirtioStorePair16(&chain->last, VirtqPair(last, count));
    VirtioStorePair16(&chain->state, VirtqPair(state, table));
}

// There is no free descriptor at the head of the list, or no table for it.
VIRTIO_NOINLINE NTSTATUS NoDescriptor(VIRTQ_SPLIT *vq) {
    if (vq->num_free != 0) {
        return STATUS_IO_DEVICE_ERROR;
    }
    vq->was_full = VIRTQ_FULL_REFUSED;
    return STATUS_INSUFFICIENT_RESOURCES;
}

// One segment, one ring descriptor.
VIRTIO_FORCEINLINE NTSTATUS AddOne(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, void *cookie,
                                   UINT16 *head_out, UINT16 state) {
    const UINT16 head = vq->free_head;

    if (VIRTIO_UNLIKELY(head > vq->mask)) {
        return NoDescriptor(vq);
    }
    if (VIRTIO_UNLIKELY(IsBadSegment(sg))) {
        return STATUS_INVALID_PARAMETER;
    }
    VIRTQ_SPLIT_CHAIN *chain = &vq->chains[head];
    WriteDescriptor(&vq->desc[head], sg, sg->write ? LINK_WRITE : LINK_NONE);
    chain->cookie = cookie;
    EnterChain(vq, chain, chain->next, head, 1, sg->write ? sg->len : 0, VIRTQ_SPLIT_NO_DESC,
               state);
    *head_out = head;
    return STATUS_SUCCESS;
}

// Where AddDirect is in the free list.
struct Walk {
    VIRTQ_SPLIT_CHAIN *chains;
    VIRTQ_DESC *desc;
    UINT32 index;
    UINT32 last;
};

// Ring descriptors for the segments up to the first one of the other direction;
// `write` is a constant of each caller. The links are those of the free list.
VIRTIO_FORCEINLINE NTSTATUS ChainRun(const VIRTQ_SPLIT *vq, Walk *walk, const VIRTQ_SG **sg,
                                     const VIRTQ_SG *end, BOOLEAN write, UINT64 *total) {
    const UINT64 flags = LINK_NEXT | (write ? LINK_WRITE : LINK_NONE);

    for (; *sg != end && (write ? (*sg)->write : !(*sg)->write); ++*sg) {
        if (VIRTIO_UNLIKELY(walk->index > vq->mask)) {
            return STATUS_IO_DEVICE_ERROR;
        }
        if (VIRTIO_UNLIKELY(IsBadSegment(*sg))) {
            return STATUS_INVALID_PARAMETER;
        }
        *total += (*sg)->len;
        walk->last = walk->index;
        walk->index = walk->chains[walk->last].next;
        WriteDescriptor(&walk->desc[walk->last], *sg, flags | (UINT64)walk->index << 48);
    }
    return STATUS_SUCCESS;
}

// One ring descriptor a segment, first those that the device reads, then those it
// writes (2.7.4.2). What the end needs is stored early, in the record of a
// descriptor that is still free, or read again: the loops want the registers.
VIRTIO_FORCEINLINE NTSTATUS AddDirectHere(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count,
                                          void *cookie, UINT16 *head_out, UINT16 state) {
    const VIRTQ_SG *const end = sg + sg_count;
    Walk walk = {vq->chains, vq->desc, vq->free_head, vq->free_head};
    UINT64 readable = 0;
    UINT64 writable = 0;

    if (VIRTIO_UNLIKELY(walk.index > vq->mask)) {
        return STATUS_IO_DEVICE_ERROR;
    }
    walk.chains[walk.index].cookie = cookie;
    walk.chains[walk.index].count = sg_count;
    NTSTATUS status = ChainRun(vq, &walk, &sg, end, FALSE, &readable);
    if (VIRTIO_UNLIKELY(!NT_SUCCESS(status))) {
        return status;
    }
    status = ChainRun(vq, &walk, &sg, end, TRUE, &writable);
    if (VIRTIO_UNLIKELY(!NT_SUCCESS(status))) {
        return status;
    }
    if (VIRTIO_UNLIKELY(sg != end)) {
        return STATUS_INVALID_PARAMETER; // a readable one behind a writable one
    }
    if (VIRTIO_UNLIKELY(((readable + writable) >> 32) != 0)) {
        return STATUS_INVALID_BUFFER_SIZE;
    }
    EndChain(&walk.desc[walk.last], end - 1);
    const UINT16 head = vq->free_head;
    VIRTQ_SPLIT_CHAIN *const chain = &walk.chains[head];
    EnterChain(vq, chain, (UINT16)walk.index, (UINT16)walk.last, chain->count, (UINT32)writable,
               VIRTQ_SPLIT_NO_DESC, state);
    *head_out = head;
    return STATUS_SUCCESS;
}

VIRTIO_NOINLINE NTSTATUS AddDirect(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count,
                                   void *cookie, UINT16 *head_out, UINT16 state) {
    return AddDirectHere(vq, sg, sg_count, cookie, head_out, state);
}

// What both ways to have tables share: `own` says that a head has the one of its
// number, a constant of each caller.
VIRTIO_FORCEINLINE UINT16 FreeTable(const VIRTQ_SPLIT *vq, BOOLEAN own) {
    return own ? vq->free_head : vq->indirect_free_head;
}

VIRTIO_FORCEINLINE BOOLEAN HasTable(const VIRTQ_SPLIT *vq, BOOLEAN own) {
    return (BOOLEAN)(vq->free_head <= vq->mask &&
                     (own || vq->indirect_free_head < vq->indirect_table_count));
}

VIRTIO_FORCEINLINE VIRTQ_DESC *TableAt(const VIRTQ_SPLIT *vq, size_t offset) {
    return (VIRTQ_DESC *)(void *)((UINT8 *)vq->indirect_pool_va + offset);
}

// The ring descriptor that points at the table (2.7.5.3); it is still free.
VIRTIO_FORCEINLINE VOID PointAtTable(VIRTQ_SPLIT *vq, size_t offset, UINT16 sg_count,
                                     void *cookie) {
    const UINT16 head = vq->free_head;
    VIRTQ_DESC *const desc = &vq->desc[head];

    desc->addr = vq->indirect_pool_pa + offset;
    VirtioStoreTriple(&desc->len, VirtqTriple((UINT32)sg_count * (UINT32)sizeof(VIRTQ_DESC),
                                              VIRTQ_DESC_F_INDIRECT, 0));
    vq->chains[head].cookie = cookie;
}

VIRTIO_FORCEINLINE NTSTATUS EnterTable(VIRTQ_SPLIT *vq, UINT32 writable, BOOLEAN own,
                                       UINT16 *head_out, UINT16 state) {
    const UINT16 head = vq->free_head;
    VIRTQ_SPLIT_CHAIN *const chain = &vq->chains[head];
    UINT16 table = VIRTQ_OWN_TABLE;

    if (!own) {
        table = vq->indirect_free_head;
        vq->indirect_num_free--;
        vq->indirect_free_head = vq->chains[table].table_next;
    }
    EnterChain(vq, chain, chain->next, head, 1, writable, table, state);
    *head_out = head;
    return STATUS_SUCCESS;
}

// One segment, and each head has its table.
VIRTIO_FORCEINLINE NTSTATUS AddIndirectOneHere(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, void *cookie,
                                               UINT16 *head_out, UINT16 state) {
    const UINT16 head = vq->free_head;

    if (VIRTIO_UNLIKELY(head > vq->mask)) {
        return NoDescriptor(vq);
    }
    if (VIRTIO_UNLIKELY(IsBadSegment(sg))) {
        return STATUS_INVALID_PARAMETER;
    }
    VIRTQ_SPLIT_CHAIN *const chain = &vq->chains[head];
    VIRTQ_DESC *const desc = &vq->desc[head];
    const size_t offset = (size_t)head * vq->indirect_table_stride;
    chain->cookie = cookie;
    desc->addr = vq->indirect_pool_pa + offset;
    VirtioStoreTriple(&desc->len, VirtqTriple(sizeof(VIRTQ_DESC), VIRTQ_DESC_F_INDIRECT, 0));
    const UINT32 len = sg->len;
    const UINT32 write = sg->write != FALSE;
    VIRTQ_DESC *const entry = TableAt(vq, offset);
    entry->addr = sg->addr;
    VirtioStoreTriple(&entry->len, VirtqTriple(len, write * VIRTQ_DESC_F_WRITE, 0));
    EnterChain(vq, chain, chain->next, head, 1, len & (0 - write), VIRTQ_OWN_TABLE, state);
    *head_out = head;
    return STATUS_SUCCESS;
}

VIRTIO_NOINLINE NTSTATUS AddIndirectOne(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, void *cookie,
                                        UINT16 *head_out, UINT16 state) {
    return AddIndirectOneHere(vq, sg, cookie, head_out, state);
}

// Table entries for the segments up to the first one of the other direction.
VIRTIO_FORCEINLINE NTSTATUS TableRun(VIRTQ_DESC **entry, const VIRTQ_SG **sg, const VIRTQ_SG *end,
                                     BOOLEAN write, UINT64 *link, UINT64 *total) {
    for (; *sg != end && (write ? (*sg)->write : !(*sg)->write); ++*sg) {
        if (VIRTIO_UNLIKELY(IsBadSegment(*sg))) {
            return STATUS_INVALID_PARAMETER;
        }
        *total += (*sg)->len;
        WriteDescriptor((*entry)++, *sg, *link);
        *link += LINK_ONE_FURTHER;
    }
    return STATUS_SUCCESS;
}

// Segments as entries of a table, one after the other.
VIRTIO_FORCEINLINE NTSTATUS FillTable(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count,
                                      BOOLEAN own, void *cookie, UINT16 *head_out, UINT16 state) {
    const VIRTQ_SG *const end = sg + sg_count;
    UINT64 link = LINK_NEXT + LINK_ONE_FURTHER;
    UINT64 readable = 0;
    UINT64 writable = 0;

    if (VIRTIO_UNLIKELY(!HasTable(vq, own))) {
        return NoDescriptor(vq);
    }
    const size_t offset = (size_t)FreeTable(vq, own) * vq->indirect_table_stride;
    VIRTQ_DESC *entry = TableAt(vq, offset);
    PointAtTable(vq, offset, sg_count, cookie);
    NTSTATUS status = TableRun(&entry, &sg, end, FALSE, &link, &readable);
    if (VIRTIO_UNLIKELY(!NT_SUCCESS(status))) {
        return status;
    }
    link |= LINK_WRITE;
    status = TableRun(&entry, &sg, end, TRUE, &link, &writable);
    if (VIRTIO_UNLIKELY(!NT_SUCCESS(status))) {
        return status;
    }
    if (VIRTIO_UNLIKELY(sg != end)) {
        return STATUS_INVALID_PARAMETER;
    }
    if (VIRTIO_UNLIKELY(((readable + writable) >> 32) != 0)) {
        return STATUS_INVALID_BUFFER_SIZE;
    }
    EndChain(entry - 1, end - 1);
    return EnterTable(vq, (UINT32)writable, own, head_out, state);
}

VIRTIO_NOINLINE NTSTATUS AddIndirectOwn(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count,
                                        void *cookie, UINT16 *head_out, UINT16 state) {
    return FillTable(vq, sg, sg_count, TRUE, cookie, head_out, state);
}

VIRTIO_NOINLINE NTSTATUS AddIndirectPool(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count,
                                         void *cookie, UINT16 *head_out, UINT16 state) {
    return FillTable(vq, sg, sg_count, FALSE, cookie, head_out, state);
}

// A chain of no more than indirect_max_desc segments, while there is a table. `here`, a
// constant of each caller: in place, which is worth its size where many are added.
VIRTIO_FORCEINLINE NTSTATUS AddIndirect(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count,
                                        void *cookie, UINT16 *head_out, UINT16 state,
                                        BOOLEAN here) {
    if (!vq->own_tables) {
        return AddIndirectPool(vq, sg, sg_count, cookie, head_out, state);
    }
    if (sg_count != 1) {
        return here ? FillTable(vq, sg, sg_count, TRUE, cookie, head_out, state)
                    : AddIndirectOwn(vq, sg, sg_count, cookie, head_out, state);
    }
    return here ? AddIndirectOneHere(vq, sg, cookie, head_out, state)
                : AddIndirectOne(vq, sg, cookie, head_out, state);
}

// More segments than there are free descriptors, few or many as they be: a table
// takes them, if there is one that they fit into.
VIRTIO_NOINLINE NTSTATUS AddWithoutRoom(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count,
                                        void *cookie, UINT16 *head_out, UINT16 state) {
    if (sg_count > vq->qsz) {
        return STATUS_INVALID_BUFFER_SIZE;
    }
    if (vq->indirect_num_free != 0 && sg_count <= vq->indirect_max_desc) {
        return AddIndirect(vq, sg, sg_count, cookie, head_out, state, FALSE);
    }
    vq->was_full = VIRTQ_FULL_REFUSED;
    return STATUS_INSUFFICIENT_RESOURCES;
}

VIRTIO_FORCEINLINE NTSTATUS Add(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count, void *cookie,
                                UINT16 *head_out, UINT16 state, BOOLEAN here) {
    if (sg_count > vq->indirect_threshold && sg_count <= vq->indirect_max_desc &&
        (vq->own_tables || vq->indirect_num_free != 0)) {
        return AddIndirect(vq, sg, sg_count, cookie, head_out, state, here);
    }
    if (sg_count == 1) {
        return AddOne(vq, sg, cookie, head_out, state);
    }
    if (VIRTIO_UNLIKELY(sg_count > vq->num_free)) {
        return AddWithoutRoom(vq, sg, sg_count, cookie, head_out, state);
    }
    return here ? AddDirectHere(vq, sg, sg_count, cookie, head_out, state)
                : AddDirect(vq, sg, sg_count, cookie, head_out, state);
}

// One of a batch.
VIRTIO_FORCEINLINE NTSTATUS AddNext(VIRTQ_SPLIT *vq, const VIRTQ_BUFFER *buffer, UINT16 *head_out,
                                    UINT16 state) {
    if (VIRTIO_UNLIKELY(buffer->sg == NULL || buffer->sg_count == 0)) {
        return STATUS_INVALID_PARAMETER;
    }
    return Add(vq, buffer->sg, buffer->sg_count, buffer->cookie, head_out, state, TRUE);
}

} // namespace

NTSTATUS VirtqSplitAddBuffer(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count, void *cookie,
                             UINT16 *head_out) {
    if (VIRTIO_UNLIKELY(vq == NULL || sg == NULL || sg_count == 0 || head_out == NULL)) {
        return STATUS_INVALID_PARAMETER;
    }
    if (VIRTIO_UNLIKELY(vq->broken_status != STATUS_SUCCESS)) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    return Add(vq, sg, sg_count, cookie, head_out, VIRTQ_CHAIN_ADDED, FALSE);
}

NTSTATUS VirtqSplitAddBatch(VIRTQ_SPLIT *vq, const VIRTQ_BUFFER *buffers, UINT16 count,
                            UINT16 *heads_out, UINT16 *added_out) {
    NTSTATUS status = STATUS_SUCCESS;
    UINT16 added = 0;

    if (added_out == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    *added_out = 0;
    if (vq == NULL || buffers == NULL || heads_out == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    if (VIRTIO_UNLIKELY(vq->broken_status != STATUS_SUCCESS)) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    for (; added < count; added++) {
        status = AddNext(vq, &buffers[added], &heads_out[added], VIRTQ_CHAIN_ADDED);
        if (VIRTIO_UNLIKELY(!NT_SUCCESS(status))) {
            break;
        }
    }
    *added_out = added;
    return status;
}

namespace {

// A head that was just added goes to a place of the avail ring.
VIRTIO_FORCEINLINE VOID Place(VIRTQ_SPLIT *vq, UINT16 *ring, UINT32 slot, UINT16 head) {
    VirtioWriteU16(&ring[slot & vq->mask], head);
}

// As SubmitMany, without what a loop costs.
VIRTIO_FORCEINLINE NTSTATUS SubmitOne(VIRTQ_SPLIT *vq, const VIRTQ_BUFFER *buffer,
                                      UINT16 *submitted_out) {
    UINT16 head = 0;
    const NTSTATUS status = AddNext(vq, buffer, &head, VIRTQ_CHAIN_IN_FLIGHT);
    if (VIRTIO_UNLIKELY(!NT_SUCCESS(status))) {
        return status;
    }
    VIRTQ_AVAIL *const avail = vq->avail;
    const UINT32 pair = VirtioLoadPair16(&vq->num_added);
    Place(vq, VirtqAvailRing(avail), pair >> 16, head);
    VirtqAdvanceAvail(vq, avail, pair, 1);
    *submitted_out = 1;
    return STATUS_SUCCESS;
}

VIRTIO_NOINLINE NTSTATUS SubmitMany(VIRTQ_SPLIT *vq, const VIRTQ_BUFFER *buffers, UINT16 count,
                                    UINT16 *submitted_out) {
    const VIRTQ_BUFFER *const end = buffers + count;
    const UINT32 pair = VirtioLoadPair16(&vq->num_added);
    UINT16 *const ring = VirtqAvailRing(vq->avail);
    UINT32 slot = pair >> 16;
    NTSTATUS status = STATUS_SUCCESS;
    for (const VIRTQ_BUFFER *next = buffers; next != end; next++, slot++) {
        UINT16 head = 0;
        status = AddNext(vq, next, &head, VIRTQ_CHAIN_IN_FLIGHT);
        if (VIRTIO_UNLIKELY(!NT_SUCCESS(status))) {
            break;
        }
        Place(vq, ring, slot, head);
    }
    const UINT32 submitted = slot - (pair >> 16);
    if (submitted != 0) {
        VirtqAdvanceAvail(vq, vq->avail, pair, submitted);
        *submitted_out = (UINT16)submitted;
    }
    return status;
}

} // namespace

NTSTATUS VirtqSplitSubmitBatch(VIRTQ_SPLIT *vq, const VIRTQ_BUFFER *buffers, UINT16 count,
                               UINT16 *submitted_out) {
    if (VIRTIO_UNLIKELY(submitted_out == NULL)) {
        return STATUS_INVALID_PARAMETER;
    }
    *submitted_out = 0;
    if (VIRTIO_UNLIKELY(vq == NULL || buffers == NULL)) {
        return STATUS_INVALID_PARAMETER;
    }
    if (VIRTIO_UNLIKELY(vq->broken_status != STATUS_SUCCESS)) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    return count == 1 ? SubmitOne(vq, buffers, submitted_out)
                      : SubmitMany(vq, buffers, count, submitted_out);
}
