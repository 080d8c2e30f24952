// SPDX-License-Identifier: MIT
//
// The scheduler: 32 priorities, round robin within one, preemptive, one processor.
#include "ki.h"

extern "C" {

static _KTHREAD KiIdleThread;
EPROCESS KiSystemProcess, KiIdleProcess;
LIST_ENTRY PsActiveProcessHead;

KIRQL KiLockDispatcher(void) {
    KIRQL old = (KIRQL)__readcr8();
    if (old > DISPATCH_LEVEL)
        KdViolation(IRQL_NOT_LESS_OR_EQUAL, "dispatcher function called above DISPATCH_LEVEL", 0,
                    old, 0, (uint64_t)__builtin_return_address(0));
    __writecr8(DISPATCH_LEVEL);
    return old;
}

static void KiInitializeProcess(EPROCESS *process, ULONG_PTR id, const char *name) {
    process->Header.Type = KI_PROCESS;
    InitializeListHead(&process->Header.WaitListHead);
    InitializeListHead(&process->ProfileListHead);
    InitializeListHead(&process->TcbListHead);
    InitializeListHead(&process->ThreadListHead);
    InitializeListHead(&process->ActiveProcessLinks); // the idle process is in no list
    process->DirectoryTableBase = __readcr3();
    process->UniqueProcessId = (HANDLE)id;
    for (int i = 0; name[i]; i++)
        process->ImageFileName[i] = name[i];
}

void KiInitializeScheduler(void) {
    for (int i = 0; i < KI_PRIORITIES; i++)
        InitializeListHead(&KiPcr.Ready[i]);
    InitializeListHead(&PsActiveProcessHead);
    KiInitializeProcess(&KiIdleProcess, 0, "Idle");
    KiInitializeProcess(&KiSystemProcess, 4, "System");
    InsertTailList(&PsActiveProcessHead, &KiSystemProcess.ActiveProcessLinks);
    PKTHREAD idle = &KiIdleThread;
    idle->Header.Type = KI_THREAD;
    InitializeListHead(&idle->Header.WaitListHead);
    InitializeListHead(&idle->MutantList);
    idle->State = KI_RUNNING;
    idle->SystemThread = TRUE;
    // The loader's stack: the page we are on and whatever is below is ours.
    idle->StackBase =
        ((uint64_t)__builtin_frame_address(0) + PAGE_SIZE) & ~(uint64_t)(PAGE_SIZE - 1);
    idle->StackLimit = idle->StackBase - 4 * PAGE_SIZE;
    idle->InitialStack = idle->StackBase;
    KiAddThread(idle, &KiIdleProcess, 0);
    KiPcr.Prcb.IdleThread = idle;
    KiPcr.Prcb.CurrentThread = idle;
}

static void KiQueueReady(PKTHREAD thread, bool at_head) {
    thread->State = KI_READY;
    LIST_ENTRY *queue = &KiPcr.Ready[(int)thread->Priority];
    if (at_head)
        InsertHeadList(queue, &thread->QueueEntry);
    else
        InsertTailList(queue, &thread->QueueEntry);
    KiPcr.ReadySummary |= 1u << thread->Priority;
}

void KiReadyThread(PKTHREAD thread, KPRIORITY increment) {
    // Real-time priorities (16 and up) are not boosted, and no boost reaches them.
    if (thread->Priority < LOW_REALTIME_PRIORITY) {
        KPRIORITY priority = thread->BasePriority + increment;
        if (priority >= LOW_REALTIME_PRIORITY)
            priority = LOW_REALTIME_PRIORITY - 1;
        if (priority > thread->Priority)
            thread->Priority = (CHAR)priority;
    }
    thread->Quantum = KI_QUANTUM_TICKS;
    KiQueueReady(thread, false);
}

static int KiBestPriority(void) {
    ULONG index;
    return _BitScanReverse(&index, KiPcr.ReadySummary) ? (int)index : -1;
}

static PKTHREAD KiTakeBest(void) {
    int priority = KiBestPriority();
    if (priority < 0)
        return KiPcr.Prcb.IdleThread;
    LIST_ENTRY *queue = &KiPcr.Ready[priority];
    PKTHREAD thread = CONTAINING_RECORD(RemoveHeadList(queue), KTHREAD, QueueEntry);
    if (IsListEmpty(queue))
        KiPcr.ReadySummary &= ~(1u << priority);
    return thread;
}

void KiSwapThread(void) {
    if (KiPcr.RunningDpc || KiPcr.InterruptNesting)
        KdViolation(ATTEMPTED_SWITCH_FROM_DPC, "a DPC or interrupt routine gave up the processor",
                    (uint64_t)KiPcr.RunningDpc, 0, 0, 0);
    PKTHREAD from = KiCurrent(), to = KiTakeBest();
    to->State = KI_RUNNING;
    if (to == from)
        return;
    KiPcr.Prcb.CurrentThread = to;
    to->SwitchCount++;
    KiSwapContext(from, to);
}

static bool KiShouldPreempt(void) {
    PKTHREAD current = KiCurrent();
    int best = KiBestPriority();
    if (best < 0)
        return false;
    return current == KiPcr.Prcb.IdleThread || best > current->Priority ||
           (KiPcr.QuantumEnd && best == current->Priority);
}

static void KiPreempt(void) {
    PKTHREAD current = KiCurrent();
    bool expired = KiPcr.QuantumEnd;
    if (expired && current != KiPcr.Prcb.IdleThread) {
        if (current->Priority > current->BasePriority) // a boost wears off
            current->Priority--;
        current->Quantum = KI_QUANTUM_TICKS;
    }
    bool preempt = KiShouldPreempt();
    KiPcr.QuantumEnd = FALSE;
    if (!preempt)
        return;
    if (current != KiPcr.Prcb.IdleThread)
        KiQueueReady(current, !expired); // keeps its turn when it was only preempted
    KiSwapThread();
}

void KiDispatchRequested(void) {
    KiPreempt();
}

void KiUnlockDispatcher(KIRQL old_irql) {
    if (KiShouldPreempt()) {
        if (old_irql < DISPATCH_LEVEL && (__readeflags() & 0x200))
            KiPreempt();
        else
            HalRequestSoftwareInterrupt(DISPATCH_LEVEL);
    }
    __writecr8(old_irql);
}

KPRIORITY KeQueryPriorityThread(PKTHREAD thread) {
    return thread->Priority;
}

KPRIORITY KeSetPriorityThread(PKTHREAD thread, KPRIORITY priority) {
    if (priority < 1 || priority > HIGH_PRIORITY)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, "KeSetPriorityThread: priority not 1..31",
                    0, (uint64_t)thread, (uint64_t)priority, 0);
    KIRQL old_irql = KiLockDispatcher();
    KPRIORITY old = thread->Priority;
    if (thread->State == KI_READY) {
        RemoveEntryList(&thread->QueueEntry);
        if (IsListEmpty(&KiPcr.Ready[old]))
            KiPcr.ReadySummary &= ~(1u << old);
    }
    thread->Priority = thread->BasePriority = (CHAR)priority;
    thread->Quantum = KI_QUANTUM_TICKS;
    if (thread->State == KI_READY)
        KiQueueReady(thread, false);
    KiUnlockDispatcher(old_irql);
    return old;
}

// Gives way to a ready thread of the same priority, if there is one.
NTC_EXPORT NTSTATUS ZwYieldExecution(void) {
    KIRQL old = KiLockDispatcher();
    bool other = KiBestPriority() >= KiCurrent()->Priority;
    if (other) {
        KiQueueReady(KiCurrent(), false);
        KiSwapThread();
    }
    KiUnlockDispatcher(old);
    return other ? STATUS_SUCCESS : STATUS_NO_YIELD_PERFORMED;
}

} // extern "C"
