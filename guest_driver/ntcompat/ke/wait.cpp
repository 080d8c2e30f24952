// SPDX-License-Identifier: MIT
//
// Waiting: KeWaitForSingleObject, KeWaitForMultipleObjects,
// KeDelayExecutionThread, and what happens when an object becomes signaled.
#include "ki.h"

extern "C" {

static bool KiIsSignaled(DISPATCHER_HEADER *object, PKTHREAD thread) {
    if (object->Type == KI_MUTANT)
        return object->SignalState > 0 || ((PKMUTANT)object)->OwnerThread == thread;
    return object->SignalState > 0;
}

static void KiTakeMutant(PKMUTANT mutant, PKTHREAD thread) {
    if (mutant->Header.SignalState == (LONG)0x80000000)
        KeBugCheckEx(MUTEX_LEVEL_NUMBER_VIOLATION, (ULONG_PTR)mutant, (ULONG_PTR)thread, 0, 0);
    mutant->Header.SignalState--;
    if (mutant->OwnerThread == thread)
        return; // taken again by its owner
    mutant->OwnerThread = thread;
    thread->KernelApcDisable = (SHORT)(thread->KernelApcDisable - mutant->ApcDisable);
    InsertTailList(&thread->MutantList, &mutant->MutantListEntry);
}

// Takes a signaled object. STATUS_ABANDONED for a mutex whose owner is gone.
static NTSTATUS KiSatisfy(DISPATCHER_HEADER *object, PKTHREAD thread) {
    NTSTATUS status = STATUS_SUCCESS;
    switch (object->Type) {
    case KI_EVENT_SYNCHRONIZATION:
    case KI_TIMER_SYNCHRONIZATION:
        object->SignalState = 0;
        break;
    case KI_SEMAPHORE:
        object->SignalState--;
        break;
    case KI_MUTANT: {
        PKMUTANT mutant = (PKMUTANT)object;
        KiTakeMutant(mutant, thread);
        if (mutant->Abandoned) {
            mutant->Abandoned = FALSE;
            status = STATUS_ABANDONED;
        }
        break;
    }
    default:
        break;
    }
    return status;
}

static bool KiAllSignaled(PKTHREAD thread) {
    PKWAIT_BLOCK block = thread->WaitBlocks;
    do {
        if (block != &thread->TimerBlock &&
            !KiIsSignaled((DISPATCHER_HEADER *)block->Object, thread))
            return false;
        block = block->NextWaitBlock;
    } while (block != thread->WaitBlocks);
    return true;
}

static NTSTATUS KiSatisfyAll(PKTHREAD thread) {
    NTSTATUS status = STATUS_SUCCESS;
    PKWAIT_BLOCK block = thread->WaitBlocks;
    do {
        if (block != &thread->TimerBlock &&
            KiSatisfy((DISPATCHER_HEADER *)block->Object, thread) == STATUS_ABANDONED)
            status = STATUS_ABANDONED;
        block = block->NextWaitBlock;
    } while (block != thread->WaitBlocks);
    return status;
}

void KiUnwaitThread(PKTHREAD thread, NTSTATUS status, KPRIORITY increment) {
    PKWAIT_BLOCK block = thread->WaitBlocks;
    do {
        RemoveEntryList(&block->WaitListEntry);
        block = block->NextWaitBlock;
    } while (block != thread->WaitBlocks);
    thread->WaitBlocks = nullptr;
    KiRemoveTimer(&thread->Timer);
    thread->WaitStatus = status;
    KiReadyThread(thread, increment);
}

void KiWaitTest(DISPATCHER_HEADER *object, KPRIORITY increment) {
    LIST_ENTRY *head = &object->WaitListHead;
    LIST_ENTRY *entry = head->Flink;
    while (entry != head && object->SignalState > 0) {
        PKWAIT_BLOCK block = CONTAINING_RECORD(entry, KWAIT_BLOCK, WaitListEntry);
        PKTHREAD thread = block->Thread;
        entry = entry->Flink;
        NTSTATUS status;
        if (block == &thread->TimerBlock) {
            status = STATUS_TIMEOUT;
        } else if (block->WaitType == WaitAny) {
            status = KiSatisfy(object, thread) + block->WaitKey;
        } else {
            if (!KiAllSignaled(thread))
                continue;
            status = KiSatisfyAll(thread);
        }
        KiUnwaitThread(thread, status, increment);
        entry = head->Flink; // several blocks of one thread may have been on this list
    }
}

static void KiCheckObject(DISPATCHER_HEADER *object) {
    bool valid = object->Type <= KI_EVENT_SYNCHRONIZATION || object->Type == KI_MUTANT ||
                 (object->Type >= KI_SEMAPHORE && object->Type <= KI_THREAD) ||
                 object->Type == KI_TIMER_NOTIFICATION || object->Type == KI_TIMER_SYNCHRONIZATION;
    if (!valid || object->WaitListHead.Flink == nullptr)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION,
                    "wait for something that is no dispatcher "
                    "object, or is not initialized",
                    0x3B, (uint64_t)object, object->Type, 0);
}

static void KiCheckWait(const char *rule, PLARGE_INTEGER timeout, void *object) {
    KIRQL irql = (KIRQL)__readcr8();
    if (irql > DISPATCH_LEVEL || (irql == DISPATCH_LEVEL && (!timeout || timeout->QuadPart != 0)))
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, rule, 0x3B, irql, (uint64_t)object, 0);
    if (KiCurrent() == KiPcr.Prcb.IdleThread && (!timeout || timeout->QuadPart != 0))
        KdViolation(ATTEMPTED_SWITCH_FROM_DPC, "the idle thread may not wait", (uint64_t)object, 0,
                    0, 0);
}

