// SPDX-License-Identifier: MIT
//
// The kernel debugger: when it is entered, and how the machine stands still meanwhile.
#include "debugger.h"

#include "mm/mi.h"

bool KdpEntered;

namespace {

bool waits; // /debug: what happens is reported also before anybody has answered
bool there; // COM2 is
uint64_t stopped;
bool interrupts;

// STATUS codes of DbgBreakPointWithStatus, as on Windows.
enum : ULONG { BREAK_CONTROL_C = 1, BREAK_BUGCHECK_FIRST = 3, BREAK_BUGCHECK_SECOND = 4 };
enum : uint64_t { FLAG_RESUME = 0x10000, FLAG_TRAP = 0x100 };
enum : uint16_t { INT3 = 0xCC, INT_2C = 0x2CCD };

uint64_t Ticks() {
    return (uint64_t)KeQueryPerformanceCounter(nullptr).QuadPart;
}

CONTEXT *Context() {
    return &KiPcr.Prcb.ProcessorState.ContextFrame;
}

void SaveState(const KI_TRAP_FRAME *frame, const M128A *xmm6_to_15) {
    KiSaveSpecialRegisters();
    KiContextFromFrame(Context(), frame, xmm6_to_15);
    const CONTEXT *c = Context();
    const uint64_t dr[6] = {c->Dr0, c->Dr1, c->Dr2, c->Dr3, c->Dr6, c->Dr7};
    for (int i = 0; i < 6; i++)
        KdpSentDr[i] = dr[i];
}

// Debug registers may be written as part of the context or of the special registers.
void RestoreState(KI_TRAP_FRAME *frame, M128A *xmm6_to_15) {
    const CONTEXT *c = Context();
    _KSPECIAL_REGISTERS *s = &KiPcr.Prcb.ProcessorState.SpecialRegisters;
    const uint64_t dr[6] = {c->Dr0, c->Dr1, c->Dr2, c->Dr3, c->Dr6, c->Dr7};
    uint64_t *special[6] = {&s->KernelDr0, &s->KernelDr1, &s->KernelDr2,
                            &s->KernelDr3, &s->KernelDr6, &s->KernelDr7};
    for (int i = 0; i < 6; i++)
        if (dr[i] != KdpSentDr[i])
            *special[i] = dr[i];
    KiContextToFrame(c, frame, xmm6_to_15);
    KdpLoadControlRegisters();
    KiRestoreSpecialRegisters();
}

// The debugger is to move on behind a break or an assertion of the program's own, and off an
// address with a hardware breakpoint; one that hasn't would stop there again for ever.
void StepOff(const EXCEPTION_RECORD *record, uint64_t dr6) {
    CONTEXT *c = Context();
    if (c->Rip != (uint64_t)record->ExceptionAddress)
        return;
    uint16_t now = 0;
    (void)KdpRead(KdpVirtual, c->Rip, &now, sizeof(now));
    if (record->ExceptionCode == STATUS_BREAKPOINT && (now & 0xFF) == INT3)
        c->Rip += 1;
    if (record->ExceptionCode == STATUS_ASSERTION_FAILURE && now == INT_2C)
        c->Rip += 2;
    if (record->ExceptionCode == STATUS_SINGLE_STEP && (dr6 & 0xF) != 0)
        c->EFlags |= FLAG_RESUME;
}

void FillException(KD_STATE_CHANGE *state, const EXCEPTION_RECORD *record, bool first_chance) {
    state->state = KdStateException;
    KD_EXCEPTION *e = &state->exception;
    e->code = record->ExceptionCode;
    e->flags = record->ExceptionFlags;
    e->address = (uint64_t)record->ExceptionAddress;
    e->parameter_count = record->NumberParameters;
    for (ULONG i = 0; i < record->NumberParameters; i++)
        e->parameters[i] = record->ExceptionInformation[i];
    e->first_chance = first_chance;
}

// A breakpoint in code that the debugger itself runs can't be reported; it is taken out.
bool Nested(KI_TRAP_FRAME *frame, const EXCEPTION_RECORD *record) {
    return record->ExceptionCode == STATUS_BREAKPOINT &&
           KdpDeleteBreakpoints(frame->Rip, frame->Rip);
}

void CrashIfWanted() {
    if (!KdpCrashWanted)
        return;
    KdpCrashWanted = false;
    KeBugCheckEx(MANUALLY_INITIATED_CRASH, 0, 0, 0, 0);
}

KD_STATE_CHANGE state; // not on the stack of whoever was stopped

void Clear() {
    __stosb((UCHAR *)&state, 0, sizeof(state));
}

} // namespace

bool KdpIsPresent(void) {
    return KdDebuggerEnabled && !KdDebuggerNotPresent;
}

bool KdpIsActive(void) {
    return KdpIsPresent() || (KdDebuggerEnabled && waits);
}

void KdpSetPresent(bool present) {
    KdDebuggerNotPresent = !present;
    KiSharedData->KdDebuggerEnabled = (BOOLEAN)(KdDebuggerEnabled | (present ? 2 : 0));
}

bool KdpEnter(void) {
    bool enabled = KiDisableInterrupts();
    if (KdpEntered) {
        KiRestoreInterrupts(enabled);
        return false;
    }
    KdpEntered = true;
    KiPcr.Prcb.DebuggerSavedIRQL = (UCHAR)__readcr8(); // for `!irql`
    interrupts = enabled;
    stopped = Ticks();
    HalSetClockVector(KI_VECTOR_DEBUGGER);
    return true;
}

