// SPDX-License-Identifier: MIT
//
// Driver objects: creation, DriverEntry, unload with leak checks.
#include "io/iop.h"

struct CLIENT_EXTENSION {
    LIST_ENTRY links;
    PVOID identification;
    PVOID reserved; // keeps the driver's part 16-byte aligned
    // the driver's bytes follow
};
static_assert(sizeof(CLIENT_EXTENSION) % 16 == 0, "client extension alignment");

static KSPIN_LOCK ClientLock;

static NTSTATUS NTAPI InvalidDeviceRequest(PDEVICE_OBJECT, PIRP irp) {
    irp->IoStatus.Status = STATUS_INVALID_DEVICE_REQUEST;
    irp->IoStatus.Information = 0;
    IofCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_INVALID_DEVICE_REQUEST;
}

static void RemoveDriverObject(void *body) {
    auto *driver = (PDRIVER_OBJECT)body;
    auto *extension = IopDriverExtension(driver);
    while (!IsListEmpty(&extension->client_extensions)) {
        PLIST_ENTRY entry = RemoveHeadList(&extension->client_extensions);
        ExFreePoolWithTag(CONTAINING_RECORD(entry, CLIENT_EXTENSION, links), IOP_TAG_DRIVER);
    }
    if (extension->image)
        LdrUnloadSystemImage(extension->image);
}

void IopInitDrivers(void) {
    ObpDriverType.remove = RemoveDriverObject;
    // ob has made \Driver, \Device and \?? when it has; a collision is fine.
    const WCHAR *directories[] = {L"\\Driver", L"\\Device"};
    for (const WCHAR *path : directories) {
        NTSTATUS status = ObpCreateDirectory(path);
        if (!NT_SUCCESS(status) && status != STATUS_OBJECT_NAME_COLLISION)
            KdViolation(IOP_VERIFIER, "the namespace has no room for drivers", 0,
                        (uint64_t)(ULONG)status, 0, 0);
    }
}

static PDRIVER_OBJECT NewDriverObject(const WCHAR *service, NTC_IMAGE *image) {
    void *body;
    size_t size = sizeof(DRIVER_OBJECT) + sizeof(IOP_DRIVER_EXTENSION);
    if (!NT_SUCCESS(ObpCreateObject(&ObpDriverType, size, &body)))
        return nullptr;
    auto *driver = (PDRIVER_OBJECT)body;
    auto *extension = (IOP_DRIVER_EXTENSION *)(driver + 1);
    driver->Type = IO_TYPE_DRIVER;
    driver->Size = sizeof(DRIVER_OBJECT);
    driver->DriverExtension = &extension->public_part;
    extension->public_part.DriverObject = driver;
    InitializeListHead(&extension->client_extensions);
    IopCopy(extension->service, 32, service);
    IopCopy(extension->name, 64, L"\\Driver\\");
    IopAppend(extension->name, 64, service);
    IopCopy(extension->registry_path, 160, CM_SERVICES);
    IopAppend(extension->registry_path, 160, service);
    RtlInitUnicodeString(&driver->DriverName, extension->name);
    RtlInitUnicodeString(&extension->public_part.ServiceKeyName, extension->service);
    for (auto &function : driver->MajorFunction)
        function = InvalidDeviceRequest;
    if (image) {
        extension->image = image;
        driver->DriverStart = (PVOID)image->base;
        driver->DriverSize = (ULONG)image->size;
        driver->DriverSection = image;
        driver->DriverInit = (PDRIVER_INITIALIZE)image->entry;
    } else {
        driver->Flags |= DRVO_BUILTIN_DRIVER;
    }
    return driver;
}

// Devices of DriverEntry are open for business once it has returned; those of
// AddDevice are the driver's own matter.
static void FinishInitializing(PDRIVER_OBJECT driver) {
    for (PDEVICE_OBJECT d = driver->DeviceObject; d; d = d->NextDevice)
        d->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
}

static void CheckLeftovers(PDRIVER_OBJECT driver, const char *when) {
    auto *extension = IopDriverExtension(driver);
    for (PDEVICE_OBJECT d = driver->DeviceObject; d; d = d->NextDevice)
        DbgPrint("io: %wZ left device %p (type 0x%x, %d references) %s\n", &driver->DriverName, d,
                 d->DeviceType, d->ReferenceCount, when);
    if (driver->DeviceObject)
        KdViolation(DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS,
                    "a driver is unloaded and has not deleted its device objects",
                    (uint64_t)driver->DeviceObject, 0, 0, (uint64_t)driver->DriverStart);
    if (extension->work_items)
        KdViolation(DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS,
                    "a driver is unloaded with work items queued", (uint64_t)extension->work_items,
                    0, 0, (uint64_t)driver->DriverStart);
    if (extension->image) {
        IopCheckIrpsOfImage(extension->image->base, extension->image->size, extension->image->name);
        IopCheckAdaptersOfImage(extension->image->base, extension->image->size);
    }
}

