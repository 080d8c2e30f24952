// SPDX-License-Identifier: MIT
//
// Device queues: requests of a busy device, in order of arrival or by key.
#include "ki.h"

extern "C" {

enum { KI_DEVICE_QUEUE = 20 };

void KeInitializeDeviceQueue(PKDEVICE_QUEUE queue) {
    queue->Type = KI_DEVICE_QUEUE;
    queue->Size = sizeof(KDEVICE_QUEUE);
    InitializeListHead(&queue->DeviceListHead);
    KeInitializeSpinLock(&queue->Lock);
    queue->Busy = FALSE;
}

static KIRQL KiLockDeviceQueue(PKDEVICE_QUEUE queue) {
    if (queue->Type != KI_DEVICE_QUEUE)
        KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, "device queue is not initialized", 0,
                    (uint64_t)queue, (uint64_t)queue->Type, 0);
    return KeAcquireSpinLockRaiseToDpc(&queue->Lock);
}

// Inserts behind every entry whose key is not above; FALSE: the device was idle,
// is marked busy, and the entry is the caller's to process.
static BOOLEAN KiInsertDeviceQueue(PKDEVICE_QUEUE queue, PKDEVICE_QUEUE_ENTRY entry, bool by_key,
                                   ULONG key) {
    KIRQL old = KiLockDeviceQueue(queue);
    BOOLEAN busy = queue->Busy;
    entry->SortKey = key;
    entry->Inserted = busy;
    queue->Busy = TRUE;
    if (busy) {
        LIST_ENTRY *before = &queue->DeviceListHead;
        if (by_key) {
            before = before->Flink;
            while (before != &queue->DeviceListHead &&
                   CONTAINING_RECORD(before, KDEVICE_QUEUE_ENTRY, DeviceListEntry)->SortKey <= key)
                before = before->Flink;
        }
        InsertTailList(before, &entry->DeviceListEntry);
    }
    KeReleaseSpinLock(&queue->Lock, old);
    return busy;
}

BOOLEAN KeInsertDeviceQueue(PKDEVICE_QUEUE queue, PKDEVICE_QUEUE_ENTRY entry) {
    return KiInsertDeviceQueue(queue, entry, false, 0);
}

BOOLEAN KeInsertByKeyDeviceQueue(PKDEVICE_QUEUE queue, PKDEVICE_QUEUE_ENTRY entry, ULONG key) {
    return KiInsertDeviceQueue(queue, entry, true, key);
}

static PKDEVICE_QUEUE_ENTRY KiRemoveDeviceQueue(PKDEVICE_QUEUE queue, ULONG key) {
    KIRQL old = KiLockDeviceQueue(queue);
    PKDEVICE_QUEUE_ENTRY entry = nullptr;
    if (IsListEmpty(&queue->DeviceListHead)) {
        queue->Busy = FALSE;
    } else {
        LIST_ENTRY *at = queue->DeviceListHead.Flink; // the first one, when all keys are below
        for (LIST_ENTRY *e = at; e != &queue->DeviceListHead; e = e->Flink)
            if (CONTAINING_RECORD(e, KDEVICE_QUEUE_ENTRY, DeviceListEntry)->SortKey >= key) {
                at = e;
                break;
            }
        entry = CONTAINING_RECORD(at, KDEVICE_QUEUE_ENTRY, DeviceListEntry);
        RemoveEntryList(at);
        entry->Inserted = FALSE;
    }
    KeReleaseSpinLock(&queue->Lock, old);
    return entry;
}

PKDEVICE_QUEUE_ENTRY KeRemoveDeviceQueue(PKDEVICE_QUEUE queue) {
    return KiRemoveDeviceQueue(queue, 0);
}

PKDEVICE_QUEUE_ENTRY KeRemoveByKeyDeviceQueue(PKDEVICE_QUEUE queue, ULONG key) {
    return KiRemoveDeviceQueue(queue, key);
}

BOOLEAN KeRemoveEntryDeviceQueue(PKDEVICE_QUEUE queue, PKDEVICE_QUEUE_ENTRY entry) {
    KIRQL old = KiLockDeviceQueue(queue);
    BOOLEAN queued = entry->Inserted;
    if (queued) {
        RemoveEntryList(&entry->DeviceListEntry);
        entry->Inserted = FALSE;
    }
    KeReleaseSpinLock(&queue->Lock, old);
    return queued;
}

} // extern "C"
