// SPDX-License-Identifier: MIT
#include "blk_split.h"

BOOLEAN BlkCutInit(BLK_CUT *cut, UINT32 total, UINT32 pieces) {
    if (pieces == 0) {
        pieces = 1;
    }
    if (pieces > total) { // also where there are no bytes
        return FALSE;
    }
    cut->total = total;
    cut->base = total / pieces;
    cut->longer = total % pieces;
    return TRUE;
}

UINT32 BlkCutEnd(const BLK_CUT *cut, UINT32 offset) {
    // No overflow: both products are at most cut->total.
    UINT32 longer_bytes = cut->longer * (cut->base + 1);

    if (offset < longer_bytes) {
        return (offset / (cut->base + 1) + 1) * (cut->base + 1);
    }
    return longer_bytes + ((offset - longer_bytes) / cut->base + 1) * cut->base;
}

static UINT32 Smaller(UINT32 a, UINT32 b) {
    return a < b ? a : b;
}

UINT16 BlkTrimSegments(VIRTQ_SG *sg, UINT16 count, UINT32 bytes) {
    UINT16 i;

    for (i = 0; i < count && bytes != 0; i++) {
        sg[i].len = Smaller(sg[i].len, bytes);
        bytes -= sg[i].len;
    }
    return i;
}

static UINT32 SumOf(const VIRTQ_SG *sg, UINT16 count) {
    UINT32 sum = 0;

    for (UINT16 i = 0; i < count; i++) {
        sum += sg[i].len;
    }
    return sum;
}

NTSTATUS BlkBuildPart(const BLK_LIMITS *limits, const BLK_CUT *cut, PMDL mdl, UINT32 offset,
                      BOOLEAN device_write, VIRTQ_SG *sg, UINT16 *count, UINT32 *bytes) {
    UINT32 end = offset + Smaller(limits->max_bytes, cut->total - offset);
    UINT32 position = offset;
    UINT16 used = 0;

    while (position < end && used < limits->max_segments) {
        UINT32 piece = Smaller(BlkCutEnd(cut, position), end) - position;
        UINT16 room = (UINT16)(limits->max_segments - used);
        UINT16 got;

        if (limits->size_max != 0) {
            piece = Smaller(piece, limits->size_max);
        }
        NTSTATUS status =
            VirtioSgBuildFromMdl(mdl, position, piece, device_write, sg + used, room, &got);
        if (status == STATUS_BUFFER_TOO_SMALL) {
            got = room; // the first ones are there, and this request is full
        } else if (!NT_SUCCESS(status)) {
            return status;
        }
        position += SumOf(sg + used, got);
        used = (UINT16)(used + got);
    }

    UINT32 length = position - offset;
    if (position != cut->total) {
        length -= length % limits->unit;
    }
    *count = BlkTrimSegments(sg, used, length);
    *bytes = length;
    return STATUS_SUCCESS;
}

UINT32 BlkBouncePart(const BLK_LIMITS *limits, const BLK_CUT *cut, UINT32 offset, UINT64 address,
                     UINT32 room, BOOLEAN device_write, VIRTQ_SG *sg, UINT16 *count) {
    UINT32 bytes = Smaller(Smaller(room, limits->max_bytes), cut->total - offset);
    UINT32 piece;
    UINT16 used = 0;

    if (bytes != cut->total - offset) {
        bytes -= bytes % limits->unit;
    }
    for (UINT32 at = 0; at < bytes; at += piece) {
        piece = limits->size_max != 0 ? Smaller(limits->size_max, bytes - at) : bytes;
        sg[used].addr = address + at;
        sg[used].len = piece;
        sg[used].write = device_write;
        used++;
    }
    *count = used;
    return bytes;
}
