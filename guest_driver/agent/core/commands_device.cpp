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

} // namespace

void CommandDevicePowerDown(Agent &agent, Args &args) {
    ChangePower(agent, args, platform::DevicePowerDown, "the device can't be powered down");
}

void CommandDevicePowerUp(Agent &agent, Args &args) {
    ChangePower(agent, args, platform::DevicePowerUp, "the device can't be powered up");
}

} // namespace agent
