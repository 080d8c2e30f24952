// SPDX-License-Identifier: MIT
//
// PCI configuration space by mechanism 1 (ports 0xCF8, 0xCFC): 256 bytes a
// function, which is all that HalGetBusDataByOffset offers for PCI.
#include "hal.h"

extern "C" {

enum { PCI_ADDRESS = 0xCF8, PCI_DATA = 0xCFC, PCI_SPACE = 256 };

static uint32_t HalPciAddress(ULONG bus, ULONG slot, ULONG offset) {
    PCI_SLOT_NUMBER s;
    s.u.AsULONG = slot;
    return 0x80000000u | bus << 16 | s.u.bits.DeviceNumber << 11 | s.u.bits.FunctionNumber << 8 |
           (offset & 0xFC);
}

// Each access has its natural width, as registers with side effects need.
static ULONG HalPciTransfer(ULONG bus, ULONG slot, UCHAR *buffer, ULONG offset, ULONG length,
                            bool write) {
    if (bus > 255 || offset >= PCI_SPACE)
        return 0;
    if (length > PCI_SPACE - offset)
        length = PCI_SPACE - offset;
    uint64_t flags = __readeflags();
    _disable(); // address and data belong together
    for (ULONG done = 0; done < length;) {
        ULONG at = offset + done, left = length - done;
        USHORT port = (USHORT)(PCI_DATA + (at & 3));
        __outdword(PCI_ADDRESS, HalPciAddress(bus, slot, at));
        if (at % 4 == 0 && left >= 4) {
            if (write)
                __outdword(port, *(UNALIGNED ULONG *)(buffer + done));
            else
                *(UNALIGNED ULONG *)(buffer + done) = __indword(port);
            done += 4;
        } else if (at % 2 == 0 && left >= 2) {
            if (write)
                __outword(port, *(UNALIGNED USHORT *)(buffer + done));
            else
                *(UNALIGNED USHORT *)(buffer + done) = __inword(port);
            done += 2;
        } else {
            if (write)
                __outbyte(port, buffer[done]);
            else
                buffer[done] = __inbyte(port);
            done += 1;
        }
    }
    if (flags & 0x200)
        _enable();
    return length;
}

ULONG HalGetBusDataByOffset(BUS_DATA_TYPE type, ULONG bus, ULONG slot, PVOID buffer, ULONG offset,
                            ULONG length) {
    if (type != PCIConfiguration)
        return 0;
    // A missing device: only the vendor id is given, and it is invalid.
    USHORT vendor;
    HalPciTransfer(bus, slot, (UCHAR *)&vendor, 0, sizeof(vendor), false);
    if (vendor == PCI_INVALID_VENDORID) {
        if (offset != 0 || length < sizeof(vendor))
            return 0;
        *(UNALIGNED USHORT *)buffer = PCI_INVALID_VENDORID;
        return sizeof(vendor);
    }
    return HalPciTransfer(bus, slot, (UCHAR *)buffer, offset, length, false);
}

ULONG HalSetBusDataByOffset(BUS_DATA_TYPE type, ULONG bus, ULONG slot, PVOID buffer, ULONG offset,
                            ULONG length) {
    if (type != PCIConfiguration)
        return 0;
    return HalPciTransfer(bus, slot, (UCHAR *)buffer, offset, length, true);
}

ULONG HalGetBusData(BUS_DATA_TYPE type, ULONG bus, ULONG slot, PVOID buffer, ULONG length) {
    return HalGetBusDataByOffset(type, bus, slot, buffer, 0, length);
}

ULONG HalSetBusData(BUS_DATA_TYPE type, ULONG bus, ULONG slot, PVOID buffer, ULONG length) {
    return HalSetBusDataByOffset(type, bus, slot, buffer, 0, length);
}

} // extern "C"
