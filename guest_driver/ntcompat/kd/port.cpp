// SPDX-License-Identifier: MIT
//
// COM2 by polling: the machine is stopped when it is used. The clock is the performance
// counter, which goes on.
#include "debugger.h"

namespace {

enum : USHORT { BASE = 0x2F8 };
enum : USHORT { DATA = 0, INTERRUPTS = 1, FIFO = 2, LINE = 3, MODEM = 4, STATUS = 5, SCRATCH = 7 };
enum : UCHAR {
    DATA_READY = 0x01,
    TRANSMITTER_EMPTY = 0x20,
    EIGHT_BITS = 0x03,
    DIVISOR = 0x80,
    FIFO_ON = 0xC1, // told of 14 bytes; an emulator hands over as many at a time
    DTR_RTS = 0x03
};
// Microseconds. A debugger that is there may be slow; nobody waits long for one that isn't.
enum : uint64_t { STUCK = 10000000, STUCK_ALONE = 100000, SPIN = 100 };
enum { FIFO_DEPTH = 16 };

uint64_t ticks_per_ms;
unsigned room;  // in the transmitter's FIFO
uint64_t busy;  // when a byte last went either way
bool stuck;     // the transmitter didn't empty: it is not waited for again
int early = -1; // a byte that came before the FIFO was on

UCHAR In(USHORT reg) {
    return __inbyte((USHORT)(BASE + reg));
}

void Out(USHORT reg, UCHAR value) {
    __outbyte((USHORT)(BASE + reg), value);
}

uint64_t Now(void *) {
    uint64_t ticks = __rdtsc();
    return ticks / ticks_per_ms * 1000 + ticks % ticks_per_ms * 1000 / ticks_per_ms;
}

// Who waits long sleeps until the next tick: a machine that sits in the debugger for an hour
// leaves its host alone, and an emulator short of processors gets on with what we wait for.
void Rest() {
    if (Now(nullptr) - busy < SPIN) {
        _mm_pause();
        return;
    }
    const uint64_t irql = __readcr8();
    __writecr8(KI_VECTOR_DEBUGGER / 16 - 1);
    __asm__ volatile("sti; hlt; cli" : : : "memory");
    __writecr8(irql);
}

int Get(void *) {
    if (early >= 0) {
        int byte = early;
        early = -1;
        return byte;
    }
    if (In(STATUS) & DATA_READY) {
        busy = Now(nullptr);
        return In(DATA);
    }
    if (KdpEntered)
        Rest();
    return -1;
}

// Whoever holds the other end may not take anything; bytes are then lost, as on a line.
void Put(void *, uint8_t byte) {
    if (room == 0) {
        const uint64_t start = Now(nullptr), limit = KdpIsPresent() ? STUCK : STUCK_ALONE;
        bool empty;
        while (!(empty = (In(STATUS) & TRANSMITTER_EMPTY) != 0) && !stuck &&
               Now(nullptr) - start < limit)
            _mm_pause();
        stuck = !empty;
        if (stuck)
            return;
        room = FIFO_DEPTH;
    }
    room--;
    Out(DATA, byte);
    busy = Now(nullptr);
}

} // namespace

KD_LINK KdpLink;

bool KdpByteWaiting(void) {
    return early >= 0 || (In(STATUS) & DATA_READY) != 0;
}

bool KdpInitializePort(void) {
    const UCHAR pattern = 0x5A;
    Out(SCRATCH, pattern);
    if (In(SCRATCH) != pattern || In(STATUS) == 0xFF)
        return false;
    LARGE_INTEGER frequency;
    (void)KeQueryPerformanceCounter(&frequency);
    ticks_per_ms = (uint64_t)frequency.QuadPart / 1000;
    Out(INTERRUPTS, 0);
    Out(LINE, DIVISOR | EIGHT_BITS); // 115200 baud
    Out(DATA, 1);
    Out(INTERRUPTS, 0);
    Out(LINE, EIGHT_BITS);
    // A debugger that was there first has sent its break-in; turning the FIFO on clears it.
    if (In(STATUS) & DATA_READY)
        early = In(DATA);
    Out(FIFO, FIFO_ON);
    Out(MODEM, DTR_RTS);
    const KD_PORT port = {Get, Put, Now, nullptr};
    KdLinkInitialize(&KdpLink, &port);
    return true;
}
