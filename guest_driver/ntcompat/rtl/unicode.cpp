// SPDX-License-Identifier: MIT
//
// UNICODE_STRING: initialise, compare, copy, append, case. Case mapping covers ASCII
// and Latin-1, which is all that names in a kernel without files can hold.
#include "mm/mi.h"

#define RTLP_STRING_TAG 'grtS'
#define RTLP_MAX_BYTES 0xFFFEu // a UNICODE_STRING's length is an even USHORT

WCHAR NTAPI RtlUpcaseUnicodeChar(WCHAR c) {
    if ((c >= 'a' && c <= 'z') || (c >= 0xE0 && c <= 0xFE && c != 0xF7))
        return static_cast<WCHAR>(c - 0x20);
    return c == 0xFF ? 0x178 : c;
}

NTC_EXPORT WCHAR NTAPI RtlDowncaseUnicodeChar(WCHAR c) {
    if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7))
        return static_cast<WCHAR>(c + 0x20);
    return c == 0x178 ? 0xFF : c;
}

NTSTATUS NTAPI RtlInitUnicodeStringEx(PUNICODE_STRING string, PCWSTR source) {
    string->Length = 0;
    string->MaximumLength = 0;
    string->Buffer = const_cast<PWSTR>(source);
    if (!source)
        return STATUS_SUCCESS;
    const size_t bytes = wcslen(source) * sizeof(WCHAR);
    if (bytes > RTLP_MAX_BYTES - sizeof(WCHAR))
        return STATUS_NAME_TOO_LONG;
    string->Length = static_cast<USHORT>(bytes);
    string->MaximumLength = static_cast<USHORT>(bytes + sizeof(WCHAR));
    return STATUS_SUCCESS;
}

// Without a status to return, a text that is too long is cut, as NT does.
VOID NTAPI RtlInitUnicodeString(PUNICODE_STRING string, PCWSTR source) {
    if (NT_SUCCESS(RtlInitUnicodeStringEx(string, source)))
        return;
    string->Length = RTLP_MAX_BYTES - sizeof(WCHAR);
    string->MaximumLength = RTLP_MAX_BYTES;
}

LONG NTAPI RtlCompareUnicodeString(PCUNICODE_STRING left, PCUNICODE_STRING right,
                                   BOOLEAN ignore_case) {
    const USHORT count = min(left->Length, right->Length) / sizeof(WCHAR);
    for (USHORT i = 0; i < count; ++i) {
        WCHAR a = left->Buffer[i];
        WCHAR b = right->Buffer[i];
        if (ignore_case) {
            a = RtlUpcaseUnicodeChar(a);
            b = RtlUpcaseUnicodeChar(b);
        }
        if (a != b)
            return static_cast<LONG>(a) - static_cast<LONG>(b);
    }
    return static_cast<LONG>(left->Length) - static_cast<LONG>(right->Length);
}

BOOLEAN NTAPI RtlEqualUnicodeString(PCUNICODE_STRING left, PCUNICODE_STRING right,
                                    BOOLEAN ignore_case) {
    return left->Length == right->Length && RtlCompareUnicodeString(left, right, ignore_case) == 0;
}

BOOLEAN NTAPI RtlPrefixUnicodeString(PCUNICODE_STRING prefix, PCUNICODE_STRING string,
                                     BOOLEAN ignore_case) {
    if (prefix->Length > string->Length)
        return FALSE;
    const UNICODE_STRING start = {prefix->Length, prefix->Length, string->Buffer};
    return RtlEqualUnicodeString(prefix, &start, ignore_case);
}

VOID NTAPI RtlCopyUnicodeString(PUNICODE_STRING to, PCUNICODE_STRING from) {
    if (!from) {
        to->Length = 0;
        return;
    }
    const USHORT bytes = min(from->Length, to->MaximumLength);
    memmove(to->Buffer, from->Buffer, bytes);
    to->Length = bytes;
    if (bytes + sizeof(WCHAR) <= to->MaximumLength)
        to->Buffer[bytes / sizeof(WCHAR)] = 0;
}

