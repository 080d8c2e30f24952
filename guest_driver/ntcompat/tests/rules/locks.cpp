// SPDX-License-Identifier: MIT
//
// Spin locks, mutexes, semaphores, fast mutexes.
#include "rules.h"

static KSPIN_LOCK Lock;
static KMUTEX Mutex;

static NTSTATUS Recursive(PDRIVER_OBJECT) {
    KIRQL outer, inner;
    KeInitializeSpinLock(&Lock);
    KeAcquireSpinLock(&Lock, &outer);
    KeAcquireSpinLock(&Lock, &inner);
    return STATUS_SUCCESS;
}

static NTSTATUS NotHeld(PDRIVER_OBJECT) {
    KeInitializeSpinLock(&Lock);
    KeReleaseSpinLock(&Lock, PASSIVE_LEVEL);
    return STATUS_SUCCESS;
}

static NTSTATUS ReleaseLow(PDRIVER_OBJECT) {
    KIRQL irql;
    KeInitializeSpinLock(&Lock);
    KeAcquireSpinLock(&Lock, &irql);
    KeLowerIrql(PASSIVE_LEVEL);
    KeReleaseSpinLock(&Lock, irql);
    return STATUS_SUCCESS;
}

static NTSTATUS AtDpcLevelLow(PDRIVER_OBJECT) {
    KeInitializeSpinLock(&Lock);
    KeAcquireSpinLockAtDpcLevel(&Lock);
    return STATUS_SUCCESS;
}

static NTSTATUS AcquireHigh(PDRIVER_OBJECT) {
    KIRQL irql;
    KeInitializeSpinLock(&Lock);
    KeRaiseIrql(DISPATCH_LEVEL + 1, &irql);
    KeAcquireSpinLock(&Lock, &irql);
    return STATUS_SUCCESS;
}

static NTSTATUS QueuedOtherHandle(PDRIVER_OBJECT) {
    KLOCK_QUEUE_HANDLE taken, other;
    KeInitializeSpinLock(&Lock);
    KeAcquireInStackQueuedSpinLock(&Lock, &taken);
    other = taken;
    KeReleaseInStackQueuedSpinLock(&other);
    return STATUS_SUCCESS;
}

static VOID NTAPI HoldingThread(PVOID) {
    KIRQL irql;
    KeAcquireSpinLock(&Lock, &irql);
}

static NTSTATUS ThreadExit(PDRIVER_OBJECT) {
    KeInitializeSpinLock(&Lock);
    return RunThread(HoldingThread, nullptr);
}

static NTSTATUS MutexNotOwned(PDRIVER_OBJECT) {
    KeInitializeMutex(&Mutex, 0);
    KeReleaseMutex(&Mutex, FALSE);
    return STATUS_SUCCESS;
}

static VOID NTAPI MutexThread(PVOID) {
    KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, nullptr);
}

static NTSTATUS MutexThreadExit(PDRIVER_OBJECT) {
    KeInitializeMutex(&Mutex, 0);
    return RunThread(MutexThread, nullptr);
}

static NTSTATUS SemaphoreLimit(PDRIVER_OBJECT) {
    KSEMAPHORE semaphore;
    KeInitializeSemaphore(&semaphore, 1, 1);
    KeReleaseSemaphore(&semaphore, IO_NO_INCREMENT, 1, FALSE);
    return STATUS_SUCCESS;
}

static FAST_MUTEX Fast;

static NTSTATUS FastRecursive(PDRIVER_OBJECT) {
    ExInitializeFastMutex(&Fast);
    ExAcquireFastMutex(&Fast);
    ExAcquireFastMutex(&Fast);
    return STATUS_SUCCESS;
}

static NTSTATUS FastNotHeld(PDRIVER_OBJECT) {
    KIRQL irql;
    ExInitializeFastMutex(&Fast);
    KeRaiseIrql(APC_LEVEL, &irql);
    ExReleaseFastMutex(&Fast);
    return STATUS_SUCCESS;
}

static NTSTATUS WaitUninitialized(PDRIVER_OBJECT) {
    KEVENT event;
    RtlZeroMemory(&event, sizeof(event));
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, nullptr);
    return STATUS_SUCCESS;
}

const RuleCase LockCases[] = {
    {"spin-recursive", Recursive},
    {"spin-not-held", NotHeld},
    {"spin-release-low", ReleaseLow},
    {"spin-at-dpc-level-low", AtDpcLevelLow},
    {"spin-acquire-high", AcquireHigh},
    {"spin-queued-other-handle", QueuedOtherHandle},
    {"spin-thread-exit", ThreadExit},
    {"mutex-not-owned", MutexNotOwned},
    {"mutex-thread-exit", MutexThreadExit},
    {"semaphore-limit", SemaphoreLimit},
    {"fast-mutex-recursive", FastRecursive},
    {"fast-mutex-not-held", FastNotHeld},
    {"wait-uninitialized", WaitUninitialized},
    {nullptr, nullptr},
};
