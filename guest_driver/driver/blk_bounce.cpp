// SPDX-License-Identifier: MIT
// Data that the device can't take from where it lies: too many pieces for a block of it to fit
// into one request (seg_max, size_max). It goes through a buffer of the driver's, one request
// at a time.
#include "blk.h"

#define BOUNCE_BYTES 0x10000u

NTSTATUS BlkBounceCreate(DEVICE_CONTEXT *dc, BLK_DEVICE *blk) {
    UINT32 bytes = blk->limits.unit > BOUNCE_BYTES ? blk->limits.unit : BOUNCE_BYTES;
    NTSTATUS status = Vq7CommonBuffer(dc, bytes, &blk->bounce_buffer);

    if (!NT_SUCCESS(status)) {
        return status;
    }
    blk->bounce = (PUCHAR)WdfCommonBufferGetAlignedVirtualAddress(blk->bounce_buffer);
    blk->bounce_pa = Vq7BufferAddress(blk->bounce_buffer);
    blk->bounce_bytes = bytes;
    return STATUS_SUCCESS;
}

NTSTATUS BlkCopyMdl(PMDL mdl, UINT32 offset, PUCHAR buffer, UINT32 length, BOOLEAN to_mdl) {
    for (; mdl != NULL && length != 0; mdl = mdl->Next) {
        UINT32 bytes = MmGetMdlByteCount(mdl);
        if (offset >= bytes) {
            offset -= bytes;
            continue;
        }
        bytes = bytes - offset < length ? bytes - offset : length;
        PUCHAR data = (PUCHAR)MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority);
        if (data == NULL) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        RtlCopyMemory(to_mdl ? data + offset : buffer, to_mdl ? buffer : data + offset, bytes);
        buffer += bytes;
        length -= bytes;
        offset = 0;
    }
    return length == 0 ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
}

// So that the copy back can't fail any more when the device has done its part.
static NTSTATUS MapMdl(PMDL mdl) {
    for (; mdl != NULL; mdl = mdl->Next) {
        if (MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority) == NULL) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
    }
    return STATUS_SUCCESS;
}

NTSTATUS BlkBounce(BLK_DEVICE *blk, BLK_IO *io, UINT16 *count, UINT32 *bytes) {
    BOOLEAN read = (BOOLEAN)(io->type == VIRTIO_BLK_T_IN);

    if (blk->bounce_busy) {
        return STATUS_DEVICE_BUSY;
    }
    *bytes = BlkBouncePart(&blk->limits, &io->cut, io->next, blk->bounce_pa, blk->bounce_bytes,
                           read, &blk->sg[1], count);
    if (read) {
        RtlZeroMemory(blk->bounce, *bytes); // a device that writes nothing shows nobody's data
    }
    NTSTATUS status =
        read ? MapMdl(io->mdl) : BlkCopyMdl(io->mdl, io->next, blk->bounce, *bytes, FALSE);
    // No memory to map it: an error of this request's, not a reason to wait.
    return NT_SUCCESS(status) ? status : STATUS_NO_MEMORY;
}
