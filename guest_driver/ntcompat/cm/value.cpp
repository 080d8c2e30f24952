// SPDX-License-Identifier: MIT
//
// Values by handle.
#include "cm/cmp.h"

namespace {

// Puts one value into the caller's buffer; `*needed` is the full length.
NTSTATUS QueryValue(const CMP_VALUE *value, KEY_VALUE_INFORMATION_CLASS information_class, void *to,
                    ULONG room, ULONG *needed) {
    auto *out = static_cast<char *>(to);
    const ULONG name_length = value->name.Length;
    KEY_VALUE_FULL_INFORMATION full = {};
    KEY_VALUE_PARTIAL_INFORMATION partial = {};
    KEY_VALUE_BASIC_INFORMATION basic = {};
    const void *fixed;
    ULONG fixed_length, name_at = 0, data_at = 0;
    switch (information_class) {
    case KeyValueBasicInformation:
        basic.Type = value->type;
        basic.NameLength = name_length;
        fixed = &basic;
        fixed_length = FIELD_OFFSET(KEY_VALUE_BASIC_INFORMATION, Name);
        name_at = fixed_length;
        *needed = name_at + name_length;
        break;
    case KeyValueFullInformation:
        fixed_length = FIELD_OFFSET(KEY_VALUE_FULL_INFORMATION, Name);
        name_at = fixed_length;
        data_at = (name_at + name_length + 7) & ~7u;
        full.Type = value->type;
        full.DataOffset = data_at;
        full.DataLength = value->length;
        full.NameLength = name_length;
        fixed = &full;
        *needed = data_at + value->length;
        break;
    case KeyValuePartialInformation:
        partial.Type = value->type;
        partial.DataLength = value->length;
        fixed = &partial;
        fixed_length = FIELD_OFFSET(KEY_VALUE_PARTIAL_INFORMATION, Data);
        data_at = fixed_length;
        *needed = data_at + value->length;
        break;
    default:
        return STATUS_INVALID_PARAMETER;
    }
    if (room < fixed_length)
        return STATUS_BUFFER_TOO_SMALL;
    memcpy(out, fixed, fixed_length);
    if (name_at)
        memcpy(out + name_at, value->name.Buffer, min(name_length, room - name_at));
    if (data_at && room > data_at && value->length)
        memcpy(out + data_at, value->data, min(value->length, room - data_at));
    return room < *needed ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

NTSTATUS ReferenceKey(HANDLE handle, void **body) {
    MiPagedCode("ZwXxxValueKey function");
    return ObReferenceObjectByHandle(handle, 0, &ObpKeyType, KernelMode, body, nullptr);
}

CMP_KEY *KeyOf(void *body) {
    return static_cast<CMP_KEY_OBJECT *>(body)->key;
}

} // namespace

NTSTATUS NTAPI ZwQueryValueKey(HANDLE handle, PUNICODE_STRING name,
                               KEY_VALUE_INFORMATION_CLASS information_class, PVOID information,
                               ULONG length, PULONG result_length) {
    void *body;
    NTSTATUS status = ReferenceKey(handle, &body);
    if (!NT_SUCCESS(status))
        return status;
    *result_length = 0;
    {
        MiLockGuard guard(&CmpLock);
        CMP_VALUE *value = KeyOf(body)->deleted ? nullptr : CmpFindValue(KeyOf(body), name);
        if (KeyOf(body)->deleted)
            status = STATUS_KEY_DELETED;
        else if (!value)
            status = STATUS_OBJECT_NAME_NOT_FOUND;
        else
            status = QueryValue(value, information_class, information, length, result_length);
    }
    ObfDereferenceObject(body);
    return status;
}

NTSTATUS NTAPI ZwEnumerateValueKey(HANDLE handle, ULONG index,
                                   KEY_VALUE_INFORMATION_CLASS information_class, PVOID information,
                                   ULONG length, PULONG result_length) {
    void *body;
    NTSTATUS status = ReferenceKey(handle, &body);
    if (!NT_SUCCESS(status))
        return status;
    *result_length = 0;
    {
        MiLockGuard guard(&CmpLock);
        LIST_ENTRY *head = &KeyOf(body)->values;
        LIST_ENTRY *entry = head->Flink;
        for (; index && entry != head; --index)
            entry = entry->Flink;
        if (KeyOf(body)->deleted)
            status = STATUS_KEY_DELETED;
        else if (entry == head)
            status = STATUS_NO_MORE_ENTRIES;
        else
            status = QueryValue(CONTAINING_RECORD(entry, CMP_VALUE, links), information_class,
                                information, length, result_length);
    }
    ObfDereferenceObject(body);
    return status;
}

NTSTATUS NTAPI ZwSetValueKey(HANDLE handle, PUNICODE_STRING name, ULONG, ULONG type, PVOID data,
                             ULONG length) {
    void *body;
    NTSTATUS status = ReferenceKey(handle, &body);
    if (!NT_SUCCESS(status))
        return status;
    {
        MiLockGuard guard(&CmpLock);
        status = KeyOf(body)->deleted ? STATUS_KEY_DELETED
                                      : CmpStoreValue(KeyOf(body), name, type, data, length);
    }
    ObfDereferenceObject(body);
    return status;
}

NTSTATUS NTAPI ZwDeleteValueKey(HANDLE handle, PUNICODE_STRING name) {
    void *body;
    NTSTATUS status = ReferenceKey(handle, &body);
    if (!NT_SUCCESS(status))
        return status;
    {
        MiLockGuard guard(&CmpLock);
        CMP_VALUE *value = CmpFindValue(KeyOf(body), name);
        if (value)
            CmpDeleteValue(value);
        else
            status = STATUS_OBJECT_NAME_NOT_FOUND;
    }
    ObfDereferenceObject(body);
    return status;
}
