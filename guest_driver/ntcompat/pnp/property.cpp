// SPDX-License-Identifier: MIT
//
// What drivers ask the PnP manager about a device.
#include "pnp/pnp.h"

static size_t StringBytes(const WCHAR *text) {
    return (IopLength(text) + 1) * sizeof(WCHAR);
}

static NTSTATUS Answer(const void *data, size_t bytes, ULONG room, PVOID buffer, PULONG result) {
    *result = (ULONG)bytes;
    if (bytes > room)
        return STATUS_BUFFER_TOO_SMALL;
    RtlCopyMemory(buffer, data, bytes);
    return STATUS_SUCCESS;
}

// What the bus has no answer to isn't there; for want of memory it may be.
static NTSTATUS NotAnswered(NTSTATUS status) {
    return status == STATUS_INSUFFICIENT_RESOURCES ? status : STATUS_OBJECT_NAME_NOT_FOUND;
}

static NTSTATUS AnswerIds(PNP_NODE *node, BUS_QUERY_ID_TYPE type, ULONG room, PVOID buffer,
                          PULONG result) {
    WCHAR *ids = PnpQueryId(node->pdo, type);
    if (!ids)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    size_t bytes = sizeof(WCHAR);
    for (const WCHAR *id = ids; *id; id += IopLength(id) + 1)
        bytes += StringBytes(id);
    NTSTATUS status = Answer(ids, bytes, room, buffer, result);
    ExFreePool(ids);
    return status;
}

static NTSTATUS AnswerText(PNP_NODE *node, DEVICE_TEXT_TYPE type, ULONG room, PVOID buffer,
                           PULONG result) {
    IO_STACK_LOCATION location = {};
    location.Parameters.QueryDeviceText.DeviceTextType = type;
    location.Parameters.QueryDeviceText.LocaleId = 0x409;
    ULONG_PTR information = 0;
    NTSTATUS status = PnpSendIrp(node->pdo, IRP_MN_QUERY_DEVICE_TEXT, &location, &information);
    if (!NT_SUCCESS(status))
        return NotAnswered(status);
    auto *text = (WCHAR *)information;
    status = Answer(text, StringBytes(text), room, buffer, result);
    ExFreePool(text);
    return status;
}

static NTSTATUS AnswerBus(PNP_NODE *node, DEVICE_REGISTRY_PROPERTY property, ULONG room,
                          PVOID buffer, PULONG result) {
    IO_STACK_LOCATION location = {};
    ULONG_PTR information = 0;
    NTSTATUS status = PnpSendIrp(node->pdo, IRP_MN_QUERY_BUS_INFORMATION, &location, &information);
    if (!NT_SUCCESS(status))
        return NotAnswered(status);
    auto *bus = (PPNP_BUS_INFORMATION)information;
    if (property == DevicePropertyBusTypeGuid)
        status = Answer(&bus->BusTypeGuid, sizeof(GUID), room, buffer, result);
    else if (property == DevicePropertyLegacyBusType)
        status = Answer(&bus->LegacyBusType, sizeof(INTERFACE_TYPE), room, buffer, result);
    else
        status = Answer(&bus->BusNumber, sizeof(ULONG), room, buffer, result);
    ExFreePool(bus);
    return status;
}

