// SPDX-License-Identifier: MIT
// WDFWORKITEM.
#include "serialize.h"

namespace wdfldr {

class WorkItem : public Object {
  public:
    static constexpr Type kType = Type::WorkItem;
    WDF_WORKITEM_CONFIG config{};
    PIO_WORKITEM work = nullptr;
    CallbackLock *serialization = nullptr;
    volatile LONG queued = 0;  // enqueued, callback not yet entered
    volatile LONG running = 0; // from enqueue to the callback's end
    KEVENT idle{};

    void OnDelete() override {
        KeWaitForSingleObject(&idle, Executive, KernelMode, FALSE, nullptr);
    }
    void OnDestroy() override {
        if (work)
            IoFreeWorkItem(work);
        work = nullptr;
    }
};

static VOID NTAPI WorkRoutine(PDEVICE_OBJECT, PVOID context) {
    auto *item = static_cast<WorkItem *>(context);
    InterlockedExchange(&item->queued, 0);
    {
        CallbackGuard guard(item->serialization);
        item->config.EvtWorkItemFunc(item->HandleAs<WDFWORKITEM>());
    }
    if (InterlockedDecrement(&item->running) == 0)
        KeSetEvent(&item->idle, IO_NO_INCREMENT, FALSE);
    item->Dereference();
}

} // namespace wdfldr

using namespace wdfldr;

WDF_API(NTSTATUS, WdfWorkItemCreate,
        (PWDF_DRIVER_GLOBALS pub, PWDF_WORKITEM_CONFIG config, PWDF_OBJECT_ATTRIBUTES attributes,
         WDFWORKITEM *out)) {
    WDF_ENTER(WdfWorkItemCreate, DISPATCH_LEVEL);
    CheckNotNull(config, kName, "Config");
    CheckNotNull(out, kName, "WorkItem");
    *out = nullptr;
    if (config->Size != sizeof(*config))
        return Refuse(STATUS_INFO_LENGTH_MISMATCH, kName, "WDF_WORKITEM_CONFIG has the wrong size");
    if (!config->EvtWorkItemFunc)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "EvtWorkItemFunc is NULL");
    NTSTATUS status = CheckAttributes(globals, attributes, kParentRequired);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    Object *parent = ParentOf(globals, attributes, nullptr);
    Device *device = DeviceOf(parent);
    if (!device)
        return Refuse(STATUS_INVALID_DEVICE_REQUEST, kName, "the parent isn't below a device");
    CallbackLock *lock = nullptr;
    if (config->AutomaticSerialization) {
        status = SerializeWith(parent, true, &lock);
        if (!NT_SUCCESS(status))
            return Refuse(status, kName, "automatic serialization with a dispatch-level parent");
    }
    auto *item = New<WorkItem>(globals, Type::WorkItem);
    if (!item)
        return STATUS_INSUFFICIENT_RESOURCES;
    item->config = *config;
    item->serialization = lock;
    item->passiveDelete = true;
    KeInitializeEvent(&item->idle, NotificationEvent, TRUE);
    status = FinishCreate(globals, item, parent, attributes);
    if (!NT_SUCCESS(status))
        return status;
    item->work = IoAllocateWorkItem(device->deviceObject);
    if (!item->work) {
        DropFailed(item);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    *out = item->HandleAs<WDFWORKITEM>();
    return STATUS_SUCCESS;
}

// Enqueued again while it waits: nothing. While its callback runs: once more.
WDF_API(VOID, WdfWorkItemEnqueue, (PWDF_DRIVER_GLOBALS pub, WDFWORKITEM handle)) {
    WDF_ENTER(WdfWorkItemEnqueue, DISPATCH_LEVEL);
    auto *item = From<WorkItem>(globals, handle, kName);
    if (item->disposed)
        Stop(kObjectError, handle, 0, "%s: work item %p is being deleted", kName, handle);
    if (InterlockedExchange(&item->queued, 1) != 0)
        return;
    InterlockedIncrement(&item->running);
    KeClearEvent(&item->idle);
    item->Reference();
    IoQueueWorkItem(item->work, &WorkRoutine, DelayedWorkQueue, item);
}

WDF_API(WDFOBJECT, WdfWorkItemGetParentObject, (PWDF_DRIVER_GLOBALS pub, WDFWORKITEM handle)) {
    WDF_ENTER(WdfWorkItemGetParentObject, DISPATCH_LEVEL);
    return From<WorkItem>(globals, handle, kName)->parent->Handle();
}

WDF_API(VOID, WdfWorkItemFlush, (PWDF_DRIVER_GLOBALS pub, WDFWORKITEM handle)) {
    WDF_ENTER(WdfWorkItemFlush, PASSIVE_LEVEL);
    auto *item = From<WorkItem>(globals, handle, kName);
    KeWaitForSingleObject(&item->idle, Executive, KernelMode, FALSE, nullptr);
}
