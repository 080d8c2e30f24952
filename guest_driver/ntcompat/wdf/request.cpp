// SPDX-License-Identifier: MIT
// WDFREQUEST: creation from an IRP, completion, cancellation.
#include "request.h"
#include "file.h"
#include "memory.h"
#include "queue.h"

namespace wdfldr {

NTSTATUS CreateRequest(Device *device, PIRP irp, Request **out) {
    auto *request = New<Request>(device->globals, Type::Request);
    if (!request)
        return STATUS_INSUFFICIENT_RESOURCES;
    request->device = device;
    request->irp = irp;
    request->noDelete = true;
    request->file = FindFile(device, IoGetCurrentIrpStackLocation(irp)->FileObject);
    NTSTATUS status =
        FinishCreate(device->globals, request, device,
                     device->hasRequestAttributes ? &device->requestAttributes : nullptr);
    if (NT_SUCCESS(status))
        *out = request;
    return status;
}

void Request::OnDispose() {
    if (inputMdl)
        IoFreeMdl(inputMdl);
    if (outputMdl)
        IoFreeMdl(outputMdl);
    inputMdl = outputMdl = nullptr;
}

// Success with more bytes than the buffer takes would make the I/O manager copy
// what isn't there.
static void CheckInformation(Request *request, NTSTATUS status) {
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(request->irp);
    ULONG limit;
    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
        limit = stack->Parameters.Read.Length;
        break;
    case IRP_MJ_WRITE:
        limit = stack->Parameters.Write.Length;
        break;
    case IRP_MJ_DEVICE_CONTROL: {
        const auto &ioctl = stack->Parameters.DeviceIoControl;
        limit = ioctl.OutputBufferLength;
        // METHOD_IN_DIRECT and METHOD_NEITHER: nothing is copied by this count.
        if ((ioctl.IoControlCode & 3) != METHOD_BUFFERED && ioctl.InputBufferLength > limit)
            limit = ioctl.InputBufferLength;
        break;
    }
    default:
        return;
    }
    if (!NT_ERROR(status) && request->information > limit)
        Stop(kRequestFatal, reinterpret_cast<void *>(4),
             reinterpret_cast<ULONG_PTR>(request->Handle()),
             "request %p completed with information %lu, the buffer has %u bytes",
             request->Handle(), static_cast<unsigned long>(request->information),
             static_cast<unsigned>(limit));
}

void Request::Complete(NTSTATUS status, CCHAR boost) {
    if (status == STATUS_PENDING)
        Stop(kRequestFatal, Handle(), static_cast<ULONG>(status),
             "request %p completed with STATUS_PENDING", Handle());
    if (cancelable)
        Stop(kRequestFatal, Handle(), 0,
             "request %p completed while marked cancelable: unmark it first", Handle());
    Queue *from = nullptr;
    if (queue) {
        KIRQL irql;
        KeAcquireSpinLock(&queue->lock, &irql);
        if (state == RequestState::Queued || state == RequestState::Completed)
            Stop(kRequestFatal, reinterpret_cast<void *>(5), reinterpret_cast<ULONG_PTR>(Handle()),
                 "request %p completed while not in the driver's hands", Handle());
        from = queue;
        state = RequestState::Completed;
        KeReleaseSpinLock(&queue->lock, irql);
    }
    state = RequestState::Completed;
    CheckInformation(this, status);
    PIRP completed = irp;
    bool failedCreate = !NT_SUCCESS(status) && file &&
                        IoGetCurrentIrpStackLocation(irp)->MajorFunction == IRP_MJ_CREATE;
    if (failedCreate)
        file->Delete();
    Device *owner = device;
    Reference();
    Delete();
    completed->IoStatus.Status = status;
    completed->IoStatus.Information = information;
    irp = nullptr;
    IoCompleteRequest(completed, boost);
    if (from) {
        from->Reference();
        from->ReleaseOwned(this);
    }
    Dereference();
    if (from) {
        from->Present();
        from->Dereference();
    }
    owner->LeaveIo();
}

Request *RequestInDriver(Globals *globals, WDFREQUEST handle, const char *function) {
    auto *request = From<Request>(globals, handle, function);
    if (request->state == RequestState::Completed)
        Stop(kRequestFatal, reinterpret_cast<void *>(2), reinterpret_cast<ULONG_PTR>(handle),
             "%s: request %p is completed already", function, handle);
    if (request->state == RequestState::Queued)
        Stop(kRequestFatal, reinterpret_cast<void *>(5), reinterpret_cast<ULONG_PTR>(handle),
             "%s: request %p is in a queue", function, handle);
    return request;
}

// ---- cancellation while the driver has the request ---------------------------

