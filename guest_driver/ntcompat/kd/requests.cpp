// SPDX-License-Identifier: MIT
//
// What a debugger asks of a stopped machine. Every request but one is answered, with the
// header it came with and a status.
#include "requests.h"

namespace {

enum : uint32_t { NO_MORE_ENTRIES = 0x8000001A };
enum : uint64_t { SEARCH_MAX = 0x100000000 }; // so that it ends
enum : uint32_t { FILL_VIRTUAL = 1, FILL_PHYSICAL = 2 };

typedef KDP_REQUEST Request;

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
    const uint32_t wanted = KdpLeast(memory->count, sizeof(KdpData));
    memory->actual = KdpRead(space, memory->address, KdpData, wanted);
    KdpAnswer(r, All(memory->actual, wanted), {KdpData, memory->actual});
}

// All that has come, as Windows does, whatever count the request names.
void WriteMemory(const Request *r, KDP_SPACE space) {
    KD_MEMORY *memory = &r->m->memory;
    memory->actual = KdpWrite(space, memory->address, r->data, r->length);
    KdpAnswer(r, All(memory->actual, r->length), KDP_NO_DATA);
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
        return KdpAnswer(r, KD_INVALID_PARAMETER, KDP_NO_DATA);
    uint64_t at = search->address, left = search->length;
    while (left >= length) {
        bool readable;
        if (Matches(at, r->data, length, &readable)) {
            search->address = at;
            return KdpAnswer(r, KD_SUCCESS, KDP_NO_DATA);
        }
        // A page that isn't there is passed over at once.
        const uint64_t step = readable ? 1 : KdpLeast(PAGE_SIZE - at % PAGE_SIZE, left);
        at += step;
        left -= step;
    }
    KdpAnswer(r, NO_MORE_ENTRIES, KDP_NO_DATA);
}

void FillMemory(const Request *r) {
    KD_FILL *fill = &r->m->fill;
    const uint32_t wanted = fill->length;
    if (fill->pattern_length == 0 || fill->pattern_length > r->length ||
        (fill->flags != FILL_VIRTUAL && fill->flags != FILL_PHYSICAL))
        return KdpAnswer(r, KD_INVALID_PARAMETER, KDP_NO_DATA);
    const KDP_SPACE space = fill->flags == FILL_PHYSICAL ? KdpPhysical : KdpVirtual;
    uint32_t done = 0;
    while (done < wanted &&
           KdpWrite(space, fill->address + done, &r->data[done % fill->pattern_length], 1) == 1)
        done++;
    fill->length = done;
    KdpAnswer(r, All(done, wanted), KDP_NO_DATA);
}

void QueryMemory(const Request *r) {
    KD_QUERY_MEMORY *query = &r->m->query;
    if (query->space != 0)
        return KdpAnswer(r, KD_INVALID_PARAMETER, KDP_NO_DATA);
    query->reserved = 0;
    query->space = query->address < (uint64_t)MmHighestUserAddress ? 0 : 2; // process, kernel
    query->flags = 1 | 2 | 4; // Windows doesn't look closer either
    KdpAnswer(r, KD_SUCCESS, KDP_NO_DATA);
}

// ---- breakpoints, version

void WriteBreakpoint(const Request *r) {
    KD_WRITE_BREAKPOINT *b = &r->m->write_breakpoint;
    b->handle = KdpAddBreakpoint(b->address);
    KdpAnswer(r, b->handle ? KD_SUCCESS : KD_UNSUCCESSFUL, KDP_NO_DATA);
}

void RestoreBreakpoint(const Request *r) {
    const bool done = KdpDeleteBreakpoint(r->m->restore_breakpoint.handle);
    KdpAnswer(r, done ? KD_SUCCESS : KD_UNSUCCESSFUL, KDP_NO_DATA);
}

