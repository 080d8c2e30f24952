// SPDX-License-Identifier: MIT
//
// Bug checks: report, call back whoever registered, stop for ever.
#include "ki.h"

#include "kd/kdp.h"
#include "rtl/rtlp.h"

extern "C" {

KI_TRAP_FRAME *KiBugCheckFrame;
LIST_ENTRY KeBugCheckCallbackListHead = {&KeBugCheckCallbackListHead, &KeBugCheckCallbackListHead};
LONG KiBugCheckActive;

static void KiCallBugCheckCallbacks(void) {
    for (LIST_ENTRY *e = KeBugCheckCallbackListHead.Flink; e != &KeBugCheckCallbackListHead;
         e = e->Flink) {
        PKBUGCHECK_CALLBACK_RECORD r = CONTAINING_RECORD(e, KBUGCHECK_CALLBACK_RECORD, Entry);
        r->State = BufferStarted;
        r->CallbackRoutine(r->Buffer, r->Length);
        r->State = BufferFinished;
    }
}

// To the debugger, in Windows' words, which it knows.
static void KiTellDebugger(ULONG code, const ULONG_PTR p[4]) {
    char text[256];
    (void)_snprintf(text, sizeof(text),
                    "\n*** Fatal System Error: 0x%08x\n"
                    "                       (0x%016I64X,0x%016I64X,0x%016I64X,0x%016I64X)\n\n",
                    code, p[0], p[1], p[2], p[3]);
    KdPrintToDebugger(KD_ALWAYS, 0, text);
}

static void KiKeepBugCheck(ULONG code, const ULONG_PTR p[4]) {
    KiBugCheckData[0] = code;
    for (int i = 0; i < 4; i++)
        KiBugCheckData[1 + i] = p[i];
    KiSaveSpecialRegisters();
    RtlCaptureContext(&KiPcr.Prcb.ProcessorState.ContextFrame);
}

// For ever. Of all interrupts only the clock's come, so that a debugger can still break in.
DECLSPEC_NORETURN static void KiStandStill(void) {
    const KIRQL below_clock = KI_IRQL_CLOCK - 1;
    if (!KdDebuggerEnabled)
        HalStopMachine();
    for (; KiPcr.InterruptNesting != 0; KiPcr.InterruptNesting--)
        HalEndOfInterrupt();
    __writecr8(below_clock);
    for (;;)
        __asm__ volatile("sti; hlt" : : : "memory");
}

VOID KeBugCheckEx(ULONG code, ULONG_PTR p1, ULONG_PTR p2, ULONG_PTR p3, ULONG_PTR p4) {
    __asm__ volatile("cli" : : : "memory");
    const ULONG_PTR parameters[4] = {p1, p2, p3, p4};
    KdEnableSerialOutput();
    // A second one comes from the report itself: say so, and no more.
    if (KiBugCheckActive++ != 0) {
        KdPrint_("\n*** bug check 0x%08X (%I64x,%I64x,%I64x,%I64x) while reporting\n", code, p1, p2,
                 p3, p4);
        HalStopMachine();
    }
    KiKeepBugCheck(code, parameters);
    KiTellDebugger(code, parameters);
    KdBugCheckBreak(true);
    KdReportBugCheck(code, parameters, KiBugCheckFrame);
    KiRaise(KI_IRQL_HIGH);
    KiCallBugCheckCallbacks();
    KdBugCheckBreak(false);
    KiStandStill();
}

VOID KeBugCheck(ULONG code) {
    KeBugCheckEx(code, 0, 0, 0, 0);
}

BOOLEAN KeRegisterBugCheckCallback(PKBUGCHECK_CALLBACK_RECORD record,
                                   PKBUGCHECK_CALLBACK_ROUTINE routine, PVOID buffer, ULONG length,
                                   PUCHAR component) {
    bool enabled = KiDisableInterrupts();
    BOOLEAN done = record->State == BufferEmpty;
    if (done) {
        record->CallbackRoutine = routine;
        record->Buffer = buffer;
        record->Length = length;
        record->Component = component;
        record->State = BufferInserted;
        InsertTailList(&KeBugCheckCallbackListHead, &record->Entry);
    }
    KiRestoreInterrupts(enabled);
    return done;
}

BOOLEAN KeDeregisterBugCheckCallback(PKBUGCHECK_CALLBACK_RECORD record) {
    bool enabled = KiDisableInterrupts();
    BOOLEAN done = record->State == BufferInserted;
    if (done) {
        RemoveEntryList(&record->Entry);
        record->State = BufferEmpty;
    }
    KiRestoreInterrupts(enabled);
    return done;
}

} // extern "C"
