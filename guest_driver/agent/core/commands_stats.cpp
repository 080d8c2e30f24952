// SPDX-License-Identifier: MIT
#include "commands.h"

#include "status.h"

namespace agent {
namespace {

// VQ7_FAILURE_*; docs/console-protocol.md says what they mean.
constexpr const char *kFailures[] = {
    "none",           "used-id-out-of-range",
    "used-idx-jump",  "used-never-issued",
    "used-mid-chain", "used-twice",
    "used-length",    "protocol",
    "needs-reset",    "time-out",
    "reset-stuck",    "gone",
    "start-failed",
};

void PutFailures(Writer &values, const VQ7_FAILURES &failures) {
    Text<320> each;
    uint64_t all = 0;
    for (uint32_t i = 0; i < VQ7_FAILURE_ROOM; i++) {
        if (failures.count[i] == 0)
            continue;
        each.Str(all ? "," : "").Str(FailureName(i)).Char(':').Dec(failures.count[i]);
        all += failures.count[i];
    }
    values.Key("failures", all).Key("failed").Str(each.data, each.size).Str(all ? "" : "none");
    values.Key("restarts", failures.restarts).Key("resent", failures.resent);
    values.Key("timed_out", failures.timed_out);
    values.Key("lost_interrupts", failures.lost_interrupts);
}

} // namespace

const char *FailureName(uint32_t failure) {
    return failure < sizeof(kFailures) / sizeof(kFailures[0]) ? kFailures[failure] : "unknown";
}

bool ReadFailures(Agent &agent, DeviceHandle *handle, VQ7_FAILURES *failures) {
    uint32_t status = agent.devices.Query(handle, IOCTL_VQ7_GET_FAILURES, failures,
                                          sizeof(*failures), agent.answer);
    if (Succeeded(status))
        return true;
    AnswerDriverError(agent, status, "the device's failures can't be read");
    return false;
}

void CommandStats(Agent &agent, Args &args) {
    uint32_t index;
    DeviceScope scope(agent.devices);
    if (!FinishWithDevice(agent, args, &index) || !OpenDevice(agent, index, 0, &scope))
        return;
    VQ7_STATS stats;
    uint32_t status =
        agent.devices.Query(scope.handle, IOCTL_VQ7_GET_STATS, &stats, sizeof(stats), agent.answer);
    if (!Succeeded(status)) {
        AnswerDriverError(agent, status, "the counters can't be read");
        return;
    }
    VQ7_FAILURES failures;
    if (!ReadFailures(agent, scope.handle, &failures))
        return;
    Text<900> values;
    values.Key("in_flight", stats.in_flight).Key("submitted", stats.submitted);
    values.Key("completed", stats.completed).Key("errors", stats.errors);
    values.Key("bytes_read", stats.bytes_read).Key("bytes_written", stats.bytes_written);
    values.Key("notifications", stats.notifications).Key("suppressed", stats.suppressed);
    values.Key("interrupts", stats.interrupts);
    values.Key("interrupts_not_ours", stats.interrupts_not_ours);
    values.Key("config_changes", stats.config_changes).Key("dpcs", stats.dpcs);
    values.Key("ring_full", stats.ring_full).Key("indirect", stats.indirect);
    values.Key("max_in_flight", stats.max_in_flight);
    values.Key("odd_lengths", stats.odd_lengths).Key("bounced", stats.bounced);
    PutFailures(values, failures);
    agent.answer.Ok(values);
}

void CommandStatsClear(Agent &agent, Args &args) {
    uint32_t index;
    DeviceScope scope(agent.devices);
    if (!FinishWithDevice(agent, args, &index) || !OpenDevice(agent, index, 0, &scope))
        return;
    uint32_t status =
        agent.devices.Query(scope.handle, IOCTL_VQ7_CLEAR_STATS, nullptr, 0, agent.answer);
    if (Succeeded(status))
        agent.answer.Ok();
    else
        AnswerDriverError(agent, status, "the counters can't be cleared");
}

} // namespace agent
