// SPDX-License-Identifier: MIT
//
// Power requests: PoXxx, and the system power requests of a shutdown.
#include "pnp/power.h"

extern "C" VOID NTAPI PoStartNextPowerIrp(IN OUT PIRP Irp) {
    // Since Windows Vista the power manager doesn't need the call; it stays a rule
    // that it is made for power requests only.
    if (IoGetCurrentIrpStackLocation(Irp)->MajorFunction != IRP_MJ_POWER)
        KdViolation(IOP_VERIFIER, "PoStartNextPowerIrp for a request other than IRP_MJ_POWER", 0,
                    (uint64_t)Irp, 0, 0);
}

extern "C" NTSTATUS NTAPI PoCallDriver(IN PDEVICE_OBJECT DeviceObject, IN OUT PIRP Irp) {
    if (Irp->CurrentLocation > 1 && IoGetNextIrpStackLocation(Irp)->MajorFunction != IRP_MJ_POWER)
        KdViolation(IOP_VERIFIER, "PoCallDriver for a request other than IRP_MJ_POWER", 0,
                    (uint64_t)Irp, 0, 0);
    return IofCallDriver(DeviceObject, Irp);
}

extern "C" POWER_STATE NTAPI PoSetPowerState(IN PDEVICE_OBJECT DeviceObject,
                                             IN POWER_STATE_TYPE Type, IN POWER_STATE State) {
    IopRequireDevice(DeviceObject, "PoSetPowerState");
    // NT keeps it here: system state in bits 0 to 3, device state in 4 to 7.
    ULONG *flags = &IopDeviceExtension(DeviceObject)->PowerFlags;
    POWER_STATE old;
    if (Type == DevicePowerState) {
        old.DeviceState = (DEVICE_POWER_STATE)((*flags >> 4) & 15);
        *flags = (*flags & ~0xF0u) | (ULONG)State.DeviceState << 4;
    } else {
        old.SystemState = (SYSTEM_POWER_STATE)(*flags & 15);
        *flags = (*flags & ~0xFu) | (ULONG)State.SystemState;
    }
    return old;
}

struct POWER_REQUEST {
    IOP_WORK work;
    PDEVICE_OBJECT device; // asked for
    PDEVICE_OBJECT top;    // sent to, referenced
    PIRP irp;
    UCHAR minor;
    POWER_STATE state;
    PREQUEST_POWER_COMPLETE routine;
    PVOID context;
};

