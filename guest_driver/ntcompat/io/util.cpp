// SPDX-License-Identifier: MIT
#include "io/iop.h"

void IopRequireIrql(KIRQL maximum, const char *function) {
    KIRQL irql = KeGetCurrentIrql();
    if (irql > maximum) {
        DbgPrint("io: %s called at IRQL %u, allowed up to %u\n", function, irql, maximum);
        KdViolation(IOP_VERIFIER, "an I/O function was called at too high an IRQL", 0, irql,
                    maximum, (uint64_t)function);
    }
}

// Microsoft's parameters of IRQL_UNEXPECTED_VALUE: current << 16 | expected << 8 | 2
// for a callout, and its address.
void IopRequireIrqlAfter(KIRQL expected, PVOID routine, const char *rule) {
    KIRQL irql = KeGetCurrentIrql();
    if (irql != expected)
        KdViolation(IRQL_UNEXPECTED_VALUE, rule, (uint64_t)irql << 16 | expected << 8 | 2,
                    (uint64_t)routine, 0, 0);
}

void IopRequireDevice(PDEVICE_OBJECT device, const char *function) {
    if (!device || device->Type != IO_TYPE_DEVICE) {
        DbgPrint("io: %s got no device object: %p\n", function, device);
        KdViolation(IOP_VERIFIER_IO, "not a device object", 4, (uint64_t)device, 0, 0);
    }
}

size_t IopLength(const WCHAR *text) {
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

void IopAppend(WCHAR *to, size_t room, const WCHAR *from) {
    size_t at = IopLength(to);
    size_t length = IopLength(from);
    if (at + length + 1 > room)
        KdViolation(IOP_VERIFIER, "a name is longer than the I/O manager's buffer", 0, at, length,
                    room);
    for (size_t i = 0; i <= length; i++)
        to[at + i] = from[i];
}

void IopCopy(WCHAR *to, size_t room, const WCHAR *from) {
    to[0] = 0;
    IopAppend(to, room, from);
}

void IopAppendHex(WCHAR *to, size_t room, ULONG value, int digits, bool upper) {
    WCHAR text[9];
    for (int i = 0; i < digits; i++) {
        ULONG nibble = (value >> (4 * (digits - 1 - i))) & 15;
        text[i] = (WCHAR)(nibble < 10 ? L'0' + nibble : (upper ? L'A' : L'a') + nibble - 10);
    }
    text[digits] = 0;
    IopAppend(to, room, text);
}

static WCHAR Fold(WCHAR c) {
    return c >= L'a' && c <= L'z' ? (WCHAR)(c - 32) : c;
}

bool IopSameText(const WCHAR *a, const WCHAR *b) {
    while (*a && Fold(*a) == Fold(*b)) {
        a++;
        b++;
    }
    return Fold(*a) == Fold(*b);
}

void IopFormatGuid(const GUID *guid, WCHAR text[40]) {
    IopCopy(text, 40, L"{");
    IopAppendHex(text, 40, guid->Data1, 8, false);
    IopAppend(text, 40, L"-");
    IopAppendHex(text, 40, guid->Data2, 4, false);
    IopAppend(text, 40, L"-");
    IopAppendHex(text, 40, guid->Data3, 4, false);
    IopAppend(text, 40, L"-");
    for (int i = 0; i < 8; i++) {
        if (i == 2)
            IopAppend(text, 40, L"-");
        IopAppendHex(text, 40, guid->Data4[i], 2, false);
    }
    IopAppend(text, 40, L"}");
}