NTSTATUS NTAPI RtlAppendUnicodeStringToString(PUNICODE_STRING to, PCUNICODE_STRING from) {
    if (!from->Length)
        return STATUS_SUCCESS;
    const ULONG length = to->Length + from->Length;
    if (length > to->MaximumLength)
        return STATUS_BUFFER_TOO_SMALL;
    memmove(to->Buffer + to->Length / sizeof(WCHAR), from->Buffer, from->Length);
    to->Length = static_cast<USHORT>(length);
    if (length + sizeof(WCHAR) <= to->MaximumLength)
        to->Buffer[length / sizeof(WCHAR)] = 0;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI RtlAppendUnicodeToString(PUNICODE_STRING to, PCWSTR source) {
    if (!source)
        return STATUS_SUCCESS;
    UNICODE_STRING from;
    if (!NT_SUCCESS(RtlInitUnicodeStringEx(&from, source)))
        return STATUS_BUFFER_TOO_SMALL;
    return RtlAppendUnicodeStringToString(to, &from);
}

NTSTATUS NTAPI RtlUpcaseUnicodeString(PUNICODE_STRING to, PCUNICODE_STRING from, BOOLEAN allocate) {
    MiPagedCode(__func__);
    if (allocate) {
        to->Buffer = static_cast<PWSTR>(ExAllocatePoolWithTag(
            PagedPool, from->Length ? from->Length : sizeof(WCHAR), RTLP_STRING_TAG));
        if (!to->Buffer)
            return STATUS_NO_MEMORY;
        to->MaximumLength = from->Length;
    } else if (from->Length > to->MaximumLength) {
        return STATUS_BUFFER_OVERFLOW;
    }
    for (USHORT i = 0; i < from->Length / sizeof(WCHAR); ++i)
        to->Buffer[i] = RtlUpcaseUnicodeChar(from->Buffer[i]);
    to->Length = from->Length;
    return STATUS_SUCCESS;
}

VOID NTAPI RtlFreeUnicodeString(PUNICODE_STRING string) {
    if (string->Buffer)
        ExFreePoolWithTag(string->Buffer, 0);
    memset(string, 0, sizeof(*string));
}

NTC_EXPORT BOOLEAN NTAPI RtlCreateUnicodeString(PUNICODE_STRING string, PCWSTR source) {
    const size_t bytes = (wcslen(source) + 1) * sizeof(WCHAR);
    if (bytes > RTLP_MAX_BYTES)
        return FALSE;
    string->Buffer = static_cast<PWSTR>(ExAllocatePoolWithTag(PagedPool, bytes, RTLP_STRING_TAG));
    if (!string->Buffer)
        return FALSE;
    memcpy(string->Buffer, source, bytes);
    string->Length = static_cast<USHORT>(bytes - sizeof(WCHAR));
    string->MaximumLength = static_cast<USHORT>(bytes);
    return TRUE;
}

NTSTATUS NTAPI RtlDuplicateUnicodeString(ULONG flags, PCUNICODE_STRING source,
                                         PUNICODE_STRING copy) {
    if (flags & ~(RTL_DUPLICATE_UNICODE_STRING_NULL_TERMINATE |
                  RTL_DUPLICATE_UNICODE_STRING_ALLOCATE_NULL_STRING))
        return STATUS_INVALID_PARAMETER;
    const bool terminate = (flags & RTL_DUPLICATE_UNICODE_STRING_NULL_TERMINATE) != 0;
    if ((flags & RTL_DUPLICATE_UNICODE_STRING_ALLOCATE_NULL_STRING) && !terminate)
        return STATUS_INVALID_PARAMETER;
    memset(copy, 0, sizeof(*copy));
    if (!source->Length && !(flags & RTL_DUPLICATE_UNICODE_STRING_ALLOCATE_NULL_STRING))
        return STATUS_SUCCESS;
    const ULONG bytes = source->Length + (terminate ? sizeof(WCHAR) : 0);
    if (bytes > RTLP_MAX_BYTES)
        return STATUS_NAME_TOO_LONG;
    copy->Buffer = static_cast<PWSTR>(ExAllocatePoolWithTag(PagedPool, bytes, RTLP_STRING_TAG));
    if (!copy->Buffer)
        return STATUS_NO_MEMORY;
    memcpy(copy->Buffer, source->Buffer, source->Length);
    if (terminate)
        copy->Buffer[source->Length / sizeof(WCHAR)] = 0;
    copy->Length = source->Length;
    copy->MaximumLength = static_cast<USHORT>(bytes);
    return STATUS_SUCCESS;
}
