// SPDX-License-Identifier: MIT
//
// The functions of the framework that the driver calls, and the table they stand in.
#include "framework.h"

#include <cstdio>
#include <cstring>
#include <utility>

namespace vq7::host {

namespace {

template <typename T> T *Of(const void *handle) {
    Object *object = static_cast<Object *>(const_cast<void *>(handle));
    if (object == nullptr || !object->alive) {
        kernel->Wrong("a handle of no object");
        static T nothing;
        return &nothing;
    }
    return static_cast<T *>(object);
}

using Globals = PWDF_DRIVER_GLOBALS;

template <typename T>
NTSTATUS Create(const char *what, PWDF_OBJECT_ATTRIBUTES attributes, T **made) {
    *made = nullptr;
    if (kernel->Fails(what)) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    *made = framework->Make<T>();
    (*made)->parent = framework->device;
    if (attributes != nullptr) {
        kernel->Need(attributes->Size == sizeof(*attributes), "attributes of a wrong size");
        if (attributes->ParentObject != nullptr) {
            (*made)->parent = Of<Object>(attributes->ParentObject);
        }
        (*made)->cleanup = attributes->EvtCleanupCallback;
        if (attributes->ContextTypeInfo != nullptr) {
            (*made)->AddContext(attributes->ContextTypeInfo);
        }
    }
    return STATUS_SUCCESS;
}

template <typename H, typename T> NTSTATUS Give(NTSTATUS status, T *&made, H *handle) {
    if (handle != nullptr) {
        *handle = NT_SUCCESS(status) ? reinterpret_cast<H>(static_cast<Object *>(made)) : nullptr;
    }
    return status;
}

// ------------------------------------------------------------- objects, driver

PVOID GetContext(Globals, WDFOBJECT handle, PCWDF_OBJECT_CONTEXT_TYPE_INFO type) {
    auto &contexts = Of<Object>(handle)->contexts;
    auto found = contexts.find(type);
    if (found == contexts.end()) {
        kernel->Wrong("an object without this context");
        return nullptr;
    }
    return found->second.data();
}

VOID ObjectDelete(Globals, WDFOBJECT handle) {
    Of<Object>(handle)->alive = false;
}

NTSTATUS DriverCreate(Globals, PDRIVER_OBJECT, PCUNICODE_STRING, PWDF_OBJECT_ATTRIBUTES,
                      PWDF_DRIVER_CONFIG config, WDFDRIVER *) {
    kernel->Need(config->Size == sizeof(*config), "driver configuration of a wrong size");
    if (kernel->Fails("WdfDriverCreate")) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    framework->driver_config = *config;
    return STATUS_SUCCESS;
}

NTSTATUS OpenParametersKey(Globals, WDFDRIVER, ACCESS_MASK, PWDF_OBJECT_ATTRIBUTES, WDFKEY *key) {
    *key = nullptr;
    if (kernel->Fails("WdfDriverOpenParametersRegistryKey")) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (!framework->parameters_key) {
        return STATUS_OBJECT_NAME_NOT_FOUND;
    }
    framework->open_keys++;
    *key = reinterpret_cast<WDFKEY>(static_cast<Object *>(framework->Make<Key>()));
    return STATUS_SUCCESS;
}

VOID RegistryClose(Globals, WDFKEY key) {
    Of<Object>(key)->alive = false;
    framework->open_keys--;
}

NTSTATUS QueryString(Globals, WDFKEY key, PCUNICODE_STRING name, PUSHORT length,
                     PUNICODE_STRING value) {
    UNICODE_STRING wanted;
    Of<Object>(key);
    RtlInitUnicodeString(&wanted, L"Transport");
    kernel->Need(RtlEqualUnicodeString(name, &wanted, FALSE), "another value is asked for");
    if (!framework->transport) {
        return STATUS_OBJECT_NAME_NOT_FOUND;
    }
    *length = USHORT(framework->transport->size() * 2);
    if (*length > value->MaximumLength) {
        return STATUS_BUFFER_OVERFLOW;
    }
    std::memcpy(value->Buffer, framework->transport->data(), *length);
    value->Length = *length;
    return STATUS_SUCCESS;
}

// --------------------------------------------------------------------- device

VOID SetPnpCallbacks(Globals, PWDFDEVICE_INIT, PWDF_PNPPOWER_EVENT_CALLBACKS callbacks) {
    kernel->Need(callbacks->Size == sizeof(*callbacks), "callbacks of a wrong size");
    framework->callbacks = *callbacks;
}

VOID SetRequestAttributes(Globals, PWDFDEVICE_INIT, PWDF_OBJECT_ATTRIBUTES attributes) {
    kernel->Need(attributes->Size == sizeof(*attributes), "attributes of a wrong size");
    framework->request_context = attributes->ContextTypeInfo;
}

NTSTATUS DeviceCreate(Globals, PWDFDEVICE_INIT *init, PWDF_OBJECT_ATTRIBUTES attributes,
                      WDFDEVICE *device) {
    Object *made = nullptr;
    if (kernel->Fails("WdfDeviceCreate")) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    framework->objects.push_back(std::make_unique<Object>("device"));
    made = framework->objects.back().get();
    made->cleanup = attributes->EvtCleanupCallback;
    made->AddContext(attributes->ContextTypeInfo);
    framework->device = made;
    *init = nullptr;
    return Give(STATUS_SUCCESS, made, device);
}

NTSTATUS CreateInterface(Globals, WDFDEVICE, const GUID *guid, PCUNICODE_STRING) {
    char text[64];
    if (kernel->Fails("WdfDeviceCreateDeviceInterface")) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    std::snprintf(text, sizeof(text), "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                  guid->Data1, guid->Data2, guid->Data3, guid->Data4[0], guid->Data4[1],
                  guid->Data4[2], guid->Data4[3], guid->Data4[4], guid->Data4[5], guid->Data4[6],
                  guid->Data4[7]);
    framework->interface_guid = text;
    return STATUS_SUCCESS;
}

NTSTATUS QueryProperty(Globals, WDFDEVICE, DEVICE_REGISTRY_PROPERTY property, ULONG length,
                       PVOID buffer, PULONG result) {
    if (kernel->Fails("WdfDeviceQueryProperty")) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    const bool bus = property == DevicePropertyBusNumber;
    kernel->Need(bus || property == DevicePropertyAddress, "another property is asked for");
    kernel->Need(length == sizeof(ULONG), "the property has 4 bytes");
    *static_cast<PULONG>(buffer) = bus ? framework->bus_number : framework->address;
    *result = sizeof(ULONG);
    return STATUS_SUCCESS;
}

ULONG BusAccess(char kind, ULONG type, PVOID buffer, ULONG offset, ULONG length) {
    kernel->Need(type == PCI_WHICHSPACE_CONFIG, "not configuration space");
    if (kernel->Fails(kind == 'r' ? "GetBusData" : "SetBusData") ||
        offset == framework->unreadable) {
        return 0;
    }
    for (ULONG i = 0; i < length; i++) {
        auto *byte = static_cast<std::uint8_t *>(buffer) + i;
        if (kind == 'w') {
            kernel->pci.cfg[offset + i] = *byte;
        } else {
            *byte = kernel->pci.gone ? 0xFF : std::uint8_t(kernel->pci.getCfg(offset + i, 1));
        }
    }
    return length;
}

NTSTATUS QueryInterface(Globals, WDFDEVICE, LPCGUID guid, PINTERFACE interface, USHORT size,
                        USHORT version, PVOID) {
    kernel->Need(guid->Data1 == 0x496b8280 && guid->Data4[7] == 0x2F, "another interface");
    kernel->Need(size == sizeof(BUS_INTERFACE_STANDARD) && version == 1, "another version");
    if (kernel->Fails("WdfFdoQueryForInterface")) {
        return STATUS_NOT_SUPPORTED;
    }
    framework->bus_references++;
    auto *bus = reinterpret_cast<BUS_INTERFACE_STANDARD *>(interface);
    *bus = {};
    bus->InterfaceDereference = [](PVOID) { framework->bus_references--; };
    bus->GetBusData = [](PVOID, ULONG type, PVOID buffer, ULONG offset, ULONG length) {
        return BusAccess('r', type, buffer, offset, length);
    };
    bus->SetBusData = [](PVOID, ULONG type, PVOID buffer, ULONG offset, ULONG length) {
        return BusAccess('w', type, buffer, offset, length);
    };
    return STATUS_SUCCESS;
}

ULONG ResourceCount(Globals, WDFCMRESLIST list) {
    return ULONG(reinterpret_cast<std::vector<CM_PARTIAL_RESOURCE_DESCRIPTOR> *>(list)->size());
}

PCM_PARTIAL_RESOURCE_DESCRIPTOR Resource(Globals, WDFCMRESLIST list, ULONG index) {
    auto *all = reinterpret_cast<std::vector<CM_PARTIAL_RESOURCE_DESCRIPTOR> *>(list);
    if (kernel->Fails("WdfCmResourceListGetDescriptor")) {
        return nullptr;
    }
    return index < all->size() ? &(*all)[index] : nullptr;
}

// --------------------------------------------------------------- interrupts, DMA

NTSTATUS InterruptCreate(Globals, WDFDEVICE, PWDF_INTERRUPT_CONFIG config,
                         PWDF_OBJECT_ATTRIBUTES attributes, WDFINTERRUPT *handle) {
    Interrupt *made;
    kernel->Need(config->Size == sizeof(*config), "interrupt configuration of a wrong size");
    NTSTATUS status = Create("WdfInterruptCreate", attributes, &made);
    if (made != nullptr) {
        made->config = *config;
        framework->interrupts.push_back(made);
    }
    return Give(status, made, handle);
}

BOOLEAN QueueDpc(Globals, WDFINTERRUPT handle) {
    bool was = std::exchange(Of<Interrupt>(handle)->queued, true);
    return BOOLEAN(!was);
}

VOID InterruptInfo(Globals, WDFINTERRUPT handle, PWDF_INTERRUPT_INFO info) {
    Of<Interrupt>(handle);
    kernel->Need(info->Size == sizeof(*info), "interrupt information of a wrong size");
    info->MessageSignaled = BOOLEAN(framework->messages > 0);
}

WDFDEVICE InterruptDevice(Globals, WDFINTERRUPT handle) {
    return reinterpret_cast<WDFDEVICE>(Of<Interrupt>(handle)->parent);
}

VOID InterruptLock(Globals, WDFINTERRUPT handle) {
    kernel->Need(!std::exchange(Of<Interrupt>(handle)->held, true), "interrupt lock taken twice");
}

VOID InterruptUnlock(Globals, WDFINTERRUPT handle) {
    kernel->Need(std::exchange(Of<Interrupt>(handle)->held, false), "interrupt lock not held");
}

NTSTATUS DmaEnablerCreate(Globals, WDFDEVICE, PWDF_DMA_ENABLER_CONFIG config,
                          PWDF_OBJECT_ATTRIBUTES attributes, WDFDMAENABLER *handle) {
    Lock *made; // nothing of it is looked at
    kernel->Need(config->Size == sizeof(*config), "DMA configuration of a wrong size");
    framework->dma_length = config->MaximumLength;
    framework->dma_profile = config->Profile;
    return Give(Create("WdfDmaEnablerCreate", attributes, &made), made, handle);
}

NTSTATUS CommonBufferCreate(Globals, WDFDMAENABLER enabler, size_t length,
                            PWDF_COMMON_BUFFER_CONFIG config, PWDF_OBJECT_ATTRIBUTES attributes,
                            WDFCOMMONBUFFER *handle) {
    Buffer *made;
    Of<Object>(enabler);
    kernel->Need(kernel->irql == PASSIVE_LEVEL, "a common buffer made above PASSIVE_LEVEL");
    NTSTATUS status = Create("WdfCommonBufferCreateWithConfig", attributes, &made);
    if (made != nullptr) {
        made->length = length;
        made->pa = kernel->memory.Allocate(length, config->AlignmentRequirement + 1);
    }
    return Give(status, made, handle);
}

PVOID CommonBufferVa(Globals, WDFCOMMONBUFFER handle) {
    Buffer *buffer = Of<Buffer>(handle);
    return kernel->memory.Host(buffer->pa, buffer->length);
}

PHYSICAL_ADDRESS CommonBufferPa(Globals, WDFCOMMONBUFFER handle) {
    PHYSICAL_ADDRESS address;
    address.QuadPart = LONGLONG(Of<Buffer>(handle)->pa) ^ (framework->iommu ? 1LL << 40 : 0);
    return address;
}

// ------------------------------------------------------------- queues, requests

NTSTATUS QueueCreate(Globals, WDFDEVICE, PWDF_IO_QUEUE_CONFIG config,
                     PWDF_OBJECT_ATTRIBUTES attributes, WDFQUEUE *handle) {
    Queue *made;
    kernel->Need(config->Size == sizeof(*config), "queue configuration of a wrong size");
    NTSTATUS status = Create("WdfIoQueueCreate", attributes, &made);
    if (made != nullptr) {
        made->config = *config;
        framework->queues.push_back(made);
    }
    return Give(status, made, handle);
}

WDFDEVICE QueueDevice(Globals, WDFQUEUE handle) {
    return reinterpret_cast<WDFDEVICE>(Of<Queue>(handle)->parent);
}

NTSTATUS RetrieveNext(Globals, WDFQUEUE handle, WDFREQUEST *request) {
    Queue *queue = Of<Queue>(handle);
    kernel->Need(!framework->LocksHeld(), "a call that may call back, under a lock");
    if (framework->in_retrieve) {
        std::exchange(framework->in_retrieve, nullptr)();
    }
    if (!framework->powered && queue->config.PowerManaged != WdfFalse) {
        return STATUS_WDF_PAUSED;
    }
    if (queue->waiting.empty()) {
        return STATUS_NO_MORE_ENTRIES;
    }
    Request *next = queue->waiting.front();
    queue->waiting.pop_front();
    next->presented = true;
    *request = reinterpret_cast<WDFREQUEST>(static_cast<Object *>(next));
    return STATUS_SUCCESS;
}

NTSTATUS ReadyNotify(Globals, WDFQUEUE handle, PFN_WDF_IO_QUEUE_STATE ready, WDFCONTEXT context) {
    if (kernel->Fails("WdfIoQueueReadyNotify")) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Of<Queue>(handle)->ready = ready;
    Of<Queue>(handle)->ready_context = context;
    return STATUS_SUCCESS;
}

NTSTATUS Forward(Globals, WDFREQUEST handle, WDFQUEUE to) {
    Request *request = Of<Request>(handle);
    Queue *queue = Of<Queue>(to);
    kernel->Need(!framework->LocksHeld(), "a call that may call back, under a lock");
    if (kernel->Fails("WdfRequestForwardToIoQueue")) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    request->queue = queue;
    request->presented = false;
    queue->waiting.push_back(request);
    if (queue->waiting.size() == 1 && queue->ready != nullptr && framework->powered) {
        queue->ready(to, queue->ready_context);
    }
    return STATUS_SUCCESS;
}

VOID Complete(Globals, WDFREQUEST handle, NTSTATUS status, ULONG_PTR information) {
    Request *request = Of<Request>(handle);
    kernel->Need(!framework->LocksHeld(), "a request is completed under a lock");
    kernel->Need(!request->completed, "a request is completed twice");
    kernel->Need(request->presented, "a request is completed that the framework has");
    request->completed = true;
    request->presented = false;
    request->status = status;
    request->information = information;
}

VOID CompletePlain(Globals globals, WDFREQUEST handle, NTSTATUS status) {
    Complete(globals, handle, status, 0);
}

NTSTATUS RetrieveBuffer(std::size_t has, Request *request, size_t least, PVOID *buffer,
                        size_t *length) {
    if (has < least || has == 0) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    *buffer = request->buffer.data();
    if (length != nullptr) {
        *length = has;
    }
    return STATUS_SUCCESS;
}

NTSTATUS RetrieveInput(Globals, WDFREQUEST handle, size_t least, PVOID *buffer, size_t *length) {
    Request *request = Of<Request>(handle);
    return RetrieveBuffer(request->in_length, request, least, buffer, length);
}

NTSTATUS RetrieveOutput(Globals, WDFREQUEST handle, size_t least, PVOID *buffer, size_t *length) {
    Request *request = Of<Request>(handle);
    return RetrieveBuffer(request->out_length, request, least, buffer, length);
}

NTSTATUS RetrieveMdl(Globals, WDFREQUEST handle, PMDL *mdl) {
    *mdl = Of<Request>(handle)->mdl;
    return kernel->Fails("WdfRequestRetrieveOutputWdmMdl") || *mdl == nullptr
               ? STATUS_INSUFFICIENT_RESOURCES
               : STATUS_SUCCESS;
}

VOID StopAcknowledge(Globals, WDFREQUEST handle, BOOLEAN requeue) {
    Request *request = Of<Request>(handle);
    kernel->Need(!framework->LocksHeld(), "a call that may call back, under a lock");
    kernel->Need(request->presented, "a request is acknowledged that the driver has not");
    kernel->Need(!requeue, "a request that was begun goes back to the queue");
    request->acknowledged = true;
}

// ------------------------------------------------------------- locks, work items

NTSTATUS SpinLockCreate(Globals, PWDF_OBJECT_ATTRIBUTES attributes, WDFSPINLOCK *handle) {
    Lock *made;
    kernel->Need(attributes->ParentObject != nullptr, "a lock without a parent");
    NTSTATUS status = Create("WdfSpinLockCreate", attributes, &made);
    if (made != nullptr) {
        framework->spin_locks.push_back(made);
    }
    return Give(status, made, handle);
}

VOID SpinLockAcquire(Globals, WDFSPINLOCK handle) {
    Lock *lock = Of<Lock>(handle);
    kernel->Need(!framework->LocksHeld(), "two spin locks at once");
    kernel->Need(kernel->irql <= DISPATCH_LEVEL, "a spin lock above DISPATCH_LEVEL");
    lock->held = true;
    lock->irql_before = std::exchange(kernel->irql, KIRQL(DISPATCH_LEVEL));
}

VOID SpinLockRelease(Globals, WDFSPINLOCK handle) {
    Lock *lock = Of<Lock>(handle);
    kernel->Need(lock->held, "a spin lock released that is not held");
    lock->held = false;
    kernel->irql = lock->irql_before;
}

NTSTATUS WaitLockCreate(Globals, PWDF_OBJECT_ATTRIBUTES attributes, WDFWAITLOCK *handle) {
    Lock *made;
    kernel->Need(attributes->ParentObject != nullptr, "a lock without a parent");
    return Give(Create("WdfWaitLockCreate", attributes, &made), made, handle);
}

NTSTATUS WaitLockAcquire(Globals, WDFWAITLOCK handle, PLONGLONG) {
    Lock *lock = Of<Lock>(handle);
    kernel->Need(kernel->irql == PASSIVE_LEVEL, "a wait above PASSIVE_LEVEL");
    kernel->Need(!std::exchange(lock->held, true), "a wait lock is taken twice");
    return STATUS_SUCCESS;
}

VOID WaitLockRelease(Globals, WDFWAITLOCK handle) {
    kernel->Need(std::exchange(Of<Lock>(handle)->held, false), "a wait lock is not held");
}

NTSTATUS WorkItemCreate(Globals, PWDF_WORKITEM_CONFIG config, PWDF_OBJECT_ATTRIBUTES attributes,
                        WDFWORKITEM *handle) {
    WorkItem *made;
    kernel->Need(config->Size == sizeof(*config), "work item configuration of a wrong size");
    kernel->Need(attributes->ParentObject != nullptr, "a work item without a parent");
    kernel->Need(!config->AutomaticSerialization, "a passive work item of a device whose "
                                                  "callbacks run at DISPATCH_LEVEL");
    NTSTATUS status = Create("WdfWorkItemCreate", attributes, &made);
    if (made != nullptr) {
        made->config = *config;
        framework->work_items.push_back(made);
    }
    return Give(status, made, handle);
}

VOID WorkItemEnqueue(Globals, WDFWORKITEM handle) {
    Of<WorkItem>(handle)->queued = true;
}

VOID WorkItemFlush(Globals, WDFWORKITEM handle) {
    Of<WorkItem>(handle);
    kernel->Need(kernel->irql == PASSIVE_LEVEL, "a wait above PASSIVE_LEVEL");
    framework->RunWork();
}

WDFOBJECT WorkItemParent(Globals, WDFWORKITEM handle) {
    return Of<WorkItem>(handle)->parent;
}

} // namespace

void FillTable() {
#define VQ7_ENTRY(name, function)                                                                  \
    WdfFunctions[name##TableIndex] = reinterpret_cast<WDFFUNC>(function)
    VQ7_ENTRY(WdfObjectGetTypedContextWorker, GetContext);
    VQ7_ENTRY(WdfObjectDelete, ObjectDelete);
    VQ7_ENTRY(WdfDriverCreate, DriverCreate);
    VQ7_ENTRY(WdfDriverOpenParametersRegistryKey, OpenParametersKey);
    VQ7_ENTRY(WdfRegistryClose, RegistryClose);
    VQ7_ENTRY(WdfRegistryQueryUnicodeString, QueryString);
    VQ7_ENTRY(WdfDeviceInitSetPnpPowerEventCallbacks, SetPnpCallbacks);
    VQ7_ENTRY(WdfDeviceInitSetRequestAttributes, SetRequestAttributes);
    VQ7_ENTRY(WdfDeviceCreate, DeviceCreate);
    VQ7_ENTRY(WdfDeviceCreateDeviceInterface, CreateInterface);
    VQ7_ENTRY(WdfDeviceQueryProperty, QueryProperty);
    VQ7_ENTRY(WdfFdoQueryForInterface, QueryInterface);
    VQ7_ENTRY(WdfCmResourceListGetCount, ResourceCount);
    VQ7_ENTRY(WdfCmResourceListGetDescriptor, Resource);
    VQ7_ENTRY(WdfInterruptCreate, InterruptCreate);
    VQ7_ENTRY(WdfInterruptQueueDpcForIsr, QueueDpc);
    VQ7_ENTRY(WdfInterruptGetInfo, InterruptInfo);
    VQ7_ENTRY(WdfInterruptGetDevice, InterruptDevice);
    VQ7_ENTRY(WdfInterruptAcquireLock, InterruptLock);
    VQ7_ENTRY(WdfInterruptReleaseLock, InterruptUnlock);
    VQ7_ENTRY(WdfDmaEnablerCreate, DmaEnablerCreate);
    VQ7_ENTRY(WdfCommonBufferCreateWithConfig, CommonBufferCreate);
    VQ7_ENTRY(WdfCommonBufferGetAlignedVirtualAddress, CommonBufferVa);
    VQ7_ENTRY(WdfCommonBufferGetAlignedLogicalAddress, CommonBufferPa);
    VQ7_ENTRY(WdfIoQueueCreate, QueueCreate);
    VQ7_ENTRY(WdfIoQueueGetDevice, QueueDevice);
    VQ7_ENTRY(WdfIoQueueRetrieveNextRequest, RetrieveNext);
    VQ7_ENTRY(WdfIoQueueReadyNotify, ReadyNotify);
    VQ7_ENTRY(WdfRequestForwardToIoQueue, Forward);
    VQ7_ENTRY(WdfRequestComplete, CompletePlain);
    VQ7_ENTRY(WdfRequestCompleteWithInformation, Complete);
    VQ7_ENTRY(WdfRequestRetrieveInputBuffer, RetrieveInput);
    VQ7_ENTRY(WdfRequestRetrieveOutputBuffer, RetrieveOutput);
    VQ7_ENTRY(WdfRequestRetrieveOutputWdmMdl, RetrieveMdl);
    VQ7_ENTRY(WdfRequestStopAcknowledge, StopAcknowledge);
    VQ7_ENTRY(WdfSpinLockCreate, SpinLockCreate);
    VQ7_ENTRY(WdfSpinLockAcquire, SpinLockAcquire);
    VQ7_ENTRY(WdfSpinLockRelease, SpinLockRelease);
    VQ7_ENTRY(WdfWaitLockCreate, WaitLockCreate);
    VQ7_ENTRY(WdfWaitLockAcquire, WaitLockAcquire);
    VQ7_ENTRY(WdfWaitLockRelease, WaitLockRelease);
    VQ7_ENTRY(WdfWorkItemCreate, WorkItemCreate);
    VQ7_ENTRY(WdfWorkItemEnqueue, WorkItemEnqueue);
    VQ7_ENTRY(WdfWorkItemFlush, WorkItemFlush);
    VQ7_ENTRY(WdfWorkItemGetParentObject, WorkItemParent);
#undef VQ7_ENTRY
}

} // namespace vq7::host
