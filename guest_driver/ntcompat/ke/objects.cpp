// SPDX-License-Identifier: MIT
//
// Events, semaphores and mutexes.
#include "ki.h"

extern "C" {

static void KiInitializeHeader(DISPATCHER_HEADER *header, UCHAR type, size_t size, LONG state) {
    header->Lock = 0;
    header->Type = type;
    header->Size = (UCHAR)(size / sizeof(ULONG));
    header->SignalState = state;
    InitializeListHead(&header->WaitListHead);
}

static void KiCheckType(DISPATCHER_HEADER *header, bool good, const char *rule) {
    if (!good || header->WaitListHead.Flink == nullptr)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, rule, 0, (uint64_t)header, header->Type, 0);
}

void KeInitializeEvent(PRKEVENT event, EVENT_TYPE type, BOOLEAN state) {
    KiInitializeHeader(&event->Header, (UCHAR)type, sizeof(KEVENT), state != FALSE);
}

static void KiCheckEvent(PRKEVENT event) {
    KiCheckType(&event->Header, event->Header.Type <= KI_EVENT_SYNCHRONIZATION,
                "event is not initialized");
}

LONG KeSetEvent(PRKEVENT event, KPRIORITY increment, BOOLEAN wait) {
    KiCheckEvent(event);
    // Wait = TRUE keeps the dispatcher locked until the caller's own wait; with
    // one processor and the caller waiting next, leaving it open is equivalent.
    (void)wait;
    KIRQL old_irql = KiLockDispatcher();
    LONG old = event->Header.SignalState;
    event->Header.SignalState = 1;
    if (old == 0)
        KiWaitTest(&event->Header, increment);
    KiUnlockDispatcher(old_irql);
    return old;
}

LONG KePulseEvent(PRKEVENT event, KPRIORITY increment, BOOLEAN) {
    KiCheckEvent(event);
    KIRQL old_irql = KiLockDispatcher();
    LONG old = event->Header.SignalState;
    event->Header.SignalState = 1;
    if (old == 0)
        KiWaitTest(&event->Header, increment);
    event->Header.SignalState = 0;
    KiUnlockDispatcher(old_irql);
    return old;
}

LONG KeResetEvent(PRKEVENT event) {
    KiCheckEvent(event);
    KIRQL old_irql = KiLockDispatcher();
    LONG old = event->Header.SignalState;
    event->Header.SignalState = 0;
    KiUnlockDispatcher(old_irql);
    return old;
}

void KeClearEvent(PRKEVENT event) {
    KiCheckEvent(event);
    event->Header.SignalState = 0;
}

LONG KeReadStateEvent(PRKEVENT event) {
    KiCheckEvent(event);
    return event->Header.SignalState;
}

void KeInitializeSemaphore(PRKSEMAPHORE semaphore, LONG count, LONG limit) {
    KiInitializeHeader(&semaphore->Header, KI_SEMAPHORE, sizeof(KSEMAPHORE), count);
    semaphore->Limit = limit;
}

LONG KeReleaseSemaphore(PRKSEMAPHORE semaphore, KPRIORITY increment, LONG adjustment,
                        BOOLEAN wait) {
    KiCheckType(&semaphore->Header, semaphore->Header.Type == KI_SEMAPHORE,
                "semaphore is not initialized");
    (void)wait;
    KIRQL old_irql = KiLockDispatcher();
    LONG old = semaphore->Header.SignalState;
    // NT raises STATUS_SEMAPHORE_LIMIT_EXCEEDED, which drivers do not handle.
    if (adjustment <= 0 || adjustment > semaphore->Limit - old)
        KdViolation(KMODE_EXCEPTION_NOT_HANDLED, "semaphore released above its limit",
                    (ULONG)STATUS_SEMAPHORE_LIMIT_EXCEEDED, (uint64_t)__builtin_return_address(0),
                    (uint64_t)semaphore, (uint64_t)adjustment);
    semaphore->Header.SignalState = old + adjustment;
    KiWaitTest(&semaphore->Header, increment);
    KiUnlockDispatcher(old_irql);
    return old;
}

LONG KeReadStateSemaphore(PRKSEMAPHORE semaphore) {
    return semaphore->Header.SignalState;
}

static void KiInitializeMutant(PKMUTANT mutant, UCHAR apc_disable) {
    KiInitializeHeader(&mutant->Header, KI_MUTANT, sizeof(KMUTANT), 1);
    mutant->OwnerThread = nullptr;
    mutant->Abandoned = FALSE;
    mutant->ApcDisable = apc_disable;
}

void KeInitializeMutex(PRKMUTEX mutex, ULONG) {
    KiInitializeMutant(mutex, 1);
}

static LONG KiReleaseMutant(PKMUTANT mutant, bool abandoned) {
    PKTHREAD owner = mutant->OwnerThread;
    LONG old = mutant->Header.SignalState;
    mutant->Header.SignalState = abandoned ? 1 : old + 1;
    if (mutant->Header.SignalState == 1) {
        RemoveEntryList(&mutant->MutantListEntry);
        owner->KernelApcDisable = (SHORT)(owner->KernelApcDisable + mutant->ApcDisable);
        mutant->OwnerThread = nullptr;
        if (abandoned)
            mutant->Abandoned = TRUE;
        KiWaitTest(&mutant->Header, 1);
    }
    return old;
}

LONG KeReleaseMutex(PRKMUTEX mutex, BOOLEAN wait) {
    KiCheckType(&mutex->Header, mutex->Header.Type == KI_MUTANT, "mutex is not initialized");
    (void)wait;
    KIRQL old_irql = KiLockDispatcher();
    if (mutex->OwnerThread != KiCurrent())
        KdViolation(KMODE_EXCEPTION_NOT_HANDLED, "mutex released by a thread that does not own it",
                    (ULONG)STATUS_MUTANT_NOT_OWNED, (uint64_t)__builtin_return_address(0),
                    (uint64_t)mutex, (uint64_t)mutex->OwnerThread);
    LONG old = KiReleaseMutant(mutex, false);
    KiUnlockDispatcher(old_irql);
    return old;
}

LONG KeReadStateMutex(PRKMUTEX mutex) {
    return mutex->Header.SignalState;
}

// A kernel mutex may not be held by a thread that ends.
void KiAbandonMutexes(PKTHREAD thread) {
    if (!IsListEmpty(&thread->MutantList)) {
        PKMUTANT mutant = CONTAINING_RECORD(thread->MutantList.Flink, KMUTANT, MutantListEntry);
        KeBugCheckEx(THREAD_TERMINATE_HELD_MUTEX, (ULONG_PTR)thread, (ULONG_PTR)mutant, 0, 0);
    }
}

} // extern "C"
