// SPDX-License-Identifier: MIT
//
// Time. The performance counter is the source; the 1 ms clock interrupt only
// publishes it, so that ticks which the host swallowed do not slow time down.
#include "ki.h"

#include "kd/kdp.h"

extern "C" {

volatile uint64_t KiTickCount;
static uint64_t KiBootTime;      // system time at interrupt time 0
static uint64_t KiCounterOrigin; // performance counter at interrupt time 0
static uint64_t KiCounterFrequency;

uint64_t KiInterruptTime(void) {
    uint64_t delta = (uint64_t)KeQueryPerformanceCounter(nullptr).QuadPart - KiCounterOrigin;
    uint64_t seconds = delta / KiCounterFrequency, rest = delta % KiCounterFrequency;
    return seconds * 10000000 + rest * 10000000 / KiCounterFrequency;
}

uint64_t KiSystemTime(void) {
    return KiBootTime + KiInterruptTime();
}

// System time goes on as the clock on the wall does.
void KiSkipTime(uint64_t ticks) {
    uint64_t before = KiInterruptTime();
    KiCounterOrigin += ticks;
    KiBootTime += before - KiInterruptTime();
}

// Readers take the 64-bit field at once, as the DDK's macros do on x64.
static void KiPublish(volatile KSYSTEM_TIME *field, uint64_t value) {
    *(volatile uint64_t *)field = value;
    field->High2Time = (LONG)(value >> 32);
}

static void KiPublishTime(void) {
    uint64_t now = KiInterruptTime();
    KiPublish(&KiSharedData->InterruptTime, now);
    KiPublish(&KiSharedData->SystemTime, KiBootTime + now);
    KiTickCount = now / KI_TICK_100NS;
    KiPublish((volatile KSYSTEM_TIME *)&KiSharedData->TickCountQuad, KiTickCount);
}

void KiInitializeClock(NTC_LOADER_BLOCK *block) {
    (void)block;
    LARGE_INTEGER frequency;
    KiCounterOrigin = (uint64_t)KeQueryPerformanceCounter(&frequency).QuadPart;
    KiCounterFrequency = (uint64_t)frequency.QuadPart;
    KiBootTime = HalBootTime();
    // TickCountMultiplier: milliseconds = ticks * multiplier >> 24.
    KiSharedData->TickCountMultiplier = (KI_TICK_100NS / 10000) << 24;
    KiPublishTime();
    HalStartClock(KI_VECTOR_CLOCK, KI_TICK_100NS);
}

// At clock IRQL.
void KiClockInterrupt(void) {
    if (KiBugCheckActive) {
        KdCheckForDebugBreak();
        return;
    }
    KiPublishTime();
    KiCheckDpcTime();
    PKTHREAD thread = KiCurrent();
    if (thread != KiPcr.Prcb.IdleThread && --thread->Quantum <= 0) {
        KiPcr.QuantumEnd = TRUE;
        HalRequestSoftwareInterrupt(DISPATCH_LEVEL);
    }
    if (*(volatile uint64_t *)&KiSharedData->InterruptTime >= KiNextTimer)
        HalRequestSoftwareInterrupt(DISPATCH_LEVEL);
    KdCheckForDebugBreak();
}

ULONG KeQueryTimeIncrement(void) {
    return KI_TICK_100NS;
}

void NtcKeQuerySystemTime(PLARGE_INTEGER time) {
    time->QuadPart = (LONGLONG)KiSystemTime();
}
NTC_EXPORT_AS(KeQuerySystemTime, NtcKeQuerySystemTime);

void NtcKeQueryTickCount(PLARGE_INTEGER count) {
    count->QuadPart = (LONGLONG)KiTickCount;
}
NTC_EXPORT_AS(KeQueryTickCount, NtcKeQueryTickCount);

ULONGLONG NtcKeQueryInterruptTime(void) {
    return KiInterruptTime();
}
NTC_EXPORT_AS(KeQueryInterruptTime, NtcKeQueryInterruptTime);

} // extern "C"
