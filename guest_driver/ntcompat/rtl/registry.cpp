// SPDX-License-Identifier: MIT
//
// RtlQueryRegistryValues and its relatives.
#include "cm/cm.h"
#include "mm/mi.h"

namespace {

const ULONG kTypeShift = 24; // RTL_QUERY_REGISTRY_TYPECHECK: the expected type lies there
const ULONG kTypeCheck = 0x100;

// The value buffer of one query; grows as values need it.
struct Buffer {
    KEY_VALUE_FULL_INFORMATION *data;
    ULONG size;
};

void Free(Buffer *buffer) {
    if (buffer->data)
        ExpFreePool(buffer->data, 'qRtR', 0);
    buffer->data = nullptr;
}

NTSTATUS Fetch(HANDLE key, PCWSTR name, Buffer *buffer) {
    UNICODE_STRING value;
    RtlInitUnicodeString(&value, name);
    for (;;) {
        ULONG needed = 0;
        NTSTATUS status = ZwQueryValueKey(key, &value, KeyValueFullInformation, buffer->data,
                                          buffer->size, &needed);
        if (status != STATUS_BUFFER_OVERFLOW && status != STATUS_BUFFER_TOO_SMALL)
            return status;
        Free(buffer);
        buffer->data = static_cast<KEY_VALUE_FULL_INFORMATION *>(
            ExpAllocatePool(PagedPool, needed, 'qRtR', 0));
        if (!buffer->data)
            return STATUS_NO_MEMORY;
        buffer->size = needed;
    }
}

NTSTATUS DirectString(UNICODE_STRING *to, const void *data, ULONG length) {
    // The stored terminating 0 is not part of the string's length.
    auto *text = static_cast<const WCHAR *>(data);
    ULONG bytes = length & ~1u;
    if (bytes && text[bytes / sizeof(WCHAR) - 1] == 0)
        bytes -= sizeof(WCHAR);
    if (bytes > 0xFFFC)
        return STATUS_BUFFER_OVERFLOW;
    if (!to->Buffer) {
        to->Buffer =
            static_cast<WCHAR *>(ExpAllocatePool(PagedPool, bytes + sizeof(WCHAR), 'grtS', 0));
        if (!to->Buffer)
            return STATUS_NO_MEMORY;
        to->MaximumLength = static_cast<USHORT>(bytes + sizeof(WCHAR));
    } else if (bytes > to->MaximumLength) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    memcpy(to->Buffer, data, bytes);
    to->Length = static_cast<USHORT>(bytes);
    if (bytes + sizeof(WCHAR) <= to->MaximumLength)
        to->Buffer[bytes / sizeof(WCHAR)] = 0;
    return STATUS_SUCCESS;
}

// RTL_QUERY_REGISTRY_DIRECT: the value goes where EntryContext points. Other types than
// strings: a buffer whose first LONG is its negative size, or room for a ULONG.
NTSTATUS StoreDirect(const RTL_QUERY_REGISTRY_TABLE *entry, ULONG type, const void *data,
                     ULONG length) {
    if ((entry->Flags & kTypeCheck) && (entry->DefaultType >> kTypeShift) != REG_NONE &&
        (entry->DefaultType >> kTypeShift) != type)
        return STATUS_OBJECT_TYPE_MISMATCH;
    if (type == REG_SZ || type == REG_EXPAND_SZ || type == REG_MULTI_SZ)
        return DirectString(static_cast<UNICODE_STRING *>(entry->EntryContext), data, length);
    if (length <= sizeof(ULONG)) {
        memcpy(entry->EntryContext, data, length);
        return STATUS_SUCCESS;
    }
    auto *header = static_cast<LONG *>(entry->EntryContext);
    if (*header < 0) {
        if (static_cast<ULONG>(-*header) < length)
            return STATUS_BUFFER_TOO_SMALL;
        memcpy(entry->EntryContext, data, length);
        return STATUS_SUCCESS;
    }
    auto *described = static_cast<ULONG *>(entry->EntryContext);
    if (described[0] < length + 2 * sizeof(ULONG))
        return STATUS_BUFFER_TOO_SMALL;
    described[0] = length;
    described[1] = type;
    memcpy(described + 2, data, length);
    return STATUS_SUCCESS;
}

NTSTATUS Deliver(const RTL_QUERY_REGISTRY_TABLE *entry, PVOID context, ULONG type, void *data,
                 ULONG length) {
    if (entry->Flags & RTL_QUERY_REGISTRY_DIRECT)
        return StoreDirect(entry, type, data, length);
    if (!entry->QueryRoutine)
        return STATUS_SUCCESS;
    return entry->QueryRoutine(const_cast<PWSTR>(entry->Name), type, data, length, context,
                               entry->EntryContext);
}

ULONG DefaultLength(const RTL_QUERY_REGISTRY_TABLE *entry) {
    if (entry->DefaultLength)
        return entry->DefaultLength;
    const ULONG type = entry->DefaultType & 0xFFFFFF;
    if (type == REG_SZ || type == REG_EXPAND_SZ)
        return static_cast<ULONG>((wcslen(static_cast<const WCHAR *>(entry->DefaultData)) + 1) *
                                  sizeof(WCHAR));
    return 0;
}

NTSTATUS QueryEntry(HANDLE key, const RTL_QUERY_REGISTRY_TABLE *entry, PVOID context,
                    Buffer *buffer) {
    if (entry->Flags & (RTL_QUERY_REGISTRY_NOVALUE | RTL_QUERY_REGISTRY_DELETE))
        KdUnimplemented("RtlQueryRegistryValues with NOVALUE or DELETE");
    if (!entry->Name)
        KdUnimplemented("RtlQueryRegistryValues over all values of a key");
    NTSTATUS status = Fetch(key, entry->Name, buffer);
    if (NT_SUCCESS(status))
        return Deliver(entry, context, buffer->data->Type,
                       reinterpret_cast<char *>(buffer->data) + buffer->data->DataOffset,
                       buffer->data->DataLength);
    if (status != STATUS_OBJECT_NAME_NOT_FOUND)
        return status;
    if (entry->Flags & RTL_QUERY_REGISTRY_REQUIRED)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    const ULONG type = entry->DefaultType & 0xFFFFFF;
    if (type == REG_NONE || !entry->DefaultData)
        return STATUS_SUCCESS;
    return Deliver(entry, context, type, entry->DefaultData, DefaultLength(entry));
}

NTSTATUS OpenBase(ULONG relative_to, PCWSTR path, BOOLEAN create, HANDLE *key) {
    static const WCHAR *const bases[] = {
        L"",
        CM_SERVICES,
        L"\\Registry\\Machine\\System\\CurrentControlSet\\Control\\",
        L"\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion\\",
        L"\\Registry\\Machine\\Hardware\\DeviceMap\\",
        L"\\Registry\\User\\.Default\\"};
    const ULONG base = relative_to & ~static_cast<ULONG>(RTL_REGISTRY_OPTIONAL);
    if (base >= RTL_REGISTRY_MAXIMUM)
        return STATUS_INVALID_PARAMETER;
    WCHAR full[512];
    if (wcslen(bases[base]) + wcslen(path) >= 512)
        return STATUS_NAME_TOO_LONG;
    wcscpy(full, bases[base]);
    wcscat(full, path);
    return CmpOpenPath(full, create, KEY_READ, key);
}

} // namespace

