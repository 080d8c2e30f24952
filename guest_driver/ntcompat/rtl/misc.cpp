// SPDX-License-Identifier: MIT
//
// RtlGetVersion, RtlRandom and time fields.
#include "ntc.h"

// Windows 7: what the driver is built for and what the framework version implies.
NTSTATUS NTAPI RtlGetVersion(PRTL_OSVERSIONINFOW information) {
    const ULONG size = information->dwOSVersionInfoSize;
    if (size != sizeof(RTL_OSVERSIONINFOW) && size != sizeof(RTL_OSVERSIONINFOEXW))
        return STATUS_INVALID_PARAMETER;
    memset(information, 0, size);
    information->dwOSVersionInfoSize = size;
    information->dwMajorVersion = 6;
    information->dwMinorVersion = 1;
    information->dwBuildNumber = 7601;
    information->dwPlatformId = 2; // VER_PLATFORM_WIN32_NT
    wcscpy(information->szCSDVersion, L"Service Pack 1");
    if (size == sizeof(RTL_OSVERSIONINFOEXW)) {
        auto *extended = reinterpret_cast<PRTL_OSVERSIONINFOEXW>(information);
        extended->wServicePackMajor = 1;
        extended->wProductType = 1; // VER_NT_WORKSTATION
    }
    return STATUS_SUCCESS;
}

NTC_EXPORT BOOLEAN NTAPI RtlIsNtDdiVersionAvailable(ULONG version) {
    return version <= 0x06010000;
}

// The documented generator's modulus (2^31 - 1); a Lehmer step.
NTC_EXPORT ULONG NTAPI RtlRandom(PULONG seed) {
    uint64_t value = *seed % 0x7FFFFFFFu;
    value = (value * 48271u + 11u) % 0x7FFFFFFFu;
    *seed = static_cast<ULONG>(value);
    return *seed;
}

NTC_EXPORT ULONG NTAPI RtlRandomEx(PULONG seed) {
    return RtlRandom(seed);
}

namespace {

const LONGLONG kDay = 864000000000ll; // in 100 ns

bool IsLeap(int year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int DaysOfMonth(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && IsLeap(year) ? 29 : days[month - 1];
}

// Days from 1601-01-01 to the first of January of the year.
LONGLONG DaysToYear(int year) {
    const LONGLONG past = year - 1;
    return past * 365 + past / 4 - past / 100 + past / 400 -
           (1600ll * 365 + 1600 / 4 - 1600 / 100 + 1600 / 400);
}

} // namespace

VOID NTAPI RtlTimeToTimeFields(PLARGE_INTEGER time, PTIME_FIELDS fields) {
    LONGLONG days = time->QuadPart / kDay;
    LONGLONG rest = time->QuadPart % kDay / 10000; // milliseconds
    fields->Milliseconds = static_cast<CSHORT>(rest % 1000);
    rest /= 1000;
    fields->Second = static_cast<CSHORT>(rest % 60);
    fields->Minute = static_cast<CSHORT>(rest / 60 % 60);
    fields->Hour = static_cast<CSHORT>(rest / 3600);
    fields->Weekday = static_cast<CSHORT>((days + 1) % 7); // 1601-01-01 was a Monday
    int year = 1601 + static_cast<int>(days / 366);
    while (DaysToYear(year + 1) <= days)
        ++year;
    days -= DaysToYear(year);
    int month = 1;
    while (days >= DaysOfMonth(year, month))
        days -= DaysOfMonth(year, month++);
    fields->Year = static_cast<CSHORT>(year);
    fields->Month = static_cast<CSHORT>(month);
    fields->Day = static_cast<CSHORT>(days + 1);
}

BOOLEAN NTAPI RtlTimeFieldsToTime(PTIME_FIELDS fields, PLARGE_INTEGER time) {
    if (fields->Year < 1601 || fields->Month < 1 || fields->Month > 12 || fields->Day < 1 ||
        fields->Day > DaysOfMonth(fields->Year, fields->Month) || fields->Hour < 0 ||
        fields->Hour > 23 || fields->Minute < 0 || fields->Minute > 59 || fields->Second < 0 ||
        fields->Second > 59 || fields->Milliseconds < 0 || fields->Milliseconds > 999)
        return FALSE;
    LONGLONG days = DaysToYear(fields->Year) + fields->Day - 1;
    for (int month = 1; month < fields->Month; ++month)
        days += DaysOfMonth(fields->Year, month);
    const LONGLONG seconds = (fields->Hour * 60ll + fields->Minute) * 60 + fields->Second;
    time->QuadPart = days * kDay + (seconds * 1000 + fields->Milliseconds) * 10000;
    return TRUE;
}
