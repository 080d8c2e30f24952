// SPDX-License-Identifier: MIT
// Every way to misbehave, one entry each.
#include <algorithm>
#include <array>

#include "plan.h"

namespace hostile {

namespace {

// 2.7.8, and beyond it.
const Misbehaviour usedRing[] = {
    {"used-id", Moment::Completion, "a used id of `value`", 0xFFFFFFFF,
     [](Plan &plan, uint64_t value) { plan.usedId = uint32_t(value); }},
    {"used-id-beyond", Moment::Completion, "a used id `value` above the queue size", 0,
     [](Plan &plan, uint64_t value) { plan.usedId = plan.queueSize + uint32_t(value); }},
    {"used-id-unissued", Moment::Completion, "the id of a descriptor that was never a head", 0,
     [](Plan &plan, uint64_t) { plan.usedId = plan.unissued.value_or(uint16_t(plan.usedId)); }},
    {"used-id-inside", Moment::Completion, "the id of the chain's second descriptor", 0,
     [](Plan &plan, uint64_t) { plan.usedId = plan.inside.value_or(uint16_t(plan.usedId)); }},
    {"used-twice", Moment::Completion, "`value` used entries for one buffer", 2,
     [](Plan &plan, uint64_t value) { plan.copies = unsigned(value); }},
    {"used-index", Moment::Completion, "used->idx is `value` more than it should be, mod 65,536", 1,
     [](Plan &plan, uint64_t value) { plan.indexOffset = uint16_t(value); }},
    {"length", Moment::Completion, "a used length of `value`", 0,
     [](Plan &plan, uint64_t value) { plan.usedLength = uint32_t(value); }},
    {"length-without-status", Moment::Completion, "a used length that leaves out the status byte",
     0, [](Plan &plan, uint64_t) { plan.usedLength -= 1; }},
    {"length-beyond", Moment::Completion, "a used length `value` above what the buffer holds", 1,
     [](Plan &plan, uint64_t value) { plan.usedLength = plan.writable + uint32_t(value); }},
};

const Misbehaviour time[] = {
    {"slow", Moment::Arrival, "answers after `value` milliseconds", 20,
     [](Plan &plan, uint64_t value) { plan.delay = milliseconds(value); }},
    {"hold", Moment::Arrival, "answers when released", 0,
     [](Plan &plan, uint64_t) { plan.hold = true; }},
    {"forget", Moment::Arrival, "never answers", 0,
     [](Plan &plan, uint64_t) { plan.forget = true; }},
    {"reverse", Moment::Arrival, "answers what came within `value` milliseconds newest first", 3,
     [](Plan &plan, uint64_t value) {
         plan.delay = milliseconds(value);
         plan.order = Order::NewestFirst;
     }},
    {"shuffle", Moment::Arrival, "answers at random within `value` milliseconds", 5,
     [](Plan &plan, uint64_t value) { plan.delay = milliseconds(plan.random % (value + 1)); }},
    {"hang-up", Moment::Arrival, "ends the connection, and takes none for `value` milliseconds", 0,
     [](Plan &plan, uint64_t value) { plan.hangUp = milliseconds(value); }},
};

const Misbehaviour notifications[] = {
    {"no-interrupt", Moment::Completion, "no interrupt for it", 0,
     [](Plan &plan, uint64_t) { plan.interrupt = false; }},
    {"early-interrupt", Moment::Arrival, "an interrupt at once, the answer `value` ms later", 3,
     [](Plan &plan, uint64_t value) {
         plan.early = true;
         plan.delay = milliseconds(value);
     }},
    {"storm", Moment::Completion, "`value` interrupts more than there is reason for", 100,
     [](Plan &plan, uint64_t value) { plan.storm = unsigned(value); }},
    {"avail-event", Moment::Arrival, "avail_event is `value` more than it should be", 0x8000,
     [](Plan &plan, uint64_t value) { plan.eventOffset = uint16_t(value); }},
    {"no-notify", Moment::Arrival, "wants no notification, and looks at nothing without one", 0,
     [](Plan &plan, uint64_t) { plan.noNotify = true; }},
    {"flicker", Moment::Arrival, "event fields at random for `value` ms, the ring looked at", 50,
     [](Plan &plan, uint64_t value) { plan.flicker = milliseconds(value); }},
    {"poll", Moment::Arrival, "looks at the ring without notifications for `value` ms", 1000,
     [](Plan &plan, uint64_t value) { plan.polling = milliseconds(value); }},
};

Late late(uint64_t value, bool data, bool status) {
    return {milliseconds(value), data, status, std::nullopt};
}

// The buffer itself, and what is around it.
const Misbehaviour memory[] = {
    {"io-error", Moment::Completion, "answers with VIRTIO_BLK_S_IOERR", 1,
     [](Plan &plan, uint64_t value) { plan.status = uint8_t(value); }},
    {"no-data", Moment::Arrival, "does nothing, moves no data, and says that it did it", 0,
     [](Plan &plan, uint64_t) { plan.pretend = true; }},
    {"no-status", Moment::Completion, "gives the buffer back with no status byte written", 0,
     [](Plan &plan, uint64_t) { plan.writeStatus = false; }},
    {"status", Moment::Completion, "a status byte of `value`", 0xA5,
     [](Plan &plan, uint64_t value) { plan.status = uint8_t(value); }},
    {"late-data", Moment::Arrival, "the data comes `value` ms after the buffer", 2,
     [](Plan &plan, uint64_t value) { plan.late = late(value, true, false); }},
    {"late-status", Moment::Arrival, "the status byte comes `value` ms after the buffer", 2,
     [](Plan &plan, uint64_t value) { plan.late = late(value, false, true); }},
    {"late-all", Moment::Arrival, "data and status come `value` ms after the buffer", 2,
     [](Plan &plan, uint64_t value) { plan.late = late(value, true, true); }},
    {"status-again", Moment::Arrival, "writes another status byte `value` ms later", 2,
     [](Plan &plan, uint64_t value) {
         plan.late = late(value, false, false);
         plan.late->statusValue = 0xA5;
     }},
    {"outside", Moment::Completion, "writes `value` bytes before and behind the data", 16,
     [](Plan &plan, uint64_t value) { plan.outside = uint32_t(value); }},
    {"scribble", Moment::Completion,
     "writes where it may only read, when it has done all else: the sum of 1 descriptors, 2 "
     "indirect "
     "table, 4 available ring, 8 header and data, 16 the next used entry, "
     "32 the second page behind the ring",
     31, [](Plan &plan, uint64_t value) { plan.scribble = unsigned(value); }},
    {"scribble-after", Moment::Completion, "the same, when the buffer has been given back", 23,
     [](Plan &plan, uint64_t value) { plan.scribbleAfter = unsigned(value); }},
};

constexpr size_t Count =
    std::size(usedRing) + std::size(time) + std::size(notifications) + std::size(memory);

std::array<Misbehaviour, Count> joined() {
    std::array<Misbehaviour, Count> all;
    auto to = all.begin();

    for (std::span<const Misbehaviour> part :
         {std::span<const Misbehaviour>(usedRing), std::span<const Misbehaviour>(time),
          std::span<const Misbehaviour>(notifications), std::span<const Misbehaviour>(memory)}) {
        to = std::copy(part.begin(), part.end(), to);
    }
    return all;
}

} // namespace

std::span<const Misbehaviour> misbehaviours() {
    static const std::array<Misbehaviour, Count> all = joined();
    return all;
}

} // namespace hostile
