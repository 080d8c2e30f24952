// SPDX-License-Identifier: MIT
#include "commands.h"

#include "status.h"

namespace agent {
namespace {

// Virtio 1.2, section 5. Others are given by number.
void PutType(Writer &line, uint32_t type) {
    static const char *const kNames[] = {nullptr,   "net",   "blk",   "console", "rng",
                                         "balloon", nullptr, nullptr, "scsi",    "9p"};
    line.Key("type");
    if (type < sizeof(kNames) / sizeof(kNames[0]) && kNames[type])
        line.Str(kNames[type]);
    else if (type == 16)
        line.Str("gpu");
    else if (type == 18)
        line.Str("input");
    else if (type == 19)
        line.Str("vsock");
    else
        line.Dec(type);
}

const char *TransportName(uint32_t transport) {
    return transport == VQ7_TRANSPORT_LEGACY   ? "legacy"
           : transport == VQ7_TRANSPORT_MODERN ? "modern"
                                               : "unknown";
}

const char *InterruptName(uint32_t mode) {
    return mode == VQ7_INTERRUPT_LINE ? "line" : mode == VQ7_INTERRUPT_MESSAGE ? "message" : "none";
}

const char *StateName(uint32_t state) {
    static const char *const kNames[] = {"stopped", "running", "failed", "recovering"};
    return state < sizeof(kNames) / sizeof(kNames[0]) ? kNames[state] : "unknown";
}

void PutDevice(Writer &line, uint32_t index, const VQ7_DEVICE_INFO &info) {
    line.Key("dev", index);
    PutType(line, info.virtio_type);
    line.Key("transport", TransportName(info.transport));
    line.Key("pci").Hex(info.pci_bus, 2).Char(':').Hex(info.pci_slot, 2);
    line.Char('.').Hex(info.pci_function, 1);
    line.Key("id").Hex(info.pci_vendor, 4).Char(':').Hex(info.pci_device, 4);
    line.Key("queues", info.queue_count).Key("interrupt", InterruptName(info.interrupt_mode));
    line.Key("vectors", info.vectors).KeyHex("status", info.device_status, 2);
    line.KeyHex("device_features", info.device_features, 16);
    line.KeyHex("driver_features", info.driver_features, 16);
    line.Key("state", StateName(info.state)).Key("failure", FailureName(info.last_failure));
}

// False: answered.
bool ReadInfo(Agent &agent, DeviceScope &scope, VQ7_DEVICE_INFO *info) {
    uint32_t status = agent.devices.Query(scope.handle, IOCTL_VQ7_GET_DEVICE_INFO, info,
                                          sizeof(*info), agent.answer);
    if (Succeeded(status))
        return true;
    AnswerDriverError(agent, status, "the device can't be asked");
    return false;
}

} // namespace

void CommandInfo(Agent &agent, Args &args) {
    if (!Finish(agent, args))
        return;
    Text<256> values;
    values.Key("version", kProtocolVersion).Key("guest", platform::GuestName());
    values.Key("arch", platform::Architecture()).Key("boot").Hex(platform::BootId(), 16);
    values.Key("uptime_ms", platform::MonotonicUs() / 1000);
    values.Key("devices", platform::DeviceCount());
    values.Key("driver", agent.driver_unloaded ? "unloaded" : "loaded");
    agent.answer.Ok(values);
}

void CommandDevices(Agent &agent, Args &args) {
    if (!Finish(agent, args))
        return;
    uint32_t count = platform::DeviceCount();
    for (uint32_t i = 0; i < count; i++) {
        DeviceScope scope(agent.devices);
        VQ7_DEVICE_INFO info;
        if (!OpenDevice(agent, i, 0, &scope) || !ReadInfo(agent, scope, &info))
            return;
        Text<384> line;
        PutDevice(line, i, info);
        agent.answer.Line(line);
    }
    Text<32> values;
    values.Key("devices", count);
    agent.answer.Ok(values);
}

void CommandQueues(Agent &agent, Args &args) {
    uint32_t index;
    DeviceScope scope(agent.devices);
    VQ7_DEVICE_INFO info;
    if (!FinishWithDevice(agent, args, &index) || !OpenDevice(agent, index, 0, &scope) ||
        !ReadInfo(agent, scope, &info))
        return;
    for (uint32_t i = 0; i < info.queue_count && i < VQ7_MAX_QUEUES_REPORTED; i++) {
        const VQ7_QUEUE_INFO &queue = info.queue[i];
        Text<192> line;
        line.Key("queue", i).Key("size", queue.size).Key("max_size", queue.max_size);
        if (queue.vector == 0xFFFF)
            line.Key("vector", "none");
        else
            line.Key("vector", queue.vector);
        line.Key("broken", queue.broken).KeyHex("last_error", queue.last_error, 8);
        agent.answer.Line(line);
    }
    Text<32> values;
    values.Key("queues", info.queue_count);
    agent.answer.Ok(values);
}

} // namespace agent
