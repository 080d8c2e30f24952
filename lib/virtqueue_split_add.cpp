// SPDX-License-Identifier: MIT
//
// Split virtqueue: describing buffers (2.7.13.1), one and many.
//
// A segment is checked and written in one step. Until EnterChain all that has
// changed is the content of free descriptors, so a refusal needs no undoing.

#include "virtqueue_split_private.h"

namespace {

// Length 0 and a sum of 4 GiB or more both show as a sum that does not grow.
VIRTIO_FORCEINLINE BOOLEAN IsBadSegment(const VIRTQ_SG *sg, UINT32 total) {
    return (BOOLEAN)((UINT32)(total + sg->len) <= total ||
                     sg->addr + (UINT32)(sg->len - 1) < sg->addr);
}

// Which rule the segment breaks (2.7.4.2, 2.7.5).
VIRTIO_NOINLINE NTSTATUS SegmentError(const VIRTQ_SG *sg, BOOLEAN write_seen) {
    if (sg->len == 0 || sg->addr + (UINT32)(sg->len - 1) < sg->addr || (write_seen && !sg->write)) {
        return STATUS_INVALID_PARAMETER;
    }
    return STATUS_INVALID_BUFFER_SIZE;
}

VIRTIO_FORCEINLINE VOID WriteDescriptor(VIRTQ_DESC *desc, UINT64 addr, UINT32 len, UINT16 flags,
                                        UINT16 next) {
    desc->addr = addr;
    desc->len = len;
    desc->flags = flags;
    desc->next = next;
}

// Enters a chain of `count` descriptors, from the head of the free list to
// `last`, into the books.
VIRTIO_FORCEINLINE VOID EnterChain(VIRTQ_SPLIT *vq, VIRTQ_SPLIT_CHAIN *chain, UINT16 free_head,
                                   UINT16 last, UINT16 count, UINT32 writable, void *cookie) {
    vq->free_head = free_head;
    vq->num_free = (UINT16)(vq->num_free - count);
    chain->cookie = cookie;
    chain->writable = writable;
    chain->last = last;
    chain->count = count;
    chain->state = VIRTQ_CHAIN_ADDED;
}

// One segment, one ring descriptor.
VIRTIO_FORCEINLINE NTSTATUS AddOne(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, void *cookie,
                                   UINT16 *head_out) {
    const UINT16 head = vq->free_head;

    if (VIRTIO_UNLIKELY(head >= vq->qsz)) {
        return STATUS_IO_DEVICE_ERROR;
    }
    if (VIRTIO_UNLIKELY(IsBadSegment(sg, 0))) {
        return SegmentError(sg, FALSE);
    }
    VIRTQ_SPLIT_CHAIN *chain = &vq->chains[head];
    const UINT32 len = sg->len;
    const UINT32 writes = sg->write ? ~(UINT32)0 : 0;
    WriteDescriptor(&vq->desc[head], sg->addr, len, (UINT16)(writes & VIRTQ_DESC_F_WRITE), 0);
    EnterChain(vq, chain, chain->next, head, 1, writes & len, cookie);
    *head_out = head;
    return STATUS_SUCCESS;
}

// One ring descriptor a segment. The links are those of the private free list.
VIRTIO_NOINLINE NTSTATUS AddDirect(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count,
                                   void *cookie, UINT16 *head_out) {
    const VIRTQ_SG *const end = sg + sg_count;
    VIRTQ_DESC *const desc = vq->desc;
    VIRTQ_SPLIT_CHAIN *const chains = vq->chains;
    const UINT16 qsz = vq->qsz;
    const UINT16 head = vq->free_head;
    UINT16 index = head;
    UINT16 last;
    UINT16 flags = VIRTQ_DESC_F_NEXT;
    UINT32 total = 0;
    UINT32 readable = 0;

    do {
        if (VIRTIO_UNLIKELY(index >= qsz)) {
            return STATUS_IO_DEVICE_ERROR;
        }
        if (VIRTIO_UNLIKELY(IsBadSegment(sg, total))) {
            return SegmentError(sg, (BOOLEAN)(flags != VIRTQ_DESC_F_NEXT));
        }
        if (sg->write) {
            flags = VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE;
        } else if (VIRTIO_UNLIKELY(flags != VIRTQ_DESC_F_NEXT)) {
            return STATUS_INVALID_PARAMETER;
        } else {
            readable = total + sg->len;
        }
        total += sg->len;
        last = index;
        index = chains[last].next;
        WriteDescriptor(&desc[last], sg->addr, sg->len, flags, index);
    } while (++sg != end);
    desc[last].flags = (UINT16)(flags & ~VIRTQ_DESC_F_NEXT);
    desc[last].next = 0;
    EnterChain(vq, &chains[head], index, last, sg_count, total - readable, cookie);
    *head_out = head;
    return STATUS_SUCCESS;
}

// The table that a new chain gets.
VIRTIO_FORCEINLINE UINT16 FreeTable(const VIRTQ_SPLIT *vq) {
    return vq->own_tables ? vq->free_head : vq->indirect_free_head;
}

// Segments as entries of a table, one after the other.
VIRTIO_FORCEINLINE NTSTATUS FillTable(VIRTQ_DESC *entry, const VIRTQ_SG *sg, UINT16 sg_count,
                                      UINT32 *writable_out) {
    const VIRTQ_SG *const end = sg + sg_count;
    UINT16 flags = VIRTQ_DESC_F_NEXT;
    UINT16 next = 0;
    UINT32 total = 0;
    UINT32 readable = 0;

    do {
        if (VIRTIO_UNLIKELY(IsBadSegment(sg, total))) {
            return SegmentError(sg, (BOOLEAN)(flags != VIRTQ_DESC_F_NEXT));
        }
        total += sg->len;
        if (sg->write) {
            flags = VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE;
        } else if (VIRTIO_UNLIKELY(flags != VIRTQ_DESC_F_NEXT)) {
            return STATUS_INVALID_PARAMETER;
        } else {
            readable = total;
        }
        WriteDescriptor(entry, sg->addr, sg->len, flags, ++next);
        entry++;
    } while (++sg != end);
    entry[-1].flags = (UINT16)(flags & ~VIRTQ_DESC_F_NEXT);
    entry[-1].next = 0;
    *writable_out = total - readable;
    return STATUS_SUCCESS;
}

// One ring descriptor, which points at a table (2.7.5.3). What both halves need
// is read again after the first: cheaper than to keep it while the table fills.
VIRTIO_FORCEINLINE NTSTATUS AddIndirect(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count,
                                        void *cookie, UINT16 *head_out) {
    UINT8 *const pool = (UINT8 *)vq->indirect_pool_va;
    UINT32 writable = 0;

    if (VIRTIO_UNLIKELY(vq->free_head >= vq->qsz || FreeTable(vq) >= vq->indirect_table_count)) {
        return STATUS_IO_DEVICE_ERROR;
    }
    NTSTATUS status =
        FillTable((VIRTQ_DESC *)(void *)(pool + (size_t)FreeTable(vq) * vq->indirect_table_stride),
                  sg, sg_count, &writable);
    if (VIRTIO_UNLIKELY(!NT_SUCCESS(status))) {
        return status;
    }
    const UINT16 head = vq->free_head;
    const UINT16 table = FreeTable(vq);
    VIRTQ_SPLIT_CHAIN *const chain = &vq->chains[head];
    WriteDescriptor(&vq->desc[head],
                    vq->indirect_pool_pa + (UINT64)table * vq->indirect_table_stride,
                    (UINT32)sg_count * (UINT32)sizeof(VIRTQ_DESC), VIRTQ_DESC_F_INDIRECT, 0);
    chain->table = table;
    vq->indirect_num_free--;
    if (!vq->own_tables) {
        vq->indirect_free_head = vq->chains[table].table_next;
    }
    EnterChain(vq, chain, chain->next, head, 1, writable, cookie);
    *head_out = head;
    return STATUS_SUCCESS;
}

// What does not simply go into the ring: above the threshold, or no room.
VIRTIO_NOINLINE NTSTATUS AddElsewhere(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count,
                                      void *cookie, UINT16 *head_out) {
    if (VIRTIO_UNLIKELY(sg_count > vq->qsz)) {
        return STATUS_INVALID_BUFFER_SIZE;
    }
    if (vq->indirect_num_free != 0 && sg_count <= vq->indirect_max_desc && vq->num_free != 0) {
        return AddIndirect(vq, sg, sg_count, cookie, head_out);
    }
    if (sg_count > vq->num_free) {
        vq->was_full = TRUE;
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    return AddDirect(vq, sg, sg_count, cookie, head_out);
}

VIRTIO_FORCEINLINE NTSTATUS Add(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count, void *cookie,
                                UINT16 *head_out) {
    if (VIRTIO_UNLIKELY(vq->indirect_num_free != 0 && sg_count > vq->indirect_threshold) ||
        VIRTIO_UNLIKELY(sg_count > vq->num_free)) {
        return AddElsewhere(vq, sg, sg_count, cookie, head_out);
    }
    if (sg_count == 1) {
        return AddOne(vq, sg, cookie, head_out);
    }
    return AddDirect(vq, sg, sg_count, cookie, head_out);
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
    return Add(vq, sg, sg_count, cookie, head_out);
}

NTSTATUS VirtqSplitAddBatch(VIRTQ_SPLIT *vq, const VIRTQ_BUFFER *buffers, UINT16 count,
                            UINT16 *heads_out, UINT16 *added_out) {
    NTSTATUS status = STATUS_SUCCESS;
    UINT16 added = 0;

    if (added_out == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    *added_out = 0;
    if (buffers == NULL || heads_out == NULL || (vq == NULL && count != 0)) {
        return STATUS_INVALID_PARAMETER;
    }
    for (; added < count; added++) {
        const VIRTQ_BUFFER *buffer = &buffers[added];
        if (VIRTIO_UNLIKELY(buffer->sg == NULL || buffer->sg_count == 0)) {
            status = STATUS_INVALID_PARAMETER;
            break;
        }
        if (VIRTIO_UNLIKELY(vq->broken_status != STATUS_SUCCESS)) {
            status = STATUS_INVALID_DEVICE_STATE;
            break;
        }
        status = Add(vq, buffer->sg, buffer->sg_count, buffer->cookie, &heads_out[added]);
        if (VIRTIO_UNLIKELY(!NT_SUCCESS(status))) {
            break;
        }
    }
    *added_out = added;
    return status;
}
