// SPDX-License-Identifier: MIT
//
// Vectors: dispatch by number, connected routines, end of interrupt.
#include "ki.h"

extern "C" {

enum {
    KI_ROUTINES_PER_VECTOR = 8,
    KI_UNCLAIMED_LIMIT = 100000,
    KI_FIRST_DEVICE_VECTOR = 0x30,
    KI_LAST_DEVICE_VECTOR = 0xCF
};

struct KI_VECTOR {
    NTC_VECTOR_ROUTINE routine[KI_ROUTINES_PER_VECTOR];
    void *context[KI_ROUTINES_PER_VECTOR];
    ULONG count;
    ULONG unclaimed; // in a row
};

static KI_VECTOR KiVectors[256];

NTSTATUS KiConnectVector(ULONG vector, NTC_VECTOR_ROUTINE routine, void *context) {
    if (vector < KI_FIRST_DEVICE_VECTOR || vector > KI_LAST_DEVICE_VECTOR)
        return STATUS_INVALID_PARAMETER;
    KI_VECTOR *v = &KiVectors[vector];
    bool enabled = KiDisableInterrupts();
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    if (v->count < KI_ROUTINES_PER_VECTOR) {
        v->routine[v->count] = routine;
        v->context[v->count] = context;
        v->count++;
        v->unclaimed = 0;
        status = STATUS_SUCCESS;
    }
    KiRestoreInterrupts(enabled);
    return status;
}

void KiDisconnectVector(ULONG vector, NTC_VECTOR_ROUTINE routine, void *context) {
    KI_VECTOR *v = &KiVectors[vector & 0xFF];
    bool enabled = KiDisableInterrupts();
    bool found = false;
    for (ULONG i = 0; i < v->count; i++) {
        if (!found && v->routine[i] == routine && v->context[i] == context)
            found = true;
        if (found && i + 1 < v->count) {
            v->routine[i] = v->routine[i + 1];
            v->context[i] = v->context[i + 1];
        }
    }
    if (found)
        v->count--;
    KiRestoreInterrupts(enabled);
    if (!found)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, "disconnect of a vector not connected", 0,
                    vector, (uint64_t)routine, (uint64_t)context);
}

// A line that stays asserted comes back at once, so this must end somewhere.
static void KiUnclaimed(ULONG vector) {
    KI_VECTOR *v = &KiVectors[vector];
    if (v->unclaimed++ == 0)
        KdPrint_("ke: interrupt on vector %02x that no routine claims\n", vector);
    if (v->unclaimed >= KI_UNCLAIMED_LIMIT)
        KdViolation(HARDWARE_INTERRUPT_STORM, "interrupts that no routine claims", vector, v->count,
                    v->unclaimed, 0);
}

// As on Windows, the first routine to claim a level-triggered interrupt ends
// the round: whoever else is asserting the line brings it back. An edge is seen
// once, so everybody is asked.
static void KiCallRoutines(ULONG vector) {
    KI_VECTOR *v = &KiVectors[vector];
    bool claimed = false;
    bool all = v->count > 1 && !HalIsLevelTriggered(vector);
    for (ULONG i = 0; i < v->count && (all || !claimed); i++) {
        KIRQL before = (KIRQL)__readcr8();
        if (v->routine[i](v->context[i]))
            claimed = true;
        if (__readcr8() != before)
            KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION,
                        "interrupt routine returned at another IRQL", 0, before, __readcr8(),
                        (uint64_t)v->context[i]);
    }
    if (claimed)
        v->unclaimed = 0;
    else
        KiUnclaimed(vector);
}

static void KiDispatchInterrupt(void) {
    KiPcr.InDispatchInterrupt = TRUE;
    __asm__ volatile("sti" : : : "memory");
    KiRetireDpcs();
    KiPcr.InDispatchInterrupt = FALSE;
    __asm__ volatile("sti" : : : "memory"); // threads are switched with interrupts enabled
    KiDispatchRequested();
    __asm__ volatile("cli" : : : "memory");
}

// Entered and left with interrupts disabled. CR8 is the interrupted IRQL.
void KiDispatchInterruptVector(KI_TRAP_FRAME *frame) {
    ULONG vector = (ULONG)frame->Vector;
    if (vector == KI_VECTOR_SPURIOUS)
        return;
    KIRQL irql = (KIRQL)(vector >> 4), old = KiRaise(irql);
    if (old >= irql)
        KdViolation(TRAP_CAUSE_UNKNOWN, "interrupt at or below the current IRQL", vector, old,
                    frame->Rip, 0);
    if (vector == KI_VECTOR_DPC) {
        HalEndOfInterrupt(); // first: a thread switch may follow
        KiDispatchInterrupt();
    } else if (vector == KI_VECTOR_APC) {
        HalEndOfInterrupt();
        KdUnimplemented("kernel APC interrupt");
    } else {
        KiPcr.InterruptNesting++;
        __asm__ volatile("sti" : : : "memory");
        if (vector == KI_VECTOR_CLOCK)
            KiClockInterrupt();
        else if (KiVectors[vector].count != 0)
            KiCallRoutines(vector);
        else
            KiUnclaimed(vector);
        __asm__ volatile("cli" : : : "memory");
        KiPcr.InterruptNesting--;
        HalEndOfInterrupt();
    }
    __writecr8(old);
}

} // extern "C"