// Reference taken by the caller, given back here.
static void CallCancel(Request *request, PFN_WDF_REQUEST_CANCEL cancel) {
    Queue *queue = request->queue;
    {
        CallbackGuard guard(queue ? queue->scopeLock : nullptr);
        cancel(request->HandleAs<WDFREQUEST>());
    }
    request->Dereference();
}

static VOID NTAPI CancelDriverIrp(PDEVICE_OBJECT, PIRP irp) {
    auto *request = static_cast<Request *>(irp->Tail.Overlay.DriverContext[0]);
    // Still under the cancel lock: the request can't be completed in between, since
    // unmarking sees that this routine was taken.
    request->cancelable = false;
    request->cancelCalled = true;
    PFN_WDF_REQUEST_CANCEL cancel = request->cancel;
    request->Reference();
    IoReleaseCancelSpinLock(irp->CancelIrql);
    CallCancel(request, cancel);
}

static NTSTATUS MarkCancelable(Request *request, PFN_WDF_REQUEST_CANCEL cancel,
                               const char *function) {
    if (request->cancelable)
        Stop(kRequestFatal, request->Handle(), 0, "%s: request %p is cancelable already", function,
             request->Handle());
    if (!request->queue)
        Stop(kRequestFatal, request->Handle(), 0, "%s: request %p came from no queue", function,
             request->Handle());
    PIRP irp = request->irp;
    request->cancel = cancel;
    request->cancelable = true;
    irp->Tail.Overlay.DriverContext[0] = request;
    (void)IoSetCancelRoutine(irp, &CancelDriverIrp);
    if (irp->Cancel && IoSetCancelRoutine(irp, nullptr)) {
        request->cancelable = false;
        return STATUS_CANCELLED;
    }
    return STATUS_SUCCESS;
}

void Queue::CancelOwned() {
    for (;;) {
        Request *found = nullptr;
        KIRQL irql;
        KeAcquireSpinLock(&lock, &irql);
        for (LIST_ENTRY *e = owned.Flink; e != &owned && !found; e = e->Flink) {
            auto *request = CONTAINING_RECORD(e, Request, queueLink);
            if (request->state == RequestState::Driver && request->cancelable &&
                IoSetCancelRoutine(request->irp, nullptr)) {
                request->cancelable = false;
                request->cancelCalled = true;
                request->irp->Cancel = TRUE;
                request->Reference();
                found = request;
            }
        }
        KeReleaseSpinLock(&lock, irql);
        if (!found)
            return;
        CallCancel(found, found->cancel);
    }
}

} // namespace wdfldr

using namespace wdfldr;

WDF_API(VOID, WdfRequestMarkCancelable,
        (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle, PFN_WDF_REQUEST_CANCEL cancel)) {
    WDF_ENTER(WdfRequestMarkCancelable, DISPATCH_LEVEL);
    CheckNotNull(reinterpret_cast<void *>(cancel), kName, "EvtRequestCancel");
    Request *request = RequestInDriver(globals, handle, kName);
    if (MarkCancelable(request, cancel, kName) == STATUS_CANCELLED) {
        request->cancelCalled = true;
        request->Reference();
        CallCancel(request, cancel);
    }
}

WDF_API(NTSTATUS, WdfRequestMarkCancelableEx,
        (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle, PFN_WDF_REQUEST_CANCEL cancel)) {
    WDF_ENTER(WdfRequestMarkCancelableEx, DISPATCH_LEVEL);
    CheckNotNull(reinterpret_cast<void *>(cancel), kName, "EvtRequestCancel");
    return MarkCancelable(RequestInDriver(globals, handle, kName), cancel, kName);
}

WDF_API(NTSTATUS, WdfRequestUnmarkCancelable, (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle)) {
    WDF_ENTER(WdfRequestUnmarkCancelable, DISPATCH_LEVEL);
    Request *request = RequestInDriver(globals, handle, kName);
    if (!request->cancelable && !request->cancelCalled)
        return Refuse(STATUS_INVALID_DEVICE_REQUEST, kName, "the request isn't cancelable");
    if (!IoSetCancelRoutine(request->irp, nullptr))
        return STATUS_CANCELLED;
    request->cancelable = false;
    return STATUS_SUCCESS;
}

WDF_API(BOOLEAN, WdfRequestIsCanceled, (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle)) {
    WDF_ENTER(WdfRequestIsCanceled, DISPATCH_LEVEL);
    Request *request = RequestInDriver(globals, handle, kName);
    if (request->cancelable)
        Stop(kRequestFatal, handle, 0, "%s: request %p is marked cancelable", kName, handle);
    return request->irp->Cancel;
}
