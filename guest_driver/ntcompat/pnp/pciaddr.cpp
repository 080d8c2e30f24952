// SPDX-License-Identifier: MIT
//
// What the firmware does for the functions that are there at start: addresses within
// the windows of the bus, and the line that the chipset routes the pin to.
#include "pnp/pci.h"

struct WINDOW {
    uint64_t low, high; // high: the first address behind it; empty: low >= high
};

// Where the machines' firmware places the root bus's BARs, below the I/O APIC; ports
// above those of the chipset.
static const WINDOW RootMemory = {0xE0000000, 0xFEC00000};
static const WINDOW RootPorts = {0xC000, 0x10000};

// PCI-to-PCI Bridge 1.2, 3.2.5: base and limit registers hold the upper address bits.
static WINDOW BridgeWindow(const PCI_DEVICE *bridge, bool port, bool prefetchable) {
    const auto &t = bridge->config.u.type1;
    if (port)
        return {(uint64_t)(t.IOBase & 0xF0) << 8, ((uint64_t)(t.IOLimit & 0xF0) << 8) + 0x1000};
    uint64_t low = prefetchable ? t.PrefetchBase : t.MemoryBase;
    uint64_t high = prefetchable ? t.PrefetchLimit : t.MemoryLimit;
    low = (low & 0xFFF0) << 16;
    high = ((high & 0xFFF0) << 16) + 0x100000;
    if (prefetchable) {
        low |= (uint64_t)t.PrefetchBaseUpper32 << 32;
        high += (uint64_t)t.PrefetchLimitUpper32 << 32;
    }
    return {low, high};
}

PCI_DEVICE *PciBridgeOf(ULONG bus) {
    for (PLIST_ENTRY e = PnpNodes.Flink; bus && e != &PnpNodes; e = e->Flink) {
        PCI_DEVICE *device = PciFromPdo(CONTAINING_RECORD(e, PNP_NODE, links)->pdo);
        if (PCI_CONFIGURATION_TYPE(&device->config) == PCI_BRIDGE_TYPE &&
            device->config.u.type1.SecondaryBus == bus && !device->missing)
            return device;
    }
    return nullptr;
}

ULONG PciBridgeAddress(const PCI_DEVICE *device) {
    const PCI_DEVICE *bridge = PciBridgeOf(device->bus);
    if (!bridge)
        return HAL_ROOT_BUS;
    return bridge->slot.u.bits.DeviceNumber << 16 | bridge->slot.u.bits.FunctionNumber;
}

static bool Overlap(WINDOW a, WINDOW b) {
    return a.low < b.high && b.low < a.high;
}

static bool IsTakenBy(const PCI_DEVICE *other, ULONG bus, bool port, WINDOW wanted) {
    UCHAR type = port ? CmResourceTypePort : CmResourceTypeMemory;
    for (const PCI_BAR &bar : other->bars)
        if (bar.type == type && bar.base && Overlap({bar.base, bar.base + bar.length}, wanted))
            return true;
    if (PCI_CONFIGURATION_TYPE(&other->config) != PCI_BRIDGE_TYPE || other->bus != bus)
        return false;
    if (port)
        return Overlap(BridgeWindow(other, true, false), wanted);
    return Overlap(BridgeWindow(other, false, false), wanted) ||
           Overlap(BridgeWindow(other, false, true), wanted);
}

static bool IsTaken(const PCI_DEVICE *device, bool port, WINDOW wanted) {
    // Not yet among the nodes, but maybe with BARs that were just placed.
    if (IsTakenBy(device, device->bus, port, wanted))
        return true;
    for (PLIST_ENTRY e = PnpNodes.Flink; e != &PnpNodes; e = e->Flink) {
        PCI_DEVICE *other = PciFromPdo(CONTAINING_RECORD(e, PNP_NODE, links)->pdo);
        if (!other->missing && IsTakenBy(other, device->bus, port, wanted))
            return true;
    }
    return false;
}

// From the top down, as the firmware does.
static bool FindRoom(const PCI_DEVICE *device, const PCI_BAR *bar, WINDOW window, uint64_t *base) {
    bool port = bar->type == CmResourceTypePort;
    if (!bar->wide && window.high > 0x100000000ull)
        window.high = 0x100000000ull;
    // Pages of their own: what maps one BAR doesn't map another.
    uint64_t step = port || bar->length >= PAGE_SIZE ? bar->length : PAGE_SIZE;
    if (window.high < step || window.low > window.high - step)
        return false;
    for (uint64_t at = (window.high - step) & ~(step - 1); at >= window.low && at; at -= step) {
        if (!IsTaken(device, port, {at, at + step})) {
            *base = at;
            return true;
        }
    }
    return false;
}

