// SPDX-License-Identifier: MIT
//
// The functions that ntcompat's ntoskrnl.exe exports for this agent beside
// NT's own names; documented in guest_driver/ntcompat/include/ntc.h.
#ifndef VQ7_AGENT_NTC_SERVICES_H_
#define VQ7_AGENT_NTC_SERVICES_H_

#include <ntddk.h>

extern "C" {
__declspec(dllimport) NTSTATUS NtcDisableService(const WCHAR *service);
__declspec(dllimport) NTSTATUS NtcEnableService(const WCHAR *service);
__declspec(dllimport) NTSTATUS NtcSleepDevice(PDEVICE_OBJECT device);
__declspec(dllimport) NTSTATUS NtcWakeDevice(PDEVICE_OBJECT device);
__declspec(dllimport) NTSTATUS NtcShutdown(BOOLEAN reboot);

typedef struct _NTC_LOW_RESOURCES {
    ULONG nth;
    ULONG calls;
    const char *failed;
    ULONG offset;
} NTC_LOW_RESOURCES;
__declspec(dllimport) NTSTATUS NtcSetLowResources(const char *image, ULONG nth);
__declspec(dllimport) void NtcGetLowResources(NTC_LOW_RESOURCES *now);

#define NTC_LIE_CONFIG 0xFFu
typedef struct _NTC_LIE {
    ULONG bus, device, function;
    ULONG space;
    ULONG offset, width;
    ULONG operation;
    ULONG value;
    ULONG skip;
    ULONG times;
    ULONG reads, hits;
} NTC_LIE;
__declspec(dllimport) NTSTATUS NtcAddLie(const NTC_LIE *lie);
__declspec(dllimport) NTSTATUS NtcGetLie(ULONG index, NTC_LIE *lie);
__declspec(dllimport) void NtcClearLies(void);
}

#endif // VQ7_AGENT_NTC_SERVICES_H_
