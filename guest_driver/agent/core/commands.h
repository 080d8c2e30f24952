// SPDX-License-Identifier: MIT
//
// The commands of docs/console-protocol.md, one file a family.
#ifndef VQ7_AGENT_COMMANDS_H_
#define VQ7_AGENT_COMMANDS_H_

#include "agent.h"

namespace agent {

// Finds the command and runs it; answers exactly once in any case. `text` must
// live until then and hold at least one word, or the answer is an error.
void RunCommand(Agent &agent, const char *text, size_t size);

// Each gets the arguments behind the command's name.
void CommandHelp(Agent &agent, Args &args);
void CommandInfo(Agent &agent, Args &args);
void CommandDevices(Agent &agent, Args &args);
void CommandQueues(Agent &agent, Args &args);
void CommandBlkInfo(Agent &agent, Args &args);
void CommandBlkRead(Agent &agent, Args &args);
void CommandBlkWrite(Agent &agent, Args &args);
void CommandBlkVerify(Agent &agent, Args &args);
void CommandBlkFlush(Agent &agent, Args &args);
void CommandBlkId(Agent &agent, Args &args);
void CommandBlkRun(Agent &agent, Args &args);
void CommandStats(Agent &agent, Args &args);
void CommandStatsClear(Agent &agent, Args &args);
void CommandDevicePowerDown(Agent &agent, Args &args);
void CommandDevicePowerUp(Agent &agent, Args &args);
void CommandDeviceRestart(Agent &agent, Args &args);
void CommandDeviceTimeout(Agent &agent, Args &args);
void CommandDriverUnload(Agent &agent, Args &args);
void CommandDriverLoad(Agent &agent, Args &args);
void CommandIoctl(Agent &agent, Args &args);
void CommandLieAdd(Agent &agent, Args &args);
void CommandLieClear(Agent &agent, Args &args);
void CommandLieList(Agent &agent, Args &args);
void CommandLowMemory(Agent &agent, Args &args);
void CommandCrash(Agent &agent, Args &args);
void CommandReset(Agent &agent, Args &args);
void CommandPowerOff(Agent &agent, Args &args);

// What commands share ---------------------------------------------------------

// The device of a command, open while this lives.
struct DeviceScope {
    Devices &devices;
    DeviceHandle *handle;

    explicit DeviceScope(Devices &all) : devices(all), handle(nullptr) {}
    ~DeviceScope() {
        if (handle)
            devices.Close(handle);
    }
    DeviceScope(const DeviceScope &) = delete;
    DeviceScope &operator=(const DeviceScope &) = delete;
};

// Takes `dev=`, which must be the last argument asked for, and finishes the
// arguments. False: answered with BAD_ARGUMENT.
bool FinishWithDevice(Agent &agent, Args &args, uint32_t *index);
// Finishes the arguments. False: answered with BAD_ARGUMENT.
bool Finish(Agent &agent, Args &args);
// Opens the device, and checks its type (0: any) if it is open. False: answered.
bool OpenDevice(Agent &agent, uint32_t index, uint32_t type, DeviceScope *scope);
// Answers that the device can't be opened.
void AnswerOpenError(Agent &agent, uint32_t index, uint32_t status);
// False: answered.
bool ReadFailures(Agent &agent, DeviceHandle *handle, VQ7_FAILURES *failures);
// "time-out", ...; "none".
const char *FailureName(uint32_t failure);
// False: answered.
bool ReadBlkInfo(Agent &agent, DeviceHandle *handle, VQ7_BLK_INFO *info);
// Answers that the argument `name`, `value` in `unit`, is no multiple of the block
// size. False.
bool RefuseBlock(Agent &agent, const char *name, uint64_t value, const char *unit,
                 uint32_t block_size);
// Data lines: 32 bytes each for a program; 16, apart, for a person.
void PrintData(Answer &answer, const uint8_t *data, size_t size);
// Answers that the driver failed a request.
void AnswerDriverError(Agent &agent, uint32_t status, const char *what);

} // namespace agent

#endif // VQ7_AGENT_COMMANDS_H_
