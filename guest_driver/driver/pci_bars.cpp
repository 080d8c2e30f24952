// SPDX-License-Identifier: MIT
#include "pci_bars.h"

#define BAR_SPACE_IO 0x1u
#define BAR_TYPE_MASK 0x6u
#define BAR_TYPE_64 0x4u
#define BAR_IO_MASK 0xFFFFFFFCu
#define BAR_MEMORY_MASK 0xFFFFFFF0u

VOID Vq7DecodeBars(const UINT32 registers[VIRTIO_PCI_BAR_COUNT],
                   VQ7_BAR_REGISTER bars[VIRTIO_PCI_BAR_COUNT]) {
    for (int i = 0; i < VIRTIO_PCI_BAR_COUNT; i++) {
        bars[i].address = 0;
        bars[i].present = FALSE;
        bars[i].port = FALSE;
    }
    for (int i = 0; i < VIRTIO_PCI_BAR_COUNT; i++) {
        UINT32 low = registers[i];
        if (low & BAR_SPACE_IO) {
            bars[i].port = TRUE;
            bars[i].address = low & BAR_IO_MASK;
        } else if ((low & BAR_TYPE_MASK) == BAR_TYPE_64) {
            if (i + 1 == VIRTIO_PCI_BAR_COUNT) {
                return;
            }
            bars[i].address = ((UINT64)registers[i + 1] << 32) | (low & BAR_MEMORY_MASK);
        } else {
            bars[i].address = low & BAR_MEMORY_MASK;
        }
        bars[i].present = (BOOLEAN)(bars[i].address != 0);
        if (!bars[i].port && (low & BAR_TYPE_MASK) == BAR_TYPE_64) {
            i++; // the next register is the upper half
        }
    }
}

int Vq7FindBar(const VQ7_BAR_REGISTER bars[VIRTIO_PCI_BAR_COUNT], BOOLEAN port, UINT64 address) {
    for (int i = 0; i < VIRTIO_PCI_BAR_COUNT; i++) {
        if (bars[i].present && !bars[i].port == !port && bars[i].address == address) {
            return i;
        }
    }
    return -1;
}

// CM_RESOURCE_MEMORY_LARGE_*
#define LARGE_40 0x0200u
#define LARGE_48 0x0400u
#define LARGE_64 0x0800u

UINT64 Vq7LargeLength(UINT16 flags, UINT32 length) {
    switch (flags & (LARGE_40 | LARGE_48 | LARGE_64)) {
    case LARGE_40:
        return (UINT64)length << 8;
    case LARGE_48:
        return (UINT64)length << 16;
    case LARGE_64:
        return (UINT64)length << 32;
    default:
        return 0;
    }
}

#define PAGE_BYTES ((UINT64)4096)

VQ7_BAR_RANGE Vq7PagesOf(const VIRTIO_PCI_REGION *region, UINT64 start, UINT64 bar_length) {
    UINT64 first = start + region->offset;
    UINT64 end = first + region->length;
    VQ7_BAR_RANGE range;

    // A BAR of less than a page may start inside of one.
    first -= first % PAGE_BYTES;
    first = first < start ? start : first;
    end = VIRTIO_ALIGN_UP(end, PAGE_BYTES);
    end = end > start + bar_length ? start + bar_length : end;
    range.bar = region->bar;
    range.offset = first - start;
    range.length = end - first;
    return range;
}

BOOLEAN Vq7RangeHolds(const VQ7_BAR_RANGE *range, UINT8 bar, UINT64 offset, UINT64 length) {
    return (BOOLEAN)(range->bar == bar && offset >= range->offset &&
                     offset - range->offset <= range->length &&
                     length <= range->length - (offset - range->offset));
}

UINT16 Vq7QueueMessage(UINT16 queue, UINT16 messages) {
    if (messages <= 1) {
        return 0;
    }
    return (UINT16)(1 + queue % (messages - 1));
}
