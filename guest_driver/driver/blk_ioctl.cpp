// SPDX-License-Identifier: MIT
// The IOCTLs of block devices: checks, and the way into io_queue.
#include "blk.h"

#define MAX_PIECES 4096u

// Everything goes through io_queue, so that requests keep their order and the
// framework cancels those that wait.
static VOID Send(DEVICE_CONTEXT *dc, BLK_IO *io) {
    if (NT_SUCCESS(WdfRequestForwardToIoQueue(io->request, dc->io_queue))) {
        BlkPump(&dc->queues[0]); // the request may be complete by now
    } else {
        WdfRequestComplete(io->request, STATUS_DEVICE_NOT_READY);
    }
}

static BLK_IO *InitIo(WDFREQUEST request, UINT32 type) {
    BLK_IO *io = BlkGetIo(request);

    RtlZeroMemory(io, sizeof(*io));
    io->request = request;
    io->type = type;
    return io;
}

static NTSTATUS PrepareTransfer(BLK_DEVICE *blk, BLK_IO *io, size_t length) {
    const UINT32 block = *(volatile UINT32 *)&blk->block_size; // a restart may change it
    VQ7_BLK_TRANSFER *transfer;
    PVOID input;

    NTSTATUS status =
        WdfRequestRetrieveInputBuffer(io->request, sizeof(VQ7_BLK_TRANSFER), &input, NULL);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    transfer = (VQ7_BLK_TRANSFER *)input;
    // Whole blocks: what a device makes of parts of one is its affair.
    if ((length & (block - 1)) != 0 || (transfer->sector & (block / BLK_SECTOR_SIZE - 1)) != 0 ||
        transfer->segments > MAX_PIECES || transfer->reserved != 0 ||
        !BlkCutInit(&io->cut, (UINT32)length, transfer->segments)) {
        return STATUS_INVALID_PARAMETER;
    }
    io->sector = transfer->sector;
    if (io->sector + length / BLK_SECTOR_SIZE < io->sector) {
        return STATUS_INVALID_PARAMETER; // its parts would be somewhere else
    }
    if (io->type == VIRTIO_BLK_T_OUT && blk->read_only) {
        return STATUS_MEDIA_WRITE_PROTECTED;
    }
    io->information = length;
    return WdfRequestRetrieveOutputWdmMdl(io->request, &io->mdl);
}

static VOID Transfer(DEVICE_CONTEXT *dc, WDFREQUEST request, UINT32 type, size_t length) {
    BLK_IO *io = InitIo(request, type);
    NTSTATUS status = PrepareTransfer(BlkOf(dc), io, length);

    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(request, status);
        return;
    }
    Send(dc, io);
}

static VOID Flush(DEVICE_CONTEXT *dc, WDFREQUEST request) {
    if (!BlkOf(dc)->flush) {
        WdfRequestComplete(request, STATUS_NOT_SUPPORTED);
        return;
    }
    Send(dc, InitIo(request, VIRTIO_BLK_T_FLUSH));
}

static VOID GetId(DEVICE_CONTEXT *dc, WDFREQUEST request) {
    PVOID buffer;
    NTSTATUS status = WdfRequestRetrieveOutputBuffer(request, sizeof(VQ7_BLK_ID), &buffer, NULL);

    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(request, status);
        return;
    }
    BLK_IO *io = InitIo(request, VIRTIO_BLK_T_GET_ID);
    RtlZeroMemory(buffer, sizeof(VQ7_BLK_ID));
    io->out = buffer;
    io->information = sizeof(VQ7_BLK_ID);
    Send(dc, io);
}

static VOID FillInfo(DEVICE_CONTEXT *dc, VQ7_BLK_INFO *info) {
    BLK_DEVICE *blk = BlkOf(dc);

    RtlZeroMemory(info, sizeof(*info));
    info->size = sizeof(*info);
    info->block_size = blk->block_size;
    WdfSpinLockAcquire(dc->register_lock);
    info->capacity = blk->capacity;
    WdfSpinLockRelease(dc->register_lock);
    info->seg_max = blk->seg_max;
    info->size_max = blk->size_max;
    info->max_segments = blk->limits.max_segments;
    info->max_transfer = blk->limits.max_bytes;
    info->read_only = blk->read_only;
    info->flush = blk->flush;
    info->write_cache = blk->write_cache;
}

static VOID GetInfo(DEVICE_CONTEXT *dc, WDFREQUEST request) {
    PVOID buffer;
    NTSTATUS status = WdfRequestRetrieveOutputBuffer(request, sizeof(VQ7_BLK_INFO), &buffer, NULL);

    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(request, status);
        return;
    }
    FillInfo(dc, (VQ7_BLK_INFO *)buffer);
    WdfRequestCompleteWithInformation(request, STATUS_SUCCESS, sizeof(VQ7_BLK_INFO));
}

BOOLEAN BlkDeviceControl(DEVICE_CONTEXT *dc, WDFREQUEST request, size_t output_length, ULONG code) {
    switch (code) {
    case IOCTL_VQ7_BLK_GET_INFO:
        GetInfo(dc, request);
        return TRUE;
    case IOCTL_VQ7_BLK_READ:
        Transfer(dc, request, VIRTIO_BLK_T_IN, output_length);
        return TRUE;
    case IOCTL_VQ7_BLK_WRITE:
        Transfer(dc, request, VIRTIO_BLK_T_OUT, output_length);
        return TRUE;
    case IOCTL_VQ7_BLK_FLUSH:
        Flush(dc, request);
        return TRUE;
    case IOCTL_VQ7_BLK_GET_ID:
        GetId(dc, request);
        return TRUE;
    default:
        return FALSE;
    }
}
