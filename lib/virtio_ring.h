/* SPDX-License-Identifier: MIT */
/*
 * The split virtqueue as it lies in memory shared with the device (Virtio 1.2,
 * 2.7): structures, flags, feature bits. All fields are little-endian.
 *
 * `ring[1]` stands for as many elements as the queue has (WDK 7.1 has no
 * flexible array members); reach them through the helpers below.
 */
#ifndef VIRTIO_RING_H_
#define VIRTIO_RING_H_

#include "virtio_osdep.h"

/* Feature bits about rings (6). */
#define VIRTIO_F_RING_INDIRECT_DESC 28
#define VIRTIO_F_RING_EVENT_IDX 29

/* VIRTQ_DESC::flags (2.7.5). */
#define VIRTQ_DESC_F_NEXT 1     /* the chain goes on at `next` */
#define VIRTQ_DESC_F_WRITE 2    /* the device writes; else it reads */
#define VIRTQ_DESC_F_INDIRECT 4 /* `addr` holds a table of descriptors (2.7.5.3) */

/* VIRTQ_AVAIL::flags (2.7.6), without EVENT_IDX; 0 with it. */
#define VIRTQ_AVAIL_F_NO_INTERRUPT 1

/* VIRTQ_USED::flags (2.7.8), without EVENT_IDX. */
#define VIRTQ_USED_F_NO_NOTIFY 1

/* Alignment of the three parts (2.7). */
#define VIRTQ_DESC_ALIGN 16
#define VIRTQ_AVAIL_ALIGN 2
#define VIRTQ_USED_ALIGN 4
/* Alignment of the used ring in the legacy layout (2.7.2, 4.1.5.1.3.1). */
#define VIRTQ_LEGACY_ALIGN 4096

/* Largest queue (2.7). */
#define VIRTQ_MAX_QUEUE_SIZE 32768

/* 2.7.5. Written by the driver alone. */
typedef struct _VIRTQ_DESC {
    UINT64 addr; /* device (guest physical) address */
    UINT32 len;  /* bytes */
    UINT16 flags;
    UINT16 next;
} VIRTQ_DESC;

/* 2.7.6. Written by the driver alone. */
typedef struct _VIRTQ_AVAIL {
    UINT16 flags;
    UINT16 idx; /* free-running: where the driver puts the next entry */
    UINT16 ring[1];
    /* UINT16 used_event, after the last element; meaningful with EVENT_IDX */
} VIRTQ_AVAIL;

/* 2.7.8. Written by the device. */
typedef struct _VIRTQ_USED_ELEM {
    UINT32 id;  /* head of the used chain */
    UINT32 len; /* bytes written into its writable part */
} VIRTQ_USED_ELEM;

typedef struct _VIRTQ_USED {
    UINT16 flags;
    UINT16 idx; /* free-running: where the device puts the next entry */
    VIRTQ_USED_ELEM ring[1];
    /* UINT16 avail_event, after the last element; meaningful with EVENT_IDX */
} VIRTQ_USED;

VIRTIO_STATIC_ASSERT(sizeof(VIRTQ_DESC) == 16, virtq_desc_is_16_bytes);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_DESC, addr) == 0, virtq_desc_addr_at_0);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_DESC, len) == 8, virtq_desc_len_at_8);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_DESC, flags) == 12, virtq_desc_flags_at_12);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_DESC, next) == 14, virtq_desc_next_at_14);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_AVAIL, flags) == 0, virtq_avail_flags_at_0);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_AVAIL, idx) == 2, virtq_avail_idx_at_2);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_AVAIL, ring) == 4, virtq_avail_ring_at_4);
VIRTIO_STATIC_ASSERT(sizeof(VIRTQ_USED_ELEM) == 8, virtq_used_elem_is_8_bytes);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_USED_ELEM, id) == 0, virtq_used_elem_id_at_0);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_USED_ELEM, len) == 4, virtq_used_elem_len_at_4);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_USED, flags) == 0, virtq_used_flags_at_0);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_USED, idx) == 2, virtq_used_idx_at_2);
VIRTIO_STATIC_ASSERT(offsetof(VIRTQ_USED, ring) == 4, virtq_used_ring_at_4);

/* First element of the avail ring's array. */
static __inline UINT16 *VirtqAvailRing(VIRTQ_AVAIL *avail) {
    return (UINT16 *)(void *)((UINT8 *)avail + offsetof(VIRTQ_AVAIL, ring));
}

/* First element of the used ring's array. */
static __inline VIRTQ_USED_ELEM *VirtqUsedRing(VIRTQ_USED *used) {
    return (VIRTQ_USED_ELEM *)(void *)((UINT8 *)used + offsetof(VIRTQ_USED, ring));
}

/* used_event of a queue of `qsz` descriptors (2.7.7). */
static __inline volatile UINT16 *VirtqAvailUsedEvent(VIRTQ_AVAIL *avail, UINT16 qsz) {
    return (volatile UINT16 *)(void *)((UINT8 *)avail + offsetof(VIRTQ_AVAIL, ring) +
                                       sizeof(UINT16) * (size_t)qsz);
}

/* avail_event of a queue of `qsz` descriptors (2.7.10). */
static __inline volatile UINT16 *VirtqUsedAvailEvent(VIRTQ_USED *used, UINT16 qsz) {
    return (volatile UINT16 *)(void *)((UINT8 *)used + offsetof(VIRTQ_USED, ring) +
                                       sizeof(VIRTQ_USED_ELEM) * (size_t)qsz);
}

#endif /* VIRTIO_RING_H_ */
