// SPDX-License-Identifier: MIT
//
// Ready-made requests, and the last step of each completed one.
#include "io/iop.h"

static void RequireBuffer(PDEVICE_OBJECT device, PVOID buffer, ULONG length, ULONG code,
                          ULONG rule) {
    if (!length || !buffer)
        return;
    uint64_t first = (uint64_t)buffer;
    if (MiPhysicalAddress(first) && MiPhysicalAddress(first + length - 1))
        return;
    KdViolation(IOP_VERIFIER_IO, "an I/O request was built on an invalid buffer", rule,
                (uint64_t)device, code, first);
}

static NTSTATUS AttachMdl(PIRP irp, PVOID buffer, ULONG length, LOCK_OPERATION operation) {
    PMDL mdl = IoAllocateMdl(buffer, length, FALSE, FALSE, irp);
    if (!mdl)
        return STATUS_INSUFFICIENT_RESOURCES;
    MmProbeAndLockPages(mdl, KernelMode, operation);
    return STATUS_SUCCESS;
}

static NTSTATUS AttachSystemBuffer(PIRP irp, const void *in, ULONG in_length, PVOID out,
                                   ULONG size) {
    PVOID buffer = ExAllocatePoolWithTag(NonPagedPool, size, IOP_TAG_BUFFER);
    if (!buffer)
        return STATUS_INSUFFICIENT_RESOURCES;
    // Output bytes a driver never wrote must not look like an answer.
    RtlFillMemory(buffer, size, 0xCD);
    if (in_length)
        RtlCopyMemory(buffer, in, in_length);
    irp->AssociatedIrp.SystemBuffer = buffer;
    irp->UserBuffer = out;
    irp->Flags |= IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER;
    if (out)
        irp->Flags |= IRP_INPUT_OPERATION;
    return STATUS_SUCCESS;
}

// Buffers of a device control request by the method in its code.
NTSTATUS IopSetControlBuffers(PIRP irp, ULONG code, PVOID in, ULONG in_length, PVOID out,
                              ULONG out_length) {
    PIO_STACK_LOCATION location = IoGetNextIrpStackLocation(irp);
    location->Parameters.DeviceIoControl.IoControlCode = code;
    location->Parameters.DeviceIoControl.InputBufferLength = in_length;
    location->Parameters.DeviceIoControl.OutputBufferLength = out_length;
    location->Parameters.DeviceIoControl.Type3InputBuffer = nullptr;
    switch (code & 3) {
    case METHOD_BUFFERED: {
        ULONG size = in_length > out_length ? in_length : out_length;
        if (!size)
            return STATUS_SUCCESS;
        return AttachSystemBuffer(irp, in, in_length, out_length ? out : nullptr, size);
    }
    case METHOD_IN_DIRECT:
    case METHOD_OUT_DIRECT:
        if (in && in_length) {
            NTSTATUS status = AttachSystemBuffer(irp, in, in_length, nullptr, in_length);
            if (!NT_SUCCESS(status))
                return status;
        }
        if (!out || !out_length)
            return STATUS_SUCCESS;
        return AttachMdl(irp, out, out_length,
                         (code & 3) == METHOD_IN_DIRECT ? IoReadAccess : IoWriteAccess);
    default:
        location->Parameters.DeviceIoControl.Type3InputBuffer = in;
        irp->UserBuffer = out;
        return STATUS_SUCCESS;
    }
}

// Buffers of a read or write as the device asks for them (buffered, direct, neither).
NTSTATUS IopSetTransferBuffers(PDEVICE_OBJECT device, PIRP irp, bool write, PVOID buffer,
                               ULONG length) {
    if (device->Flags & DO_BUFFERED_IO) {
        if (!length)
            return STATUS_SUCCESS;
        return AttachSystemBuffer(irp, buffer, write ? length : 0, write ? nullptr : buffer,
                                  length);
    }
    if ((device->Flags & DO_DIRECT_IO) && length)
        return AttachMdl(irp, buffer, length, write ? IoReadAccess : IoWriteAccess);
    irp->UserBuffer = buffer;
    return STATUS_SUCCESS;
}

// Drops what hangs on an IRP that never was sent.
void IopDropIrp(PIRP irp) {
    while (irp->MdlAddress) {
        PMDL mdl = irp->MdlAddress;
        irp->MdlAddress = mdl->Next;
        if (mdl->MdlFlags & MDL_PAGES_LOCKED)
            MmUnlockPages(mdl);
        IoFreeMdl(mdl);
    }
    if (irp->Flags & IRP_DEALLOCATE_BUFFER)
        ExFreePoolWithTag(irp->AssociatedIrp.SystemBuffer, IOP_TAG_BUFFER);
    IopReleaseIrp(irp);
}

