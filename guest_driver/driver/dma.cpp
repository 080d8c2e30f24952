// SPDX-License-Identifier: MIT
// Memory that is shared with the device, and what the device calls it.
//
// A device takes physical addresses, unless ACCESS_PLATFORM is negotiated: then those that
// the platform gives it (Virtio 1.2, 6.1). Rings, tables and headers are common buffers, whose
// logical addresses these are; but the data is described by the page frames of its MDL. So
// with ACCESS_PLATFORM the two have to be the same, as they are where no IOMMU translates.
#include "driver.h"

static UINT64 PhysicalAddress(PUCHAR va) {
    return (UINT64)MmGetPhysicalAddress(va).QuadPart;
}

UINT64 Vq7BufferAddress(WDFCOMMONBUFFER buffer) {
    return PhysicalAddress((PUCHAR)WdfCommonBufferGetAlignedVirtualAddress(buffer));
}

static NTSTATUS CheckAddress(DEVICE_CONTEXT *dc, WDFCOMMONBUFFER buffer, size_t length) {
    PUCHAR va = (PUCHAR)WdfCommonBufferGetAlignedVirtualAddress(buffer);
    UINT64 logical = (UINT64)WdfCommonBufferGetAlignedLogicalAddress(buffer).QuadPart;
    UINT64 physical = PhysicalAddress(va);

    for (size_t at = PAGE_SIZE; at < length; at += PAGE_SIZE) {
        if (PhysicalAddress(va + at) != physical + at) {
            Vq7Log("a common buffer is contiguous through an IOMMU alone: not supported\n");
            return STATUS_NOT_SUPPORTED;
        }
    }
    if ((dc->pci.driver_features & VIRTIO_FEATURE(VIRTIO_F_ACCESS_PLATFORM_BIT)) != 0 &&
        logical != physical) {
        Vq7Log("%02x:%02x.%x takes addresses that an IOMMU translates (ACCESS_PLATFORM): not "
               "supported\n",
               dc->bus_number, dc->slot, dc->function);
        return STATUS_NOT_SUPPORTED;
    }
    return STATUS_SUCCESS;
}

NTSTATUS Vq7CommonBuffer(DEVICE_CONTEXT *dc, size_t length, WDFCOMMONBUFFER *buffer) {
    WDF_COMMON_BUFFER_CONFIG config;

    WDF_COMMON_BUFFER_CONFIG_INIT(&config, PAGE_SIZE - 1);
    NTSTATUS status =
        WdfCommonBufferCreateWithConfig(dc->dma, length, &config, WDF_NO_OBJECT_ATTRIBUTES, buffer);
    if (!NT_SUCCESS(status)) {
        *buffer = NULL;
        Vq7Log("no common buffer of %u bytes, status 0x%08x\n", (unsigned int)length,
               (unsigned int)status);
        return status;
    }
    status = CheckAddress(dc, *buffer, length);
    if (!NT_SUCCESS(status)) {
        Vq7DeleteBuffer(buffer);
        return status;
    }
    RtlZeroMemory(WdfCommonBufferGetAlignedVirtualAddress(*buffer), length);
    return STATUS_SUCCESS;
}

VOID Vq7DeleteBuffer(WDFCOMMONBUFFER *buffer) {
    if (*buffer != NULL) {
        WdfObjectDelete(*buffer);
        *buffer = NULL;
    }
}
