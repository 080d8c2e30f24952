// SPDX-License-Identifier: MIT
//
// Device objects, remove locks, work items.
#include "rules.h"

static PDEVICE_OBJECT Device;

static NTSTATUS NewDevice(PDRIVER_OBJECT driver) {
    return IoCreateDevice(driver, 0, nullptr, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
}

static NTSTATUS Left(PDRIVER_OBJECT driver) {
    return NewDevice(driver);
}

static NTSTATUS DeleteTwice(PDRIVER_OBJECT driver) {
    NTSTATUS status = NewDevice(driver);
    if (!NT_SUCCESS(status))
        return status;
    ObReferenceObject(Device); // it is still there when it is deleted again
    IoDeleteDevice(Device);
    IoDeleteDevice(Device);
    return STATUS_SUCCESS;
}

static NTSTATUS DeleteAttached(PDRIVER_OBJECT driver) {
    PDEVICE_OBJECT lower;
    NTSTATUS status = NewDevice(driver);
    lower = Device;
    if (NT_SUCCESS(status))
        status = NewDevice(driver);
    if (!NT_SUCCESS(status))
        return status;
    IoAttachDeviceToDeviceStack(Device, lower);
    IoDeleteDevice(lower);
    return STATUS_SUCCESS;
}

static NTSTATUS DeleteBeforeDetach(PDRIVER_OBJECT driver) {
    PDEVICE_OBJECT lower;
    NTSTATUS status = NewDevice(driver);
    lower = Device;
    if (NT_SUCCESS(status))
        status = NewDevice(driver);
    if (!NT_SUCCESS(status))
        return status;
    IoAttachDeviceToDeviceStack(Device, lower);
    IoDeleteDevice(Device);
    return STATUS_SUCCESS;
}

static NTSTATUS DetachTwice(PDRIVER_OBJECT driver) {
    PDEVICE_OBJECT lower;
    NTSTATUS status = NewDevice(driver);
    lower = Device;
    if (NT_SUCCESS(status))
        status = NewDevice(driver);
    if (!NT_SUCCESS(status))
        return status;
    IoAttachDeviceToDeviceStack(Device, lower);
    IoDetachDevice(lower);
    IoDetachDevice(lower);
    return STATUS_SUCCESS;
}

static IO_REMOVE_LOCK RemoveLock;

static NTSTATUS RemoveLockReleased(PDRIVER_OBJECT) {
    IoInitializeRemoveLock(&RemoveLock, RULES_TAG, 0, 0);
    NTSTATUS status = IoAcquireRemoveLock(&RemoveLock, nullptr);
    if (!NT_SUCCESS(status))
        return status;
    IoReleaseRemoveLock(&RemoveLock, nullptr);
    IoReleaseRemoveLock(&RemoveLock, nullptr);
    return STATUS_SUCCESS;
}

static NTSTATUS RemoveLockHigh(PDRIVER_OBJECT) {
    KIRQL irql;
    IoInitializeRemoveLock(&RemoveLock, RULES_TAG, 0, 0);
    KeRaiseIrql(DISPATCH_LEVEL + 1, &irql);
    return IoAcquireRemoveLock(&RemoveLock, nullptr);
}

static VOID NTAPI Nothing(PDEVICE_OBJECT, PVOID) {}

static VOID NTAPI RaisingWork(PDEVICE_OBJECT, PVOID) {
    KIRQL irql;
    KeRaiseIrql(APC_LEVEL, &irql);
}

static PIO_WORKITEM NewItem(PDRIVER_OBJECT driver) {
    return NT_SUCCESS(NewDevice(driver)) ? IoAllocateWorkItem(Device) : nullptr;
}

// At DISPATCH_LEVEL no worker gets in between.
static NTSTATUS WorkTwice(PDRIVER_OBJECT driver) {
    PIO_WORKITEM item = NewItem(driver);
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    IoQueueWorkItem(item, Nothing, DelayedWorkQueue, nullptr);
    IoQueueWorkItem(item, Nothing, DelayedWorkQueue, nullptr);
    return STATUS_SUCCESS;
}

static NTSTATUS WorkFreed(PDRIVER_OBJECT driver) {
    PIO_WORKITEM item = NewItem(driver);
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    IoQueueWorkItem(item, Nothing, DelayedWorkQueue, nullptr);
    IoFreeWorkItem(item);
    return STATUS_SUCCESS;
}

static NTSTATUS WorkRaises(PDRIVER_OBJECT driver) {
    LARGE_INTEGER second;
    second.QuadPart = -10000000;
    IoQueueWorkItem(NewItem(driver), RaisingWork, DelayedWorkQueue, nullptr);
    return KeDelayExecutionThread(KernelMode, FALSE, &second);
}

static WORK_QUEUE_ITEM ExItem;

static VOID NTAPI NoWork(PVOID) {}

static NTSTATUS ExWorkTwice(PDRIVER_OBJECT) {
    KIRQL irql;
    ExInitializeWorkItem(&ExItem, NoWork, nullptr);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    ExQueueWorkItem(&ExItem, DelayedWorkQueue);
    ExQueueWorkItem(&ExItem, DelayedWorkQueue);
    return STATUS_SUCCESS;
}

const RuleCase DeviceCases[] = {
    {"device-left", Left},
    {"device-delete-twice", DeleteTwice},
    {"device-delete-attached", DeleteAttached},
    {"device-delete-before-detach", DeleteBeforeDetach},
    {"device-detach-twice", DetachTwice},
    {"remove-lock-released-twice", RemoveLockReleased},
    {"remove-lock-high", RemoveLockHigh},
    {"work-item-twice", WorkTwice},
    {"work-item-freed", WorkFreed},
    {"work-item-raises", WorkRaises},
    {"work-item-ex-twice", ExWorkTwice},
    {nullptr, nullptr},
};
