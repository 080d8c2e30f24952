// SPDX-License-Identifier: MIT
//
// What a debugger asks of a stopped machine. Every request but one is answered, with the
// header it came with and a status.
#include "debugger.h"

bool KdpContextSent;
bool KdpCrashWanted;
uint64_t KdpSentDr[6];

namespace {

enum : uint32_t { NO_MORE_ENTRIES = 0x8000001A, MISALIGNED = 0x80000002 };
enum : uint64_t { SEARCH_MAX = 0x100000000 }; // so that it ends
enum : uint32_t { FILL_VIRTUAL = 1, FILL_PHYSICAL = 2 };
enum : uint64_t { CONTROL_PCR, CONTROL_PRCB, CONTROL_SPECIAL, CONTROL_THREAD };

struct Request {
    KD_MANIPULATE *m;
    const uint8_t *data;
    uint32_t length;
};

const KD_SPAN kNoData = {nullptr, 0};

void Answer(const Request *r, uint32_t status, KD_SPAN data) {
    r->m->status = status;
    KdpReply(r->m, data);
}

uint32_t Least(uint32_t a, uint64_t b) {
    return a < b ? a : (uint32_t)b;
}

uint32_t All(uint32_t done, uint32_t wanted) {
    return done == wanted ? KD_SUCCESS : KD_UNSUCCESSFUL;
}

// ---- memory

// Physical memory that is no RAM is a device's, and touched only by who says how it is
// cached, as on Windows.
KDP_SPACE PhysicalSpace(const KD_MEMORY *memory) {
    return memory->actual >= 1 && memory->actual <= 3 ? KdpPhysicalDevice : KdpPhysical;
}

void ReadMemory(const Request *r, KDP_SPACE space) {
    KD_MEMORY *memory = &r->m->memory;
    const uint32_t wanted = Least(memory->count, sizeof(KdpData));
    memory->actual = KdpRead(space, memory->address, KdpData, wanted);
    Answer(r, All(memory->actual, wanted), {KdpData, memory->actual});
}

void WriteMemory(const Request *r, KDP_SPACE space) {
    KD_MEMORY *memory = &r->m->memory;
    const uint32_t wanted = Least(memory->count, r->length);
    memory->actual = KdpWrite(space, memory->address, r->data, wanted);
    Answer(r, All(memory->actual, memory->count), kNoData);
}

bool Matches(uint64_t address, const uint8_t *pattern, uint32_t length, bool *readable) {
    uint8_t byte;
    for (uint32_t i = 0; i < length; i++) {
        *readable = KdpRead(KdpVirtual, address + i, &byte, 1) == 1;
        if (!*readable || byte != pattern[i])
            return false;
    }
    return true;
}

void SearchMemory(const Request *r) {
    KD_SEARCH *search = &r->m->search;
    const uint32_t length = search->pattern_length;
    if (length == 0 || length > r->length || search->length > SEARCH_MAX)
        return Answer(r, KD_INVALID_PARAMETER, kNoData);
    uint64_t at = search->address, left = search->length;
    while (left >= length) {
        bool readable;
        if (Matches(at, r->data, length, &readable)) {
            search->address = at;
            return Answer(r, KD_SUCCESS, kNoData);
        }
        // A page that isn't there is passed over at once.
        const uint64_t step = readable ? 1 : Least(PAGE_SIZE - at % PAGE_SIZE, left);
        at += step;
        left -= step;
    }
    Answer(r, NO_MORE_ENTRIES, kNoData);
}

void FillMemory(const Request *r) {
    KD_FILL *fill = &r->m->fill;
    const uint32_t wanted = fill->length;
    if (fill->pattern_length == 0 || fill->pattern_length > r->length ||
        (fill->flags != FILL_VIRTUAL && fill->flags != FILL_PHYSICAL))
        return Answer(r, KD_INVALID_PARAMETER, kNoData);
    const KDP_SPACE space = fill->flags == FILL_PHYSICAL ? KdpPhysical : KdpVirtual;
    uint32_t done = 0;
    while (done < wanted &&
           KdpWrite(space, fill->address + done, &r->data[done % fill->pattern_length], 1) == 1)
        done++;
    fill->length = done;
    Answer(r, All(done, wanted), kNoData);
}

void QueryMemory(const Request *r) {
    KD_QUERY_MEMORY *query = &r->m->query;
    if (query->space != 0)
        return Answer(r, KD_INVALID_PARAMETER, kNoData);
    query->reserved = 0;
    query->space = (int64_t)query->address < 0 ? 2 : 0; // kernel, process
    query->flags = 1 | 2 | 4;                           // Windows doesn't look closer either
    Answer(r, KD_SUCCESS, kNoData);
}

// ---- the processor

void GetContext(const Request *r) {
    if (r->m->processor != 0)
        return Answer(r, KD_UNSUCCESSFUL, kNoData);
    KdpContextSent = true;
    const CONTEXT *context = &KiPcr.Prcb.ProcessorState.ContextFrame;
    Answer(r, KD_SUCCESS, {context, sizeof(*context)});
}

void SetContext(const Request *r) {
    if (r->m->processor != 0 || !KdpContextSent || r->length < sizeof(CONTEXT))
        return Answer(r, KD_UNSUCCESSFUL, kNoData);
    uint8_t *context = (uint8_t *)&KiPcr.Prcb.ProcessorState.ContextFrame;
    for (uint32_t i = 0; i < sizeof(CONTEXT); i++)
        context[i] = r->data[i];
    Answer(r, KD_SUCCESS, kNoData);
}

void ReadControl(const Request *r) {
    KD_MEMORY *memory = &r->m->memory;
    const uint64_t pointers[4] = {(uint64_t)&KiPcr, (uint64_t)&KiPcr.Prcb, 0,
                                  (uint64_t)KiCurrent()};
    KD_SPAN data = kNoData;
    if (r->m->processor == 0 && memory->address == CONTROL_SPECIAL)
        data = {&KiPcr.Prcb.ProcessorState.SpecialRegisters, sizeof(_KSPECIAL_REGISTERS)};
    else if (r->m->processor == 0 && memory->address <= CONTROL_THREAD)
        data = {&pointers[memory->address], sizeof(uint64_t)};
    const uint32_t status = data.bytes ? KD_SUCCESS : KD_UNSUCCESSFUL;
    data.length = Least(memory->count, data.length);
    memory->actual = (uint32_t)data.length;
    Answer(r, status, data);
}

// Debug registers, CR2 and CR8 are loaded when the machine goes on. What would pull the
// ground from under it can't be changed here.
void WriteControl(const Request *r) {
    KD_MEMORY *memory = &r->m->memory;
    _KSPECIAL_REGISTERS *now = &KiPcr.Prcb.ProcessorState.SpecialRegisters, wanted = *now;
    memory->actual = 0;
    if (r->m->processor != 0 || memory->address != CONTROL_SPECIAL)
        return Answer(r, KD_UNSUCCESSFUL, kNoData);
    const uint32_t length = Least(Least(memory->count, r->length), sizeof(wanted));
    for (uint32_t i = 0; i < length; i++)
        ((uint8_t *)&wanted)[i] = r->data[i];
    if (wanted.Cr0 != now->Cr0 || wanted.Cr3 != now->Cr3 || wanted.Cr4 != now->Cr4)
        return Answer(r, KD_UNSUCCESSFUL, kNoData);
    *now = wanted;
    memory->actual = length;
    Answer(r, KD_SUCCESS, kNoData);
}

void Msr(const Request *r, bool write) {
    KD_MSR *msr = &r->m->msr;
    uint64_t value = msr->low | (uint64_t)msr->high << 32;
    const uint32_t status =
        write ? KdpWriteMsr(msr->number, value) : KdpReadMsr(msr->number, &value);
    msr->low = (uint32_t)value;
    msr->high = (uint32_t)(value >> 32);
    Answer(r, status, kNoData);
}

// ---- buses

uint32_t PortAccess(KD_IO *io, bool write) {
    const USHORT port = (USHORT)io->address;
    if (io->size != 1 && io->size != 2 && io->size != 4)
        return KD_INVALID_PARAMETER;
    if (io->address > 0xFFFF || io->address + io->size > 0x10000)
        return KD_INVALID_PARAMETER;
    if (io->address % io->size != 0)
        return MISALIGNED;
    if (io->size == 1 && write)
        __outbyte(port, (UCHAR)io->value);
    else if (io->size == 2 && write)
        __outword(port, (USHORT)io->value);
    else if (write)
        __outdword(port, io->value);
    else
        io->value = io->size == 1   ? __inbyte(port)
                    : io->size == 2 ? __inword(port)
                                    : __indword(port);
    return KD_SUCCESS;
}

void Io(const Request *r, bool write) {
    KD_IO *io = &r->m->io;
    if (!write)
        io->value = 0;
    const uint32_t status = PortAccess(io, write);
    if (status != KD_SUCCESS)
        io->size = 0;
    Answer(r, status, kNoData);
}

void BusData(const Request *r, bool write) {
    KD_BUS_DATA *bus = &r->m->bus;
    const uint32_t wanted = Least(bus->length, write ? r->length : sizeof(KdpData));
    const BUS_DATA_TYPE type = (BUS_DATA_TYPE)bus->type;
    bus->length =
        write
            ? HalSetBusDataByOffset(type, bus->bus, bus->slot, (PVOID)r->data, bus->offset, wanted)
            : HalGetBusDataByOffset(type, bus->bus, bus->slot, KdpData, bus->offset, wanted);
    const KD_SPAN data = {KdpData, write ? 0 : bus->length};
    Answer(r, bus->length ? KD_SUCCESS : KD_UNSUCCESSFUL, data);
}

// ---- breakpoints, version

void WriteBreakpoint(const Request *r) {
    KD_WRITE_BREAKPOINT *b = &r->m->write_breakpoint;
    b->handle = KdpAddBreakpoint(b->address);
    Answer(r, b->handle ? KD_SUCCESS : KD_UNSUCCESSFUL, kNoData);
}

void RestoreBreakpoint(const Request *r) {
    const bool done = KdpDeleteBreakpoint(r->m->restore_breakpoint.handle);
    Answer(r, done ? KD_SUCCESS : KD_UNSUCCESSFUL, kNoData);
}

void GetVersion(const Request *r) {
    r->m->version = KdVersionBlock;
    Answer(r, KD_SUCCESS, kNoData);
}

} // namespace

