// SPDX-License-Identifier: MIT
//
// Keys by handle: opening, creating, asking, deleting.
#include "cm/cmp.h"

namespace {

void RemoveKeyObject(void *body) {
    CMP_KEY *key = static_cast<CMP_KEY_OBJECT *>(body)->key;
    MiLockGuard guard(&CmpLock);
    if (key)
        CmpReleaseKey(key);
}

// Finds (or makes) the key and wraps it in a new object.
NTSTATUS OpenFrom(CMP_KEY *from, const UNICODE_STRING *path, CMP_PARSE *parse, void **found) {
    void *body;
    NTSTATUS status = ObpCreateObject(&ObpKeyType, 0, &body);
    if (!NT_SUCCESS(status))
        return status;
    {
        MiLockGuard guard(&CmpLock);
        CMP_KEY *key;
        bool created;
        status = CmpWalk(from, path, parse && parse->create, false, &key, &created);
        if (NT_SUCCESS(status) && key->deleted)
            status = STATUS_KEY_DELETED;
        if (NT_SUCCESS(status)) {
            ++key->opens;
            static_cast<CMP_KEY_OBJECT *>(body)->key = key;
            if (parse)
                parse->created = created;
        }
    }
    if (NT_SUCCESS(status))
        *found = body;
    else
        ObfDereferenceObject(body);
    return status;
}

NTSTATUS ParseKey(void *body, UNICODE_STRING *remaining, ULONG, ACCESS_MASK, void *context,
                  void **found) {
    return OpenFrom(static_cast<CMP_KEY_OBJECT *>(body)->key, remaining,
                    static_cast<CMP_PARSE *>(context), found);
}

NTSTATUS OpenByAttributes(POBJECT_ATTRIBUTES attributes, ACCESS_MASK access, CMP_PARSE *parse,
                          void **body) {
    if (!attributes || attributes->Length != sizeof(OBJECT_ATTRIBUTES))
        return STATUS_INVALID_PARAMETER;
    if (!attributes->RootDirectory) {
        if (!attributes->ObjectName)
            return STATUS_OBJECT_PATH_SYNTAX_BAD;
        return ObpOpenByName(attributes->ObjectName, attributes->Attributes | OBJ_CASE_INSENSITIVE,
                             &ObpKeyType, access, parse, body);
    }
    void *root;
    NTSTATUS status = ObReferenceObjectByHandle(attributes->RootDirectory, 0, &ObpKeyType,
                                                KernelMode, &root, nullptr);
    if (!NT_SUCCESS(status))
        return status;
    const UNICODE_STRING none = {};
    const UNICODE_STRING *name = attributes->ObjectName ? attributes->ObjectName : &none;
    status = OpenFrom(static_cast<CMP_KEY_OBJECT *>(root)->key, name, parse, body);
    ObfDereferenceObject(root);
    return status;
}

NTSTATUS OpenHandle(PHANDLE handle, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes,
                    CMP_PARSE *parse) {
    MiPagedCode("ZwOpenKey or ZwCreateKey");
    void *body;
    NTSTATUS status = OpenByAttributes(attributes, access, parse, &body);
    if (!NT_SUCCESS(status))
        return status;
    status = ObpCreateHandle(body, access, attributes->Attributes, handle);
    ObfDereferenceObject(body);
    return status;
}

struct Counts {
    ULONG subkeys, longest_subkey, values, longest_value_name, longest_value_data;
};

Counts CountsOf(CMP_KEY *key) {
    Counts counts = {};
    for (LIST_ENTRY *e = key->children.Flink; e != &key->children; e = e->Flink) {
        ++counts.subkeys;
        const ULONG length = CONTAINING_RECORD(e, CMP_KEY, siblings)->name.Length;
        counts.longest_subkey = max(counts.longest_subkey, length);
    }
    for (LIST_ENTRY *e = key->values.Flink; e != &key->values; e = e->Flink) {
        auto *value = CONTAINING_RECORD(e, CMP_VALUE, links);
        ++counts.values;
        counts.longest_value_name =
            max(counts.longest_value_name, static_cast<ULONG>(value->name.Length));
        counts.longest_value_data = max(counts.longest_value_data, value->length);
    }
    return counts;
}

// The fixed part has to fit (else BUFFER_TOO_SMALL); of the name, what fits is
// copied (else BUFFER_OVERFLOW).
NTSTATUS CopyOut(void *to, ULONG room, const void *fixed, ULONG fixed_length,
                 const UNICODE_STRING *name, ULONG *needed) {
    *needed = fixed_length + name->Length;
    if (room < fixed_length)
        return STATUS_BUFFER_TOO_SMALL;
    memcpy(to, fixed, fixed_length);
    const ULONG copied = min(static_cast<ULONG>(name->Length), room - fixed_length);
    memcpy(static_cast<char *>(to) + fixed_length, name->Buffer, copied);
    return copied < name->Length ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

// The path of a key as KeyNameInformation gives it.
NTSTATUS PathOf(CMP_KEY *key, UNICODE_STRING *path) {
    CMP_KEY *chain[32];
    int depth = 0;
    for (; key; key = key->parent) {
        if (depth == 32)
            return STATUS_NAME_TOO_LONG;
        chain[depth++] = key;
    }
    path->Length = 0;
    while (depth > 0) {
        NTSTATUS status = RtlAppendUnicodeToString(path, L"\\");
        if (NT_SUCCESS(status))
            status = RtlAppendUnicodeStringToString(path, &chain[--depth]->name);
        if (!NT_SUCCESS(status))
            return STATUS_NAME_TOO_LONG;
    }
    return STATUS_SUCCESS;
}

NTSTATUS QueryKey(CMP_KEY *key, KEY_INFORMATION_CLASS information_class, void *to, ULONG room,
                  ULONG *needed) {
    const UNICODE_STRING none = {};
    switch (information_class) {
    case KeyBasicInformation: {
        KEY_BASIC_INFORMATION basic = {};
        basic.NameLength = key->name.Length;
        return CopyOut(to, room, &basic, FIELD_OFFSET(KEY_BASIC_INFORMATION, Name), &key->name,
                       needed);
    }
    case KeyNodeInformation: {
        KEY_NODE_INFORMATION node = {};
        node.ClassOffset = 0xFFFFFFFF;
        node.NameLength = key->name.Length;
        return CopyOut(to, room, &node, FIELD_OFFSET(KEY_NODE_INFORMATION, Name), &key->name,
                       needed);
    }
    case KeyFullInformation: {
        const Counts counts = CountsOf(key);
        KEY_FULL_INFORMATION full = {};
        full.ClassOffset = 0xFFFFFFFF;
        full.SubKeys = counts.subkeys;
        full.MaxNameLen = counts.longest_subkey;
        full.Values = counts.values;
        full.MaxValueNameLen = counts.longest_value_name;
        full.MaxValueDataLen = counts.longest_value_data;
        return CopyOut(to, room, &full, FIELD_OFFSET(KEY_FULL_INFORMATION, Class), &none, needed);
    }
    case KeyNameInformation: {
        WCHAR text[512];
        UNICODE_STRING path = {0, sizeof(text), text};
        NTSTATUS status = PathOf(key, &path);
        if (!NT_SUCCESS(status))
            return status;
        const ULONG length = path.Length;
        return CopyOut(to, room, &length, sizeof(length), &path, needed);
    }
    default:
        return STATUS_INVALID_PARAMETER;
    }
}

NTSTATUS ReferenceKey(HANDLE handle, void **body) {
    MiPagedCode("ZwXxxKey function");
    return ObReferenceObjectByHandle(handle, 0, &ObpKeyType, KernelMode, body, nullptr);
}

} // namespace

struct _OBJECT_TYPE ObpKeyType = {
    L"Key", ' yeK', sizeof(CMP_KEY_OBJECT), nullptr, RemoveKeyObject, ParseKey, TRUE, -1, 0, {}};

NTSTATUS NTAPI ZwOpenKey(PHANDLE handle, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes) {
    return OpenHandle(handle, access, attributes, nullptr);
}

NTSTATUS NTAPI ZwCreateKey(PHANDLE handle, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes, ULONG,
                           PUNICODE_STRING, ULONG options, PULONG disposition) {
    if (options & ~static_cast<ULONG>(REG_OPTION_VOLATILE | REG_OPTION_BACKUP_RESTORE))
        return STATUS_INVALID_PARAMETER;
    CMP_PARSE parse = {true, false};
    NTSTATUS status = OpenHandle(handle, access, attributes, &parse);
    if (NT_SUCCESS(status) && disposition)
        *disposition = parse.created ? REG_CREATED_NEW_KEY : REG_OPENED_EXISTING_KEY;
    return status;
}

NTSTATUS NTAPI ZwQueryKey(HANDLE handle, KEY_INFORMATION_CLASS information_class, PVOID information,
                          ULONG length, PULONG result_length) {
    void *body;
    NTSTATUS status = ReferenceKey(handle, &body);
    if (!NT_SUCCESS(status))
        return status;
    *result_length = 0;
    {
        MiLockGuard guard(&CmpLock);
        CMP_KEY *key = static_cast<CMP_KEY_OBJECT *>(body)->key;
        status = key->deleted
                     ? STATUS_KEY_DELETED
                     : QueryKey(key, information_class, information, length, result_length);
    }
    ObfDereferenceObject(body);
    return status;
}

NTSTATUS NTAPI ZwEnumerateKey(HANDLE handle, ULONG index, KEY_INFORMATION_CLASS information_class,
                              PVOID information, ULONG length, PULONG result_length) {
    void *body;
    NTSTATUS status = ReferenceKey(handle, &body);
    if (!NT_SUCCESS(status))
        return status;
    *result_length = 0;
    {
        MiLockGuard guard(&CmpLock);
        CMP_KEY *key = static_cast<CMP_KEY_OBJECT *>(body)->key;
        LIST_ENTRY *entry = key->children.Flink;
        for (; index && entry != &key->children; --index)
            entry = entry->Flink;
        if (key->deleted)
            status = STATUS_KEY_DELETED;
        else if (entry == &key->children)
            status = STATUS_NO_MORE_ENTRIES;
        else
            status = QueryKey(CONTAINING_RECORD(entry, CMP_KEY, siblings), information_class,
                              information, length, result_length);
    }
    ObfDereferenceObject(body);
    return status;
}

NTSTATUS NTAPI ZwDeleteKey(HANDLE handle) {
    void *body;
    NTSTATUS status = ReferenceKey(handle, &body);
    if (!NT_SUCCESS(status))
        return status;
    {
        MiLockGuard guard(&CmpLock);
        CMP_KEY *key = static_cast<CMP_KEY_OBJECT *>(body)->key;
        if (key->deleted)
            status = STATUS_KEY_DELETED;
        else if (!key->parent || !IsListEmpty(&key->children))
            status = STATUS_CANNOT_DELETE;
        else
            CmpDeleteKey(key);
    }
    ObfDereferenceObject(body);
    return status;
}

// Nothing is on disk; the call only checks its handle.
NTSTATUS NTAPI ZwFlushKey(HANDLE handle) {
    void *body;
    NTSTATUS status = ReferenceKey(handle, &body);
    if (NT_SUCCESS(status))
        ObfDereferenceObject(body);
    return status;
}
