// SPDX-License-Identifier: MIT
#include "commands.h"

#include "status.h"

namespace agent {

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
    Text<768> values;
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
