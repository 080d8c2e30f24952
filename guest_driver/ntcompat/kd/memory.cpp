// SPDX-License-Identifier: MIT
//
// Memory for the debugger: page by page, each looked up in the page tables first.
#include "debugger.h"

#include "mm/mi.h"

namespace {

// With the width that the address allows: a device's registers may be there.
void Move(volatile uint8_t *to, const volatile uint8_t *from, uint64_t target, uint32_t length) {
    for (uint32_t done = 0; done < length;) {
        const uint32_t left = length - done;
        if ((target + done) % 8 == 0 && left >= 8) {
            *(volatile UNALIGNED uint64_t *)(to + done) =
                *(const volatile UNALIGNED uint64_t *)(from + done);
            done += 8;
        } else if ((target + done) % 4 == 0 && left >= 4) {
            *(volatile UNALIGNED uint32_t *)(to + done) =
                *(const volatile UNALIGNED uint32_t *)(from + done);
            done += 4;
        } else if ((target + done) % 2 == 0 && left >= 2) {
            *(volatile UNALIGNED uint16_t *)(to + done) =
                *(const volatile UNALIGNED uint16_t *)(from + done);
            done += 2;
        } else {
            to[done] = from[done];
            done++;
        }
    }
}

// Where the byte at `address` can be reached; nullptr: nowhere. RAM through the direct
// map, which can be written whatever the page's own protection is.
uint8_t *Reach(KDP_SPACE space, uint64_t address, bool write) {
    MI_PAGE_INFO page = {address, true};
    if (space == KdpVirtual && !MiQueryPage(address, &page))
        return nullptr;
    uint8_t *direct = (uint8_t *)MiDirectMap(page.physical);
    MI_PAGE_INFO ignored;
    if (page.physical < NTC_IMAGE_BASE - NTC_DIRECT_MAP_BASE &&
        MiQueryPage((uint64_t)direct, &ignored))
        return direct;
    if (space == KdpVirtual)
        return write && !page.writable ? nullptr : (uint8_t *)address;
    return space == KdpPhysicalDevice ? (uint8_t *)MiMapDebugWindow(address) : nullptr;
}

uint32_t Copy(KDP_SPACE space, uint64_t address, uint8_t *buffer, uint32_t length, bool write) {
    uint32_t done = 0;
    while (done < length) {
        const uint64_t at = address + done;
        uint32_t part = (uint32_t)(PAGE_SIZE - at % PAGE_SIZE);
        if (part > length - done)
            part = length - done;
        uint8_t *memory = Reach(space, at, write);
        if (!memory)
            break;
        if (write)
            Move(memory, buffer + done, at, part);
        else
            Move(buffer + done, memory, at, part);
        done += part;
    }
    return done;
}

} // namespace

uint32_t KdpRead(KDP_SPACE space, uint64_t address, void *to, uint32_t length) {
    return Copy(space, address, (uint8_t *)to, length, false);
}

uint32_t KdpWrite(KDP_SPACE space, uint64_t address, const void *from, uint32_t length) {
    return Copy(space, address, (uint8_t *)from, length, true);
}
