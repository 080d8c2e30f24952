// SPDX-License-Identifier: MIT
//
// The capability walk of a modern virtio-pci device (Virtio 1.2, 4.1.4).
// Configuration space is read byte by byte through the caller's table, each
// capability once, into private memory; only what was checked is used.

#include "virtio_pci_private.h"

namespace {

struct Capability {
    UINT8 next;
    UINT8 length_of_cap;
    UINT8 type;
    UINT8 bar;
    UINT32 offset;
    UINT32 length;
    UINT32 multiplier;
};

// 4-byte steps through the part of config space that can hold capabilities:
// more of them than this is a loop.
const UINT32 MaxCapabilities = (PCI_CFG_SPACE_LENGTH - PCI_CFG_HEADER_LENGTH) / 4;

VIRTIO_PCI_REGION *RegionOfType(VIRTIO_PCI_DEVICE *device, UINT8 type) {
    switch (type) {
    case VIRTIO_PCI_CAP_COMMON_CFG:
        return &device->common;
    case VIRTIO_PCI_CAP_NOTIFY_CFG:
        return &device->notify;
    case VIRTIO_PCI_CAP_ISR_CFG:
        return &device->isr;
    case VIRTIO_PCI_CAP_DEVICE_CFG:
        return &device->config;
    default:
        // Other types (PCI access, shared memory, future ones) aren't used
        // here; a driver ignores what it doesn't know (4.1.4.1).
        return NULL;
    }
}

// Least length and alignment of a structure (4.1.4.1: natural alignment of
// its widest field; 4.1.4.4.1: notify offsets are 2-byte aligned at least).
VOID Needs(UINT8 type, UINT32 *length, UINT32 *alignment) {
    switch (type) {
    case VIRTIO_PCI_CAP_COMMON_CFG:
        *length = VIRTIO_PCI_COMMON_LENGTH;
        *alignment = 4;
        break;
    case VIRTIO_PCI_CAP_NOTIFY_CFG:
        *length = 2;
        *alignment = 2;
        break;
    case VIRTIO_PCI_CAP_DEVICE_CFG:
        *length = 1;
        *alignment = 4;
        break;
    default:
        *length = 1;
        *alignment = 1;
        break;
    }
}

// The most that is used of a structure. Of the device configuration that is far more than
// any device type has.
UINT32 MostUsed(UINT8 type) {
    switch (type) {
    case VIRTIO_PCI_CAP_COMMON_CFG:
        return VIRTIO_PCI_COMMON_LENGTH;
    case VIRTIO_PCI_CAP_ISR_CFG:
        return 1;
    case VIRTIO_PCI_CAP_DEVICE_CFG:
        return VIRTIO_PCI_MAX_CONFIG;
    default:
        return 0xFFFFFFFFu;
    }
}

// 4.1.4.4.1: notify_off_multiplier is 0 or an even power of two.
BOOLEAN MultiplierIsValid(UINT32 multiplier) {
    return multiplier != 1 && (multiplier & (multiplier - 1)) == 0;
}

NTSTATUS ReadCapability(VIRTIO_PCI_DEVICE *device, UINT16 at, Capability *cap) {
    const VIRTIO_PCI_IO *io = device->io;
    void *context = device->io_context;
    UINT32 needed = VIRTIO_PCI_CAP_SIZE;

    cap->length_of_cap = io->ConfigRead8(context, (UINT16)(at + VIRTIO_PCI_CAP_LEN));
    cap->type = io->ConfigRead8(context, (UINT16)(at + VIRTIO_PCI_CAP_CFG_TYPE));
    if (RegionOfType(device, cap->type) == NULL) {
        return STATUS_SUCCESS;
    }
    if (cap->type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
        needed = VIRTIO_PCI_CAP_NOTIFY_SIZE;
    }
    if (cap->length_of_cap < needed || (UINT32)at + cap->length_of_cap > PCI_CFG_SPACE_LENGTH) {
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    cap->bar = io->ConfigRead8(context, (UINT16)(at + VIRTIO_PCI_CAP_BAR));
    cap->offset = io->ConfigRead32(context, (UINT16)(at + VIRTIO_PCI_CAP_OFFSET));
    cap->length = io->ConfigRead32(context, (UINT16)(at + VIRTIO_PCI_CAP_LENGTH));
    cap->multiplier = 0;
    if (cap->type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
        cap->multiplier =
            io->ConfigRead32(context, (UINT16)(at + VIRTIO_PCI_CAP_NOTIFY_MULTIPLIER));
    }
    return STATUS_SUCCESS;
}

// Takes the capability if it is the first usable one of its type (4.1.4.1).
NTSTATUS TakeCapability(VIRTIO_PCI_DEVICE *device, const Capability *cap) {
    VIRTIO_PCI_REGION *region = RegionOfType(device, cap->type);
    UINT64 bar_length;
    UINT32 least;
    UINT32 alignment;

    // A reserved BAR number is to be ignored (4.1.4.1), and a BAR that the
    // caller can't reach holds a structure it can't use: the next may do.
    if (region == NULL || region->present || cap->bar >= VIRTIO_PCI_BAR_COUNT) {
        return STATUS_SUCCESS;
    }
    bar_length = device->io->BarLength(device->io_context, cap->bar);
    if (bar_length == 0) {
        return STATUS_SUCCESS;
    }
    Needs(cap->type, &least, &alignment);
    if (cap->length < least || (cap->offset & (alignment - 1)) != 0 || cap->offset > bar_length ||
        cap->length > bar_length - cap->offset || cap->length - 1 > 0xFFFFFFFFu - cap->offset) {
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    if (cap->type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
        if (!MultiplierIsValid(cap->multiplier)) {
            return STATUS_DEVICE_CONFIGURATION_ERROR;
        }
        device->notify_off_multiplier = cap->multiplier;
    }
    region->bar = cap->bar;
    region->offset = cap->offset;
    region->length = cap->length < MostUsed(cap->type) ? cap->length : MostUsed(cap->type);
    region->present = TRUE;
    return STATUS_SUCCESS;
}

} // namespace

NTSTATUS VirtioPciFindCapabilities(VIRTIO_PCI_DEVICE *device) {
    const VIRTIO_PCI_IO *io = device->io;
    void *context = device->io_context;
    UINT32 seen = 0;
    UINT8 at;

    if ((io->ConfigRead16(context, PCI_CFG_STATUS) & PCI_CFG_STATUS_CAP_LIST) == 0) {
        return STATUS_NOT_FOUND;
    }
    // The two low bits of a pointer are reserved and masked (PCI 3.0, 6.7).
    at = (UINT8)(io->ConfigRead8(context, PCI_CFG_CAP_POINTER) & 0xFC);
    while (at != 0) {
        if (at < PCI_CFG_HEADER_LENGTH || seen++ == MaxCapabilities) {
            return STATUS_DEVICE_CONFIGURATION_ERROR;
        }
        if (io->ConfigRead8(context, at) == PCI_CAP_ID_VENDOR) {
            Capability cap;
            NTSTATUS status = ReadCapability(device, at, &cap);
            if (NT_SUCCESS(status)) {
                status = TakeCapability(device, &cap);
            }
            if (!NT_SUCCESS(status)) {
                return status;
            }
        }
        at = (UINT8)(io->ConfigRead8(context, (UINT16)(at + VIRTIO_PCI_CAP_NEXT)) & 0xFC);
    }
    // Device configuration is optional: some types have none (4.1.4.6).
    if (!device->common.present || !device->notify.present || !device->isr.present) {
        return STATUS_NOT_FOUND;
    }
    return STATUS_SUCCESS;
}
