// SPDX-License-Identifier: MIT
// How the data of one IOCTL is cut into virtio-blk requests, and each of those
// into segments. WDF-free, so that it is tested on the host.
#ifndef VQ7_BLK_SPLIT_H_
#define VQ7_BLK_SPLIT_H_

#include "virtio_sg_pfn.h"

// What one virtio request may hold.
typedef struct _BLK_LIMITS {
    UINT16 max_segments; // data segments
    UINT32 max_bytes;    // data bytes, a multiple of unit
    UINT32 size_max;     // bytes of one segment; 0: no limit
    UINT32 unit;         // requests are cut at multiples of this (the block size)
} BLK_LIMITS;

// Where the caller wants segments to end: `total` bytes in pieces, the first
// `longer` of which have base + 1 bytes, the others base.
typedef struct _BLK_CUT {
    UINT32 total;
    UINT32 base;
    UINT32 longer;
} BLK_CUT;

// pieces 0: no cuts. FALSE: more pieces than bytes, or no bytes.
BOOLEAN BlkCutInit(BLK_CUT *cut, UINT32 total, UINT32 pieces);

// Where the piece that holds byte `offset` (< total) ends.
UINT32 BlkCutEnd(const BLK_CUT *cut, UINT32 offset);

// Shortens a list to `bytes` bytes, which is at most what it holds. Returns the
// new count.
UINT16 BlkTrimSegments(VIRTQ_SG *sg, UINT16 count, UINT32 bytes);

// The data of one virtio request, directly from memory.
//
//   mdl           the data, locked in memory; `cut->total` bytes
//   offset        where this request starts; below cut->total
//   device_write  the device writes the data (a read)
//   sg            room for limits->max_segments
//
// STATUS_SUCCESS            *count segments, *bytes bytes: the rest of the data,
//                           or a multiple of limits->unit. 0 bytes: memory lies so
//                           that not even one unit fits; it has to be bounced
// STATUS_INVALID_PARAMETER  the MDL is shorter than the data
//
// IRQL <= DISPATCH_LEVEL.
NTSTATUS BlkBuildPart(const BLK_LIMITS *limits, const BLK_CUT *cut, PMDL mdl, UINT32 offset,
                      BOOLEAN device_write, VIRTQ_SG *sg, UINT16 *count, UINT32 *bytes);

// The data of one virtio request through a buffer of the driver's, `room` bytes at device
// address `address`: how many bytes it takes (a multiple of limits->unit, or the rest), in
// sg[0..*count).
UINT32 BlkBouncePart(const BLK_LIMITS *limits, const BLK_CUT *cut, UINT32 offset, UINT64 address,
                     UINT32 room, BOOLEAN device_write, VIRTQ_SG *sg, UINT16 *count);

#endif // VQ7_BLK_SPLIT_H_
