// SPDX-License-Identifier: MIT
//
// Between mm, ke and pnp: registers of devices that are watched, so that what a driver reads
// there can be changed.
#ifndef NTC_KE_LIAR_H_
#define NTC_KE_LIAR_H_

#include "ntc.h"

struct KI_TRAP_FRAME;

// mm/watch.cpp. PASSIVE_LEVEL: device memory, mapped now or later.
NTSTATUS MiWatchMemory(uint64_t physical, uint64_t length);
void MiUnwatchAll(void);
// Any IRQL.
bool MiIsWatched(uint64_t va, uint64_t *physical);
void MiBeginWatchedAccess(uint64_t va);
void MiEndWatchedAccess(uint64_t va);

// pnp/liar.cpp. Any IRQL. What the driver is told instead of the truth.
uint64_t PnpLieAboutMemory(uint64_t physical, ULONG width, uint64_t truth);
ULONG PnpLieAboutPort(USHORT port, ULONG width, ULONG truth);

extern "C" {
// ke/liar.cpp. STATUS_INSUFFICIENT_RESOURCES: there are four debug registers.
NTSTATUS KiWatchPort(USHORT port, ULONG width);
void KiUnwatchPorts(void);
// A page fault; a debug trap. False: not of a watched access.
bool KiBeginLiedAccess(KI_TRAP_FRAME *frame);
bool KiEndLie(KI_TRAP_FRAME *frame);
}

#endif // NTC_KE_LIAR_H_
