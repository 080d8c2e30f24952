// SPDX-License-Identifier: MIT
// WdfDeviceInit...: what a driver says about a device before it exists.
#include "device.h"
#include "init.h"

using namespace wdfldr;

static WDFDEVICE_INIT *CheckInit(PWDFDEVICE_INIT init, const char *function) {
    CheckNotNull(init, function, "DeviceInit");
    if (!MmIsAddressValid(init) || init->signature != WDFDEVICE_INIT::kSignature)
        Stop(kInvalidHandle, init, 0, "%s: %p is no WDFDEVICE_INIT", function, init);
    return init;
}

WDF_API(VOID, WdfDeviceInitSetPnpPowerEventCallbacks,
        (PWDF_DRIVER_GLOBALS pub, PWDFDEVICE_INIT init, PWDF_PNPPOWER_EVENT_CALLBACKS callbacks)) {
    WDF_ENTER(WdfDeviceInitSetPnpPowerEventCallbacks, DISPATCH_LEVEL);
    CheckInit(init, kName);
    CheckNotNull(callbacks, kName, "PnpPowerEventCallbacks");
    if (callbacks->Size != sizeof(*callbacks))
        Stop(kFatalError, callbacks, callbacks->Size,
             "%s: WDF_PNPPOWER_EVENT_CALLBACKS has %u bytes, KMDF 1.9 has %u", kName,
             static_cast<unsigned>(callbacks->Size), static_cast<unsigned>(sizeof(*callbacks)));
    // The documented dependencies between self-managed I/O callbacks.
    bool restart =
        callbacks->EvtDeviceSelfManagedIoSuspend || callbacks->EvtDeviceSelfManagedIoRestart;
    if (restart && !callbacks->EvtDeviceSelfManagedIoInit)
        Stop(kFatalError, callbacks, 0,
             "%s: self-managed I/O suspend or restart without EvtDeviceSelfManagedIoInit", kName);
    init->pnpPower = *callbacks;
}

WDF_API(VOID, WdfDeviceInitSetIoType,
        (PWDF_DRIVER_GLOBALS pub, PWDFDEVICE_INIT init, WDF_DEVICE_IO_TYPE type)) {
    WDF_ENTER(WdfDeviceInitSetIoType, DISPATCH_LEVEL);
    CheckInit(init, kName);
    if (type < WdfDeviceIoNeither || type > WdfDeviceIoDirect)
        Stop(kFatalError, init, type, "%s: unknown I/O type %d", kName, static_cast<int>(type));
    init->ioType = type;
}

WDF_API(VOID, WdfDeviceInitSetExclusive,
        (PWDF_DRIVER_GLOBALS pub, PWDFDEVICE_INIT init, BOOLEAN exclusive)) {
    WDF_ENTER(WdfDeviceInitSetExclusive, DISPATCH_LEVEL);
    CheckInit(init, kName)->exclusive = exclusive ? TRUE : FALSE;
}

WDF_API(VOID, WdfDeviceInitSetDeviceType,
        (PWDF_DRIVER_GLOBALS pub, PWDFDEVICE_INIT init, DEVICE_TYPE type)) {
    WDF_ENTER(WdfDeviceInitSetDeviceType, DISPATCH_LEVEL);
    CheckInit(init, kName)->deviceType = type;
}

WDF_API(VOID, WdfDeviceInitSetCharacteristics,
        (PWDF_DRIVER_GLOBALS pub, PWDFDEVICE_INIT init, ULONG characteristics, BOOLEAN orIn)) {
    WDF_ENTER(WdfDeviceInitSetCharacteristics, DISPATCH_LEVEL);
    CheckInit(init, kName);
    init->characteristics = orIn ? init->characteristics | characteristics : characteristics;
}

WDF_API(VOID, WdfDeviceInitSetPowerNotPageable, (PWDF_DRIVER_GLOBALS pub, PWDFDEVICE_INIT init)) {
    WDF_ENTER(WdfDeviceInitSetPowerNotPageable, DISPATCH_LEVEL);
    CheckInit(init, kName)->powerNotPageable = TRUE;
}

WDF_API(VOID, WdfDeviceInitSetPowerPageable, (PWDF_DRIVER_GLOBALS pub, PWDFDEVICE_INIT init)) {
    WDF_ENTER(WdfDeviceInitSetPowerPageable, DISPATCH_LEVEL);
    CheckInit(init, kName)->powerNotPageable = FALSE;
}

// A function driver is its device's power policy owner without asking; giving that
// up needs somebody else in the stack.
WDF_API(VOID, WdfDeviceInitSetPowerPolicyOwnership,
        (PWDF_DRIVER_GLOBALS pub, PWDFDEVICE_INIT init, BOOLEAN owner)) {
    WDF_ENTER(WdfDeviceInitSetPowerPolicyOwnership, DISPATCH_LEVEL);
    CheckInit(init, kName);
    if (!owner)
        Stop(kFatalError, init, 0, "%s(FALSE) is not implemented", kName);
}

