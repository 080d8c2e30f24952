// SPDX-License-Identifier: MIT
// WDFDRIVER.
#include "device.h"

namespace wdfldr {

Object *DriverObject(Globals *globals) {
    if (!globals->driver)
        Stop(kFatalError, &globals->pub, 0, "%s has not called WdfDriverCreate",
             globals->pub.DriverName);
    return globals->driver;
}

static NTSTATUS CheckDriverConfig(const WDF_DRIVER_CONFIG *config) {
    static const char kName[] = "WdfDriverCreate";
    // DriverPoolTag came with 1.5; before, the structure ended at DriverInitFlags.
    if (config->Size != sizeof(*config) &&
        config->Size != FIELD_OFFSET(WDF_DRIVER_CONFIG, DriverPoolTag))
        return Refuse(STATUS_INFO_LENGTH_MISMATCH, kName, "WDF_DRIVER_CONFIG has the wrong size");
    if (config->DriverInitFlags & ~0xFul)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "unknown DriverInitFlags");
    if ((config->DriverInitFlags & (WdfDriverInitNonPnpDriver | WdfDriverInitNoDispatchOverride)))
        Stop(kFatalError, nullptr, config->DriverInitFlags,
             "WdfDriverCreate: non-PnP and miniport drivers are not implemented");
    return STATUS_SUCCESS;
}

static VOID NTAPI Unload(PDRIVER_OBJECT driverObject) {
    Driver *driver = FindDriver(driverObject);
    if (driver && driver->config.EvtDriverUnload)
        driver->config.EvtDriverUnload(driver->HandleAs<WDFDRIVER>());
}

// Its address names WDFLDR.SYS's driver object extension.
static char extensionId;

Driver *FindDriver(PDRIVER_OBJECT driverObject) {
    auto **slot = static_cast<Driver **>(IoGetDriverObjectExtension(driverObject, &extensionId));
    return slot ? *slot : nullptr;
}

static NTSTATUS Publish(Driver *driver) {
    Driver **slot;
    NTSTATUS status = IoAllocateDriverObjectExtension(
        driver->driverObject, &extensionId, sizeof(*slot), reinterpret_cast<PVOID *>(&slot));
    if (!NT_SUCCESS(status))
        return status;
    *slot = driver;
    PDRIVER_OBJECT object = driver->driverObject;
    for (ULONG major = 0; major <= IRP_MJ_MAXIMUM_FUNCTION; major++)
        object->MajorFunction[major] = &Dispatch;
    object->DriverExtension->AddDevice = &AddDevice;
    object->DriverUnload = &Unload;
    return STATUS_SUCCESS;
}

} // namespace wdfldr

using namespace wdfldr;

WDF_API(NTSTATUS, WdfDriverCreate,
        (PWDF_DRIVER_GLOBALS pub, PDRIVER_OBJECT driverObject, PCUNICODE_STRING path,
         PWDF_OBJECT_ATTRIBUTES attributes, PWDF_DRIVER_CONFIG config, WDFDRIVER *out)) {
    WDF_ENTER(WdfDriverCreate, PASSIVE_LEVEL);
    CheckNotNull(driverObject, kName, "DriverObject");
    CheckNotNull(path, kName, "RegistryPath");
    CheckNotNull(config, kName, "DriverConfig");
    if (out)
        *out = nullptr;
    NTSTATUS status = CheckDriverConfig(config);
    if (!NT_SUCCESS(status))
        return status;
    if (globals->driver)
        return Refuse(STATUS_DRIVER_INTERNAL_ERROR, kName, "called before");
    status = CheckAttributes(globals, attributes, kParentNotAllowed | kLevelsAllowed);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    auto *driver = New<Driver>(globals, Type::Driver);
    if (!driver)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlCopyMemory(&driver->config, config, config->Size);
    driver->driverObject = driverObject;
    driver->noDelete = true;
    InitializeListHead(&driver->devices);
    status = FinishCreate(globals, driver, nullptr, attributes);
    if (!NT_SUCCESS(status))
        return status;
    // The framework's defaults, which everything below inherits.
    if (driver->executionLevel == WdfExecutionLevelInheritFromParent)
        driver->executionLevel = WdfExecutionLevelDispatch;
    if (driver->synchronizationScope == WdfSynchronizationScopeInheritFromParent)
        driver->synchronizationScope = WdfSynchronizationScopeNone;
    status = Publish(driver);
    if (!NT_SUCCESS(status)) {
        DropFailed(driver);
        return Refuse(status, kName, "driver object extension");
    }
    globals->driver = driver;
    pub->Driver = driver->HandleAs<WDFDRIVER>();
    pub->DriverFlags |= config->DriverInitFlags;
    pub->DisplaceDriverUnload = TRUE;
    if (driver->config.DriverPoolTag)
        pub->DriverTag = driver->config.DriverPoolTag;
    if (out)
        *out = pub->Driver;
    return STATUS_SUCCESS;
}

WDF_API(PWSTR, WdfDriverGetRegistryPath, (PWDF_DRIVER_GLOBALS pub, WDFDRIVER handle)) {
    WDF_ENTER(WdfDriverGetRegistryPath, PASSIVE_LEVEL);
    From<Driver>(globals, handle, kName);
    return globals->registryPath.Buffer;
}

WDF_API(PDRIVER_OBJECT, WdfDriverWdmGetDriverObject, (PWDF_DRIVER_GLOBALS pub, WDFDRIVER handle)) {
    WDF_ENTER(WdfDriverWdmGetDriverObject, DISPATCH_LEVEL);
    return From<Driver>(globals, handle, kName)->driverObject;
}

WDF_API(WDFDRIVER, WdfWdmDriverGetWdfDriverHandle,
        (PWDF_DRIVER_GLOBALS pub, PDRIVER_OBJECT driverObject)) {
    WDF_ENTER(WdfWdmDriverGetWdfDriverHandle, DISPATCH_LEVEL);
    CheckNotNull(driverObject, kName, "DriverObject");
    Driver *driver = FindDriver(driverObject);
    return driver ? driver->HandleAs<WDFDRIVER>() : nullptr;
}
