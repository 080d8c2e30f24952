// SPDX-License-Identifier: MIT
// WdfInterrupt...
#include "interrupt.h"
#include "queue.h"

using namespace wdfldr;

static NTSTATUS CheckConfig(const WDF_INTERRUPT_CONFIG *config, const char *function) {
    if (config->Size != sizeof(*config))
        return Refuse(STATUS_INFO_LENGTH_MISMATCH, function,
                      "WDF_INTERRUPT_CONFIG has the wrong size");
    if (!config->EvtInterruptIsr)
        return Refuse(STATUS_INVALID_PARAMETER, function, "EvtInterruptIsr is NULL");
    if (config->ShareVector != WdfTrue && config->ShareVector != WdfFalse &&
        config->ShareVector != WdfUseDefault)
        return Refuse(STATUS_INVALID_PARAMETER, function, "ShareVector");
    return STATUS_SUCCESS;
}

// The parent of an interrupt is the device, or a queue of it.
static NTSTATUS ParentFor(Globals *globals, Device *device, PWDF_OBJECT_ATTRIBUTES attributes,
                          Object **parent) {
    *parent = ParentOf(globals, attributes, device);
    if (*parent == device)
        return STATUS_SUCCESS;
    if ((*parent)->type == Type::Queue && static_cast<Queue *>(*parent)->device == device)
        return STATUS_SUCCESS;
    return STATUS_INVALID_DEVICE_REQUEST;
}

static NTSTATUS SetSerialization(Interrupt *interrupt, Object *parent) {
    if (!interrupt->config.AutomaticSerialization)
        return STATUS_SUCCESS;
    // A DPC can't wait for the mutex of a passive-level object.
    if (parent->executionLevel == WdfExecutionLevelPassive)
        return STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL;
    interrupt->serialization = parent->type == Type::Queue
                                   ? static_cast<Queue *>(parent)->scopeLock
                                   : static_cast<Device *>(parent)->ScopeLock();
    return STATUS_SUCCESS;
}

WDF_API(NTSTATUS, WdfInterruptCreate,
        (PWDF_DRIVER_GLOBALS pub, WDFDEVICE deviceHandle, PWDF_INTERRUPT_CONFIG config,
         PWDF_OBJECT_ATTRIBUTES attributes, WDFINTERRUPT *out)) {
    WDF_ENTER(WdfInterruptCreate, DISPATCH_LEVEL);
    auto *device = From<Device>(globals, deviceHandle, kName);
    CheckNotNull(config, kName, "Configuration");
    CheckNotNull(out, kName, "Interrupt");
    *out = nullptr;
    NTSTATUS status = CheckConfig(config, kName);
    if (!NT_SUCCESS(status))
        return status;
    status = CheckAttributes(globals, attributes, kParentOptional);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    if (device->pnpState != PnpState::Added)
        return Refuse(STATUS_INVALID_DEVICE_STATE, kName,
                      "KMDF 1.9 creates interrupts in EvtDriverDeviceAdd only");
    Object *parent;
    status = ParentFor(globals, device, attributes, &parent);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "the parent is neither the device nor one of its queues");
    auto *interrupt = New<Interrupt>(globals, Type::Interrupt);
    if (!interrupt)
        return STATUS_INSUFFICIENT_RESOURCES;
    interrupt->device = device;
    interrupt->config = *config;
    interrupt->noDelete = true;
    interrupt->passiveDelete = true;
    KeInitializeSpinLock(&interrupt->ownLock);
    InitializeInterruptDpc(interrupt);
    status = SetSerialization(interrupt, parent);
    if (!NT_SUCCESS(status)) {
        Free(globals, interrupt);
        return Refuse(status, kName, "automatic serialization with a passive-level parent");
    }
    if (config->SpinLock) {
        interrupt->sharedLock = From<SpinLock>(globals, config->SpinLock, kName);
        interrupt->sharedLock->interruptLock = true;
    }
    status = FinishCreate(globals, interrupt, parent, attributes);
    if (!NT_SUCCESS(status))
        return status;
    if (interrupt->sharedLock)
        interrupt->sharedLock->Reference();
    ULONG number = 0;
    KIRQL irql;
    KeAcquireSpinLock(&device->lock, &irql);
    for (LIST_ENTRY *e = device->interrupts.Flink; e != &device->interrupts; e = e->Flink)
        number++;
    interrupt->info.Size = sizeof(interrupt->info);
    interrupt->info.MessageNumber = number;
    InsertTailList(&device->interrupts, &interrupt->deviceLink);
    KeReleaseSpinLock(&device->lock, irql);
    *out = interrupt->HandleAs<WDFINTERRUPT>();
    return STATUS_SUCCESS;
}

WDF_API(BOOLEAN, WdfInterruptQueueDpcForIsr, (PWDF_DRIVER_GLOBALS pub, WDFINTERRUPT handle)) {
    WDF_ENTER(WdfInterruptQueueDpcForIsr, HIGH_LEVEL);
    auto *interrupt = From<Interrupt>(globals, handle, kName);
    if (!interrupt->config.EvtInterruptDpc)
        Stop(kInvalidInterrupt, handle, 0, "%s: %p has no EvtInterruptDpc", kName, handle);
    return KeInsertQueueDpc(&interrupt->dpc, nullptr, nullptr);
}

