// SPDX-License-Identifier: MIT
//
// Fast mutexes and guarded mutexes: a count, and an event to wait on. Taking one
// twice and releasing somebody else's are bug checks, as under Driver Verifier.
#include "mm/mi.h"

namespace {

// The count is 1 when free; every further thread takes it below 0 and waits.
template <typename Mutex> void Acquire(Mutex *mutex, PKEVENT event) {
    PKTHREAD self = KeGetCurrentThread();
    if (mutex->Owner == self)
        KdViolation(0xC4, "a thread takes a mutex that it holds already", 0x34, KeGetCurrentIrql(),
                    reinterpret_cast<uintptr_t>(mutex), 0);
    if (InterlockedDecrement(&mutex->Count) < 0) {
        ++mutex->Contention;
        KeWaitForSingleObject(event, WrMutex, KernelMode, FALSE, nullptr);
    }
    mutex->Owner = self;
}

template <typename Mutex> bool TryAcquire(Mutex *mutex) {
    if (InterlockedCompareExchange(&mutex->Count, 0, 1) != 1)
        return false;
    mutex->Owner = KeGetCurrentThread();
    return true;
}

template <typename Mutex> void Release(Mutex *mutex, PKEVENT event) {
    if (mutex->Owner != KeGetCurrentThread())
        KdViolation(0xC4, "a mutex is released by a thread that doesn't hold it", 0x35,
                    KeGetCurrentIrql(), reinterpret_cast<uintptr_t>(mutex), 0);
    mutex->Owner = nullptr;
    if (InterlockedIncrement(&mutex->Count) <= 0)
        KeSetEvent(event, 0, FALSE);
}

PKEVENT GateOf(PKGUARDED_MUTEX mutex) {
    return reinterpret_cast<PKEVENT>(&mutex->Gate);
}

void CheckIrql(ULONG code, const char *what) {
    if (KeGetCurrentIrql() > APC_LEVEL)
        KdViolation(0xC4, what, code, KeGetCurrentIrql(), 0, 0);
}

} // namespace

VOID FASTCALL ExAcquireFastMutex(PFAST_MUTEX mutex) {
    CheckIrql(0x33, "ExAcquireFastMutex above APC_LEVEL");
    KIRQL irql;
    KeRaiseIrql(APC_LEVEL, &irql);
    Acquire(mutex, &mutex->Event);
    mutex->OldIrql = irql;
}

BOOLEAN FASTCALL ExTryToAcquireFastMutex(PFAST_MUTEX mutex) {
    CheckIrql(0x33, "ExTryToAcquireFastMutex above APC_LEVEL");
    KIRQL irql;
    KeRaiseIrql(APC_LEVEL, &irql);
    if (TryAcquire(mutex)) {
        mutex->OldIrql = irql;
        return TRUE;
    }
    KeLowerIrql(irql);
    return FALSE;
}

VOID FASTCALL ExReleaseFastMutex(PFAST_MUTEX mutex) {
    if (KeGetCurrentIrql() != APC_LEVEL)
        KdViolation(0xC4, "ExReleaseFastMutex not at APC_LEVEL", 0x35, KeGetCurrentIrql(),
                    reinterpret_cast<uintptr_t>(mutex), 0);
    const KIRQL irql = static_cast<KIRQL>(mutex->OldIrql);
    Release(mutex, &mutex->Event);
    KeLowerIrql(irql);
}

VOID FASTCALL ExAcquireFastMutexUnsafe(PFAST_MUTEX mutex) {
    CheckIrql(0x33, "ExAcquireFastMutexUnsafe above APC_LEVEL");
    if (KeGetCurrentIrql() != APC_LEVEL && !KeAreApcsDisabled())
        KdViolation(0xC4, "ExAcquireFastMutexUnsafe with APCs enabled", 0x39, KeGetCurrentIrql(),
                    reinterpret_cast<uintptr_t>(mutex), 0);
    Acquire(mutex, &mutex->Event);
}

VOID FASTCALL ExReleaseFastMutexUnsafe(PFAST_MUTEX mutex) {
    Release(mutex, &mutex->Event);
}

VOID FASTCALL KeInitializeGuardedMutex(PKGUARDED_MUTEX mutex) {
    mutex->Count = 1;
    mutex->Owner = nullptr;
    mutex->Contention = 0;
    mutex->CombinedApcDisable = 0;
    static_assert(sizeof(KGATE) == sizeof(KEVENT), "a gate is an event here");
    KeInitializeEvent(GateOf(mutex), SynchronizationEvent, FALSE);
}

VOID FASTCALL KeAcquireGuardedMutex(PKGUARDED_MUTEX mutex) {
    CheckIrql(0x33, "KeAcquireGuardedMutex above APC_LEVEL");
    KeEnterGuardedRegion();
    Acquire(mutex, GateOf(mutex));
}

BOOLEAN FASTCALL KeTryToAcquireGuardedMutex(PKGUARDED_MUTEX mutex) {
    CheckIrql(0x33, "KeTryToAcquireGuardedMutex above APC_LEVEL");
    KeEnterGuardedRegion();
    if (TryAcquire(mutex))
        return TRUE;
    KeLeaveGuardedRegion();
    return FALSE;
}

VOID FASTCALL KeReleaseGuardedMutex(PKGUARDED_MUTEX mutex) {
    Release(mutex, GateOf(mutex));
    KeLeaveGuardedRegion();
}

VOID FASTCALL KeAcquireGuardedMutexUnsafe(PKGUARDED_MUTEX mutex) {
    CheckIrql(0x33, "KeAcquireGuardedMutexUnsafe above APC_LEVEL");
    Acquire(mutex, GateOf(mutex));
}

VOID FASTCALL KeReleaseGuardedMutexUnsafe(PKGUARDED_MUTEX mutex) {
    Release(mutex, GateOf(mutex));
}
