// SPDX-License-Identifier: MIT
// Life of objects: allocation, parents, contexts, disposal, destruction.
#include "object.h"

namespace wdfldr {

// Precedes every allocation, so that what is left at unload can be listed.
struct alignas(MEMORY_ALLOCATION_ALIGNMENT) AllocationHeader {
    LIST_ENTRY links;
    size_t size;
    ULONG tag; // DriverTag changes in WdfDriverCreate
};

void *Allocate(Globals *globals, size_t size) {
    ULONG tag = globals->pub.DriverTag;
    auto *header = static_cast<AllocationHeader *>(
        ExAllocatePoolWithTag(NonPagedPool, sizeof(AllocationHeader) + size, tag));
    if (!header)
        return nullptr;
    RtlZeroMemory(header, sizeof(*header) + size);
    header->size = size;
    header->tag = tag;
    KIRQL irql;
    KeAcquireSpinLock(&globals->treeLock, &irql);
    InsertTailList(&globals->live, &header->links);
    globals->allocations++;
    KeReleaseSpinLock(&globals->treeLock, irql);
    return header + 1;
}

void Free(Globals *globals, void *memory) {
    auto *header = static_cast<AllocationHeader *>(memory) - 1;
    KIRQL irql;
    KeAcquireSpinLock(&globals->treeLock, &irql);
    RemoveEntryList(&header->links);
    globals->allocations--;
    KeReleaseSpinLock(&globals->treeLock, irql);
    ExFreePoolWithTag(header, header->tag);
}

const char *TypeName(Type type) {
    static const char *const kNames[] = {
        "?",           "WDFOBJECT",     "WDFDRIVER",    "WDFDEVICE",     "WDFQUEUE",
        "WDFREQUEST",  "WDFFILEOBJECT", "WDFINTERRUPT", "WDFDMAENABLER", "WDFCOMMONBUFFER",
        "WDFMEMORY",   "WDFKEY",        "WDFSTRING",    "WDFCOLLECTION", "WDFCMRESLIST",
        "WDFSPINLOCK", "WDFWAITLOCK",   "WDFTIMER",     "WDFWORKITEM",   "WDFDPC"};
    auto index = static_cast<size_t>(type);
    return index < RTL_NUMBER_OF(kNames) ? kNames[index] : kNames[0];
}

void Object::Reference() {
    if (InterlockedIncrement(&references) <= 1)
        Stop(kObjectError, Handle(), 0, "%s %p referenced after its destruction", TypeName(type),
             Handle());
}

void Object::Dereference() {
    LONG left = InterlockedDecrement(&references);
    if (left < 0 || (left == 0 && !disposed))
        Stop(kObjectError, Handle(), 0, "%s %p dereferenced more often than referenced",
             TypeName(type), Handle());
    if (left == 0)
        Destroy();
}

static void Unlink(Object *object) {
    KIRQL irql;
    KeAcquireSpinLock(&object->globals->treeLock, &irql);
    if (object->linked) {
        RemoveEntryList(&object->sibling);
        object->linked = false;
    }
    KeReleaseSpinLock(&object->globals->treeLock, irql);
}

// Takes the youngest child out of the list: children go in reverse order.
static Object *TakeChild(Object *object) {
    Object *child = nullptr;
    KIRQL irql;
    KeAcquireSpinLock(&object->globals->treeLock, &irql);
    if (!IsListEmpty(&object->children)) {
        LIST_ENTRY *entry = RemoveTailList(&object->children);
        child = CONTAINING_RECORD(entry, Object, sibling);
        child->linked = false;
    }
    KeReleaseSpinLock(&object->globals->treeLock, irql);
    return child;
}

void Object::Delete() {
    Unlink(this);
    if (passiveDelete && KeGetCurrentIrql() > PASSIVE_LEVEL)
        Stop(kIrqlMismatch, Handle(), KeGetCurrentIrql(),
             "%s %p deleted above PASSIVE_LEVEL: deferred deletion is not implemented",
             TypeName(type), Handle());
    Dispose();
    Dereference();
}

void Object::Dispose() {
    KIRQL irql;
    KeAcquireSpinLock(&globals->treeLock, &irql);
    bool again = disposed;
    disposed = true;
    KeReleaseSpinLock(&globals->treeLock, irql);
    if (again)
        Stop(kObjectError, Handle(), 0, "%s %p deleted twice", TypeName(type), Handle());
    OnDelete();
    while (Object *child = TakeChild(this))
        child->Delete();
    for (Context *context = contexts; context; context = context->next) {
        if (context->cleanup)
            context->cleanup(Handle());
    }
    OnDispose();
}

void Object::Destroy() {
    for (Context *context = contexts; context; context = context->next) {
        if (context->destroy)
            context->destroy(Handle());
    }
    OnDestroy();
    while (Context *context = contexts) {
        contexts = context->next;
        context->signature = 0;
        Free(globals, context);
    }
    signature = 0;
    Object *up = parent;
    Free(globals, this);
    if (up)
        up->Dereference();
}

bool IsBelow(Object *object, Object *ancestor) {
    for (; object; object = object->parent) {
        if (object == ancestor)
            return true;
    }
    return false;
}

Object *FromHandle(Globals *globals, const void *handle, const char *function) {
    if (!handle)
        Stop(kNullParameter, nullptr, 0, "%s: the handle is NULL", function);
    auto address = ~reinterpret_cast<ULONG_PTR>(handle);
    auto *object = reinterpret_cast<Object *>(address);
    if ((address & (MEMORY_ALLOCATION_ALIGNMENT - 1)) != 0 || !MmIsAddressValid(object) ||
        object->signature != Object::kSignature || object->globals != globals)
        Stop(kInvalidHandle, handle, 0, "%s: %p is no handle of an object of this driver", function,
             handle);
    return object;
}

Object *FromHandle(Globals *globals, const void *handle, Type type, const char *function) {
    Object *object = FromHandle(globals, handle, function);
    if (object->type != type)
        Stop(kInvalidHandle, handle, static_cast<ULONG_PTR>(type), "%s: %p is a %s, not a %s",
             function, handle, TypeName(object->type), TypeName(type));
    return object;
}

} // namespace wdfldr
