// SPDX-License-Identifier: MIT
//
// The agent's own registry values, from the kernel's command line.
#include "settings.h"

namespace {

HANDLE OpenKey(HANDLE root, PUNICODE_STRING name) {
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, root,
                               nullptr);
    HANDLE key;
    return NT_SUCCESS(ZwOpenKey(&key, KEY_READ, &attributes)) ? key : nullptr;
}

HANDLE OpenParameters(PUNICODE_STRING service) {
    HANDLE root = OpenKey(nullptr, service);
    if (!root)
        return nullptr;
    UNICODE_STRING parameters;
    RtlInitUnicodeString(&parameters, L"Parameters");
    HANDLE key = OpenKey(root, &parameters);
    ZwClose(root);
    return key;
}

struct Value {
    KEY_VALUE_PARTIAL_INFORMATION head;
    WCHAR room[32];
};

} // namespace

bool SettingIs(PUNICODE_STRING service, const WCHAR *name, const WCHAR *text) {
    HANDLE key = OpenParameters(service);
    if (!key)
        return false;
    UNICODE_STRING value_name, wanted, found;
    RtlInitUnicodeString(&value_name, name);
    RtlInitUnicodeString(&wanted, text);
    Value value;
    ULONG size = 0;
    NTSTATUS status =
        ZwQueryValueKey(key, &value_name, KeyValuePartialInformation, &value, sizeof(value), &size);
    ZwClose(key);
    if (!NT_SUCCESS(status) || value.head.Type != REG_SZ || value.head.DataLength < sizeof(WCHAR))
        return false;
    found.Buffer = reinterpret_cast<WCHAR *>(value.head.Data);
    found.Length = static_cast<USHORT>(value.head.DataLength - sizeof(WCHAR)); // its end
    found.MaximumLength = found.Length;
    return RtlEqualUnicodeString(&found, &wanted, TRUE);
}
