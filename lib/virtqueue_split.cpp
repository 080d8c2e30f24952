// SPDX-License-Identifier: MIT
//
// Split virtqueue: setting up, adding, publishing, kicking, getting back,
// interrupts. What each function promises is in virtqueue_split.h; which
// barrier meets which, in virtqueue_split_private.h.
//
// Longer than most files here, because all that an ordinary driver calls is in
// this one; batches, waiting, recovery and inspection are in files of their own.

#include "virtqueue_split_private.h"

// -------------------------------------------------------------- setting up

namespace {

BOOLEAN IsValidSize(UINT16 qsz) {
    return (BOOLEAN)(qsz != 0 && (qsz & (qsz - 1)) == 0 && qsz <= VIRTQ_MAX_QUEUE_SIZE);
}

// Memory that the device and we share: aligned, and with no wrap in it.
BOOLEAN IsValidArea(const void *va, UINT64 pa, size_t size, UINT32 align) {
    size_t start = (size_t)va;

    return (BOOLEAN)(va != NULL && (start & (align - 1)) == 0 && (pa & (align - 1)) == 0 &&
                     size - 1 <= ~(size_t)0 - start && (UINT64)size - 1 <= ~(UINT64)0 - pa);
}

BOOLEAN IsApart(UINT64 a, size_t a_size, UINT64 b, size_t b_size) {
    return (BOOLEAN)(a < b ? b - a >= a_size : a - b >= b_size);
}

BOOLEAN AreValidAreas(const VIRTQ_SPLIT_AREAS &areas, UINT16 qsz) {
    size_t desc_size = VirtqSplitDescAreaSize(qsz);
    size_t avail_size = VirtqSplitAvailAreaSize(qsz);
    size_t used_size = VirtqSplitUsedAreaSize(qsz);

    return (BOOLEAN)(IsValidArea(areas.desc_va, areas.desc_pa, desc_size, VIRTQ_DESC_ALIGN) &&
                     IsValidArea(areas.avail_va, areas.avail_pa, avail_size, VIRTQ_AVAIL_ALIGN) &&
                     IsValidArea(areas.used_va, areas.used_pa, used_size, VIRTQ_USED_ALIGN) &&
                     IsApart(areas.desc_pa, desc_size, areas.avail_pa, avail_size) &&
                     IsApart(areas.desc_pa, desc_size, areas.used_pa, used_size) &&
                     IsApart(areas.avail_pa, avail_size, areas.used_pa, used_size));
}

// FALSE also for a pool without tables.
BOOLEAN IsValidPool(const void *va, UINT64 pa, UINT16 tables, UINT16 max_desc) {
    UINT64 size = (UINT64)((UINT32)tables * max_desc) * sizeof(VIRTQ_DESC);

    return (BOOLEAN)(size != 0 && size <= (UINT64) ~(size_t)0 &&
                     IsValidArea(va, pa, (size_t)size, VIRTQ_DESC_ALIGN));
}

// The arrays behind the structure, the most strictly aligned first.
VOID PlaceStorage(VIRTQ_SPLIT *vq) {
    UINT8 *next = (UINT8 *)vq->storage;

    vq->cookies = (void **)(void *)next;
    next += sizeof(void *) * (size_t)vq->qsz;
    vq->chains = (VIRTQ_SPLIT_CHAIN *)(void *)next;
    next += sizeof(VIRTQ_SPLIT_CHAIN) * (size_t)vq->qsz;
    vq->head_indirect = (UINT16 *)(void *)next;
    next += sizeof(UINT16) * (size_t)vq->qsz;
    vq->indirect_next = (UINT16 *)(void *)next;
}

// Everything free, both sides at 0.
VOID ClearQueue(VIRTQ_SPLIT *vq) {
    const UINT16 qsz = vq->qsz;

    VirtioZeroMemory(vq->desc, VirtqSplitDescAreaSize(qsz));
    VirtioZeroMemory(vq->avail, VirtqSplitAvailAreaSize(qsz));
    VirtioZeroMemory(vq->used, VirtqSplitUsedAreaSize(qsz));
    for (UINT16 i = 0; i < qsz; i++) {
        UINT16 next = (UINT16)(i + 1 < qsz ? i + 1 : VIRTQ_SPLIT_NO_DESC);
        vq->chains[i].next = next;
        vq->chains[i].state = VIRTQ_CHAIN_NONE;
        vq->cookies[i] = NULL;
        vq->head_indirect[i] = VIRTQ_SPLIT_NO_DESC;
        vq->indirect_next[i] =
            (UINT16)(i + 1 < vq->indirect_table_count ? i + 1 : VIRTQ_SPLIT_NO_DESC);
    }
    vq->free_head = 0;
    vq->num_free = qsz;
    vq->indirect_free_head = (UINT16)(vq->indirect_table_count != 0 ? 0 : VIRTQ_SPLIT_NO_DESC);
    vq->indirect_num_free = vq->indirect_table_count;
    vq->avail_idx = 0;
    vq->last_used_idx = 0;
    vq->num_added = 0;
    vq->num_in_flight = 0;
    vq->detach_next = 0;
    vq->published = 0;
    vq->published_prepared = 0;
    vq->interrupts_off = FALSE;
    vq->event_unfenced = FALSE;
    vq->was_full = FALSE;
    vq->broken_status = STATUS_SUCCESS;
}

} // namespace

