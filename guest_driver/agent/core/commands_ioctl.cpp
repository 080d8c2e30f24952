// SPDX-License-Identifier: MIT
//
// `ioctl`: any I/O control request as any program could send it, and what came of
// it, to the last byte of its output buffer.
#include "commands.h"

#include "crc32.h"
#include "status.h"

namespace agent {
namespace {

constexpr size_t kMaxInput = 512;                     // bytes that a command line can hold
constexpr uint64_t kMaxBuffer = 16 * 1024 * 1024 + 1; // beyond the longest transfer
constexpr uint64_t kMaxCount = 4096;
constexpr uint64_t kMaxOffset = 4095;
constexpr uint64_t kPrintedBytes = 65536;
constexpr size_t kMaxOutcomes = 16;

struct Parameters {
    uint32_t code;
    uint8_t in[kMaxInput];
    size_t in_given; // bytes of `in`
    uint32_t in_size;
    uint32_t out;
    uint8_t fill;
    uint32_t access;
    uint32_t offset; // of both buffers in their page
    bool same;       // the input lies at the start of the output buffer
    uint32_t count;
    bool share; // one output buffer for all
    bool close; // the handle, before the first request is waited for
    bool quiet;
};

struct Outcome {
    uint32_t status;
    uint32_t information;
    uint32_t requests;
};

struct State {
    Parameters parameters;
    Outcome outcomes[kMaxOutcomes];
    size_t outcome_count;
    Call **calls;
    uint32_t out_there; // submitted, not come back
};

void TakeParameters(Args &args, Parameters *p) {
    static const char *const kAccess[] = {"both", "read", "write", "none", nullptr};
    static const uint32_t kBits[] = {platform::kAccessRead | platform::kAccessWrite,
                                     platform::kAccessRead, platform::kAccessWrite, 0};
    p->code = static_cast<uint32_t>(args.Number("code", 0, UINT32_MAX));
    p->in_given = args.Bytes("in", p->in, kMaxInput);
    p->in_size = static_cast<uint32_t>(args.Option("in_size", p->in_given, 0, kMaxBuffer));
    p->out = static_cast<uint32_t>(args.Option("out", 0, 0, kMaxBuffer));
    p->fill = static_cast<uint8_t>(args.Option("fill", 0, 0, 255));
    p->access = kBits[args.Choice("access", kAccess)];
    p->offset = static_cast<uint32_t>(args.Option("offset", 0, 0, kMaxOffset));
    p->same = args.Option("same", 0, 0, 1) != 0;
    p->count = static_cast<uint32_t>(args.Option("count", 1, 1, kMaxCount));
    p->share = args.Option("share", 0, 0, 1) != 0;
    p->close = args.Option("close", 0, 0, 1) != 0;
    p->quiet = args.Option("quiet", 0, 0, 1) != 0;
    if (p->in_size < p->in_given)
        args.Fail("in_size", "is less than what in= gives");
    if (p->same && p->in_size > p->out)
        args.Fail("same", "needs an output buffer as long as the input");
    if (p->count > 1)
        p->quiet = true;
    if (!p->quiet && p->out > kPrintedBytes)
        args.Fail("out", "above 65536 needs quiet=1");
}

void Fill(uint8_t *bytes, size_t size, uint8_t value) {
    for (size_t i = 0; i < size; i++)
        bytes[i] = value;
}

// The call's data: output buffer, then, on a page of its own, the input.
size_t InputAt(const Parameters &p) {
    return p.same ? 0 : (static_cast<size_t>(p.offset) + p.out + 4095) / 4096 * 4096;
}

Call *MakeCall(const Parameters &p, uint8_t *shared) {
    Call *call = NewCall(InputAt(p) + p.offset + (p.same ? p.out : p.in_size));
    if (!call)
        return nullptr;
    uint8_t *out = shared ? shared : call->data + p.offset;
    uint8_t *in = p.same ? out : call->data + InputAt(p) + p.offset;
    Fill(out, p.out, p.fill);
    Fill(in + p.in_given, p.in_size - p.in_given, p.fill);
    for (size_t i = 0; i < p.in_given; i++)
        in[i] = p.in[i];
    call->request.input = p.in_size ? in : nullptr;
    call->request.input_size = p.in_size;
    call->request.buffer = p.out ? out : nullptr;
    call->request.buffer_size = p.out;
    return call;
}

bool MakeCalls(State &state) {
    const Parameters &p = state.parameters;
    state.calls = static_cast<Call **>(platform::AllocatePages(p.count * sizeof(Call *)));
    if (!state.calls)
        return false;
    for (uint32_t i = 0; i < p.count; i++) {
        bool share = p.share && i && p.out;
        uint8_t *shared = share ? static_cast<uint8_t *>(state.calls[0]->request.buffer) : nullptr;
        state.calls[i] = MakeCall(p, shared);
        if (!state.calls[i])
            return false;
    }
    return true;
}

void FreeCalls(State &state) {
    for (uint32_t i = 0; state.calls && i < state.parameters.count; i++)
        FreeCall(state.calls[i]);
    if (state.calls)
        platform::FreePages(state.calls);
}

void CountOutcome(State &state, const platform::Request &request) {
    size_t i = 0;
    while (i < state.outcome_count && (state.outcomes[i].status != request.status ||
                                       state.outcomes[i].information != request.information))
        i++;
    if (i == kMaxOutcomes)
        return; // the sum of `requests` tells
    if (i == state.outcome_count)
        state.outcomes[state.outcome_count++] = {request.status, request.information, 0};
    state.outcomes[i].requests++;
}

// What never comes back keeps its memory, and all of them the shared buffer's.
void AbandonRest(Agent &agent, State &state) {
    bool keep_first = state.parameters.share;
    for (uint32_t i = 0; i < state.parameters.count; i++) {
        Call *call = state.calls[i];
        if (!call->owner && !(keep_first && i == 0))
            continue;
        if (call->owner)
            agent.devices.Abandon(call);
        state.calls[i] = nullptr;
    }
}

// False: not all came back.
bool Send(Agent &agent, DeviceHandle *handle, State &state) {
    const Parameters &p = state.parameters;
    for (uint32_t i = 0; i < p.count; i++) {
        state.calls[i]->owner = &state; // until it is back
        agent.devices.Submit(handle, state.calls[i], p.code);
        state.out_there++;
    }
    if (p.close)
        agent.devices.CloseEarly(handle);
    uint64_t progress = platform::MonotonicUs();
    while (state.out_there) {
        Call *call = agent.devices.Wait(100);
        uint64_t now = platform::MonotonicUs();
        if (call) {
            call->owner = nullptr;
            state.out_there--;
            CountOutcome(state, call->request);
            progress = now;
        } else if (now - progress > kRequestTimeoutUs) {
            AbandonRest(agent, state);
            return false;
        }
        if (agent.answer.BusyDue()) {
            Text<64> text;
            text.Key("in_flight", state.out_there);
            agent.answer.Busy(text);
        }
    }
    return true;
}

void AnswerMany(Agent &agent, const State &state) {
    for (size_t i = 0; i < state.outcome_count; i++) {
        const Outcome &outcome = state.outcomes[i];
        Text<128> line;
        line.KeyHex("status", outcome.status, 8).Key("name", StatusName(outcome.status));
        line.Key("information", outcome.information).Key("requests", outcome.requests);
        agent.answer.Line(line);
    }
    Text<32> values;
    values.Key("requests", state.parameters.count);
    agent.answer.Ok(values);
}

void AnswerOne(Agent &agent, const State &state) {
    const platform::Request &request = state.calls[0]->request;
    const uint8_t *out = static_cast<const uint8_t *>(request.buffer);
    uint32_t size = state.parameters.out;
    if (!state.parameters.quiet)
        PrintData(agent.answer, out, size);
    Text<128> values;
    values.KeyHex("status", request.status, 8).Key("name", StatusName(request.status));
    values.Key("information", request.information).KeyHex("crc", Crc32(0, out, size), 8);
    agent.answer.Ok(values);
}

void Run(Agent &agent, uint32_t index, State &state) {
    const Parameters &p = state.parameters;
    DeviceScope scope(agent.devices);
    uint32_t status = agent.devices.OpenRaw(index, p.access, &scope.handle);
    if (!Succeeded(status)) {
        AnswerOpenError(agent, index, status);
        return;
    }
    if (!MakeCalls(state))
        agent.answer.Error(kNoMemory, "no memory for buffers of this size and count");
    else if (!Send(agent, scope.handle, state))
        AnswerDriverError(agent, kRequestLost, "a request is lost");
    else if (p.count == 1)
        AnswerOne(agent, state);
    else
        AnswerMany(agent, state);
}

} // namespace

void CommandIoctl(Agent &agent, Args &args) {
    State *state = static_cast<State *>(platform::AllocatePages(sizeof(State)));
    if (!state) {
        agent.answer.Error(kNoMemory, "no memory for the request");
        return;
    }
    uint32_t index;
    TakeParameters(args, &state->parameters);
    if (FinishWithDevice(agent, args, &index))
        Run(agent, index, *state);
    FreeCalls(*state);
    platform::FreePages(state);
}

} // namespace agent