static Interrupt *Connected(Globals *globals, WDFINTERRUPT handle, const char *function) {
    auto *interrupt = From<Interrupt>(globals, handle, function);
    if (!interrupt->kernelInterrupt)
        Stop(kInvalidInterrupt, handle, 0, "%s: %p isn't connected", function, handle);
    return interrupt;
}

WDF_API(VOID, WdfInterruptAcquireLock, (PWDF_DRIVER_GLOBALS pub, WDFINTERRUPT handle)) {
    WDF_ENTER(WdfInterruptAcquireLock, HIGH_LEVEL);
    auto *interrupt = Connected(globals, handle, kName);
    CheckIrql(interrupt->synchronizeIrql, kName);
    interrupt->lockedIrql = KeAcquireInterruptSpinLock(interrupt->kernelInterrupt);
}

WDF_API(VOID, WdfInterruptReleaseLock, (PWDF_DRIVER_GLOBALS pub, WDFINTERRUPT handle)) {
    WDF_ENTER(WdfInterruptReleaseLock, HIGH_LEVEL);
    auto *interrupt = Connected(globals, handle, kName);
    if (KeGetCurrentIrql() != interrupt->synchronizeIrql)
        Stop(kInvalidLock, handle, KeGetCurrentIrql(), "%s: the lock of %p isn't held", kName,
             handle);
    KeReleaseInterruptSpinLock(interrupt->kernelInterrupt, interrupt->lockedIrql);
}

struct SynchronizeCall {
    Interrupt *interrupt;
    PFN_WDF_INTERRUPT_SYNCHRONIZE callback;
    WDFCONTEXT context;
};

static BOOLEAN NTAPI CallSynchronized(PVOID context) {
    auto *call = static_cast<SynchronizeCall *>(context);
    return call->callback(call->interrupt->HandleAs<WDFINTERRUPT>(), call->context);
}

WDF_API(BOOLEAN, WdfInterruptSynchronize,
        (PWDF_DRIVER_GLOBALS pub, WDFINTERRUPT handle, PFN_WDF_INTERRUPT_SYNCHRONIZE callback,
         WDFCONTEXT context)) {
    WDF_ENTER(WdfInterruptSynchronize, HIGH_LEVEL);
    CheckNotNull(reinterpret_cast<void *>(callback), kName, "Callback");
    auto *interrupt = Connected(globals, handle, kName);
    CheckIrql(interrupt->synchronizeIrql, kName);
    SynchronizeCall call = {interrupt, callback, context};
    return KeSynchronizeExecution(interrupt->kernelInterrupt, &CallSynchronized, &call);
}

WDF_API(VOID, WdfInterruptEnable, (PWDF_DRIVER_GLOBALS pub, WDFINTERRUPT handle)) {
    WDF_ENTER(WdfInterruptEnable, PASSIVE_LEVEL);
    auto *interrupt = Connected(globals, handle, kName);
    NTSTATUS status = interrupt->Enable();
    if (!NT_SUCCESS(status))
        Refuse(status, kName, "EvtInterruptEnable");
}

WDF_API(VOID, WdfInterruptDisable, (PWDF_DRIVER_GLOBALS pub, WDFINTERRUPT handle)) {
    WDF_ENTER(WdfInterruptDisable, PASSIVE_LEVEL);
    auto *interrupt = Connected(globals, handle, kName);
    NTSTATUS status = interrupt->Disable();
    if (!NT_SUCCESS(status))
        Refuse(status, kName, "EvtInterruptDisable");
}

WDF_API(PKINTERRUPT, WdfInterruptWdmGetInterrupt, (PWDF_DRIVER_GLOBALS pub, WDFINTERRUPT handle)) {
    WDF_ENTER(WdfInterruptWdmGetInterrupt, HIGH_LEVEL);
    return From<Interrupt>(globals, handle, kName)->kernelInterrupt;
}

WDF_API(VOID, WdfInterruptGetInfo,
        (PWDF_DRIVER_GLOBALS pub, WDFINTERRUPT handle, PWDF_INTERRUPT_INFO info)) {
    WDF_ENTER(WdfInterruptGetInfo, DISPATCH_LEVEL);
    auto *interrupt = From<Interrupt>(globals, handle, kName);
    CheckNotNull(info, kName, "Info");
    // Up to 1.7 the structure ended before Group.
    ULONG size = info->Size;
    if (size != sizeof(*info) && size != FIELD_OFFSET(WDF_INTERRUPT_INFO, Group))
        Stop(kFatalError, info, size, "%s: WDF_INTERRUPT_INFO has %u bytes, KMDF 1.9 has %u", kName,
             static_cast<unsigned>(size), static_cast<unsigned>(sizeof(*info)));
    RtlCopyMemory(info, &interrupt->info, size);
    info->Size = size;
}

WDF_API(WDFDEVICE, WdfInterruptGetDevice, (PWDF_DRIVER_GLOBALS pub, WDFINTERRUPT handle)) {
    WDF_ENTER(WdfInterruptGetDevice, HIGH_LEVEL);
    return From<Interrupt>(globals, handle, kName)->device->HandleAs<WDFDEVICE>();
}
