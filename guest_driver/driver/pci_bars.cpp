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

UINT16 Vq7QueueMessage(UINT16 queue, UINT16 messages) {
    if (messages <= 1) {
        return 0;
    }
    return (UINT16)(1 + queue % (messages - 1));
}
