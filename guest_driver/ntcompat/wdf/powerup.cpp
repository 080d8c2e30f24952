// SPDX-License-Identifier: MIT
// The order of callbacks on the way to and from D0.
#include "dma.h"
#include "interrupt.h"
#include "queue.h"

namespace wdfldr {

static NTSTATUS Report(Device *device, NTSTATUS status, const char *callback) {
    if (!NT_SUCCESS(status))
        DbgPrint("WDFLDR: %s: %s failed, status 0x%08x\n", device->globals->pub.DriverName,
                 callback, static_cast<unsigned>(status));
    if (KeGetCurrentIrql() != PASSIVE_LEVEL)
        Stop(kIrqlMismatch, device->Handle(), KeGetCurrentIrql(), "%s returned at IRQL %u",
             callback, static_cast<unsigned>(KeGetCurrentIrql()));
    return status;
}

static void DisconnectInterrupts(Device *device) {
    for (LIST_ENTRY *e = device->interrupts.Blink; e != &device->interrupts; e = e->Blink)
        CONTAINING_RECORD(e, Interrupt, deviceLink)->Disconnect();
}

static NTSTATUS ConnectInterrupts(Device *device) {
    for (LIST_ENTRY *e = device->interrupts.Flink; e != &device->interrupts; e = e->Flink) {
        NTSTATUS status = CONTAINING_RECORD(e, Interrupt, deviceLink)->Connect();
        if (!NT_SUCCESS(status))
            return Report(device, status, "connecting or enabling an interrupt");
    }
    return STATUS_SUCCESS;
}

static NTSTATUS CallD0Exit(Device *device, WDF_POWER_DEVICE_STATE target) {
    if (!device->callbacks.EvtDeviceD0Exit)
        return STATUS_SUCCESS;
    return Report(device, device->callbacks.EvtDeviceD0Exit(device->HandleAs<WDFDEVICE>(), target),
                  "EvtDeviceD0Exit");
}

static NTSTATUS StartSelfManagedIo(Device *device) {
    auto handle = device->HandleAs<WDFDEVICE>();
    const auto &callbacks = device->callbacks;
    NTSTATUS status = STATUS_SUCCESS;
    if (!device->selfManagedStarted) {
        if (callbacks.EvtDeviceSelfManagedIoInit) {
            device->selfManagedStarted = true;
            status = Report(device, callbacks.EvtDeviceSelfManagedIoInit(handle),
                            "EvtDeviceSelfManagedIoInit");
        }
    } else if (callbacks.EvtDeviceSelfManagedIoRestart) {
        status = Report(device, callbacks.EvtDeviceSelfManagedIoRestart(handle),
                        "EvtDeviceSelfManagedIoRestart");
    }
    return status;
}

NTSTATUS PowerUp(Device *device) {
    auto handle = device->HandleAs<WDFDEVICE>();
    WDF_POWER_DEVICE_STATE previous = device->powerState;
    const auto &callbacks = device->callbacks;
    if (callbacks.EvtDeviceD0Entry) {
        NTSTATUS status =
            Report(device, callbacks.EvtDeviceD0Entry(handle, previous), "EvtDeviceD0Entry");
        if (!NT_SUCCESS(status))
            return status;
    }
    NTSTATUS status = ConnectInterrupts(device);
    if (NT_SUCCESS(status) && callbacks.EvtDeviceD0EntryPostInterruptsEnabled)
        status = Report(device, callbacks.EvtDeviceD0EntryPostInterruptsEnabled(handle, previous),
                        "EvtDeviceD0EntryPostInterruptsEnabled");
    if (NT_SUCCESS(status))
        status = PowerUpDma(device);
    if (!NT_SUCCESS(status)) {
        DisconnectInterrupts(device);
        CallD0Exit(device, WdfPowerDeviceD3Final);
        return status;
    }
    device->powerState = WdfPowerDeviceD0;
    ResumeQueues(device);
    status = StartSelfManagedIo(device);
    if (!NT_SUCCESS(status))
        PowerDown(device, WdfPowerDeviceD3Final);
    return status;
}

NTSTATUS PowerDown(Device *device, WDF_POWER_DEVICE_STATE target) {
    auto handle = device->HandleAs<WDFDEVICE>();
    const auto &callbacks = device->callbacks;
    NTSTATUS result = STATUS_SUCCESS;
    if (device->selfManagedStarted && callbacks.EvtDeviceSelfManagedIoSuspend)
        result = Report(device, callbacks.EvtDeviceSelfManagedIoSuspend(handle),
                        "EvtDeviceSelfManagedIoSuspend");
    HoldQueues(device);
    PowerDownDma(device);
    if (callbacks.EvtDeviceD0ExitPreInterruptsDisabled) {
        NTSTATUS status =
            Report(device, callbacks.EvtDeviceD0ExitPreInterruptsDisabled(handle, target),
                   "EvtDeviceD0ExitPreInterruptsDisabled");
        if (!NT_SUCCESS(status))
            result = status;
    }
    DisconnectInterrupts(device);
    NTSTATUS status = CallD0Exit(device, target);
    device->powerState = target;
    return NT_SUCCESS(status) ? result : status;
}

} // namespace wdfldr
