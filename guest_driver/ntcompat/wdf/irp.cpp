// SPDX-License-Identifier: MIT
// Dispatch routine of every bound driver, and IRPs on their way through the stack.
#include "device.h"

namespace wdfldr {

NTSTATUS CompleteIrp(PIRP irp, NTSTATUS status, ULONG_PTR information) {
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

NTSTATUS PassDown(Device *device, PIRP irp) {
    IoSkipCurrentIrpStackLocation(irp);
    return IoCallDriver(device->attached, irp);
}

void PassDownPended(Device *device, PIRP irp) {
    IoCopyCurrentIrpStackLocationToNext(irp);
    IoCallDriver(device->attached, irp);
}

static NTSTATUS NTAPI SignalCompletion(PDEVICE_OBJECT, PIRP irp, PVOID context) {
    if (irp->PendingReturned)
        KeSetEvent(static_cast<PKEVENT>(context), IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

NTSTATUS PassDownAndWait(Device *device, PIRP irp) {
    KEVENT done;
    KeInitializeEvent(&done, NotificationEvent, FALSE);
    IoCopyCurrentIrpStackLocationToNext(irp);
    IoSetCompletionRoutine(irp, &SignalCompletion, &done, TRUE, TRUE, TRUE);
    NTSTATUS status = IoCallDriver(device->attached, irp);
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, nullptr);
        status = irp->IoStatus.Status;
    }
    return status;
}

static NTSTATUS NTAPI OwnIrpCompletion(PDEVICE_OBJECT, PIRP, PVOID context) {
    KeSetEvent(static_cast<PKEVENT>(context), IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

NTSTATUS SendPnpIrp(PDEVICE_OBJECT target, const IO_STACK_LOCATION *stack, ULONG_PTR *information) {
    KEVENT done;
    KeInitializeEvent(&done, NotificationEvent, FALSE);
    PIRP irp = IoAllocateIrp(target->StackSize, FALSE);
    if (!irp)
        return STATUS_INSUFFICIENT_RESOURCES;
    irp->IoStatus.Status = STATUS_NOT_SUPPORTED;
    irp->IoStatus.Information = information ? *information : 0;
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_PNP;
    next->MinorFunction = stack->MinorFunction;
    next->Parameters = stack->Parameters;
    IoSetCompletionRoutine(irp, &OwnIrpCompletion, &done, TRUE, TRUE, TRUE);
    IoCallDriver(target, irp);
    KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, nullptr);
    NTSTATUS status = irp->IoStatus.Status;
    if (information)
        *information = irp->IoStatus.Information;
    IoFreeIrp(irp);
    return status;
}

NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT deviceObject, PIRP irp) {
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    Device *device = ToDevice(deviceObject);
    if (!device)
        return CompleteIrp(irp, STATUS_NO_SUCH_DEVICE);
    switch (stack->MajorFunction) {
    case IRP_MJ_PNP:
        return DispatchPnp(deviceObject, irp);
    case IRP_MJ_POWER:
        return DispatchPower(deviceObject, irp);
    case IRP_MJ_SYSTEM_CONTROL:
        return PassDown(device, irp);
    case IRP_MJ_CREATE:
    case IRP_MJ_CLEANUP:
    case IRP_MJ_CLOSE:
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
    case IRP_MJ_DEVICE_CONTROL:
    case IRP_MJ_INTERNAL_DEVICE_CONTROL:
        return DispatchIo(deviceObject, irp);
    default:
        // A function driver is the last that could have known this IRP.
        return CompleteIrp(irp, STATUS_INVALID_DEVICE_REQUEST);
    }
}

} // namespace wdfldr