size_t VirtqSplitStateSize(UINT16 qsz) {
    if (!IsValidSize(qsz)) {
        return 0;
    }
    return offsetof(VIRTQ_SPLIT, storage) +
           (sizeof(void *) + sizeof(VIRTQ_SPLIT_CHAIN) + 2 * sizeof(UINT16)) * (size_t)qsz;
}

size_t VirtqSplitDescAreaSize(UINT16 qsz) {
    return IsValidSize(qsz) ? sizeof(VIRTQ_DESC) * (size_t)qsz : 0;
}

size_t VirtqSplitAvailAreaSize(UINT16 qsz) {
    return IsValidSize(qsz) ? 6 + sizeof(UINT16) * (size_t)qsz : 0;
}

size_t VirtqSplitUsedAreaSize(UINT16 qsz) {
    return IsValidSize(qsz) ? 6 + sizeof(VIRTQ_USED_ELEM) * (size_t)qsz : 0;
}

// The sum cannot overflow 32 bits: below 2^20, rounded up to at most 2^31.
size_t VirtqSplitRingMemSize(UINT16 qsz, UINT32 align, BOOLEAN event_idx) {
    (void)event_idx;
    if (!IsValidSize(qsz) || align < VIRTQ_USED_ALIGN || (align & (align - 1)) != 0) {
        return 0;
    }
    return VIRTIO_ALIGN_UP(VirtqSplitDescAreaSize(qsz) + VirtqSplitAvailAreaSize(qsz),
                           (size_t)align) +
           VirtqSplitUsedAreaSize(qsz);
}

NTSTATUS VirtqSplitInitAreas(VIRTQ_SPLIT *vq, UINT16 qsz, UINT16 device_max_qsz, BOOLEAN event_idx,
                             BOOLEAN indirect, const VIRTQ_SPLIT_AREAS *areas,
                             void *indirect_pool_va, UINT64 indirect_pool_pa,
                             UINT16 indirect_table_count, UINT16 indirect_max_desc) {
    BOOLEAN pool = (BOOLEAN)(indirect && indirect_pool_va != NULL);

    if (vq == NULL || areas == NULL || !IsValidSize(qsz) || qsz > device_max_qsz ||
        !AreValidAreas(*areas, qsz)) {
        return STATUS_INVALID_PARAMETER;
    }
    if (pool &&
        !IsValidPool(indirect_pool_va, indirect_pool_pa, indirect_table_count, indirect_max_desc)) {
        return STATUS_INVALID_PARAMETER;
    }
    VirtioZeroMemory(vq, VirtqSplitStateSize(qsz));
    vq->qsz = qsz;
    vq->event_idx = (BOOLEAN)(event_idx ? TRUE : FALSE);
    vq->indirect = (BOOLEAN)(indirect ? TRUE : FALSE);
    vq->desc = (VIRTQ_DESC *)areas->desc_va;
    vq->avail = (VIRTQ_AVAIL *)areas->avail_va;
    vq->used = (VIRTQ_USED *)areas->used_va;
    vq->desc_pa = areas->desc_pa;
    vq->avail_pa = areas->avail_pa;
    vq->used_pa = areas->used_pa;
    if (pool) {
        vq->indirect_pool_va = (VIRTQ_DESC *)indirect_pool_va;
        vq->indirect_pool_pa = indirect_pool_pa;
        vq->indirect_table_stride = (UINT32)indirect_max_desc * (UINT32)sizeof(VIRTQ_DESC);
        vq->indirect_table_count = indirect_table_count < qsz ? indirect_table_count : qsz;
        vq->indirect_max_desc = indirect_max_desc;
    }
    vq->indirect_threshold = 8;
    PlaceStorage(vq);
    ClearQueue(vq);
    return STATUS_SUCCESS;
}

