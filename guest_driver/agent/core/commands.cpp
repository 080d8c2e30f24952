// SPDX-License-Identifier: MIT
#include "commands.h"

#include "status.h"

namespace agent {
namespace {

struct Entry {
    const char *first;
    const char *second; // null: a command of one word
    void (*run)(Agent &agent, Args &args);
    const char *usage;
};

constexpr Entry kCommands[] = {
    {"help", nullptr, CommandHelp, "help [command]"},
    {"info", nullptr, CommandInfo, "info"},
    {"devices", nullptr, CommandDevices, "devices"},
    {"queues", nullptr, CommandQueues, "queues [dev=n]"},
    {"blk", "info", CommandBlkInfo, "blk info [dev=n]"},
    {"blk", "read", CommandBlkRead, "blk read <sector> <count> [segments=n] [quiet=1] [dev=n]"},
    {"blk", "write", CommandBlkWrite,
     "blk write <sector> <count> seed=s gen=g [segments=n] [dev=n]"},
    {"blk", "verify", CommandBlkVerify,
     "blk verify <sector> <count> seed=s gen=g [segments=n] [dev=n]"},
    {"blk", "flush", CommandBlkFlush, "blk flush [dev=n]"},
    {"blk", "id", CommandBlkId, "blk id [dev=n]"},
    {"blk", "run", CommandBlkRun,
     "blk run [pattern=random|sequential] [write=50] [sizes=n[,n...]] [depth=1] [segments=0] "
     "[ops=1000] [seed=1] [start=0] [span=0] [base=0] [guard=0] [flush=0] "
     "[then=nothing|powercycle|powerdown|"
     "cancel|close|unload|reset|poweroff|removal] [after=0] [hold=0] [dev=n]"},
    {"stats", "clear", CommandStatsClear, "stats clear [dev=n]"},
    {"stats", nullptr, CommandStats, "stats [dev=n]"},
    {"device", "powerdown", CommandDevicePowerDown, "device powerdown [dev=n]"},
    {"device", "powerup", CommandDevicePowerUp, "device powerup [dev=n]"},
    {"device", "restart", CommandDeviceRestart, "device restart [dev=n]"},
    {"device", "timeout", CommandDeviceTimeout, "device timeout [ms=n] [retries=n] [dev=n]"},
    {"driver", "unload", CommandDriverUnload, "driver unload"},
    {"driver", "load", CommandDriverLoad, "driver load"},
    {"ioctl", nullptr, CommandIoctl,
     "ioctl <code> [in=<hex>] [in_size=n] [out=0] [fill=0] [access=both|read|write|none] "
     "[offset=0] [same=0] [count=1] [share=0] [close=0] [quiet=0] [dev=n]"},
    {"lowmemory", nullptr, CommandLowMemory, "lowmemory [fail=n]"},
    {"lie", "add", CommandLieAdd,
     "lie add slot=n [space=config|bar0|...|bar5] at=n width=1|2|4 [op=set|or|and|xor|count] "
     "value=n [skip=0] [times=0]"},
    {"lie", "list", CommandLieList, "lie list"},
    {"lie", "clear", CommandLieClear, "lie clear"},
    {"crash", nullptr, CommandCrash, "crash"},
    {"reset", nullptr, CommandReset, "reset"},
    {"poweroff", nullptr, CommandPowerOff, "poweroff"},
};

bool Is(const Token &token, const char *word) {
    return Equal(token.text, token.size, word, Length(word));
}

size_t Words(const Entry &entry) {
    return entry.second ? 2 : 1;
}

bool Matches(const Entry &entry, const Token *tokens, size_t count) {
    return count >= Words(entry) && Is(tokens[0], entry.first) &&
           (!entry.second || Is(tokens[1], entry.second));
}

void AnswerUnknown(Agent &agent, const Token *tokens, size_t count) {
    Text<192> message;
    if (count == 0) {
        agent.answer.Error(kUnknownCommand, "there is no command in this line; try help");
        return;
    }
    message.Str("no command '");
    for (size_t i = 0; i < count && i < 2; i++) {
        size_t shown = tokens[i].size < 48 ? tokens[i].size : 48;
        message.Str(i ? " " : "").Str(tokens[i].text, shown);
    }
    message.Str("'; try help");
    agent.answer.Error(kUnknownCommand, message);
}

} // namespace

void RunCommand(Agent &agent, const char *text, size_t size) {
    Args args;
    args.Parse(text, size);
    for (const Entry &entry : kCommands) {
        if (!Matches(entry, args.tokens, args.count))
            continue;
        args.Skip(Words(entry));
        entry.run(agent, args);
        return;
    }
    AnswerUnknown(agent, args.tokens, args.count);
}

void CommandHelp(Agent &agent, Args &args) {
    const Token *wanted = args.tokens + 1;
    size_t words = args.count - 1;
    if (args.failed || words > 2) {
        args.Finish();
        agent.answer.Error(kBadArgument, args.message);
        return;
    }
    uint32_t found = 0;
    for (const Entry &entry : kCommands) {
        if ((words >= 1 && !Is(wanted[0], entry.first)) ||
            (words == 2 && (!entry.second || !Is(wanted[1], entry.second))))
            continue;
        Text<384> line;
        line.Str(entry.usage);
        agent.answer.Line(line);
        found++;
    }
    if (found)
        agent.answer.Ok();
    else
        AnswerUnknown(agent, wanted, words);
}

bool Finish(Agent &agent, Args &args) {
    if (args.Finish())
        return true;
    agent.answer.Error(kBadArgument, args.message);
    return false;
}

bool FinishWithDevice(Agent &agent, Args &args, uint32_t *index) {
    *index = static_cast<uint32_t>(args.Option("dev", 0, 0, UINT32_MAX));
    return Finish(agent, args);
}

void AnswerDriverError(Agent &agent, uint32_t status, const char *what) {
    Text<192> message;
    message.Str(what);
    if (status == kRequestLost)
        message.Str(": the request did not complete within ")
            .Dec(kRequestTimeoutUs / 1000000)
            .Str(" s");
    else if (status == kStatusInfoLengthMismatch)
        message.Str(": the driver reported another length than was asked for");
    else if (status == kNoMemory)
        message.Str(": no memory for its buffers");
    agent.answer.Error(status, message);
}

void PrintData(Answer &answer, const uint8_t *data, size_t size) {
    size_t width = answer.framed ? 32 : 16;
    for (size_t at = 0; at < size; at += width) {
        size_t count = size - at < width ? size - at : width;
        Text<128> line;
        line.Hex(at, 8).Char(' ');
        if (answer.framed) {
            line.Bytes(data + at, count);
        } else {
            for (size_t i = 0; i < count; i++)
                line.Char(' ').Bytes(data + at + i, 1);
        }
        answer.Line(line);
    }
}

bool ReadBlkInfo(Agent &agent, DeviceHandle *handle, VQ7_BLK_INFO *info) {
    uint32_t status =
        agent.devices.Query(handle, IOCTL_VQ7_BLK_GET_INFO, info, sizeof(*info), agent.answer);
    if (Succeeded(status))
        return true;
    AnswerDriverError(agent, status, "the block device can't be asked");
    return false;
}

bool RefuseBlock(Agent &agent, const char *name, uint64_t value, const char *unit,
                 uint32_t block_size) {
    Text<160> message;
    message.Str(name).Str(": ").Dec(value).Char(' ').Str(unit);
    message.Str(" are no multiple of the disk's block size of ").Dec(block_size).Str(" bytes");
    agent.answer.Error(kBadArgument, message);
    return false;
}

void AnswerOpenError(Agent &agent, uint32_t index, uint32_t status) {
    Text<96> message;
    if (status == kNoDevice) {
        message.Str("no device ").Dec(index);
        message.Str(agent.driver_unloaded ? "; the driver is unloaded" : "; see devices");
    } else {
        message.Str("device ").Dec(index).Str(" can't be opened");
    }
    agent.answer.Error(status, message);
}

bool OpenDevice(Agent &agent, uint32_t index, uint32_t type, DeviceScope *scope) {
    uint32_t status = agent.devices.Open(index, &scope->handle);
    if (!Succeeded(status)) {
        AnswerOpenError(agent, index, status);
        return false;
    }
    if (type == 0)
        return true;
    VQ7_DEVICE_INFO info;
    status = agent.devices.Query(scope->handle, IOCTL_VQ7_GET_DEVICE_INFO, &info, sizeof(info),
                                 agent.answer);
    if (!Succeeded(status)) {
        AnswerDriverError(agent, status, "the device's type can't be read");
        return false;
    }
    if (info.virtio_type == type)
        return true;
    Text<96> message;
    message.Str("device ").Dec(index).Str(" is not a block device");
    agent.answer.Error(kNoDevice, message);
    return false;
}

} // namespace agent
