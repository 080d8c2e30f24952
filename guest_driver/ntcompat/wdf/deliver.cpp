// SPDX-License-Identifier: MIT
// One request on its way into the driver's callback.
#include "queue.h"

namespace wdfldr {

// Calls the handler for the request's type. FALSE: the driver has none.
static bool CallHandler(Queue *queue, Request *request, PIO_STACK_LOCATION stack) {
    auto q = queue->HandleAs<WDFQUEUE>();
    auto r = request->HandleAs<WDFREQUEST>();
    const WDF_IO_QUEUE_CONFIG &config = queue->config;
    const auto &ioctl = stack->Parameters.DeviceIoControl;
    if (stack->MajorFunction == IRP_MJ_READ && config.EvtIoRead)
        config.EvtIoRead(q, r, stack->Parameters.Read.Length);
    else if (stack->MajorFunction == IRP_MJ_WRITE && config.EvtIoWrite)
        config.EvtIoWrite(q, r, stack->Parameters.Write.Length);
    else if (stack->MajorFunction == IRP_MJ_DEVICE_CONTROL && config.EvtIoDeviceControl)
        config.EvtIoDeviceControl(q, r, ioctl.OutputBufferLength, ioctl.InputBufferLength,
                                  ioctl.IoControlCode);
    else if (stack->MajorFunction == IRP_MJ_INTERNAL_DEVICE_CONTROL &&
             config.EvtIoInternalDeviceControl)
        config.EvtIoInternalDeviceControl(q, r, ioctl.OutputBufferLength, ioctl.InputBufferLength,
                                          ioctl.IoControlCode);
    else if (config.EvtIoDefault)
        config.EvtIoDefault(q, r);
    else
        return false;
    return true;
}

bool IsZeroLength(PIO_STACK_LOCATION stack) {
    return (stack->MajorFunction == IRP_MJ_READ && stack->Parameters.Read.Length == 0) ||
           (stack->MajorFunction == IRP_MJ_WRITE && stack->Parameters.Write.Length == 0);
}

void Queue::Deliver(Request *request) {
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(request->irp);
    if (IsZeroLength(stack) && !config.AllowZeroLengthRequests) {
        request->Complete(STATUS_SUCCESS, IO_NO_INCREMENT);
        return;
    }
    KIRQL before = KeGetCurrentIrql();
    bool handled;
    {
        CallbackGuard guard(scopeLock);
        handled = CallHandler(this, request, stack);
    }
    if (KeGetCurrentIrql() != before)
        Stop(kIrqlMismatch, Handle(), KeGetCurrentIrql(),
             "an I/O callback of queue %p returned at IRQL %u, called at %u", Handle(),
             static_cast<unsigned>(KeGetCurrentIrql()), static_cast<unsigned>(before));
    if (!handled)
        request->Complete(STATUS_INVALID_DEVICE_REQUEST, IO_NO_INCREMENT);
}

void WaitFor(Queue *queue, KEVENT *event, const char *what) {
    LARGE_INTEGER interval;
    interval.QuadPart = -50000000; // 5 s
    while (KeWaitForSingleObject(event, Executive, KernelMode, FALSE, &interval) == STATUS_TIMEOUT)
        DbgPrint("WDFLDR: %s: %s waits, %u requests queued, %u in the driver\n",
                 queue->globals->pub.DriverName, what, static_cast<unsigned>(queue->pendingCount),
                 static_cast<unsigned>(queue->ownedCount));
}

} // namespace wdfldr
