// SPDX-License-Identifier: MIT
//
// The registry's start: the standard keys, then the command line's values; and
// the helpers for pnp and io (cm.h).
#include "cm/cmp.h"
#include "rtl/rtlp.h"

namespace {

const WCHAR kPrefix[] = L"\\Registry\\";
const size_t kPrefixChars = 10;

NTSTATUS FindPath(const WCHAR *path, bool create, CMP_KEY **key) {
    UNICODE_STRING name;
    NTSTATUS status = RtlInitUnicodeStringEx(&name, path);
    if (!NT_SUCCESS(status))
        return status;
    if (_wcsnicmp(path, kPrefix, kPrefixChars) != 0)
        return STATUS_OBJECT_PATH_SYNTAX_BAD;
    name.Buffer += kPrefixChars;
    name.Length = static_cast<USHORT>(name.Length - kPrefixChars * sizeof(WCHAR));
    bool created;
    return CmpWalk(CmpRoot, &name, create, create, key, &created);
}

// Takes the next service.Value=text off the command line; text may be "quoted".
struct Argument {
    WCHAR service[64];
    WCHAR name[64];
    WCHAR text[256];
};

template <size_t N> bool Append(WCHAR (&to)[N], size_t *length, char c) {
    if (*length + 1 >= N)
        return false;
    to[(*length)++] = static_cast<unsigned char>(c);
    to[*length] = 0;
    return true;
}

// False at the end. A word that isn't of the form is skipped, and reported when asked.
bool NextArgument(const char **line, bool report, Argument *argument) {
    for (;;) {
        const char *at = *line;
        while (*at == ' ' || *at == '\t')
            ++at;
        if (!*at)
            return false;
        const char *start = at;
        memset(argument, 0, sizeof(*argument));
        size_t service = 0, name = 0, text = 0;
        bool fits = true;
        while (*at && *at != ' ' && *at != '.' && *at != '=')
            fits &= Append(argument->service, &service, *at++);
        const bool dotted = *at == '.';
        if (dotted)
            ++at;
        while (*at && *at != ' ' && *at != '=')
            fits &= Append(argument->name, &name, *at++);
        const bool assigned = *at == '=';
        if (assigned)
            ++at;
        const bool quoted = *at == '"';
        if (quoted)
            ++at;
        while (*at && (quoted ? *at != '"' : *at != ' '))
            fits &= Append(argument->text, &text, *at++);
        if (quoted && *at)
            ++at;
        *line = at;
        if (dotted && assigned && service && name && fits)
            return true;
        if (report && *start != '/') // a boot option
            KdPrint_("cm: command line: '%.*s' is not service.Value=text, ignored\n",
                     static_cast<int>(at - start), start);
    }
}

// "dword:0x10", "dword:16"; also a bare number when `bare` is allowed.
bool ParseDword(const WCHAR *text, bool bare, ULONG *value) {
    const bool marked = _wcsnicmp(text, L"dword:", 6) == 0;
    if (!marked && !bare)
        return false;
    if (marked)
        text += 6;
    const bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    if (hex)
        text += 2;
    if (!*text)
        return false;
    uint64_t number = 0;
    for (; *text; ++text) {
        unsigned digit;
        if (*text >= '0' && *text <= '9')
            digit = *text - '0';
        else if (hex && towlower(*text) >= 'a' && towlower(*text) <= 'f')
            digit = towlower(*text) - 'a' + 10u;
        else
            return false;
        number = number * (hex ? 16 : 10) + digit;
        if (number > 0xFFFFFFFF)
            return false;
    }
    *value = static_cast<ULONG>(number);
    return true;
}

bool IsInterruptSetting(const WCHAR *name) {
    return _wcsicmp(name, L"MSISupported") == 0 || _wcsicmp(name, L"MessageNumberLimit") == 0;
}

void Must(NTSTATUS status) {
    if (!NT_SUCCESS(status))
        KdViolation(0x67, "the registry can't be made (CONFIG_INITIALIZATION_FAILED)",
                    static_cast<uint64_t>(status), 0, 0, 0);
}

void StoreArgument(const Argument *argument) {
    WCHAR path[192];
    _snwprintf(path, 191, CM_SERVICES L"%s\\Parameters", argument->service);
    path[191] = 0;
    ULONG number;
    if (_wcsnicmp(argument->text, L"dword:", 6) == 0 && !ParseDword(argument->text, false, &number))
        KdPrint_("cm: command line: '%ws' is no dword, stored as text\n", argument->text);
    if (ParseDword(argument->text, false, &number))
        Must(CmpSetDword(path, argument->name, number));
    else
        Must(CmpSetString(path, argument->name, argument->text));
}

void CreateRoot() {
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, L"REGISTRY");
    Must(CmpAddChild(nullptr, &name, &CmpRoot));
    void *body;
    Must(ObpCreateObject(&ObpKeyType, 0, &body));
    static_cast<CMP_KEY_OBJECT *>(body)->key = CmpRoot;
    ++CmpRoot->opens;
    RtlInitUnicodeString(&name, L"\\Registry");
    Must(ObpInsertName(body, &name));
    ObfDereferenceObject(body);
}

} // namespace