static void KiAddBlock(PKTHREAD thread, PKWAIT_BLOCK block, PKWAIT_BLOCK next, void *object,
                       WAIT_TYPE type, USHORT key) {
    block->Object = object;
    block->Thread = thread;
    block->WaitType = (UCHAR)type;
    block->WaitKey = key;
    block->NextWaitBlock = next;
    InsertTailList(&((DISPATCHER_HEADER *)object)->WaitListHead, &block->WaitListEntry);
}

// The wait's timeout is one more block, on the thread's own timer.
static void KiAddTimeout(PKTHREAD thread, LARGE_INTEGER timeout) {
    KiInsertTimer(&thread->Timer, timeout, 0, nullptr);
    KiAddBlock(thread, &thread->TimerBlock, thread->WaitBlocks, &thread->Timer, WaitAny, 0);
    PKWAIT_BLOCK last = thread->WaitBlocks;
    while (last->NextWaitBlock != thread->WaitBlocks)
        last = last->NextWaitBlock;
    last->NextWaitBlock = &thread->TimerBlock;
}

static NTSTATUS KiBlock(PKTHREAD thread, PLARGE_INTEGER timeout, KIRQL old) {
    if (timeout) {
        KiAddTimeout(thread, *timeout);
        if (thread->Timer.Header.SignalState > 0) { // due already
            KiUnwaitThread(thread, STATUS_TIMEOUT, 0);
            RemoveEntryList(&thread->QueueEntry);
            if (IsListEmpty(&KiPcr.Ready[(int)thread->Priority]))
                KiPcr.ReadySummary &= ~(1u << thread->Priority);
            thread->State = KI_RUNNING;
            KiUnlockDispatcher(old);
            return STATUS_TIMEOUT;
        }
    }
    thread->State = KI_WAITING;
    KiSwapThread();
    NTSTATUS status = thread->WaitStatus;
    KiUnlockDispatcher(old);
    return status;
}

NTSTATUS KeWaitForMultipleObjects(ULONG count, PVOID objects[], WAIT_TYPE type, KWAIT_REASON,
                                  KPROCESSOR_MODE, BOOLEAN, PLARGE_INTEGER timeout,
                                  PKWAIT_BLOCK array) {
    KiCheckWait("a wait at DISPATCH_LEVEL with a timeout other than 0", timeout, objects[0]);
    if (count == 0 || count > MAXIMUM_WAIT_OBJECTS || (count > THREAD_WAIT_OBJECTS && !array))
        KeBugCheckEx(MAXIMUM_WAIT_OBJECTS_EXCEEDED, count, (ULONG_PTR)array, 0, 0);
    KIRQL old = KiLockDispatcher();
    PKTHREAD thread = KiCurrent();
    bool all = true;
    for (ULONG i = 0; i < count; i++) {
        DISPATCHER_HEADER *object = (DISPATCHER_HEADER *)objects[i];
        KiCheckObject(object);
        if (!KiIsSignaled(object, thread)) {
            all = false;
        } else if (type == WaitAny) {
            NTSTATUS status = KiSatisfy(object, thread) + (NTSTATUS)i;
            KiUnlockDispatcher(old);
            return status;
        }
    }
    if (type == WaitAll && all) {
        NTSTATUS status = STATUS_SUCCESS;
        for (ULONG i = 0; i < count; i++)
            if (KiSatisfy((DISPATCHER_HEADER *)objects[i], thread) == STATUS_ABANDONED)
                status = STATUS_ABANDONED;
        KiUnlockDispatcher(old);
        return status;
    }
    if (timeout && timeout->QuadPart == 0) {
        KiUnlockDispatcher(old);
        return STATUS_TIMEOUT;
    }
    PKWAIT_BLOCK blocks = count > THREAD_WAIT_OBJECTS ? array : thread->WaitBlock;
    for (ULONG i = 0; i < count; i++)
        KiAddBlock(thread, &blocks[i], &blocks[i + 1 < count ? i + 1 : 0], objects[i], type,
                   (USHORT)i);
    thread->WaitBlocks = blocks;
    return KiBlock(thread, timeout, old);
}

NTSTATUS KeWaitForSingleObject(PVOID object, KWAIT_REASON reason, KPROCESSOR_MODE mode,
                               BOOLEAN alertable, PLARGE_INTEGER timeout) {
    return KeWaitForMultipleObjects(1, &object, WaitAny, reason, mode, alertable, timeout, nullptr);
}
#undef KeWaitForMutexObject
NTC_EXPORT_AS(KeWaitForMutexObject, KeWaitForSingleObject);

NTSTATUS KeDelayExecutionThread(KPROCESSOR_MODE, BOOLEAN, PLARGE_INTEGER interval) {
    KiCheckIrql("KeDelayExecutionThread", APC_LEVEL);
    if (interval->QuadPart == 0) {
        ZwYieldExecution();
        return STATUS_SUCCESS;
    }
    // A wait for an object that is never signaled, ended by the timeout.
    KEVENT never;
    KeInitializeEvent(&never, NotificationEvent, FALSE);
    KeWaitForSingleObject(&never, DelayExecution, KernelMode, FALSE, interval);
    return STATUS_SUCCESS;
}

} // extern "C"
