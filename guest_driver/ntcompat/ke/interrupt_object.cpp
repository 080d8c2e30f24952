// SPDX-License-Identifier: MIT
//
// Interrupt objects: a routine, a vector, and the lock and IRQL that drivers
// synchronize with.
#include "ki.h"

extern "C" {

// irql.cpp
KIRQL KiAcquireLockAt(PKSPIN_LOCK lock, KIRQL irql);
void KiReleaseLockAt(PKSPIN_LOCK lock, KIRQL old);

static BOOLEAN KiCallServiceRoutine(void *context) {
    PKINTERRUPT interrupt = (PKINTERRUPT)context;
    KIRQL old = KiAcquireLockAt(interrupt->Lock, interrupt->SynchronizeIrql);
    BOOLEAN claimed;
    if (interrupt->MessageRoutine)
        claimed = interrupt->MessageRoutine(interrupt, interrupt->Context, interrupt->MessageId);
    else
        claimed = interrupt->Routine(interrupt, interrupt->Context);
    KiReleaseLockAt(interrupt->Lock, old);
    return claimed;
}

NTSTATUS KiInitializeInterrupt(PKINTERRUPT interrupt, PKSERVICE_ROUTINE routine,
                               PKMESSAGE_SERVICE_ROUTINE message_routine, ULONG message_id,
                               PVOID context, PKSPIN_LOCK lock, ULONG vector, KIRQL irql,
                               KIRQL synchronize_irql) {
    if ((!routine && !message_routine) || synchronize_irql < irql ||
        synchronize_irql > KI_IRQL_HIGH || irql != vector >> 4)
        return STATUS_INVALID_PARAMETER;
    interrupt->Type = KI_INTERRUPT;
    interrupt->Size = sizeof(*interrupt);
    interrupt->SpinLock = 0;
    interrupt->Lock = lock ? lock : &interrupt->SpinLock;
    interrupt->Vector = vector;
    interrupt->Irql = irql;
    interrupt->SynchronizeIrql = synchronize_irql;
    interrupt->Connected = FALSE;
    interrupt->Routine = routine;
    interrupt->MessageRoutine = message_routine;
    interrupt->MessageId = message_id;
    interrupt->Context = context;
    interrupt->Link = {nullptr, KiCallServiceRoutine, interrupt};
    return STATUS_SUCCESS;
}

NTSTATUS KiConnectInterrupt(PKINTERRUPT interrupt) {
    NTSTATUS status = KiConnectVector(interrupt->Vector, &interrupt->Link);
    interrupt->Connected = NT_SUCCESS(status);
    return status;
}

void KiDisconnectInterrupt(PKINTERRUPT interrupt) {
    // One processor: while we are here, the routine is not running.
    KiDisconnectVector(interrupt->Vector, &interrupt->Link);
    interrupt->Connected = FALSE;
}

static void KiCheckInterrupt(PKINTERRUPT interrupt, const char *rule) {
    if (!interrupt || interrupt->Type != KI_INTERRUPT)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, rule, 0, (uint64_t)interrupt, 0, 0);
}

BOOLEAN KeSynchronizeExecution(PKINTERRUPT interrupt, PKSYNCHRONIZE_ROUTINE routine,
                               PVOID context) {
    KiCheckInterrupt(interrupt, "KeSynchronizeExecution without a connected interrupt");
    KIRQL old = KiAcquireLockAt(interrupt->Lock, interrupt->SynchronizeIrql);
    BOOLEAN result = routine(context);
    KiReleaseLockAt(interrupt->Lock, old);
    return result;
}

KIRQL KeAcquireInterruptSpinLock(PKINTERRUPT interrupt) {
    KiCheckInterrupt(interrupt, "KeAcquireInterruptSpinLock without a connected interrupt");
    return KiAcquireLockAt(interrupt->Lock, interrupt->SynchronizeIrql);
}

void KeReleaseInterruptSpinLock(PKINTERRUPT interrupt, KIRQL old) {
    KiCheckInterrupt(interrupt, "KeReleaseInterruptSpinLock without a connected interrupt");
    if (__readcr8() != interrupt->SynchronizeIrql)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION,
                    "interrupt spin lock released at another IRQL", 0, (uint64_t)interrupt,
                    __readcr8(), interrupt->SynchronizeIrql);
    KiReleaseLockAt(interrupt->Lock, old);
}

} // extern "C"
