// SPDX-License-Identifier: MIT
//
// virtio-pci: whatever configuration space says, and whatever it says at the next
// read, a structure that the capability walk takes lies inside its BAR (4.1.4).
#include "proof.h"

#include "virtio_pci_caps.cpp"

UINT64 g_bar_length[VIRTIO_PCI_BAR_COUNT];

// Any value, inside configuration space only.
UINT8 AnyConfig8(void *, UINT16 offset) {
    Prove(offset < 256);
    return nondet_u8();
}

UINT16 AnyConfig16(void *, UINT16 offset) {
    Prove(offset <= 256 - 2 && offset % 2 == 0);
    return nondet_u16();
}

UINT32 AnyConfig32(void *, UINT16 offset) {
    Prove(offset <= 256 - 4 && offset % 4 == 0);
    return nondet_u32();
}

UINT64 BarLengthOf(void *, UINT8 bar) {
    Prove(bar < VIRTIO_PCI_BAR_COUNT);
    return g_bar_length[bar];
}

bool RegionIsSound(VIRTIO_PCI_REGION *region, UINT32 least, UINT32 align) {
    if (!region->present) {
        return true;
    }
    return region->bar < VIRTIO_PCI_BAR_COUNT && region->length >= least &&
           (UINT64)region->offset + region->length <= g_bar_length[region->bar] &&
           ((UINT64)region->offset + (region->length - 1)) >> 32 == 0 &&
           (region->offset & (align - 1)) == 0;
}

bool IsSound(VIRTIO_PCI_DEVICE *device) {
    UINT32 multiplier = device->notify_off_multiplier;

    return RegionIsSound(&device->common, 56, 4) && RegionIsSound(&device->notify, 2, 2) &&
           RegionIsSound(&device->isr, 1, 1) && RegionIsSound(&device->config, 1, 4) &&
           (!device->notify.present || (multiplier != 1 && (multiplier & (multiplier - 1)) == 0));
}

// One step of the walk, at any place that it can be at, from any device whose
// structures so far are sound.
extern "C" void ProofCapability() {
    VIRTIO_PCI_IO io;
    VIRTIO_PCI_DEVICE device;
    Capability cap;
    UINT16 at = nondet_u16();

    Assume(at >= 0x40 && at < 0x100 && at % 4 == 0);
    io.ConfigRead8 = AnyConfig8;
    io.ConfigRead16 = AnyConfig16;
    io.ConfigRead32 = AnyConfig32;
    io.BarLength = BarLengthOf;
    __CPROVER_havoc_object(&g_bar_length[0]);
    device.io = &io;
    device.io_context = NULL;
    Assume(IsSound(&device));
    UINT8 common = device.common.present;
    NTSTATUS status = ReadCapability(&device, at, &cap);
    if (NT_SUCCESS(status)) {
        status = TakeCapability(&device, &cap);
    }
    Prove(IsSound(&device));
    if (!NT_SUCCESS(status)) {
        Reached("refused");
        Prove(device.common.present == common);
    } else if (device.common.present && !common) {
        Reached("taken");
    }
}