NTSTATUS VirtqSplitInit(VIRTQ_SPLIT *vq, UINT16 qsz, BOOLEAN event_idx, BOOLEAN indirect,
                        void *ring_va, UINT64 ring_pa, UINT32 ring_align, void *indirect_pool_va,
                        UINT64 indirect_pool_pa, UINT16 indirect_table_count,
                        UINT16 indirect_max_desc) {
    size_t size = VirtqSplitRingMemSize(qsz, ring_align, event_idx);

    if (size == 0 || !IsValidArea(ring_va, ring_pa, size, VIRTQ_DESC_ALIGN)) {
        return STATUS_INVALID_PARAMETER;
    }
    size_t avail_offset = VirtqSplitDescAreaSize(qsz);
    size_t used_offset = size - VirtqSplitUsedAreaSize(qsz);
    VIRTQ_SPLIT_AREAS areas;
    areas.desc_va = ring_va;
    areas.desc_pa = ring_pa;
    areas.avail_va = (UINT8 *)ring_va + avail_offset;
    areas.avail_pa = ring_pa + avail_offset;
    areas.used_va = (UINT8 *)ring_va + used_offset;
    areas.used_pa = ring_pa + used_offset;
    return VirtqSplitInitAreas(vq, qsz, qsz, event_idx, indirect, &areas, indirect_pool_va,
                               indirect_pool_pa, indirect_table_count, indirect_max_desc);
}

NTSTATUS VirtqSplitResetChecked(VIRTQ_SPLIT *vq) {
    if (vq == NULL || vq->qsz == 0) {
        return STATUS_INVALID_PARAMETER;
    }
    if (vq->num_free != vq->qsz) {
        if (vq->broken_status == STATUS_SUCCESS) {
            vq->broken_status = VIRTQ_STATUS_BUFFERS_LEFT;
        }
        return VirtqMisuse(vq, VIRTQ_STATUS_BUFFERS_LEFT);
    }
    ClearQueue(vq);
    return STATUS_SUCCESS;
}

VOID VirtqSplitReset(VIRTQ_SPLIT *vq) {
    (void)VirtqSplitResetChecked(vq);
}

// ------------------------------------------------------------------ adding

