// SPDX-License-Identifier: MIT
// virtio-blk (Virtio 1.2, 5.2).
#ifndef VQ7_BLK_H_
#define VQ7_BLK_H_

#include "driver.h"
#include "blk_split.h"

// Data segments and bytes of one virtio request; longer IOCTLs are split.
#define BLK_MAX_SEGMENTS 128
#define BLK_MAX_TRANSFER 0x100000u
// Header, data, status.
#define BLK_CHAIN_MAX (BLK_MAX_SEGMENTS + 2)

// 5.2.6
#define VIRTIO_BLK_T_IN 0
#define VIRTIO_BLK_T_OUT 1
#define VIRTIO_BLK_T_FLUSH 4
#define VIRTIO_BLK_T_GET_ID 8
#define VIRTIO_BLK_S_OK 0
#define VIRTIO_BLK_S_IOERR 1
#define VIRTIO_BLK_S_UNSUPP 2
#define VIRTIO_BLK_ID_BYTES 20
#define BLK_SECTOR_SIZE 512u

#define BLK_NO_SLOT 0xFFFF

// What the device sees of a request besides the data; in a common buffer.
typedef struct _BLK_HEADER {
    UINT32 type; // 5.2.6: struct virtio_blk_req up to the data
    UINT32 reserved;
    UINT64 sector;
} BLK_HEADER;

typedef struct _BLK_SHARED {
    BLK_HEADER header;
    UINT8 status; // written by the device
    UINT8 padding[15];
    UINT8 id[VIRTIO_BLK_ID_BYTES]; // GET_ID; written by the device
    UINT8 padding2[12];
} BLK_SHARED;
VIRTIO_STATIC_ASSERT(sizeof(BLK_SHARED) == 64, blk_shared_is_64_bytes);
VIRTIO_STATIC_ASSERT(offsetof(BLK_SHARED, status) == 16, blk_shared_status_at_16);

// Context of every WDFREQUEST: an IOCTL that goes to the device. From its
// retrieval from io_queue until it is completed, guarded by the queue's lock.
typedef struct _BLK_IO {
    LIST_ENTRY link; // active, restart, or a list of finished ones
    WDFREQUEST request;
    UINT32 type; // VIRTIO_BLK_T_*
    UINT64 sector;
    PMDL mdl;  // NULL: no data
    PVOID out; // GET_ID: the caller's buffer
    BLK_CUT cut;
    ULONG_PTR information; // on success
    UINT32 next;           // bytes given to the device
    UINT32 in_flight;      // virtio requests at the device
    NTSTATUS status;       // the first error
    BOOLEAN all_sent;
    BOOLEAN full_counted; // in ring_full
    BOOLEAN done;         // finished: only the completion is left
    BOOLEAN purged;       // the framework wants it completed, not kept
    BOOLEAN hold;         // EvtIoStop looks at it: it completes what is done
    BOOLEAN taken_back;   // of the parts that the device had
    UINT32 resends;       // after a time-out
} BLK_IO;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(BLK_IO, BlkGetIo);

// One virtio request at the device; the cookie of its chain.
typedef struct _BLK_SLOT {
    BLK_IO *io;
    UINT32 bytes;    // data
    UINT32 offset;   // of it in the IOCTL's
    UINT32 sent_ms;  // queue->clock_ms then
    BOOLEAN bounced; // it has the bounce buffer
    UINT16 index;
    UINT16 next_free;
} BLK_SLOT;

// type_context. The queue's lock guards what follows `limits`.
typedef struct _BLK_DEVICE {
    UINT64 capacity; // register_lock
    UINT32 block_size;
    UINT32 seg_max;  // as the device says; 0: not offered
    UINT32 size_max; // the same
    BOOLEAN read_only;
    BOOLEAN flush;
    BOOLEAN write_cache;
    BLK_LIMITS limits;

    LIST_ENTRY active;  // given to the device, or being given
    LIST_ENTRY restart; // taken back at a power-down, to be sent again
    BLK_IO *current;    // of active: not all sent, the ring was full
    BOOLEAN pumping;
    BOOLEAN pump_again;
    UINT16 free_slot;
    BLK_SLOT *slots;
    WDFCOMMONBUFFER shared_buffer;
    BLK_SHARED *shared;
    UINT64 shared_pa;
    UINT16 slot_count;
    WDFCOMMONBUFFER bounce_buffer;
    PUCHAR bounce;
    UINT64 bounce_pa;
    UINT32 bounce_bytes;
    BOOLEAN bounce_busy;        // a request at the device has it
    BOOLEAN odd_length_said;    // in the log
    VIRTQ_SG sg[BLK_CHAIN_MAX]; // scratch: too large for the stack
} BLK_DEVICE;

extern const VQ7_TYPE_OPS BlkType;

static __inline BLK_DEVICE *BlkOf(DEVICE_CONTEXT *dc) {
    return (BLK_DEVICE *)dc->type_context;
}

// blk_transfer.cpp

// <= DISPATCH_LEVEL. Sends what waits, as far as there is room. On a device
// that has failed: completes it with STATUS_DEVICE_NOT_READY.
VOID BlkPump(VQ7_QUEUE *queue);
// <= DISPATCH_LEVEL. Completes all requests of io_queue with `status`.
VOID BlkDrainIoQueue(DEVICE_CONTEXT *dc, NTSTATUS status);
// DISPATCH_LEVEL, queue lock held. Ends a request; it is completed by
// BlkCompleteFinished, without the lock.
VOID BlkFinish(BLK_IO *io, LIST_ENTRY *finished);
VOID BlkCompleteFinished(LIST_ENTRY *finished);

// blk_bounce.cpp
// PASSIVE_LEVEL. The limits are set.
NTSTATUS BlkBounceCreate(DEVICE_CONTEXT *dc, BLK_DEVICE *blk);
// DISPATCH_LEVEL, queue lock held. The data of the next virtio request of `io` goes through
// the bounce buffer: segments from blk->sg[1] on.
// STATUS_DEVICE_BUSY  another request has the buffer
// STATUS_NO_MEMORY    the caller's memory can't be mapped
NTSTATUS BlkBounce(BLK_DEVICE *blk, BLK_IO *io, UINT16 *count, UINT32 *bytes);
// <= DISPATCH_LEVEL. Copies into or out of an MDL chain, `offset` bytes into it.
NTSTATUS BlkCopyMdl(PMDL mdl, UINT32 offset, PUCHAR buffer, UINT32 length, BOOLEAN to_mdl);

// blk_complete.cpp
BOOLEAN BlkService(VQ7_QUEUE *queue);
VOID BlkTakeBack(DEVICE_CONTEXT *dc, VQ7_TAKE_BACK what, NTSTATUS status);
UINT32 BlkOldestAge(VQ7_QUEUE *queue);
VOID BlkIoStop(DEVICE_CONTEXT *dc, WDFREQUEST request, ULONG flags);

// blk_ioctl.cpp
BOOLEAN BlkDeviceControl(DEVICE_CONTEXT *dc, WDFREQUEST request, size_t output_length, ULONG code);

#endif // VQ7_BLK_H_