// Several at once. Each that has a handle is removed first, each that has an address is set.
void WriteBreakpoints(const Request *r) {
    KD_WRITE_BREAKPOINT *b = (KD_WRITE_BREAKPOINT *)KdpData;
    uint32_t status = KD_SUCCESS;
    if (r->m->breakpoints.count != r->length / sizeof(*b) || r->length % sizeof(*b) != 0)
        return KdpAnswer(r, KD_UNSUCCESSFUL, KDP_NO_DATA);
    const KD_SPAN data = KdpEcho(r);
    for (uint32_t i = 0; i < r->m->breakpoints.count; i++) {
        if (b[i].handle != 0 && !KdpDeleteBreakpoint(b[i].handle))
            status = KD_UNSUCCESSFUL;
        b[i].handle = b[i].address ? KdpAddBreakpoint(b[i].address) : 0;
        if (b[i].address != 0 && b[i].handle == 0)
            status = KD_UNSUCCESSFUL;
    }
    KdpAnswer(r, status, data);
}

void RestoreBreakpoints(const Request *r) {
    const KD_RESTORE_BREAKPOINT *b = (const KD_RESTORE_BREAKPOINT *)r->data;
    uint32_t status = KD_SUCCESS;
    if (r->m->breakpoints.count != r->length / sizeof(*b) || r->length % sizeof(*b) != 0)
        return KdpAnswer(r, KD_UNSUCCESSFUL, KDP_NO_DATA);
    for (uint32_t i = 0; i < r->m->breakpoints.count; i++)
        if (!KdpDeleteBreakpoint(b[i].handle))
            status = KD_UNSUCCESSFUL;
    KdpAnswer(r, status, KdpEcho(r));
}

void GetVersion(const Request *r) {
    r->m->version = KdVersionBlock;
    KdpAnswer(r, KD_SUCCESS, KDP_NO_DATA);
}

} // namespace

void KdpAnswer(const KDP_REQUEST *r, uint32_t status, KD_SPAN data) {
    r->m->status = status;
    KdpReply(r->m, data);
}

KD_SPAN KdpEcho(const KDP_REQUEST *r) {
    const uint32_t length = KdpLeast(r->length, sizeof(KdpData));
    __movsb(KdpData, r->data, length);
    return {KdpData, length};
}

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
        return KdpGetContext(r);
    case KdApiSetContext:
        return KdpSetContext(r);
    case KdApiGetContextEx:
        return KdpGetContextPart(r);
    case KdApiSetContextEx:
        return KdpSetContextPart(r);
    case KdApiReadControl:
        return KdpReadControl(r);
    case KdApiWriteControl:
        return KdpWriteControl(r);
    case KdApiReadMsr:
    case KdApiWriteMsr:
        return KdpAccessMsr(r, message->api == KdApiWriteMsr);
    case KdApiReadIo:
    case KdApiWriteIo:
        return KdpAccessIo(r, message->api == KdApiWriteIo);
    case KdApiReadIoExtended:
    case KdApiWriteIoExtended:
        return KdpAccessIoExtended(r, message->api == KdApiWriteIoExtended);
    case KdApiGetBusData:
    case KdApiSetBusData:
        return KdpAccessBus(r, message->api == KdApiSetBusData);
    case KdApiWriteBreakpoint:
        return WriteBreakpoint(r);
    case KdApiRestoreBreakpoint:
        return RestoreBreakpoint(r);
    case KdApiWriteBreakpointEx:
        return WriteBreakpoints(r);
    case KdApiRestoreBreakpointEx:
        return RestoreBreakpoints(r);
    case KdApiGetVersion:
        return GetVersion(r);
    case KdApiCheckLowMemory: // of corruption below 4 GiB, which isn't looked for
        return KdpAnswer(r, KD_SUCCESS, KDP_NO_DATA);
    case KdApiClearInternalBreakpoints: // there are none, and no answer
        return;
    case KdApiReboot:
        HalRebootMachine();
    default:
        return KdpAnswer(r, KD_UNSUCCESSFUL, KDP_NO_DATA);
    }
}
