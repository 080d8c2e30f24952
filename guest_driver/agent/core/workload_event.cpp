// SPDX-License-Identifier: MIT
#include "workload_event.h"

#include "status.h"
#include "workload.h"

namespace agent {

const char *const kEventNames[] = {"nothing", "powercycle", "powerdown", "cancel",  "close",
                                   "unload",  "reset",      "poweroff",  "removal", nullptr};

bool Workload::StepEvent() {
    const EventParameters &wanted = parameters.event;
    if (wanted.kind == EventKind::kNone)
        return true;
    if (counters.errors)
        event.no_more = true;
    if (wanted.kind != EventKind::kRemoval && !event.fired && counters.ops >= wanted.after)
        FireEvent();
    if (event.left)
        return false;
    bool up_due = wanted.kind == EventKind::kPowerCycle && event.down &&
                  platform::MonotonicUs() >= event.up_at_us;
    if (up_due) {
        event.down = false;
        event.status = platform::DevicePowerUp(handle->device);
        event.no_more = !Succeeded(event.status);
    }
    // Down for good and everything is back: whoever had to end it has.
    if (wanted.kind == EventKind::kPowerDown && event.down && InFlight() == 0)
        event.down = false;
    return true;
}

void Workload::FireEvent() {
    event.fired = true;
    event.in_flight = InFlight();
    switch (parameters.event.kind) {
    case EventKind::kNone:
    case EventKind::kRemoval:
        break;
    case EventKind::kPowerCycle:
    case EventKind::kPowerDown:
        event.status = platform::DevicePowerDown(handle->device);
        event.down = Succeeded(event.status);
        event.no_more = parameters.event.kind == EventKind::kPowerDown;
        event.up_at_us = platform::MonotonicUs() + parameters.event.hold_ms * 1000;
        break;
    case EventKind::kCancel:
        event.no_more = true;
        for (uint32_t i = 0; i < parameters.depth; i++)
            if (slots[i].in_flight)
                platform::CancelRequest(handle->device, &slots[i].call->request);
        break;
    case EventKind::kClose:
        event.no_more = true;
        devices->CloseUnderLoad(handle);
        break;
    case EventKind::kUnload:
        event.status = platform::DriverUnload();
        event.no_more = Succeeded(event.status);
        break;
    case EventKind::kReset:
    case EventKind::kPowerOff:
        event.status = platform::PrepareShutdown();
        event.no_more = true;
        if (Succeeded(event.status))
            LeaveAll();
        break;
    }
}

// The machine ends: the calls stay with the driver.
void Workload::LeaveAll() {
    event.left = true;
    for (uint32_t i = 0; i < parameters.depth; i++) {
        if (!slots[i].in_flight)
            continue;
        Report(slots[i].operation, kStatusPending, nullptr);
        devices->Abandon(slots[i].call);
        slots[i].call = nullptr;
        slots[i].in_flight = false;
    }
}

} // namespace agent
