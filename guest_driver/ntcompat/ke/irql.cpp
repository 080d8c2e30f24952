// SPDX-License-Identifier: MIT
//
// IRQL and spin locks. With one processor a lock that is found taken will never
// be released: the holder is below us on this very stack, so it is reported.
#include "ki.h"

extern "C" {

// Rule numbers of bug check 0xC4 as in Microsoft's list for Driver Verifier.
enum {
    KI_RULE_RAISE = 0x30,
    KI_RULE_LOWER = 0x31,
    KI_RULE_RELEASE_IRQL = 0x32,
    KI_RULE_ACQUIRE_IRQL = 0x40,
    KI_RULE_ACQUIRE_AT_DPC = 0x41,
    KI_RULE_RELEASE_FROM_DPC = 0x42,
};

void KiCheckIrql(const char *function, KIRQL highest) {
    KIRQL irql = (KIRQL)__readcr8();
    if (irql > highest)
        KdViolation(IRQL_NOT_LESS_OR_EQUAL, function, (uint64_t)function, irql, highest, 0);
}

KIRQL NtcKfRaiseIrql(KIRQL irql) {
    KIRQL old = (KIRQL)__readcr8();
    if (irql < old || irql > KI_IRQL_HIGH)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, "KfRaiseIrql to a lower IRQL",
                    KI_RULE_RAISE, old, irql, 0);
    __writecr8(irql);
    return old;
}
NTC_EXPORT_AS(KfRaiseIrql, NtcKfRaiseIrql);

KIRQL NtcKeRaiseIrqlToDpcLevel(void) {
    return NtcKfRaiseIrql(DISPATCH_LEVEL);
}
NTC_EXPORT_AS(KeRaiseIrqlToDpcLevel, NtcKeRaiseIrqlToDpcLevel);

KIRQL NtcKeRaiseIrqlToSynchLevel(void) {
    return NtcKfRaiseIrql(12);
}
NTC_EXPORT_AS(KeRaiseIrqlToSynchLevel, NtcKeRaiseIrqlToSynchLevel);

void NtcKeLowerIrql(KIRQL irql) {
    KIRQL old = (KIRQL)__readcr8();
    if (irql > old)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, "KeLowerIrql to a higher IRQL",
                    KI_RULE_LOWER, old, irql, 0);
    __writecr8(irql);
}
NTC_EXPORT_AS(KeLowerIrql, NtcKeLowerIrql);

KIRQL NtcKeGetCurrentIrql(void) {
    return (KIRQL)__readcr8();
}
NTC_EXPORT_AS(KeGetCurrentIrql, NtcKeGetCurrentIrql);

// A lock holds 0, or the address (with bit 0) of the queue handle or thread.
static void KiTakeLock(PKSPIN_LOCK lock, uint64_t owner) {
    if (*lock != 0)
        KdViolation(SPIN_LOCK_ALREADY_OWNED, "spin lock acquired again while held", (uint64_t)lock,
                    *lock & ~1ull, (uint64_t)KiCurrent(), 0);
    __asm__ volatile("" : : : "memory");
    *(volatile KSPIN_LOCK *)lock = owner | 1;
    __asm__ volatile("" : : : "memory");
}

static void KiDropLock(PKSPIN_LOCK lock, uint64_t owner) {
    __asm__ volatile("" : : : "memory");
    if (*lock == 0 || (owner != 0 && *lock != (owner | 1)))
        KdViolation(SPIN_LOCK_NOT_OWNED, "release of a spin lock that is not held", (uint64_t)lock,
                    *lock, (uint64_t)KiCurrent(), 0);
    *(volatile KSPIN_LOCK *)lock = 0;
}

static void KiRequireDispatch(const char *rule, uint64_t number, void *lock) {
    KIRQL irql = (KIRQL)__readcr8();
    if (irql < DISPATCH_LEVEL)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, rule, number, irql, (uint64_t)lock, 0);
}

static KIRQL KiRaiseForLock(KIRQL irql, void *lock) {
    KIRQL old = (KIRQL)__readcr8();
    if (old > irql)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION,
                    "spin lock acquired above the IRQL it raises to", KI_RULE_ACQUIRE_IRQL, old,
                    (uint64_t)lock, 0);
    __writecr8(irql);
    return old;
}

static void KiLowerFromLock(KIRQL old, void *lock) {
    KIRQL irql = (KIRQL)__readcr8();
    if (irql < DISPATCH_LEVEL || old > irql)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, "spin lock released at the wrong IRQL",
                    KI_RULE_RELEASE_IRQL, irql, old, (uint64_t)lock);
    __writecr8(old);
}

