// SPDX-License-Identifier: MIT
// Power IRPs of a function device that owns its stack's power policy.
//
// S-IRP down: ask for the device state of that system state first, and pass the
// S-IRP on when the D-IRP is done. S-IRP up: pass it on first, then ask for D0.
// D-IRPs: the framework's work is done at PASSIVE_LEVEL in a work item, on the way
// down before the IRP goes on, on the way up after the bus driver has finished.
#include "device.h"

namespace wdfldr {

static DEVICE_POWER_STATE DeviceStateFor(Device *device, SYSTEM_POWER_STATE system) {
    if (system == PowerSystemWorking)
        return PowerDeviceD0;
    DEVICE_POWER_STATE state = PowerDeviceD3;
    if (system > PowerSystemUnspecified && system < PowerSystemMaximum)
        state = device->capabilities.DeviceState[system];
    // Not armed for wake: the deepest state is always allowed, and meant.
    return state < PowerDeviceD3 ? PowerDeviceD3 : state;
}

static VOID NTAPI SystemDownDone(PDEVICE_OBJECT, UCHAR, POWER_STATE, PVOID context,
                                 PIO_STATUS_BLOCK) {
    auto *irp = static_cast<PIRP>(context);
    Device *device = ToDevice(IoGetCurrentIrpStackLocation(irp)->DeviceObject);
    irp->IoStatus.Status = STATUS_SUCCESS;
    PassDownPended(device, irp);
}

static NTSTATUS SystemDown(Device *device, PIRP irp, SYSTEM_POWER_STATE system) {
    POWER_STATE state;
    state.DeviceState = DeviceStateFor(device, system);
    device->systemState = system;
    if (device->powerState != WdfPowerDeviceD0) {
        irp->IoStatus.Status = STATUS_SUCCESS;
        return PassDown(device, irp);
    }
    IoMarkIrpPending(irp);
    NTSTATUS status =
        PoRequestPowerIrp(device->physical, IRP_MN_SET_POWER, state, &SystemDownDone, irp, nullptr);
    if (!NT_SUCCESS(status)) {
        irp->IoStatus.Status = STATUS_SUCCESS;
        PassDownPended(device, irp);
    }
    return STATUS_PENDING;
}

static NTSTATUS NTAPI SystemUpCompletion(PDEVICE_OBJECT deviceObject, PIRP irp, PVOID) {
    if (irp->PendingReturned)
        IoMarkIrpPending(irp);
    Device *device = ToDevice(deviceObject);
    device->systemState = PowerSystemWorking;
    POWER_STATE state;
    state.DeviceState = PowerDeviceD0;
    NTSTATUS status =
        PoRequestPowerIrp(device->physical, IRP_MN_SET_POWER, state, nullptr, nullptr, nullptr);
    if (!NT_SUCCESS(status))
        DbgPrint("WDFLDR: no D0 IRP, status 0x%08x\n", static_cast<unsigned>(status));
    return STATUS_CONTINUE_COMPLETION;
}

static NTSTATUS SystemUp(Device *device, PIRP irp) {
    if (device->pnpState != PnpState::Started || device->powerState == WdfPowerDeviceD0) {
        irp->IoStatus.Status = STATUS_SUCCESS;
        return PassDown(device, irp);
    }
    IoCopyCurrentIrpStackLocationToNext(irp);
    IoSetCompletionRoutine(irp, &SystemUpCompletion, nullptr, TRUE, TRUE, TRUE);
    return IoCallDriver(device->attached, irp);
}

// The driver's view: D3Final where the system will not come back from this state.
static WDF_POWER_DEVICE_STATE TargetState(PIO_STACK_LOCATION stack) {
    POWER_ACTION action = stack->Parameters.Power.ShutdownType;
    bool final = action == PowerActionShutdown || action == PowerActionShutdownReset ||
                 action == PowerActionShutdownOff;
    return final ? WdfPowerDeviceD3Final
                 : static_cast<WDF_POWER_DEVICE_STATE>(stack->Parameters.Power.State.DeviceState);
}

static VOID NTAPI DeviceDownWork(PDEVICE_OBJECT, PVOID context) {
    auto *device = static_cast<Device *>(context);
    PIRP irp = device->powerIrp;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    device->powerIrp = nullptr;
    if (device->powerState == WdfPowerDeviceD0) {
        NTSTATUS status = PowerDown(device, TargetState(stack));
        if (!NT_SUCCESS(status)) {
            // Powering down can't be refused; the device counts as failed.
            device->failed = true;
            IoInvalidateDeviceState(device->physical);
        }
        POWER_STATE now;
        now.DeviceState = stack->Parameters.Power.State.DeviceState;
        PoSetPowerState(device->deviceObject, DevicePowerState, now);
    }
    irp->IoStatus.Status = STATUS_SUCCESS;
    PassDownPended(device, irp);
}

static VOID NTAPI DeviceUpWork(PDEVICE_OBJECT, PVOID context) {
    auto *device = static_cast<Device *>(context);
    PIRP irp = device->powerIrp;
    device->powerIrp = nullptr;
    NTSTATUS status = irp->IoStatus.Status;
    if (NT_SUCCESS(status) && device->powerState != WdfPowerDeviceD0) {
        POWER_STATE now;
        now.DeviceState = PowerDeviceD0;
        PoSetPowerState(device->deviceObject, DevicePowerState, now);
        status = PowerUp(device);
        if (!NT_SUCCESS(status)) {
            device->failed = true;
            IoInvalidateDeviceState(device->physical);
        }
    }
    CompleteIrp(irp, status);
}

static NTSTATUS NTAPI DeviceUpCompletion(PDEVICE_OBJECT deviceObject, PIRP, PVOID) {
    Device *device = ToDevice(deviceObject);
    IoQueueWorkItem(device->powerWork, &DeviceUpWork, DelayedWorkQueue, device);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS SetDevicePower(Device *device, PIRP irp, DEVICE_POWER_STATE state) {
    if (device->pnpState != PnpState::Started && device->pnpState != PnpState::StopPending &&
        device->pnpState != PnpState::RemovePending) {
        irp->IoStatus.Status = STATUS_SUCCESS;
        return PassDown(device, irp);
    }
    if (device->powerIrp)
        Stop(kPnpFatal, device->Handle(), state, "two device power IRPs at a time");
    device->powerIrp = irp;
    IoMarkIrpPending(irp);
    if (state == PowerDeviceD0) {
        IoCopyCurrentIrpStackLocationToNext(irp);
        IoSetCompletionRoutine(irp, &DeviceUpCompletion, nullptr, TRUE, TRUE, TRUE);
        IoCallDriver(device->attached, irp);
    } else {
        IoQueueWorkItem(device->powerWork, &DeviceDownWork, DelayedWorkQueue, device);
    }
    return STATUS_PENDING;
}

NTSTATUS NTAPI DispatchPower(PDEVICE_OBJECT deviceObject, PIRP irp) {
    Device *device = ToDevice(deviceObject);
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    if (stack->MinorFunction == IRP_MN_SET_POWER) {
        if (stack->Parameters.Power.Type == DevicePowerState)
            return SetDevicePower(device, irp, stack->Parameters.Power.State.DeviceState);
        SYSTEM_POWER_STATE system = stack->Parameters.Power.State.SystemState;
        return system == PowerSystemWorking ? SystemUp(device, irp)
                                            : SystemDown(device, irp, system);
    }
    if (stack->MinorFunction == IRP_MN_QUERY_POWER)
        irp->IoStatus.Status = STATUS_SUCCESS;
    return PassDown(device, irp);
}

} // namespace wdfldr