static bool PlaceBar(const PCI_DEVICE *device, PCI_BAR *bar) {
    bool port = bar->type == CmResourceTypePort;
    if (!device->bus)
        return FindRoom(device, bar, port ? RootPorts : RootMemory, &bar->base);
    const PCI_DEVICE *bridge = PciBridgeOf(device->bus);
    if (!bridge)
        return false;
    return (bar->prefetchable &&
            FindRoom(device, bar, BridgeWindow(bridge, false, true), &bar->base)) ||
           FindRoom(device, bar, BridgeWindow(bridge, port, false), &bar->base);
}

bool PciAssignAddresses(PCI_DEVICE *device) {
    bool all = true;
    ULONG *registers = device->config.u.type0.BaseAddresses;
    for (ULONG i = 0; i < PCI_TYPE0_ADDRESSES; i++) {
        PCI_BAR *bar = &device->bars[i];
        if (!bar->type || bar->base)
            continue;
        if (!PlaceBar(device, bar)) {
            all = false;
            continue;
        }
        // The low bits are read-only and say what kind it is. Kept for the way out of D3.
        registers[i] = (ULONG)bar->base | (registers[i] & 15);
        ULONG offset = FIELD_OFFSET(PCI_COMMON_CONFIG, u.type0.BaseAddresses) + 4 * i;
        PciWriteConfig(device, offset, &registers[i], sizeof(ULONG));
        if (!bar->wide)
            continue;
        registers[i + 1] = (ULONG)(bar->base >> 32);
        PciWriteConfig(device, offset + 4, &registers[i + 1], sizeof(ULONG));
    }
    return all;
}

// ---- lines --------------------------------------------------------------------------

// PIRQ routing registers of the two chipsets: 82371SB (PIIX3), 82801IB (ICH9). Bit 7:
// not routed.
static UCHAR ReadRoute(ULONG slot, ULONG function, ULONG offset) {
    PCI_DEVICE bridge = {};
    bridge.slot.u.bits.DeviceNumber = slot;
    bridge.slot.u.bits.FunctionNumber = function;
    UCHAR route = 0x80;
    PciReadConfig(&bridge, offset, &route, 1);
    return route & 0x80 ? 0 : route & 0x0F;
}

static bool IsIsaBridge(ULONG slot, USHORT id) {
    PCI_DEVICE bridge = {};
    bridge.slot.u.bits.DeviceNumber = slot;
    return PciRead16(&bridge, 0) == 0x8086 && PciRead16(&bridge, 2) == id;
}

// Which line pin `pin` (0: INTA#) of a device on the root bus is routed to. 0: unknown.
static UCHAR RootLine(ULONG slot, ULONG pin) {
    if (IsIsaBridge(1, 0x7000))
        return ReadRoute(1, 0, 0x60 + ((slot - 1 + pin) & 3));
    // Devices 25 to 31 have routes of their own in ICH9.
    if (IsIsaBridge(31, 0x2918) && slot < 25)
        return ReadRoute(31, 0, 0x68 + ((slot + pin) & 3)); // PIRQ E to H
    return 0;
}

// PCI-to-PCI Bridge 1.2, 9.1: behind a bridge the pins rotate with the device number.
void PciRouteLine(PCI_DEVICE *device) {
    UCHAR pin = device->config.u.type0.InterruptPin;
    if (!pin)
        return;
    ULONG rotated = pin - 1u;
    const PCI_DEVICE *at = device;
    for (int depth = 0; at->bus && depth < 16; depth++) {
        rotated = (rotated + at->slot.u.bits.DeviceNumber) & 3;
        at = PciBridgeOf(at->bus);
        if (!at)
            return;
    }
    UCHAR line = RootLine(at->slot.u.bits.DeviceNumber, rotated);
    device->config.u.type0.InterruptLine = line;
    PciWriteConfig(device, FIELD_OFFSET(PCI_COMMON_CONFIG, u.type0.InterruptLine), &line, 1);
}