void KdpLeave(void) {
    HalSetClockVector(KI_VECTOR_CLOCK);
    KiSkipTime(Ticks() - stopped);
    KdpEntered = false;
    KiRestoreInterrupts(interrupts);
}

extern "C" {

BOOLEAN KdDebuggerEnabled;
BOOLEAN KdDebuggerNotPresent = TRUE;

bool KdTrap(KI_TRAP_FRAME *frame, M128A *xmm6_to_15, const EXCEPTION_RECORD *record,
            bool first_chance) {
    if (KdpEntered)
        return Nested(frame, record);
    if (!KdpIsActive() || !KdpEnter())
        return false;
    SaveState(frame, xmm6_to_15);
    const uint64_t dr6 = KdpSentDr[4];
    KdpLink.halted = true;
    Clear();
    FillException(&state, record, first_chance);
    const bool handled = KdpConverse(&state, {nullptr, 0}, 0) == KdpEndHandled;
    KdpLink.halted = false;
    if (handled)
        StepOff(record, dr6);
    RestoreState(frame, xmm6_to_15);
    KdpLeave();
    CrashIfWanted();
    return handled;
}

bool KdServiceTrap(KI_TRAP_FRAME *frame, M128A *xmm6_to_15) {
    const ULONG service = (ULONG)frame->Rcx;
    if (service != KD_SERVICE_LOAD && service != KD_SERVICE_UNLOAD)
        return false;
    const KD_SYMBOLS *symbols = (const KD_SYMBOLS *)frame->Rdx;
    if (!KdpEnter())
        return true;
    SaveState(frame, xmm6_to_15);
    Clear();
    state.state = KdStateLoadSymbols;
    state.symbols.path_length = (uint32_t)symbols->path_length;
    state.symbols.base = symbols->base;
    state.symbols.process = ~0ull; // of no process, as Windows says of drivers
    state.symbols.checksum = symbols->checksum;
    state.symbols.size = symbols->size;
    state.symbols.unload = service == KD_SERVICE_UNLOAD;
    const KD_SPAN path = {symbols->path, symbols->path_length};
    KdpSetPresent(KdpConverse(&state, path, KD_TRIES) != KdpEndNobody);
    RestoreState(frame, xmm6_to_15);
    KdpLeave();
    CrashIfWanted();
    return true;
}

bool KdFixup(KI_TRAP_FRAME *frame) {
    const KDP_FIXUP *fixup = KdpFixups;
    while (fixup->faults != 0 && fixup->faults != frame->Rip)
        fixup++;
    if (fixup->faults == 0)
        return false;
    frame->Rip = fixup->instead;
    return true;
}

void KdLoadSymbols(const KD_SYMBOLS *symbols) {
    if (KdpIsPresent())
        KdpService(KD_SERVICE_LOAD, symbols);
}

void KdUnloadSymbols(const KD_SYMBOLS *symbols) {
    bool enabled = KiDisableInterrupts();
    (void)KdpDeleteBreakpoints(symbols->base, symbols->base + symbols->size - 1);
    KdpRememberUnloaded(symbols);
    KiRestoreInterrupts(enabled);
    if (KdpIsPresent())
        KdpService(KD_SERVICE_UNLOAD, symbols);
}

void KdCheckForDebugBreak(void) {
    if (!there || !KdDebuggerEnabled || KdpEntered)
        return;
    if (!KdpLink.break_in && KdpLink.count == 0 && !KdpByteWaiting())
        return;
    if (!KdLinkPoll(&KdpLink))
        return;
    KdpLink.break_in = false;
    KdpSetPresent(true);
    DbgBreakPointWithStatus(BREAK_CONTROL_C);
}

void KdBugCheckBreak(bool first) {
    if (KdpIsPresent() && !KdpEntered)
        DbgBreakPointWithStatus(first ? BREAK_BUGCHECK_FIRST : BREAK_BUGCHECK_SECOND);
}

void KdStartDebugger(void) {
    const ULONG options = KdpBootOptions();
    if (options & KD_OPTION_SILENT)
        KdKeepSerialSilent();
    KdpInitializeData();
    there = !(options & KD_OPTION_OFF) && KdpInitializePort();
    if (!there)
        return;
    MiInitializeDebugWindow();
    KdpReadFilters();
    KdDebuggerEnabled = TRUE;
    waits = (options & KD_OPTION_DEBUG) != 0;
    KdpSetPresent(waits); // until it turns out that nobody acknowledges
    LdrReportBootImages();
    if (options & KD_OPTION_BREAK) {
        waits = true;
        DbgBreakPointWithStatus(BREAK_CONTROL_C);
    }
}

NTSTATUS KdDisableDebugger(VOID) {
    KdDebuggerEnabled = FALSE;
    KiSharedData->KdDebuggerEnabled = FALSE;
    return STATUS_SUCCESS;
}

NTSTATUS KdEnableDebugger(VOID) {
    if (!there)
        return STATUS_UNSUCCESSFUL;
    KdDebuggerEnabled = TRUE;
    KdpSetPresent(!KdDebuggerNotPresent);
    return STATUS_SUCCESS;
}

} // extern "C"
