// SPDX-License-Identifier: MIT
// WdfRequest...: completion, parameters, moving between queues.
#include "file.h"
#include "queue.h"
#include "request.h"

using namespace wdfldr;

WDF_API(VOID, WdfRequestComplete, (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle, NTSTATUS status)) {
    WDF_ENTER(WdfRequestComplete, DISPATCH_LEVEL);
    RequestInDriver(globals, handle, kName)->Complete(status, IO_NO_INCREMENT);
}

WDF_API(VOID, WdfRequestCompleteWithPriorityBoost,
        (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle, NTSTATUS status, CCHAR boost)) {
    WDF_ENTER(WdfRequestCompleteWithPriorityBoost, DISPATCH_LEVEL);
    RequestInDriver(globals, handle, kName)->Complete(status, boost);
}

WDF_API(VOID, WdfRequestCompleteWithInformation,
        (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle, NTSTATUS status, ULONG_PTR information)) {
    WDF_ENTER(WdfRequestCompleteWithInformation, DISPATCH_LEVEL);
    Request *request = RequestInDriver(globals, handle, kName);
    request->information = information;
    request->Complete(status, IO_NO_INCREMENT);
}

WDF_API(VOID, WdfRequestSetInformation,
        (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle, ULONG_PTR information)) {
    WDF_ENTER(WdfRequestSetInformation, DISPATCH_LEVEL);
    RequestInDriver(globals, handle, kName)->information = information;
}

WDF_API(ULONG_PTR, WdfRequestGetInformation, (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle)) {
    WDF_ENTER(WdfRequestGetInformation, DISPATCH_LEVEL);
    return RequestInDriver(globals, handle, kName)->information;
}

WDF_API(NTSTATUS, WdfRequestGetStatus, (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle)) {
    WDF_ENTER(WdfRequestGetStatus, DISPATCH_LEVEL);
    return RequestInDriver(globals, handle, kName)->irp->IoStatus.Status;
}

WDF_API(VOID, WdfRequestGetParameters,
        (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle, PWDF_REQUEST_PARAMETERS out)) {
    WDF_ENTER(WdfRequestGetParameters, DISPATCH_LEVEL);
    Request *request = RequestInDriver(globals, handle, kName);
    CheckNotNull(out, kName, "Parameters");
    if (out->Size < sizeof(*out))
        Stop(kFatalError, out, out->Size, "%s: WDF_REQUEST_PARAMETERS has %u bytes, not %u", kName,
             static_cast<unsigned>(out->Size), static_cast<unsigned>(sizeof(*out)));
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(request->irp);
    out->Type = static_cast<WDF_REQUEST_TYPE>(stack->MajorFunction);
    out->MinorFunction = stack->MinorFunction;
    // Both unions have the layout of IO_STACK_LOCATION's four argument slots.
    static_assert(sizeof(out->Parameters) >= sizeof(stack->Parameters.Others));
    RtlCopyMemory(&out->Parameters, &stack->Parameters, sizeof(stack->Parameters.Others));
}

WDF_API(WDFQUEUE, WdfRequestGetIoQueue, (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle)) {
    WDF_ENTER(WdfRequestGetIoQueue, DISPATCH_LEVEL);
    Queue *queue = RequestInDriver(globals, handle, kName)->queue;
    return queue ? queue->HandleAs<WDFQUEUE>() : nullptr;
}

WDF_API(WDFFILEOBJECT, WdfRequestGetFileObject, (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle)) {
    WDF_ENTER(WdfRequestGetFileObject, DISPATCH_LEVEL);
    FileObject *file = RequestInDriver(globals, handle, kName)->file;
    return file ? file->HandleAs<WDFFILEOBJECT>() : nullptr;
}

WDF_API(PIRP, WdfRequestWdmGetIrp, (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle)) {
    WDF_ENTER(WdfRequestWdmGetIrp, DISPATCH_LEVEL);
    return RequestInDriver(globals, handle, kName)->irp;
}

WDF_API(KPROCESSOR_MODE, WdfRequestGetRequestorMode, (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle)) {
    WDF_ENTER(WdfRequestGetRequestorMode, DISPATCH_LEVEL);
    return RequestInDriver(globals, handle, kName)->irp->RequestorMode;
}

static void CheckMovable(Request *request, const char *function) {
    if (request->cancelable)
        Stop(kRequestFatal, request->Handle(), 0, "%s: request %p is marked cancelable", function,
             request->Handle());
}

WDF_API(NTSTATUS, WdfRequestForwardToIoQueue,
        (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle, WDFQUEUE destination)) {
    WDF_ENTER(WdfRequestForwardToIoQueue, DISPATCH_LEVEL);
    Request *request = RequestInDriver(globals, handle, kName);
    auto *target = From<Queue>(globals, destination, kName);
    Queue *source = request->queue;
    CheckMovable(request, kName);
    if (target->device != request->device)
        return Refuse(STATUS_INVALID_DEVICE_REQUEST, kName, "the queue is another device's");
    if (target == source)
        return Refuse(STATUS_INVALID_DEVICE_REQUEST, kName, "the queue is the one it came from");
    if (!target->accept)
        return STATUS_WDF_BUSY;
    if (source)
        source->ReleaseOwned(request);
    NTSTATUS status = target->Insert(request, false);
    if (!NT_SUCCESS(status)) {
        // The destination closed in between: the driver keeps the request.
        if (source) {
            KIRQL irql;
            KeAcquireSpinLock(&source->lock, &irql);
            source->AddOwned(request);
            KeReleaseSpinLock(&source->lock, irql);
        }
        return status;
    }
    target->Present();
    if (source)
        source->Present();
    return STATUS_SUCCESS;
}

WDF_API(NTSTATUS, WdfRequestRequeue, (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle)) {
    WDF_ENTER(WdfRequestRequeue, DISPATCH_LEVEL);
    Request *request = RequestInDriver(globals, handle, kName);
    Queue *queue = request->queue;
    CheckMovable(request, kName);
    if (!queue || queue->config.DispatchType != WdfIoQueueDispatchManual)
        return Refuse(STATUS_INVALID_DEVICE_REQUEST, kName, "only manual queues take back");
    queue->ReleaseOwned(request);
    NTSTATUS status = queue->Insert(request, true);
    queue->Present();
    return status;
}

WDF_API(VOID, WdfRequestStopAcknowledge,
        (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle, BOOLEAN requeue)) {
    WDF_ENTER(WdfRequestStopAcknowledge, DISPATCH_LEVEL);
    Request *request = RequestInDriver(globals, handle, kName);
    Queue *queue = request->queue;
    if (!queue || !request->stopPending || request->stopAcknowledged)
        Stop(kQueueFatal, handle, 0, "%s: EvtIoStop doesn't wait for request %p", kName, handle);
    if (requeue) {
        CheckMovable(request, kName);
        queue->ReleaseOwned(request);
        queue->Insert(request, true);
        return;
    }
    KIRQL irql;
    KeAcquireSpinLock(&queue->lock, &irql);
    request->stopAcknowledged = true;
    KeSetEvent(&queue->stopChange, IO_NO_INCREMENT, FALSE);
    KeReleaseSpinLock(&queue->lock, irql);
}
