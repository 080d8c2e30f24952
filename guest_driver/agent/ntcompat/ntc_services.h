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
}

#endif // VQ7_AGENT_NTC_SERVICES_H_
