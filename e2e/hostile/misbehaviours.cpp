// SPDX-License-Identifier: MIT
// Every way to misbehave, one entry each.
#include "plan.h"

namespace hostile {

namespace {

const Misbehaviour table[] = {
    // Legal, and rare enough that a driver may have never seen it.
    {"slow", Moment::Arrival, "answers after `value` milliseconds", 20,
     [](Plan &plan, uint64_t value) { plan.delay = std::chrono::milliseconds(value); }},
    {"hold", Moment::Arrival, "answers when released", 0,
     [](Plan &plan, uint64_t) { plan.hold = true; }},
    {"reverse", Moment::Arrival, "answers what came within `value` milliseconds newest first", 3,
     [](Plan &plan, uint64_t value) {
         plan.delay = std::chrono::milliseconds(value);
         plan.order = Order::NewestFirst;
     }},
    {"io-error", Moment::Completion, "answers with VIRTIO_BLK_S_IOERR", 1,
     [](Plan &plan, uint64_t value) { plan.status = uint8_t(value); }},

    // The used length: what real devices have been seen to report.
    {"length", Moment::Completion, "a used length of `value`", 0,
     [](Plan &plan, uint64_t value) { plan.usedLength = uint32_t(value); }},
    {"length-without-status", Moment::Completion, "a used length that leaves out the status byte",
     0, [](Plan &plan, uint64_t) { plan.usedLength -= 1; }},
    {"length-beyond", Moment::Completion, "a used length `value` above what the buffer holds", 1,
     [](Plan &plan, uint64_t value) { plan.usedLength = plan.writable + uint32_t(value); }},

    // Broken.
    {"no-data", Moment::Arrival, "does nothing, moves no data, and says that it did it", 0,
     [](Plan &plan, uint64_t) { plan.pretend = true; }},
    {"no-status", Moment::Completion, "gives the buffer back with no status byte written", 0,
     [](Plan &plan, uint64_t) { plan.writeStatus = false; }},
    {"status", Moment::Completion, "a status byte of `value`", 0xA5,
     [](Plan &plan, uint64_t value) { plan.status = uint8_t(value); }},
};

} // namespace

std::span<const Misbehaviour> misbehaviours() {
    return table;
}

} // namespace hostile
