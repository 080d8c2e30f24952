// SPDX-License-Identifier: MIT
//
// ANSI_STRING and conversions. The ANSI code page is Latin-1: a byte is the
// character of that number, and wider characters become '?'.
#include "mm/mi.h"

#define RTLP_STRING_TAG 'grtS'

VOID NTAPI RtlInitAnsiString(PANSI_STRING string, PCSZ source) {
    size_t length = source ? strlen(source) : 0;
    if (length > 0xFFFE)
        length = 0xFFFE;
    string->Buffer = const_cast<PCHAR>(source);
    string->Length = static_cast<USHORT>(length);
    string->MaximumLength = static_cast<USHORT>(source ? length + 1 : 0);
}

VOID NTAPI RtlInitString(PSTRING string, PCSZ source) {
    RtlInitAnsiString(string, source);
}

CHAR NTAPI RtlUpperChar(CHAR c) {
    return c >= 'a' && c <= 'z' ? static_cast<CHAR>(c - ('a' - 'A')) : c;
}

LONG NTAPI RtlCompareString(const STRING *left, const STRING *right, BOOLEAN ignore_case) {
    const USHORT count = min(left->Length, right->Length);
    for (USHORT i = 0; i < count; ++i) {
        CHAR a = left->Buffer[i];
        CHAR b = right->Buffer[i];
        if (ignore_case) {
            a = RtlUpperChar(a);
            b = RtlUpperChar(b);
        }
        if (a != b)
            return static_cast<UCHAR>(a) - static_cast<UCHAR>(b);
    }
    return static_cast<LONG>(left->Length) - static_cast<LONG>(right->Length);
}

BOOLEAN NTAPI RtlEqualString(const STRING *left, const STRING *right, BOOLEAN ignore_case) {
    return left->Length == right->Length && RtlCompareString(left, right, ignore_case) == 0;
}

VOID NTAPI RtlCopyString(PSTRING to, const STRING *from) {
    if (!from) {
        to->Length = 0;
        return;
    }
    const USHORT bytes = min(from->Length, to->MaximumLength);
    memmove(to->Buffer, from->Buffer, bytes);
    to->Length = bytes;
}

NTSTATUS NTAPI RtlAnsiStringToUnicodeString(PUNICODE_STRING to, PCANSI_STRING from,
                                            BOOLEAN allocate) {
    MiPagedCode(__func__);
    const ULONG bytes = (from->Length + 1u) * sizeof(WCHAR);
    if (bytes > 0xFFFF)
        return STATUS_INVALID_PARAMETER_2;
    if (allocate) {
        to->Buffer = static_cast<PWSTR>(ExAllocatePoolWithTag(PagedPool, bytes, RTLP_STRING_TAG));
        if (!to->Buffer)
            return STATUS_NO_MEMORY;
        to->MaximumLength = static_cast<USHORT>(bytes);
    } else if (bytes > to->MaximumLength) {
        return STATUS_BUFFER_OVERFLOW;
    }
    for (USHORT i = 0; i < from->Length; ++i)
        to->Buffer[i] = static_cast<UCHAR>(from->Buffer[i]);
    to->Buffer[from->Length] = 0;
    to->Length = static_cast<USHORT>(bytes - sizeof(WCHAR));
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI RtlUnicodeStringToAnsiString(PANSI_STRING to, PCUNICODE_STRING from,
                                            BOOLEAN allocate) {
    MiPagedCode(__func__);
    const USHORT count = from->Length / sizeof(WCHAR);
    const ULONG bytes = count + 1u;
    if (allocate) {
        to->Buffer = static_cast<PCHAR>(ExAllocatePoolWithTag(PagedPool, bytes, RTLP_STRING_TAG));
        if (!to->Buffer)
            return STATUS_NO_MEMORY;
        to->MaximumLength = static_cast<USHORT>(bytes);
    }
    // A buffer that is too small gets what fits, with the overflow told.
    NTSTATUS status = STATUS_SUCCESS;
    USHORT length = count;
    if (bytes > to->MaximumLength) {
        if (!to->MaximumLength)
            return STATUS_BUFFER_OVERFLOW;
        length = static_cast<USHORT>(to->MaximumLength - 1);
        status = STATUS_BUFFER_OVERFLOW;
    }
    for (USHORT i = 0; i < length; ++i) {
        const WCHAR c = from->Buffer[i];
        to->Buffer[i] = static_cast<CHAR>(c < 0x100 ? c : '?');
    }
    to->Buffer[length] = 0;
    to->Length = length;
    return status;
}

VOID NTAPI RtlFreeAnsiString(PANSI_STRING string) {
    if (string->Buffer)
        ExFreePoolWithTag(string->Buffer, 0);
    memset(string, 0, sizeof(*string));
}

ULONG NTAPI RtlxAnsiStringToUnicodeSize(PCANSI_STRING string) {
    return (string->Length + 1u) * sizeof(WCHAR);
}

ULONG NTAPI RtlxUnicodeStringToAnsiSize(PCUNICODE_STRING string) {
    return string->Length / sizeof(WCHAR) + 1u;
}
