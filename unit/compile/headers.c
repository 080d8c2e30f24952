/* SPDX-License-Identifier: MIT */
/* All public headers from a C driver: they are valid, and include what they need. */
#include "virtio_sg_pfn.h"
#include "virtqueue_split.h"
#include "virtio_ring.h"
#include "virtio_osdep.h"
#include "virtio_pci.h"

int main(void) {
    VIRTQ_SG sg;
    UINT16 head = 0;

    sg.addr = 0x1000;
    sg.len = 1;
    sg.write = TRUE;
    return NT_SUCCESS(VirtqSplitAddBuffer(NULL, &sg, 1, NULL, &head)) ? 1 : 0;
}
