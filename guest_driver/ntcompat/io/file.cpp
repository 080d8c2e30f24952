// SPDX-License-Identifier: MIT
//
// File objects: opened through the namespace (IRP_MJ_CREATE), closed with the last
// handle (CLEANUP) and the last reference (CLOSE).
#include "io/file.h"

static NTSTATUS SendFileIrp(PFILE_OBJECT file, UCHAR major) {
    IO_STACK_LOCATION location = {};
    location.MajorFunction = major;
    location.FileObject = file;
    return IopSynchronousCall(file->DeviceObject, &location, STATUS_SUCCESS, nullptr);
}

static NTSTATUS SendCreate(PFILE_OBJECT file, const IOP_OPEN *open, ULONG_PTR *information) {
    IO_SECURITY_CONTEXT security = {};
    security.DesiredAccess = open->access;
    security.FullCreateOptions = open->options;
    IO_STACK_LOCATION location = {};
    location.MajorFunction = IRP_MJ_CREATE;
    location.FileObject = file;
    location.Parameters.Create.SecurityContext = &security;
    location.Parameters.Create.Options = open->disposition << 24 | (open->options & 0xFFFFFF);
    location.Parameters.Create.FileAttributes = (USHORT)open->attributes;
    location.Parameters.Create.ShareAccess = (USHORT)open->share;
    *information = 0;
    return IopSynchronousCall(file->DeviceObject, &location, STATUS_SUCCESS, information);
}

static PFILE_OBJECT NewFile(PDEVICE_OBJECT device, const UNICODE_STRING *name,
                            const IOP_OPEN *open) {
    void *body;
    if (!NT_SUCCESS(ObpCreateObject(&ObpFileType, sizeof(FILE_OBJECT), &body)))
        return nullptr;
    auto *file = (PFILE_OBJECT)body;
    file->Type = IO_TYPE_FILE;
    file->Size = sizeof(FILE_OBJECT);
    file->DeviceObject = device;
    file->ReadAccess = (open->access & (FILE_READ_DATA | GENERIC_READ)) != 0;
    file->WriteAccess = (open->access & (FILE_WRITE_DATA | FILE_APPEND_DATA | GENERIC_WRITE)) != 0;
    file->SharedRead = (open->share & FILE_SHARE_READ) != 0;
    file->SharedWrite = (open->share & FILE_SHARE_WRITE) != 0;
    if (open->options & (FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT))
        file->Flags |= FO_SYNCHRONOUS_IO;
    KeInitializeEvent(&file->Lock, SynchronizationEvent, TRUE);
    KeInitializeEvent(&file->Event, NotificationEvent, FALSE);
    if (!name->Length)
        return file;
    // A rest of the path is handed on with its backslash, as the parse left it off.
    USHORT bytes = (USHORT)(name->Length + sizeof(WCHAR));
    file->FileName.Buffer = (PWCH)ExAllocatePoolWithTag(PagedPool, bytes, IOP_TAG_NAME);
    if (!file->FileName.Buffer) {
        file->DeviceObject = nullptr;
        ObDereferenceObject(file);
        return nullptr;
    }
    file->FileName.Buffer[0] = L'\\';
    RtlCopyMemory(file->FileName.Buffer + 1, name->Buffer, name->Length);
    file->FileName.Length = file->FileName.MaximumLength = bytes;
    return file;
}

static bool MayOpen(PDEVICE_OBJECT device, NTSTATUS *status) {
    if (IopDeviceExtension(device)->ExtensionFlags & (DOE_DELETE_PENDING | DOE_UNLOAD_PENDING)) {
        *status = STATUS_NO_SUCH_DEVICE;
        return false;
    }
    PDEVICE_OBJECT top = IoGetAttachedDevice(device);
    if ((device->Flags | top->Flags) & DO_DEVICE_INITIALIZING) {
        *status = STATUS_NO_SUCH_DEVICE;
        return false;
    }
    if ((device->Flags & DO_EXCLUSIVE) && device->ReferenceCount) {
        *status = STATUS_ACCESS_DENIED;
        return false;
    }
    return true;
}

