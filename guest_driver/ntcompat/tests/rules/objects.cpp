// SPDX-License-Identifier: MIT
//
// Handles, references, threads.
#include "rules.h"

static NTSTATUS NewEvent(PHANDLE handle) {
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, nullptr, OBJ_KERNEL_HANDLE, nullptr, nullptr);
    return ZwCreateEvent(handle, EVENT_ALL_ACCESS, &attributes, NotificationEvent, FALSE);
}

static NTSTATUS OverDereference(PDRIVER_OBJECT) {
    HANDLE handle;
    PVOID event;
    NTSTATUS status = NewEvent(&handle);
    if (NT_SUCCESS(status))
        status = ObReferenceObjectByHandle(handle, EVENT_ALL_ACCESS, nullptr, KernelMode, &event,
                                           nullptr);
    if (!NT_SUCCESS(status))
        return status;
    ZwClose(handle);
    ObDereferenceObject(event);
    ObDereferenceObject(event);
    return STATUS_SUCCESS;
}

static NTSTATUS OpenHandle(PDRIVER_OBJECT) {
    HANDLE handle;
    PVOID event;
    NTSTATUS status = NewEvent(&handle);
    if (NT_SUCCESS(status))
        status = ObReferenceObjectByHandle(handle, EVENT_ALL_ACCESS, nullptr, KernelMode, &event,
                                           nullptr);
    if (!NT_SUCCESS(status))
        return status;
    ObDereferenceObject(event);
    ObDereferenceObject(event); // the handle's own
    return STATUS_SUCCESS;
}

static NTSTATUS NotAnObject(PDRIVER_OBJECT) {
    UCHAR *block = (UCHAR *)RulesAllocate(256);
    if (!block)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(block, 256);
    ObReferenceObject(block + 128);
    return STATUS_SUCCESS;
}

static NTSTATUS HandleLeak(PDRIVER_OBJECT) {
    HANDLE handle;
    return NewEvent(&handle);
}

static NTSTATUS CloseBad(PDRIVER_OBJECT) {
    ZwClose((HANDLE)(LONG_PTR)0xFFFFFFFF80003FF0);
    return STATUS_SUCCESS;
}

static NTSTATUS CloseTwice(PDRIVER_OBJECT) {
    HANDLE handle;
    NTSTATUS status = NewEvent(&handle);
    if (!NT_SUCCESS(status))
        return status;
    ZwClose(handle);
    ZwClose(handle);
    return STATUS_SUCCESS;
}

static NTSTATUS ReferenceBad(PDRIVER_OBJECT) {
    PVOID object;
    return ObReferenceObjectByHandle((HANDLE)(LONG_PTR)0xFFFFFFFF80003FF0, 0, nullptr, KernelMode,
                                     &object, nullptr);
}

const RuleCase ObjectCases[] = {
    {"object-over-dereference", OverDereference},
    {"object-with-open-handle", OpenHandle},
    {"object-not-one", NotAnObject},
    {"handle-leak", HandleLeak},
    {"handle-close-bad", CloseBad},
    {"handle-close-twice", CloseTwice},
    {"handle-reference-bad", ReferenceBad},
    {nullptr, nullptr},
};

static VOID NTAPI CriticalThread(PVOID) {
    KeEnterCriticalRegion();
}

static NTSTATUS CriticalExit(PDRIVER_OBJECT) {
    return RunThread(CriticalThread, nullptr);
}

static NTSTATUS CriticalLeave(PDRIVER_OBJECT) {
    KeLeaveCriticalRegion();
    return STATUS_SUCCESS;
}

const RuleCase ThreadCases[] = {
    {"thread-critical-exit", CriticalExit},
    {"thread-critical-leave", CriticalLeave},
    {nullptr, nullptr},
};
