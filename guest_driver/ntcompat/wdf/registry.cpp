// SPDX-License-Identifier: MIT
// WDFKEY.
#include "registry.h"

namespace wdfldr {

void Key::OnDispose() {
    if (handle)
        ZwClose(handle);
    handle = nullptr;
}

static NTSTATUS Open(Globals *globals, HANDLE root, PCUNICODE_STRING name, ACCESS_MASK access,
                     PWDF_OBJECT_ATTRIBUTES attributes, WDFKEY *out) {
    *out = nullptr;
    NTSTATUS status = CheckAttributes(globals, attributes, kParentOptional);
    if (!NT_SUCCESS(status))
        return Refuse(status, "registry key", "attributes");
    auto *key = New<Key>(globals, Type::Key);
    if (!key)
        return STATUS_INSUFFICIENT_RESOURCES;
    key->passiveDelete = true;
    status = FinishCreate(globals, key, ParentOf(globals, attributes, DriverObject(globals)),
                          attributes);
    if (!NT_SUCCESS(status))
        return status;
    OBJECT_ATTRIBUTES object;
    InitializeObjectAttributes(&object, const_cast<PUNICODE_STRING>(name),
                               OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, root, nullptr);
    status = ZwOpenKey(&key->handle, access, &object);
    if (!NT_SUCCESS(status)) {
        key->handle = nullptr;
        DropFailed(key);
        return status;
    }
    *out = key->HandleAs<WDFKEY>();
    return STATUS_SUCCESS;
}

// Reads a value with its header; the caller frees *out. 'VgRW' pool.
static NTSTATUS Query(Key *key, PCUNICODE_STRING name, KEY_VALUE_PARTIAL_INFORMATION **out) {
    *out = nullptr;
    ULONG size = 0;
    auto *value = const_cast<PUNICODE_STRING>(name);
    NTSTATUS status =
        ZwQueryValueKey(key->handle, value, KeyValuePartialInformation, nullptr, 0, &size);
    if (status != STATUS_BUFFER_TOO_SMALL && status != STATUS_BUFFER_OVERFLOW)
        return NT_SUCCESS(status) ? STATUS_UNSUCCESSFUL : status;
    auto *information = static_cast<KEY_VALUE_PARTIAL_INFORMATION *>(
        ExAllocatePoolWithTag(PagedPool, size, 'VgRW'));
    if (!information)
        return STATUS_INSUFFICIENT_RESOURCES;
    status =
        ZwQueryValueKey(key->handle, value, KeyValuePartialInformation, information, size, &size);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(information, 'VgRW');
        return status;
    }
    *out = information;
    return STATUS_SUCCESS;
}

// A REG_SZ or REG_EXPAND_SZ without its terminators.
static NTSTATUS ToString(KEY_VALUE_PARTIAL_INFORMATION *information, UNICODE_STRING *out) {
    if (information->Type != REG_SZ && information->Type != REG_EXPAND_SZ)
        return STATUS_OBJECT_TYPE_MISMATCH;
    if (information->DataLength % sizeof(WCHAR) || information->DataLength > 0xFFFE)
        return STATUS_INVALID_BUFFER_SIZE;
    auto *text = reinterpret_cast<PWCH>(information->Data);
    USHORT length = static_cast<USHORT>(information->DataLength);
    while (length && text[length / sizeof(WCHAR) - 1] == 0)
        length -= sizeof(WCHAR);
    out->Buffer = text;
    out->Length = out->MaximumLength = length;
    return STATUS_SUCCESS;
}

} // namespace wdfldr

using namespace wdfldr;

WDF_API(NTSTATUS, WdfDriverOpenParametersRegistryKey,
        (PWDF_DRIVER_GLOBALS pub, WDFDRIVER driver, ACCESS_MASK access,
         PWDF_OBJECT_ATTRIBUTES attributes, WDFKEY *out)) {
    WDF_ENTER(WdfDriverOpenParametersRegistryKey, PASSIVE_LEVEL);
    From<Driver>(globals, driver, kName);
    CheckNotNull(out, kName, "Key");
    *out = nullptr;
    static const WCHAR kSuffix[] = L"\\Parameters";
    UNICODE_STRING path;
    path.Length = 0;
    path.MaximumLength = static_cast<USHORT>(globals->registryPath.Length + sizeof(kSuffix));
    path.Buffer = static_cast<PWCH>(ExAllocatePoolWithTag(PagedPool, path.MaximumLength, 'VgRW'));
    if (!path.Buffer)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlCopyUnicodeString(&path, &globals->registryPath);
    RtlAppendUnicodeToString(&path, kSuffix);
    NTSTATUS status = Open(globals, nullptr, &path, access, attributes, out);
    ExFreePoolWithTag(path.Buffer, 'VgRW');
    return status;
}

