// SPDX-License-Identifier: MIT
// WDFINTERRUPT: resources, connection, service routine, DPC.
#include "interrupt.h"
#include "resources.h"

namespace wdfldr {

static void AssignResource(Interrupt *interrupt, const CM_PARTIAL_RESOURCE_DESCRIPTOR *raw,
                           const CM_PARTIAL_RESOURCE_DESCRIPTOR *translated) {
    WDF_INTERRUPT_INFO *info = &interrupt->info;
    info->MessageSignaled = (translated->Flags & CM_RESOURCE_INTERRUPT_MESSAGE) ? TRUE : FALSE;
    info->TargetProcessorSet = translated->u.Interrupt.Affinity;
    info->ShareDisposition = translated->ShareDisposition;
    info->Mode = (translated->Flags & CM_RESOURCE_INTERRUPT_LATCHED) ? Latched : LevelSensitive;
    info->Irql = static_cast<KIRQL>(translated->u.Interrupt.Level);
    info->Vector = translated->u.Interrupt.Vector;
    // Several messages in one descriptor (PCI 2.2 MSI): consecutive vectors.
    if (info->MessageSignaled && raw->u.MessageInterrupt.Raw.MessageCount > 1)
        info->Vector += info->MessageNumber;
    interrupt->hasResource = true;
}

static void AssignSynchronizeIrqls(Device *device) {
    LIST_ENTRY *head = &device->interrupts;
    for (LIST_ENTRY *e = head->Flink; e != head; e = e->Flink) {
        auto *interrupt = CONTAINING_RECORD(e, Interrupt, deviceLink);
        interrupt->synchronizeIrql = interrupt->info.Irql;
        for (LIST_ENTRY *f = head->Flink; f != head; f = f->Flink) {
            auto *other = CONTAINING_RECORD(f, Interrupt, deviceLink);
            if (interrupt->sharedLock && other->sharedLock == interrupt->sharedLock &&
                other->info.Irql > interrupt->synchronizeIrql)
                interrupt->synchronizeIrql = other->info.Irql;
        }
    }
}

static void ResetInterrupts(Device *device) {
    for (LIST_ENTRY *e = device->interrupts.Flink; e != &device->interrupts; e = e->Flink) {
        auto *interrupt = CONTAINING_RECORD(e, Interrupt, deviceLink);
        ULONG message = interrupt->info.MessageNumber;
        RtlZeroMemory(&interrupt->info, sizeof(interrupt->info));
        interrupt->info.Size = sizeof(interrupt->info);
        interrupt->info.MessageNumber = message;
        interrupt->hasResource = false;
    }
}

NTSTATUS AssignInterruptResources(Device *device) {
    CmResList *raw = device->resourcesRaw;
    CmResList *translated = device->resourcesTranslated;
    if (raw->count != translated->count)
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    ResetInterrupts(device);
    LIST_ENTRY *next = device->interrupts.Flink;
    for (ULONG i = 0; i < raw->count && next != &device->interrupts; i++) {
        if (raw->descriptors[i].Type != CmResourceTypeInterrupt)
            continue;
        ULONG uses = 1;
        if (translated->descriptors[i].Flags & CM_RESOURCE_INTERRUPT_MESSAGE) {
            ULONG messages = raw->descriptors[i].u.MessageInterrupt.Raw.MessageCount;
            uses = messages > 1 ? messages : 1;
        }
        for (; uses > 0 && next != &device->interrupts; uses--, next = next->Flink)
            AssignResource(CONTAINING_RECORD(next, Interrupt, deviceLink), &raw->descriptors[i],
                           &translated->descriptors[i]);
    }
    AssignSynchronizeIrqls(device);
    return STATUS_SUCCESS;
}

static BOOLEAN NTAPI ServiceRoutine(PKINTERRUPT, PVOID context) {
    auto *interrupt = static_cast<Interrupt *>(context);
    return interrupt->config.EvtInterruptIsr(interrupt->HandleAs<WDFINTERRUPT>(),
                                             interrupt->info.MessageNumber);
}

static VOID NTAPI DeferredRoutine(PKDPC, PVOID context, PVOID, PVOID) {
    auto *interrupt = static_cast<Interrupt *>(context);
    CallbackGuard guard(interrupt->serialization);
    interrupt->config.EvtInterruptDpc(interrupt->HandleAs<WDFINTERRUPT>(),
                                      interrupt->device->Handle());
}

struct EnableCall {
    Interrupt *interrupt;
    NTSTATUS(NTAPI *callback)(WDFINTERRUPT, WDFDEVICE);
    NTSTATUS status;
};

static BOOLEAN NTAPI CallAtInterruptLevel(PVOID context) {
    auto *call = static_cast<EnableCall *>(context);
    call->status = call->callback(call->interrupt->HandleAs<WDFINTERRUPT>(),
                                  call->interrupt->device->HandleAs<WDFDEVICE>());
    return TRUE;
}

NTSTATUS Interrupt::Enable() {
    enabled = true;
    if (!config.EvtInterruptEnable)
        return STATUS_SUCCESS;
    EnableCall call = {this, config.EvtInterruptEnable, STATUS_SUCCESS};
    KeSynchronizeExecution(kernelInterrupt, &CallAtInterruptLevel, &call);
    if (!NT_SUCCESS(call.status))
        enabled = false;
    return call.status;
}

NTSTATUS Interrupt::Disable() {
    enabled = false;
    if (!config.EvtInterruptDisable)
        return STATUS_SUCCESS;
    EnableCall call = {this, config.EvtInterruptDisable, STATUS_SUCCESS};
    KeSynchronizeExecution(kernelInterrupt, &CallAtInterruptLevel, &call);
    return call.status;
}

NTSTATUS Interrupt::Connect() {
    if (!hasResource || kernelInterrupt)
        return STATUS_SUCCESS;
    IO_CONNECT_INTERRUPT_PARAMETERS parameters;
    RtlZeroMemory(&parameters, sizeof(parameters));
    parameters.Version = CONNECT_FULLY_SPECIFIED;
    auto *full = &parameters.FullySpecified;
    full->PhysicalDeviceObject = device->physical;
    full->InterruptObject = &kernelInterrupt;
    full->ServiceRoutine = &ServiceRoutine;
    full->ServiceContext = this;
    full->SpinLock = Lock();
    full->SynchronizeIrql = synchronizeIrql;
    full->FloatingSave = config.FloatingSave;
    full->ShareVector = config.ShareVector == WdfUseDefault
                            ? info.ShareDisposition == CmResourceShareShared
                            : config.ShareVector == WdfTrue;
    full->Vector = info.Vector;
    full->Irql = info.Irql;
    full->InterruptMode = info.Mode;
    full->ProcessorEnableMask = info.TargetProcessorSet;
    NTSTATUS status = IoConnectInterruptEx(&parameters);
    if (!NT_SUCCESS(status)) {
        kernelInterrupt = nullptr;
        DbgPrint("WDFLDR: vector 0x%x not connected, status 0x%08x\n",
                 static_cast<unsigned>(info.Vector), static_cast<unsigned>(status));
        return status;
    }
    return Enable();
}

void Interrupt::Disconnect() {
    if (!kernelInterrupt)
        return;
    if (enabled) {
        NTSTATUS status = Disable();
        if (!NT_SUCCESS(status))
            DbgPrint("WDFLDR: EvtInterruptDisable failed, status 0x%08x\n",
                     static_cast<unsigned>(status));
    }
    IO_DISCONNECT_INTERRUPT_PARAMETERS parameters;
    RtlZeroMemory(&parameters, sizeof(parameters));
    parameters.Version = CONNECT_FULLY_SPECIFIED;
    parameters.ConnectionContext.InterruptObject = kernelInterrupt;
    IoDisconnectInterruptEx(&parameters);
    kernelInterrupt = nullptr;
    // A DPC that the last interrupt queued must not run after D0 exit.
    KeFlushQueuedDpcs();
}

void Interrupt::OnDelete() {
    if (kernelInterrupt)
        Stop(kInvalidInterrupt, Handle(), 0, "WDFINTERRUPT %p deleted while connected", Handle());
}

void Interrupt::OnDispose() {
    KIRQL irql;
    KeAcquireSpinLock(&device->lock, &irql);
    RemoveEntryList(&deviceLink);
    KeReleaseSpinLock(&device->lock, irql);
    if (sharedLock)
        sharedLock->Dereference();
    sharedLock = nullptr;
}

void InitializeInterruptDpc(Interrupt *interrupt) {
    KeInitializeDpc(&interrupt->dpc, &DeferredRoutine, interrupt);
}

} // namespace wdfldr
