// SPDX-License-Identifier: MIT
//
// What the two virtio-pci transports have in common: choosing one, the device
// status protocol, checks of arguments, device configuration.

#include "virtio_pci_private.h"

namespace {

// Feature bits 24 to 49 are no device type's own (2.2): they change the transport
// or the ring (6), or will. Those which this library has no code for are never
// accepted, whatever the caller wants: packed ring, in-order, queue reset ...
const UINT64 KnownTransportFeatures =
    VIRTIO_FEATURE(VIRTIO_F_NOTIFY_ON_EMPTY_BIT) | VIRTIO_FEATURE(VIRTIO_F_ANY_LAYOUT_BIT) |
    VIRTIO_FEATURE(VIRTIO_F_RING_INDIRECT_DESC_BIT) | VIRTIO_FEATURE(VIRTIO_F_RING_EVENT_IDX_BIT) |
    VIRTIO_FEATURE(VIRTIO_F_VERSION_1_BIT) | VIRTIO_FEATURE(VIRTIO_F_ACCESS_PLATFORM_BIT) |
    VIRTIO_FEATURE(VIRTIO_F_ORDER_PLATFORM_BIT);
const UINT64 TransportFeatureRange =
    (VIRTIO_FEATURE(50) - 1) & ~(VIRTIO_FEATURE(VIRTIO_F_NOTIFY_ON_EMPTY_BIT) - 1);

// How often ReadConfig tries for one generation; a device that changes its
// configuration faster than that is broken.
const UINT32 ConfigAttempts = 64;

// What the status reads as where no device answers. None has it otherwise: some of
// these bits are reserved (2.1).
const UINT8 AllOnes = 0xFF;

BOOLEAN IoIsComplete(const VIRTIO_PCI_IO *io) {
    return io->ConfigRead8 != NULL && io->ConfigRead16 != NULL && io->ConfigRead32 != NULL &&
           io->BarLength != NULL && io->Read8 != NULL && io->Read16 != NULL && io->Read32 != NULL &&
           io->Write8 != NULL && io->Write16 != NULL && io->Write32 != NULL && io->Stall != NULL;
}

// 4.1.2.1: the type is in the device id of a modern device, and in the
// subsystem id of a transitional one.
BOOLEAN Identify(VIRTIO_PCI_DEVICE *device) {
    const VIRTIO_PCI_IO *io = device->io;
    void *context = device->io_context;

    device->vendor_id = io->ConfigRead16(context, PCI_CFG_VENDOR_ID);
    device->pci_device_id = io->ConfigRead16(context, PCI_CFG_DEVICE_ID);
    if (device->vendor_id != VIRTIO_PCI_VENDOR_ID ||
        device->pci_device_id < VIRTIO_PCI_DEVICE_ID_TRANSITIONAL_FIRST ||
        device->pci_device_id > VIRTIO_PCI_DEVICE_ID_MODERN_LAST) {
        return FALSE;
    }
    if (device->pci_device_id >= VIRTIO_PCI_DEVICE_ID_MODERN_FIRST) {
        device->device_type = (UINT16)(device->pci_device_id - VIRTIO_PCI_DEVICE_ID_MODERN_FIRST);
    } else {
        device->device_type = io->ConfigRead16(context, PCI_CFG_SUBSYSTEM_ID);
    }
    return TRUE;
}

VOID ForgetQueues(VIRTIO_PCI_DEVICE *device) {
    UINT32 i;
    for (i = 0; i < VIRTIO_PCI_MAX_QUEUES; i++) {
        device->queue_notify_offset[i] = VIRTIO_PCI_NOTIFY_NONE;
    }
}

// Nothing, before VirtioPciInit has succeeded.
VOID AddStatus(VIRTIO_PCI_DEVICE *device, UINT8 bits) {
    if (device->ops == NULL) {
        return;
    }
    device->ops->SetStatus(device, (UINT8)(device->ops->GetStatus(device) | bits));
}

// The end of a negotiation that failed (3.1.1): no queue is set up after it.
NTSTATUS GiveUp(VIRTIO_PCI_DEVICE *device) {
    device->num_queues = 0;
    VirtioPciFail(device);
    return STATUS_NOT_SUPPORTED;
}

BOOLEAN IsPowerOfTwo(UINT16 value) {
    return value != 0 && (value & (value - 1)) == 0;
}

// A field of 2, 4 or 8 bytes at its natural alignment is read by its width, 8
// as two halves; anything else is a field of bytes (4.1.3.1).
UINT32 AccessWidth(UINT32 offset, UINT32 length) {
    if (length == 8 && (offset & 3) == 0) {
        return 4;
    }
    if ((length == 2 || length == 4) && (offset & (length - 1)) == 0) {
        return length;
    }
    return 1;
}

VOID ReadOnce(VIRTIO_PCI_DEVICE *device, UINT32 offset, UINT8 *out, UINT32 length) {
    UINT32 width = AccessWidth(offset, length);
    UINT32 i;
    UINT32 j;
    for (i = 0; i < length; i += width) {
        UINT32 value;
        if (width == 4) {
            value = VirtioPciRegionRead32(device, &device->config, offset + i);
        } else if (width == 2) {
            value = VirtioPciRegionRead16(device, &device->config, offset + i);
        } else {
            value = VirtioPciRegionRead8(device, &device->config, offset + i);
        }
        for (j = 0; j < width; j++) {
            out[i + j] = (UINT8)(value >> (8 * j));
        }
    }
}

// Legacy has no generation: two readings that agree have to do (2.5.4).
BOOLEAN ReadsTheSameAgain(VIRTIO_PCI_DEVICE *device, UINT32 offset, const UINT8 *out,
                          UINT32 length) {
    UINT32 width = AccessWidth(offset, length);
    UINT8 again[8];
    UINT32 i;
    UINT32 j;
    for (i = 0; i < length; i += width) {
        ReadOnce(device, offset + i, again, width);
        for (j = 0; j < width; j++) {
            if (again[j] != out[i + j]) {
                return FALSE;
            }
        }
    }
    return TRUE;
}

BOOLEAN ConfigHolds(VIRTIO_PCI_DEVICE *device, UINT32 offset, UINT32 length) {
    return device->config.present && offset <= device->config.length &&
           length <= device->config.length - offset;
}

} // namespace

