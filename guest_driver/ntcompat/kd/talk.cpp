// SPDX-License-Identifier: MIT
//
// One stay in the debugger: the state is sent, requests are answered, until one says go on.
#include "debugger.h"

alignas(8) uint8_t KdpData[KD_DATA_MAX];
bool KdpCrashWanted;

namespace {

enum : uint16_t { REPORT_INCLUDES_SEGMENTS = 1, REPORT_STANDARD_CS = 2 };
enum : ULONG { FLAG_TRAP = 0x100 };

CONTEXT *Context() {
    return &KiPcr.Prcb.ProcessorState.ContextFrame;
}

_KSPECIAL_REGISTERS *Special() {
    return &KiPcr.Prcb.ProcessorState.SpecialRegisters;
}

// Breakpoints that lie in the instructions shown are lifted: the debugger sets them again.
void FillInstructions(KD_STATE_CHANGE *state) {
    auto &report = state->control;
    const uint64_t pc = state->pc;
    const uint32_t count =
        KdpRead(KdpVirtual, pc, report.instructions, sizeof(report.instructions));
    report.instruction_count = (uint16_t)count;
    if (count && KdpDeleteBreakpoints(pc, pc + count - 1))
        (void)KdpRead(KdpVirtual, pc, report.instructions, count);
}

void FillCommon(KD_STATE_CHANGE *state) {
    const CONTEXT *c = Context();
    state->level = (uint16_t)KiPcr.Prcb.CpuType;
    state->processor = 0;
    state->processors = 1;
    state->thread = (uint64_t)KiCurrent();
    state->pc = c->Rip;
    auto &report = state->control;
    report.dr6 = Special()->KernelDr6;
    report.dr7 = Special()->KernelDr7;
    report.eflags = c->EFlags;
    report.flags = REPORT_INCLUDES_SEGMENTS | REPORT_STANDARD_CS;
    report.cs = c->SegCs;
    report.ds = c->SegDs;
    report.es = c->SegEs;
    report.fs = c->SegFs;
    FillInstructions(state);
}

bool Succeeded(uint32_t status) {
    return (int32_t)status >= 0;
}

// How to go on: with one instruction or many, and with these hardware breakpoints.
void TakeControlSet(const KD_CONTINUE *proceed) {
    if (proceed->trace)
        Context()->EFlags |= FLAG_TRAP;
    else
        Context()->EFlags &= ~FLAG_TRAP;
    Special()->KernelDr7 = proceed->dr7;
    Special()->KernelDr6 = 0;
    Context()->Dr7 = KdpSentDr[5]; // what the context says of it no longer counts
}

enum Next { Again, Resend, GoOn, Refuse };

bool restarted; // the peer, instead of taking an answer

Next Serve(const uint8_t *payload, size_t length) {
    static KD_MANIPULATE message;
    __stosb((UCHAR *)&message, 0, sizeof(message));
    restarted = false;
    const size_t header = length < sizeof(message) ? length : sizeof(message);
    for (size_t i = 0; i < header; i++)
        ((uint8_t *)&message)[i] = payload[i];
    switch (message.api) {
    case KdApiContinue:
        return Succeeded(message.proceed.status) ? GoOn : Refuse;
    case KdApiContinue2:
        if (!Succeeded(message.proceed.status))
            return Refuse;
        TakeControlSet(&message.proceed);
        return GoOn;
    case KdApiSwitchProcessor: // to the only one; a stop of its own, whose context is to be read
        KdpContextSent = false;
        return Resend;
    case KdApiCauseBugCheck:
        KdpCrashWanted = true;
        return GoOn;
    case KdApiWriteBreakpointEx:
        KdpRequest(&message, payload + header, (uint32_t)(length - header));
        if (!restarted && !Succeeded(message.breakpoints.status))
            return Refuse;
        return restarted ? Resend : Again;
    default:
        KdpRequest(&message, payload + header, (uint32_t)(length - header));
        return restarted ? Resend : Again;
    }
}

Next ServeUntilDone() {
    for (;;) {
        const uint8_t *payload;
        size_t length;
        const KD_RESULT result =
            KdLinkReceive(&KdpLink, KdTypeManipulate, KD_STATE_PATIENCE, &payload, &length);
        if (result == KdStateWanted)
            return Resend;
        const Next next = result == KdDone ? Serve(payload, length) : Again;
        if (next != Again)
            return next;
    }
}

} // namespace

KDP_END KdpConverse(KD_STATE_CHANGE *state, KD_SPAN path, unsigned attempts) {
    KdpContextSent = false;
    for (;;) {
        FillCommon(state);
        if (KdLinkSend(&KdpLink, KdTypeStateChange, {state, sizeof(*state)}, path, attempts,
                       attempts ? KD_PATIENCE : KD_STATE_PATIENCE) != KdDone)
            return KdpEndNobody;
        KdpSetPresent(true);
        const Next next = ServeUntilDone();
        if (next != Resend)
            return next == GoOn ? KdpEndHandled : KdpEndNotHandled;
    }
}

// For ever: whoever asked and has gone may come back; when he starts anew, it is the state
// that he wants.
void KdpReply(KD_MANIPULATE *message, KD_SPAN data) {
    restarted = KdLinkSend(&KdpLink, KdTypeManipulate, {message, sizeof(*message)}, data, 0,
                           KD_STATE_PATIENCE) == KdStateWanted;
}
