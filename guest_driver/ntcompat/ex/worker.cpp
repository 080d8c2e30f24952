// SPDX-License-Identifier: MIT
//
// ExQueueWorkItem: one worker thread a queue type.
#include "mm/mi.h"

namespace {

struct Queue {
    LIST_ENTRY items;
    MI_LOCK lock;
    KSEMAPHORE count;
    bool initialized;
};

// Critical, delayed and hypercritical: what a Windows 7 driver may name.
const size_t kQueues = 3;
Queue queues[kQueues];

VOID NTAPI Worker(PVOID context) {
    auto *queue = static_cast<Queue *>(context);
    for (;;) {
        KeWaitForSingleObject(&queue->count, WrQueue, KernelMode, FALSE, nullptr);
        WORK_QUEUE_ITEM *item;
        {
            MiLockGuard guard(&queue->lock);
            item = CONTAINING_RECORD(RemoveHeadList(&queue->items), WORK_QUEUE_ITEM, List);
            item->List.Flink = nullptr; // the item may be queued again from here on
        }
        // Both are copied: the routine may free the item.
        const PWORKER_THREAD_ROUTINE routine = item->WorkerRoutine;
        routine(item->Parameter);
        if (KeGetCurrentIrql() != PASSIVE_LEVEL)
            KdViolation(
                0xE1, "a work item returned at a raised IRQL (WORKER_THREAD_RETURNED_AT_BAD_IRQL)",
                reinterpret_cast<uintptr_t>(routine), KeGetCurrentIrql(), 0, 0);
    }
}

// Threads can be made at PASSIVE_LEVEL only; an item may come from DISPATCH_LEVEL.
// ObInitSystem has made them before any driver runs.
void StartWorker(Queue *queue) {
    HANDLE handle;
    NTSTATUS status =
        PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr, Worker, queue);
    if (!NT_SUCCESS(status))
        KdViolation(0x5E, "a worker thread can't be made", static_cast<uint64_t>(status), 0, 0, 0);
    ZwClose(handle);
}

void InitializeQueue(Queue *queue) {
    if (queue->initialized)
        return;
    InitializeListHead(&queue->items);
    KeInitializeSemaphore(&queue->count, 0, MAXLONG);
    queue->initialized = true;
}

} // namespace

void ExInitializeWorkers(void) {
    for (Queue &queue : queues) {
        InitializeQueue(&queue);
        StartWorker(&queue);
    }
}

VOID NTAPI ExQueueWorkItem(PWORK_QUEUE_ITEM item, WORK_QUEUE_TYPE type) {
    if (KeGetCurrentIrql() > DISPATCH_LEVEL)
        KdViolation(0xC4, "ExQueueWorkItem above DISPATCH_LEVEL", 0x20003, KeGetCurrentIrql(), 0,
                    0);
    if (static_cast<ULONG>(type) >= kQueues)
        KdViolation(WORKER_INVALID, "a work queue that doesn't exist", 0x6,
                    reinterpret_cast<uintptr_t>(item), static_cast<uint64_t>(type), 0);
    if (!item->WorkerRoutine)
        KdViolation(WORKER_INVALID, "a work item without a routine", 0x7,
                    reinterpret_cast<uintptr_t>(item), static_cast<uint64_t>(type), 0);
    Queue *queue = &queues[type];
    InitializeQueue(queue);
    {
        MiLockGuard guard(&queue->lock);
        if (item->List.Flink)
            KdViolation(WORKER_INVALID, "a work item is queued that is queued already", 0x1,
                        reinterpret_cast<uintptr_t>(item), static_cast<uint64_t>(type), 0);
        InsertTailList(&queue->items, &item->List);
    }
    KeReleaseSemaphore(&queue->count, 0, 1, FALSE);
}