WDF_API(NTSTATUS, WdfRegistryOpenKey,
        (PWDF_DRIVER_GLOBALS pub, WDFKEY parent, PCUNICODE_STRING name, ACCESS_MASK access,
         PWDF_OBJECT_ATTRIBUTES attributes, WDFKEY *out)) {
    WDF_ENTER(WdfRegistryOpenKey, PASSIVE_LEVEL);
    CheckNotNull(name, kName, "KeyName");
    CheckNotNull(out, kName, "Key");
    HANDLE root = parent ? From<Key>(globals, parent, kName)->handle : nullptr;
    return Open(globals, root, name, access, attributes, out);
}

WDF_API(VOID, WdfRegistryClose, (PWDF_DRIVER_GLOBALS pub, WDFKEY handle)) {
    WDF_ENTER(WdfRegistryClose, PASSIVE_LEVEL);
    From<Key>(globals, handle, kName)->Delete();
}

WDF_API(HANDLE, WdfRegistryWdmGetHandle, (PWDF_DRIVER_GLOBALS pub, WDFKEY handle)) {
    WDF_ENTER(WdfRegistryWdmGetHandle, PASSIVE_LEVEL);
    return From<Key>(globals, handle, kName)->handle;
}

WDF_API(NTSTATUS, WdfRegistryQueryValue,
        (PWDF_DRIVER_GLOBALS pub, WDFKEY handle, PCUNICODE_STRING name, ULONG length, PVOID value,
         PULONG queried, PULONG type)) {
    WDF_ENTER(WdfRegistryQueryValue, PASSIVE_LEVEL);
    auto *key = From<Key>(globals, handle, kName);
    CheckNotNull(name, kName, "ValueName");
    if (length && !value)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "a length without a buffer");
    KEY_VALUE_PARTIAL_INFORMATION *information;
    NTSTATUS status = Query(key, name, &information);
    if (!NT_SUCCESS(status))
        return status;
    if (queried)
        *queried = information->DataLength;
    if (type)
        *type = information->Type;
    if (information->DataLength > length)
        status = STATUS_BUFFER_OVERFLOW;
    else
        RtlCopyMemory(value, information->Data, information->DataLength);
    ExFreePoolWithTag(information, 'VgRW');
    return status;
}

WDF_API(NTSTATUS, WdfRegistryQueryULong,
        (PWDF_DRIVER_GLOBALS pub, WDFKEY handle, PCUNICODE_STRING name, PULONG value)) {
    WDF_ENTER(WdfRegistryQueryULong, PASSIVE_LEVEL);
    auto *key = From<Key>(globals, handle, kName);
    CheckNotNull(name, kName, "ValueName");
    CheckNotNull(value, kName, "Value");
    KEY_VALUE_PARTIAL_INFORMATION *information;
    NTSTATUS status = Query(key, name, &information);
    if (!NT_SUCCESS(status))
        return status;
    if (information->Type != REG_DWORD || information->DataLength != sizeof(ULONG))
        status = STATUS_OBJECT_TYPE_MISMATCH;
    else
        RtlCopyMemory(value, information->Data, sizeof(ULONG));
    ExFreePoolWithTag(information, 'VgRW');
    return status;
}

WDF_API(NTSTATUS, WdfRegistryQueryUnicodeString,
        (PWDF_DRIVER_GLOBALS pub, WDFKEY handle, PCUNICODE_STRING name, PUSHORT needed,
         PUNICODE_STRING value)) {
    WDF_ENTER(WdfRegistryQueryUnicodeString, PASSIVE_LEVEL);
    auto *key = From<Key>(globals, handle, kName);
    CheckNotNull(name, kName, "ValueName");
    KEY_VALUE_PARTIAL_INFORMATION *information;
    NTSTATUS status = Query(key, name, &information);
    if (!NT_SUCCESS(status))
        return status;
    UNICODE_STRING text;
    status = ToString(information, &text);
    if (NT_SUCCESS(status)) {
        // With room for a terminator, which the framework writes where it fits.
        if (needed)
            *needed = static_cast<USHORT>(text.Length + sizeof(WCHAR));
        if (!value || value->MaximumLength < text.Length)
            status = STATUS_BUFFER_OVERFLOW;
        else
            RtlCopyUnicodeString(value, &text);
    }
    ExFreePoolWithTag(information, 'VgRW');
    return status;
}

WDF_API(NTSTATUS, WdfRegistryQueryString,
        (PWDF_DRIVER_GLOBALS pub, WDFKEY handle, PCUNICODE_STRING name, WDFSTRING stringHandle)) {
    WDF_ENTER(WdfRegistryQueryString, PASSIVE_LEVEL);
    auto *key = From<Key>(globals, handle, kName);
    CheckNotNull(name, kName, "ValueName");
    auto *string = From<String>(globals, stringHandle, kName);
    KEY_VALUE_PARTIAL_INFORMATION *information;
    NTSTATUS status = Query(key, name, &information);
    if (!NT_SUCCESS(status))
        return status;
    UNICODE_STRING text;
    status = ToString(information, &text);
    if (NT_SUCCESS(status))
        status = string->Assign(&text);
    ExFreePoolWithTag(information, 'VgRW');
    return status;
}
