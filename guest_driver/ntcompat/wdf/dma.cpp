// SPDX-License-Identifier: MIT
// WDFDMAENABLER and WDFCOMMONBUFFER.
#include "dma.h"

namespace wdfldr {

void DmaEnabler::OnDispose() {
    KIRQL irql;
    KeAcquireSpinLock(&device->lock, &irql);
    RemoveEntryList(&deviceLink);
    KeReleaseSpinLock(&device->lock, irql);
    if (adapter)
        adapter->DmaOperations->PutDmaAdapter(adapter);
    adapter = nullptr;
}

void CommonBuffer::OnDispose() {
    if (base)
        enabler->adapter->DmaOperations->FreeCommonBuffer(
            enabler->adapter, static_cast<ULONG>(allocated), baseLogical, base, FALSE);
    base = nullptr;
}

template <class F> static void ForEachEnabler(Device *device, F action) {
    for (LIST_ENTRY *e = device->dmaEnablers.Flink; e != &device->dmaEnablers; e = e->Flink)
        action(CONTAINING_RECORD(e, DmaEnabler, deviceLink));
}

static NTSTATUS Call(NTSTATUS(NTAPI *callback)(WDFDMAENABLER), DmaEnabler *enabler,
                     NTSTATUS before) {
    return NT_SUCCESS(before) && callback ? callback(enabler->HandleAs<WDFDMAENABLER>()) : before;
}

NTSTATUS PowerUpDma(Device *device) {
    NTSTATUS status = STATUS_SUCCESS;
    ForEachEnabler(device, [&](DmaEnabler *enabler) {
        status = Call(enabler->config.EvtDmaEnablerFill, enabler, status);
        status = Call(enabler->config.EvtDmaEnablerEnable, enabler, status);
        status = Call(enabler->config.EvtDmaEnablerSelfManagedIoStart, enabler, status);
        enabler->running = true;
    });
    return status;
}

void PowerDownDma(Device *device) {
    ForEachEnabler(device, [](DmaEnabler *enabler) {
        if (!enabler->running)
            return;
        enabler->running = false;
        Call(enabler->config.EvtDmaEnablerSelfManagedIoStop, enabler, STATUS_SUCCESS);
        Call(enabler->config.EvtDmaEnablerDisable, enabler, STATUS_SUCCESS);
        Call(enabler->config.EvtDmaEnablerFlush, enabler, STATUS_SUCCESS);
    });
}

static bool DescribeProfile(WDF_DMA_PROFILE profile, DEVICE_DESCRIPTION *description) {
    description->Master = TRUE;
    switch (profile) {
    case WdfDmaProfilePacket:
        return true;
    case WdfDmaProfileScatterGather:
        description->ScatterGather = TRUE;
        return true;
    case WdfDmaProfilePacket64:
        description->Dma64BitAddresses = TRUE;
        return true;
    case WdfDmaProfileScatterGather64:
        description->ScatterGather = TRUE;
        description->Dma64BitAddresses = TRUE;
        return true;
    default:
        return false;
    }
}

static NTSTATUS GetAdapter(DmaEnabler *enabler) {
    DEVICE_DESCRIPTION description;
    RtlZeroMemory(&description, sizeof(description));
    description.Version = DEVICE_DESCRIPTION_VERSION;
    description.InterfaceType = PCIBus;
    description.Dma32BitAddresses = TRUE;
    if (!DescribeProfile(enabler->config.Profile, &description))
        return Refuse(STATUS_NOT_IMPLEMENTED, "WdfDmaEnablerCreate", "duplex profiles");
    description.MaximumLength = static_cast<ULONG>(enabler->config.MaximumLength);
    enabler->adapter =
        IoGetDmaAdapter(enabler->device->physical, &description, &enabler->mapRegisters);
    return enabler->adapter ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

} // namespace wdfldr

using namespace wdfldr;

WDF_API(NTSTATUS, WdfDmaEnablerCreate,
        (PWDF_DRIVER_GLOBALS pub, WDFDEVICE deviceHandle, PWDF_DMA_ENABLER_CONFIG config,
         PWDF_OBJECT_ATTRIBUTES attributes, WDFDMAENABLER *out)) {
    WDF_ENTER(WdfDmaEnablerCreate, PASSIVE_LEVEL);
    auto *device = From<Device>(globals, deviceHandle, kName);
    CheckNotNull(config, kName, "Config");
    CheckNotNull(out, kName, "DmaEnabler");
    *out = nullptr;
    if (config->Size != sizeof(*config))
        return Refuse(STATUS_INFO_LENGTH_MISMATCH, kName,
                      "WDF_DMA_ENABLER_CONFIG has the wrong size");
    if (config->MaximumLength == 0 || config->MaximumLength > ~0u)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "MaximumLength");
    if (config->Profile <= WdfDmaProfileInvalid ||
        config->Profile > WdfDmaProfileScatterGather64Duplex)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "Profile");
    NTSTATUS status = CheckAttributes(globals, attributes, kParentOptional);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    Object *parent = ParentOf(globals, attributes, device);
    if (!IsBelow(parent, device))
        return Refuse(STATUS_INVALID_DEVICE_REQUEST, kName, "the parent isn't below the device");
    auto *enabler = New<DmaEnabler>(globals, Type::DmaEnabler);
    if (!enabler)
        return STATUS_INSUFFICIENT_RESOURCES;
    enabler->device = device;
    enabler->config = *config;
    enabler->passiveDelete = true;
    status = FinishCreate(globals, enabler, parent, attributes);
    if (!NT_SUCCESS(status))
        return status;
    KIRQL irql;
    KeAcquireSpinLock(&device->lock, &irql);
    InsertTailList(&device->dmaEnablers, &enabler->deviceLink);
    KeReleaseSpinLock(&device->lock, irql);
    status = GetAdapter(enabler);
    if (!NT_SUCCESS(status)) {
        DropFailed(enabler);
        return status;
    }
    enabler->maximumFragments = enabler->mapRegisters;
    *out = enabler->HandleAs<WDFDMAENABLER>();
    return STATUS_SUCCESS;
}

