// SPDX-License-Identifier: MIT
//
// Timers: one list in order of due time, expired at DISPATCH_LEVEL in the
// dispatch interrupt which the clock asks for. Due times are interrupt time.
#include "ki.h"

extern "C" {

static LIST_ENTRY KiTimers;
volatile uint64_t KiNextTimer = ~0ull;

void KiInitializeTimers(void) {
    InitializeListHead(&KiTimers);
}

static void KiUpdateNext(void) {
    KiNextTimer = IsListEmpty(&KiTimers)
                      ? ~0ull
                      : CONTAINING_RECORD(KiTimers.Flink, KTIMER, TimerListEntry)->DueTime.QuadPart;
}

static void KiCheckTimer(PKTIMER timer) {
    if (timer->Header.Type != KI_TIMER_NOTIFICATION &&
        timer->Header.Type != KI_TIMER_SYNCHRONIZATION)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, "timer is not initialized", 0,
                    (uint64_t)timer, timer->Header.Type, 0);
}

static void KiQueueTimer(PKTIMER timer) {
    LIST_ENTRY *before = KiTimers.Flink;
    while (before != &KiTimers &&
           CONTAINING_RECORD(before, KTIMER, TimerListEntry)->DueTime.QuadPart <=
               timer->DueTime.QuadPart)
        before = before->Flink;
    InsertTailList(before, &timer->TimerListEntry);
    timer->Header.Inserted = 1;
    KiUpdateNext();
}

static void KiSignalTimer(PKTIMER timer) {
    timer->Header.SignalState = 1;
    KiWaitTest(&timer->Header, 0);
    if (timer->Dpc)
        KeInsertQueueDpc(timer->Dpc, nullptr, nullptr);
}

void KiInsertTimer(PKTIMER timer, LARGE_INTEGER due, ULONG period_ms, PKDPC dpc) {
    uint64_t now = KiInterruptTime();
    timer->Header.SignalState = 0;
    timer->Period = period_ms;
    timer->Dpc = dpc;
    bool absolute = due.QuadPart >= 0;
    if (absolute) {
        uint64_t system = KiSystemTime(), when = (uint64_t)due.QuadPart;
        timer->DueTime.QuadPart = when > system ? now + (when - system) : now;
    } else {
        timer->DueTime.QuadPart = now + (uint64_t)-due.QuadPart;
    }
    if (timer->DueTime.QuadPart > now) {
        KiQueueTimer(timer);
        return;
    }
    KiSignalTimer(timer); // due already
    if (period_ms != 0) {
        timer->DueTime.QuadPart = now + (uint64_t)period_ms * 10000;
        KiQueueTimer(timer);
    }
}

BOOLEAN KiRemoveTimer(PKTIMER timer) {
    if (!timer->Header.Inserted)
        return FALSE;
    RemoveEntryList(&timer->TimerListEntry);
    timer->Header.Inserted = 0;
    KiUpdateNext();
    return TRUE;
}

void KiExpireTimers(void) {
    uint64_t now = KiInterruptTime();
    while (KiNextTimer <= now) {
        PKTIMER timer = CONTAINING_RECORD(KiTimers.Flink, KTIMER, TimerListEntry);
        KiRemoveTimer(timer);
        if (timer->Period != 0) {
            // Periods that were missed altogether are not made up for.
            uint64_t period = (uint64_t)timer->Period * 10000;
            timer->DueTime.QuadPart += period;
            if (timer->DueTime.QuadPart <= now)
                timer->DueTime.QuadPart = now + period;
            KiQueueTimer(timer);
        }
        KiSignalTimer(timer);
    }
}

void KeInitializeTimerEx(PKTIMER timer, TIMER_TYPE type) {
    timer->Header.Lock = 0;
    timer->Header.Type = (UCHAR)(KI_TIMER_NOTIFICATION + (int)type);
    timer->Header.SignalState = 0;
    InitializeListHead(&timer->Header.WaitListHead);
    timer->DueTime.QuadPart = 0;
    timer->TimerListEntry.Flink = timer->TimerListEntry.Blink = nullptr;
    timer->Dpc = nullptr;
    timer->Processor = 0;
    timer->Period = 0;
}

void KeInitializeTimer(PKTIMER timer) {
    KeInitializeTimerEx(timer, NotificationTimer);
}

BOOLEAN KeSetTimerEx(PKTIMER timer, LARGE_INTEGER due, LONG period, PKDPC dpc) {
    KiCheckTimer(timer);
    if (period < 0)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, "KeSetTimerEx: negative period", 0,
                    (uint64_t)timer, (uint64_t)period, 0);
    KIRQL old = KiLockDispatcher();
    BOOLEAN queued = KiRemoveTimer(timer);
    KiInsertTimer(timer, due, (ULONG)period, dpc);
    KiUnlockDispatcher(old);
    return queued;
}

BOOLEAN KeSetTimer(PKTIMER timer, LARGE_INTEGER due, PKDPC dpc) {
    return KeSetTimerEx(timer, due, 0, dpc);
}

BOOLEAN KeSetCoalescableTimer(PKTIMER timer, LARGE_INTEGER due, ULONG period, ULONG, PKDPC dpc) {
    return KeSetTimerEx(timer, due, (LONG)period, dpc);
}

BOOLEAN KeCancelTimer(PKTIMER timer) {
    KiCheckTimer(timer);
    KIRQL old = KiLockDispatcher();
    BOOLEAN queued = KiRemoveTimer(timer);
    KiUnlockDispatcher(old);
    return queued;
}

BOOLEAN KeReadStateTimer(PKTIMER timer) {
    KiCheckTimer(timer);
    return timer->Header.SignalState != 0;
}

} // extern "C"
