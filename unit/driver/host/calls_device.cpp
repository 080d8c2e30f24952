// SPDX-License-Identifier: MIT
//
// The framework's functions of objects, the driver, its parameters and the device.
#include "calls.h"
#include "faults.h"

#include <cstdio>
#include <cstring>

namespace vq7::host {

namespace {

PVOID GetContext(Globals, WDFOBJECT handle, PCWDF_OBJECT_CONTEXT_TYPE_INFO type) {
    auto &contexts = Of<Object>(handle)->contexts;
    auto found = contexts.find(type);
    if (found == contexts.end()) {
        kernel->Wrong("an object without this context");
        return nullptr;
    }
    return found->second.data();
}

VOID ObjectDelete(Globals, WDFOBJECT handle) {
    Of<Object>(handle)->alive = false;
}

NTSTATUS DriverCreate(Globals, PDRIVER_OBJECT, PCUNICODE_STRING, PWDF_OBJECT_ATTRIBUTES,
                      PWDF_DRIVER_CONFIG config, WDFDRIVER *) {
    kernel->Need(config->Size == sizeof(*config), "driver configuration of a wrong size");
    if (kernel->Fails("WdfDriverCreate")) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    framework->driver_config = *config;
    return STATUS_SUCCESS;
}

NTSTATUS OpenParametersKey(Globals, WDFDRIVER, ACCESS_MASK access, PWDF_OBJECT_ATTRIBUTES,
                           WDFKEY *key) {
    *key = nullptr;
    kernel->Need(access == KEY_READ, "the key is opened for something else than reading");
    if (kernel->Fails("WdfDriverOpenParametersRegistryKey")) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (!framework->parameters_key) {
        return STATUS_OBJECT_NAME_NOT_FOUND;
    }
    framework->open_keys++;
    *key = HandleOf<WDFKEY>(framework->Make<Key>());
    return STATUS_SUCCESS;
}

VOID RegistryClose(Globals, WDFKEY key) {
    Of<Object>(key)->alive = false;
    framework->open_keys--;
}

NTSTATUS QueryString(Globals, WDFKEY key, PCUNICODE_STRING name, PUSHORT length,
                     PUNICODE_STRING value) {
    UNICODE_STRING wanted;
    Of<Object>(key);
    RtlInitUnicodeString(&wanted, L"Transport");
    kernel->Need(RtlEqualUnicodeString(name, &wanted, FALSE), "another value is asked for");
    if (!framework->transport) {
        return STATUS_OBJECT_NAME_NOT_FOUND;
    }
    *length = USHORT(framework->transport->size() * 2);
    if (*length > value->MaximumLength) {
        return STATUS_BUFFER_OVERFLOW;
    }
    std::memcpy(value->Buffer, framework->transport->data(), *length);
    value->Length = *length;
    return STATUS_SUCCESS;
}

NTSTATUS QueryNumber(Globals, WDFKEY key, PCUNICODE_STRING name, PULONG value) {
    Of<Key>(key);
    const auto *text = reinterpret_cast<const char16_t *>(name->Buffer);
    if (faults.no_number == std::u16string(text, name->Length / 2)) {
        return NTSTATUS(0xC0000024L); // STATUS_OBJECT_TYPE_MISMATCH
    }
    auto found = framework->numbers.find(std::u16string(text, name->Length / 2));
    if (found == framework->numbers.end()) {
        return STATUS_OBJECT_NAME_NOT_FOUND;
    }
    *value = found->second;
    return STATUS_SUCCESS;
}

VOID SetPnpCallbacks(Globals, PWDFDEVICE_INIT, PWDF_PNPPOWER_EVENT_CALLBACKS callbacks) {
    kernel->Need(callbacks->Size == sizeof(*callbacks), "callbacks of a wrong size");
    framework->callbacks = *callbacks;
}

VOID SetRequestAttributes(Globals, PWDFDEVICE_INIT, PWDF_OBJECT_ATTRIBUTES attributes) {
    kernel->Need(attributes->Size == sizeof(*attributes), "attributes of a wrong size");
    framework->request_context = attributes->ContextTypeInfo;
}

NTSTATUS DeviceCreate(Globals, PWDFDEVICE_INIT *init, PWDF_OBJECT_ATTRIBUTES attributes,
                      WDFDEVICE *device) {
    return Create<Object>("WdfDeviceCreate", attributes, device, [&](Object *made) {
        framework->device = made;
        *init = nullptr;
    });
}

NTSTATUS CreateInterface(Globals, WDFDEVICE, const GUID *guid, PCUNICODE_STRING) {
    char text[64];
    if (kernel->Fails("WdfDeviceCreateDeviceInterface")) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    std::snprintf(text, sizeof(text), "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                  guid->Data1, guid->Data2, guid->Data3, guid->Data4[0], guid->Data4[1],
                  guid->Data4[2], guid->Data4[3], guid->Data4[4], guid->Data4[5], guid->Data4[6],
                  guid->Data4[7]);
    framework->interface_guid = text;
    return STATUS_SUCCESS;
}

NTSTATUS QueryProperty(Globals, WDFDEVICE, DEVICE_REGISTRY_PROPERTY property, ULONG length,
                       PVOID buffer, PULONG result) {
    if (kernel->Fails("WdfDeviceQueryProperty")) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    const bool bus = property == DevicePropertyBusNumber;
    kernel->Need(bus || property == DevicePropertyAddress, "another property is asked for");
    kernel->Need(length == sizeof(ULONG), "the property has 4 bytes");
    *static_cast<PULONG>(buffer) = bus ? framework->bus_number : framework->address;
    *result = sizeof(ULONG);
    return STATUS_SUCCESS;
}

ULONG BusAccess(char kind, ULONG type, PVOID buffer, ULONG offset, ULONG length) {
    kernel->Need(type == PCI_WHICHSPACE_CONFIG, "not configuration space");
    if (kernel->Fails(kind == 'r' ? "GetBusData" : "SetBusData") ||
        offset == framework->unreadable) {
        return 0;
    }
    for (ULONG i = 0; i < length; i++) {
        auto *byte = static_cast<std::uint8_t *>(buffer) + i;
        if (kind == 'w') {
            kernel->pci.cfg[offset + i] = *byte;
            framework->config_writes += i == 0;
        } else {
            *byte = kernel->pci.gone ? 0xFF : std::uint8_t(kernel->pci.getCfg(offset + i, 1));
        }
    }
    return length;
}

NTSTATUS QueryInterface(Globals, WDFDEVICE, LPCGUID guid, PINTERFACE interface, USHORT size,
                        USHORT version, PVOID) {
    kernel->Need(guid->Data1 == 0x496b8280 && guid->Data4[7] == 0x2F, "another interface");
    kernel->Need(size == sizeof(BUS_INTERFACE_STANDARD) && version == 1, "another version");
    if (kernel->Fails("WdfFdoQueryForInterface")) {
        return STATUS_NOT_SUPPORTED;
    }
    framework->bus_references++;
    auto *bus = reinterpret_cast<BUS_INTERFACE_STANDARD *>(interface);
    *bus = {};
    bus->InterfaceDereference = [](PVOID) { framework->bus_references--; };
    bus->GetBusData = [](PVOID, ULONG type, PVOID buffer, ULONG offset, ULONG length) {
        return BusAccess('r', type, buffer, offset, length);
    };
    bus->SetBusData = [](PVOID, ULONG type, PVOID buffer, ULONG offset, ULONG length) {
        return BusAccess('w', type, buffer, offset, length);
    };
    return STATUS_SUCCESS;
}

ULONG ResourceCount(Globals, WDFCMRESLIST list) {
    return ULONG(reinterpret_cast<std::vector<CM_PARTIAL_RESOURCE_DESCRIPTOR> *>(list)->size());
}

PCM_PARTIAL_RESOURCE_DESCRIPTOR Resource(Globals, WDFCMRESLIST list, ULONG index) {
    auto *all = reinterpret_cast<std::vector<CM_PARTIAL_RESOURCE_DESCRIPTOR> *>(list);
    if (kernel->Fails("WdfCmResourceListGetDescriptor")) {
        return nullptr;
    }
    return index < all->size() ? &(*all)[index] : nullptr;
}

} // namespace

void FillDeviceCalls() {
    VQ7_ENTRY(WdfObjectGetTypedContextWorker, GetContext);
    VQ7_ENTRY(WdfObjectDelete, ObjectDelete);
    VQ7_ENTRY(WdfDriverCreate, DriverCreate);
    VQ7_ENTRY(WdfDriverOpenParametersRegistryKey, OpenParametersKey);
    VQ7_ENTRY(WdfRegistryClose, RegistryClose);
    VQ7_ENTRY(WdfRegistryQueryUnicodeString, QueryString);
    VQ7_ENTRY(WdfRegistryQueryULong, QueryNumber);
    VQ7_ENTRY(WdfDeviceInitSetPnpPowerEventCallbacks, SetPnpCallbacks);
    VQ7_ENTRY(WdfDeviceInitSetRequestAttributes, SetRequestAttributes);
    VQ7_ENTRY(WdfDeviceCreate, DeviceCreate);
    VQ7_ENTRY(WdfDeviceCreateDeviceInterface, CreateInterface);
    VQ7_ENTRY(WdfDeviceQueryProperty, QueryProperty);
    VQ7_ENTRY(WdfFdoQueryForInterface, QueryInterface);
    VQ7_ENTRY(WdfCmResourceListGetCount, ResourceCount);
    VQ7_ENTRY(WdfCmResourceListGetDescriptor, Resource);
}

} // namespace vq7::host
