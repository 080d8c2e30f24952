// SPDX-License-Identifier: MIT
// WDFSTRING.
#include "registry.h"

using namespace wdfldr;

NTSTATUS String::Assign(PCUNICODE_STRING from) {
    UNICODE_STRING copy = {};
    if (from && from->Length) {
        copy.MaximumLength = static_cast<USHORT>(from->Length + sizeof(WCHAR));
        copy.Buffer = static_cast<PWCH>(Allocate(globals, copy.MaximumLength));
        if (!copy.Buffer)
            return STATUS_INSUFFICIENT_RESOURCES;
        RtlCopyUnicodeString(&copy, from);
    }
    if (text.Buffer)
        Free(globals, text.Buffer);
    text = copy;
    return STATUS_SUCCESS;
}

void String::OnDestroy() {
    if (text.Buffer)
        Free(globals, text.Buffer);
    text = {};
}

WDF_API(NTSTATUS, WdfStringCreate,
        (PWDF_DRIVER_GLOBALS pub, PCUNICODE_STRING from, PWDF_OBJECT_ATTRIBUTES attributes,
         WDFSTRING *out)) {
    WDF_ENTER(WdfStringCreate, PASSIVE_LEVEL);
    CheckNotNull(out, kName, "String");
    *out = nullptr;
    NTSTATUS status = CheckAttributes(globals, attributes, kParentOptional);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    if (from && (from->Length % sizeof(WCHAR) || from->Length > 0xFFFC))
        return Refuse(STATUS_INVALID_PARAMETER, kName, "UnicodeString");
    auto *string = New<String>(globals, Type::String);
    if (!string)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = FinishCreate(globals, string, ParentOf(globals, attributes, DriverObject(globals)),
                          attributes);
    if (!NT_SUCCESS(status))
        return status;
    status = string->Assign(from);
    if (!NT_SUCCESS(status)) {
        DropFailed(string);
        return status;
    }
    *out = string->HandleAs<WDFSTRING>();
    return STATUS_SUCCESS;
}

WDF_API(VOID, WdfStringGetUnicodeString,
        (PWDF_DRIVER_GLOBALS pub, WDFSTRING handle, PUNICODE_STRING out)) {
    WDF_ENTER(WdfStringGetUnicodeString, PASSIVE_LEVEL);
    auto *string = From<String>(globals, handle, kName);
    CheckNotNull(out, kName, "UnicodeString");
    *out = string->text;
}
