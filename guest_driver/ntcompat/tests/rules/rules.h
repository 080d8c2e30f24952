// SPDX-License-Identifier: MIT
//
// ntcrules.sys: cases that break one documented rule each, and legal ones. The
// service parameter Case names the one to run.
#ifndef NTC_RULES_H_
#define NTC_RULES_H_

#include <ntifs.h>

#define RULES_TAG 'luRN' // "NRul"

// A case runs in DriverEntry at PASSIVE_LEVEL. One that breaks a rule is not
// expected to return, unless the rule is checked when the driver is unloaded. A
// legal one returns STATUS_SUCCESS, or the status that it didn't expect.
struct RuleCase {
    const char *name;
    NTSTATUS (*run)(PDRIVER_OBJECT driver);
};

// Each file's cases, ended by an entry without a name.
extern const RuleCase IrqlCases[];
extern const RuleCase LockCases[];
extern const RuleCase PoolCases[];
extern const RuleCase MemoryCases[];
extern const RuleCase ObjectCases[];
extern const RuleCase ThreadCases[];
extern const RuleCase IrpCases[];
extern const RuleCase DeviceCases[];
extern const RuleCase FaultCases[];
extern const RuleCase ControlCases[]; // those whose name begins with "control"

// Keeps the compiler from seeing through a value: what follows is wrong on purpose.
template <class T> T Opaque(T value) {
    __asm__ volatile("" : "+r"(value) : : "memory");
    return value;
}

// Runs a routine as a system thread and waits for its end.
NTSTATUS RunThread(PKSTART_ROUTINE routine, PVOID context);

// Nonpaged pool; STATUS_INSUFFICIENT_RESOURCES ends the case where it is NULL.
void *RulesAllocate(SIZE_T size);

#endif // NTC_RULES_H_
