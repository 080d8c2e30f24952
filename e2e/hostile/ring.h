// SPDX-License-Identifier: MIT
// The device's side of a split virtqueue (Virtio 1.2, 2.7), with arithmetic of its own.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "fd.h"
#include "guest_memory.h"

namespace hostile {

// The driver put something into the ring that no driver may; the queue is of no use then.
class RingError : public Error {
  public:
    using Error::Error;
};

// A buffer that the driver made available: what may be read comes first (2.7.4.2).
struct Chain {
    uint16_t head = 0;
    std::vector<Segment> readable, writable;
    std::vector<uint16_t> descriptors; // of the ring's own table
    uint64_t table = 0;                // the indirect table, of so many bytes
    uint32_t tableBytes = 0;
};

// What the device says of notifications, instead of what it wants.
struct EventLie {
    uint16_t offset = 0; // added to avail_event
    bool noNotify = false;
};

struct RingParts {
    uint8_t *descriptors = nullptr;
    uint8_t *available = nullptr;
    uint8_t *used = nullptr;
    uint8_t *behind = nullptr; // the second page behind the used ring, if there is one
    uint16_t size = 0;
    bool eventIdx = false;
    bool indirect = false;
};

// How many bytes each part takes, its event field included.
uint64_t descriptorBytes(uint16_t size);
uint64_t availableBytes(uint16_t size);
uint64_t usedBytes(uint16_t size);

class Ring {
  public:
    // `next`: where the available ring is to be read on.
    Ring(const RingParts &parts, const GuestMemory &memory, uint16_t next);

    // Other places of the same ring, after the memory table has changed.
    void moveTo(const RingParts &parts);

    // Another place to read the available ring on from.
    void readFrom(uint16_t next) {
        next_ = next;
    }
    // The next available buffer, if there is one. Throws RingError.
    std::optional<Chain> pop();
    // A buffer by its head, as one that was popped before. Throws RingError.
    Chain chainAt(uint16_t head) const;
    // Gives a buffer back, `copies` times at once; `offset` is added to what used->idx says,
    // and nowhere else.
    void push(uint32_t id, uint32_t length, unsigned copies = 1, uint16_t offset = 0);

    // Asks for a notification of the next buffer. True: one has come meanwhile, so look
    // again (2.7.7.1).
    bool askForKick(const EventLie &lie = {});
    // Whether the driver wants to be interrupted for what was pushed since the last call
    // (2.7.7.2, 2.7.10).
    bool interruptDue();

    // ring_scribble.cpp: over what the driver alone may write, or what it has had. The device
    // itself has no use for it any more.
    void scribbleDescriptors(const Chain &chain, uint64_t seed);
    void scribbleTable(const Chain &chain, uint64_t seed);
    void scribbleAvailable(uint64_t seed);
    void scribbleUsed(uint64_t seed);
    void scribbleEvents(uint64_t seed);
    void scribbleBehind(uint64_t seed);

    uint16_t nextAvailable() const {
        return next_;
    }
    uint16_t usedIndex() const {
        return used_;
    }
    uint16_t size() const {
        return parts_.size;
    }

  private:
    struct Descriptor {
        uint64_t address;
        uint32_t length;
        uint16_t flags;
        uint16_t next;
    };
    static_assert(sizeof(Descriptor) == 16);

    uint16_t availableIndex();
    uint8_t *availableEntry(uint16_t index) const;
    Descriptor tableEntry(uint16_t index) const;
    std::vector<Descriptor> indirectTable(Chain &chain, const Descriptor &descriptor) const;
    void append(Chain &chain, const Descriptor &descriptor) const;
    using Fetch = std::function<Descriptor(uint16_t index)>;
    void walk(Chain &chain, uint32_t count, uint16_t first, bool top, const Fetch &fetch) const;

    RingParts parts_;
    const GuestMemory &memory_;
    uint16_t next_; // of the available ring
    uint16_t used_; // what used->idx is
    uint16_t told_; // used->idx when the driver was last interrupted, or could have been
    std::optional<uint16_t> scribbledIndex_; // what the device wrote over avail->idx
};

} // namespace hostile
