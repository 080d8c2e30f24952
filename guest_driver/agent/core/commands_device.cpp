// SPDX-License-Identifier: MIT
#include "commands.h"

#include "status.h"

namespace agent {
namespace {

void ChangePower(Agent &agent, Args &args, uint32_t (*change)(platform::Device *),
                 const char *failure) {
    uint32_t index;
    DeviceScope scope(agent.devices);
    // No request is sent: a device without power would keep it.
    if (!FinishWithDevice(agent, args, &index) || !OpenDevice(agent, index, 0, &scope))
        return;
    uint32_t status = change(scope.handle->device);
    if (status == kNotSupported)
        agent.answer.Error(status, "this guest can't change the power of one device");
    else if (!Succeeded(status))
        agent.answer.Error(status, failure);
    else
        agent.answer.Ok();
}

uint32_t SetTimeout(Agent &agent, DeviceHandle *handle, const VQ7_TIMEOUT &timeout) {
    Call *call = NewCall(sizeof(timeout));
    if (!call)
        return kNoMemory;
    *reinterpret_cast<VQ7_TIMEOUT *>(call->data) = timeout;
    call->request.input = call->data;
    call->request.input_size = sizeof(timeout);
    uint32_t status =
        agent.devices.Execute(handle, &call, IOCTL_VQ7_SET_TIMEOUT, agent.answer, false);
    FreeCall(call);
    return status;
}

} // namespace

void CommandDeviceRestart(Agent &agent, Args &args) {
    uint32_t index;
    DeviceScope scope(agent.devices);
    if (!FinishWithDevice(agent, args, &index) || !OpenDevice(agent, index, 0, &scope))
        return;
    uint32_t status =
        agent.devices.Query(scope.handle, IOCTL_VQ7_RESTART, nullptr, 0, agent.answer);
    if (Succeeded(status))
        agent.answer.Ok();
    else
        AnswerDriverError(agent, status, "the device can't be started again");
}

void CommandDeviceTimeout(Agent &agent, Args &args) {
    constexpr uint64_t kAsItIs = UINT32_MAX;
    uint32_t index;
    DeviceScope scope(agent.devices);
    // The driver refuses what is out of its limits.
    uint64_t ms = args.Option("ms", kAsItIs, 0, UINT32_MAX);
    uint64_t retries = args.Option("retries", kAsItIs, 0, UINT32_MAX);
    VQ7_FAILURES now;
    if (!FinishWithDevice(agent, args, &index) || !OpenDevice(agent, index, 0, &scope) ||
        !ReadFailures(agent, scope.handle, &now))
        return;
    const VQ7_TIMEOUT wanted = {ms == kAsItIs ? now.timeout_ms : static_cast<uint32_t>(ms),
                                retries == kAsItIs ? now.retries : static_cast<uint32_t>(retries)};
    uint32_t status = SetTimeout(agent, scope.handle, wanted);
    if (!Succeeded(status)) {
        AnswerDriverError(agent, status, "the driver takes no such time-out");
        return;
    }
    Text<64> values;
    values.Key("timeout_ms", wanted.timeout_ms).Key("retries", wanted.retries);
    agent.answer.Ok(values);
}

void CommandDevicePowerDown(Agent &agent, Args &args) {
    ChangePower(agent, args, platform::DevicePowerDown, "the device can't be powered down");
}

void CommandDevicePowerUp(Agent &agent, Args &args) {
    ChangePower(agent, args, platform::DevicePowerUp, "the device can't be powered up");
}

} // namespace agent