NTSTATUS IopCreateDriver(const WCHAR *service, NTC_IMAGE *image, PDRIVER_INITIALIZE entry,
                         PDRIVER_OBJECT *driver) {
    PDRIVER_OBJECT object = NewDriverObject(service, image);
    if (!object)
        return STATUS_INSUFFICIENT_RESOURCES;
    auto *extension = IopDriverExtension(object);
    NTSTATUS status = ObpInsertName(object, &object->DriverName);
    if (NT_SUCCESS(status)) {
        UNICODE_STRING path;
        RtlInitUnicodeString(&path, extension->registry_path);
        status = CmpCreatePath(extension->registry_path);
        if (NT_SUCCESS(status))
            status = entry(object, &path);
        IopRequireIrqlAfter(PASSIVE_LEVEL, (PVOID)entry, "DriverEntry returned at a raised IRQL");
        if (NT_SUCCESS(status)) {
            FinishInitializing(object);
            *driver = object;
            return status;
        }
        DbgPrint("io: DriverEntry of %ws failed: 0x%08x\n", service, status);
        CheckLeftovers(object, "when DriverEntry failed");
        ObpRemoveName(object);
    }
    ObDereferenceObject(object);
    return status;
}

NTSTATUS IopLoadDriver(const WCHAR *service, PDRIVER_OBJECT *driver) {
    WCHAR file[40];
    IopCopy(file, 40, service);
    IopAppend(file, 40, L".sys");
    NTC_IMAGE *image;
    NTSTATUS status = LdrLoadSystemImage(file, &image);
    if (!NT_SUCCESS(status)) {
        DbgPrint("io: %ws cannot be loaded: 0x%08x\n", file, status);
        return status;
    }
    return IopCreateDriver(service, image, (PDRIVER_INITIALIZE)image->entry, driver);
}

NTSTATUS IopUnloadDriver(PDRIVER_OBJECT driver) {
    IopRequireIrql(PASSIVE_LEVEL, "IopUnloadDriver");
    if (!driver->DriverUnload)
        return STATUS_INVALID_DEVICE_REQUEST;
    KD_SUSPECT suspect;
    KdBeginSuspect(&suspect, (const void *)driver->DriverInit);
    driver->Flags |= DRVO_UNLOAD_INVOKED;
    driver->DriverUnload(driver);
    IopRequireIrqlAfter(PASSIVE_LEVEL, (PVOID)driver->DriverUnload,
                        "DriverUnload returned at a raised IRQL");
    CheckLeftovers(driver, "at unload");
    ObpRemoveName(driver);
    if (ObpReferenceCount(driver) != 1)
        KdViolation(IOP_VERIFIER, "a driver object is still referenced at unload", 0,
                    (uint64_t)driver, (uint64_t)ObpReferenceCount(driver), 0);
    ObDereferenceObject(driver);
    KdEndSuspect(&suspect);
    return STATUS_SUCCESS;
}

extern "C" NTSTATUS NTAPI IoAllocateDriverObjectExtension(IN PDRIVER_OBJECT DriverObject,
                                                          IN PVOID ClientIdentificationAddress,
                                                          IN ULONG DriverObjectExtensionSize,
                                                          OUT PVOID *DriverObjectExtension) {
    IopRequireIrql(PASSIVE_LEVEL, "IoAllocateDriverObjectExtension");
    *DriverObjectExtension = nullptr;
    if (IoGetDriverObjectExtension(DriverObject, ClientIdentificationAddress))
        return STATUS_OBJECT_NAME_COLLISION;
    size_t size = sizeof(CLIENT_EXTENSION) + DriverObjectExtensionSize;
    auto *client = (CLIENT_EXTENSION *)ExAllocatePoolWithTag(NonPagedPool, size, IOP_TAG_DRIVER);
    if (!client)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(client, size);
    client->identification = ClientIdentificationAddress;
    KIRQL irql;
    KeAcquireSpinLock(&ClientLock, &irql);
    InsertTailList(&IopDriverExtension(DriverObject)->client_extensions, &client->links);
    KeReleaseSpinLock(&ClientLock, irql);
    *DriverObjectExtension = client + 1;
    return STATUS_SUCCESS;
}

extern "C" PVOID NTAPI IoGetDriverObjectExtension(IN PDRIVER_OBJECT DriverObject,
                                                  IN PVOID ClientIdentificationAddress) {
    LIST_ENTRY *list = &IopDriverExtension(DriverObject)->client_extensions;
    PVOID found = nullptr;
    KIRQL irql;
    KeAcquireSpinLock(&ClientLock, &irql);
    for (PLIST_ENTRY e = list->Flink; e != list && !found; e = e->Flink) {
        auto *client = CONTAINING_RECORD(e, CLIENT_EXTENSION, links);
        if (client->identification == ClientIdentificationAddress)
            found = client + 1;
    }
    KeReleaseSpinLock(&ClientLock, irql);
    return found;
}
