// SPDX-License-Identifier: MIT
// I/O IRPs on their way in: opens, cleanups and closes here, the rest to queues.
#include "file.h"
#include "queue.h"
#include "request.h"

namespace wdfldr {

FileObject *FindFile(Device *device, PFILE_OBJECT file) {
    FileObject *found = nullptr;
    KIRQL irql;
    KeAcquireSpinLock(&device->lock, &irql);
    for (LIST_ENTRY *e = device->files.Flink; e != &device->files && !found; e = e->Flink) {
        auto *entry = CONTAINING_RECORD(e, FileObject, deviceLink);
        if (file && entry->file == file)
            found = entry;
    }
    KeReleaseSpinLock(&device->lock, irql);
    return found;
}

void FileObject::OnDispose() {
    KIRQL irql;
    KeAcquireSpinLock(&device->lock, &irql);
    RemoveEntryList(&deviceLink);
    KeReleaseSpinLock(&device->lock, irql);
}

static bool KeepsFiles(Device *device) {
    if (!device->hasFileConfig)
        return false;
    ULONG fileClass = static_cast<ULONG>(device->fileConfig.FileObjectClass);
    return (fileClass & ~static_cast<ULONG>(WdfFileObjectCanBeOptional)) !=
           WdfFileObjectNotRequired;
}

static NTSTATUS CreateFileObject(Device *device, PFILE_OBJECT file) {
    auto *object = New<FileObject>(device->globals, Type::FileObject);
    if (!object)
        return STATUS_INSUFFICIENT_RESOURCES;
    object->device = device;
    object->file = file;
    object->noDelete = true;
    NTSTATUS status = FinishCreate(device->globals, object, device,
                                   device->hasFileAttributes ? &device->fileAttributes : nullptr);
    if (!NT_SUCCESS(status))
        return status;
    KIRQL irql;
    KeAcquireSpinLock(&device->lock, &irql);
    InsertTailList(&device->files, &object->deviceLink);
    KeReleaseSpinLock(&device->lock, irql);
    return STATUS_SUCCESS;
}

static NTSTATUS Create(Device *device, PIRP irp) {
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(irp)->FileObject;
    if (!device->acceptIo)
        return CompleteIrp(irp, STATUS_NO_SUCH_DEVICE);
    if (file && KeepsFiles(device)) {
        NTSTATUS status = CreateFileObject(device, file);
        if (!NT_SUCCESS(status))
            return CompleteIrp(irp, status);
    }
    if (!device->fileConfig.EvtDeviceFileCreate)
        return CompleteIrp(irp, STATUS_SUCCESS);
    Request *request;
    NTSTATUS status = CreateRequest(device, irp, &request);
    if (!NT_SUCCESS(status)) {
        if (FileObject *object = FindFile(device, file))
            object->Delete();
        return CompleteIrp(irp, status);
    }
    if (!device->EnterIo()) {
        DropFailed(request);
        return CompleteIrp(irp, STATUS_NO_SUCH_DEVICE);
    }
    request->state = RequestState::Driver;
    IoMarkIrpPending(irp);
    device->fileConfig.EvtDeviceFileCreate(
        device->HandleAs<WDFDEVICE>(), request->HandleAs<WDFREQUEST>(),
        request->file ? request->file->HandleAs<WDFFILEOBJECT>() : nullptr);
    return STATUS_PENDING;
}

static NTSTATUS Cleanup(Device *device, PIRP irp) {
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(irp)->FileObject;
    FileObject *object = FindFile(device, file);
    if (object && device->fileConfig.EvtFileCleanup)
        device->fileConfig.EvtFileCleanup(object->HandleAs<WDFFILEOBJECT>());
    // Nobody waits for what this file left in the queues.
    if (file) {
        for (LIST_ENTRY *e = device->queues.Flink; e != &device->queues; e = e->Flink)
            CONTAINING_RECORD(e, Queue, deviceLink)->CancelPending(file);
    }
    return CompleteIrp(irp, STATUS_SUCCESS);
}

static NTSTATUS Close(Device *device, PIRP irp) {
    FileObject *object = FindFile(device, IoGetCurrentIrpStackLocation(irp)->FileObject);
    if (object) {
        if (device->fileConfig.EvtFileClose)
            device->fileConfig.EvtFileClose(object->HandleAs<WDFFILEOBJECT>());
        object->Delete();
    }
    return CompleteIrp(irp, STATUS_SUCCESS);
}

static NTSTATUS ToQueue(Device *device, PIRP irp, UCHAR major) {
    Queue *queue = device->dispatch[major] ? device->dispatch[major] : device->defaultQueue;
    if (!queue)
        return CompleteIrp(irp, STATUS_INVALID_DEVICE_REQUEST);
    if (!device->EnterIo())
        return CompleteIrp(irp, STATUS_NO_SUCH_DEVICE);
    Request *request;
    NTSTATUS status = CreateRequest(device, irp, &request);
    if (!NT_SUCCESS(status)) {
        device->LeaveIo();
        return CompleteIrp(irp, status);
    }
    IoMarkIrpPending(irp);
    status = queue->Insert(request, false);
    if (!NT_SUCCESS(status)) {
        request->queue = nullptr;
        request->Complete(STATUS_INVALID_DEVICE_STATE, IO_NO_INCREMENT);
    } else {
        queue->Present();
    }
    return STATUS_PENDING;
}

NTSTATUS NTAPI DispatchIo(PDEVICE_OBJECT deviceObject, PIRP irp) {
    Device *device = ToDevice(deviceObject);
    UCHAR major = IoGetCurrentIrpStackLocation(irp)->MajorFunction;
    switch (major) {
    case IRP_MJ_CREATE:
        return Create(device, irp);
    case IRP_MJ_CLEANUP:
        return Cleanup(device, irp);
    case IRP_MJ_CLOSE:
        return Close(device, irp);
    default:
        return ToQueue(device, irp, major);
    }
}

} // namespace wdfldr

using namespace wdfldr;

WDF_API(WDFDEVICE, WdfFileObjectGetDevice, (PWDF_DRIVER_GLOBALS pub, WDFFILEOBJECT handle)) {
    WDF_ENTER(WdfFileObjectGetDevice, DISPATCH_LEVEL);
    return From<FileObject>(globals, handle, kName)->device->HandleAs<WDFDEVICE>();
}

WDF_API(PFILE_OBJECT, WdfFileObjectWdmGetFileObject,
        (PWDF_DRIVER_GLOBALS pub, WDFFILEOBJECT handle)) {
    WDF_ENTER(WdfFileObjectWdmGetFileObject, DISPATCH_LEVEL);
    return From<FileObject>(globals, handle, kName)->file;
}
