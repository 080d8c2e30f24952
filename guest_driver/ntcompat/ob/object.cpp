// SPDX-License-Identifier: MIT
//
// Objects: making, counting, deleting.
#include "ob/obp.h"

#undef ObReferenceObject
#undef ObDereferenceObject

namespace {

const size_t kMaxTypes = 32;
POBJECT_TYPE types[kMaxTypes];
size_t type_count;
MI_LOCK type_lock;

LIST_ENTRY delete_list;
bool delete_queued;
WORK_QUEUE_ITEM delete_item;

void RegisterType(POBJECT_TYPE type) {
    if (type->objects.Flink)
        return;
    InitializeListHead(&type->objects);
    if (type_count == kMaxTypes)
        KdUnimplemented("more than 32 object types");
    types[type_count++] = type;
}

void DeleteObject(OBP_HEADER *header) {
    void *body = ObpBody(header);
    if (header->handles)
        KdViolation(0x18, "the last reference goes while handles are open",
                    reinterpret_cast<uintptr_t>(header->type), reinterpret_cast<uintptr_t>(body), 0,
                    static_cast<uint64_t>(header->handles));
    if (header->type->remove)
        header->type->remove(body);
    {
        MiLockGuard guard(&type_lock);
        RemoveEntryList(&header->type_links);
        --header->type->count;
    }
    header->magic = 0;
    if (header->name.Buffer)
        ExpFreePool(header->name.Buffer, OBP_NAME_TAG, 0);
    ExpFreePool(header, header->type->tag, 0);
}

VOID NTAPI DeleteWorker(PVOID) {
    for (;;) {
        OBP_HEADER *header;
        {
            MiLockGuard guard(&type_lock);
            if (IsListEmpty(&delete_list)) {
                delete_queued = false;
                return;
            }
            header = CONTAINING_RECORD(RemoveHeadList(&delete_list), OBP_HEADER, delete_links);
        }
        DeleteObject(header);
    }
}

// Deleting runs the type's code, which may wait: above PASSIVE_LEVEL a worker does it.
void DeleteLater(OBP_HEADER *header) {
    bool queue = false;
    {
        MiLockGuard guard(&type_lock);
        if (!delete_list.Flink)
            InitializeListHead(&delete_list);
        InsertTailList(&delete_list, &header->delete_links);
        if (!delete_queued) {
            delete_queued = true;
            queue = true;
        }
    }
    if (queue) {
        ExInitializeWorkItem(&delete_item, DeleteWorker, nullptr);
        ExQueueWorkItem(&delete_item, CriticalWorkQueue);
    }
}

LONG Dereference(void *body, bool later) {
    OBP_HEADER *header = ObpHeader(body);
    const LONG count = InterlockedDecrement(&header->references);
    if (count < 0)
        KdViolation(0x18, "an object is dereferenced more often than it was referenced",
                    reinterpret_cast<uintptr_t>(header->type), reinterpret_cast<uintptr_t>(body), 0,
                    static_cast<uint64_t>(count));
    if (count > 0)
        return count;
    if (later || KeGetCurrentIrql() > PASSIVE_LEVEL)
        DeleteLater(header);
    else
        DeleteObject(header);
    return 0;
}

} // namespace

OBP_HEADER *ObpHeader(void *body) {
    OBP_HEADER *header = static_cast<OBP_HEADER *>(body) - 1;
    if (!body || !MiPhysicalAddress(reinterpret_cast<uint64_t>(header)) ||
        header->magic != OBP_MAGIC)
        KdViolation(0x18, "a pointer that is no object, or of one that is deleted", 0,
                    reinterpret_cast<uintptr_t>(body), 0, 0);
    return header;
}

NTSTATUS ObpCreateObject(POBJECT_TYPE type, size_t body_size, void **body) {
    const size_t size = max(body_size, type->body_size);
    auto *header = static_cast<OBP_HEADER *>(
        ExpAllocatePool(NonPagedPool, sizeof(OBP_HEADER) + size, type->tag, MI_CALLER()));
    if (!header)
        return STATUS_INSUFFICIENT_RESOURCES;
    memset(header, 0, sizeof(OBP_HEADER) + size);
    header->magic = OBP_MAGIC;
    header->references = 1;
    header->body_size = static_cast<uint32_t>(size);
    header->type = type;
    MiLockGuard guard(&type_lock);
    RegisterType(type);
    InsertTailList(&type->objects, &header->type_links);
    ++type->count;
    *body = ObpBody(header);
    return STATUS_SUCCESS;
}

LONG_PTR FASTCALL ObfReferenceObject(PVOID object) {
    OBP_HEADER *header = ObpHeader(object);
    const LONG count = InterlockedIncrement(&header->references);
    if (count <= 1)
        KdViolation(0xC4, "an object without references is referenced", 0x3F,
                    reinterpret_cast<uintptr_t>(object), static_cast<uint64_t>(count), 0);
    return count;
}

LONG_PTR FASTCALL ObfDereferenceObject(PVOID object) {
    return Dereference(object, false);
}

VOID NTAPI ObDereferenceObjectDeferDelete(PVOID object) {
    Dereference(object, true);
}

LONG_PTR FASTCALL ObfReferenceObjectWithTag(PVOID object, ULONG) {
    return ObfReferenceObject(object);
}

LONG_PTR FASTCALL ObfDereferenceObjectWithTag(PVOID object, ULONG) {
    return ObfDereferenceObject(object);
}

NTC_EXPORT VOID NTAPI ObDereferenceObject(PVOID object) {
    Dereference(object, false);
}

NTSTATUS NTAPI ObReferenceObjectByPointer(PVOID object, ACCESS_MASK, POBJECT_TYPE type,
                                          KPROCESSOR_MODE) {
    OBP_HEADER *header = ObpHeader(object);
    if (type && header->type != type)
        return STATUS_OBJECT_TYPE_MISMATCH;
    ObfReferenceObject(object);
    return STATUS_SUCCESS;
}

POBJECT_TYPE ObpGetType(void *body) {
    return ObpHeader(body)->type;
}
LONG ObpReferenceCount(void *body) {
    return ObpHeader(body)->references;
}
LONG ObpHandleCount(void *body) {
    return ObpHeader(body)->handles;
}

NTC_EXPORT POBJECT_TYPE NTAPI ObGetObjectType(PVOID object) {
    return ObpGetType(object);
}

void ObpDumpObjects(POBJECT_TYPE type) {
    MiLockGuard guard(&type_lock);
    for (size_t i = 0; i < type_count && !type; ++i)
        KdPrint_("%-12ws %d\n", types[i]->name, types[i]->count);
    if (!type || !type->objects.Flink)
        return;
    for (LIST_ENTRY *entry = type->objects.Flink; entry != &type->objects; entry = entry->Flink) {
        auto *header = CONTAINING_RECORD(entry, OBP_HEADER, type_links);
        KdPrint_("%ws %p: %d references, %d handles, name '%wZ'\n", type->name, ObpBody(header),
                 header->references, header->handles, &header->name);
    }
}
