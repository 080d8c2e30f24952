// SPDX-License-Identifier: MIT
//
// Bug checks: report, call back whoever registered, stop for ever.
#include "ki.h"

#include "kd/kdp.h"

extern "C" {

KI_TRAP_FRAME *KiBugCheckFrame;
static LIST_ENTRY KiBugCheckCallbacks = {&KiBugCheckCallbacks, &KiBugCheckCallbacks};
static LONG KiBugCheckActive;

static void KiCallBugCheckCallbacks(void) {
    for (LIST_ENTRY *e = KiBugCheckCallbacks.Flink; e != &KiBugCheckCallbacks; e = e->Flink) {
        PKBUGCHECK_CALLBACK_RECORD r = CONTAINING_RECORD(e, KBUGCHECK_CALLBACK_RECORD, Entry);
        r->State = BufferStarted;
        r->CallbackRoutine(r->Buffer, r->Length);
        r->State = BufferFinished;
    }
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
    KdReportBugCheck(code, parameters, KiBugCheckFrame);
    KiRaise(KI_IRQL_HIGH);
    KiCallBugCheckCallbacks();
    HalStopMachine();
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
        InsertTailList(&KiBugCheckCallbacks, &record->Entry);
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
