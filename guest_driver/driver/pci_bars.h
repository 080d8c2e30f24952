// SPDX-License-Identifier: MIT
// PCI base address registers: which BAR a resource of the device belongs to.
// Pure arithmetic, so that it is tested on the host.
#ifndef VQ7_PCI_BARS_H_
#define VQ7_PCI_BARS_H_

#include "virtio_pci.h"

// Configuration space offset of BAR 0 (PCI Local Bus 3.0, 6.2.5).
#define VQ7_PCI_CONFIG_BAR0 0x10

typedef struct _VQ7_BAR_REGISTER {
    UINT64 address; // without the flag bits; 0: not assigned
    BOOLEAN present;
    BOOLEAN port; // I/O space
} VQ7_BAR_REGISTER;

// Decodes the six registers. The upper half of a 64-bit BAR is not present on
// its own; a 64-bit type in the last register, which has no upper half, makes
// that BAR not present.
VOID Vq7DecodeBars(const UINT32 registers[VIRTIO_PCI_BAR_COUNT],
                   VQ7_BAR_REGISTER bars[VIRTIO_PCI_BAR_COUNT]);

// The number of the BAR that holds this bus address, or -1. An unassigned BAR
// never matches.
int Vq7FindBar(const VQ7_BAR_REGISTER bars[VIRTIO_PCI_BAR_COUNT], BOOLEAN port, UINT64 address);

// Length of a memory resource of 4 GiB or more (CmResourceTypeMemoryLarge, as
// RtlCmDecodeMemIoResource reads it): `flags` say how many low bits `length` lacks.
// 0: they say nothing known.
UINT64 Vq7LargeLength(UINT16 flags, UINT32 length);

// Bytes of a BAR.
typedef struct _VQ7_BAR_RANGE {
    UINT8 bar;
    UINT64 offset;
    UINT64 length;
} VQ7_BAR_RANGE;

// The pages that hold a region of a BAR that starts at `start` and has `bar_length` bytes,
// none of it outside the BAR.
VQ7_BAR_RANGE Vq7PagesOf(const VIRTIO_PCI_REGION *region, UINT64 start, UINT64 bar_length);

// Whether the range holds these bytes.
BOOLEAN Vq7RangeHolds(const VQ7_BAR_RANGE *range, UINT8 bar, UINT64 offset, UINT64 length);

// Which message interrupt a queue uses: 0 is for configuration changes; the
// others are dealt out to the queues in turn. One message serves all.
UINT16 Vq7QueueMessage(UINT16 queue, UINT16 messages);

#endif // VQ7_PCI_BARS_H_
