// SPDX-License-Identifier: MIT
//
// Software breakpoints that the debugger has set: a table of 32, as on Windows. A handle
// is an index, from 1.
#include "debugger.h"

namespace {

enum { BREAKPOINTS = 32 };
enum : uint8_t { INT3 = 0xCC };

struct Breakpoint {
    uint64_t address; // 0: free
    uint8_t original;
};

Breakpoint table[BREAKPOINTS];

// What has been written over since is not ours to restore.
void Lift(Breakpoint *b) {
    uint8_t now;
    if (KdpRead(KdpVirtual, b->address, &now, 1) == 1 && now == INT3)
        (void)KdpWrite(KdpVirtual, b->address, &b->original, 1);
    b->address = 0;
}

} // namespace

uint32_t KdpAddBreakpoint(uint64_t address) {
    Breakpoint *free = nullptr;
    for (Breakpoint &b : table) {
        if (b.address == address && address != 0)
            return 0; // a second one is refused, as on Windows
        if (b.address == 0 && !free)
            free = &b;
    }
    const uint8_t int3 = INT3;
    if (!free || KdpRead(KdpVirtual, address, &free->original, 1) != 1 ||
        KdpWrite(KdpVirtual, address, &int3, 1) != 1)
        return 0;
    free->address = address;
    return (uint32_t)(free - table) + 1;
}

bool KdpDeleteBreakpoint(uint32_t handle) {
    if (handle == 0 || handle > BREAKPOINTS || table[handle - 1].address == 0)
        return false;
    Lift(&table[handle - 1]);
    return true;
}

bool KdpDeleteBreakpoints(uint64_t first, uint64_t last) {
    bool found = false;
    for (Breakpoint &b : table) {
        if (b.address == 0 || b.address < first || b.address > last)
            continue;
        Lift(&b);
        found = true;
    }
    return found;
}