namespace {

// What a chain adds up to while its segments are looked at one by one.
struct ChainSum {
    UINT32 total;
    UINT32 writable;
    BOOLEAN write_seen;
};

// The rules for one segment (2.7.4.2, 2.7.5).
NTSTATUS AccountSegment(const VIRTQ_SG &segment, ChainSum &sum) {
    UINT32 total = sum.total + segment.len;

    if (segment.len == 0 || (UINT64)segment.len - 1 > ~segment.addr ||
        (sum.write_seen && !segment.write)) {
        return STATUS_INVALID_PARAMETER;
    }
    if (total < segment.len) {
        return STATUS_INVALID_BUFFER_SIZE;
    }
    sum.total = total;
    if (segment.write) {
        sum.write_seen = TRUE;
        sum.writable += segment.len;
    }
    return STATUS_SUCCESS;
}

inline VOID WriteDescriptor(VIRTQ_DESC *desc, const VIRTQ_SG &segment, BOOLEAN more, UINT16 next) {
    desc->addr = segment.addr;
    desc->len = segment.len;
    desc->flags =
        (UINT16)((segment.write ? VIRTQ_DESC_F_WRITE : 0) | (more ? VIRTQ_DESC_F_NEXT : 0));
    desc->next = more ? next : (UINT16)0;
}

// Enters a chain of `count` descriptors, from the head of the free list to
// `last`, into the books.
VOID CommitChain(VIRTQ_SPLIT *vq, UINT16 last, UINT16 count, UINT32 writable, void *cookie) {
    UINT16 head = vq->free_head;
    VIRTQ_SPLIT_CHAIN *chain = &vq->chains[head];

    vq->free_head = vq->chains[last].next;
    vq->num_free = (UINT16)(vq->num_free - count);
    chain->writable = writable;
    chain->last = last;
    chain->count = count;
    chain->state = VIRTQ_CHAIN_ADDED;
    vq->cookies[head] = cookie;
}

// One ring descriptor a segment. The links are those of the private free list;
// until CommitChain all that has changed is the content of free descriptors.
NTSTATUS AddDirect(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count, void *cookie) {
    VIRTQ_DESC *const desc = vq->desc;
    const VIRTQ_SPLIT_CHAIN *const chains = vq->chains;
    const UINT16 qsz = vq->qsz;
    ChainSum sum = {0, 0, FALSE};
    UINT16 index = vq->free_head;
    UINT16 last = index;

    for (UINT16 i = 0; i < sg_count; i++) {
        if (VIRTQ_UNLIKELY(index >= qsz)) {
            return STATUS_IO_DEVICE_ERROR;
        }
        NTSTATUS status = AccountSegment(sg[i], sum);
        if (VIRTQ_UNLIKELY(!NT_SUCCESS(status))) {
            return status;
        }
        UINT16 next = chains[index].next;
        WriteDescriptor(&desc[index], sg[i], (BOOLEAN)(i + 1 < sg_count), next);
        last = index;
        index = next;
    }
    CommitChain(vq, last, sg_count, sum.writable, cookie);
    return STATUS_SUCCESS;
}

// One ring descriptor, which points at a table (2.7.5.3).
NTSTATUS AddIndirect(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count, void *cookie) {
    UINT16 head = vq->free_head;
    UINT16 table = vq->indirect_free_head;
    ChainSum sum = {0, 0, FALSE};

    if (VIRTQ_UNLIKELY(head >= vq->qsz || table >= vq->indirect_table_count)) {
        return STATUS_IO_DEVICE_ERROR;
    }
    VIRTQ_DESC *entries = vq->indirect_pool_va + (size_t)table * vq->indirect_max_desc;
    for (UINT16 i = 0; i < sg_count; i++) {
        NTSTATUS status = AccountSegment(sg[i], sum);
        if (VIRTQ_UNLIKELY(!NT_SUCCESS(status))) {
            return status;
        }
        WriteDescriptor(&entries[i], sg[i], (BOOLEAN)(i + 1 < sg_count), (UINT16)(i + 1));
    }
    VIRTQ_DESC *desc = &vq->desc[head];
    desc->addr = vq->indirect_pool_pa + (UINT64)table * vq->indirect_table_stride;
    desc->len = (UINT32)sg_count * (UINT32)sizeof(VIRTQ_DESC);
    desc->flags = VIRTQ_DESC_F_INDIRECT;
    desc->next = 0;

    vq->indirect_free_head = vq->indirect_next[table];
    vq->indirect_num_free--;
    vq->head_indirect[head] = table;
    CommitChain(vq, head, 1, sum.writable, cookie);
    return STATUS_SUCCESS;
}

inline BOOLEAN WantsIndirect(const VIRTQ_SPLIT *vq, UINT16 sg_count) {
    return (BOOLEAN)(vq->indirect_num_free != 0 && sg_count <= vq->indirect_max_desc &&
                     vq->num_free != 0 &&
                     (sg_count > vq->indirect_threshold || sg_count > vq->num_free));
}

} // namespace

NTSTATUS VirtqSplitAddBuffer(VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, UINT16 sg_count, void *cookie,
                             UINT16 *head_out) {
    if (VIRTQ_UNLIKELY(vq == NULL || sg == NULL || sg_count == 0 || head_out == NULL)) {
        return STATUS_INVALID_PARAMETER;
    }
    if (VIRTQ_UNLIKELY(vq->broken_status != STATUS_SUCCESS)) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    if (VIRTQ_UNLIKELY(sg_count > vq->qsz)) {
        return STATUS_INVALID_BUFFER_SIZE;
    }
    UINT16 head = vq->free_head;
    NTSTATUS status;
    if (WantsIndirect(vq, sg_count)) {
        status = AddIndirect(vq, sg, sg_count, cookie);
    } else if (VIRTQ_UNLIKELY(sg_count > vq->num_free)) {
        vq->was_full = TRUE;
        status = STATUS_INSUFFICIENT_RESOURCES;
    } else {
        status = AddDirect(vq, sg, sg_count, cookie);
    }
    if (NT_SUCCESS(status)) {
        *head_out = head;
    }
    return status;
}

// -------------------------------------------------------------- publishing

NTSTATUS VirtqSplitPublishChecked(VIRTQ_SPLIT *vq, UINT16 head) {
    if (VIRTQ_UNLIKELY(vq == NULL)) {
        return STATUS_INVALID_PARAMETER;
    }
    if (VIRTQ_UNLIKELY(vq->broken_status != STATUS_SUCCESS)) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    NTSTATUS status = VirtqPlaceHead(vq, head, vq->avail_idx);
    if (VIRTQ_UNLIKELY(!NT_SUCCESS(status))) {
        return status;
    }
    VirtqAdvanceAvail(vq, 1);
    return STATUS_SUCCESS;
}

VOID VirtqSplitPublish(VIRTQ_SPLIT *vq, UINT16 head) {
    (void)VirtqSplitPublishChecked(vq, head);
}

