// SPDX-License-Identifier: MIT

#include "split_device.h"

namespace vq7::model {

SplitDevice::Descriptor SplitDevice::ReadDescriptor(std::uint64_t address) {
    return {memory_.Load64(address), memory_.Load32(address + 8), memory_.Load16(address + 12),
            memory_.Load16(address + 14)};
}

void SplitDevice::Walk(std::uint64_t table, unsigned entries, std::uint16_t first, bool nested,
                       Chain &chain) {
    std::uint16_t index = first;
    for (unsigned steps = 0;; steps++) {
        if (index >= entries) {
            throw DriverError("2.7.5", "descriptor index out of range");
        }
        if (steps >= entries) {
            throw DriverError("2.7.5.2", "descriptor chain has a loop");
        }
        Descriptor d = ReadDescriptor(table + 16u * index);
        if ((d.flags & ~(kNext | kWrite | kIndirect)) != 0) {
            throw DriverError("2.7.5", "unknown descriptor flag");
        }
        if ((d.flags & kIndirect) != 0) {
            if (nested || !layout_.indirect) {
                throw DriverError("2.7.5.3.1", "indirect not allowed here");
            }
            if ((d.flags & kNext) != 0) {
                throw DriverError("2.7.5.3.1", "INDIRECT together with NEXT");
            }
            if (d.length == 0 || d.length % 16 != 0) {
                throw DriverError("2.7.5.3", "indirect table of odd size");
            }
            chain.indirect = true;
            Walk(d.address, d.length / 16, 0, true, chain);
            return;
        }
        chain.segments.push_back({d.address, d.length, (d.flags & kWrite) != 0});
        if ((d.flags & kNext) == 0) {
            return;
        }
        index = d.next;
    }
}

void SplitDevice::CheckChain(const Chain &chain, unsigned queue_size) {
    std::uint64_t total = 0;
    bool writable_seen = false;
    if (chain.segments.size() > queue_size) {
        throw DriverError("2.7.5.3.1", "chain longer than the queue");
    }
    for (const Segment &segment : chain.segments) {
        total += segment.length;
        if (segment.length == 0) {
            throw DriverError("2.7.5", "descriptor of length 0");
        }
        if (segment.writable) {
            writable_seen = true;
        } else if (writable_seen) {
            throw DriverError("2.7.4.2", "readable after writable");
        }
    }
    if (total > (std::uint64_t{1} << 32)) {
        throw DriverError("2.7.5", "chain of more than 2^32 bytes");
    }
}

std::optional<Chain> SplitDevice::Pop() {
    std::uint16_t waiting = static_cast<std::uint16_t>(AvailIdx() - next_avail_);
    if (waiting > layout_.size) {
        throw DriverError("2.7.6.1", "avail->idx ahead by more than the queue");
    }
    if (layout_.event_idx && AvailFlags() != 0) {
        throw DriverError("2.7.7.1", "avail->flags not 0 with EVENT_IDX");
    }
    if (waiting == 0) {
        return std::nullopt;
    }
    Chain chain{};
    chain.head = memory_.Load16(AvailRingAt(next_avail_ % layout_.size));
    if (!in_flight_.insert(chain.head).second) {
        throw DriverError("2.7.13", "a head that the device still has");
    }
    Walk(layout_.desc, layout_.size, chain.head, false, chain);
    CheckChain(chain, layout_.size);
    next_avail_++;
    return chain;
}

bool SplitDevice::TakeInterrupt() {
    std::uint16_t now = next_used_, before = last_signalled_;
    if (now == before) {
        return false;
    }
    if (!layout_.event_idx) {
        last_signalled_ = now;
        return (AvailFlags() & 1) == 0;
    }
    // 2.7.7.2: the entry at used_event was written in this step.
    std::uint16_t event = UsedEvent();
    last_signalled_ = now;
    for (std::uint16_t i = before; i != now; i++) {
        if (i == event) {
            return true;
        }
    }
    return false;
}

void SplitDevice::WantNotifications(bool wanted) {
    if (layout_.event_idx) {
        SetAvailEvent(wanted ? next_avail_ : static_cast<std::uint16_t>(next_avail_ - 1));
    } else {
        memory_.Store16(UsedFlagsAt(), wanted ? 0 : 1);
    }
}

} // namespace vq7::model
