// SPDX-License-Identifier: MIT
//
// IofCallDriver and IofCompleteRequest, with the rules of Driver Verifier's I/O
// verification: pending returned if and only if marked, the status returned is
// the status completed with, IRQL unchanged, completed once.
#include "io/iop.h"

static const char *DriverText(PDEVICE_OBJECT device, char text[40]) {
    UNICODE_STRING *name = &device->DriverObject->DriverName;
    size_t length = name->Length / sizeof(WCHAR);
    size_t i = 0;
    for (; i < length && i < 39; i++)
        text[i] = (char)name->Buffer[i];
    text[i] = 0;
    return text;
}

struct CALL_FACTS {
    PIRP irp; // only for its address: it may be gone
    PDEVICE_OBJECT device;
    UCHAR major;
    UCHAR minor;
};

// `number` is that of Microsoft's I/O error codes.
static DECLSPEC_NORETURN void BadReturn(const CALL_FACTS &facts, ULONG number, const char *rule,
                                        NTSTATUS returned, NTSTATUS completed) {
    char text[40];
    DbgPrint("io: %s, major 0x%02x minor 0x%02x: %s (returned 0x%08x, IoStatus 0x%08x)\n",
             DriverText(facts.device, text), facts.major, facts.minor, rule, returned, completed);
    PDRIVER_DISPATCH routine = facts.device->DriverObject->MajorFunction[facts.major];
    KdViolation(IOP_VERIFIER_IO, rule, number, (uint64_t)routine, (uint64_t)facts.irp,
                (uint64_t)facts.device);
}

static void CheckReturn(const CALL_FACTS &facts, IOP_IRP_HEADER *header, IOP_CALL *call,
                        NTSTATUS status) {
    KIRQL irql;
    KeAcquireSpinLock(&IopIrpLock, &irql);
    bool completed = call->completed;
    if (!completed) {
        RemoveEntryList(&call->links);
        if (status == STATUS_PENDING)
            header->returned_pending[(int)call->location] = TRUE;
    }
    KeReleaseSpinLock(&IopIrpLock, irql);
    if (!completed) {
        if (status != STATUS_PENDING)
            BadReturn(facts, 0x226, "a dispatch routine returned without completing its IRP",
                      status, STATUS_PENDING);
        return;
    }
    if (status == STATUS_PENDING && !call->pending)
        BadReturn(facts, 0x23D, "STATUS_PENDING returned for an IRP that was not marked pending",
                  status, call->status);
    if (status != STATUS_PENDING && call->pending)
        BadReturn(facts, 0x23E, "an IRP marked pending, but STATUS_PENDING not returned", status,
                  call->status);
    if (status != STATUS_PENDING && status != call->status)
        BadReturn(facts, 0x224, "the status returned is not the one in the IRP", status,
                  call->status);
}

static void CheckNewIrp(PIRP irp, IOP_IRP_HEADER *header, PIO_STACK_LOCATION location) {
    if (irp->CurrentLocation + 1 < header->owner_location)
        return; // on its way down already
    bool first = header->owner_location == 0;
    header->owner_location = (CHAR)(irp->CurrentLocation + 1);
    bool answered =
        location->MajorFunction == IRP_MJ_PNP || location->MajorFunction == IRP_MJ_POWER;
    if (first && answered && header->kind == IopIrpDriver &&
        irp->IoStatus.Status != STATUS_NOT_SUPPORTED)
        KdViolation(IOP_VERIFIER_IO, "a PnP or power IRP must start as STATUS_NOT_SUPPORTED",
                    location->MajorFunction == IRP_MJ_PNP ? 0x20E : 0x20F,
                    (uint64_t)(ULONG)irp->IoStatus.Status, (uint64_t)irp,
                    (uint64_t)location->DeviceObject);
}

static NTSTATUS Dispatch(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION location) {
    CALL_FACTS facts = {irp, device, location->MajorFunction, location->MinorFunction};
    PDRIVER_DISPATCH routine = device->DriverObject->MajorFunction[location->MajorFunction];
    IOP_IRP_HEADER *header = IopIrpHeader(irp);
    IOP_CALL call = {};
    if (header) {
        CheckNewIrp(irp, header, location);
        call.location = irp->CurrentLocation;
        KIRQL irql;
        KeAcquireSpinLock(&IopIrpLock, &irql);
        header->returned_pending[(int)call.location] = FALSE;
        InsertTailList(&header->calls, &call.links);
        KeReleaseSpinLock(&IopIrpLock, irql);
    }
    // The device object must outlive the dispatch routine, which may delete it.
    ObReferenceObject(device);
    KIRQL before = KeGetCurrentIrql();
    NTSTATUS status = routine(device, irp);
    KIRQL after = KeGetCurrentIrql();
    if (before != after)
        KdViolation(IOP_VERIFIER_IO, "the IRQL changed during a dispatch routine", 5,
                    (uint64_t)device, before, after);
    if (header)
        CheckReturn(facts, header, &call, status);
    ObDereferenceObject(device);
    return status;
}

