// SPDX-License-Identifier: MIT
//
// The device side of a split virtqueue, written from Virtio 1.2, 2.7, with
// offsets of its own: it includes nothing of the library it is there to judge.
// A driver that breaks a rule of the specification makes it throw.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "guest_memory.h"

namespace vq7::model {

class DriverError : public std::runtime_error {
  public:
    DriverError(const std::string &section, const std::string &what)
        : std::runtime_error("Virtio 1.2, " + section + ": " + what) {}
};

struct Segment {
    std::uint64_t address;
    std::uint32_t length;
    bool writable;
};

struct Chain {
    std::uint16_t head;
    bool indirect;
    std::vector<Segment> segments;

    std::uint64_t Writable() const {
        std::uint64_t sum = 0;
        for (const Segment &segment : segments) {
            sum += segment.writable ? segment.length : 0;
        }
        return sum;
    }
};

class SplitDevice {
  public:
    struct Layout {
        std::uint16_t size;
        std::uint64_t desc;
        std::uint64_t avail;
        std::uint64_t used;
        bool event_idx;
        bool indirect;
    };

    SplitDevice(GuestMemory &memory, const Layout &layout) : memory_(memory), layout_(layout) {}

    // ----------------------------------------------------- where things are

    std::uint64_t DescAt(unsigned i) const {
        return layout_.desc + 16u * i; // 2.7.5
    }
    std::uint64_t AvailFlagsAt() const {
        return layout_.avail; // 2.7.6
    }
    std::uint64_t AvailIdxAt() const {
        return layout_.avail + 2;
    }
    std::uint64_t AvailRingAt(unsigned slot) const {
        return layout_.avail + 4 + 2u * slot;
    }
    std::uint64_t UsedEventAt() const {
        return layout_.avail + 4 + 2u * layout_.size;
    }
    std::uint64_t UsedFlagsAt() const {
        return layout_.used; // 2.7.8
    }
    std::uint64_t UsedIdxAt() const {
        return layout_.used + 2;
    }
    std::uint64_t UsedRingAt(unsigned slot) const {
        return layout_.used + 4 + 8u * slot;
    }
    std::uint64_t AvailEventAt() const {
        return layout_.used + 4 + 8u * layout_.size;
    }

    // --------------------------------------------------- a device's normal life

    // The next chain that the driver made available, if there is one.
    std::optional<Chain> Pop();

    // Hands a chain back with `length` bytes written (2.7.8).
    void Push(std::uint16_t head, std::uint32_t length) {
        PutUsed(next_used_, head, length);
        next_used_++;
        memory_.Store16(UsedIdxAt(), next_used_);
        in_flight_.erase(head);
    }

    // Whether what was pushed since the last call is worth an interrupt (2.7.7.2).
    bool TakeInterrupt();

    // Asks for a notification at the next available buffer, or for none (2.7.10).
    void WantNotifications(bool wanted);

    // 2.7.10.1: as soon as the driver's index passes this one.
    void SetAvailEvent(std::uint16_t event) {
        memory_.Store16(AvailEventAt(), event);
    }

    std::uint16_t AvailIdx() {
        return memory_.Load16(AvailIdxAt());
    }
    std::uint16_t UsedEvent() {
        return memory_.Load16(UsedEventAt());
    }
    std::uint16_t AvailFlags() {
        return memory_.Load16(AvailFlagsAt());
    }
    const std::set<std::uint16_t> &InFlight() const {
        return in_flight_;
    }

    // Starts at another index, as after 65,530 buffers.
    void StartAt(std::uint16_t index) {
        next_avail_ = next_used_ = last_signalled_ = index;
        memory_.Store16(UsedIdxAt(), index);
    }

    void Reset() {
        next_avail_ = next_used_ = last_signalled_ = 0;
        in_flight_.clear();
    }

    // ------------------------------------------------ and that of a broken one

    void PutUsed(std::uint16_t index, std::uint32_t id, std::uint32_t length) {
        std::uint64_t entry = UsedRingAt(index % layout_.size);
        memory_.Store32(entry, id);
        memory_.Store32(entry + 4, length);
    }
    void PutUsedIdx(std::uint16_t index) {
        memory_.Store16(UsedIdxAt(), index);
    }
    std::uint16_t NextUsed() const {
        return next_used_;
    }

    GuestMemory &Memory() {
        return memory_;
    }
    const Layout &GetLayout() const {
        return layout_;
    }

  private:
    struct Descriptor {
        std::uint64_t address;
        std::uint32_t length;
        std::uint16_t flags;
        std::uint16_t next;
    };
    static constexpr std::uint16_t kNext = 1, kWrite = 2, kIndirect = 4;

    Descriptor ReadDescriptor(std::uint64_t address);
    void Walk(std::uint64_t table, unsigned entries, std::uint16_t first, bool nested,
              Chain &chain);
    static void CheckChain(const Chain &chain, unsigned queue_size);

    GuestMemory &memory_;
    Layout layout_;
    std::uint16_t next_avail_ = 0;
    std::uint16_t next_used_ = 0;
    std::uint16_t last_signalled_ = 0;
    std::set<std::uint16_t> in_flight_;
};

} // namespace vq7::model