extern "C" PIRP NTAPI IoBuildDeviceIoControlRequest(
    IN ULONG IoControlCode, IN PDEVICE_OBJECT DeviceObject, IN PVOID InputBuffer OPTIONAL,
    IN ULONG InputBufferLength, OUT PVOID OutputBuffer OPTIONAL, IN ULONG OutputBufferLength,
    IN BOOLEAN InternalDeviceIoControl, IN PKEVENT Event, OUT PIO_STATUS_BLOCK IoStatusBlock) {
    IopRequireIrql(PASSIVE_LEVEL, "IoBuildDeviceIoControlRequest");
    IopRequireDevice(DeviceObject, "IoBuildDeviceIoControlRequest");
    RequireBuffer(DeviceObject, InputBuffer, InputBufferLength, IoControlCode, 9);
    RequireBuffer(DeviceObject, OutputBuffer, OutputBufferLength, IoControlCode, 9);
    PIRP irp = IopAllocateIrp(DeviceObject->StackSize, IopIrpThread,
                              (uint64_t)__builtin_return_address(0));
    if (!irp)
        return nullptr;
    PIO_STACK_LOCATION location = IoGetNextIrpStackLocation(irp);
    location->MajorFunction =
        InternalDeviceIoControl ? IRP_MJ_INTERNAL_DEVICE_CONTROL : IRP_MJ_DEVICE_CONTROL;
    NTSTATUS status = IopSetControlBuffers(irp, IoControlCode, InputBuffer, InputBufferLength,
                                           OutputBuffer, OutputBufferLength);
    if (!NT_SUCCESS(status)) {
        IopDropIrp(irp);
        return nullptr;
    }
    irp->UserIosb = IoStatusBlock;
    irp->UserEvent = Event;
    irp->Tail.Overlay.Thread = (PETHREAD)KeGetCurrentThread();
    IopIrpHeader(irp)->thread = irp->Tail.Overlay.Thread;
    return irp;
}

static PIRP BuildTransfer(ULONG major, PDEVICE_OBJECT device, PVOID buffer, ULONG length,
                          PLARGE_INTEGER offset, PIO_STATUS_BLOCK iosb, IOP_IRP_KIND kind,
                          uint64_t caller) {
    IopRequireDevice(device, "IoBuildAsynchronousFsdRequest");
    PIRP irp = IopAllocateIrp(device->StackSize, kind, caller);
    if (!irp)
        return nullptr;
    PIO_STACK_LOCATION location = IoGetNextIrpStackLocation(irp);
    location->MajorFunction = (UCHAR)major;
    irp->UserIosb = iosb;
    irp->Tail.Overlay.Thread = (PETHREAD)KeGetCurrentThread();
    if (major != IRP_MJ_READ && major != IRP_MJ_WRITE)
        return irp;
    RequireBuffer(device, buffer, length, major, 8);
    NTSTATUS status = IopSetTransferBuffers(device, irp, major == IRP_MJ_WRITE, buffer, length);
    if (!NT_SUCCESS(status)) {
        IopDropIrp(irp);
        return nullptr;
    }
    // Read and Write have the same layout.
    location->Parameters.Read.Length = length;
    if (offset)
        location->Parameters.Read.ByteOffset = *offset;
    return irp;
}

extern "C" PIRP NTAPI IoBuildAsynchronousFsdRequest(IN ULONG MajorFunction,
                                                    IN PDEVICE_OBJECT DeviceObject,
                                                    IN OUT PVOID Buffer OPTIONAL,
                                                    IN ULONG Length OPTIONAL,
                                                    IN PLARGE_INTEGER StartingOffset OPTIONAL,
                                                    IN PIO_STATUS_BLOCK IoStatusBlock OPTIONAL) {
    IopRequireIrql(DISPATCH_LEVEL, "IoBuildAsynchronousFsdRequest");
    return BuildTransfer(MajorFunction, DeviceObject, Buffer, Length, StartingOffset, IoStatusBlock,
                         IopIrpDriver, (uint64_t)__builtin_return_address(0));
}