void KdpRequest(KD_MANIPULATE *message, const uint8_t *data, uint32_t length) {
    const Request request = {message, data, length}, *r = &request;
    switch (message->api) {
    case KdApiReadVirtual:
        return ReadMemory(r, KdpVirtual);
    case KdApiWriteVirtual:
        return WriteMemory(r, KdpVirtual);
    case KdApiReadPhysical:
        return ReadMemory(r, PhysicalSpace(&message->memory));
    case KdApiWritePhysical:
        return WriteMemory(r, PhysicalSpace(&message->memory));
    case KdApiSearchMemory:
        return SearchMemory(r);
    case KdApiFillMemory:
        return FillMemory(r);
    case KdApiQueryMemory:
        return QueryMemory(r);
    case KdApiGetContext:
        return GetContext(r);
    case KdApiSetContext:
        return SetContext(r);
    case KdApiReadControl:
        return ReadControl(r);
    case KdApiWriteControl:
        return WriteControl(r);
    case KdApiReadMsr:
    case KdApiWriteMsr:
        return Msr(r, message->api == KdApiWriteMsr);
    case KdApiReadIo:
    case KdApiWriteIo:
        return Io(r, message->api == KdApiWriteIo);
    case KdApiGetBusData:
    case KdApiSetBusData:
        return BusData(r, message->api == KdApiSetBusData);
    case KdApiWriteBreakpoint:
        return WriteBreakpoint(r);
    case KdApiRestoreBreakpoint:
        return RestoreBreakpoint(r);
    case KdApiGetVersion:
        return GetVersion(r);
    case KdApiCheckLowMemory: // of corruption below 4 GiB, which isn't looked for
        return Answer(r, KD_SUCCESS, kNoData);
    case KdApiClearInternalBreakpoints: // there are none, and no answer
        return;
    case KdApiReboot:
        HalRebootMachine();
    default:
        return Answer(r, KD_UNSUCCESSFUL, kNoData);
    }
}
