// SPDX-License-Identifier: MIT
//
// What HAL.dll and the agent import beside NT's own exports, and exported data.
#include "ki.h"

NTC_EXPORT_AS(KdPrint_, KdPrint_);
NTC_EXPORT_AS(KdUnimplemented, KdUnimplemented);
NTC_EXPORT_AS(KdViolation, KdViolation);
NTC_EXPORT_AS(MiMapPage, MiMapPage);
NTC_EXPORT_AS(MiReserveSystemPtes, MiReserveSystemPtes);
NTC_EXPORT_AS(MiPhysicalAddress, MiPhysicalAddress);

extern "C" {
NTC_EXPORT_DATA CCHAR NtcKeNumberProcessors = 1;
NTC_EXPORT_AS(KeNumberProcessors, NtcKeNumberProcessors);
NTC_EXPORT_DATA ULONG NtcNtBuildNumber = 0xF0001DB1; // free build 7601
NTC_EXPORT_AS(NtBuildNumber, NtcNtBuildNumber);
}
