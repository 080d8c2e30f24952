// SPDX-License-Identifier: MIT
//
// The tree of keys and values.
#include "cm/cmp.h"

MI_LOCK CmpLock;
CMP_KEY *CmpRoot;

namespace {

void *Allocate(size_t size) {
    return ExpAllocatePool(NonPagedPool, size, CMP_TAG, 0);
}

void Free(void *memory) {
    if (memory)
        ExpFreePool(memory, CMP_TAG, 0);
}

bool CopyName(UNICODE_STRING *to, const UNICODE_STRING *from) {
    // An empty name (a key's default value) needs a buffer too: pool of zero
    // bytes doesn't exist.
    to->Buffer = static_cast<WCHAR *>(Allocate(from->Length + sizeof(WCHAR)));
    if (!to->Buffer)
        return false;
    memcpy(to->Buffer, from->Buffer, from->Length);
    to->Buffer[from->Length / sizeof(WCHAR)] = 0;
    to->Length = from->Length;
    to->MaximumLength = static_cast<USHORT>(from->Length + sizeof(WCHAR));
    return true;
}

void DestroyKey(CMP_KEY *key) {
    while (!IsListEmpty(&key->values))
        CmpDeleteValue(CONTAINING_RECORD(key->values.Flink, CMP_VALUE, links));
    Free(key->name.Buffer);
    Free(key);
}

} // namespace

CMP_KEY *CmpFindChild(CMP_KEY *key, const UNICODE_STRING *name) {
    for (LIST_ENTRY *entry = key->children.Flink; entry != &key->children; entry = entry->Flink) {
        auto *child = CONTAINING_RECORD(entry, CMP_KEY, siblings);
        if (RtlEqualUnicodeString(&child->name, name, TRUE))
            return child;
    }
    return nullptr;
}

CMP_VALUE *CmpFindValue(CMP_KEY *key, const UNICODE_STRING *name) {
    for (LIST_ENTRY *entry = key->values.Flink; entry != &key->values; entry = entry->Flink) {
        auto *value = CONTAINING_RECORD(entry, CMP_VALUE, links);
        if (RtlEqualUnicodeString(&value->name, name, TRUE))
            return value;
    }
    return nullptr;
}

NTSTATUS CmpAddChild(CMP_KEY *parent, const UNICODE_STRING *name, CMP_KEY **child) {
    if (name->Length == 0 || name->Length > CMP_MAX_NAME * sizeof(WCHAR))
        return STATUS_INVALID_PARAMETER;
    auto *key = static_cast<CMP_KEY *>(Allocate(sizeof(CMP_KEY)));
    if (!key)
        return STATUS_INSUFFICIENT_RESOURCES;
    memset(key, 0, sizeof(*key));
    if (!CopyName(&key->name, name)) {
        Free(key);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    InitializeListHead(&key->children);
    InitializeListHead(&key->values);
    key->parent = parent;
    if (parent)
        InsertTailList(&parent->children, &key->siblings);
    *child = key;
    return STATUS_SUCCESS;
}

NTSTATUS CmpStoreValue(CMP_KEY *key, const UNICODE_STRING *name, ULONG type, const void *data,
                       ULONG length) {
    void *copy = nullptr;
    if (length) {
        copy = Allocate(length);
        if (!copy)
            return STATUS_INSUFFICIENT_RESOURCES;
        memcpy(copy, data, length);
    }
    CMP_VALUE *value = CmpFindValue(key, name);
    if (!value) {
        value = static_cast<CMP_VALUE *>(Allocate(sizeof(CMP_VALUE)));
        if (!value || !CopyName(&value->name, name)) {
            Free(value);
            Free(copy);
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        InsertTailList(&key->values, &value->links);
    } else {
        Free(value->data);
    }
    value->type = type;
    value->length = length;
    value->data = copy;
    return STATUS_SUCCESS;
}

void CmpDeleteValue(CMP_VALUE *value) {
    RemoveEntryList(&value->links);
    Free(value->name.Buffer);
    Free(value->data);
    Free(value);
}

void CmpDeleteKey(CMP_KEY *key) {
    RemoveEntryList(&key->siblings);
    key->deleted = true;
    if (key->opens == 0)
        DestroyKey(key);
}

void CmpReleaseKey(CMP_KEY *key) {
    if (--key->opens == 0 && key->deleted)
        DestroyKey(key);
}

NTSTATUS CmpWalk(CMP_KEY *from, const UNICODE_STRING *path, bool create, bool create_all,
                 CMP_KEY **found, bool *created) {
    CMP_KEY *key = from;
    *created = false;
    const USHORT count = path->Length / sizeof(WCHAR);
    for (USHORT at = 0; at < count;) {
        if (key->deleted)
            return STATUS_KEY_DELETED;
        USHORT end = at;
        while (end < count && path->Buffer[end] != '\\')
            ++end;
        const USHORT bytes = static_cast<USHORT>((end - at) * sizeof(WCHAR));
        const UNICODE_STRING name = {bytes, bytes, path->Buffer + at};
        if (bytes == 0)
            return STATUS_OBJECT_NAME_INVALID;
        CMP_KEY *child = CmpFindChild(key, &name);
        if (!child) {
            const bool last = end >= count || end + 1 == count;
            if (!(create_all || (create && last)))
                return STATUS_OBJECT_NAME_NOT_FOUND;
            NTSTATUS status = CmpAddChild(key, &name, &child);
            if (!NT_SUCCESS(status))
                return status;
            *created = true;
        }
        key = child;
        at = static_cast<USHORT>(end + 1);
    }
    *found = key;
    return STATUS_SUCCESS;
}
