// SPDX-License-Identifier: MIT
//
// ZwReadFile, ZwWriteFile, ZwDeviceIoControlFile.
#include "io/file.h"

struct REQUEST {
    PFILE_OBJECT file;
    ACCESS_MASK granted;   // the handle's access
    PDEVICE_OBJECT device; // top of the stack, referenced
    PKEVENT event;         // the caller's, referenced, or null
    PIRP irp;
    KEVENT done; // synchronous files
    IO_STATUS_BLOCK iosb;
};

static void Drop(REQUEST *request) {
    if (request->event)
        ObDereferenceObject(request->event);
    if (request->device)
        ObDereferenceObject(request->device);
    if (request->file)
        ObDereferenceObject(request->file);
}

static NTSTATUS Begin(REQUEST *request, HANDLE handle, HANDLE event, PIO_APC_ROUTINE apc,
                      PIO_STATUS_BLOCK iosb) {
    IopRequireIrql(PASSIVE_LEVEL, "ZwReadFile, ZwWriteFile or ZwDeviceIoControlFile");
    if (apc)
        KdUnimplemented("file I/O with an APC routine");
    RtlZeroMemory(request, sizeof(*request));
    PVOID body;
    OBJECT_HANDLE_INFORMATION information;
    NTSTATUS status =
        ObReferenceObjectByHandle(handle, 0, &ObpFileType, KernelMode, &body, &information);
    if (!NT_SUCCESS(status))
        return status;
    request->file = (PFILE_OBJECT)body;
    request->granted = information.GrantedAccess;
    if (event) {
        status = ObReferenceObjectByHandle(event, EVENT_MODIFY_STATE, &ObpEventType, KernelMode,
                                           &body, nullptr);
        if (!NT_SUCCESS(status))
            return status;
        request->event = (PKEVENT)body;
        KeClearEvent(request->event);
    }
    request->device = IoGetAttachedDeviceReference(request->file->DeviceObject);
    bool synchronous = (request->file->Flags & FO_SYNCHRONOUS_IO) != 0;
    request->irp =
        IopAllocateIrp(request->device->StackSize, synchronous ? IopIrpInternal : IopIrpFile, 0);
    if (!request->irp)
        return STATUS_INSUFFICIENT_RESOURCES;
    PIRP irp = request->irp;
    irp->Tail.Overlay.Thread = (PETHREAD)KeGetCurrentThread();
    irp->Tail.Overlay.OriginalFileObject = request->file;
    IoGetNextIrpStackLocation(irp)->FileObject = request->file;
    KeClearEvent(&request->file->Event);
    if (synchronous) {
        KeInitializeEvent(&request->done, NotificationEvent, FALSE);
        irp->UserIosb = &request->iosb;
        irp->UserEvent = &request->done;
    } else {
        irp->UserIosb = iosb;
        irp->UserEvent = request->event;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS SendSynchronous(REQUEST *request, PIO_STATUS_BLOCK iosb) {
    // One request at a time on a synchronous file object.
    KeWaitForSingleObject(&request->file->Lock, Executive, KernelMode, FALSE, nullptr);
    NTSTATUS status = IofCallDriver(request->device, request->irp);
    bool pended = status == STATUS_PENDING;
    if (pended)
        KeWaitForSingleObject(&request->done, Executive, KernelMode, FALSE, nullptr);
    status = request->iosb.Status;
    request->file->FinalStatus = status;
    KeSetEvent(&request->file->Lock, IO_NO_INCREMENT, FALSE);
    IopReleaseIrp(request->irp);
    if (!NT_ERROR(status) || pended) {
        *iosb = request->iosb;
        KeSetEvent(&request->file->Event, IO_NO_INCREMENT, FALSE);
        if (request->event)
            KeSetEvent(request->event, IO_NO_INCREMENT, FALSE);
    }
    Drop(request);
    return status;
}

static NTSTATUS Send(REQUEST *request, PIO_STATUS_BLOCK iosb) {
    if (request->file->Flags & FO_SYNCHRONOUS_IO)
        return SendSynchronous(request, iosb);
    // The references of file and event go with the IRP.
    PDEVICE_OBJECT device = request->device;
    IopIrpHeader(request->irp)->user_event_object = request->event;
    NTSTATUS status = IofCallDriver(device, request->irp);
    ObDereferenceObject(device);
    return status;
}

static NTSTATUS Fail(REQUEST *request, NTSTATUS status) {
    if (request->irp)
        IopDropIrp(request->irp);
    Drop(request);
    return status;
}

static NTSTATUS Transfer(bool write, HANDLE handle, HANDLE event, PIO_APC_ROUTINE apc,
                         PIO_STATUS_BLOCK iosb, PVOID buffer, ULONG length, PLARGE_INTEGER offset) {
    REQUEST request;
    NTSTATUS status = Begin(&request, handle, event, apc, iosb);
    if (NT_SUCCESS(status))
        status = IopSetTransferBuffers(request.device, request.irp, write, buffer, length);
    if (!NT_SUCCESS(status))
        return Fail(&request, status);
    PIO_STACK_LOCATION location = IoGetNextIrpStackLocation(request.irp);
    location->MajorFunction = write ? IRP_MJ_WRITE : IRP_MJ_READ;
    location->Parameters.Read.Length = length;
    if (offset)
        location->Parameters.Read.ByteOffset = *offset;
    return Send(&request, iosb);
}

extern "C" NTSTATUS NTAPI ZwReadFile(IN HANDLE FileHandle, IN HANDLE Event OPTIONAL,
                                     IN PIO_APC_ROUTINE ApcRoutine OPTIONAL,
                                     IN PVOID ApcContext OPTIONAL,
                                     OUT PIO_STATUS_BLOCK IoStatusBlock, OUT PVOID Buffer,
                                     IN ULONG Length, IN PLARGE_INTEGER ByteOffset OPTIONAL,
                                     IN PULONG Key OPTIONAL) {
    (void)ApcContext;
    (void)Key;
    return Transfer(false, FileHandle, Event, ApcRoutine, IoStatusBlock, Buffer, Length,
                    ByteOffset);
}

extern "C" NTSTATUS NTAPI ZwWriteFile(IN HANDLE FileHandle, IN HANDLE Event OPTIONAL,
                                      IN PIO_APC_ROUTINE ApcRoutine OPTIONAL,
                                      IN PVOID ApcContext OPTIONAL,
                                      OUT PIO_STATUS_BLOCK IoStatusBlock, IN PVOID Buffer,
                                      IN ULONG Length, IN PLARGE_INTEGER ByteOffset OPTIONAL,
                                      IN PULONG Key OPTIONAL) {
    (void)ApcContext;
    (void)Key;
    return Transfer(true, FileHandle, Event, ApcRoutine, IoStatusBlock, Buffer, Length, ByteOffset);
}

// The access a control code asks for is in its bits 14 and 15: FILE_READ_ACCESS and
// FILE_WRITE_ACCESS are FILE_READ_DATA and FILE_WRITE_DATA. NT asks so for programs;
// here whoever holds a handle is taken for one.
static bool MayControl(ACCESS_MASK granted, ULONG code) {
    ACCESS_MASK needed = (code >> 14) & 3;
    if (granted & (GENERIC_READ | GENERIC_ALL))
        granted |= FILE_READ_DATA;
    if (granted & (GENERIC_WRITE | GENERIC_ALL))
        granted |= FILE_WRITE_DATA;
    return (granted & needed) == needed;
}

extern "C" NTSTATUS NTAPI ZwDeviceIoControlFile(
    IN HANDLE FileHandle, IN HANDLE Event OPTIONAL, IN PIO_APC_ROUTINE ApcRoutine OPTIONAL,
    IN PVOID ApcContext OPTIONAL, OUT PIO_STATUS_BLOCK IoStatusBlock, IN ULONG IoControlCode,
    IN PVOID InputBuffer OPTIONAL, IN ULONG InputBufferLength, OUT PVOID OutputBuffer OPTIONAL,
    IN ULONG OutputBufferLength) {
    (void)ApcContext;
    REQUEST request;
    NTSTATUS status = Begin(&request, FileHandle, Event, ApcRoutine, IoStatusBlock);
    if (NT_SUCCESS(status) && !MayControl(request.granted, IoControlCode))
        status = STATUS_ACCESS_DENIED;
    if (NT_SUCCESS(status)) {
        IoGetNextIrpStackLocation(request.irp)->MajorFunction = IRP_MJ_DEVICE_CONTROL;
        status = IopSetControlBuffers(request.irp, IoControlCode, InputBuffer, InputBufferLength,
                                      OutputBuffer, OutputBufferLength);
    }
    if (!NT_SUCCESS(status))
        return Fail(&request, status);
    return Send(&request, IoStatusBlock);
}
