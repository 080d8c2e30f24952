// SPDX-License-Identifier: MIT
//
// IRQL: raised and lowered the wrong way, and calls that an IRQL forbids.
#include "rules.h"

typedef KIRQL FASTCALL RAISE(KIRQL irql);
typedef VOID FASTCALL LOWER(KIRQL irql);

// On x64 the headers write CR8 themselves: the exported functions check.
static PVOID Routine(PCWSTR name) {
    UNICODE_STRING text;
    RtlInitUnicodeString(&text, name);
    return MmGetSystemRoutineAddress(&text);
}

static NTSTATUS Wait(PDRIVER_OBJECT) {
    KEVENT event;
    KIRQL irql;
    KeInitializeEvent(&event, NotificationEvent, TRUE);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, nullptr);
    return STATUS_SUCCESS;
}

static NTSTATUS Delay(PDRIVER_OBJECT) {
    LARGE_INTEGER time;
    KIRQL irql;
    time.QuadPart = -10000;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    KeDelayExecutionThread(KernelMode, FALSE, &time);
    return STATUS_SUCCESS;
}

static NTSTATUS PageableCall(PDRIVER_OBJECT) {
    HANDLE key;
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES attributes;
    KIRQL irql;
    RtlInitUnicodeString(&name, L"\\Registry\\Machine\\System");
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE, nullptr, nullptr);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    ZwOpenKey(&key, KEY_READ, &attributes);
    return STATUS_SUCCESS;
}

static NTSTATUS SetEventHigh(PDRIVER_OBJECT) {
    KEVENT event;
    KIRQL irql;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    KeRaiseIrql(DISPATCH_LEVEL + 3, &irql);
    KeSetEvent(&event, IO_NO_INCREMENT, FALSE);
    return STATUS_SUCCESS;
}

static NTSTATUS RaiseDown(PDRIVER_OBJECT) {
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    ((RAISE *)Routine(L"KfRaiseIrql"))(APC_LEVEL);
    return STATUS_SUCCESS;
}

static NTSTATUS LowerUp(PDRIVER_OBJECT) {
    ((LOWER *)Routine(L"KeLowerIrql"))(DISPATCH_LEVEL);
    return STATUS_SUCCESS;
}

static VOID NTAPI RaisingDpc(PKDPC, PVOID, PVOID, PVOID) {
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL + 1, &irql);
}

static VOID NTAPI LoweringDpc(PKDPC, PVOID, PVOID, PVOID) {
    KeLowerIrql(APC_LEVEL);
}

static NTSTATUS RunDpc(PKDEFERRED_ROUTINE routine) {
    auto *dpc = (PKDPC)RulesAllocate(sizeof(KDPC));
    if (!dpc)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeInitializeDpc(dpc, routine, nullptr);
    KeInsertQueueDpc(dpc, nullptr, nullptr);
    KeFlushQueuedDpcs();
    ExFreePoolWithTag(dpc, RULES_TAG);
    return STATUS_SUCCESS;
}

static NTSTATUS DpcRaises(PDRIVER_OBJECT) {
    return RunDpc(RaisingDpc);
}

static NTSTATUS DpcLowers(PDRIVER_OBJECT) {
    return RunDpc(LoweringDpc);
}

static VOID NTAPI WaitingDpc(PKDPC, PVOID, PVOID, PVOID) {
    KEVENT event;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, nullptr);
}

static NTSTATUS DpcWaits(PDRIVER_OBJECT) {
    return RunDpc(WaitingDpc);
}

static VOID NTAPI EndlessDpc(PKDPC, PVOID, PVOID, PVOID) {
    for (;;)
        KeStallExecutionProcessor(50);
}

static NTSTATUS DpcEndless(PDRIVER_OBJECT) {
    return RunDpc(EndlessDpc);
}

static NTSTATUS DpcUninitialized(PDRIVER_OBJECT) {
    KDPC dpc;
    RtlZeroMemory(&dpc, sizeof(dpc));
    KeInsertQueueDpc(&dpc, nullptr, nullptr);
    return STATUS_SUCCESS;
}

static NTSTATUS EntryRaised(PDRIVER_OBJECT) {
    KIRQL irql;
    KeRaiseIrql(APC_LEVEL, &irql);
    return STATUS_SUCCESS;
}

const RuleCase IrqlCases[] = {
    {"irql-wait", Wait},
    {"irql-delay", Delay},
    {"irql-pageable-call", PageableCall},
    {"irql-set-event-high", SetEventHigh},
    {"irql-raise-down", RaiseDown},
    {"irql-lower-up", LowerUp},
    {"irql-dpc-raises", DpcRaises},
    {"irql-dpc-lowers", DpcLowers},
    {"irql-dpc-waits", DpcWaits},
    {"irql-driver-entry", EntryRaised},
    {"dpc-endless", DpcEndless},
    {"dpc-uninitialized", DpcUninitialized},
    {nullptr, nullptr},
};
