// SPDX-License-Identifier: MIT
//
// QEMU's ACPI PCI hot plug (docs/specs/acpi_pci_hotplug in QEMU): GPE 1 says that
// something happened, and registers say in which slots. The machine's AML knows where
// they are and which bus has which number; without an interpreter the two kinds of
// definitions that QEMU writes are searched in the DSDT, as \\_S5 is:
//
//   OperationRegion (PCST, SystemIO, port, 8)         5B 80 "PCST" 01 0B <port>
//   Device (Snn) { Name (_ADR, function) ... Name (BSEL, number)    of a bridge
//   Scope (PCI0) { ... Name (BSEL, number)                          of the root bus
//
// What a BSEL belongs to is the innermost of the packages around it: QEMU 10 has devices
// of other slots before that of the root bus.
#include "aml.h"
#include "hal.h"

extern "C" {

enum { FADT_GPE0 = 80, FADT_GPE0_LENGTH = 92, HOTPLUG_GPE = 2 };
enum { HOTPLUG_UP = 0, HOTPLUG_DOWN = 4, HOTPLUG_EJECT = 8, HOTPLUG_SELECT = 16 };
enum { MAX_BUSES = 64 };

static USHORT GpePort; // 0: there is no hot plug
static USHORT Port;
static struct {
    uint32_t select;
    uint32_t bridge; // _ADR of the bridge on the root bus
} Buses[MAX_BUSES];
static ULONG BusCount;

static void AddBus(const uint8_t *aml, const uint8_t *dsdt) {
    if (BusCount == MAX_BUSES || !AmlInteger(aml + 5, &Buses[BusCount].select))
        return;
    if (!AmlFunctionAround(dsdt + sizeof(ACPI_HEADER), aml, &Buses[BusCount].bridge))
        Buses[BusCount].bridge = HAL_ROOT_BUS;
    BusCount++;
}

void HalParseHotplug(const uint8_t *fadt, const uint8_t *dsdt) {
    uint32_t length = dsdt ? ((const ACPI_HEADER *)dsdt)->length : 0;
    for (uint32_t i = sizeof(ACPI_HEADER) + 16; i + 16 < length; i++) {
        uint32_t port;
        if (HalMatch(dsdt + i, "\x5B\x80PCST\x01", 7) && AmlInteger(dsdt + i + 7, &port))
            Port = (USHORT)port;
        else if (HalMatch(dsdt + i,
                          "\x08"
                          "BSEL",
                          5))
            AddBus(dsdt + i, dsdt);
    }
    if (Port && BusCount && fadt[FADT_GPE0_LENGTH])
        GpePort = (USHORT) * (UNALIGNED const uint32_t *)(fadt + FADT_GPE0);
    if (GpePort)
        KdPrint_("hal: PCI hot plug at port 0x%x, %u buses\n", Port, BusCount);
}

BOOLEAN HalHotplugEvent(void) {
    if (!GpePort || !(__inbyte(GpePort) & HOTPLUG_GPE))
        return FALSE;
    __outbyte(GpePort, HOTPLUG_GPE); // written ones clear
    return TRUE;
}

// Selector and data belong together; only the PnP manager's thread is here.
ULONG HalHotplugRemovals(ULONG index, ULONG *bridge) {
    *bridge = Buses[index].bridge;
    __outdword(Port + HOTPLUG_SELECT, Buses[index].select);
    (void)__indword(Port + HOTPLUG_UP); // arrivals are found by looking; reading takes note
    return __indword(Port + HOTPLUG_DOWN);
}

ULONG HalHotplugBuses(void) {
    return GpePort ? BusCount : 0;
}

void HalHotplugEject(ULONG bridge, ULONG slot) {
    for (ULONG i = 0; GpePort && i < BusCount; i++) {
        if (Buses[i].bridge != bridge)
            continue;
        __outdword(Port + HOTPLUG_SELECT, Buses[i].select);
        __outdword(Port + HOTPLUG_EJECT, 1u << slot);
        return;
    }
}

} // extern "C"
