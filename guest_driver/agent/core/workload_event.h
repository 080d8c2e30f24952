// SPDX-License-Identifier: MIT
//
// What happens to the device in the middle of a workload: `blk run then=...`.
#ifndef VQ7_AGENT_WORKLOAD_EVENT_H_
#define VQ7_AGENT_WORKLOAD_EVENT_H_

#include <stdint.h>

namespace agent {

enum class EventKind {
    kNone,
    kPowerCycle, // down, and up after hold_ms
    kPowerDown,  // down, and it stays so
    kCancel,     // of everything in flight
    kClose,      // of the handle
    kUnload,     // of the driver, with the handle open
    kReset,      // of the machine
    kPowerOff,
    kRemoval, // the host takes the device away; nothing is issued after a failure
};

struct EventParameters {
    EventKind kind;
    uint64_t after; // finished operations
    uint64_t hold_ms;
};

struct EventState {
    bool fired;
    bool down;    // the device has no power
    bool no_more; // nothing further is issued
    bool left;    // the machine ends with requests in flight
    bool lost;    // a request did not come back
    uint32_t status;
    uint64_t in_flight; // when it came
    uint64_t up_at_us;
    uint64_t duplicates; // requests that came back twice
};

// Names of the kinds in their order; null-terminated.
extern const char *const kEventNames[];

// Whether the workload's device answers after it.
constexpr bool DeviceStays(EventKind kind) {
    return kind == EventKind::kNone || kind == EventKind::kPowerCycle ||
           kind == EventKind::kCancel || kind == EventKind::kUnload;
}

} // namespace agent

#endif // VQ7_AGENT_WORKLOAD_EVENT_H_
