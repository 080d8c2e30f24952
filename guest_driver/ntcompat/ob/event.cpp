// SPDX-License-Identifier: MIT
//
// Event objects, and waiting by handle.
#include "ob/obp.h"

namespace {

NTSTATUS ReferenceEvent(HANDLE handle, void **body) {
    return ObReferenceObjectByHandle(handle, EVENT_MODIFY_STATE, &ObpEventType, KernelMode, body,
                                     nullptr);
}

} // namespace

NTSTATUS NTAPI ZwCreateEvent(PHANDLE handle, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes,
                             EVENT_TYPE type, BOOLEAN initial_state) {
    MiPagedCode(__func__);
    void *body;
    NTSTATUS status = ObpCreateObject(&ObpEventType, 0, &body);
    if (!NT_SUCCESS(status))
        return status;
    KeInitializeEvent(static_cast<PRKEVENT>(body), type, initial_state);
    if (attributes && attributes->ObjectName && attributes->ObjectName->Length)
        status = ObpInsertName(body, attributes->ObjectName);
    if (NT_SUCCESS(status)) {
        status = ObpCreateHandle(body, access, attributes ? attributes->Attributes : 0, handle);
        if (!NT_SUCCESS(status))
            ObpRemoveName(body);
    }
    ObfDereferenceObject(body);
    return status;
}

NTSTATUS NTAPI ZwSetEvent(HANDLE handle, PLONG previous) {
    void *body;
    NTSTATUS status = ReferenceEvent(handle, &body);
    if (!NT_SUCCESS(status))
        return status;
    const LONG state = KeSetEvent(static_cast<PRKEVENT>(body), 0, FALSE);
    if (previous)
        *previous = state;
    ObfDereferenceObject(body);
    return STATUS_SUCCESS;
}

NTC_EXPORT NTSTATUS NTAPI ZwResetEvent(HANDLE handle, PLONG previous) {
    void *body;
    NTSTATUS status = ReferenceEvent(handle, &body);
    if (!NT_SUCCESS(status))
        return status;
    const LONG state = KeResetEvent(static_cast<PRKEVENT>(body));
    if (previous)
        *previous = state;
    ObfDereferenceObject(body);
    return STATUS_SUCCESS;
}

NTC_EXPORT NTSTATUS NTAPI ZwClearEvent(HANDLE handle) {
    return ZwResetEvent(handle, nullptr);
}

NTSTATUS NTAPI ZwWaitForSingleObject(HANDLE handle, BOOLEAN alertable, PLARGE_INTEGER timeout) {
    MiPagedCode(__func__);
    void *body;
    NTSTATUS status =
        ObReferenceObjectByHandle(handle, SYNCHRONIZE, nullptr, KernelMode, &body, nullptr);
    if (!NT_SUCCESS(status))
        return status;
    const LONG offset = ObpGetType(body)->wait_offset;
    if (offset < 0)
        status = STATUS_OBJECT_TYPE_MISMATCH;
    else
        status = KeWaitForSingleObject(static_cast<char *>(body) + offset, UserRequest, KernelMode,
                                       alertable, timeout);
    ObfDereferenceObject(body);
    return status;
}
