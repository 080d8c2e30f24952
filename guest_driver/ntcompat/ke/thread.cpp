// SPDX-License-Identifier: MIT
//
// System threads: creation, termination, and the disposal of their stacks.
#include "ki.h"

#include "ob/ob.h"

extern "C" {

static ULONG KiNextThreadId = 8; // ids of threads and processes are of one kind; System has 4
// A thread can't free the stack it runs on: the idle thread does it.
static LIST_ENTRY KiDeadThreads = {&KiDeadThreads, &KiDeadThreads};

enum { KI_SYSTEM_PRIORITY = 8 };

// What SwapContext (trap.S) leaves on the stack of a thread that isn't running. Debuggers
// begin there to show the thread's stack, so it has Windows' shape.
struct _KSWITCH_FRAME {
    uint64_t Home[6];
    uint64_t Rbp;
    void (*Return)(void);
};
static_assert(sizeof(_KSWITCH_FRAME) == 0x40, "trap.S");
static_assert(offsetof(_KTHREAD, KernelStack) == 0x38, "trap.S");

// On the idle thread, which may not block; nothing here does.
void KiReapThreads(void) {
    for (;;) {
        KIRQL old = KiLockDispatcher();
        PKTHREAD thread = nullptr;
        if (!IsListEmpty(&KiDeadThreads))
            thread = CONTAINING_RECORD(RemoveHeadList(&KiDeadThreads), KTHREAD, QueueEntry);
        KiUnlockDispatcher(old);
        if (!thread)
            return;
        MmDeleteKernelStack((void *)thread->StackBase);
        ObDereferenceObject(thread);
    }
}

// Runs in the new thread, which comes out of KiSwapContext at DISPATCH_LEVEL.
void KiThreadMain(void) {
    PKTHREAD thread = KiCurrent();
    __writecr8(PASSIVE_LEVEL);
    thread->StartAddress(thread->StartContext);
    if (__readcr8() != PASSIVE_LEVEL)
        KdViolation(IRQL_NOT_LESS_OR_EQUAL, "thread returned above PASSIVE_LEVEL",
                    (uint64_t)thread->StartAddress, __readcr8(), 0, 0);
    PsTerminateSystemThread(STATUS_SUCCESS);
    KeBugCheckEx(INVALID_PROCESS_DETACH_ATTEMPT, (ULONG_PTR)thread, 0, 0, 0);
}

static void KiInitializeThread(PKTHREAD thread, void *stack, PKSTART_ROUTINE routine,
                               PVOID context) {
    thread->Header.Type = KI_THREAD;
    InitializeListHead(&thread->Header.WaitListHead);
    InitializeListHead(&thread->MutantList);
    KeInitializeTimer(&thread->Timer);
    thread->SystemThread = TRUE;
    thread->Priority = thread->BasePriority = KI_SYSTEM_PRIORITY;
    thread->State = KI_INITIALIZED;
    thread->StartAddress = thread->Win32StartAddress = routine;
    thread->StartContext = context;
    thread->ExitStatus = STATUS_PENDING;
    thread->StackBase = thread->InitialStack = (uint64_t)stack;
    thread->StackLimit = thread->StackBase; // down to the guard page
    while (MiPhysicalAddress(thread->StackLimit - PAGE_SIZE) != 0)
        thread->StackLimit -= PAGE_SIZE;
    // Above the frame two zeros: the return address that ends stack traces.
    _KSWITCH_FRAME *frame =
        (_KSWITCH_FRAME *)((thread->StackBase & ~0xFull) - 16 - sizeof(_KSWITCH_FRAME));
    __stosb((UCHAR *)frame, 0, sizeof(*frame) + 16);
    frame->Return = KiThreadStartup;
    thread->KernelStack = (uint64_t)frame;
}

// Into the process's lists; at DISPATCH_LEVEL, or before there is another thread.
void KiAddThread(PKTHREAD thread, struct _EPROCESS *process, ULONG id) {
    thread->Process = thread->ApcState.Process = process;
    thread->Cid.UniqueProcess = process->UniqueProcessId;
    thread->Cid.UniqueThread = (HANDLE)(ULONG_PTR)id;
    InsertTailList(&process->TcbListHead, &thread->TcbListEntry);
    InsertTailList(&process->ThreadListHead, &thread->ThreadListEntry);
    process->ActiveThreads++;
}

NTSTATUS PsCreateSystemThread(PHANDLE handle, ULONG access, POBJECT_ATTRIBUTES attributes,
                              HANDLE process, PCLIENT_ID id, PKSTART_ROUTINE routine,
                              PVOID context) {
    KiCheckIrql("PsCreateSystemThread", PASSIVE_LEVEL);
    (void)attributes; // every handle is a kernel handle here; threads have no names
    if (process != nullptr && process != NtCurrentProcess())
        KdUnimplemented("PsCreateSystemThread in another process");
    if (!handle || !routine)
        return STATUS_INVALID_PARAMETER;
    PKTHREAD thread;
    NTSTATUS status = ObpCreateObject(&ObpThreadType, sizeof(_KTHREAD), (void **)&thread);
    if (!NT_SUCCESS(status))
        return status;
    void *stack = MmCreateKernelStack();
    if (stack)
        status = ObpCreateHandle(thread, access, OBJ_KERNEL_HANDLE, handle);
    if (!stack || !NT_SUCCESS(status)) {
        if (stack)
            MmDeleteKernelStack(stack);
        ObDereferenceObject(thread);
        return stack ? status : STATUS_INSUFFICIENT_RESOURCES;
    }
    KiInitializeThread(thread, stack, routine, context);
    // The object's first reference is the running thread's own.
    KIRQL old = KiLockDispatcher();
    KiAddThread(thread, &KiSystemProcess, KiNextThreadId);
    KiNextThreadId += 4;
    if (id)
        *id = thread->Cid;
    KiReadyThread(thread, 0);
    KiUnlockDispatcher(old);
    return STATUS_SUCCESS;
}

NTSTATUS PsTerminateSystemThread(NTSTATUS exit_status) {
    PKTHREAD thread = KiCurrent();
    KiCheckIrql("PsTerminateSystemThread", PASSIVE_LEVEL);
    if (thread == KiPcr.Prcb.IdleThread)
        return STATUS_INVALID_PARAMETER;
    KiAbandonMutexes(thread);
    if (thread->KernelApcDisable != 0 || thread->SpecialApcDisable != 0)
        KeBugCheckEx(KERNEL_APC_PENDING_DURING_EXIT, 0, (ULONG_PTR)thread->KernelApcDisable,
                     PASSIVE_LEVEL, (ULONG_PTR)thread->SpecialApcDisable);
    KiLockDispatcher();
    thread->ExitStatus = exit_status;
    thread->State = KI_TERMINATED;
    thread->Header.SignalState = 1;
    RemoveEntryList(&thread->TcbListEntry);
    RemoveEntryList(&thread->ThreadListEntry);
    thread->Process->ActiveThreads--;
    KiWaitTest(&thread->Header, 0);
    InsertTailList(&KiDeadThreads, &thread->QueueEntry);
    KiSwapThread();
    KeBugCheckEx(INVALID_PROCESS_DETACH_ATTEMPT, (ULONG_PTR)thread, 1, 0, 0);
}

PKTHREAD NtcGetCurrentThread(void) {
    return KiCurrent();
}
NTC_EXPORT_AS(PsGetCurrentThread, NtcGetCurrentThread);
NTC_EXPORT_AS(KeGetCurrentThread, NtcGetCurrentThread);

HANDLE PsGetCurrentThreadId(void) {
    return KiCurrent()->Cid.UniqueThread;
}

HANDLE PsGetCurrentProcessId(void) {
    return KiSystemProcess.UniqueProcessId;
}

BOOLEAN PsIsSystemThread(PETHREAD thread) {
    return ((PKTHREAD)thread)->SystemThread;
}

NTC_EXPORT PVOID PsGetCurrentThreadStackBase(void) {
    return (PVOID)KiCurrent()->StackBase;
}

NTC_EXPORT PVOID PsGetCurrentThreadStackLimit(void) {
    return (PVOID)KiCurrent()->StackLimit;
}

#undef KeEnterCriticalRegion
#undef KeLeaveCriticalRegion
void KeEnterCriticalRegion(void) {
    KiCurrent()->KernelApcDisable--;
}

void KeLeaveCriticalRegion(void) {
    PKTHREAD thread = KiCurrent();
    if (thread->KernelApcDisable >= 0)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION,
                    "KeLeaveCriticalRegion without KeEnterCriticalRegion", 0, (uint64_t)thread, 0,
                    0);
    thread->KernelApcDisable++;
}