extern "C" NTSTATUS NTAPI IoGetDeviceProperty(IN PDEVICE_OBJECT DeviceObject,
                                              IN DEVICE_REGISTRY_PROPERTY DeviceProperty,
                                              IN ULONG BufferLength, OUT PVOID PropertyBuffer,
                                              OUT PULONG ResultLength) {
    IopRequireIrql(PASSIVE_LEVEL, "IoGetDeviceProperty");
    IopRequireDevice(DeviceObject, "IoGetDeviceProperty");
    *ResultLength = 0;
    PNP_NODE *node = PnpNodeOf(DeviceObject);
    if (!node)
        KeBugCheckEx(PNP_DETECTED_FATAL_ERROR, 2, (ULONG_PTR)DeviceObject, 0, 0);
    switch (DeviceProperty) {
    case DevicePropertyHardwareID:
        return AnswerIds(node, BusQueryHardwareIDs, BufferLength, PropertyBuffer, ResultLength);
    case DevicePropertyCompatibleIDs:
        return AnswerIds(node, BusQueryCompatibleIDs, BufferLength, PropertyBuffer, ResultLength);
    case DevicePropertyDeviceDescription:
        return AnswerText(node, DeviceTextDescription, BufferLength, PropertyBuffer, ResultLength);
    case DevicePropertyLocationInformation:
        return AnswerText(node, DeviceTextLocationInformation, BufferLength, PropertyBuffer,
                          ResultLength);
    case DevicePropertyBusTypeGuid:
    case DevicePropertyLegacyBusType:
    case DevicePropertyBusNumber:
        return AnswerBus(node, DeviceProperty, BufferLength, PropertyBuffer, ResultLength);
    case DevicePropertyEnumeratorName:
        return Answer(L"PCI", sizeof(L"PCI"), BufferLength, PropertyBuffer, ResultLength);
    case DevicePropertyAddress:
        if (node->capabilities.Address == (ULONG)-1)
            return STATUS_OBJECT_NAME_NOT_FOUND;
        return Answer(&node->capabilities.Address, sizeof(ULONG), BufferLength, PropertyBuffer,
                      ResultLength);
    case DevicePropertyInstallState: {
        DEVICE_INSTALL_STATE state = InstallStateInstalled;
        return Answer(&state, sizeof(state), BufferLength, PropertyBuffer, ResultLength);
    }
    case DevicePropertyPhysicalDeviceObjectName: {
        WCHAR storage[64];
        UNICODE_STRING name = {0, sizeof(storage) - sizeof(WCHAR), storage};
        NTSTATUS status = ObpObjectPath(DeviceObject, &name);
        if (!NT_SUCCESS(status))
            return status;
        storage[name.Length / sizeof(WCHAR)] = 0;
        return Answer(storage, name.Length + sizeof(WCHAR), BufferLength, PropertyBuffer,
                      ResultLength);
    }
    case DevicePropertyAllocatedResources:
        if (!node->raw)
            return STATUS_OBJECT_NAME_NOT_FOUND;
        return Answer(node->raw, node->list_size, BufferLength, PropertyBuffer, ResultLength);
    case DevicePropertyFriendlyName:
    case DevicePropertyClassName:
    case DevicePropertyClassGuid:
    case DevicePropertyManufacturer:
    case DevicePropertyUINumber:
        return STATUS_OBJECT_NAME_NOT_FOUND; // not set
    default:
        DbgPrint("pnp: IoGetDeviceProperty %u\n", DeviceProperty);
        KdUnimplemented("this property of IoGetDeviceProperty");
    }
}

extern "C" NTSTATUS NTAPI IoOpenDeviceRegistryKey(IN PDEVICE_OBJECT DeviceObject,
                                                  IN ULONG DevInstKeyType,
                                                  IN ACCESS_MASK DesiredAccess,
                                                  OUT PHANDLE DeviceRegKey) {
    IopRequireIrql(PASSIVE_LEVEL, "IoOpenDeviceRegistryKey");
    IopRequireDevice(DeviceObject, "IoOpenDeviceRegistryKey");
    PNP_NODE *node = PnpNodeOf(DeviceObject);
    if (!node)
        return STATUS_INVALID_DEVICE_REQUEST;
    WCHAR path[300];
    switch (DevInstKeyType) {
    case PLUGPLAY_REGKEY_DEVICE:
        IopCopy(path, 300, CM_ENUM);
        IopAppend(path, 300, node->instance);
        IopAppend(path, 300, L"\\Device Parameters");
        break;
    case PLUGPLAY_REGKEY_DRIVER:
        if (!node->class_key[0])
            return STATUS_OBJECT_NAME_NOT_FOUND;
        IopCopy(path, 300, CM_CLASS);
        IopAppend(path, 300, node->class_key);
        break;
    default:
        return STATUS_INVALID_PARAMETER;
    }
    return CmpOpenPath(path, TRUE, DesiredAccess, DeviceRegKey);
}
