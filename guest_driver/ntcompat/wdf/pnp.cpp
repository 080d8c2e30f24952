// SPDX-License-Identifier: MIT
// PnP IRPs of a function device. The PnP manager sends them one at a time at
// PASSIVE_LEVEL, so that the state needs no lock.
#include "interrupt.h"
#include "queue.h"
#include "resources.h"

namespace wdfldr {

static void QueryStackCapabilities(Device *device) {
    DEVICE_CAPABILITIES *caps = &device->capabilities;
    RtlZeroMemory(caps, sizeof(*caps));
    caps->Size = sizeof(*caps);
    caps->Version = 1;
    caps->Address = caps->UINumber = ~0ul;
    IO_STACK_LOCATION stack;
    RtlZeroMemory(&stack, sizeof(stack));
    stack.MinorFunction = IRP_MN_QUERY_CAPABILITIES;
    stack.Parameters.DeviceCapabilities.Capabilities = caps;
    NTSTATUS status = SendPnpIrp(device->attached, &stack, nullptr);
    if (!NT_SUCCESS(status)) {
        // Nothing known about the mapping: D3 for every sleeping state.
        for (int state = 0; state < PowerSystemMaximum; state++)
            caps->DeviceState[state] = PowerDeviceD3;
        caps->DeviceState[PowerSystemWorking] = PowerDeviceD0;
    }
}

static void ReleaseHardware(Device *device) {
    if (!device->hardwarePrepared)
        return;
    device->hardwarePrepared = false;
    if (device->callbacks.EvtDeviceReleaseHardware) {
        NTSTATUS status = device->callbacks.EvtDeviceReleaseHardware(
            device->HandleAs<WDFDEVICE>(), device->resourcesTranslated->HandleAs<WDFCMRESLIST>());
        if (!NT_SUCCESS(status))
            DbgPrint("WDFLDR: EvtDeviceReleaseHardware failed, status 0x%08x\n",
                     static_cast<unsigned>(status));
    }
}

static NTSTATUS PrepareHardware(Device *device, PIO_STACK_LOCATION stack) {
    NTSTATUS status =
        device->resourcesRaw->Assign(stack->Parameters.StartDevice.AllocatedResources);
    if (NT_SUCCESS(status))
        status = device->resourcesTranslated->Assign(
            stack->Parameters.StartDevice.AllocatedResourcesTranslated);
    if (NT_SUCCESS(status))
        status = AssignInterruptResources(device);
    if (!NT_SUCCESS(status))
        return status;
    device->hardwarePrepared = true;
    if (!device->callbacks.EvtDevicePrepareHardware)
        return STATUS_SUCCESS;
    return device->callbacks.EvtDevicePrepareHardware(
        device->HandleAs<WDFDEVICE>(), device->resourcesRaw->HandleAs<WDFCMRESLIST>(),
        device->resourcesTranslated->HandleAs<WDFCMRESLIST>());
}

static NTSTATUS StartDevice(Device *device, PIRP irp) {
    NTSTATUS status = PassDownAndWait(device, irp);
    if (!NT_SUCCESS(status))
        return CompleteIrp(irp, status);
    QueryStackCapabilities(device);
    device->failed = false;
    status = PrepareHardware(device, IoGetCurrentIrpStackLocation(irp));
    if (NT_SUCCESS(status))
        status = PowerUp(device);
    if (!NT_SUCCESS(status)) {
        DbgPrint("WDFLDR: %s: start failed, status 0x%08x\n", device->globals->pub.DriverName,
                 static_cast<unsigned>(status));
        ReleaseHardware(device);
        device->pnpState = PnpState::StartFailed;
        return CompleteIrp(irp, status);
    }
    device->pnpState = PnpState::Started;
    EnableInterfaces(device);
    return CompleteIrp(irp, STATUS_SUCCESS);
}

static bool IsRunning(Device *device) {
    return device->pnpState == PnpState::Started || device->pnpState == PnpState::StopPending ||
           device->pnpState == PnpState::RemovePending;
}

// Out of D0 for good, and off the hardware.
static void StopHardware(Device *device) {
    if (IsRunning(device) && device->powerState == WdfPowerDeviceD0)
        PowerDown(device, WdfPowerDeviceD3Final);
    device->powerState = WdfPowerDeviceD3Final;
    ReleaseHardware(device);
}

static void FlushIo(Device *device) {
    DisableInterfaces(device);
    PurgeQueues(device, true);
    if (device->callbacks.EvtDeviceSelfManagedIoFlush && device->selfManagedStarted)
        device->callbacks.EvtDeviceSelfManagedIoFlush(device->HandleAs<WDFDEVICE>());
}

static NTSTATUS QueryOrRefuse(Device *device, PIRP irp, PnpState pending,
                              PFN_WDF_DEVICE_QUERY_REMOVE callback) {
    if (callback) {
        NTSTATUS status = callback(device->HandleAs<WDFDEVICE>());
        if (!NT_SUCCESS(status))
            return CompleteIrp(irp, status);
    }
    if (device->pnpState == PnpState::Started)
        device->pnpState = pending;
    irp->IoStatus.Status = STATUS_SUCCESS;
    return PassDown(device, irp);
}

static NTSTATUS CancelQuery(Device *device, PIRP irp, PnpState pending) {
    irp->IoStatus.Status = STATUS_SUCCESS;
    NTSTATUS status = PassDownAndWait(device, irp);
    if (device->pnpState == pending)
        device->pnpState = PnpState::Started;
    return CompleteIrp(irp, status);
}

static NTSTATUS StopDevice(Device *device, PIRP irp) {
    StopHardware(device);
    device->pnpState = PnpState::Stopped;
    irp->IoStatus.Status = STATUS_SUCCESS;
    return PassDown(device, irp);
}

static NTSTATUS SurpriseRemove(Device *device, PIRP irp) {
    if (device->callbacks.EvtDeviceSurpriseRemoval)
        device->callbacks.EvtDeviceSurpriseRemoval(device->HandleAs<WDFDEVICE>());
    StopHardware(device);
    FlushIo(device);
    device->pnpState = PnpState::SurpriseRemoved;
    irp->IoStatus.Status = STATUS_SUCCESS;
    return PassDown(device, irp);
}

static void WaitForIo(Device *device) {
    KIRQL irql;
    KeAcquireSpinLock(&device->lock, &irql);
    device->acceptIo = false;
    KeReleaseSpinLock(&device->lock, irql);
    LARGE_INTEGER interval;
    interval.QuadPart = -50000000; // 5 s
    while (KeWaitForSingleObject(&device->ioIdle, Executive, KernelMode, FALSE, &interval) ==
           STATUS_TIMEOUT)
        DbgPrint("WDFLDR: %s: removal waits for %d requests\n", device->globals->pub.DriverName,
                 static_cast<int>(device->ioCount));
    // The last LeaveIo sets the event with the lock held: let it go.
    KeAcquireSpinLock(&device->lock, &irql);
    KeReleaseSpinLock(&device->lock, irql);
}

static NTSTATUS RemoveDevice(Device *device, PIRP irp) {
    bool flushed = device->pnpState == PnpState::SurpriseRemoved;
    StopHardware(device);
    if (!flushed)
        FlushIo(device);
    PurgeQueues(device, false);
    WaitForIo(device);
    if (device->callbacks.EvtDeviceSelfManagedIoCleanup && device->selfManagedStarted)
        device->callbacks.EvtDeviceSelfManagedIoCleanup(device->HandleAs<WDFDEVICE>());
    device->pnpState = PnpState::Removed;
    irp->IoStatus.Status = STATUS_SUCCESS;
    NTSTATUS status = PassDown(device, irp);
    DestroyDevice(device);
    return status;
}

// Bit fields: what the driver did not decide stays as the stack below has it.
#define OVERRIDE(wanted, field)                                                                    \
    if ((wanted) != WdfUseDefault)                                                                 \
    caps->field = (wanted) == WdfTrue ? 1 : 0

static NTSTATUS QueryCapabilities(Device *device, PIRP irp) {
    NTSTATUS status = PassDownAndWait(device, irp);
    if (NT_SUCCESS(status) && device->hasPnpCapabilities) {
        PDEVICE_CAPABILITIES caps =
            IoGetCurrentIrpStackLocation(irp)->Parameters.DeviceCapabilities.Capabilities;
        const WDF_DEVICE_PNP_CAPABILITIES &own = device->pnpCapabilities;
        OVERRIDE(own.LockSupported, LockSupported);
        OVERRIDE(own.EjectSupported, EjectSupported);
        OVERRIDE(own.Removable, Removable);
        OVERRIDE(own.DockDevice, DockDevice);
        OVERRIDE(own.UniqueID, UniqueID);
        OVERRIDE(own.SilentInstall, SilentInstall);
        OVERRIDE(own.SurpriseRemovalOK, SurpriseRemovalOK);
        OVERRIDE(own.HardwareDisabled, HardwareDisabled);
        OVERRIDE(own.NoDisplayInUI, NoDisplayInUI);
        if (own.Address != ~0ul)
            caps->Address = own.Address;
        if (own.UINumber != ~0ul)
            caps->UINumber = own.UINumber;
    }
    return CompleteIrp(irp, status, irp->IoStatus.Information);
}

static NTSTATUS QueryDeviceState(Device *device, PIRP irp) {
    NTSTATUS status = PassDownAndWait(device, irp);
    ULONG_PTR state = NT_SUCCESS(status) ? irp->IoStatus.Information : 0;
    if (device->failed)
        state |= PNP_DEVICE_FAILED;
    if (device->failedRestart)
        state |= PNP_DEVICE_RESOURCE_REQUIREMENTS_CHANGED;
    return CompleteIrp(irp, STATUS_SUCCESS, state);
}

NTSTATUS NTAPI DispatchPnp(PDEVICE_OBJECT deviceObject, PIRP irp) {
    Device *device = ToDevice(deviceObject);
    switch (IoGetCurrentIrpStackLocation(irp)->MinorFunction) {
    case IRP_MN_START_DEVICE:
        return StartDevice(device, irp);
    case IRP_MN_QUERY_STOP_DEVICE:
        return QueryOrRefuse(device, irp, PnpState::StopPending,
                             device->callbacks.EvtDeviceQueryStop);
    case IRP_MN_CANCEL_STOP_DEVICE:
        return CancelQuery(device, irp, PnpState::StopPending);
    case IRP_MN_STOP_DEVICE:
        return StopDevice(device, irp);
    case IRP_MN_QUERY_REMOVE_DEVICE:
        return QueryOrRefuse(device, irp, PnpState::RemovePending,
                             device->callbacks.EvtDeviceQueryRemove);
    case IRP_MN_CANCEL_REMOVE_DEVICE:
        return CancelQuery(device, irp, PnpState::RemovePending);
    case IRP_MN_SURPRISE_REMOVAL:
        return SurpriseRemove(device, irp);
    case IRP_MN_REMOVE_DEVICE:
        return RemoveDevice(device, irp);
    case IRP_MN_QUERY_CAPABILITIES:
        return QueryCapabilities(device, irp);
    case IRP_MN_QUERY_PNP_DEVICE_STATE:
        return QueryDeviceState(device, irp);
    default:
        return PassDown(device, irp);
    }
}

} // namespace wdfldr
