// SPDX-License-Identifier: MIT
//
// DriverEntry: finds the case that the service parameter names and runs it.
#include "case_name.h"
#include "rules.h"

static const RuleCase *const Tables[] = {IrqlCases,   LockCases,   PoolCases, MemoryCases,
                                         ObjectCases, ThreadCases, IrpCases,  DeviceCases,
                                         FaultCases,  ControlCases};

void *RulesAllocate(SIZE_T size) {
    return ExAllocatePoolWithTag(NonPagedPool, size, RULES_TAG);
}

NTSTATUS RunThread(PKSTART_ROUTINE routine, PVOID context) {
    HANDLE handle;
    NTSTATUS status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr,
                                           routine, context);
    if (!NT_SUCCESS(status))
        return status;
    ZwWaitForSingleObject(handle, FALSE, nullptr);
    return ZwClose(handle);
}

static const RuleCase *FindCase(const char *name) {
    for (const RuleCase *table : Tables)
        for (const RuleCase *c = table; c->name; c++)
            if (strcmp(c->name, name) == 0)
                return c;
    return nullptr;
}

static void Run(const RuleCase *c, PDRIVER_OBJECT driver) {
    DbgPrint("ntcrules: case %s begins\n", c->name);
    NTSTATUS status = c->run(driver);
    if (strncmp(c->name, "control", 7) != 0)
        DbgPrint("ntcrules: case %s returned 0x%08x\n", c->name, status);
    else if (NT_SUCCESS(status))
        DbgPrint("control: ok (%s)\n", c->name);
    else
        DbgPrint("control: failed (%s): 0x%08x\n", c->name, status);
}

static void RunControls(PDRIVER_OBJECT driver) {
    for (const RuleCase *table : Tables)
        for (const RuleCase *c = table; c->name; c++)
            if (strncmp(c->name, "control-", 8) == 0)
                Run(c, driver);
}

// Fails always: what the case has left behind is looked for at the unload that follows.
extern "C" NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING registry_path) {
    char name[64];
    NTSTATUS status = ReadCase(registry_path, name, sizeof(name));
    if (!NT_SUCCESS(status)) {
        DbgPrint("ntcrules: no parameter Case: 0x%08x\n", status);
        return status;
    }
    const RuleCase *c = FindCase(name);
    if (c)
        Run(c, driver);
    else if (strcmp(name, "controls") == 0)
        RunControls(driver);
    else
        DbgPrint("ntcrules: unknown case '%s'\n", name);
    return STATUS_NO_SUCH_DEVICE;
}
