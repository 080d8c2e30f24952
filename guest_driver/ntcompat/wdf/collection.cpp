// SPDX-License-Identifier: MIT
// WDFCOLLECTION.
#include "driver.h"

namespace wdfldr {

struct CollectionEntry {
    LIST_ENTRY links;
    Object *object; // referenced
};

class Collection : public Object {
  public:
    static constexpr Type kType = Type::Collection;
    KSPIN_LOCK lock = 0;
    LIST_ENTRY entries{};
    ULONG count = 0;

    // Lock held; NULL: no such index.
    CollectionEntry *At(ULONG index) {
        LIST_ENTRY *e = entries.Flink;
        for (; e != &entries && index; index--)
            e = e->Flink;
        return e == &entries ? nullptr : CONTAINING_RECORD(e, CollectionEntry, links);
    }
    void Drop(CollectionEntry *entry) {
        entry->object->Dereference();
        Free(globals, entry);
    }
    void OnDispose() override {
        while (!IsListEmpty(&entries))
            Drop(CONTAINING_RECORD(RemoveHeadList(&entries), CollectionEntry, links));
        count = 0;
    }
};

static WDFOBJECT Get(Collection *collection, ULONG index, bool last) {
    KIRQL irql;
    KeAcquireSpinLock(&collection->lock, &irql);
    if (last)
        index = collection->count ? collection->count - 1 : 0;
    CollectionEntry *entry = collection->At(index);
    WDFOBJECT handle = entry ? entry->object->Handle() : nullptr;
    KeReleaseSpinLock(&collection->lock, irql);
    return handle;
}

} // namespace wdfldr

using namespace wdfldr;

WDF_API(NTSTATUS, WdfCollectionCreate,
        (PWDF_DRIVER_GLOBALS pub, PWDF_OBJECT_ATTRIBUTES attributes, WDFCOLLECTION *out)) {
    WDF_ENTER(WdfCollectionCreate, DISPATCH_LEVEL);
    CheckNotNull(out, kName, "Collection");
    *out = nullptr;
    NTSTATUS status = CheckAttributes(globals, attributes, kParentOptional);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    auto *collection = New<Collection>(globals, Type::Collection);
    if (!collection)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeInitializeSpinLock(&collection->lock);
    InitializeListHead(&collection->entries);
    status = FinishCreate(globals, collection, ParentOf(globals, attributes, DriverObject(globals)),
                          attributes);
    if (NT_SUCCESS(status))
        *out = collection->HandleAs<WDFCOLLECTION>();
    return status;
}

WDF_API(ULONG, WdfCollectionGetCount, (PWDF_DRIVER_GLOBALS pub, WDFCOLLECTION handle)) {
    WDF_ENTER(WdfCollectionGetCount, DISPATCH_LEVEL);
    return From<Collection>(globals, handle, kName)->count;
}

WDF_API(NTSTATUS, WdfCollectionAdd,
        (PWDF_DRIVER_GLOBALS pub, WDFCOLLECTION handle, WDFOBJECT objectHandle)) {
    WDF_ENTER(WdfCollectionAdd, DISPATCH_LEVEL);
    auto *collection = From<Collection>(globals, handle, kName);
    Object *object = FromHandle(globals, objectHandle, kName);
    auto *entry = static_cast<CollectionEntry *>(Allocate(globals, sizeof(CollectionEntry)));
    if (!entry)
        return STATUS_INSUFFICIENT_RESOURCES;
    object->Reference();
    entry->object = object;
    KIRQL irql;
    KeAcquireSpinLock(&collection->lock, &irql);
    InsertTailList(&collection->entries, &entry->links);
    collection->count++;
    KeReleaseSpinLock(&collection->lock, irql);
    return STATUS_SUCCESS;
}

static void Remove(Collection *collection, ULONG index, Object *object, const char *function) {
    KIRQL irql;
    KeAcquireSpinLock(&collection->lock, &irql);
    CollectionEntry *found = nullptr;
    if (object) {
        for (ULONG i = 0; i < collection->count && !found; i++) {
            CollectionEntry *entry = collection->At(i);
            if (entry->object == object)
                found = entry;
        }
    } else {
        found = collection->At(index);
    }
    if (found) {
        RemoveEntryList(&found->links);
        collection->count--;
    }
    KeReleaseSpinLock(&collection->lock, irql);
    if (found)
        collection->Drop(found);
    else
        Refuse(STATUS_NOT_FOUND, function, "no such item");
}

WDF_API(VOID, WdfCollectionRemove,
        (PWDF_DRIVER_GLOBALS pub, WDFCOLLECTION handle, WDFOBJECT objectHandle)) {
    WDF_ENTER(WdfCollectionRemove, DISPATCH_LEVEL);
    auto *collection = From<Collection>(globals, handle, kName);
    Remove(collection, 0, FromHandle(globals, objectHandle, kName), kName);
}

WDF_API(VOID, WdfCollectionRemoveItem,
        (PWDF_DRIVER_GLOBALS pub, WDFCOLLECTION handle, ULONG index)) {
    WDF_ENTER(WdfCollectionRemoveItem, DISPATCH_LEVEL);
    Remove(From<Collection>(globals, handle, kName), index, nullptr, kName);
}

WDF_API(WDFOBJECT, WdfCollectionGetItem,
        (PWDF_DRIVER_GLOBALS pub, WDFCOLLECTION handle, ULONG index)) {
    WDF_ENTER(WdfCollectionGetItem, DISPATCH_LEVEL);
    return Get(From<Collection>(globals, handle, kName), index, false);
}

WDF_API(WDFOBJECT, WdfCollectionGetFirstItem, (PWDF_DRIVER_GLOBALS pub, WDFCOLLECTION handle)) {
    WDF_ENTER(WdfCollectionGetFirstItem, DISPATCH_LEVEL);
    return Get(From<Collection>(globals, handle, kName), 0, false);
}

WDF_API(WDFOBJECT, WdfCollectionGetLastItem, (PWDF_DRIVER_GLOBALS pub, WDFCOLLECTION handle)) {
    WDF_ENTER(WdfCollectionGetLastItem, DISPATCH_LEVEL);
    return Get(From<Collection>(globals, handle, kName), 0, true);
}