extern "C" NTSTATUS FASTCALL IofCallDriver(IN PDEVICE_OBJECT DeviceObject, IN OUT PIRP Irp) {
    if (KeGetCurrentIrql() > DISPATCH_LEVEL)
        KdViolation(IOP_VERIFIER_IO, "IoCallDriver above DISPATCH_LEVEL", 0x10, KeGetCurrentIrql(),
                    0, 0);
    if (Irp->Type != IO_TYPE_IRP)
        KdViolation(IOP_VERIFIER_IO, "IoCallDriver: not an IRP, or a freed one", 3, (uint64_t)Irp,
                    0, 0);
    IopRequireDevice(DeviceObject, "IoCallDriver");
    if (Irp->CancelRoutine)
        KdViolation(IOP_VERIFIER_IO, "an IRP was forwarded with its cancel routine set", 0x203,
                    (uint64_t)Irp->CancelRoutine, (uint64_t)Irp, (uint64_t)DeviceObject);
    Irp->CurrentLocation--;
    if (Irp->CurrentLocation <= 0)
        KeBugCheckEx(NO_MORE_IRP_STACK_LOCATIONS, (ULONG_PTR)Irp, 0, 0, 0);
    PIO_STACK_LOCATION location = Irp->Tail.Overlay.CurrentStackLocation - 1;
    Irp->Tail.Overlay.CurrentStackLocation = location;
    if (location->MajorFunction > IRP_MJ_MAXIMUM_FUNCTION)
        KdViolation(IOP_VERIFIER_IO, "IoCallDriver: major function out of range", 0, (uint64_t)Irp,
                    location->MajorFunction, 0);
    location->DeviceObject = DeviceObject;
    return Dispatch(DeviceObject, Irp, location);
}

// The IRP leaves stack location `current`: tells the dispatch routines that were
// called with it, and holds them to what they returned.
static void LeaveLocation(PIRP irp, PIO_STACK_LOCATION location) {
    IOP_IRP_HEADER *header = IopIrpHeader(irp);
    if (!header)
        return;
    CHAR current = irp->CurrentLocation;
    bool pending = (location->Control & SL_PENDING_RETURNED) != 0;
    KIRQL irql;
    KeAcquireSpinLock(&IopIrpLock, &irql);
    PLIST_ENTRY next;
    for (PLIST_ENTRY e = header->calls.Flink; e != &header->calls; e = next) {
        next = e->Flink;
        IOP_CALL *call = CONTAINING_RECORD(e, IOP_CALL, links);
        if (call->location > current)
            continue;
        RemoveEntryList(e);
        call->completed = TRUE;
        call->pending = pending;
        call->status = irp->IoStatus.Status;
    }
    bool promised = header->returned_pending[(int)current];
    header->returned_pending[(int)current] = FALSE;
    KeReleaseSpinLock(&IopIrpLock, irql);
    if (promised && !pending) {
        CALL_FACTS facts = {irp, location->DeviceObject, location->MajorFunction,
                            location->MinorFunction};
        BadReturn(facts, 0x23D, "STATUS_PENDING returned for an IRP that was not marked pending",
                  STATUS_PENDING, irp->IoStatus.Status);
    }
}

// As NT: a completion routine finds the parameters of the location below it gone.
static void ClearLocation(PIO_STACK_LOCATION location) {
    location->MinorFunction = 0;
    location->Flags = 0;
    location->Control &= SL_ERROR_RETURNED;
    location->Parameters.Others.Argument1 = nullptr;
    location->Parameters.Others.Argument2 = nullptr;
    location->Parameters.Others.Argument3 = nullptr;
    location->Parameters.Others.Argument4 = nullptr;
    location->FileObject = nullptr;
}

static bool Wanted(PIRP irp, UCHAR control) {
    if (irp->Cancel && (control & SL_INVOKE_ON_CANCEL))
        return true;
    return (control &
            (NT_SUCCESS(irp->IoStatus.Status) ? SL_INVOKE_ON_SUCCESS : SL_INVOKE_ON_ERROR)) != 0;
}

