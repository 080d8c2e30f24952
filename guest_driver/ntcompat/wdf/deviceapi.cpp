// SPDX-License-Identifier: MIT
// WdfDevice... and WdfFdo... of a device that exists.
#include "device.h"
#include "memory.h"
#include "queue.h"

using namespace wdfldr;

WDF_API(PDEVICE_OBJECT, WdfDeviceWdmGetDeviceObject, (PWDF_DRIVER_GLOBALS pub, WDFDEVICE handle)) {
    WDF_ENTER(WdfDeviceWdmGetDeviceObject, DISPATCH_LEVEL);
    return From<Device>(globals, handle, kName)->deviceObject;
}

WDF_API(PDEVICE_OBJECT, WdfDeviceWdmGetAttachedDevice,
        (PWDF_DRIVER_GLOBALS pub, WDFDEVICE handle)) {
    WDF_ENTER(WdfDeviceWdmGetAttachedDevice, DISPATCH_LEVEL);
    return From<Device>(globals, handle, kName)->attached;
}

WDF_API(PDEVICE_OBJECT, WdfDeviceWdmGetPhysicalDevice,
        (PWDF_DRIVER_GLOBALS pub, WDFDEVICE handle)) {
    WDF_ENTER(WdfDeviceWdmGetPhysicalDevice, DISPATCH_LEVEL);
    return From<Device>(globals, handle, kName)->physical;
}

WDF_API(WDFDEVICE, WdfWdmDeviceGetWdfDeviceHandle,
        (PWDF_DRIVER_GLOBALS pub, PDEVICE_OBJECT deviceObject)) {
    WDF_ENTER(WdfWdmDeviceGetWdfDeviceHandle, DISPATCH_LEVEL);
    CheckNotNull(deviceObject, kName, "DeviceObject");
    if (deviceObject->DriverObject != globals->driverObject)
        Stop(kInvalidHandle, deviceObject, 0, "%s: %p is another driver's device", kName,
             deviceObject);
    Device *device = ToDevice(deviceObject);
    return device ? device->HandleAs<WDFDEVICE>() : nullptr;
}

WDF_API(WDFDRIVER, WdfDeviceGetDriver, (PWDF_DRIVER_GLOBALS pub, WDFDEVICE handle)) {
    WDF_ENTER(WdfDeviceGetDriver, DISPATCH_LEVEL);
    return From<Device>(globals, handle, kName)->driver->HandleAs<WDFDRIVER>();
}

WDF_API(WDFQUEUE, WdfDeviceGetDefaultQueue, (PWDF_DRIVER_GLOBALS pub, WDFDEVICE handle)) {
    WDF_ENTER(WdfDeviceGetDefaultQueue, DISPATCH_LEVEL);
    Queue *queue = From<Device>(globals, handle, kName)->defaultQueue;
    return queue ? queue->HandleAs<WDFQUEUE>() : nullptr;
}

WDF_API(NTSTATUS, WdfDeviceConfigureRequestDispatching,
        (PWDF_DRIVER_GLOBALS pub, WDFDEVICE handle, WDFQUEUE queueHandle, WDF_REQUEST_TYPE type)) {
    WDF_ENTER(WdfDeviceConfigureRequestDispatching, DISPATCH_LEVEL);
    auto *device = From<Device>(globals, handle, kName);
    auto *queue = From<Queue>(globals, queueHandle, kName);
    if (queue->device != device)
        return Refuse(STATUS_INVALID_DEVICE_REQUEST, kName, "the queue is another device's");
    ULONG major = static_cast<ULONG>(type);
    if (major != IRP_MJ_READ && major != IRP_MJ_WRITE && major != IRP_MJ_DEVICE_CONTROL &&
        major != IRP_MJ_INTERNAL_DEVICE_CONTROL)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "RequestType");
    if (device->dispatch[major])
        return Refuse(STATUS_WDF_BUSY, kName, "the type is dispatched to a queue already");
    device->dispatch[major] = queue;
    queue->noDelete = true;
    return STATUS_SUCCESS;
}

WDF_API(VOID, WdfDeviceSetFailed,
        (PWDF_DRIVER_GLOBALS pub, WDFDEVICE handle, WDF_DEVICE_FAILED_ACTION action)) {
    WDF_ENTER(WdfDeviceSetFailed, DISPATCH_LEVEL);
    auto *device = From<Device>(globals, handle, kName);
    if (action != WdfDeviceFailedAttemptRestart && action != WdfDeviceFailedNoRestart)
        Stop(kFatalError, handle, action, "%s: unknown action %d", kName, static_cast<int>(action));
    device->failed = true;
    device->failedRestart = action == WdfDeviceFailedAttemptRestart;
    DbgPrint("WDFLDR: %s: the driver reports device %p as failed\n", globals->pub.DriverName,
             handle);
    IoInvalidateDeviceState(device->physical);
}