void CmInitSystem(NTC_LOADER_BLOCK *block) {
    CreateRoot();
    static const WCHAR *const keys[] = {
        L"\\Registry\\User",
        L"\\Registry\\Machine\\Hardware\\DeviceMap",
        L"\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion",
        L"\\Registry\\Machine\\System\\CurrentControlSet\\Control\\Class",
        L"\\Registry\\Machine\\System\\CurrentControlSet\\Control\\DeviceClasses",
        L"\\Registry\\Machine\\System\\CurrentControlSet\\Control\\Wdf",
        L"\\Registry\\Machine\\System\\CurrentControlSet\\Enum\\PCI",
        L"\\Registry\\Machine\\System\\CurrentControlSet\\Services",
    };
    for (const WCHAR *key : keys)
        Must(CmpCreatePath(key));
    const char *line = block->command_line;
    Argument argument;
    while (NextArgument(&line, true, &argument)) {
        if (!IsInterruptSetting(argument.name))
            StoreArgument(&argument);
    }
}

ULONG CmpCommandLineDword(const WCHAR *service, const WCHAR *name, ULONG otherwise) {
    const char *line = KeLoaderBlock->command_line;
    Argument argument;
    ULONG value = otherwise;
    while (NextArgument(&line, false, &argument)) {
        ULONG number;
        if (_wcsicmp(argument.service, service) == 0 && _wcsicmp(argument.name, name) == 0 &&
            ParseDword(argument.text, true, &number))
            value = number;
    }
    return value;
}

NTSTATUS CmpCreatePath(const WCHAR *path) {
    MiLockGuard guard(&CmpLock);
    CMP_KEY *key;
    return FindPath(path, true, &key);
}

NTSTATUS CmpSetValue(const WCHAR *path, const WCHAR *name, ULONG type, const void *data,
                     ULONG length) {
    UNICODE_STRING value;
    RtlInitUnicodeString(&value, name);
    MiLockGuard guard(&CmpLock);
    CMP_KEY *key;
    NTSTATUS status = FindPath(path, true, &key);
    return NT_SUCCESS(status) ? CmpStoreValue(key, &value, type, data, length) : status;
}

NTSTATUS CmpSetString(const WCHAR *path, const WCHAR *name, const WCHAR *text) {
    return CmpSetValue(path, name, REG_SZ, text,
                       static_cast<ULONG>((wcslen(text) + 1) * sizeof(WCHAR)));
}

NTSTATUS CmpSetDword(const WCHAR *path, const WCHAR *name, ULONG value) {
    return CmpSetValue(path, name, REG_DWORD, &value, sizeof(value));
}

NTSTATUS CmpQueryValue(const WCHAR *path, const WCHAR *name, ULONG *type, void *data,
                       ULONG *length) {
    UNICODE_STRING value_name;
    RtlInitUnicodeString(&value_name, name);
    MiLockGuard guard(&CmpLock);
    CMP_KEY *key;
    NTSTATUS status = FindPath(path, false, &key);
    if (!NT_SUCCESS(status))
        return status;
    CMP_VALUE *value = CmpFindValue(key, &value_name);
    if (!value)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    const ULONG room = *length;
    *length = value->length;
    if (type)
        *type = value->type;
    if (room < value->length)
        return STATUS_BUFFER_TOO_SMALL;
    if (value->length)
        memcpy(data, value->data, value->length);
    return STATUS_SUCCESS;
}

ULONG CmpQueryDword(const WCHAR *path, const WCHAR *name, ULONG otherwise) {
    ULONG type, value, length = sizeof(value);
    NTSTATUS status = CmpQueryValue(path, name, &type, &value, &length);
    return NT_SUCCESS(status) && type == REG_DWORD && length == sizeof(value) ? value : otherwise;
}

NTSTATUS CmpOpenPath(const WCHAR *path, BOOLEAN create, ACCESS_MASK access, HANDLE *key) {
    if (create) {
        NTSTATUS status = CmpCreatePath(path);
        if (!NT_SUCCESS(status))
            return status;
    }
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, path);
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE,
                               nullptr, nullptr);
    return ZwOpenKey(key, access, &attributes);
}
