// SPDX-License-Identifier: MIT
// VIRTIO_PCI_IO: the library's view of BARs and configuration space.
#include "driver.h"

#define PCI_CONFIG_COMMAND 0x04
#define PCI_COMMAND_BUS_MASTER 0x0004
#define PCI_ABSENT 0xFFFF // what 16 bits of a device that is not there read as
#define PCI_CONFIG_STATUS 0x06
#define PCI_STATUS_HAS_CAPABILITIES 0x10
#define PCI_CONFIG_CAPABILITIES 0x34
#define PCI_CAPABILITY_MSIX 0x11
#define MSIX_CONTROL_OFFSET 2
#define MSIX_CONTROL_ENABLE 0x8000
// The capability list cannot be longer than the space after the header.
#define PCI_MAX_CAPABILITIES 48

BOOLEAN Vq7ConfigRead(DEVICE_CONTEXT *dc, UINT32 offset, PVOID buffer, ULONG length) {
    return (BOOLEAN)(dc->bus.GetBusData(dc->bus.Context, PCI_WHICHSPACE_CONFIG, buffer, offset,
                                        length) == length);
}

BOOLEAN Vq7ConfigWrite(DEVICE_CONTEXT *dc, UINT32 offset, PVOID buffer, ULONG length) {
    return (BOOLEAN)(dc->bus.SetBusData(dc->bus.Context, PCI_WHICHSPACE_CONFIG, buffer, offset,
                                        length) == length);
}

// A short read leaves all ones, which is what an absent device gives.
static UINT8 ConfigRead8(void *context, UINT16 offset) {
    UINT8 value;

    if (!Vq7ConfigRead((DEVICE_CONTEXT *)context, offset, &value, sizeof(value))) {
        return 0xFF;
    }
    return value;
}

static UINT16 ConfigRead16(void *context, UINT16 offset) {
    UINT16 value;

    if (!Vq7ConfigRead((DEVICE_CONTEXT *)context, offset, &value, sizeof(value))) {
        return 0xFFFF;
    }
    return value;
}

static UINT32 ConfigRead32(void *context, UINT16 offset) {
    UINT32 value;

    if (!Vq7ConfigRead((DEVICE_CONTEXT *)context, offset, &value, sizeof(value))) {
        return 0xFFFFFFFF;
    }
    return value;
}

BOOLEAN Vq7SetBusMaster(DEVICE_CONTEXT *dc, BOOLEAN on) {
    UINT16 command;

    if (!Vq7ConfigRead(dc, PCI_CONFIG_COMMAND, &command, sizeof(command))) {
        return FALSE;
    }
    if (command == PCI_ABSENT) {
        return (BOOLEAN)!on; // gone, and all its bits with it
    }
    if (((command & PCI_COMMAND_BUS_MASTER) != 0) == (on != FALSE)) {
        return TRUE;
    }
    command = (UINT16)(command ^ PCI_COMMAND_BUS_MASTER);
    return Vq7ConfigWrite(dc, PCI_CONFIG_COMMAND, &command, sizeof(command));
}

BOOLEAN Vq7MsixEnabled(DEVICE_CONTEXT *dc) {
    UINT16 status = ConfigRead16(dc, PCI_CONFIG_STATUS);
    UINT8 at;

    if (status == PCI_ABSENT || !(status & PCI_STATUS_HAS_CAPABILITIES)) {
        return FALSE;
    }
    at = (UINT8)(ConfigRead8(dc, PCI_CONFIG_CAPABILITIES) & ~3);
    for (int i = 0; at != 0 && i < PCI_MAX_CAPABILITIES; i++) {
        if (ConfigRead8(dc, at) == PCI_CAPABILITY_MSIX) {
            UINT16 control = ConfigRead16(dc, (UINT16)(at + MSIX_CONTROL_OFFSET));
            return (BOOLEAN)(control != PCI_ABSENT && (control & MSIX_CONTROL_ENABLE) != 0);
        }
        at = (UINT8)(ConfigRead8(dc, (UINT16)(at + 1)) & ~3);
    }
    return FALSE;
}

