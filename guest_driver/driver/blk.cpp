// SPDX-License-Identifier: MIT
// virtio-blk: the device itself, its configuration and the memory of its queue.
#include "blk.h"

// Features (5.2.3) and the configuration layout (5.2.4).
#define VIRTIO_BLK_F_SIZE_MAX 1
#define VIRTIO_BLK_F_SEG_MAX 2
#define VIRTIO_BLK_F_RO 5
#define VIRTIO_BLK_F_BLK_SIZE 6
#define VIRTIO_BLK_F_FLUSH 9
#define VIRTIO_BLK_F_CONFIG_WCE 11
#define BLK_CONFIG_CAPACITY 0
#define BLK_CONFIG_SIZE_MAX 8
#define BLK_CONFIG_SEG_MAX 12
#define BLK_CONFIG_BLK_SIZE 20
#define BLK_CONFIG_WRITEBACK 32

#define BLK_MAX_BLOCK_SIZE 0x200000u

static BOOLEAN Has(DEVICE_CONTEXT *dc, UINT32 bit) {
    return (BOOLEAN)((dc->pci.driver_features & VIRTIO_FEATURE(bit)) != 0);
}

static NTSTATUS Create(DEVICE_CONTEXT *dc) {
    BLK_DEVICE *blk =
        (BLK_DEVICE *)ExAllocatePoolWithTag(NonPagedPool, sizeof(BLK_DEVICE), VQ7_POOL_TAG);

    if (blk == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlZeroMemory(blk, sizeof(*blk));
    InitializeListHead(&blk->active);
    InitializeListHead(&blk->restart);
    dc->type_context = blk;
    return STATUS_SUCCESS;
}

static VOID Destroy(DEVICE_CONTEXT *dc) {
    ExFreePoolWithTag(dc->type_context, VQ7_POOL_TAG);
}

// What the device says of itself, each field read once. Requests may be looked at by what it
// said before while it is started again: nothing takes its place but what has been checked.
typedef struct _BLK_SAID {
    UINT64 capacity;
    UINT32 block_size;
    UINT32 seg_max;
    UINT32 size_max;
    UINT8 writeback;
} BLK_SAID;

static NTSTATUS ReadConfig(DEVICE_CONTEXT *dc, BLK_SAID *said) {
    NTSTATUS status =
        VirtioPciReadConfig(&dc->pci, BLK_CONFIG_CAPACITY, &said->capacity, sizeof(said->capacity));

    said->block_size = BLK_SECTOR_SIZE;
    said->seg_max = 0;
    said->size_max = 0;
    said->writeback = 0;
    if (NT_SUCCESS(status) && Has(dc, VIRTIO_BLK_F_SIZE_MAX)) {
        status = VirtioPciReadConfig(&dc->pci, BLK_CONFIG_SIZE_MAX, &said->size_max, 4);
    }
    if (NT_SUCCESS(status) && Has(dc, VIRTIO_BLK_F_SEG_MAX)) {
        status = VirtioPciReadConfig(&dc->pci, BLK_CONFIG_SEG_MAX, &said->seg_max, 4);
    }
    if (NT_SUCCESS(status) && Has(dc, VIRTIO_BLK_F_BLK_SIZE)) {
        status = VirtioPciReadConfig(&dc->pci, BLK_CONFIG_BLK_SIZE, &said->block_size, 4);
    }
    if (NT_SUCCESS(status) && Has(dc, VIRTIO_BLK_F_CONFIG_WCE)) {
        status = VirtioPciReadConfig(&dc->pci, BLK_CONFIG_WRITEBACK, &said->writeback, 1);
    }
    return status;
}

static NTSTATUS CheckConfig(const BLK_SAID *said) {
    if (said->block_size < BLK_SECTOR_SIZE || said->block_size > BLK_MAX_BLOCK_SIZE ||
        (said->block_size & (said->block_size - 1)) != 0) {
        Vq7Log("block size %u is no power of two from 512 to %u\n", said->block_size,
               BLK_MAX_BLOCK_SIZE);
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    return STATUS_SUCCESS;
}

static VOID TakeConfig(DEVICE_CONTEXT *dc, BLK_DEVICE *blk, const BLK_SAID *said) {
    WdfSpinLockAcquire(dc->register_lock); // halves of the capacity are nobody's
    blk->capacity = said->capacity;
    WdfSpinLockRelease(dc->register_lock);
    blk->block_size = said->block_size;
    blk->seg_max = said->seg_max;
    blk->size_max = said->size_max;
    blk->read_only = Has(dc, VIRTIO_BLK_F_RO);
    blk->flush = Has(dc, VIRTIO_BLK_F_FLUSH);
    // 5.2.5: without CONFIG_WCE a device that can flush is taken to be writeback.
    blk->write_cache =
        Has(dc, VIRTIO_BLK_F_CONFIG_WCE) ? (BOOLEAN)(said->writeback != 0) : blk->flush;
}

static NTSTATUS Configure(DEVICE_CONTEXT *dc) {
    BLK_SAID said;
    NTSTATUS status = ReadConfig(dc, &said);

    if (NT_SUCCESS(status)) {
        status = CheckConfig(&said);
    }
    if (!NT_SUCCESS(status)) {
        Vq7Log("bad block device configuration, status 0x%08x\n", (unsigned int)status);
        return status;
    }
    TakeConfig(dc, BlkOf(dc), &said);
    return STATUS_SUCCESS;
}

static NTSTATUS SetLimits(BLK_DEVICE *blk, UINT16 queue_size) {
    BLK_LIMITS *limits = &blk->limits;
    UINT32 segments = BLK_MAX_SEGMENTS;

    if (queue_size < 3) {
        Vq7Log("a queue of %u has no room for header, data and status\n", queue_size);
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    if (segments > (UINT32)queue_size - 2) {
        segments = (UINT32)queue_size - 2;
    }
    if (blk->seg_max != 0 && segments > blk->seg_max) {
        segments = blk->seg_max;
    }
    limits->max_segments = (UINT16)segments;
    limits->size_max = blk->size_max;
    limits->unit = blk->block_size;
    limits->max_bytes = limits->unit > BLK_MAX_TRANSFER ? limits->unit : BLK_MAX_TRANSFER;
    if (blk->size_max != 0 && (UINT64)blk->size_max * segments < limits->max_bytes) {
        limits->max_bytes = blk->size_max * segments;
        limits->max_bytes -= limits->max_bytes % limits->unit;
    }
    if (limits->max_bytes == 0) {
        Vq7Log("size_max %u and seg_max %u leave no room for a block of %u\n", blk->size_max,
               blk->seg_max, blk->block_size);
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    return STATUS_SUCCESS;
}

static VOID QueuesGone(DEVICE_CONTEXT *dc) {
    BLK_DEVICE *blk = BlkOf(dc);

    Vq7DeleteBuffer(&blk->shared_buffer);
    Vq7DeleteBuffer(&blk->bounce_buffer);
    if (blk->slots != NULL) {
        ExFreePoolWithTag(blk->slots, VQ7_POOL_TAG);
        blk->slots = NULL;
    }
    blk->slot_count = 0;
}

static NTSTATUS AllocateSlots(DEVICE_CONTEXT *dc, BLK_DEVICE *blk, UINT16 count) {
    blk->slots =
        (BLK_SLOT *)ExAllocatePoolWithTag(NonPagedPool, count * sizeof(BLK_SLOT), VQ7_POOL_TAG);
    if (blk->slots == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    NTSTATUS status = Vq7CommonBuffer(dc, count * sizeof(BLK_SHARED), &blk->shared_buffer);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    blk->shared = (BLK_SHARED *)WdfCommonBufferGetAlignedVirtualAddress(blk->shared_buffer);
    blk->shared_pa = Vq7BufferAddress(blk->shared_buffer);
    blk->slot_count = count;
    return STATUS_SUCCESS;
}

// A chain takes at least one descriptor, so there are never more virtio requests
// at the device than the queue has descriptors.
static NTSTATUS QueuesReady(DEVICE_CONTEXT *dc) {
    BLK_DEVICE *blk = BlkOf(dc);
    UINT16 count = dc->queues[0].size;
    NTSTATUS status = SetLimits(blk, count);

    blk->odd_length_said = FALSE;
    if (NT_SUCCESS(status) && (blk->slot_count != count || blk->bounce_bytes < blk->limits.unit)) {
        QueuesGone(dc);
        status = AllocateSlots(dc, blk, count);
        if (NT_SUCCESS(status)) {
            status = BlkBounceCreate(dc, blk);
        }
    }
    if (!NT_SUCCESS(status)) {
        return status;
    }
    blk->free_slot = BLK_NO_SLOT;
    for (UINT16 i = count; i-- > 0;) {
        blk->slots[i].io = NULL;
        blk->slots[i].index = i;
        blk->slots[i].next_free = blk->free_slot;
        blk->free_slot = i;
    }
    return STATUS_SUCCESS;
}

// register_lock held.
static BOOLEAN ConfigChanged(DEVICE_CONTEXT *dc) {
    BLK_DEVICE *blk = BlkOf(dc);
    UINT64 capacity;
    NTSTATUS status =
        VirtioPciReadConfig(&dc->pci, BLK_CONFIG_CAPACITY, &capacity, sizeof(capacity));

    if (!NT_SUCCESS(status) || capacity == blk->capacity) {
        return FALSE;
    }
    blk->capacity = capacity;
    return TRUE;
}

static VOID Resume(DEVICE_CONTEXT *dc) {
    BlkPump(&dc->queues[0]);
}

const VQ7_TYPE_OPS BlkType = {
    2,
    "block device",
    1,
    BLK_CHAIN_MAX,
    VIRTIO_FEATURE(VIRTIO_BLK_F_SIZE_MAX) | VIRTIO_FEATURE(VIRTIO_BLK_F_SEG_MAX) |
        VIRTIO_FEATURE(VIRTIO_BLK_F_RO) | VIRTIO_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
        VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) | VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE),
    Create,
    Destroy,
    Configure,
    QueuesReady,
    QueuesGone,
    Resume,
    BlkService,
    ConfigChanged,
    BlkTakeBack,
    BlkOldestAge,
    BlkDeviceControl,
    BlkIoStop,
};
