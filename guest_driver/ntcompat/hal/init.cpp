// SPDX-License-Identifier: MIT
#include "hal.h"

extern "C" {

// The image has no work of its own when it is loaded.
NTSTATUS HalInitializeImage(void) {
    return STATUS_SUCCESS;
}

volatile uint8_t *HalMapRegisters(uint64_t physical, size_t bytes) {
    size_t pages = (bytes + PAGE_SIZE - 1) / PAGE_SIZE;
    uint64_t va = MiReserveSystemPtes(pages);
    if (va == 0)
        KdViolation(NO_MORE_SYSTEM_PTES, "HAL registers", physical, bytes, 0, 0);
    for (size_t i = 0; i < pages; i++)
        MiMapPage(va + i * PAGE_SIZE, physical / PAGE_SIZE + i, TRUE, FALSE, MmNonCached);
    return (volatile uint8_t *)va;
}

void HalInitializeHardware(void) {
    HalInitializeLocalApic();
    HalInitializeIoApic();
    HalParseAcpi();
    HalCalibrate();
}

} // extern "C"