// ----------------------------------------------------------------- kicking

BOOLEAN VirtqSplitKickPrepare(VIRTQ_SPLIT *vq) {
    if (VIRTQ_UNLIKELY(vq == NULL || vq->broken_status != STATUS_SUCCESS)) {
        return FALSE;
    }
    BOOLEAN full = (BOOLEAN)(vq->kick_when_full && vq->was_full);
    vq->published_prepared = vq->published;
    if (vq->num_added == 0 && !full) {
        return FALSE;
    }

    // Pair B. Without it the CPU may read the device's old wish while our new
    // avail->idx is still in its store buffer, and both sides go to sleep.
    VIRTIO_MB();

    if (full || vq->num_added == 0xFFFF) {
        return TRUE;
    }
    if (vq->event_idx) {
        UINT16 event = VirtioReadU16(VirtqUsedAvailEvent(vq->used, vq->qsz));
        return VirtqNeedEvent(event, vq->avail_idx, (UINT16)(vq->avail_idx - vq->num_added));
    }
    return (BOOLEAN)((VirtioReadU16(&vq->used->flags) & VIRTQ_USED_F_NO_NOTIFY) == 0);
}

VOID VirtqSplitKickCommit(VIRTQ_SPLIT *vq) {
    if (vq == NULL) {
        return;
    }
    UINT32 since = vq->published - vq->published_prepared;
    vq->num_added = (UINT16)(since > 0xFFFFu ? 0xFFFFu : since);
    vq->was_full = FALSE;
}

// ------------------------------------------------------------ getting back

// Slow: runs once, before the queue is broken. Every loop is bounded by counts
// of private memory.
NTSTATUS VirtqUsedError(const VIRTQ_SPLIT *vq, UINT16 waiting, UINT32 id) {
    if (waiting > vq->qsz) {
        return VIRTQ_STATUS_USED_IDX_AHEAD; // entries were overwritten: none can be judged
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
    if (waiting > vq->num_in_flight) {
        return VIRTQ_STATUS_USED_IDX_AHEAD;
    }
    if (vq->chains[id].state != VIRTQ_CHAIN_IN_FLIGHT) {
        return VIRTQ_STATUS_USED_NOT_ISSUED;
    }
    return VIRTQ_STATUS_USED_LENGTH;
}

BOOLEAN VirtqSplitHasUsed(const VIRTQ_SPLIT *vq) {
    if (VIRTQ_UNLIKELY(vq == NULL || vq->broken_status != STATUS_SUCCESS)) {
        return FALSE;
    }
    return (BOOLEAN)(VirtqWaitingForSure(vq) != 0);
}

NTSTATUS VirtqSplitGetUsed(VIRTQ_SPLIT *vq, void **cookie_out, UINT32 *len_out) {
    if (VIRTQ_UNLIKELY(vq == NULL || cookie_out == NULL || len_out == NULL)) {
        return STATUS_INVALID_PARAMETER;
    }
    *cookie_out = NULL;
    *len_out = 0;
    if (VIRTQ_UNLIKELY(vq->broken_status != STATUS_SUCCESS)) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    UINT16 waiting = VirtqWaitingForSure(vq);
    if (waiting == 0) {
        vq->event_unfenced = FALSE;
        return STATUS_NOT_FOUND;
    }
    NTSTATUS error;
    if (VIRTQ_UNLIKELY(!VirtqTakeUsed(vq, waiting, cookie_out, len_out, &error))) {
        VirtqBreak(vq, error, waiting);
        return error;
    }
    VirtqRearm(vq);
    return STATUS_SUCCESS;
}

// -------------------------------------------------------------- interrupts

VOID VirtqSplitDisableInterrupts(VIRTQ_SPLIT *vq) {
    if (VIRTQ_UNLIKELY(vq == NULL || vq->avail == NULL)) {
        return;
    }
    vq->interrupts_off = TRUE;
    if (vq->event_idx) {
        // avail->flags stays 0 with EVENT_IDX (2.7.7.1): as far away as it gets.
        VirtioWriteU16(VirtqAvailUsedEvent(vq->avail, vq->qsz), (UINT16)(vq->last_used_idx - 1));
    } else {
        VirtioWriteU16(&vq->avail->flags, VIRTQ_AVAIL_F_NO_INTERRUPT);
    }
}

BOOLEAN VirtqSplitEnableInterrupts(VIRTQ_SPLIT *vq) {
    if (VIRTQ_UNLIKELY(VirtqCannotWait(vq))) {
        return TRUE;
    }
    return (BOOLEAN)(VirtqEnableAfter(vq, 0) == 0);
}
