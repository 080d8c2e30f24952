// SPDX-License-Identifier: MIT
//
// I/O ports and configuration spaces for the debugger.
#include "requests.h"

namespace {

enum : uint32_t { MISALIGNED = 0x80000002 };
enum : uint32_t { INTERFACE_ISA = 1, SPACE_IO = 1 };

uint32_t In(USHORT port, uint32_t size) {
    return size == 1 ? __inbyte(port) : size == 2 ? __inword(port) : __indword(port);
}

void Out(USHORT port, uint32_t size, uint32_t value) {
    if (size == 1)
        __outbyte(port, (UCHAR)value);
    else if (size == 2)
        __outword(port, (USHORT)value);
    else
        __outdword(port, value);
}

uint32_t Access(uint64_t address, uint32_t size, uint32_t *value, bool write) {
    if (size != 1 && size != 2 && size != 4)
        return KD_INVALID_PARAMETER;
    if (address > 0xFFFF || address + size > 0x10000)
        return KD_INVALID_PARAMETER;
    if (address % size != 0)
        return MISALIGNED;
    if (write)
        Out((USHORT)address, size, *value);
    else
        *value = In((USHORT)address, size);
    return KD_SUCCESS;
}

} // namespace

void KdpAccessIo(const KDP_REQUEST *r, bool write) {
    KD_IO *io = &r->m->io;
    uint32_t value = write ? io->value : 0;
    const uint32_t status = Access(io->address, io->size, &value, write);
    io->value = value;
    if (status != KD_SUCCESS)
        io->size = 0;
    KdpAnswer(r, status, KDP_NO_DATA);
}

// The same ports: on this architecture there are no others.
void KdpAccessIoExtended(const KDP_REQUEST *r, bool write) {
    KD_IO_EXTENDED *io = &r->m->io_extended;
    uint32_t status = KD_INVALID_PARAMETER;
    if (!write)
        io->value = 0;
    if (io->interface_type == INTERFACE_ISA && io->bus == 0 && io->space == SPACE_IO)
        status = Access(io->address, io->size, &io->value, write);
    if (status != KD_SUCCESS)
        io->size = 0;
    KdpAnswer(r, status, KDP_NO_DATA);
}

void KdpAccessBus(const KDP_REQUEST *r, bool write) {
    KD_BUS_DATA *bus = &r->m->bus;
    const uint32_t wanted = KdpLeast(bus->length, write ? r->length : sizeof(KdpData));
    const BUS_DATA_TYPE type = (BUS_DATA_TYPE)bus->type;
    bus->length =
        write
            ? HalSetBusDataByOffset(type, bus->bus, bus->slot, (PVOID)r->data, bus->offset, wanted)
            : HalGetBusDataByOffset(type, bus->bus, bus->slot, KdpData, bus->offset, wanted);
    const KD_SPAN data = {KdpData, write ? 0 : bus->length};
    KdpAnswer(r, bus->length ? KD_SUCCESS : KD_UNSUCCESSFUL, data);
}
