// SPDX-License-Identifier: MIT
//
// Which service drives which device. The table comes from the INF files of the
// boot archive; without any, the test driver takes every virtio device.
#include "pnp/pnp.h"

struct MATCH {
    MATCH *next;
    WCHAR service[32];
    char id[200]; // upper case; MAX_DEVICE_ID_LEN
};

struct INF_DWORD {
    INF_DWORD *next;
    WCHAR service[32];
    WCHAR name[40];
    ULONG value;
};

// In the order of the files: the first that fits is taken.
static MATCH *Matches;
static ULONG MatchCount;
static INF_DWORD *Dwords;

// A zeroed entry at the end of the list.
template <class T> static T *Append(T **list) {
    T *entry = (T *)ExAllocatePoolWithTag(PagedPool, sizeof(T), IOP_TAG_PNP);
    if (!entry) {
        DbgPrint("pnp: no memory for what an INF says\n");
        return nullptr;
    }
    RtlZeroMemory(entry, sizeof(T));
    while (*list)
        list = &(*list)->next;
    *list = entry;
    return entry;
}

static char Upper(char c) {
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static void AddMatch(const char *id, size_t length, const WCHAR *service) {
    if (length >= sizeof(MATCH::id)) {
        DbgPrint("pnp: a hardware ID of %u characters is too long\n", (ULONG)length);
        return;
    }
    MATCH *match = Append(&Matches);
    if (!match)
        return;
    MatchCount++;
    for (size_t i = 0; i < length; i++)
        match->id[i] = Upper(id[i]);
    IopCopy(match->service, 32, service);
}

// ---- INF, as far as it says who drives what ----------------------------------------------

// A line of the file without comment and blanks at both ends.
struct TEXT {
    const char *at;
    size_t length;
};

static TEXT Trim(TEXT t) {
    while (t.length && (*t.at == ' ' || *t.at == '\t' || *t.at == '"')) {
        t.at++;
        t.length--;
    }
    while (t.length && (t.at[t.length - 1] == ' ' || t.at[t.length - 1] == '\t' ||
                        t.at[t.length - 1] == '\r' || t.at[t.length - 1] == '"'))
        t.length--;
    return t;
}

static TEXT NextLine(TEXT *rest) {
    TEXT line = {rest->at, 0};
    while (line.length < rest->length && line.at[line.length] != '\n')
        line.length++;
    size_t used = line.length < rest->length ? line.length + 1 : line.length;
    rest->at += used;
    rest->length -= used;
    for (size_t i = 0; i < line.length; i++)
        if (line.at[i] == ';')
            line.length = i;
    return Trim(line);
}

static bool StartsWith(TEXT t, const char *prefix) {
    size_t i = 0;
    for (; prefix[i]; i++)
        if (i >= t.length || Upper(t.at[i]) != Upper(prefix[i]))
            return false;
    return true;
}

static TEXT After(TEXT t, char separator) {
    for (size_t i = 0; i < t.length; i++)
        if (t.at[i] == separator)
            return Trim({t.at + i + 1, t.length - i - 1});
    return {t.at + t.length, 0};
}

static TEXT Before(TEXT t, char separator) {
    for (size_t i = 0; i < t.length; i++)
        if (t.at[i] == separator)
            return Trim({t.at, i});
    return t;
}

static void Widen(TEXT t, WCHAR *to, size_t room) {
    size_t i = 0;
    for (; i < t.length && i + 1 < room; i++)
        to[i] = (WCHAR)(UCHAR)t.at[i];
    to[i] = 0;
}

// AddService = name, flags, section
static bool FindService(TEXT file, WCHAR service[32]) {
    while (file.length) {
        TEXT line = NextLine(&file);
        if (!StartsWith(line, "AddService"))
            continue;
        Widen(Before(After(line, '='), ','), service, 32);
        return service[0] != 0;
    }
    return false;
}

static ULONG ParseNumber(TEXT t) {
    ULONG value = 0;
    bool hex = StartsWith(t, "0x");
    for (size_t i = hex ? 2 : 0; i < t.length; i++) {
        char c = Upper(t.at[i]);
        ULONG digit = c >= '0' && c <= '9' ? (ULONG)(c - '0') : (ULONG)(c - 'A' + 10);
        if (digit >= (hex ? 16u : 10u))
            break;
        value = value * (hex ? 16 : 10) + digit;
    }
    return value;
}

// HKR, "Interrupt Management\MessageSignaledInterruptProperties", name, type, value
static void ParseAddReg(TEXT line, const WCHAR *service) {
    TEXT key = After(line, ',');
    if (!StartsWith(key, "Interrupt Management"))
        return;
    TEXT name = After(key, ',');
    TEXT value = After(After(name, ','), ',');
    if (!value.length)
        return; // a key without a value
    INF_DWORD *entry = Append(&Dwords);
    if (!entry)
        return;
    IopCopy(entry->service, 32, service);
    Widen(Before(name, ','), entry->name, 40);
    entry->value = ParseNumber(value);
}

static void ParseInf(const char *name, TEXT file) {
    WCHAR service[32];
    if (!FindService(file, service)) {
        DbgPrint("pnp: %s adds no service\n", name);
        return;
    }
    ULONG before = MatchCount;
    while (file.length) {
        TEXT line = NextLine(&file);
        if (StartsWith(line, "HKR"))
            ParseAddReg(line, service);
        // %description% = section, id [, compatible id ...]
        TEXT ids = After(After(line, '='), ',');
        while (StartsWith(ids, "PCI\\VEN_")) {
            TEXT id = Before(ids, ',');
            AddMatch(id.at, id.length, service);
            ids = After(ids, ',');
        }
    }
    DbgPrint("pnp: %s: %u hardware IDs for service %ws\n", name, MatchCount - before, service);
}

static bool IsInf(const char *name) {
    size_t length = 0;
    while (name[length])
        length++;
    return length > 4 && name[length - 4] == '.' && Upper(name[length - 3]) == 'I' &&
           Upper(name[length - 2]) == 'N' && Upper(name[length - 1]) == 'F';
}

// All of virtio's PCI device IDs (Virtio 1.2, 4.1.2): 1000 to 107F.
static void AddDefaultRange(void) {
    static const char digits[] = "0123456789ABCDEF";
    char id[] = "PCI\\VEN_1AF4&DEV_1000";
    for (int i = 0; i < 0x80; i++) {
        id[sizeof(id) - 3] = digits[i >> 4];
        id[sizeof(id) - 2] = digits[i & 15];
        AddMatch(id, sizeof(id) - 1, L"vq7test");
    }
}

void PnpInitMatching(void) {
    const char *name;
    for (size_t i = 0; (name = LdrFileName(i)) != nullptr; i++) {
        const void *data;
        size_t size;
        if (IsInf(name) && LdrFindFile(name, &data, &size))
            ParseInf(name, {(const char *)data, size});
    }
    if (!MatchCount)
        AddDefaultRange();
}

static bool SameId(const WCHAR *id, const char *match) {
    size_t i = 0;
    for (; match[i] && id[i] < 128 && Upper((char)id[i]) == match[i]; i++) {
    }
    return !match[i] && !id[i];
}

bool PnpMatchService(const WCHAR *ids, WCHAR service[32]) {
    for (; *ids; ids += IopLength(ids) + 1)
        for (const MATCH *match = Matches; match; match = match->next)
            if (SameId(ids, match->id)) {
                IopCopy(service, 32, match->service);
                return true;
            }
    return false;
}

ULONG PnpInfDword(const WCHAR *service, const WCHAR *name, ULONG otherwise) {
    for (const INF_DWORD *entry = Dwords; entry; entry = entry->next)
        if (IopSameText(entry->service, service) && IopSameText(entry->name, name))
            return entry->value;
    return otherwise;
}