WDF_API(size_t, WdfDmaEnablerGetMaximumLength, (PWDF_DRIVER_GLOBALS pub, WDFDMAENABLER handle)) {
    WDF_ENTER(WdfDmaEnablerGetMaximumLength, DISPATCH_LEVEL);
    return From<DmaEnabler>(globals, handle, kName)->config.MaximumLength;
}

WDF_API(size_t, WdfDmaEnablerGetMaximumScatterGatherElements,
        (PWDF_DRIVER_GLOBALS pub, WDFDMAENABLER handle)) {
    WDF_ENTER(WdfDmaEnablerGetMaximumScatterGatherElements, DISPATCH_LEVEL);
    return From<DmaEnabler>(globals, handle, kName)->maximumFragments;
}

WDF_API(VOID, WdfDmaEnablerSetMaximumScatterGatherElements,
        (PWDF_DRIVER_GLOBALS pub, WDFDMAENABLER handle, size_t count)) {
    WDF_ENTER(WdfDmaEnablerSetMaximumScatterGatherElements, PASSIVE_LEVEL);
    auto *enabler = From<DmaEnabler>(globals, handle, kName);
    if (count == 0)
        Stop(kDmaFatal, handle, 0, "%s: 0 elements", kName);
    enabler->maximumFragments = count;
}

WDF_API(PDMA_ADAPTER, WdfDmaEnablerWdmGetDmaAdapter,
        (PWDF_DRIVER_GLOBALS pub, WDFDMAENABLER handle, ULONG)) {
    WDF_ENTER(WdfDmaEnablerWdmGetDmaAdapter, DISPATCH_LEVEL);
    return From<DmaEnabler>(globals, handle, kName)->adapter;
}

