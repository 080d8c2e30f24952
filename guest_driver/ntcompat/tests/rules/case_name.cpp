// SPDX-License-Identifier: MIT
//
// The service parameter that names the case.
#include "case_name.h"

struct CASE_VALUE {
    KEY_VALUE_PARTIAL_INFORMATION information;
    WCHAR room[64];
};

static NTSTATUS OpenKey(PHANDLE key, HANDLE root, PUNICODE_STRING name) {
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, root,
                               nullptr);
    return ZwOpenKey(key, KEY_READ, &attributes);
}

NTSTATUS ReadCase(PUNICODE_STRING registry_path, char *name, ULONG size) {
    HANDLE service, parameters;
    NTSTATUS status = OpenKey(&service, nullptr, registry_path);
    if (!NT_SUCCESS(status))
        return status;
    UNICODE_STRING text;
    RtlInitUnicodeString(&text, L"Parameters");
    status = OpenKey(&parameters, service, &text);
    ZwClose(service);
    if (!NT_SUCCESS(status))
        return status;
    CASE_VALUE value;
    ULONG length;
    RtlInitUnicodeString(&text, L"Case");
    status = ZwQueryValueKey(parameters, &text, KeyValuePartialInformation, &value, sizeof(value),
                             &length);
    ZwClose(parameters);
    if (!NT_SUCCESS(status))
        return status;
    const WCHAR *from = (const WCHAR *)value.information.Data;
    ULONG count = value.information.DataLength / sizeof(WCHAR);
    ULONG i = 0;
    for (; i < count && from[i] && i + 1 < size; i++)
        name[i] = (char)from[i];
    name[i] = 0;
    return STATUS_SUCCESS;
}