#undef KeInitializeSpinLock
void NtcKeInitializeSpinLock(PKSPIN_LOCK lock) {
    *lock = 0;
}
NTC_EXPORT_AS(KeInitializeSpinLock, NtcKeInitializeSpinLock);

KIRQL KeAcquireSpinLockRaiseToDpc(PKSPIN_LOCK lock) {
    KIRQL old = KiRaiseForLock(DISPATCH_LEVEL, lock);
    KiTakeLock(lock, (uint64_t)KiCurrent());
    return old;
}

NTC_EXPORT KIRQL KeAcquireSpinLockRaiseToSynch(PKSPIN_LOCK lock) {
    KIRQL old = KiRaiseForLock(12, lock);
    KiTakeLock(lock, (uint64_t)KiCurrent());
    return old;
}

void KeReleaseSpinLock(PKSPIN_LOCK lock, KIRQL new_irql) {
    KiDropLock(lock, 0);
    KiLowerFromLock(new_irql, lock);
}

void KeAcquireSpinLockAtDpcLevel(PKSPIN_LOCK lock) {
    KiRequireDispatch("KeAcquireSpinLockAtDpcLevel below DISPATCH_LEVEL", KI_RULE_ACQUIRE_AT_DPC,
                      lock);
    KiTakeLock(lock, (uint64_t)KiCurrent());
}

void KeReleaseSpinLockFromDpcLevel(PKSPIN_LOCK lock) {
    KiRequireDispatch("KeReleaseSpinLockFromDpcLevel below DISPATCH_LEVEL",
                      KI_RULE_RELEASE_FROM_DPC, lock);
    KiDropLock(lock, 0);
}

BOOLEAN KeTryToAcquireSpinLockAtDpcLevel(PKSPIN_LOCK lock) {
    KiRequireDispatch("KeTryToAcquireSpinLockAtDpcLevel below DISPATCH_LEVEL",
                      KI_RULE_ACQUIRE_AT_DPC, lock);
    if (*lock != 0)
        return FALSE;
    KiTakeLock(lock, (uint64_t)KiCurrent());
    return TRUE;
}

BOOLEAN KeTestSpinLock(PKSPIN_LOCK lock) {
    return *(volatile KSPIN_LOCK *)lock == 0;
}

KIRQL KeAcquireSpinLockForDpc(PKSPIN_LOCK lock) {
    KIRQL old = KiRaiseForLock(DISPATCH_LEVEL, lock);
    KiTakeLock(lock, (uint64_t)KiCurrent());
    return old;
}

void KeReleaseSpinLockForDpc(PKSPIN_LOCK lock, KIRQL old) {
    KeReleaseSpinLock(lock, old);
}

static void KiTakeQueued(PKSPIN_LOCK lock, PKLOCK_QUEUE_HANDLE handle) {
    KiTakeLock(lock, (uint64_t)handle);
    handle->LockQueue.Next = nullptr;
    handle->LockQueue.Lock = lock;
}

static void KiDropQueued(PKLOCK_QUEUE_HANDLE handle) {
    KiDropLock(handle->LockQueue.Lock, (uint64_t)handle);
}

void KeAcquireInStackQueuedSpinLock(PKSPIN_LOCK lock, PKLOCK_QUEUE_HANDLE handle) {
    KIRQL old = KiRaiseForLock(DISPATCH_LEVEL, lock);
    KiTakeQueued(lock, handle);
    handle->OldIrql = old;
}

void KeReleaseInStackQueuedSpinLock(PKLOCK_QUEUE_HANDLE handle) {
    KiDropQueued(handle);
    KiLowerFromLock(handle->OldIrql, handle);
}

void KeAcquireInStackQueuedSpinLockAtDpcLevel(PKSPIN_LOCK lock, PKLOCK_QUEUE_HANDLE handle) {
    KiRequireDispatch("KeAcquireInStackQueuedSpinLockAtDpcLevel below DISPATCH_LEVEL",
                      KI_RULE_ACQUIRE_AT_DPC, lock);
    KiTakeQueued(lock, handle);
}

void KeReleaseInStackQueuedSpinLockFromDpcLevel(PKLOCK_QUEUE_HANDLE handle) {
    KiRequireDispatch("KeReleaseInStackQueuedSpinLockFromDpcLevel below DISPATCH_LEVEL",
                      KI_RULE_RELEASE_FROM_DPC, handle);
    KiDropQueued(handle);
}

KIRQL KiAcquireLockAt(PKSPIN_LOCK lock, KIRQL irql) {
    KIRQL old = KiRaiseForLock(irql, lock);
    KiTakeLock(lock, (uint64_t)KiCurrent());
    return old;
}

void KiReleaseLockAt(PKSPIN_LOCK lock, KIRQL old) {
    KiDropLock(lock, 0);
    KiLowerFromLock(old, lock);
}

} // extern "C"
