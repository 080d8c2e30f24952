// SPDX-License-Identifier: MIT
// What no device may do with a ring: write where the driver alone writes, and what it doesn't
// mean. None of it keeps this device from going on: it has read what it needs.
#include "garbage.h"
#include "ring.h"
#include "ring_layout.h"

namespace hostile {

void Ring::scribbleDescriptors(const Chain &chain, uint64_t seed) {
    for (uint16_t index : chain.descriptors) {
        fillWithGarbage(parts_.descriptors + sizeof(Descriptor) * index, sizeof(Descriptor),
                        seed + index);
    }
}

void Ring::scribbleTable(const Chain &chain, uint64_t seed) {
    std::vector<iovec> parts;

    if (chain.tableBytes != 0 && memory_.pieces(chain.table, chain.tableBytes, parts)) {
        fillWithGarbage(parts, seed);
    }
}

// The entry that was read last, and the index, unless there is something new behind it.
void Ring::scribbleAvailable(uint64_t seed) {
    uint16_t expected = next_, garbage = uint16_t(next_ + 0x4000 + seed % 0x8000);

    shared16(availableEntry(uint16_t(next_ - 1))).store(uint16_t(seed), std::memory_order_relaxed);
    if (shared16(parts_.available + AvailIdx).compare_exchange_strong(expected, garbage)) {
        scribbledIndex_ = garbage;
    }
}

// The element that is to be used next: the driver may not look at it yet.
void Ring::scribbleUsed(uint64_t seed) {
    fillWithGarbage(parts_.used + UsedRing + UsedElement * (used_ % parts_.size), UsedElement,
                    seed);
}

// A device without bounds: whose memory that is, it can't know.
void Ring::scribbleBehind(uint64_t seed) {
    if (parts_.behind != nullptr) {
        fillWithGarbage(parts_.behind, sizeof(uint64_t), seed);
    }
}

void Ring::scribbleEvents(uint64_t seed) {
    shared16(parts_.used + UsedRing + UsedElement * parts_.size)
        .store(uint16_t(seed), std::memory_order_relaxed);
    shared16(parts_.used + UsedFlags).store(uint16_t(seed >> 16), std::memory_order_relaxed);
}

} // namespace hostile