static NTSTATUS NTAPI RequestDone(PDEVICE_OBJECT, PIRP irp, PVOID context) {
    auto *request = (POWER_REQUEST *)context;
    IO_STATUS_BLOCK iosb = irp->IoStatus;
    PNP_NODE *node = PnpNodeOf(request->device);
    if (request->routine)
        request->routine(request->device, request->minor, request->state, request->context, &iosb);
    if (node) {
        node->power_status = iosb.Status;
        InterlockedDecrement(&node->power_requests);
    }
    ObDereferenceObject(request->top);
    ExFreePoolWithTag(request, IOP_TAG_PNP);
    IoFreeIrp(irp);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static void SendRequest(void *context) {
    auto *request = (POWER_REQUEST *)context;
    // The completion routine frees the request, maybe before this returns.
    (void)IofCallDriver(request->top, request->irp);
}

extern "C" NTSTATUS NTAPI PoRequestPowerIrp(IN PDEVICE_OBJECT DeviceObject, IN UCHAR MinorFunction,
                                            IN POWER_STATE PowerState,
                                            IN PREQUEST_POWER_COMPLETE CompletionFunction OPTIONAL,
                                            IN PVOID Context OPTIONAL, OUT PIRP *Irp OPTIONAL) {
    IopRequireIrql(DISPATCH_LEVEL, "PoRequestPowerIrp");
    IopRequireDevice(DeviceObject, "PoRequestPowerIrp");
    if (MinorFunction != IRP_MN_SET_POWER && MinorFunction != IRP_MN_QUERY_POWER &&
        MinorFunction != IRP_MN_WAIT_WAKE)
        return STATUS_INVALID_PARAMETER_2;
    auto *request =
        (POWER_REQUEST *)ExAllocatePoolWithTag(NonPagedPool, sizeof(POWER_REQUEST), IOP_TAG_PNP);
    if (!request)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(request, sizeof(*request));
    request->top = IoGetAttachedDeviceReference(DeviceObject);
    PIRP irp = IopAllocateIrp(request->top->StackSize, IopIrpDriver, 0);
    if (!irp) {
        ObDereferenceObject(request->top);
        ExFreePoolWithTag(request, IOP_TAG_PNP);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    request->device = DeviceObject;
    request->irp = irp;
    request->minor = MinorFunction;
    request->state = PowerState;
    request->routine = CompletionFunction;
    request->context = Context;
    irp->IoStatus.Status = STATUS_NOT_SUPPORTED;
    PIO_STACK_LOCATION location = IoGetNextIrpStackLocation(irp);
    location->MajorFunction = IRP_MJ_POWER;
    location->MinorFunction = MinorFunction;
    if (MinorFunction == IRP_MN_WAIT_WAKE) {
        location->Parameters.WaitWake.PowerState = PowerState.SystemState;
    } else {
        location->Parameters.Power.Type = DevicePowerState;
        location->Parameters.Power.State = PowerState;
    }
    IoSetCompletionRoutine(irp, RequestDone, request, TRUE, TRUE, TRUE);
    if (PNP_NODE *node = PnpNodeOf(DeviceObject))
        InterlockedIncrement(&node->power_requests);
    if (Irp)
        *Irp = irp;
    // Power requests come at PASSIVE_LEVEL to devices that say they are pageable.
    if (KeGetCurrentIrql() == PASSIVE_LEVEL) {
        SendRequest(request);
    } else {
        request->work.routine = SendRequest;
        request->work.context = request;
        IopQueueWork(&request->work);
    }
    return STATUS_PENDING;
}

extern "C" PULONG NTAPI PoRegisterDeviceForIdleDetection(IN PDEVICE_OBJECT DeviceObject,
                                                         IN ULONG ConservationIdleTime,
                                                         IN ULONG PerformanceIdleTime,
                                                         IN DEVICE_POWER_STATE State) {
    (void)DeviceObject;
    (void)State;
    if (ConservationIdleTime || PerformanceIdleTime)
        KdUnimplemented("PoRegisterDeviceForIdleDetection");
    return nullptr; // switched off, as documented
}

static NTSTATUS SendSystem(PDEVICE_OBJECT pdo, UCHAR minor, SYSTEM_POWER_STATE state,
                           POWER_ACTION action) {
    IO_STACK_LOCATION location = {};
    location.MajorFunction = IRP_MJ_POWER;
    location.MinorFunction = minor;
    location.Parameters.Power.Type = SystemPowerState;
    location.Parameters.Power.State.SystemState = state;
    location.Parameters.Power.ShutdownType = action;
    return IopSynchronousCall(pdo, &location, STATUS_NOT_SUPPORTED, nullptr);
}

NTSTATUS PopSendSystemPower(PDEVICE_OBJECT pdo, SYSTEM_POWER_STATE state, POWER_ACTION action) {
    return SendSystem(pdo, IRP_MN_SET_POWER, state, action);
}

// ---- S3 of one device -------------------------------------------------------------------

// A driver answers S0 before its device is in D0: the D-IRP it asked for comes later.
static NTSTATUS WaitForDevice(PNP_NODE *node) {
    while (node->power_requests) {
        LARGE_INTEGER interval; // 1 ms
        interval.QuadPart = -10000;
        KeDelayExecutionThread(KernelMode, FALSE, &interval);
    }
    return node->power_status;
}

NTSTATUS PopSleep(PNP_NODE *node) {
    IopRequireIrql(PASSIVE_LEVEL, "PopSleep");
    node->power_status = STATUS_SUCCESS;
    NTSTATUS status =
        SendSystem(node->pdo, IRP_MN_QUERY_POWER, PowerSystemSleeping3, PowerActionSleep);
    if (!NT_SUCCESS(status)) {
        // As documented, a query that failed is followed by a request to stay in S0.
        (void)SendSystem(node->pdo, IRP_MN_SET_POWER, PowerSystemWorking, PowerActionNone);
        return status;
    }
    status = SendSystem(node->pdo, IRP_MN_SET_POWER, PowerSystemSleeping3, PowerActionSleep);
    return NT_SUCCESS(status) ? WaitForDevice(node) : status;
}

NTSTATUS PopWake(PNP_NODE *node) {
    IopRequireIrql(PASSIVE_LEVEL, "PopWake");
    node->power_status = STATUS_SUCCESS;
    NTSTATUS status = SendSystem(node->pdo, IRP_MN_SET_POWER, PowerSystemWorking, PowerActionSleep);
    return NT_SUCCESS(status) ? WaitForDevice(node) : status;
}
