// SPDX-License-Identifier: MIT
//
// Small exports: time zone (UTC), previous mode, raised statuses.
#include "mm/mi.h"

// The guest keeps UTC.
VOID NTAPI ExSystemTimeToLocalTime(PLARGE_INTEGER system, PLARGE_INTEGER local) {
    *local = *system;
}

NTC_EXPORT VOID NTAPI ExLocalTimeToSystemTime(PLARGE_INTEGER local, PLARGE_INTEGER system) {
    *system = *local;
}

// All callers are kernel threads.
KPROCESSOR_MODE NTAPI ExGetPreviousMode(VOID) {
    return KernelMode;
}

BOOLEAN NTAPI ExIsProcessorFeaturePresent(ULONG feature) {
    switch (feature) {
    case PF_COMPARE_EXCHANGE_DOUBLE:
    case PF_MMX_INSTRUCTIONS_AVAILABLE:
    case PF_XMMI_INSTRUCTIONS_AVAILABLE:
    case PF_XMMI64_INSTRUCTIONS_AVAILABLE:
    case PF_RDTSC_INSTRUCTION_AVAILABLE:
    case PF_NX_ENABLED:
    case PF_COMPARE_EXCHANGE128:
        return TRUE;
    default:
        return FALSE;
    }
}

// Structured exceptions are not unwound: one that is raised is one that nobody
// handles.
VOID NTAPI ExRaiseStatus(NTSTATUS status) {
    KdViolation(0x1E, "a status is raised as an exception (KMODE_EXCEPTION_NOT_HANDLED)",
                static_cast<uint64_t>(status), MI_CALLER(), 0, 0);
}