// ob's walk has reached a device: opening it is the I/O manager's business.
static NTSTATUS ParseDevice(void *body, UNICODE_STRING *remaining, ULONG attributes,
                            ACCESS_MASK access, void *context, void **found) {
    (void)attributes;
    (void)access;
    auto *open = (IOP_OPEN *)context;
    auto *device = (PDEVICE_OBJECT)body;
    if (!open)
        return STATUS_OBJECT_TYPE_MISMATCH; // only ZwCreateFile opens devices
    NTSTATUS status;
    if (!MayOpen(device, &status))
        return status;
    IopReferenceDevice(device);
    PFILE_OBJECT file = NewFile(device, remaining, open);
    if (!file) {
        IopDereferenceDevice(device);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    status = SendCreate(file, open, &open->information);
    if (!NT_SUCCESS(status)) {
        // A failed create is followed by neither cleanup nor close.
        file->DeviceObject = nullptr;
        ObDereferenceObject(file);
        IopDereferenceDevice(device);
        return status;
    }
    file->Flags |= FO_HANDLE_CREATED;
    *found = file;
    return STATUS_SUCCESS;
}

static void CloseFile(void *body) {
    auto *file = (PFILE_OBJECT)body;
    if (!file->DeviceObject || (file->Flags & FO_CLEANUP_COMPLETE))
        return;
    file->Flags |= FO_CLEANUP_COMPLETE;
    (void)SendFileIrp(file, IRP_MJ_CLEANUP);
}

static void RemoveFile(void *body) {
    auto *file = (PFILE_OBJECT)body;
    PDEVICE_OBJECT device = file->DeviceObject;
    if (device) {
        if (!(file->Flags & FO_CLEANUP_COMPLETE))
            CloseFile(body); // the create succeeded but no handle could be made
        (void)SendFileIrp(file, IRP_MJ_CLOSE);
        IopDereferenceDevice(device);
    }
    if (file->FileName.Buffer)
        ExFreePoolWithTag(file->FileName.Buffer, IOP_TAG_NAME);
}

void IopInitFiles(void) {
    ObpFileType.close = CloseFile;
    ObpFileType.remove = RemoveFile;
    ObpDeviceType.parse = ParseDevice;
    ObpDeviceType.parse_empty = TRUE;
}

static NTSTATUS CheckOpen(const IOP_OPEN *open) {
    bool synchronous =
        (open->options & (FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT)) != 0;
    if (open->disposition > FILE_MAXIMUM_DISPOSITION)
        return STATUS_INVALID_PARAMETER;
    if (synchronous && !(open->access & (SYNCHRONIZE | GENERIC_READ | GENERIC_WRITE | GENERIC_ALL)))
        return STATUS_INVALID_PARAMETER;
    if ((open->options & FILE_SYNCHRONOUS_IO_ALERT) &&
        (open->options & FILE_SYNCHRONOUS_IO_NONALERT))
        return STATUS_INVALID_PARAMETER;
    return STATUS_SUCCESS;
}

NTSTATUS IopOpenFile(IOP_OPEN *open, const OBJECT_ATTRIBUTES *attributes, PFILE_OBJECT *file) {
    if (attributes->RootDirectory)
        KdUnimplemented("ZwCreateFile relative to a directory handle");
    NTSTATUS status = CheckOpen(open);
    if (!NT_SUCCESS(status))
        return status;
    void *body;
    status = ObpOpenByName(attributes->ObjectName, attributes->Attributes, &ObpFileType,
                           open->access, open, &body);
    if (NT_SUCCESS(status))
        *file = (PFILE_OBJECT)body;
    return status;
}

static NTSTATUS CreateFile(PHANDLE handle, IOP_OPEN *open, POBJECT_ATTRIBUTES attributes,
                           PIO_STATUS_BLOCK iosb) {
    IopRequireIrql(PASSIVE_LEVEL, "ZwCreateFile");
    PFILE_OBJECT file;
    NTSTATUS status = IopOpenFile(open, attributes, &file);
    if (!NT_SUCCESS(status))
        return status;
    status = ObpCreateHandle(file, open->access, attributes->Attributes, handle);
    ObDereferenceObject(file);
    if (NT_SUCCESS(status)) {
        iosb->Status = status;
        iosb->Information = open->information;
    }
    return status;
}

extern "C" NTSTATUS NTAPI ZwCreateFile(OUT PHANDLE FileHandle, IN ACCESS_MASK DesiredAccess,
                                       IN POBJECT_ATTRIBUTES ObjectAttributes,
                                       OUT PIO_STATUS_BLOCK IoStatusBlock,
                                       IN PLARGE_INTEGER AllocationSize OPTIONAL,
                                       IN ULONG FileAttributes, IN ULONG ShareAccess,
                                       IN ULONG CreateDisposition, IN ULONG CreateOptions,
                                       IN PVOID EaBuffer OPTIONAL, IN ULONG EaLength) {
    (void)AllocationSize;
    if (EaBuffer || EaLength)
        KdUnimplemented("ZwCreateFile with extended attributes");
    IOP_OPEN open = {};
    open.access = DesiredAccess;
    open.attributes = FileAttributes;
    open.share = ShareAccess;
    open.disposition = CreateDisposition;
    open.options = CreateOptions;
    return CreateFile(FileHandle, &open, ObjectAttributes, IoStatusBlock);
}

extern "C" NTSTATUS NTAPI ZwOpenFile(OUT PHANDLE FileHandle, IN ACCESS_MASK DesiredAccess,
                                     IN POBJECT_ATTRIBUTES ObjectAttributes,
                                     OUT PIO_STATUS_BLOCK IoStatusBlock, IN ULONG ShareAccess,
                                     IN ULONG OpenOptions) {
    IOP_OPEN open = {};
    open.access = DesiredAccess;
    open.share = ShareAccess;
    open.disposition = FILE_OPEN;
    open.options = OpenOptions;
    return CreateFile(FileHandle, &open, ObjectAttributes, IoStatusBlock);
}

extern "C" NTSTATUS NTAPI IoGetDeviceObjectPointer(IN PUNICODE_STRING ObjectName,
                                                   IN ACCESS_MASK DesiredAccess,
                                                   OUT PFILE_OBJECT *FileObject,
                                                   OUT PDEVICE_OBJECT *DeviceObject) {
    IopRequireIrql(PASSIVE_LEVEL, "IoGetDeviceObjectPointer");
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, ObjectName, OBJ_KERNEL_HANDLE, nullptr, nullptr);
    IO_STATUS_BLOCK iosb;
    HANDLE handle;
    NTSTATUS status =
        ZwOpenFile(&handle, DesiredAccess, &attributes, &iosb, 0, FILE_NON_DIRECTORY_FILE);
    if (!NT_SUCCESS(status))
        return status;
    PVOID body;
    status = ObReferenceObjectByHandle(handle, 0, nullptr, KernelMode, &body, nullptr);
    // Closing the handle sends the cleanup, while the file object stays: as NT.
    ZwClose(handle);
    if (!NT_SUCCESS(status))
        return status;
    *FileObject = (PFILE_OBJECT)body;
    *DeviceObject = IoGetRelatedDeviceObject(*FileObject);
    return STATUS_SUCCESS;
}

extern "C" PDEVICE_OBJECT NTAPI IoGetRelatedDeviceObject(IN PFILE_OBJECT FileObject) {
    return IoGetAttachedDevice(FileObject->DeviceObject);
}
