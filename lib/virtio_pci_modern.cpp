// SPDX-License-Identifier: MIT
//
// The modern virtio-pci transport: common configuration structure, notify
// structure and 64-bit features (Virtio 1.2, 4.1.4.3, 4.1.4.4).

#include "virtio_pci_private.h"

namespace {

UINT8 ModernGetStatus(VIRTIO_PCI_DEVICE *device) {
    return VirtioPciRegionRead8(device, &device->common, VIRTIO_PCI_COMMON_STATUS);
}

VOID ModernSetStatus(VIRTIO_PCI_DEVICE *device, UINT8 status) {
    VirtioPciRegionWrite8(device, &device->common, VIRTIO_PCI_COMMON_STATUS, status);
}

UINT64 ModernGetFeatures(VIRTIO_PCI_DEVICE *device) {
    UINT32 half[2];
    UINT32 i;
    for (i = 0; i < 2; i++) {
        VirtioPciRegionWrite32(device, &device->common, VIRTIO_PCI_COMMON_DEVICE_FEATURE_SELECT, i);
        half[i] = VirtioPciRegionRead32(device, &device->common, VIRTIO_PCI_COMMON_DEVICE_FEATURE);
    }
    return ((UINT64)half[1] << 32) | half[0];
}

VOID ModernSetFeatures(VIRTIO_PCI_DEVICE *device, UINT64 features) {
    UINT32 i;
    for (i = 0; i < 2; i++) {
        VirtioPciRegionWrite32(device, &device->common, VIRTIO_PCI_COMMON_DRIVER_FEATURE_SELECT, i);
        VirtioPciRegionWrite32(device, &device->common, VIRTIO_PCI_COMMON_DRIVER_FEATURE,
                               (UINT32)(i == 0 ? features : features >> 32));
    }
}

UINT16 ModernCountQueues(VIRTIO_PCI_DEVICE *device) {
    UINT16 count = VirtioPciRegionRead16(device, &device->common, VIRTIO_PCI_COMMON_NUM_QUEUES);
    return count > VIRTIO_PCI_MAX_QUEUES ? (UINT16)VIRTIO_PCI_MAX_QUEUES : count;
}

UINT16 ModernSelectQueue(VIRTIO_PCI_DEVICE *device, UINT16 queue) {
    VirtioPciRegionWrite16(device, &device->common, VIRTIO_PCI_COMMON_QUEUE_SELECT, queue);
    return VirtioPciRegionRead16(device, &device->common, VIRTIO_PCI_COMMON_QUEUE_SIZE);
}

// 64-bit fields are written as two 32-bit halves, low half first (4.1.3.1).
VOID WriteAddress(VIRTIO_PCI_DEVICE *device, UINT32 offset, UINT64 address) {
    VirtioPciRegionWrite32(device, &device->common, offset, (UINT32)address);
    VirtioPciRegionWrite32(device, &device->common, offset + 4, (UINT32)(address >> 32));
}

// Where queue_notify_off and the multiplier lead (4.1.4.4): inside the region.
NTSTATUS NotifyOffset(VIRTIO_PCI_DEVICE *device, UINT32 *offset) {
    UINT16 off = VirtioPciRegionRead16(device, &device->common, VIRTIO_PCI_COMMON_QUEUE_NOTIFY_OFF);
    UINT64 at = (UINT64)off * device->notify_off_multiplier;

    if (at + 2 > device->notify.length) {
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    *offset = (UINT32)at;
    return STATUS_SUCCESS;
}

NTSTATUS ModernEnableQueue(VIRTIO_PCI_DEVICE *device, UINT16 queue, UINT16 size, UINT64 desc_pa,
                           UINT64 avail_pa, UINT64 used_pa, UINT16 vector) {
    VIRTIO_PCI_REGION *common = &device->common;
    UINT32 notify_offset = 0;
    NTSTATUS status;

    // Alignments of 2.7: 16, 2 and 4 bytes.
    if ((desc_pa & 15) != 0 || (avail_pa & 1) != 0 || (used_pa & 3) != 0) {
        return STATUS_INVALID_PARAMETER;
    }
    if (VirtioPciRegionRead16(device, common, VIRTIO_PCI_COMMON_QUEUE_ENABLE) != 0) {
        return STATUS_DEVICE_BUSY;
    }
    status = NotifyOffset(device, &notify_offset);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    if (device->msix) {
        // 4.1.5.1.2.1: a device that can't use the vector reads back NO_VECTOR.
        VirtioPciRegionWrite16(device, common, VIRTIO_PCI_COMMON_QUEUE_VECTOR, vector);
        if (VirtioPciRegionRead16(device, common, VIRTIO_PCI_COMMON_QUEUE_VECTOR) != vector) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
    }
    // After all that may be refused: what it reads then is the largest size no more.
    VirtioPciRegionWrite16(device, common, VIRTIO_PCI_COMMON_QUEUE_SIZE, size);
    if (VirtioPciRegionRead16(device, common, VIRTIO_PCI_COMMON_QUEUE_SIZE) != size) {
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    WriteAddress(device, VIRTIO_PCI_COMMON_QUEUE_DESC, desc_pa);
    WriteAddress(device, VIRTIO_PCI_COMMON_QUEUE_DRIVER, avail_pa);
    WriteAddress(device, VIRTIO_PCI_COMMON_QUEUE_DEVICE, used_pa);
    VirtioPciRegionWrite16(device, common, VIRTIO_PCI_COMMON_QUEUE_ENABLE, 1);
    device->queue_notify_offset[queue] = notify_offset;
    return STATUS_SUCCESS;
}

NTSTATUS ModernSetConfigVector(VIRTIO_PCI_DEVICE *device, UINT16 vector) {
    VirtioPciRegionWrite16(device, &device->common, VIRTIO_PCI_COMMON_CONFIG_VECTOR, vector);
    if (VirtioPciRegionRead16(device, &device->common, VIRTIO_PCI_COMMON_CONFIG_VECTOR) != vector) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    return STATUS_SUCCESS;
}

UINT8 ModernConfigGeneration(VIRTIO_PCI_DEVICE *device) {
    return VirtioPciRegionRead8(device, &device->common, VIRTIO_PCI_COMMON_GENERATION);
}

const VIRTIO_PCI_OPS ModernOps = {ModernGetStatus,   ModernSetStatus,       ModernGetFeatures,
                                  ModernSetFeatures, ModernCountQueues,     ModernSelectQueue,
                                  ModernEnableQueue, ModernSetConfigVector, ModernConfigGeneration};

} // namespace

NTSTATUS VirtioPciModernInit(VIRTIO_PCI_DEVICE *device) {
    NTSTATUS status = VirtioPciFindCapabilities(device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    device->modern = TRUE;
    device->ops = &ModernOps;
    return STATUS_SUCCESS;
}