static NTSTATUS CheckCopyable(Globals *globals, PWDF_OBJECT_ATTRIBUTES attributes) {
    return CheckAttributes(globals, attributes, kParentNotAllowed | kLevelsAllowed);
}

WDF_API(VOID, WdfDeviceInitSetRequestAttributes,
        (PWDF_DRIVER_GLOBALS pub, PWDFDEVICE_INIT init, PWDF_OBJECT_ATTRIBUTES attributes)) {
    WDF_ENTER(WdfDeviceInitSetRequestAttributes, DISPATCH_LEVEL);
    CheckInit(init, kName);
    CheckNotNull(attributes, kName, "RequestAttributes");
    NTSTATUS status = CheckAttributes(globals, attributes, kParentNotAllowed);
    if (!NT_SUCCESS(status))
        Stop(kFatalError, attributes, static_cast<ULONG>(status),
             "%s: invalid attributes, status 0x%08x", kName, static_cast<unsigned>(status));
    init->requestAttributes = *attributes;
    init->hasRequestAttributes = TRUE;
}

WDF_API(VOID, WdfDeviceInitSetFileObjectConfig,
        (PWDF_DRIVER_GLOBALS pub, PWDFDEVICE_INIT init, PWDF_FILEOBJECT_CONFIG config,
         PWDF_OBJECT_ATTRIBUTES attributes)) {
    WDF_ENTER(WdfDeviceInitSetFileObjectConfig, DISPATCH_LEVEL);
    CheckInit(init, kName);
    CheckNotNull(config, kName, "FileObjectConfig");
    if (config->Size != sizeof(*config))
        Stop(kFatalError, config, config->Size,
             "%s: WDF_FILEOBJECT_CONFIG has %u bytes, KMDF 1.9 has %u", kName,
             static_cast<unsigned>(config->Size), static_cast<unsigned>(sizeof(*config)));
    ULONG fileClass = config->FileObjectClass & ~static_cast<ULONG>(WdfFileObjectCanBeOptional);
    if (fileClass == WdfFileObjectInvalid || fileClass > WdfFileObjectWdfCannotUseFsContexts)
        Stop(kFatalError, config, fileClass, "%s: unknown FileObjectClass %u", kName,
             static_cast<unsigned>(fileClass));
    if (attributes) {
        NTSTATUS status = CheckCopyable(globals, attributes);
        if (!NT_SUCCESS(status))
            Stop(kFatalError, attributes, static_cast<ULONG>(status),
                 "%s: invalid attributes, status 0x%08x", kName, static_cast<unsigned>(status));
        init->fileAttributes = *attributes;
        init->hasFileAttributes = TRUE;
    }
    init->fileConfig = *config;
    init->hasFileConfig = TRUE;
}

WDF_API(NTSTATUS, WdfDeviceInitAssignName,
        (PWDF_DRIVER_GLOBALS pub, PWDFDEVICE_INIT init, PCUNICODE_STRING name)) {
    WDF_ENTER(WdfDeviceInitAssignName, PASSIVE_LEVEL);
    CheckInit(init, kName);
    if (!name) {
        init->name.Length = 0;
        init->name.Buffer = nullptr;
        return STATUS_SUCCESS;
    }
    if (name->Length > sizeof(init->nameBuffer))
        return Refuse(STATUS_INSUFFICIENT_RESOURCES, kName, "the name has more than 64 characters");
    init->name.Buffer = init->nameBuffer;
    init->name.MaximumLength = sizeof(init->nameBuffer);
    RtlCopyUnicodeString(&init->name, name);
    return STATUS_SUCCESS;
}

WDF_API(PDEVICE_OBJECT, WdfFdoInitWdmGetPhysicalDevice,
        (PWDF_DRIVER_GLOBALS pub, PWDFDEVICE_INIT init)) {
    WDF_ENTER(WdfFdoInitWdmGetPhysicalDevice, DISPATCH_LEVEL);
    return CheckInit(init, kName)->physicalDevice;
}

WDF_API(NTSTATUS, WdfFdoInitQueryProperty,
        (PWDF_DRIVER_GLOBALS pub, PWDFDEVICE_INIT init, DEVICE_REGISTRY_PROPERTY property,
         ULONG length, PVOID buffer, PULONG resultLength)) {
    WDF_ENTER(WdfFdoInitQueryProperty, PASSIVE_LEVEL);
    CheckInit(init, kName);
    CheckNotNull(resultLength, kName, "ResultLength");
    return IoGetDeviceProperty(init->physicalDevice, property, length, buffer, resultLength);
}
