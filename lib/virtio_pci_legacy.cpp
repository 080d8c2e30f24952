// SPDX-License-Identifier: MIT
//
// The legacy virtio-pci transport: registers at the start of BAR0, 32-bit
// features, one page frame number a queue (Virtio 1.2, 4.1.4.10, 4.1.5.1.3.1).

#include "virtio_pci_private.h"

namespace {

UINT8 LegacyGetStatus(VIRTIO_PCI_DEVICE *device) {
    return VirtioPciRegionRead8(device, &device->common, VIRTIO_PCI_LEGACY_STATUS);
}

VOID LegacySetStatus(VIRTIO_PCI_DEVICE *device, UINT8 status) {
    VirtioPciRegionWrite8(device, &device->common, VIRTIO_PCI_LEGACY_STATUS, status);
}

UINT64 LegacyGetFeatures(VIRTIO_PCI_DEVICE *device) {
    return VirtioPciRegionRead32(device, &device->common, VIRTIO_PCI_LEGACY_DEVICE_FEATURES);
}

VOID LegacySetFeatures(VIRTIO_PCI_DEVICE *device, UINT64 features) {
    VirtioPciRegionWrite32(device, &device->common, VIRTIO_PCI_LEGACY_DRIVER_FEATURES,
                           (UINT32)features);
}

UINT16 LegacySelectQueue(VIRTIO_PCI_DEVICE *device, UINT16 queue) {
    VirtioPciRegionWrite16(device, &device->common, VIRTIO_PCI_LEGACY_QUEUE_SELECT, queue);
    return VirtioPciRegionRead16(device, &device->common, VIRTIO_PCI_LEGACY_QUEUE_SIZE);
}

// Legacy has no count; queue numbers may have gaps (optional queues that were
// not negotiated), so the last queue of non-zero size tells.
UINT16 LegacyCountQueues(VIRTIO_PCI_DEVICE *device) {
    UINT16 count = 0;
    UINT16 queue;
    for (queue = 0; queue < VIRTIO_PCI_MAX_QUEUES; queue++) {
        if (LegacySelectQueue(device, queue) != 0) {
            count = (UINT16)(queue + 1);
        }
    }
    return count;
}

NTSTATUS LegacyEnableQueue(VIRTIO_PCI_DEVICE *device, UINT16 queue, UINT16 size, UINT64 desc_pa,
                           UINT64 avail_pa, UINT64 used_pa, UINT16 vector) {
    VIRTIO_PCI_REGION *common = &device->common;
    UINT64 pfn = desc_pa >> VIRTIO_PCI_LEGACY_PAGE_SHIFT;

    // The device derives the two other areas from the first: a layout that it
    // would not see is refused (2.7.2, legacy interface).
    UINT64 avail_expected = desc_pa + (UINT64)16 * size;
    UINT64 used_expected = VIRTIO_ALIGN_UP(avail_expected + 6 + (UINT64)2 * size, (UINT64)4096);
    if ((desc_pa & 4095) != 0 || (pfn >> 32) != 0 || avail_pa != avail_expected ||
        used_pa != used_expected) {
        return STATUS_INVALID_PARAMETER;
    }
    if (VirtioPciRegionRead32(device, common, VIRTIO_PCI_LEGACY_QUEUE_PFN) != 0) {
        return STATUS_DEVICE_BUSY;
    }
    if (device->msix) {
        VirtioPciRegionWrite16(device, common, VIRTIO_PCI_LEGACY_QUEUE_VECTOR, vector);
        if (VirtioPciRegionRead16(device, common, VIRTIO_PCI_LEGACY_QUEUE_VECTOR) != vector) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
    }
    VirtioPciRegionWrite32(device, common, VIRTIO_PCI_LEGACY_QUEUE_PFN, (UINT32)pfn);
    device->queue_notify_offset[queue] = VIRTIO_PCI_LEGACY_QUEUE_NOTIFY;
    return STATUS_SUCCESS;
}

NTSTATUS LegacySetConfigVector(VIRTIO_PCI_DEVICE *device, UINT16 vector) {
    VirtioPciRegionWrite16(device, &device->common, VIRTIO_PCI_LEGACY_CONFIG_VECTOR, vector);
    if (VirtioPciRegionRead16(device, &device->common, VIRTIO_PCI_LEGACY_CONFIG_VECTOR) != vector) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    return STATUS_SUCCESS;
}

UINT8 LegacyConfigGeneration(VIRTIO_PCI_DEVICE *device) {
    (void)device;
    return 0;
}

const VIRTIO_PCI_OPS LegacyOps = {LegacyGetStatus,   LegacySetStatus,       LegacyGetFeatures,
                                  LegacySetFeatures, LegacyCountQueues,     LegacySelectQueue,
                                  LegacyEnableQueue, LegacySetConfigVector, LegacyConfigGeneration};

} // namespace

NTSTATUS VirtioPciLegacyInit(VIRTIO_PCI_DEVICE *device) {
    UINT64 length = device->io->BarLength(device->io_context, VIRTIO_PCI_LEGACY_BAR);
    UINT32 config = device->msix ? VIRTIO_PCI_LEGACY_CONFIG_MSIX : VIRTIO_PCI_LEGACY_CONFIG_NO_MSIX;
    UINT8 revision = device->io->ConfigRead8(device->io_context, PCI_CFG_REVISION_ID);

    // Transitional ids with revision 0 have the legacy interface (4.1.2.1,
    // 4.1.2.3), and its registers are in BAR0.
    if (device->pci_device_id > VIRTIO_PCI_DEVICE_ID_TRANSITIONAL_LAST || revision != 0 ||
        length < config) {
        return STATUS_NOT_FOUND;
    }
    if (length > config + VIRTIO_PCI_MAX_CONFIG) {
        length = config + VIRTIO_PCI_MAX_CONFIG;
    }
    // A modern interface that was looked at and found incomplete has left its
    // regions. All of the legacy ones start with BAR0.
    VirtioPciForgetRegions(device);
    device->common.length = config;
    device->isr.offset = VIRTIO_PCI_LEGACY_ISR;
    device->isr.length = 1;
    device->config.offset = config;
    device->config.length = (UINT32)length - config;
    device->config.present = (BOOLEAN)(device->config.length != 0);
    device->ops = &LegacyOps;
    return STATUS_SUCCESS;
}
