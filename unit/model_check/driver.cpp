// SPDX-License-Identifier: MIT
//
// The program that uses the library: one thread adds, publishes and kicks, the
// other drains as the library's documents say. Their calls exclude each other,
// as behind a lock, and come in any order.
#include "driver.h"
#include "memory.h"

#include <cstdlib>

#include "model_osdep.h"
#include "virtqueue_split.h"

namespace mc {

namespace {

// Arguments and results of the call under way.
unsigned g_first, g_count; // kPublish
uint16_t g_position;       // kPoll
NTSTATUS g_status;
bool g_yes;
VIRTQ_COMPLETION g_out[2];
uint16_t g_outCount;

VIRTQ_SPLIT *vq() {
    return static_cast<VIRTQ_SPLIT *>(hooks::privateMemory());
}

void *cookieOf(unsigned b) {
    return reinterpret_cast<void *>(uintptr_t(b + 1));
}

// ------------------------------------------------------- calls of the library

void publish() {
    VIRTQ_SG sg[2][2];
    VIRTQ_BUFFER buffers[2];
    UINT16 heads[2];
    UINT16 added = 0;

    for (unsigned i = 0; i < g_count; i++) {
        unsigned b = g_first + i;
        for (unsigned k = 0; k < segmentsOf(b); k++) {
            sg[i][k] = VIRTQ_SG{uint64_t(pageOf(b, k)) << 12, kSegmentBytes, TRUE};
        }
        buffers[i] = VIRTQ_BUFFER{sg[i], uint16_t(segmentsOf(b)), cookieOf(b)};
    }
    if (g_config.program == Program::kSubmit) {
        g_status = VirtqSplitSubmitBatch(vq(), buffers, uint16_t(g_count), &added);
        return;
    }
    if (g_config.program == Program::kBatch) {
        g_status = VirtqSplitAddBatch(vq(), buffers, uint16_t(g_count), heads, &added);
        if (NT_SUCCESS(g_status)) {
            g_status = VirtqSplitPublishBatch(vq(), heads, added);
        }
        return;
    }
    g_status = VirtqSplitAddBuffer(vq(), sg[0], buffers[0].sg_count, buffers[0].cookie, &heads[0]);
    if (NT_SUCCESS(g_status)) {
        g_status = VirtqSplitPublishChecked(vq(), heads[0]);
    }
}

void getUsed() {
    g_outCount = 0;
    g_status = VirtqSplitGetUsed(vq(), &g_out[0].cookie, &g_out[0].len);
    g_outCount = NT_SUCCESS(g_status) ? 1 : 0;
}

void (*bodyOf(Call call))() {
    switch (call) {
    case Call::kPublish:
        return publish;
    case Call::kKickPrepare:
        return [] { g_yes = VirtqSplitKickPrepare(vq()); };
    case Call::kKickCommit:
        return [] { VirtqSplitKickCommit(vq()); };
    case Call::kKick:
        return [] { g_yes = VirtqSplitKick(vq()); };
    case Call::kHasUsed:
        return [] { g_yes = VirtqSplitHasUsed(vq()); };
    case Call::kGetUsed:
        return getUsed;
    case Call::kGetUsedBatch:
        return [] { g_status = VirtqSplitGetUsedBatch(vq(), g_out, 2, &g_outCount); };
    case Call::kDisable:
        return [] { VirtqSplitDisableInterrupts(vq()); };
    case Call::kEnable:
        return [] { g_yes = VirtqSplitEnableInterrupts(vq()); };
    case Call::kEnableDelayed:
        return [] { g_yes = VirtqSplitEnableInterruptsDelayed(vq()); };
    case Call::kPrepareWait:
        return [] { g_position = VirtqSplitPrepareWait(vq()); };
    case Call::kPoll:
        return [] { g_yes = VirtqSplitPoll(vq(), g_position); };
    default:
        abort();
    }
}

// Mutants that no memory primitive can make: the same effect on private state.
constexpr uint16_t kManyMore = 0x4000;

bool isEnable(Call call) {
    return call == Call::kEnable || call == Call::kEnableDelayed;
}

struct Sabotage {
    uint16_t states[kMaxSize];
    uint32_t writable[kMaxSize];
};

void sabotageBefore(Call call, Sabotage &saved) {
    if (call != Call::kGetUsed) {
        return;
    }
    if (g_config.mutant == Mutant::kNoInFlightCheck) {
        vq()->avail_idx = uint16_t(vq()->avail_idx + kManyMore); // so many are in flight
    }
    for (unsigned i = 0; i < g_config.size; i++) {
        saved.states[i] = vq()->chains[i].state;
        saved.writable[i] = vq()->chains[i].writable;
        if (g_config.mutant == Mutant::kNoInFlightCheck) {
            vq()->chains[i].state = 2; // in flight
        }
        if (g_config.mutant == Mutant::kNoLengthCheck) {
            vq()->chains[i].writable = 0xFFFFFFFF;
        }
    }
}

void sabotageAfter(Call call, const Sabotage &saved) {
    if (call == Call::kPublish && g_config.mutant == Mutant::kKickCountOffByOne &&
        vq()->num_added != 0) {
        vq()->num_added--;
    }
    if (g_config.mutant == Mutant::kForgetsWaiting && isEnable(call)) {
        vq()->seen = 0;
    }
    if (call != Call::kGetUsed) {
        return;
    }
    for (unsigned i = 0; i < g_config.size; i++) {
        if (vq()->chains[i].state == 2) {
            vq()->chains[i].state = saved.states[i];
        }
        vq()->chains[i].writable = saved.writable[i];
    }
    if (g_config.mutant == Mutant::kNoInFlightCheck) {
        vq()->avail_idx = uint16_t(vq()->avail_idx - kManyMore);
    }
}

// ------------------------------------------------------ what a result must be

void complete(State &s, const VIRTQ_COMPLETION &done) {
    uintptr_t b = reinterpret_cast<uintptr_t>(done.cookie) - 1;
    if (b >= s.driver.submitted || !isOutstanding(s.driver.buffers[b])) {
        violate("the driver completed a buffer that is not outstanding (cookie %lu)",
                (unsigned long)b + 1);
        return;
    }
    if (!g_config.adversary) {
        if (s.driver.buffers[b] != BufferState::kUsed) {
            violate("the driver completed buffer %u before the device", unsigned(b));
        }
        if (done.len != usedLengthOf(unsigned(b))) {
            violate("the driver got length %u for buffer %u", done.len, unsigned(b));
        }
    }
    if (done.len > kSegmentBytes * segmentsOf(unsigned(b))) {
        violate("the driver believed a length of %u", done.len);
    }
    s.driver.buffers[b] = BufferState::kCompleted;
    MC_TRACE("driver  buffer %u is completed", unsigned(b));
}

bool isDocumentedBreak(NTSTATUS status) {
    return status == VIRTQ_STATUS_USED_ID_RANGE || status == VIRTQ_STATUS_USED_IDX_AHEAD ||
           status == VIRTQ_STATUS_USED_NOT_ISSUED || status == VIRTQ_STATUS_USED_MID_CHAIN ||
           status == VIRTQ_STATUS_USED_TWICE || status == VIRTQ_STATUS_USED_LENGTH;
}

void checkBroken(State &s) {
    if (!VirtqSplitIsBroken(vq())) {
        return;
    }
    s.driver.broken = 1;
    MC_TRACE("driver  the queue is broken, status %08x", unsigned(VirtqSplitBrokenStatus(vq())));
    if (!g_config.adversary) {
        violate("the queue says %08x of a device that did nothing wrong",
                unsigned(VirtqSplitBrokenStatus(vq())));
    } else if (!isDocumentedBreak(VirtqSplitBrokenStatus(vq()))) {
        violate("the queue is broken with the undocumented status %08x",
                unsigned(VirtqSplitBrokenStatus(vq())));
    }
}

void checkBooks(const State &s) {
    unsigned inFlight = 0, used = 0;
    for (unsigned b = 0; b < s.driver.submitted; b++) {
        if (isOutstanding(s.driver.buffers[b])) {
            inFlight++;
            used += segmentsOf(b);
        }
    }
    if (VirtqSplitInFlight(vq()) != inFlight || VirtqSplitNumFree(vq()) + used != g_config.size) {
        violate("%u buffers in %u descriptors are outstanding; the queue says %u, and %u free",
                inFlight, used, VirtqSplitInFlight(vq()), VirtqSplitNumFree(vq()));
    }
}

// ------------------------------------------------------------ the two threads

void afterSubmit(State &s, Call call) {
    DriverState &d = s.driver;
    if (call == Call::kPublish) {
        if (!NT_SUCCESS(g_status) && !d.broken) {
            violate("a buffer that has room was refused with %08x", unsigned(g_status));
        }
        for (unsigned i = 0; i < g_count && NT_SUCCESS(g_status); i++) {
            d.buffers[d.submitted++] = BufferState::kPublished;
            d.needKick = 1;
        }
    } else if (call != Call::kKickCommit) {
        d.needKick = 0;
        d.submit = call == Call::kKick ? Submit::kIdle : Submit::kCommit;
        if (g_yes) {
            s.kick = 1;
            MC_TRACE("driver  kicks the device");
        }
    } else {
        d.submit = Submit::kIdle;
    }
}

Drain afterLook(bool waiting) {
    if (waiting) {
        return Drain::kTake;
    }
    return g_config.program == Program::kHasUsed ? Drain::kAsleep : Drain::kEnable;
}

Drain afterTake(State &s) {
    for (unsigned i = 0; i < g_outCount; i++) {
        complete(s, g_out[i]);
    }
    if (s.driver.sawWaiting && g_status == STATUS_NOT_FOUND) {
        violate("something was waiting, and nothing was taken: the drain need not end");
    }
    s.driver.sawWaiting = 0;
    if (g_config.program == Program::kGetUsed || isOfBatches(g_config.program)) {
        return NT_SUCCESS(g_status) ? Drain::kTake : Drain::kAsleep;
    }
    if (!NT_SUCCESS(g_status) && !g_config.adversary) {
        violate("HasUsed said yes, GetUsed %08x", unsigned(g_status));
    }
    return Drain::kLook;
}

void afterDrain(State &s, Call call) {
    Drain &pc = s.driver.drain;
    switch (call) {
    case Call::kDisable:
        pc = Drain::kLook;
        break;
    case Call::kHasUsed:
        if (s.driver.sawWaiting && !g_yes && !s.driver.broken) {
            violate("something was waiting, and HasUsed says no");
        }
        pc = afterLook(g_yes);
        break;
    case Call::kGetUsed:
    case Call::kGetUsedBatch:
        pc = afterTake(s);
        break;
    case Call::kEnable:
    case Call::kEnableDelayed:
        pc = g_yes ? Drain::kAsleep : Drain::kDisable;
        s.driver.sawWaiting |= !g_yes;
        break;
    case Call::kPrepareWait:
        s.driver.waitPosition = g_position;
        pc = Drain::kPoll;
        break;
    default: // kPoll
        pc = g_yes ? Drain::kDisable : Drain::kAsleep;
        break;
    }
    if (s.driver.broken) {
        pc = Drain::kAsleep;
    }
    if (pc == Drain::kAsleep) {
        s.driver.waitPosition = 0;
        MC_TRACE("driver  sleeps until an interrupt");
    }
}

void finishCall(State &s) {
    DriverState &d = s.driver;
    Call call = d.call;
    MC_TRACE("driver  %s returns", callName(call));
    hooks::leave(s);
    hooks::checkUntouched();
    checkBroken(s);
    d.call = Call::kNone;
    d.done = d.loadCount = d.count = 0;
    memset(d.loads, 0, sizeof(d.loads));
    if (call <= Call::kKick) {
        afterSubmit(s, call);
    } else {
        afterDrain(s, call);
    }
    checkBooks(s);
}

// One step of a call; FALSE: it has to wait for a flush first.
bool stepCall(State &s, unsigned choice, unsigned &choices) {
    Sabotage saved;
    Call call = s.driver.call;
    hooks::enter(s);
    g_position = s.driver.waitPosition;
    g_first = s.driver.submitted;
    g_count = s.driver.count;
    sabotageBefore(call, saved);
    hooks::Outcome outcome = hooks::run(s, choice, bodyOf(call));
    choices = outcome.choices;
    if (outcome.finished) {
        sabotageAfter(call, saved);
        finishCall(s);
    }
    if (g_config.adversary && outcome.finished) {
        checkRecovery(s);
    }
    return outcome.progress;
}

void emitCall(const State &s, Call call, unsigned count, const Emit &emit) {
    unsigned choices = 1;
    for (unsigned choice = 0; choice < choices; choice++) {
        State next = s;
        next.driver.call = call;
        next.driver.count = uint8_t(count);
        if (stepCall(next, choice, choices) || !g_violation.empty()) {
            emit(next);
        }
    }
}

void submitSteps(const State &s, const Emit &emit) {
    const DriverState &d = s.driver;
    const VIRTQ_SPLIT *queue = reinterpret_cast<const VIRTQ_SPLIT *>(d.privateBytes);
    unsigned batch = isOfBatches(g_config.program) ? 2 : 1;
    unsigned room = queue->num_free;

    for (unsigned count = 1; count <= batch; count++) {
        unsigned b = d.submitted + count - 1u;
        if (b >= g_config.buffers || segmentsOf(b) > room) {
            break;
        }
        room -= segmentsOf(b);
        emitCall(s, Call::kPublish, count, emit);
    }
    if (d.submit == Submit::kCommit) {
        emitCall(s, Call::kKickCommit, 0, emit);
    } else if (d.needKick) {
        emitCall(s, g_config.program == Program::kSubmit ? Call::kKick : Call::kKickPrepare, 0,
                 emit);
    }
}

Call drainCall(Drain pc) {
    switch (pc) {
    case Drain::kDisable:
        return Call::kDisable;
    case Drain::kLook:
        return Call::kHasUsed;
    case Drain::kTake:
        return isOfBatches(g_config.program) ? Call::kGetUsedBatch : Call::kGetUsed;
    case Drain::kEnable:
        return g_config.program == Program::kDelayed ? Call::kEnableDelayed
               : g_config.program == Program::kWait  ? Call::kPrepareWait
                                                     : Call::kEnable;
    default:
        return Call::kPoll;
    }
}

Drain firstDrain() {
    switch (g_config.program) {
    case Program::kHasUsed:
        return Drain::kLook;
    case Program::kGetUsed:
    case Program::kBatch:
    case Program::kSubmit:
        return Drain::kTake;
    default:
        return Drain::kDisable;
    }
}

} // namespace

void driverSteps(const State &s, const Emit &emit) {
    const DriverState &d = s.driver;
    if (d.call != Call::kNone) {
        emitCall(s, d.call, d.count, emit);
        return;
    }
    if (d.broken) {
        return;
    }
    submitSteps(s, emit);
    if (d.drain != Drain::kAsleep) {
        emitCall(s, drainCall(d.drain), 0, emit);
    } else if (s.interrupt) {
        State next = s;
        next.interrupt = 0;
        next.driver.drain = firstDrain();
        fullFence(next, kDriver); // delivery and the queueing of a DPC order loads
        MC_TRACE("driver  takes the interrupt");
        emit(next);
    }
}

} // namespace mc
