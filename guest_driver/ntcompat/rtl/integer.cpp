// SPDX-License-Identifier: MIT
//
// Integers and GUIDs from and to text.
#include "ntc.h"
#include "rtlp.h"

namespace {

bool BaseOf(ULONG base, unsigned *bits) {
    *bits = base;
    if (base == 0)
        *bits = 10;
    return base == 0 || base == 2 || base == 8 || base == 10 || base == 16;
}

NTSTATUS ToUnicode(uint64_t value, ULONG base, PUNICODE_STRING string) {
    unsigned radix;
    if (!BaseOf(base, &radix))
        return STATUS_INVALID_PARAMETER;
    WCHAR text[65];
    int start = 64;
    do {
        text[--start] = L"0123456789ABCDEF"[value % radix];
        value /= radix;
    } while (value);
    text[64] = 0;
    const USHORT bytes = static_cast<USHORT>((64 - start) * sizeof(WCHAR));
    if (bytes > string->MaximumLength)
        return STATUS_BUFFER_OVERFLOW;
    memcpy(string->Buffer, text + start, bytes);
    string->Length = bytes;
    if (bytes + sizeof(WCHAR) <= string->MaximumLength)
        string->Buffer[bytes / sizeof(WCHAR)] = 0;
    return STATUS_SUCCESS;
}

int DigitOf(WCHAR c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool HexField(const WCHAR **text, unsigned digits, uint64_t *value) {
    *value = 0;
    for (; digits; --digits) {
        const int digit = DigitOf(*(*text)++);
        if (digit < 0)
            return false;
        *value = *value * 16 + static_cast<unsigned>(digit);
    }
    return true;
}

} // namespace

NTSTATUS NTAPI RtlIntegerToUnicodeString(ULONG value, ULONG base, PUNICODE_STRING string) {
    return ToUnicode(value, base, string);
}

NTSTATUS NTAPI RtlInt64ToUnicodeString(ULONGLONG value, ULONG base, PUNICODE_STRING string) {
    return ToUnicode(value, base, string);
}

// Leading white space, a sign, and with base 0 the prefixes 0x, 0o and 0b; stops
// at the first character that is no digit of the base. A string without digits is 0.
NTSTATUS NTAPI RtlUnicodeStringToInteger(PCUNICODE_STRING string, ULONG base, PULONG value) {
    unsigned radix;
    if (!BaseOf(base, &radix))
        return STATUS_INVALID_PARAMETER;
    const WCHAR *text = string->Buffer;
    const WCHAR *end = text + string->Length / sizeof(WCHAR);
    while (text < end && *text <= ' ')
        ++text;
    const bool negative = text < end && *text == '-';
    if (text < end && (*text == '-' || *text == '+'))
        ++text;
    if (base == 0 && end - text >= 2 && text[0] == '0') {
        const unsigned prefixed = text[1] == 'x' ? 16 : text[1] == 'o' ? 8 : text[1] == 'b' ? 2 : 0;
        if (prefixed) {
            radix = prefixed;
            text += 2;
        }
    }
    ULONG result = 0;
    for (; text < end; ++text) {
        const int digit = DigitOf(*text);
        if (digit < 0 || static_cast<unsigned>(digit) >= radix)
            break;
        result = result * radix + static_cast<unsigned>(digit);
    }
    *value = negative ? 0 - result : result;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI RtlStringFromGUID(REFGUID guid, PUNICODE_STRING string) {
    string->Length = 38 * sizeof(WCHAR);
    string->MaximumLength = 39 * sizeof(WCHAR);
    string->Buffer =
        static_cast<PWSTR>(ExAllocatePoolWithTag(PagedPool, string->MaximumLength, 'grtS'));
    if (!string->Buffer) {
        string->Length = string->MaximumLength = 0;
        return STATUS_NO_MEMORY;
    }
    _snwprintf(string->Buffer, 39, L"{%08X-%04X-%04X-%02X%02X-%02X%02X%02X%02X%02X%02X}",
               static_cast<unsigned>(guid.Data1), guid.Data2, guid.Data3, guid.Data4[0],
               guid.Data4[1], guid.Data4[2], guid.Data4[3], guid.Data4[4], guid.Data4[5],
               guid.Data4[6], guid.Data4[7]);
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI RtlGUIDFromString(PUNICODE_STRING string, GUID *guid) {
    if (string->Length < 38 * sizeof(WCHAR))
        return STATUS_INVALID_PARAMETER;
    const WCHAR *text = string->Buffer;
    uint64_t first, second, third, byte;
    if (*text++ != '{' || !HexField(&text, 8, &first) || *text++ != '-' ||
        !HexField(&text, 4, &second) || *text++ != '-' || !HexField(&text, 4, &third) ||
        *text++ != '-')
        return STATUS_INVALID_PARAMETER;
    guid->Data1 = static_cast<ULONG>(first);
    guid->Data2 = static_cast<USHORT>(second);
    guid->Data3 = static_cast<USHORT>(third);
    for (int i = 0; i < 8; ++i) {
        if ((i == 2 && *text++ != '-') || !HexField(&text, 2, &byte))
            return STATUS_INVALID_PARAMETER;
        guid->Data4[i] = static_cast<UCHAR>(byte);
    }
    return *text == '}' ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
}
