// SPDX-License-Identifier: MIT
//
// The performance counter (TSC), stalls, the local APIC's timer as the clock, and
// the CMOS clock. TSC and APIC timer are measured against the 8254.
#include "hal.h"

extern "C" {

enum { PIT_HZ = 1193182, PIT_CHANNEL2 = 0x42, PIT_MODE = 0x43, PIT_GATE = 0x61,
       HAL_CALIBRATION_MS = 5, CMOS_INDEX = 0x70, CMOS_DATA = 0x71 };

static uint64_t HalTscHz;
static uint64_t HalApicTimerHz; // at divisor 1

// One shot of channel 2 (mode 0), whose output is bit 5 of port 0x61.
void HalCalibrate(void) {
    const uint32_t count = PIT_HZ * HAL_CALIBRATION_MS / 1000;
    HalApicWrite(APIC_TIMER_DIVIDE, 0xB); // 1
    __outbyte(PIT_GATE, (UCHAR)((__inbyte(PIT_GATE) & ~2) | 1));
    __outbyte(PIT_MODE, 0xB0);
    __outbyte(PIT_CHANNEL2, (UCHAR)count);
    __outbyte(PIT_CHANNEL2, (UCHAR)(count >> 8));
    HalApicWrite(APIC_TIMER_INITIAL, ~0u);
    uint64_t start = __rdtsc();
    while (!(__inbyte(PIT_GATE) & 0x20))
        _mm_pause();
    uint64_t tsc = __rdtsc() - start;
    uint32_t timer = ~0u - HalApicRead(APIC_TIMER_CURRENT);
    HalApicWrite(APIC_TIMER_INITIAL, 0);
    HalTscHz = tsc * PIT_HZ / count;
    HalApicTimerHz = (uint64_t)timer * PIT_HZ / count;
    if (HalTscHz == 0 || HalApicTimerHz == 0)
        KdViolation(HAL_INITIALIZATION_FAILED, "clock calibration failed", tsc, timer,
                    0, 0);
}

void HalStartClock(ULONG vector, ULONG period_100ns) {
    HalApicWrite(APIC_LVT_TIMER, vector | APIC_PERIODIC);
    HalApicWrite(APIC_TIMER_INITIAL, (uint32_t)(HalApicTimerHz * period_100ns / 10000000));
}

LARGE_INTEGER KeQueryPerformanceCounter(PLARGE_INTEGER frequency) {
    if (frequency)
        frequency->QuadPart = (LONGLONG)HalTscHz;
    LARGE_INTEGER now;
    now.QuadPart = (LONGLONG)__rdtsc();
    return now;
}

void KeStallExecutionProcessor(ULONG microseconds) {
    uint64_t start = __rdtsc(), ticks = HalTscHz * microseconds / 1000000;
    while (__rdtsc() - start < ticks)
        _mm_pause();
}

static UCHAR HalCmos(UCHAR index) {
    __outbyte(CMOS_INDEX, index);
    return __inbyte(CMOS_DATA);
}

// Fills Year..Second. The clock is UTC, as QEMU's default is.
static void HalReadCmos(TIME_FIELDS *t) {
    UCHAR values[6], again[6];
    const UCHAR registers[6] = {0, 2, 4, 7, 8, 9};
    bool same;
    do { // until no update came in between
        while (HalCmos(0x0A) & 0x80)
            _mm_pause();
        same = true;
        for (int i = 0; i < 6; i++)
            values[i] = HalCmos(registers[i]);
        for (int i = 0; i < 6; i++) {
            again[i] = HalCmos(registers[i]);
            same = same && again[i] == values[i];
        }
    } while (!same);
    if (!(HalCmos(0x0B) & 4)) // binary-coded decimal
        for (UCHAR &v : values)
            v = (UCHAR)((v >> 4) * 10 + (v & 15));
    t->Second = values[0];
    t->Minute = values[1];
    t->Hour = values[2] & 0x7F;
    t->Day = values[3];
    t->Month = values[4];
    t->Year = (SHORT)(2000 + values[5]);
    t->Milliseconds = 0;
}

// Days since 1601-01-01 of a date of the Gregorian calendar.
static uint64_t HalDays(int year, int month, int day) {
    static const int before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int y = year - 1601;
    uint64_t days = (uint64_t)y * 365 + y / 4 - y / 100 + y / 400 + before[month - 1] + day - 1;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return leap && month > 2 ? days + 1 : days;
}

uint64_t HalBootTime(void) {
    TIME_FIELDS t;
    HalReadCmos(&t);
    if (t.Month < 1 || t.Month > 12)
        t.Month = 1; // a clock that was never set
    uint64_t days = HalDays(t.Year, t.Month, t.Day);
    uint64_t seconds = ((days * 24 + t.Hour) * 60 + t.Minute) * 60 + t.Second;
    return seconds * 10000000;
}

NTC_EXPORT BOOLEAN HalQueryRealTimeClock(PTIME_FIELDS fields) {
    HalReadCmos(fields);
    return TRUE;
}

} // extern "C"