static NTSTATUS CreateBuffer(Globals *globals, DmaEnabler *enabler, size_t length, ULONG alignment,
                             PWDF_OBJECT_ATTRIBUTES attributes, WDFCOMMONBUFFER *out,
                             const char *function) {
    *out = nullptr;
    if (length == 0 || length > 0x7FFFFFFF - alignment)
        return Refuse(STATUS_INVALID_PARAMETER, function, "Length");
    if (alignment & (alignment + 1))
        return Refuse(STATUS_INVALID_PARAMETER, function, "AlignmentRequirement isn't 2^n - 1");
    NTSTATUS status = CheckAttributes(globals, attributes, kParentNotAllowed);
    if (!NT_SUCCESS(status))
        return Refuse(status, function, "attributes");
    auto *buffer = New<CommonBuffer>(globals, Type::CommonBuffer);
    if (!buffer)
        return STATUS_INSUFFICIENT_RESOURCES;
    buffer->enabler = enabler;
    buffer->length = length;
    buffer->passiveDelete = true;
    status = FinishCreate(globals, buffer, enabler, attributes);
    if (!NT_SUCCESS(status))
        return status;
    // Room to align in, whatever alignment the allocation itself has.
    buffer->allocated = length + alignment;
    buffer->base = enabler->adapter->DmaOperations->AllocateCommonBuffer(
        enabler->adapter, static_cast<ULONG>(buffer->allocated), &buffer->baseLogical, FALSE);
    if (!buffer->base) {
        DropFailed(buffer);
        return Refuse(STATUS_INSUFFICIENT_RESOURCES, function, "AllocateCommonBuffer");
    }
    buffer->offset = static_cast<size_t>(-buffer->baseLogical.QuadPart) & alignment;
    *out = buffer->HandleAs<WDFCOMMONBUFFER>();
    return STATUS_SUCCESS;
}

WDF_API(NTSTATUS, WdfCommonBufferCreate,
        (PWDF_DRIVER_GLOBALS pub, WDFDMAENABLER handle, size_t length,
         PWDF_OBJECT_ATTRIBUTES attributes, WDFCOMMONBUFFER *out)) {
    WDF_ENTER(WdfCommonBufferCreate, PASSIVE_LEVEL);
    auto *enabler = From<DmaEnabler>(globals, handle, kName);
    CheckNotNull(out, kName, "CommonBuffer");
    return CreateBuffer(globals, enabler, length,
                        enabler->device->deviceObject->AlignmentRequirement, attributes, out,
                        kName);
}

WDF_API(NTSTATUS, WdfCommonBufferCreateWithConfig,
        (PWDF_DRIVER_GLOBALS pub, WDFDMAENABLER handle, size_t length,
         PWDF_COMMON_BUFFER_CONFIG config, PWDF_OBJECT_ATTRIBUTES attributes,
         WDFCOMMONBUFFER *out)) {
    WDF_ENTER(WdfCommonBufferCreateWithConfig, PASSIVE_LEVEL);
    auto *enabler = From<DmaEnabler>(globals, handle, kName);
    CheckNotNull(config, kName, "Config");
    CheckNotNull(out, kName, "CommonBuffer");
    *out = nullptr;
    if (config->Size != sizeof(*config))
        return Refuse(STATUS_INFO_LENGTH_MISMATCH, kName,
                      "WDF_COMMON_BUFFER_CONFIG has the wrong size");
    return CreateBuffer(globals, enabler, length, config->AlignmentRequirement, attributes, out,
                        kName);
}

WDF_API(PVOID, WdfCommonBufferGetAlignedVirtualAddress,
        (PWDF_DRIVER_GLOBALS pub, WDFCOMMONBUFFER handle)) {
    WDF_ENTER(WdfCommonBufferGetAlignedVirtualAddress, DISPATCH_LEVEL);
    auto *buffer = From<CommonBuffer>(globals, handle, kName);
    return static_cast<char *>(buffer->base) + buffer->offset;
}

WDF_API(PHYSICAL_ADDRESS, WdfCommonBufferGetAlignedLogicalAddress,
        (PWDF_DRIVER_GLOBALS pub, WDFCOMMONBUFFER handle)) {
    WDF_ENTER(WdfCommonBufferGetAlignedLogicalAddress, DISPATCH_LEVEL);
    auto *buffer = From<CommonBuffer>(globals, handle, kName);
    PHYSICAL_ADDRESS address = buffer->baseLogical;
    address.QuadPart += static_cast<LONGLONG>(buffer->offset);
    return address;
}

WDF_API(size_t, WdfCommonBufferGetLength, (PWDF_DRIVER_GLOBALS pub, WDFCOMMONBUFFER handle)) {
    WDF_ENTER(WdfCommonBufferGetLength, DISPATCH_LEVEL);
    return From<CommonBuffer>(globals, handle, kName)->length;
}
