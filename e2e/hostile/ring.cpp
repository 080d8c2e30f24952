// SPDX-License-Identifier: MIT
#include "ring.h"

#include "ring_layout.h"

namespace hostile {

namespace {

// Longer than any queue; a driver may not exceed its queue's size (2.7.5.3.1).
constexpr uint32_t MaxIndirect = 32768;

} // namespace

uint64_t descriptorBytes(uint16_t size) {
    return uint64_t(16) * size;
}

uint64_t availableBytes(uint16_t size) {
    return AvailRing + uint64_t(2) * size + 2;
}

uint64_t usedBytes(uint16_t size) {
    return UsedRing + UsedElement * size + 2;
}

Ring::Ring(const RingParts &parts, const GuestMemory &memory, uint16_t next)
    : parts_(parts), memory_(memory), next_(next) {
    used_ = shared16(parts_.used + UsedIdx).load(std::memory_order_acquire);
    told_ = used_;
}

void Ring::moveTo(const RingParts &parts) {
    parts_ = parts;
}

uint16_t Ring::availableIndex() {
    uint16_t index = shared16(parts_.available + AvailIdx).load(std::memory_order_acquire);
    if (index == scribbledIndex_) {
        return next_; // our own, so that the driver has published nothing since
    }
    scribbledIndex_.reset();
    return index;
}

uint8_t *Ring::availableEntry(uint16_t index) const {
    return parts_.available + AvailRing + size_t(2) * (index % parts_.size);
}

Ring::Descriptor Ring::tableEntry(uint16_t index) const {
    Descriptor copy;

    if (index >= parts_.size) {
        throw RingError("descriptor " + std::to_string(index) + " of a table of " +
                        std::to_string(parts_.size));
    }
    memcpy(&copy, parts_.descriptors + size_t(16) * index, sizeof(copy));
    return copy;
}

void Ring::append(Chain &chain, const Descriptor &descriptor) const {
    std::vector<iovec> there;
    bool writable = (descriptor.flags & DescWrite) != 0;

    if (descriptor.length == 0) {
        throw RingError("a descriptor without length");
    }
    if (!writable && !chain.writable.empty()) {
        throw RingError("a readable descriptor behind a writable one");
    }
    if (!memory_.pieces(descriptor.address, descriptor.length, there)) {
        throw RingError(
            "a descriptor outside the guest's memory: " + std::to_string(descriptor.length) +
            " bytes at " + std::to_string(descriptor.address));
    }
    auto &list = writable ? chain.writable : chain.readable;
    list.push_back({descriptor.address, descriptor.length, writable});
}

std::vector<Ring::Descriptor> Ring::indirectTable(Chain &chain,
                                                  const Descriptor &descriptor) const {
    if (!parts_.indirect) {
        throw RingError("an indirect descriptor that wasn't negotiated");
    }
    // 2.7.5.3.1; a write flag is to be ignored (2.7.5.3.2).
    if ((descriptor.flags & DescNext) != 0) {
        throw RingError("an indirect descriptor that has a next one");
    }
    if (descriptor.length == 0 || descriptor.length % sizeof(Descriptor) != 0 ||
        descriptor.length / sizeof(Descriptor) > MaxIndirect) {
        throw RingError("an indirect table of " + std::to_string(descriptor.length) + " bytes");
    }
    std::vector<Descriptor> table(descriptor.length / sizeof(Descriptor));
    if (!memory_.copyFrom(descriptor.address, table.data(), descriptor.length)) {
        throw RingError("an indirect table outside the guest's memory");
    }
    chain.table = descriptor.address;
    chain.tableBytes = descriptor.length;
    return table;
}

// The chain from `first` on, in a table of `count` descriptors.
void Ring::walk(Chain &chain, uint32_t count, uint16_t first, bool top, const Fetch &fetch) const {
    uint16_t index = first;

    for (uint32_t seen = 0;; seen++) {
        if (seen == count) {
            throw RingError("a chain that never ends");
        }
        Descriptor descriptor = fetch(index);
        if (top) {
            chain.descriptors.push_back(index);
        }
        if ((descriptor.flags & DescIndirect) != 0) {
            if (!top) {
                throw RingError("an indirect table in an indirect table");
            }
            std::vector<Descriptor> table = indirectTable(chain, descriptor);
            walk(chain, uint32_t(table.size()), 0, false, [&](uint16_t at) {
                return at < table.size() ? table[at]
                                         : throw RingError("a link out of an indirect table");
            });
            return;
        }
        append(chain, descriptor);
        if ((descriptor.flags & DescNext) == 0) {
            return;
        }
        index = descriptor.next;
    }
}

Chain Ring::chainAt(uint16_t head) const {
    Chain chain;

    chain.head = head;
    walk(chain, parts_.size, head, true, [&](uint16_t at) { return tableEntry(at); });
    return chain;
}

std::optional<Chain> Ring::pop() {
    uint16_t waiting = uint16_t(availableIndex() - next_);

    if (waiting == 0) {
        return std::nullopt;
    }
    if (waiting > parts_.size) {
        throw RingError(std::to_string(waiting) + " buffers available in a ring of " +
                        std::to_string(parts_.size));
    }
    uint16_t head = shared16(availableEntry(next_)).load(std::memory_order_relaxed);
    Chain chain = chainAt(head);
    next_++;
    return chain;
}

void Ring::push(uint32_t id, uint32_t length, unsigned copies, uint16_t offset) {
    for (unsigned i = 0; i < copies; i++) {
        uint8_t *element = parts_.used + UsedRing + UsedElement * (used_ % parts_.size);
        memcpy(element, &id, sizeof(id));
        memcpy(element + sizeof(id), &length, sizeof(length));
        used_++;
    }
    // The element, and what the device wrote into the buffer, before the index.
    shared16(parts_.used + UsedIdx).store(uint16_t(used_ + offset), std::memory_order_release);
}

bool Ring::askForKick(const EventLie &lie) {
    // The farthest from what comes next: the index before it.
    uint16_t offset = lie.noNotify ? uint16_t(-1) : lie.offset;

    if (parts_.eventIdx) {
        shared16(parts_.used + UsedRing + UsedElement * parts_.size)
            .store(uint16_t(next_ + offset), std::memory_order_relaxed);
    }
    shared16(parts_.used + UsedFlags)
        .store(lie.noNotify ? UsedNoNotify : 0, std::memory_order_relaxed);
    // The driver stores its index and then reads this; so we store this and then read that.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return availableIndex() != next_;
}

bool Ring::interruptDue() {
    uint16_t before = told_;

    if (used_ == before) {
        return false;
    }
    told_ = used_;
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!parts_.eventIdx) {
        return (shared16(parts_.available).load(std::memory_order_relaxed) & AvailNoInterrupt) == 0;
    }
    uint16_t event = shared16(parts_.available + AvailRing + size_t(2) * parts_.size)
                         .load(std::memory_order_relaxed);
    // Is the event's index among those just used?
    return uint16_t(used_ - event - 1) < uint16_t(used_ - before);
}

} // namespace hostile