WDF_API(VOID, WdfDeviceSetPnpCapabilities,
        (PWDF_DRIVER_GLOBALS pub, WDFDEVICE handle, PWDF_DEVICE_PNP_CAPABILITIES capabilities)) {
    WDF_ENTER(WdfDeviceSetPnpCapabilities, DISPATCH_LEVEL);
    auto *device = From<Device>(globals, handle, kName);
    CheckNotNull(capabilities, kName, "PnpCapabilities");
    if (capabilities->Size != sizeof(*capabilities))
        Stop(kFatalError, capabilities, capabilities->Size,
             "%s: WDF_DEVICE_PNP_CAPABILITIES has %u bytes, not %u", kName,
             static_cast<unsigned>(capabilities->Size),
             static_cast<unsigned>(sizeof(*capabilities)));
    device->pnpCapabilities = *capabilities;
    device->hasPnpCapabilities = true;
}

WDF_API(NTSTATUS, WdfDeviceQueryProperty,
        (PWDF_DRIVER_GLOBALS pub, WDFDEVICE handle, DEVICE_REGISTRY_PROPERTY property, ULONG length,
         PVOID buffer, PULONG resultLength)) {
    WDF_ENTER(WdfDeviceQueryProperty, PASSIVE_LEVEL);
    auto *device = From<Device>(globals, handle, kName);
    CheckNotNull(resultLength, kName, "ResultLength");
    return IoGetDeviceProperty(device->physical, property, length, buffer, resultLength);
}

WDF_API(NTSTATUS, WdfDeviceAllocAndQueryProperty,
        (PWDF_DRIVER_GLOBALS pub, WDFDEVICE handle, DEVICE_REGISTRY_PROPERTY property,
         POOL_TYPE poolType, PWDF_OBJECT_ATTRIBUTES attributes, WDFMEMORY *out)) {
    WDF_ENTER(WdfDeviceAllocAndQueryProperty, PASSIVE_LEVEL);
    auto *device = From<Device>(globals, handle, kName);
    CheckNotNull(out, kName, "PropertyMemory");
    *out = nullptr;
    NTSTATUS status = CheckAttributes(globals, attributes, kParentOptional);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    ULONG length = 0;
    status = IoGetDeviceProperty(device->physical, property, 0, nullptr, &length);
    if (status != STATUS_BUFFER_TOO_SMALL)
        return NT_SUCCESS(status) ? STATUS_UNSUCCESSFUL : status;
    auto *memory = New<Memory>(globals, Type::Memory);
    if (!memory)
        return STATUS_INSUFFICIENT_RESOURCES;
    memory->passiveDelete = (poolType & 1) == PagedPool;
    status = FinishCreate(globals, memory, ParentOf(globals, attributes, DriverObject(globals)),
                          attributes);
    if (!NT_SUCCESS(status))
        return status;
    memory->tag = globals->pub.DriverTag;
    memory->size = length;
    memory->buffer = ExAllocatePoolWithTag(poolType, length, memory->tag);
    status = memory->buffer
                 ? IoGetDeviceProperty(device->physical, property, length, memory->buffer, &length)
                 : STATUS_INSUFFICIENT_RESOURCES;
    if (!NT_SUCCESS(status)) {
        DropFailed(memory);
        return status;
    }
    *out = memory->HandleAs<WDFMEMORY>();
    return STATUS_SUCCESS;
}

WDF_API(NTSTATUS, WdfFdoQueryForInterface,
        (PWDF_DRIVER_GLOBALS pub, WDFDEVICE handle, LPCGUID type, PINTERFACE exposed, USHORT size,
         USHORT version, PVOID data)) {
    WDF_ENTER(WdfFdoQueryForInterface, PASSIVE_LEVEL);
    auto *device = From<Device>(globals, handle, kName);
    CheckNotNull(type, kName, "InterfaceType");
    CheckNotNull(exposed, kName, "Interface");
    IO_STACK_LOCATION stack;
    RtlZeroMemory(&stack, sizeof(stack));
    stack.MinorFunction = IRP_MN_QUERY_INTERFACE;
    stack.Parameters.QueryInterface.InterfaceType = type;
    stack.Parameters.QueryInterface.Size = size;
    stack.Parameters.QueryInterface.Version = version;
    stack.Parameters.QueryInterface.Interface = exposed;
    stack.Parameters.QueryInterface.InterfaceSpecificData = data;
    // From the top of the stack, as the framework does: a filter may answer.
    PDEVICE_OBJECT top = IoGetAttachedDeviceReference(device->deviceObject);
    NTSTATUS status = SendPnpIrp(top, &stack, nullptr);
    ObDereferenceObject(top);
    return status;
}