extern "C" PIRP NTAPI IoBuildSynchronousFsdRequest(
    IN ULONG MajorFunction, IN PDEVICE_OBJECT DeviceObject, IN OUT PVOID Buffer OPTIONAL,
    IN ULONG Length OPTIONAL, IN PLARGE_INTEGER StartingOffset OPTIONAL, IN PKEVENT Event,
    OUT PIO_STATUS_BLOCK IoStatusBlock) {
    IopRequireIrql(PASSIVE_LEVEL, "IoBuildSynchronousFsdRequest");
    PIRP irp = BuildTransfer(MajorFunction, DeviceObject, Buffer, Length, StartingOffset,
                             IoStatusBlock, IopIrpThread, (uint64_t)__builtin_return_address(0));
    if (irp)
        irp->UserEvent = Event;
    return irp;
}

// ---- the end of a request ------------------------------------------------------

static void ReturnBuffers(PIRP irp) {
    bool wanted = (irp->Flags & IRP_BUFFERED_IO) && (irp->Flags & IRP_INPUT_OPERATION);
    if (wanted && !NT_ERROR(irp->IoStatus.Status) && irp->IoStatus.Information)
        RtlCopyMemory(irp->UserBuffer, irp->AssociatedIrp.SystemBuffer, irp->IoStatus.Information);
    if (irp->Flags & IRP_DEALLOCATE_BUFFER) {
        ExFreePoolWithTag(irp->AssociatedIrp.SystemBuffer, IOP_TAG_BUFFER);
        irp->AssociatedIrp.SystemBuffer = nullptr;
    }
    irp->Flags &= ~(ULONG)(IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER | IRP_INPUT_OPERATION);
    while (irp->MdlAddress) {
        PMDL mdl = irp->MdlAddress;
        irp->MdlAddress = mdl->Next;
        if (mdl->MdlFlags & MDL_PAGES_LOCKED)
            MmUnlockPages(mdl);
        IoFreeMdl(mdl);
    }
}

// Every address is a system address, so no APC to the thread is needed to reach
// its buffers; what NT does in one is done here, at the completer's IRQL.
void IopFinishRequest(PIRP irp) {
    IOP_IRP_HEADER *header = IopIrpHeader(irp);
    if (!header || header->kind == IopIrpDriver) {
        DbgPrint("io: IRP %p was completed up to its creator, and no completion routine took it\n",
                 irp);
        KdViolation(IOP_VERIFIER_IO,
                    "an IRP of IoAllocateIrp needs a completion routine returning "
                    "STATUS_MORE_PROCESSING_REQUIRED",
                    1, (uint64_t)irp, 0, 0);
    }
    ReturnBuffers(irp);
    NTSTATUS status = irp->IoStatus.Status;
    bool internal = header->kind == IopIrpInternal;
    PKEVENT event = irp->UserEvent;
    PKEVENT referenced = header->user_event_object;
    PFILE_OBJECT file = irp->Tail.Overlay.OriginalFileObject;
    // An error found at once is only returned; NT leaves status block and event alone.
    bool tell = internal || !NT_ERROR(status) || irp->PendingReturned;
    // The status last: who looks for it to change finds the length there.
    if (tell && irp->UserIosb) {
        irp->UserIosb->Information = irp->IoStatus.Information;
        __atomic_store_n(&irp->UserIosb->Status, irp->IoStatus.Status, __ATOMIC_RELEASE);
    }
    if (!internal)
        IopReleaseIrp(irp);
    if (tell && event)
        KeSetEvent(event, IO_NO_INCREMENT, FALSE);
    else if (tell && file && !internal)
        KeSetEvent(&file->Event, IO_NO_INCREMENT, FALSE);
    if (referenced)
        ObDereferenceObject(referenced);
    if (file && !internal)
        ObDereferenceObject(file);
}

NTSTATUS IopSynchronousCall(PDEVICE_OBJECT device, const IO_STACK_LOCATION *location,
                            NTSTATUS initial, ULONG_PTR *information) {
    IopRequireIrql(PASSIVE_LEVEL, "IopSynchronousCall");
    KEVENT done;
    IO_STATUS_BLOCK iosb = {};
    PDEVICE_OBJECT top = IoGetAttachedDeviceReference(device);
    PIRP irp = IopAllocateIrp(top->StackSize, IopIrpInternal, 0);
    if (!irp) {
        ObDereferenceObject(top);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    KeInitializeEvent(&done, NotificationEvent, FALSE);
    irp->UserIosb = &iosb;
    irp->UserEvent = &done;
    irp->IoStatus.Status = initial;
    irp->IoStatus.Information = information ? *information : 0;
    irp->Tail.Overlay.Thread = (PETHREAD)KeGetCurrentThread();
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);
    *next = *location;
    if (IofCallDriver(top, irp) == STATUS_PENDING)
        KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, nullptr);
    IopReleaseIrp(irp);
    ObDereferenceObject(top);
    if (information)
        *information = iosb.Information;
    return iosb.Status;
}
