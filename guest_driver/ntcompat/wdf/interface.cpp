// SPDX-License-Identifier: MIT
// Device interfaces of a WDFDEVICE.
#include "device.h"

namespace wdfldr {

static void SetEnabled(DeviceInterface *entry, bool enable) {
    if (entry->enabled == enable)
        return;
    NTSTATUS status = IoSetDeviceInterfaceState(&entry->link, enable ? TRUE : FALSE);
    // One that can't be disabled is gone: the device is. It is not tried again.
    if (NT_SUCCESS(status) || !enable)
        entry->enabled = enable;
    if (!NT_SUCCESS(status))
        Refuse(status, "IoSetDeviceInterfaceState", enable ? "enabling" : "disabling");
}

// PnP IRPs and the driver's calls at PASSIVE_LEVEL are the only users of the list.
void EnableInterfaces(Device *device) {
    for (LIST_ENTRY *e = device->interfaces.Flink; e != &device->interfaces; e = e->Flink) {
        auto *entry = CONTAINING_RECORD(e, DeviceInterface, links);
        if (entry->wanted)
            SetEnabled(entry, true);
    }
}

void DisableInterfaces(Device *device) {
    for (LIST_ENTRY *e = device->interfaces.Flink; e != &device->interfaces; e = e->Flink)
        SetEnabled(CONTAINING_RECORD(e, DeviceInterface, links), false);
}

void FreeInterfaces(Device *device) {
    while (!IsListEmpty(&device->interfaces)) {
        auto *entry =
            CONTAINING_RECORD(RemoveHeadList(&device->interfaces), DeviceInterface, links);
        SetEnabled(entry, false);
        RtlFreeUnicodeString(&entry->link);
        Free(device->globals, entry);
    }
}

} // namespace wdfldr

using namespace wdfldr;

static void CopyReference(DeviceInterface *entry, PCUNICODE_STRING reference) {
    if (!reference)
        return;
    entry->reference.Buffer = reinterpret_cast<PWCH>(entry + 1);
    entry->reference.Length = entry->reference.MaximumLength = reference->Length;
    RtlCopyMemory(entry->reference.Buffer, reference->Buffer, reference->Length);
}

WDF_API(NTSTATUS, WdfDeviceCreateDeviceInterface,
        (PWDF_DRIVER_GLOBALS pub, WDFDEVICE handle, const GUID *guid, PCUNICODE_STRING reference)) {
    WDF_ENTER(WdfDeviceCreateDeviceInterface, PASSIVE_LEVEL);
    auto *device = From<Device>(globals, handle, kName);
    CheckNotNull(guid, kName, "InterfaceClassGUID");
    auto *entry = static_cast<DeviceInterface *>(
        Allocate(globals, sizeof(DeviceInterface) + (reference ? reference->Length : 0)));
    if (!entry)
        return STATUS_INSUFFICIENT_RESOURCES;
    entry->classGuid = *guid;
    entry->wanted = true;
    CopyReference(entry, reference);
    NTSTATUS status = IoRegisterDeviceInterface(
        device->physical, guid, entry->reference.Buffer ? &entry->reference : nullptr,
        &entry->link);
    if (!NT_SUCCESS(status)) {
        Free(globals, entry);
        return Refuse(status, kName, "IoRegisterDeviceInterface");
    }
    InsertTailList(&device->interfaces, &entry->links);
    if (device->pnpState == PnpState::Started)
        SetEnabled(entry, true);
    return STATUS_SUCCESS;
}

static DeviceInterface *FindInterface(Device *device, const GUID *guid,
                                      PCUNICODE_STRING reference) {
    for (LIST_ENTRY *e = device->interfaces.Flink; e != &device->interfaces; e = e->Flink) {
        auto *entry = CONTAINING_RECORD(e, DeviceInterface, links);
        if (RtlCompareMemory(&entry->classGuid, guid, sizeof(*guid)) != sizeof(*guid))
            continue;
        bool both = reference && entry->reference.Buffer;
        if (both ? RtlEqualUnicodeString(const_cast<PUNICODE_STRING>(reference), &entry->reference,
                                         FALSE)
                 : !reference && !entry->reference.Buffer)
            return entry;
    }
    return nullptr;
}

WDF_API(VOID, WdfDeviceSetDeviceInterfaceState,
        (PWDF_DRIVER_GLOBALS pub, WDFDEVICE handle, const GUID *guid, PCUNICODE_STRING reference,
         BOOLEAN enable)) {
    WDF_ENTER(WdfDeviceSetDeviceInterfaceState, PASSIVE_LEVEL);
    auto *device = From<Device>(globals, handle, kName);
    CheckNotNull(guid, kName, "InterfaceClassGUID");
    DeviceInterface *entry = FindInterface(device, guid, reference);
    if (!entry) {
        Refuse(STATUS_OBJECT_NAME_NOT_FOUND, kName, "no such interface");
        return;
    }
    entry->wanted = enable;
    if (!enable || device->pnpState == PnpState::Started)
        SetEnabled(entry, enable);
}
