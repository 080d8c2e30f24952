// SPDX-License-Identifier: MIT
//
// The performance counter (TSC), stalls, the local APIC's timer as the clock, and
// the CMOS clock. TSC and APIC timer are measured against the ACPI timer, or the
// 8254 where there are no ACPI tables.
#include "hal.h"

extern "C" {

enum {
    PIT_HZ = 1193182,
    PIT_CHANNEL2 = 0x42,
    PIT_MODE = 0x43,
    PIT_GATE = 0x61,
    PM_TIMER_HZ = 3579545,
    PM_TIMER_MASK = 0xFFFFFF, // 24 bits on every chipset
    HAL_CALIBRATION_US = 5000,
    HAL_READ_ATTEMPTS = 32,
    CMOS_INDEX = 0x70,
    CMOS_DATA = 0x71
};

static uint64_t HalTscHz;
static uint64_t HalApicTimerHz; // at divisor 1

// One instant, read from all clocks. A virtual processor may be stopped by its
// host at any point, so the narrowest of several attempts is taken.
struct HAL_INSTANT {
    uint64_t tsc;
    uint32_t reference; // counts up
    uint32_t apic;      // counts down
};

static void HalReadInstant(HAL_INSTANT *best, uint32_t (*read_reference)(void)) {
    uint64_t narrowest = ~0ull;
    for (int i = 0; i < HAL_READ_ATTEMPTS; i++) {
        uint64_t before = __rdtsc();
        uint32_t reference = read_reference();
        uint32_t apic = HalApicRead(APIC_TIMER_CURRENT);
        uint64_t width = __rdtsc() - before;
        if (width < narrowest) {
            narrowest = width;
            *best = {before + width / 2, reference, apic};
        }
    }
}

static uint32_t HalReadPmTimer(void) {
    return __indword(HalPmTimerPort);
}

// The 8254 counts down from 65536 in mode 0, which is over after 54 ms.
static uint32_t HalReadPit(void) {
    __outbyte(PIT_MODE, 0x80); // latch channel 2
    uint32_t low = __inbyte(PIT_CHANNEL2);
    return 0x10000 - (low | (uint32_t)__inbyte(PIT_CHANNEL2) << 8);
}

static void HalStartPit(void) {
    __outbyte(PIT_GATE, (UCHAR)((__inbyte(PIT_GATE) & ~2) | 1));
    __outbyte(PIT_MODE, 0xB0);
    __outbyte(PIT_CHANNEL2, 0);
    __outbyte(PIT_CHANNEL2, 0);
}

void HalCalibrate(void) {
    bool pm = HalPmTimerPort != 0;
    uint32_t hz = pm ? PM_TIMER_HZ : PIT_HZ, mask = pm ? PM_TIMER_MASK : 0xFFFF;
    uint32_t (*read)(void) = pm ? HalReadPmTimer : HalReadPit;
    if (!pm)
        HalStartPit();
    HalApicWrite(APIC_TIMER_DIVIDE, 0xB); // 1
    HalApicWrite(APIC_TIMER_INITIAL, ~0u);
    HAL_INSTANT start, end;
    HalReadInstant(&start, read);
    while (((read() - start.reference) & mask) < (uint64_t)hz * HAL_CALIBRATION_US / 1000000)
        _mm_pause();
    HalReadInstant(&end, read);
    HalApicWrite(APIC_TIMER_INITIAL, 0);
    uint64_t elapsed = (end.reference - start.reference) & mask;
    HalTscHz = (end.tsc - start.tsc) * hz / elapsed;
    HalApicTimerHz = (uint64_t)(start.apic - end.apic) * hz / elapsed;
    if (HalTscHz == 0 || HalApicTimerHz == 0)
        KdViolation(HAL_INITIALIZATION_FAILED, "clock calibration failed", end.tsc - start.tsc,
                    start.apic - end.apic, elapsed, 0);
    KdPrint_("hal: TSC %I64u kHz, APIC timer %I64u kHz\n", HalTscHz / 1000, HalApicTimerHz / 1000);
}

void HalStartClock(ULONG vector, ULONG period_100ns) {
    HalApicWrite(APIC_LVT_TIMER, vector | APIC_PERIODIC);
    HalApicWrite(APIC_TIMER_INITIAL, (uint32_t)(HalApicTimerHz * period_100ns / 10000000));
}

// The ticks go on as they come, elsewhere.
void HalSetClockVector(ULONG vector) {
    HalApicWrite(APIC_LVT_TIMER, vector | APIC_PERIODIC);
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
