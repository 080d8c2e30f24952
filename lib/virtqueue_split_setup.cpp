// SPDX-License-Identifier: MIT
//
// Split virtqueue: sizes, setting up, reset.

#include "virtqueue_split_private.h"

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

// Everything free, both sides at 0.
VOID ClearQueue(VIRTQ_SPLIT *vq) {
    const UINT16 qsz = vq->qsz;

    VirtioZeroMemory(vq->desc, VirtqSplitDescAreaSize(qsz));
    VirtioZeroMemory(vq->avail, VirtqSplitAvailAreaSize(qsz));
    VirtioZeroMemory(vq->used, VirtqSplitUsedAreaSize(qsz));
    VirtioZeroMemory(vq->chains, sizeof(VIRTQ_SPLIT_CHAIN) * (size_t)qsz);
    for (UINT16 i = 0; i < qsz; i++) {
        VIRTQ_SPLIT_CHAIN *chain = &vq->chains[i];
        chain->next = (UINT16)(i + 1 < qsz ? i + 1 : VIRTQ_SPLIT_NO_DESC);
        chain->table = VIRTQ_SPLIT_NO_DESC;
        chain->table_next =
            (UINT16)(i + 1 < vq->indirect_table_count ? i + 1 : VIRTQ_SPLIT_NO_DESC);
    }
    vq->free_head = 0;
    vq->num_free = qsz;
    vq->indirect_free_head = (UINT16)(vq->indirect_table_count != 0 ? 0 : VIRTQ_SPLIT_NO_DESC);
    vq->indirect_num_free = vq->indirect_table_count;
    vq->avail_idx = 0;
    vq->last_used_idx = 0;
    vq->num_added = 0;
    vq->broken_in_flight = 0;
    vq->detach_next = 0;
    vq->prepared_idx = 0;
    vq->overrun = FALSE;
    vq->interrupts_off = FALSE;
    vq->follow = vq->event_idx ? VirtqAvailUsedEvent(vq->avail, qsz) : NULL;
    vq->seen = VIRTQ_SEEN_NOTHING;
    vq->was_full = VIRTQ_FULL_NOT;
    vq->broken_status = STATUS_SUCCESS;
}

} // namespace

size_t VirtqSplitStateSize(UINT16 qsz) {
    if (!IsValidSize(qsz)) {
        return 0;
    }
    return offsetof(VIRTQ_SPLIT, storage) + sizeof(VIRTQ_SPLIT_CHAIN) * (size_t)qsz;
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
    vq->mask = (UINT16)(qsz - 1);
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
        vq->indirect_max_desc = indirect_max_desc < qsz ? indirect_max_desc : qsz;
        vq->own_tables = (BOOLEAN)(vq->indirect_table_count == qsz);
    }
    vq->indirect_threshold = 8;
    vq->chains = (VIRTQ_SPLIT_CHAIN *)(void *)vq->storage;
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
            VirtqSetBroken(vq, VIRTQ_STATUS_BUFFERS_LEFT);
        }
        return VirtqMisuse(vq, VIRTQ_STATUS_BUFFERS_LEFT);
    }
    ClearQueue(vq);
    return STATUS_SUCCESS;
}

VOID VirtqSplitReset(VIRTQ_SPLIT *vq) {
    (void)VirtqSplitResetChecked(vq);
}

VOID VirtqSplitSetCutUsedLength(VIRTQ_SPLIT *vq, BOOLEAN on) {
    if (vq != NULL) {
        vq->cut_used_length = (BOOLEAN)(on ? TRUE : FALSE);
    }
}