NTSTATUS VirtioPciInit(VIRTIO_PCI_DEVICE *device, const VIRTIO_PCI_IO *io, void *io_context,
                       VIRTIO_PCI_MODE mode, BOOLEAN msix) {
    NTSTATUS status = STATUS_NOT_FOUND;

    if (device == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    VirtioZeroMemory(device, sizeof(*device));
    if (io == NULL || !IoIsComplete(io) ||
        (mode != VirtioPciModeAuto && mode != VirtioPciModeLegacy && mode != VirtioPciModeModern)) {
        return STATUS_INVALID_PARAMETER;
    }
    device->io = io;
    device->io_context = io_context;
    device->msix = (BOOLEAN)(msix != FALSE);
    ForgetQueues(device);
    if (!Identify(device)) {
        return STATUS_NOT_SUPPORTED;
    }
    if (mode != VirtioPciModeLegacy) {
        status = VirtioPciModernInit(device);
        device->modern_status = status;
    }
    if (mode == VirtioPciModeLegacy || (mode == VirtioPciModeAuto && !NT_SUCCESS(status))) {
        NTSTATUS legacy = VirtioPciLegacyInit(device);
        // Where there is no other interface, what is wrong with the modern one says more.
        if (mode == VirtioPciModeLegacy || NT_SUCCESS(legacy)) {
            status = legacy;
        }
    }
    if (!NT_SUCCESS(status)) {
        VirtioPciForgetRegions(device);
    }
    return status;
}

NTSTATUS VirtioPciGetRegion(const VIRTIO_PCI_DEVICE *device, UINT32 index,
                            VIRTIO_PCI_REGION *region) {
    const VIRTIO_PCI_REGION *regions[3];

    if (device->ops == NULL) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    regions[0] = &device->common;
    regions[1] = &device->isr;
    regions[2] = &device->config;
    for (UINT32 i = 0; i < 3; i++) {
        if (regions[i]->length != 0 && index-- == 0) {
            *region = *regions[i];
            return STATUS_SUCCESS;
        }
    }
    return STATUS_NO_MORE_ENTRIES;
}

NTSTATUS VirtioPciGetNotifyRegion(const VIRTIO_PCI_DEVICE *device, UINT16 queue,
                                  VIRTIO_PCI_REGION *region) {
    if (device->ops == NULL) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    if (queue >= VIRTIO_PCI_MAX_QUEUES ||
        device->queue_notify_offset[queue] == VIRTIO_PCI_NOTIFY_NONE) {
        return STATUS_NOT_FOUND;
    }
    *region = device->notify;
    region->offset += device->queue_notify_offset[queue];
    region->length = 2;
    return STATUS_SUCCESS;
}

NTSTATUS VirtioPciReset(VIRTIO_PCI_DEVICE *device, UINT32 timeout_ms) {
    UINT32 waited = 0;

    if (device->ops == NULL) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    ForgetQueues(device);
    device->driver_features = 0;
    device->ops->SetStatus(device, 0);
    for (;;) {
        UINT8 value = device->ops->GetStatus(device);
        if (value == 0) {
            return STATUS_SUCCESS;
        }
        if (value == AllOnes) {
            return STATUS_DEVICE_DOES_NOT_EXIST;
        }
        if (waited == timeout_ms) {
            return STATUS_IO_TIMEOUT;
        }
        device->io->Stall(device->io_context, 1000);
        waited++;
    }
}

NTSTATUS VirtioPciNegotiate(VIRTIO_PCI_DEVICE *device, UINT64 wanted, UINT64 required) {
    UINT64 accepted;
    UINT8 status;

    if (device->ops == NULL) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    AddStatus(device, VIRTIO_STATUS_ACKNOWLEDGE);
    AddStatus(device, VIRTIO_STATUS_DRIVER);
    device->device_features = device->ops->GetFeatures(device);
    device->num_queues = device->ops->CountQueues(device);

    if (device->modern) {
        // 6.1: a modern driver accepts VERSION_1, and fails without it.
        required |= VIRTIO_FEATURE(VIRTIO_F_VERSION_1_BIT);
    }
    // A legacy device offers 32 bits, so no more are accepted.
    accepted = device->device_features & (wanted | required) &
               (~TransportFeatureRange | KnownTransportFeatures);
    if ((required & ~accepted) != 0) {
        return GiveUp(device);
    }
    device->ops->SetFeatures(device, accepted);
    if (device->modern) {
        AddStatus(device, VIRTIO_STATUS_FEATURES_OK);
    }
    status = device->ops->GetStatus(device);
    if (status == AllOnes) {
        device->num_queues = 0;
        return STATUS_DEVICE_DOES_NOT_EXIST;
    }
    if (device->modern && (status & VIRTIO_STATUS_FEATURES_OK) == 0) {
        return GiveUp(device);
    }
    device->driver_features = accepted;
    return STATUS_SUCCESS;
}

VOID VirtioPciDriverOk(VIRTIO_PCI_DEVICE *device) {
    AddStatus(device, VIRTIO_STATUS_DRIVER_OK);
}

VOID VirtioPciFail(VIRTIO_PCI_DEVICE *device) {
    AddStatus(device, VIRTIO_STATUS_FAILED);
}

UINT8 VirtioPciGetStatus(VIRTIO_PCI_DEVICE *device) {
    return device->ops == NULL ? (UINT8)0 : device->ops->GetStatus(device);
}

NTSTATUS VirtioPciQueueMaxSize(VIRTIO_PCI_DEVICE *device, UINT16 queue, UINT16 *size) {
    UINT16 value;

    *size = 0;
    if (queue >= device->num_queues) {
        return STATUS_NOT_FOUND;
    }
    value = device->ops->SelectQueue(device, queue);
    if (value == 0) {
        return STATUS_NOT_FOUND;
    }
    // 2.7: at most 32768. A modern maximum need not be a power of two: the
    // driver picks one below it. The legacy size is the size.
    if (value > VIRTIO_PCI_MAX_QUEUE_SIZE || (!device->modern && !IsPowerOfTwo(value))) {
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    *size = value;
    return STATUS_SUCCESS;
}

NTSTATUS VirtioPciQueueSetup(VIRTIO_PCI_DEVICE *device, UINT16 queue, UINT16 size, UINT64 desc_pa,
                             UINT64 avail_pa, UINT64 used_pa, UINT16 vector) {
    UINT16 max_size;
    NTSTATUS status = VirtioPciQueueMaxSize(device, queue, &max_size);

    if (!NT_SUCCESS(status)) {
        return status;
    }
    if (!IsPowerOfTwo(size) || size > max_size || (!device->modern && size != max_size) ||
        desc_pa == 0 || avail_pa == 0 || used_pa == 0 ||
        (!device->msix && vector != VIRTIO_PCI_NO_VECTOR)) {
        return STATUS_INVALID_PARAMETER;
    }
    // VirtioPciQueueMaxSize has selected the queue.
    return device->ops->EnableQueue(device, queue, size, desc_pa, avail_pa, used_pa, vector);
}

NTSTATUS VirtioPciSetConfigVector(VIRTIO_PCI_DEVICE *device, UINT16 vector) {
    if (device->ops == NULL) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    if (!device->msix) {
        return vector == VIRTIO_PCI_NO_VECTOR ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
    }
    return device->ops->SetConfigVector(device, vector);
}

VOID VirtioPciNotify(VIRTIO_PCI_DEVICE *device, UINT16 queue) {
    UINT32 offset;

    if (device->ops == NULL || queue >= VIRTIO_PCI_MAX_QUEUES) {
        return;
    }
    offset = device->queue_notify_offset[queue];
    if (offset != VIRTIO_PCI_NOTIFY_NONE) {
        VirtioPciRegionWrite16(device, &device->notify, offset, queue);
    }
}

UINT8 VirtioPciReadIsr(VIRTIO_PCI_DEVICE *device) {
    return device->ops == NULL ? (UINT8)0 : VirtioPciRegionRead8(device, &device->isr, 0);
}

NTSTATUS VirtioPciReadConfig(VIRTIO_PCI_DEVICE *device, UINT32 offset, void *buffer,
                             UINT32 length) {
    UINT8 *out = (UINT8 *)buffer;
    UINT32 attempt;

    if (!ConfigHolds(device, offset, length)) {
        return STATUS_BUFFER_OVERFLOW;
    }
    for (attempt = 0; attempt < ConfigAttempts; attempt++) {
        UINT8 before = device->ops->ConfigGeneration(device);
        ReadOnce(device, offset, out, length);
        if (device->ops->ConfigGeneration(device) != before) {
            continue;
        }
        if (device->modern || ReadsTheSameAgain(device, offset, out, length)) {
            return STATUS_SUCCESS;
        }
    }
    VirtioZeroMemory(buffer, length);
    return STATUS_DEVICE_DATA_ERROR;
}

NTSTATUS VirtioPciWriteConfig(VIRTIO_PCI_DEVICE *device, UINT32 offset, const void *buffer,
                              UINT32 length) {
    const UINT8 *in = (const UINT8 *)buffer;
    UINT32 width = AccessWidth(offset, length);
    UINT32 i;
    UINT32 j;

    if (!ConfigHolds(device, offset, length)) {
        return STATUS_BUFFER_OVERFLOW;
    }
    for (i = 0; i < length; i += width) {
        UINT32 value = 0;
        for (j = 0; j < width; j++) {
            value |= (UINT32)in[i + j] << (8 * j);
        }
        if (width == 4) {
            VirtioPciRegionWrite32(device, &device->config, offset + i, value);
        } else if (width == 2) {
            VirtioPciRegionWrite16(device, &device->config, offset + i, (UINT16)value);
        } else {
            VirtioPciRegionWrite8(device, &device->config, offset + i, (UINT8)value);
        }
    }
    return STATUS_SUCCESS;
}
