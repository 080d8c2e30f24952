// SPDX-License-Identifier: MIT
//
// Faults that the guest itself can make: memory that is lacking, devices that lie.
#include "commands.h"

#include "status.h"

namespace agent {
namespace {

constexpr const char *kSpaces[] = {"config", "bar0", "bar1", "bar2",
                                   "bar3",   "bar4", "bar5", nullptr};
constexpr const char *kOperations[] = {"set", "or", "and", "xor", "count", nullptr};

void AnswerRefused(Agent &agent, uint32_t status, const char *what) {
    agent.answer.Error(status, status == kNotSupported ? "this guest can't do that" : what);
}

void PutLie(Writer &line, uint32_t number, const platform::Lie &lie) {
    line.Key("lie", number).Key("slot", lie.slot);
    line.Key("space", kSpaces[lie.bar < 0 ? 0 : lie.bar + 1]).KeyHex("at", lie.offset, 6);
    line.Key("width", lie.width).Key("op", kOperations[lie.operation]);
    line.KeyHex("value", lie.value, 8).Key("skip", lie.skip).Key("times", lie.times);
    line.Key("reads", lie.reads).Key("hits", lie.hits);
}

} // namespace

void CommandLowMemory(Agent &agent, Args &args) {
    constexpr uint64_t kAsItIs = UINT64_MAX;
    uint64_t nth = args.Option("fail", kAsItIs, 0, UINT32_MAX);
    if (!Finish(agent, args))
        return;
    platform::LowResources now{};
    uint32_t status = kOk;
    if (nth != kAsItIs)
        status = platform::SetLowResources(static_cast<uint32_t>(nth));
    if (Succeeded(status))
        status = platform::GetLowResources(&now);
    if (!Succeeded(status)) {
        AnswerRefused(agent, status, "allocations can't be made to fail");
        return;
    }
    Text<160> values;
    values.Key("fail", now.nth).Key("calls", now.calls);
    values.Key("failed", now.failed ? now.failed : "none").KeyHex("at", now.offset, 8);
    agent.answer.Ok(values);
}

void CommandLieAdd(Agent &agent, Args &args) {
    platform::Lie lie{};
    lie.slot = static_cast<uint32_t>(args.RequiredOption("slot", 0, 31));
    lie.bar = static_cast<int>(args.Choice("space", kSpaces)) - 1;
    lie.offset = static_cast<uint32_t>(args.RequiredOption("at", 0, 0xFFFFFF));
    lie.width = static_cast<uint32_t>(args.RequiredOption("width", 1, 4));
    lie.operation = static_cast<uint32_t>(args.Choice("op", kOperations));
    lie.value = static_cast<uint32_t>(args.RequiredOption("value", 0, UINT32_MAX));
    lie.skip = static_cast<uint32_t>(args.Option("skip", 0, 0, UINT32_MAX));
    lie.times = static_cast<uint32_t>(args.Option("times", 0, 0, UINT32_MAX));
    if (!Finish(agent, args))
        return;
    uint32_t status = platform::AddLie(lie);
    if (Succeeded(status))
        agent.answer.Ok();
    else
        AnswerRefused(agent, status, "no such register, or too many lies");
}

void CommandLieList(Agent &agent, Args &args) {
    if (!Finish(agent, args))
        return;
    platform::Lie lie;
    uint32_t number = 0;
    while (Succeeded(platform::GetLie(number, &lie))) {
        Text<256> line;
        PutLie(line, number++, lie);
        agent.answer.Line(line);
    }
    Text<32> values;
    values.Key("lies", number);
    agent.answer.Ok(values);
}

void CommandLieClear(Agent &agent, Args &args) {
    if (!Finish(agent, args))
        return;
    uint32_t status = platform::ClearLies();
    if (Succeeded(status))
        agent.answer.Ok();
    else
        AnswerRefused(agent, status, "the lies can't be taken back");
}

} // namespace agent