NTSTATUS NTAPI RtlQueryRegistryValues(ULONG relative_to, PCWSTR path,
                                      PRTL_QUERY_REGISTRY_TABLE table, PVOID context, PVOID) {
    MiPagedCode("RtlQueryRegistryValues");
    const bool is_handle = (relative_to & RTL_REGISTRY_HANDLE) != 0;
    HANDLE top = is_handle ? const_cast<PWSTR>(path) : nullptr;
    if (!is_handle) {
        NTSTATUS status = OpenBase(relative_to, path, FALSE, &top);
        if (!NT_SUCCESS(status))
            return (relative_to & RTL_REGISTRY_OPTIONAL) ? STATUS_SUCCESS : status;
    }
    NTSTATUS status = STATUS_SUCCESS;
    Buffer buffer = {};
    HANDLE subkey = nullptr;
    for (const RTL_QUERY_REGISTRY_TABLE *entry = table;
         NT_SUCCESS(status) &&
         (entry->QueryRoutine ||
          (entry->Flags & (RTL_QUERY_REGISTRY_SUBKEY | RTL_QUERY_REGISTRY_DIRECT)));
         ++entry) {
        if ((entry->Flags & (RTL_QUERY_REGISTRY_SUBKEY | RTL_QUERY_REGISTRY_TOPKEY)) && subkey) {
            ZwClose(subkey);
            subkey = nullptr;
        }
        if (entry->Flags & RTL_QUERY_REGISTRY_SUBKEY) {
            UNICODE_STRING name;
            RtlInitUnicodeString(&name, entry->Name);
            OBJECT_ATTRIBUTES attributes;
            InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE,
                                       top, nullptr);
            status = ZwOpenKey(&subkey, KEY_READ, &attributes);
            if (status == STATUS_OBJECT_NAME_NOT_FOUND &&
                !(entry->Flags & RTL_QUERY_REGISTRY_REQUIRED)) {
                status = STATUS_SUCCESS;
                break; // the entries that follow belong to it
            }
            if (NT_SUCCESS(status) && entry->QueryRoutine)
                KdUnimplemented("RtlQueryRegistryValues over all values of a subkey");
            continue;
        }
        status = QueryEntry(subkey ? subkey : top, entry, context, &buffer);
    }
    Free(&buffer);
    if (subkey)
        ZwClose(subkey);
    if (!is_handle)
        ZwClose(top);
    return status;
}

NTSTATUS NTAPI RtlWriteRegistryValue(ULONG relative_to, PCWSTR path, PCWSTR name, ULONG type,
                                     PVOID data, ULONG length) {
    MiPagedCode("RtlWriteRegistryValue");
    const bool is_handle = (relative_to & RTL_REGISTRY_HANDLE) != 0;
    HANDLE key = is_handle ? const_cast<PWSTR>(path) : nullptr;
    if (!is_handle) {
        NTSTATUS status = OpenBase(relative_to, path, TRUE, &key);
        if (!NT_SUCCESS(status))
            return status;
    }
    UNICODE_STRING value;
    RtlInitUnicodeString(&value, name);
    NTSTATUS status = ZwSetValueKey(key, &value, 0, type, data, length);
    if (!is_handle)
        ZwClose(key);
    return status;
}

NTSTATUS NTAPI RtlCheckRegistryKey(ULONG relative_to, PWSTR path) {
    MiPagedCode("RtlCheckRegistryKey");
    HANDLE key;
    NTSTATUS status = OpenBase(relative_to, path, FALSE, &key);
    if (NT_SUCCESS(status))
        ZwClose(key);
    return status;
}

NTSTATUS NTAPI RtlCreateRegistryKey(ULONG relative_to, PWSTR path) {
    MiPagedCode("RtlCreateRegistryKey");
    HANDLE key;
    NTSTATUS status = OpenBase(relative_to, path, TRUE, &key);
    if (NT_SUCCESS(status))
        ZwClose(key);
    return status;
}
