// SPDX-License-Identifier: MIT
#include "commands.h"

#include "status.h"

namespace agent {
namespace {

constexpr uint32_t kStatusImageAlreadyLoaded = 0xC000010E;

// Flushes every block device. A device that can't be flushed doesn't keep the
// machine from being restarted, which may be the only cure; a data line tells.
void FlushAll(Agent &agent) {
    uint32_t count = platform::DeviceCount();
    for (uint32_t i = 0; i < count; i++) {
        DeviceScope scope(agent.devices);
        VQ7_DEVICE_INFO info;
        uint32_t status = agent.devices.Open(i, &scope.handle);
        if (Succeeded(status))
            status = agent.devices.Query(scope.handle, IOCTL_VQ7_GET_DEVICE_INFO, &info,
                                         sizeof(info), agent.answer);
        if (Succeeded(status) && info.virtio_type != kVirtioTypeBlock)
            continue;
        if (Succeeded(status))
            status =
                agent.devices.Query(scope.handle, IOCTL_VQ7_BLK_FLUSH, nullptr, 0, agent.answer);
        // Without VIRTIO_BLK_F_FLUSH there is no cache to flush.
        if (Succeeded(status) || status == kStatusNotSupported)
            continue;
        Text<128> line;
        line.Key("dev", i).Key("flush", "failed").KeyHex("status", status, 8);
        line.Key("name", StatusName(status));
        agent.answer.Line(line);
    }
}

void ShutDown(Agent &agent, Args &args, AfterAnswer after) {
    if (!Finish(agent, args))
        return;
    uint32_t status = platform::PrepareShutdown();
    if (!Succeeded(status)) {
        agent.answer.Error(status, "the system doesn't let the agent shut it down");
        return;
    }
    FlushAll(agent);
    agent.after = after;
    agent.answer.Ok();
}

} // namespace

void CommandDriverUnload(Agent &agent, Args &args) {
    if (!Finish(agent, args))
        return;
    if (agent.driver_unloaded) {
        agent.answer.Error(kNoDevice, "the driver is unloaded already");
        return;
    }
    while (agent.devices.Wait(0)) {
        // Late answers of lost requests end here.
    }
    if (agent.devices.lost) {
        agent.answer.Error(kStatusDeviceBusy,
                           "requests that never completed are still with the driver");
        return;
    }
    uint32_t status = platform::DriverUnload();
    if (!Succeeded(status)) {
        agent.answer.Error(status, "the driver can't be unloaded");
        return;
    }
    agent.driver_unloaded = true;
    agent.answer.Ok();
}

void CommandDriverLoad(Agent &agent, Args &args) {
    if (!Finish(agent, args))
        return;
    if (!agent.driver_unloaded && platform::DeviceCount()) {
        agent.answer.Error(kStatusImageAlreadyLoaded, "the driver is loaded already");
        return;
    }
    uint32_t status = platform::DriverLoad();
    if (!Succeeded(status)) {
        agent.answer.Error(status, "the driver can't be loaded");
        return;
    }
    agent.driver_unloaded = false;
    Text<32> values;
    values.Key("devices", platform::DeviceCount());
    agent.answer.Ok(values);
}

void CommandCrash(Agent &agent, Args &args) {
    if (!Finish(agent, args))
        return;
    platform::Crash();
    agent.answer.Error(kNotSupported, "this guest can't be made to crash");
}

void CommandReset(Agent &agent, Args &args) {
    ShutDown(agent, args, AfterAnswer::kRestart);
}

void CommandPowerOff(Agent &agent, Args &args) {
    ShutDown(agent, args, AfterAnswer::kPowerOff);
}

} // namespace agent