void KeEnterGuardedRegion(void) {
    KiCurrent()->SpecialApcDisable--;
}

void KeLeaveGuardedRegion(void) {
    PKTHREAD thread = KiCurrent();
    if (thread->SpecialApcDisable >= 0)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION,
                    "KeLeaveGuardedRegion without KeEnterGuardedRegion", 0, (uint64_t)thread, 0, 0);
    thread->SpecialApcDisable++;
}

BOOLEAN KeAreApcsDisabled(void) {
    PKTHREAD thread = KiCurrent();
    return thread->KernelApcDisable != 0 || thread->SpecialApcDisable != 0;
}

NTC_EXPORT BOOLEAN KeAreAllApcsDisabled(void) {
    return KiCurrent()->SpecialApcDisable != 0 || __readcr8() >= APC_LEVEL;
}

#undef KeQueryActiveProcessors
KAFFINITY KeQueryActiveProcessors(VOID) {
    return 1;
}

ULONG KeQueryActiveProcessorCount(PKAFFINITY active) {
    if (active)
        *active = 1;
    return 1;
}

NTC_EXPORT ULONG KeQueryActiveProcessorCountEx(USHORT group) {
    return group == 0 || group == 0xFFFF ? 1 : 0;
}

NTC_EXPORT ULONG KeQueryMaximumProcessorCount(void) {
    return 1;
}

NTC_EXPORT ULONG KeQueryMaximumProcessorCountEx(USHORT group) {
    return KeQueryActiveProcessorCountEx(group);
}

NTC_EXPORT ULONG KeGetCurrentProcessorNumberEx(PPROCESSOR_NUMBER number) {
    if (number) {
        number->Group = 0;
        number->Number = 0;
        number->Reserved = 0;
    }
    return 0;
}

} // extern "C"