static UINT64 BarLength(void *context, UINT8 bar) {
    DEVICE_CONTEXT *dc = (DEVICE_CONTEXT *)context;

    return bar < VIRTIO_PCI_BAR_COUNT ? dc->bars[bar].length : 0;
}

static const VQ7_BAR *Bar(void *context, UINT8 bar) {
    return &((DEVICE_CONTEXT *)context)->bars[bar];
}

static PUCHAR Port(const VQ7_BAR *bar, UINT32 offset) {
    return (PUCHAR)(ULONG_PTR)(bar->port + offset);
}

// The library reaches for nothing that isn't mapped. Should it, a read gives what an absent
// device gives, and a write is lost.
static UINT8 Read8(void *context, UINT8 number, UINT32 offset) {
    const VQ7_BAR *bar = Bar(context, number);

    if (bar->is_port) {
        return READ_PORT_UCHAR(Port(bar, offset));
    }
    PUCHAR mapped = Vq7Mapped((DEVICE_CONTEXT *)context, number, offset, sizeof(UINT8));
    return mapped != NULL ? READ_REGISTER_UCHAR(mapped) : (UINT8)0xFF;
}

static UINT16 Read16(void *context, UINT8 number, UINT32 offset) {
    const VQ7_BAR *bar = Bar(context, number);

    if (bar->is_port) {
        return READ_PORT_USHORT((PUSHORT)Port(bar, offset));
    }
    PUCHAR mapped = Vq7Mapped((DEVICE_CONTEXT *)context, number, offset, sizeof(UINT16));
    return mapped != NULL ? READ_REGISTER_USHORT((PUSHORT)mapped) : (UINT16)0xFFFF;
}

static UINT32 Read32(void *context, UINT8 number, UINT32 offset) {
    const VQ7_BAR *bar = Bar(context, number);

    if (bar->is_port) {
        return READ_PORT_ULONG((PULONG)Port(bar, offset));
    }
    PUCHAR mapped = Vq7Mapped((DEVICE_CONTEXT *)context, number, offset, sizeof(UINT32));
    return mapped != NULL ? READ_REGISTER_ULONG((PULONG)mapped) : 0xFFFFFFFFu;
}

static VOID Write8(void *context, UINT8 number, UINT32 offset, UINT8 value) {
    const VQ7_BAR *bar = Bar(context, number);

    if (bar->is_port) {
        WRITE_PORT_UCHAR(Port(bar, offset), value);
        return;
    }
    PUCHAR mapped = Vq7Mapped((DEVICE_CONTEXT *)context, number, offset, sizeof(value));
    if (mapped != NULL) {
        WRITE_REGISTER_UCHAR(mapped, value);
    }
}

static VOID Write16(void *context, UINT8 number, UINT32 offset, UINT16 value) {
    const VQ7_BAR *bar = Bar(context, number);

    if (bar->is_port) {
        WRITE_PORT_USHORT((PUSHORT)Port(bar, offset), value);
        return;
    }
    PUCHAR mapped = Vq7Mapped((DEVICE_CONTEXT *)context, number, offset, sizeof(value));
    if (mapped != NULL) {
        WRITE_REGISTER_USHORT((PUSHORT)mapped, value);
    }
}

static VOID Write32(void *context, UINT8 number, UINT32 offset, UINT32 value) {
    const VQ7_BAR *bar = Bar(context, number);

    if (bar->is_port) {
        WRITE_PORT_ULONG((PULONG)Port(bar, offset), value);
        return;
    }
    PUCHAR mapped = Vq7Mapped((DEVICE_CONTEXT *)context, number, offset, sizeof(value));
    if (mapped != NULL) {
        WRITE_REGISTER_ULONG((PULONG)mapped, value);
    }
}

static VOID Stall(void *, UINT32 microseconds) {
    KeStallExecutionProcessor(microseconds);
}

const VIRTIO_PCI_IO Vq7PciIo = {
    ConfigRead8, ConfigRead16, ConfigRead32, BarLength, Read8, Read16,
    Read32,      Write8,       Write16,      Write32,   Stall,
};
