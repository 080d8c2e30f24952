// SPDX-License-Identifier: MIT
//
// Deferred procedure calls: a queue that is emptied by the dispatch interrupt,
// the self-IPI at DISPATCH_LEVEL which the local APIC holds back until CR8 drops.
#include "ki.h"

extern "C" {

static KEVENT KiDpcsFlushed;

void KiInitializeDpcs(void) {
    InitializeListHead(&KiPcr.DpcQueue);
}

void KeInitializeDpc(PRKDPC dpc, PKDEFERRED_ROUTINE routine, PVOID context) {
    dpc->Type = KI_DPC;
    dpc->Importance = MediumImportance;
    dpc->Number = 0;
    dpc->DeferredRoutine = routine;
    dpc->DeferredContext = context;
    dpc->DpcData = nullptr;
}

static void KiCheckDpc(PRKDPC dpc) {
    if (dpc->Type != KI_DPC)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, "DPC object is not initialized", 0,
                    (uint64_t)dpc, dpc->Type, 0);
}

BOOLEAN KeInsertQueueDpc(PRKDPC dpc, PVOID argument1, PVOID argument2) {
    KiCheckDpc(dpc);
    bool enabled = KiDisableInterrupts();
    if (dpc->DpcData != nullptr) {
        KiRestoreInterrupts(enabled);
        return FALSE;
    }
    dpc->DpcData = &KiPcr.DpcQueue;
    dpc->SystemArgument1 = argument1;
    dpc->SystemArgument2 = argument2;
    if (dpc->Importance == HighImportance)
        InsertHeadList(&KiPcr.DpcQueue, &dpc->DpcListEntry);
    else
        InsertTailList(&KiPcr.DpcQueue, &dpc->DpcListEntry);
    KiPcr.DpcDepth++;
    // A low-importance DPC waits for the next dispatch interrupt or clock tick.
    if (dpc->Importance != LowImportance && !KiPcr.InDispatchInterrupt)
        HalRequestSoftwareInterrupt(DISPATCH_LEVEL);
    KiRestoreInterrupts(enabled);
    return TRUE;
}

BOOLEAN KeRemoveQueueDpc(PRKDPC dpc) {
    KiCheckDpc(dpc);
    bool enabled = KiDisableInterrupts();
    BOOLEAN queued = dpc->DpcData != nullptr;
    if (queued) {
        RemoveEntryList(&dpc->DpcListEntry);
        KiPcr.DpcDepth--;
        dpc->DpcData = nullptr;
    }
    KiRestoreInterrupts(enabled);
    return queued;
}

void KeSetImportanceDpc(PRKDPC dpc, KDPC_IMPORTANCE importance) {
    dpc->Importance = (UCHAR)importance;
}

void KeSetTargetProcessorDpc(PRKDPC dpc, CCHAR number) {
    if (number != 0)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, "DPC targeted at a missing processor", 0,
                    (uint64_t)dpc, (uint64_t)number, 0);
}

static void KiCallDpc(PKDPC dpc, PKDEFERRED_ROUTINE routine, PVOID context, PVOID argument1,
                      PVOID argument2) {
    KiPcr.RunningDpc = dpc;
    KiPcr.DpcStartTick = KiTickCount;
    KiPcr.Prcb.DpcRoutineActive = TRUE;
    routine(dpc, context, argument1, argument2);
    KiPcr.RunningDpc = nullptr;
    KiPcr.Prcb.DpcRoutineActive = FALSE;
    if (__readcr8() != DISPATCH_LEVEL)
        KdViolation(IRQL_NOT_DISPATCH_LEVEL, "DPC returned at another IRQL", (uint64_t)routine,
                    __readcr8(), (uint64_t)dpc, 0);
}

void KiRetireDpcs(void) {
    for (;;) {
        KiExpireTimers();
        __asm__ volatile("cli" : : : "memory");
        if (IsListEmpty(&KiPcr.DpcQueue))
            break;
        PKDPC dpc = CONTAINING_RECORD(RemoveHeadList(&KiPcr.DpcQueue), KDPC, DpcListEntry);
        KiPcr.DpcDepth--;
        // Copied first: the routine may queue or free its DPC.
        PKDEFERRED_ROUTINE routine = dpc->DeferredRoutine;
        PVOID context = dpc->DeferredContext;
        PVOID argument1 = dpc->SystemArgument1, argument2 = dpc->SystemArgument2;
        dpc->DpcData = nullptr;
        __asm__ volatile("sti" : : : "memory");
        KiCallDpc(dpc, routine, context, argument1, argument2);
    }
    // Left with interrupts off, so that a DPC queued from now on asks again.
}

// From the clock interrupt.
void KiCheckDpcTime(void) {
    if (KiPcr.RunningDpc && KiTickCount - KiPcr.DpcStartTick > KI_DPC_LIMIT_TICKS)
        KdViolation(DPC_WATCHDOG_VIOLATION, "a DPC runs for too long", 0,
                    KiTickCount - KiPcr.DpcStartTick, KI_DPC_LIMIT_TICKS,
                    (uint64_t)KiPcr.RunningDpc->DeferredRoutine);
    if (KiPcr.DpcDepth != 0)
        HalRequestSoftwareInterrupt(DISPATCH_LEVEL);
}

static void KiFlushDpc(PKDPC dpc, PVOID, PVOID, PVOID) {
    (void)dpc;
    KeSetEvent(&KiDpcsFlushed, IO_NO_INCREMENT, FALSE);
}

// A DPC of ours behind all the queued ones; when it has run, they have.
void KeFlushQueuedDpcs(void) {
    KiCheckIrql("KeFlushQueuedDpcs", APC_LEVEL);
    KDPC marker;
    KeInitializeDpc(&marker, KiFlushDpc, nullptr);
    KeInitializeEvent(&KiDpcsFlushed, NotificationEvent, FALSE);
    KeInsertQueueDpc(&marker, nullptr, nullptr);
    KeWaitForSingleObject(&KiDpcsFlushed, Executive, KernelMode, FALSE, nullptr);
}

NTC_EXPORT LOGICAL KeIsExecutingDpc(void) {
    return KiPcr.RunningDpc != nullptr;
}

} // extern "C"
