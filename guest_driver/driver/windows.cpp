// SPDX-License-Identifier: MIT
// The parts of memory BARs that are mapped. A BAR may have megabytes of notify registers, and
// gigabytes of shared memory (Virtio 1.2, 4.1.4.4, 2.10): only what is used costs address
// space.
#include "driver.h"

NTSTATUS Vq7MapRegion(DEVICE_CONTEXT *dc, const VIRTIO_PCI_REGION *region) {
    const VQ7_BAR *bar = &dc->bars[region->bar];
    PHYSICAL_ADDRESS address;
    VQ7_WINDOW *window;

    if (bar->is_port || Vq7Mapped(dc, region->bar, region->offset, region->length) != NULL) {
        return STATUS_SUCCESS;
    }
    if (dc->window_count == VQ7_MAX_WINDOWS) {
        Vq7Log("BAR %u: its registers are in too many places\n", region->bar);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    window = &dc->windows[dc->window_count];
    window->range = Vq7PagesOf(region, (UINT64)bar->start.QuadPart, bar->length);
    address.QuadPart = bar->start.QuadPart + (LONGLONG)window->range.offset;
    window->mapped = (PUCHAR)MmMapIoSpace(address, (SIZE_T)window->range.length, MmNonCached);
    if (window->mapped == NULL) {
        Vq7Log("BAR %u: %u bytes at 0x%08x can't be mapped\n", region->bar,
               (unsigned int)window->range.length, region->offset);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    InterlockedIncrement(&dc->window_count);
    return STATUS_SUCCESS;
}

VOID Vq7UnmapRegions(DEVICE_CONTEXT *dc) {
    LONG count = InterlockedExchange(&dc->window_count, 0);

    for (LONG i = 0; i < count; i++) {
        MmUnmapIoSpace(dc->windows[i].mapped, (SIZE_T)dc->windows[i].range.length);
    }
}

PUCHAR Vq7Mapped(const DEVICE_CONTEXT *dc, UINT8 bar, UINT32 offset, UINT32 width) {
    LONG count = dc->window_count;

    for (LONG i = 0; i < count; i++) {
        const VQ7_WINDOW *window = &dc->windows[i];
        if (Vq7RangeHolds(&window->range, bar, offset, width)) {
            return window->mapped + (SIZE_T)(offset - window->range.offset);
        }
    }
    return NULL;
}
