// SPDX-License-Identifier: MIT
//
// Vectors: dispatch by number, connected routines, end of interrupt.
#include "ki.h"

extern "C" {

enum { KI_UNCLAIMED_LIMIT = 100000, KI_FIRST_DEVICE_VECTOR = 0x30, KI_LAST_DEVICE_VECTOR = 0xBF };

struct KI_VECTOR {
    NTC_VECTOR_LINK *first; // in the order of connecting
    ULONG unclaimed;        // in a row
    bool served;            // the last one was claimed
};

static KI_VECTOR KiVectors[256];

NTSTATUS KiConnectVector(ULONG vector, NTC_VECTOR_LINK *link) {
    if (vector < KI_FIRST_DEVICE_VECTOR || vector > KI_LAST_DEVICE_VECTOR)
        return STATUS_INVALID_PARAMETER;
    KI_VECTOR *v = &KiVectors[vector];
    bool enabled = KiDisableInterrupts();
    NTC_VECTOR_LINK **end = &v->first;
    while (*end)
        end = &(*end)->next;
    link->next = nullptr;
    *end = link;
    v->unclaimed = 0;
    v->served = false;
    if (v->first == link)
        HalEnableLine(vector, TRUE);
    KiRestoreInterrupts(enabled);
    return STATUS_SUCCESS;
}

void KiDisconnectVector(ULONG vector, NTC_VECTOR_LINK *link) {
    KI_VECTOR *v = &KiVectors[vector & 0xFF];
    bool enabled = KiDisableInterrupts();
    NTC_VECTOR_LINK **at = &v->first;
    while (*at && *at != link)
        at = &(*at)->next;
    bool found = *at != nullptr;
    if (found)
        *at = link->next;
    if (found && !v->first)
        HalEnableLine(vector, FALSE);
    KiRestoreInterrupts(enabled);
    if (!found)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, "disconnect of a vector not connected", 0,
                    vector, (uint64_t)link->routine, (uint64_t)link->context);
}

// An edge that comes while a routine is at work is latched, and the routine, which has
// dealt with its reason already, is called once more.
static bool KiIsLateEdge(ULONG vector, bool after_served) {
    return after_served && !HalIsLevelTriggered(vector);
}

// A line that stays asserted comes back at once, so this must end somewhere.
static void KiUnclaimed(ULONG vector) {
    KI_VECTOR *v = &KiVectors[vector];
    bool served = v->served;
    v->served = false;
    if (KiIsLateEdge(vector, served))
        return;
    if (v->unclaimed++ == 0)
        KdPrint_("ke: interrupt on vector %02x that no routine claims\n", vector);
    if (v->unclaimed >= KI_UNCLAIMED_LIMIT)
        KdViolation(HARDWARE_INTERRUPT_STORM, "interrupts that no routine claims", vector,
                    (uint64_t)v->first, v->unclaimed, 0);
}

// As on Windows, the first routine to claim a level-triggered interrupt ends
// the round: whoever else is asserting the line brings it back. An edge is seen
// once, so everybody is asked.
static void KiCallRoutines(ULONG vector) {
    KI_VECTOR *v = &KiVectors[vector];
    bool claimed = false;
    bool all = v->first->next && !HalIsLevelTriggered(vector);
    for (NTC_VECTOR_LINK *link = v->first; link && (all || !claimed); link = link->next) {
        KIRQL before = (KIRQL)__readcr8();
        if (link->routine(link->context))
            claimed = true;
        if (__readcr8() != before)
            KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION,
                        "interrupt routine returned at another IRQL", 0, before, __readcr8(),
                        (uint64_t)link->context);
    }
    if (claimed) {
        v->unclaimed = 0;
        v->served = true;
    } else {
        KiUnclaimed(vector);
    }
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
        else if (KiVectors[vector].first)
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
