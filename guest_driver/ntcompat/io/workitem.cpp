// SPDX-License-Identifier: MIT
//
// System worker threads of the I/O manager, and driver work items on top of them.
#include "io/iop.h"

static const int WorkerCount = 3; // one blocked item must not stop the others

static LIST_ENTRY Queue = {&Queue, &Queue};
static KSPIN_LOCK QueueLock;
static KSEMAPHORE QueueCount;

static void NTAPI Worker(PVOID) {
    for (;;) {
        KeWaitForSingleObject(&QueueCount, Executive, KernelMode, FALSE, nullptr);
        KIRQL irql;
        KeAcquireSpinLock(&QueueLock, &irql);
        PLIST_ENTRY entry = RemoveHeadList(&Queue);
        KeReleaseSpinLock(&QueueLock, irql);
        IOP_WORK *work = CONTAINING_RECORD(entry, IOP_WORK, links);
        auto routine = work->routine;
        // The routine may free what `work` lies in.
        routine(work->context);
        if (KeGetCurrentIrql() != PASSIVE_LEVEL)
            KeBugCheckEx(WORKER_THREAD_RETURNED_AT_BAD_IRQL, (ULONG_PTR)routine, KeGetCurrentIrql(),
                         0, 0);
    }
}

void IopInitWorkers(void) {
    KeInitializeSemaphore(&QueueCount, 0, MAXLONG);
    for (int i = 0; i < WorkerCount; i++) {
        HANDLE thread;
        NTSTATUS status = PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, nullptr, nullptr,
                                               nullptr, Worker, nullptr);
        if (!NT_SUCCESS(status))
            KdViolation(IOP_VERIFIER, "no worker thread", 0, (uint64_t)(ULONG)status, 0, 0);
        ZwClose(thread);
    }
}

void IopQueueWork(IOP_WORK *work) {
    IopRequireIrql(DISPATCH_LEVEL, "IopQueueWork");
    KIRQL irql;
    KeAcquireSpinLock(&QueueLock, &irql);
    InsertTailList(&Queue, &work->links);
    KeReleaseSpinLock(&QueueLock, irql);
    KeReleaseSemaphore(&QueueCount, IO_NO_INCREMENT, 1, FALSE);
}

struct _IO_WORKITEM {
    IOP_WORK work;
    PDEVICE_OBJECT device;
    PVOID routine;
    PVOID context;
    LONG queued;
    bool extended; // the routine takes the item itself
    bool allocated;
};

static void RunItem(void *context) {
    auto *item = (PIO_WORKITEM)context;
    PDEVICE_OBJECT device = item->device;
    PDRIVER_OBJECT driver = device->DriverObject;
    PVOID routine = item->routine;
    PVOID argument = item->context;
    InterlockedExchange(&item->queued, 0);
    // The item may be freed or queued again by its routine.
    if (item->extended)
        ((PIO_WORKITEM_ROUTINE_EX)routine)(device, argument, item);
    else
        ((PIO_WORKITEM_ROUTINE)routine)(device, argument);
    if (KeGetCurrentIrql() != PASSIVE_LEVEL)
        KdViolation(WORKER_THREAD_RETURNED_AT_BAD_IRQL, "a work item returned at a raised IRQL",
                    (uint64_t)routine, KeGetCurrentIrql(), (uint64_t)argument, (uint64_t)item);
    InterlockedDecrement(&IopDriverExtension(driver)->work_items);
    ObDereferenceObject(device);
}

static void RequireNotQueued(PIO_WORKITEM item) {
    if (item->queued)
        KdViolation(WORKER_INVALID, "a work item is freed that is queued", 2, (uint64_t)item,
                    (uint64_t)item->routine, 0);
}

NTC_EXPORT ULONG NTAPI IoSizeofWorkItem(VOID) {
    return sizeof(struct _IO_WORKITEM);
}

NTC_EXPORT VOID NTAPI IoInitializeWorkItem(IN PVOID IoObject, IN PIO_WORKITEM IoWorkItem) {
    IopRequireDevice((PDEVICE_OBJECT)IoObject, "IoInitializeWorkItem");
    RtlZeroMemory(IoWorkItem, sizeof(*IoWorkItem));
    IoWorkItem->device = (PDEVICE_OBJECT)IoObject;
}

NTC_EXPORT VOID NTAPI IoUninitializeWorkItem(IN PIO_WORKITEM IoWorkItem) {
    RequireNotQueued(IoWorkItem);
}

extern "C" PIO_WORKITEM NTAPI IoAllocateWorkItem(IN PDEVICE_OBJECT DeviceObject) {
    IopRequireIrql(DISPATCH_LEVEL, "IoAllocateWorkItem");
    IopRequireDevice(DeviceObject, "IoAllocateWorkItem");
    auto *item = (PIO_WORKITEM)ExAllocatePoolWithTag(NonPagedPool, sizeof(struct _IO_WORKITEM),
                                                     IOP_TAG_WORK);
    if (!item)
        return nullptr;
    IoInitializeWorkItem(DeviceObject, item);
    item->allocated = true;
    return item;
}

extern "C" VOID NTAPI IoFreeWorkItem(IN PIO_WORKITEM IoWorkItem) {
    IopRequireIrql(DISPATCH_LEVEL, "IoFreeWorkItem");
    RequireNotQueued(IoWorkItem);
    if (!IoWorkItem->allocated)
        KdViolation(IOP_VERIFIER, "IoFreeWorkItem: not from IoAllocateWorkItem", 0,
                    (uint64_t)IoWorkItem, 0, 0);
    ExFreePoolWithTag(IoWorkItem, IOP_TAG_WORK);
}

static void QueueItem(PIO_WORKITEM item, PVOID routine, WORK_QUEUE_TYPE queue, PVOID context,
                      bool extended) {
    IopRequireIrql(DISPATCH_LEVEL, "IoQueueWorkItem");
    if (InterlockedExchange(&item->queued, 1))
        KdViolation(WORKER_INVALID, "a work item is queued that is queued already", 1,
                    (uint64_t)item, (uint64_t)queue, 0);
    item->routine = routine;
    item->context = context;
    item->extended = extended;
    item->work.routine = RunItem;
    item->work.context = item;
    ObReferenceObject(item->device);
    InterlockedIncrement(&IopDriverExtension(item->device->DriverObject)->work_items);
    IopQueueWork(&item->work);
}

extern "C" VOID NTAPI IoQueueWorkItem(IN PIO_WORKITEM IoWorkItem,
                                      IN PIO_WORKITEM_ROUTINE WorkerRoutine,
                                      IN WORK_QUEUE_TYPE QueueType, IN PVOID Context OPTIONAL) {
    QueueItem(IoWorkItem, (PVOID)WorkerRoutine, QueueType, Context, false);
}

NTC_EXPORT VOID NTAPI IoQueueWorkItemEx(IN PIO_WORKITEM IoWorkItem,
                                        IN PIO_WORKITEM_ROUTINE_EX WorkerRoutine,
                                        IN WORK_QUEUE_TYPE QueueType, IN PVOID Context OPTIONAL) {
    QueueItem(IoWorkItem, (PVOID)WorkerRoutine, QueueType, Context, true);
}
