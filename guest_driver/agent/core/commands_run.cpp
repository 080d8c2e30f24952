// SPDX-License-Identifier: MIT
#include "commands.h"

#include "status.h"
#include "workload.h"

namespace agent {
namespace {

struct RunState {
    WorkloadParameters parameters;
    VQ7_STATS before;
    VQ7_STATS after;
    bool answers; // the device still does: `after` was read
    Workload workload;
};

void TakeParameters(Args &args, WorkloadParameters *p) {
    static const char *const kPatterns[] = {"random", "sequential", nullptr};
    p->sequential = args.Choice("pattern", kPatterns) == 1;
    p->write_percent = static_cast<uint32_t>(args.Option("write", 50, 0, 100));
    p->size_count = 0; // not given
    args.List("sizes", p->sizes, &p->size_count, WorkloadParameters::kMaxSizes, kSectorSize,
              WorkloadParameters::kMaxSize);
    p->depth = static_cast<uint32_t>(args.Option("depth", 1, 1, WorkloadParameters::kMaxDepth));
    p->segments = static_cast<uint32_t>(args.Option("segments", 0, 0, 4096));
    p->ops = args.Option("ops", 1000, 1, WorkloadParameters::kMaxOps);
    p->seed = args.Option("seed", 1, 0, UINT64_MAX);
    p->start = args.Option("start", 0, 0, UINT64_MAX);
    p->span = args.Option("span", 0, 0, UINT64_MAX);
    p->base = args.Option("base", 0, 0, 1) != 0;
    p->guard = static_cast<uint32_t>(args.Option("guard", 0, 0, 2048));
    p->flush_every = args.Option("flush", 0, 0, UINT64_MAX);
    p->event.kind = static_cast<EventKind>(args.Choice("then", kEventNames));
    p->event.after = args.Option("after", 0, 0, UINT64_MAX);
    p->event.hold_ms = args.Option("hold", 0, 0, 60000);
}

// Whole blocks only. False: answered.
bool FitToBlocks(Agent &agent, WorkloadParameters *p, uint32_t block_size) {
    p->block = block_size / kSectorSize;
    if (p->size_count == 0) {
        p->sizes[0] = block_size > 4096 ? block_size : 4096;
        p->size_count = 1;
    }
    for (size_t i = 0; i < p->size_count; i++)
        if (p->sizes[i] % block_size)
            return RefuseBlock(agent, "sizes", p->sizes[i], "bytes", block_size);
    if (p->start % p->block)
        return RefuseBlock(agent, "start", p->start, "sectors", block_size);
    if (p->span % p->block)
        return RefuseBlock(agent, "span", p->span, "sectors", block_size);
    return true;
}

// Fits sizes, start and span to the disk. False: answered.
bool FitToDisk(Agent &agent, DeviceHandle *handle, WorkloadParameters *p) {
    VQ7_BLK_INFO info;
    if (!ReadBlkInfo(agent, handle, &info) || !FitToBlocks(agent, p, info.block_size))
        return false;
    uint64_t largest = 0;
    for (size_t i = 0; i < p->size_count; i++)
        if (p->sizes[i] / kSectorSize > largest)
            largest = p->sizes[i] / kSectorSize;
    const char *wrong = nullptr;
    if (p->start >= info.capacity)
        wrong = "start is behind the end of the disk";
    else if (p->span > info.capacity - p->start)
        wrong = "span passes the end of the disk";
    if (!wrong && p->span == 0)
        p->span = (info.capacity - p->start) / p->block * p->block;
    if (!wrong && p->span < largest)
        wrong = "span is smaller than the largest of sizes";
    if (wrong)
        agent.answer.Error(kBadArgument, wrong);
    return !wrong;
}

bool ReadStats(Agent &agent, DeviceHandle *handle, VQ7_STATS *stats) {
    uint32_t status =
        agent.devices.Query(handle, IOCTL_VQ7_GET_STATS, stats, sizeof(*stats), agent.answer);
    if (Succeeded(status))
        return true;
    AnswerDriverError(agent, status, "the driver's counters can't be read");
    return false;
}

void PutEvent(Writer &values, EventKind kind, const EventState &event) {
    values.Key("event", kEventNames[static_cast<int>(kind)]);
    values.KeyHex("event_status", event.status, 8).Key("event_name", StatusName(event.status));
    values.Key("in_flight", event.in_flight).Key("duplicates", event.duplicates);
}

void PutCounters(Writer &values, const RunState &state) {
    const WorkloadCounters &c = state.workload.counters;
    const VQ7_STATS &a = state.after, &b = state.before;
    values.Key("ops", c.ops).Key("reads", c.reads).Key("writes", c.writes);
    values.Key("flushes", c.flushes).Key("bytes", c.bytes).Key("errors", c.errors);
    values.Key("miscompares", c.miscompares).Key("time_us", c.time_us);
    values.Key("max_in_flight", c.max_in_flight);
    const EventKind kind = state.parameters.event.kind;
    if (kind != EventKind::kNone)
        PutEvent(values, kind, state.workload.event);
    if (!state.answers)
        return;
    values.Key("submitted", a.submitted - b.submitted);
    values.Key("completed", a.completed - b.completed);
    values.Key("notifications", a.notifications - b.notifications);
    values.Key("suppressed", a.suppressed - b.suppressed);
    values.Key("interrupts", a.interrupts - b.interrupts).Key("dpcs", a.dpcs - b.dpcs);
    values.Key("ring_full", a.ring_full - b.ring_full);
    values.Key("indirect", a.indirect - b.indirect);
}

void AnswerRun(Agent &agent, const RunState &state) {
    Text<768> values;
    PutCounters(values, state);
    if (!state.workload.Failed()) {
        agent.answer.Ok(values);
        return;
    }
    const WorkloadCounters &c = state.workload.counters;
    Text<160> message;
    message.Dec(c.errors).Str(" failed and ").Dec(c.miscompares).Str(" miscompared of ");
    message.Dec(c.ops + c.flushes).Str(" operations and flushes");
    agent.answer.Error(kWorkloadFailed, message, &values);
}

void RunWorkload(Agent &agent, DeviceHandle *handle, RunState &state) {
    if (!FitToDisk(agent, handle, &state.parameters) || !ReadStats(agent, handle, &state.before))
        return;
    Workload &workload = state.workload;
    if (!workload.Init(agent.devices, handle, agent.answer, state.parameters)) {
        agent.answer.Error(kNoMemory, "no memory for buffers of this size and depth");
        return;
    }
    workload.Run();
    if (workload.event.left)
        agent.after = state.parameters.event.kind == EventKind::kReset ? AfterAnswer::kRestart
                                                                       : AfterAnswer::kPowerOff;
    state.answers = DeviceStays(state.parameters.event.kind) &&
                    !(state.parameters.event.kind != EventKind::kNone && workload.counters.errors);
    if (state.answers && !ReadStats(agent, handle, &state.after))
        return;
    if (workload.out_of_memory && !workload.Failed())
        agent.answer.Error(kNoMemory, "no memory to remember what was written");
    else
        AnswerRun(agent, state);
}

} // namespace

void CommandBlkRun(Agent &agent, Args &args) {
    RunState *state = static_cast<RunState *>(platform::AllocatePages(sizeof(RunState)));
    if (!state) {
        agent.answer.Error(kNoMemory, "no memory for the workload");
        return;
    }
    uint32_t index;
    TakeParameters(args, &state->parameters);
    DeviceScope scope(agent.devices);
    if (FinishWithDevice(agent, args, &index) &&
        OpenDevice(agent, index, kVirtioTypeBlock, &scope)) {
        RunWorkload(agent, scope.handle, *state);
        state->workload.Free();
    }
    platform::FreePages(state);
}

} // namespace agent
