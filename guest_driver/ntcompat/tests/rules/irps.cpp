// SPDX-License-Identifier: MIT
//
// IRPs: a device of this driver gets them, and does with them what the case says.
#include "rules.h"

static PDEVICE_OBJECT Upper, Lower;
static PDRIVER_DISPATCH Handler; // of device control requests
static KEVENT Completed;

static NTSTATUS Complete(PIRP irp, NTSTATUS status) {
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp) {
    return Handler(device, irp);
}

static NTSTATUS NTAPI Keep(PDEVICE_OBJECT, PIRP, PVOID) {
    KeSetEvent(&Completed, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS Prepare(PDRIVER_OBJECT driver, PDRIVER_DISPATCH handler) {
    Handler = handler;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    KeInitializeEvent(&Completed, NotificationEvent, FALSE);
    NTSTATUS status = IoCreateDevice(driver, 0, nullptr, FILE_DEVICE_UNKNOWN, 0, FALSE, &Upper);
    if (NT_SUCCESS(status))
        status = IoCreateDevice(driver, 0, nullptr, FILE_DEVICE_UNKNOWN, 0, FALSE, &Lower);
    return status;
}

// A device control request of the driver's own, not sent yet.
static PIRP NewRequest(void) {
    PIRP irp = IoAllocateIrp(1, FALSE);
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    IoSetCompletionRoutine(irp, Keep, nullptr, TRUE, TRUE, TRUE);
    return irp;
}

static NTSTATUS Send(PDRIVER_OBJECT driver, PDRIVER_DISPATCH handler) {
    NTSTATUS status = Prepare(driver, handler);
    if (NT_SUCCESS(status))
        IoCallDriver(Upper, NewRequest());
    return status;
}

// ---- in the dispatch routine ----------------------------------------------------------

static NTSTATUS NTAPI TwiceHandler(PDEVICE_OBJECT, PIRP irp) {
    Complete(irp, STATUS_SUCCESS);
    return Complete(irp, STATUS_SUCCESS);
}
static NTSTATUS CompleteTwice(PDRIVER_OBJECT driver) {
    return Send(driver, TwiceHandler);
}

static NTSTATUS NTAPI PendingStatusHandler(PDEVICE_OBJECT, PIRP irp) {
    return Complete(irp, STATUS_PENDING);
}
static NTSTATUS PendingStatus(PDRIVER_OBJECT driver) {
    return Send(driver, PendingStatusHandler);
}

static NTSTATUS NTAPI NotMarkedHandler(PDEVICE_OBJECT, PIRP irp) {
    Complete(irp, STATUS_SUCCESS);
    return STATUS_PENDING;
}
static NTSTATUS NotMarked(PDRIVER_OBJECT driver) {
    return Send(driver, NotMarkedHandler);
}

static NTSTATUS NTAPI MarkedHandler(PDEVICE_OBJECT, PIRP irp) {
    IoMarkIrpPending(irp);
    return Complete(irp, STATUS_SUCCESS);
}
static NTSTATUS Marked(PDRIVER_OBJECT driver) {
    return Send(driver, MarkedHandler);
}

static NTSTATUS NTAPI OtherStatusHandler(PDEVICE_OBJECT, PIRP irp) {
    Complete(irp, STATUS_SUCCESS);
    return STATUS_UNSUCCESSFUL;
}
static NTSTATUS OtherStatus(PDRIVER_OBJECT driver) {
    return Send(driver, OtherStatusHandler);
}

static NTSTATUS NTAPI ForgottenHandler(PDEVICE_OBJECT, PIRP) {
    return STATUS_SUCCESS;
}
static NTSTATUS Forgotten(PDRIVER_OBJECT driver) {
    return Send(driver, ForgottenHandler);
}

static NTSTATUS NTAPI NoStackHandler(PDEVICE_OBJECT device, PIRP irp) {
    if (device == Lower)
        return Complete(irp, STATUS_SUCCESS);
    IoCopyCurrentIrpStackLocationToNext(irp);
    return IoCallDriver(Lower, irp);
}
static NTSTATUS NoStack(PDRIVER_OBJECT driver) {
    return Send(driver, NoStackHandler);
}

static NTSTATUS NTAPI RaisedHandler(PDEVICE_OBJECT, PIRP irp) {
    KIRQL irql;
    Complete(irp, STATUS_SUCCESS);
    KeRaiseIrql(APC_LEVEL, &irql);
    return STATUS_SUCCESS;
}
static NTSTATUS Raised(PDRIVER_OBJECT driver) {
    return Send(driver, RaisedHandler);
}

static NTSTATUS NTAPI HighHandler(PDEVICE_OBJECT, PIRP irp) {
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL + 1, &irql);
    return Complete(irp, STATUS_SUCCESS);
}
static NTSTATUS CompleteHigh(PDRIVER_OBJECT driver) {
    return Send(driver, HighHandler);
}

static VOID NTAPI CancelRoutine(PDEVICE_OBJECT, PIRP irp) {
    IoReleaseCancelSpinLock(irp->CancelIrql);
    Complete(irp, STATUS_CANCELLED);
}

static NTSTATUS NTAPI CancelSetHandler(PDEVICE_OBJECT, PIRP irp) {
    IoSetCancelRoutine(irp, CancelRoutine);
    return Complete(irp, STATUS_SUCCESS);
}
static NTSTATUS CompleteCancelSet(PDRIVER_OBJECT driver) {
    return Send(driver, CancelSetHandler);
}

// ---- in the sender --------------------------------------------------------------------

static NTSTATUS NTAPI PendHandler(PDEVICE_OBJECT, PIRP irp) {
    IoMarkIrpPending(irp);
    return STATUS_PENDING;
}

static NTSTATUS FreeInFlight(PDRIVER_OBJECT driver) {
    NTSTATUS status = Prepare(driver, PendHandler);
    if (!NT_SUCCESS(status))
        return status;
    PIRP irp = NewRequest();
    IoCallDriver(Upper, irp);
    IoFreeIrp(irp);
    return STATUS_SUCCESS;
}

static NTSTATUS FreeTwice(PDRIVER_OBJECT) {
    PIRP irp = IoAllocateIrp(1, FALSE);
    IoFreeIrp(irp);
    IoFreeIrp(irp);
    return STATUS_SUCCESS;
}

static NTSTATUS Leak(PDRIVER_OBJECT) {
    return IoAllocateIrp(1, FALSE) ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static NTSTATUS SendFreed(PDRIVER_OBJECT driver) {
    NTSTATUS status = Prepare(driver, ForgottenHandler);
    if (!NT_SUCCESS(status))
        return status;
    PIRP irp = NewRequest();
    IoFreeIrp(irp);
    return IoCallDriver(Upper, irp);
}

static NTSTATUS SendHigh(PDRIVER_OBJECT driver) {
    NTSTATUS status = Prepare(driver, ForgottenHandler);
    if (!NT_SUCCESS(status))
        return status;
    PIRP irp = NewRequest();
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL + 1, &irql);
    return IoCallDriver(Upper, irp);
}

static NTSTATUS PowerStatus(PDRIVER_OBJECT driver) {
    NTSTATUS status = Prepare(driver, ForgottenHandler);
    if (!NT_SUCCESS(status))
        return status;
    PIRP irp = NewRequest();
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_PNP;
    next->MinorFunction = IRP_MN_QUERY_INTERFACE;
    return IoCallDriver(Upper, irp);
}

const RuleCase IrpCases[] = {
    {"irp-complete-twice", CompleteTwice},
    {"irp-complete-pending", PendingStatus},
    {"irp-pending-not-marked", NotMarked},
    {"irp-marked-not-pending", Marked},
    {"irp-other-status", OtherStatus},
    {"irp-forgotten", Forgotten},
    {"irp-no-stack", NoStack},
    {"irp-dispatch-raised", Raised},
    {"irp-complete-high", CompleteHigh},
    {"irp-complete-cancel-set", CompleteCancelSet},
    {"irp-free-in-flight", FreeInFlight},
    {"irp-free-twice", FreeTwice},
    {"irp-leak", Leak},
    {"irp-send-freed", SendFreed},
    {"irp-send-high", SendHigh},
    {"irp-pnp-status", PowerStatus},
    {nullptr, nullptr},
};