// Returns false when the routine wants the IRP for itself.
static bool CallCompletion(PIRP irp, PIO_STACK_LOCATION location) {
    UCHAR control = location->Control;
    PIO_COMPLETION_ROUTINE routine = location->CompletionRoutine;
    if (!Wanted(irp, control)) {
        ClearLocation(location);
        // Without a routine to do it, pending goes up by itself.
        if (irp->PendingReturned && irp->CurrentLocation <= irp->StackCount)
            IoMarkIrpPending(irp);
        return true;
    }
    ClearLocation(location);
    PDEVICE_OBJECT device = nullptr;
    if (irp->CurrentLocation <= irp->StackCount)
        device = IoGetCurrentIrpStackLocation(irp)->DeviceObject;
    KIRQL before = KeGetCurrentIrql();
    NTSTATUS status = routine(device, irp, location->Context);
    if (before != KeGetCurrentIrql())
        KdViolation(IOP_VERIFIER_IO, "the IRQL changed during a completion routine", 0,
                    (uint64_t)routine, before, KeGetCurrentIrql());
    return status != STATUS_MORE_PROCESSING_REQUIRED;
}

static void CheckCompletion(PIRP irp) {
    KIRQL irql = KeGetCurrentIrql();
    if (irql > DISPATCH_LEVEL)
        KdViolation(IOP_VERIFIER_IO, "IoCompleteRequest above DISPATCH_LEVEL", 0x0E, irql,
                    (uint64_t)irp, 0);
    IOP_IRP_HEADER *header = nullptr;
    if (irp->Type == IO_TYPE_IRP)
        header = IopIrpHeader(irp);
    if (irp->Type != IO_TYPE_IRP || irp->CurrentLocation > irp->StackCount + 1 ||
        (header && header->owner_location && irp->CurrentLocation >= header->owner_location))
        KeBugCheckEx(MULTIPLE_IRP_COMPLETE_REQUESTS, (ULONG_PTR)irp, 0, 0, 0);
    if (irp->CancelRoutine)
        KdViolation(IOP_VERIFIER_IO, "IoCompleteRequest while the cancel routine is set", 7,
                    (uint64_t)irp->CancelRoutine, (uint64_t)irp, 0);
    NTSTATUS status = irp->IoStatus.Status;
    if (status == STATUS_PENDING || status == (NTSTATUS)-1)
        KdViolation(IOP_VERIFIER_IO, "IoCompleteRequest with STATUS_PENDING or -1", 6,
                    (uint64_t)(ULONG)status, (uint64_t)irp, 0);
}

extern "C" VOID FASTCALL IofCompleteRequest(IN PIRP Irp, IN CCHAR PriorityBoost) {
    (void)PriorityBoost; // the waker's boost is given by KeSetEvent of the owner
    CheckCompletion(Irp);
    while (Irp->CurrentLocation <= Irp->StackCount) {
        PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
        Irp->PendingReturned = (location->Control & SL_PENDING_RETURNED) != 0;
        LeaveLocation(Irp, location);
        Irp->CurrentLocation++;
        Irp->Tail.Overlay.CurrentStackLocation++;
        if (!NT_SUCCESS(Irp->IoStatus.Status))
            location->Control |= SL_ERROR_RETURNED;
        if (!CallCompletion(Irp, location))
            return;
    }
    Irp->CurrentLocation = (CHAR)(Irp->StackCount + 2);
    IopFinishRequest(Irp);
}

extern "C" NTSTATUS NTAPI IoSetCompletionRoutineEx(IN PDEVICE_OBJECT DeviceObject, IN PIRP Irp,
                                                   IN PIO_COMPLETION_ROUTINE CompletionRoutine,
                                                   IN PVOID Context, IN BOOLEAN InvokeOnSuccess,
                                                   IN BOOLEAN InvokeOnError,
                                                   IN BOOLEAN InvokeOnCancel) {
    // The plain form keeps the driver from being unloaded only if its device stays;
    // a device with a request in flight isn't removed here.
    IopRequireDevice(DeviceObject, "IoSetCompletionRoutineEx");
    IoSetCompletionRoutine(Irp, CompletionRoutine, Context, InvokeOnSuccess, InvokeOnError,
                           InvokeOnCancel);
    return STATUS_SUCCESS;
}

struct FORWARD_WAIT {
    KEVENT event;
};

static NTSTATUS NTAPI ForwardDone(PDEVICE_OBJECT, PIRP irp, PVOID context) {
    if (irp->PendingReturned)
        KeSetEvent(&((FORWARD_WAIT *)context)->event, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

extern "C" BOOLEAN NTAPI IoForwardIrpSynchronously(IN PDEVICE_OBJECT DeviceObject, IN PIRP Irp) {
    IopRequireIrql(PASSIVE_LEVEL, "IoForwardIrpSynchronously");
    if (Irp->CurrentLocation <= 1)
        return FALSE;
    FORWARD_WAIT wait;
    KeInitializeEvent(&wait.event, NotificationEvent, FALSE);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, ForwardDone, &wait, TRUE, TRUE, TRUE);
    if (IofCallDriver(DeviceObject, Irp) == STATUS_PENDING)
        KeWaitForSingleObject(&wait.event, Executive, KernelMode, FALSE, nullptr);
    return TRUE;
}
