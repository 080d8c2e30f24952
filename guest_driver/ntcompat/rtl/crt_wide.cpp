// SPDX-License-Identifier: MIT
//
// The wide half of the C runtime that ntoskrnl.exe exports to drivers.
#include "ntc.h"
#include "rtlp.h"

NTC_EXPORT wint_t towlower(wint_t c) {
    return RtlDowncaseUnicodeChar(c);
}
NTC_EXPORT wint_t towupper(wint_t c) {
    return RtlUpcaseUnicodeChar(c);
}

NTC_EXPORT size_t wcslen(const wchar_t *text) {
    size_t length = 0;
    while (text[length])
        ++length;
    return length;
}

extern "C" size_t wcsnlen(const wchar_t *text, size_t limit) {
    size_t length = 0;
    while (length < limit && text[length])
        ++length;
    return length;
}

NTC_EXPORT int wcsncmp(const wchar_t *left, const wchar_t *right, size_t count) {
    for (; count; --count, ++left, ++right) {
        if (*left != *right)
            return *left < *right ? -1 : 1;
        if (!*left)
            break;
    }
    return 0;
}

NTC_EXPORT int wcscmp(const wchar_t *left, const wchar_t *right) {
    return wcsncmp(left, right, SIZE_MAX);
}

NTC_EXPORT int _wcsnicmp(const wchar_t *left, const wchar_t *right, size_t count) {
    for (; count; --count, ++left, ++right) {
        const int a = towlower(*left);
        const int b = towlower(*right);
        if (a != b)
            return a - b;
        if (!a)
            break;
    }
    return 0;
}

NTC_EXPORT int _wcsicmp(const wchar_t *left, const wchar_t *right) {
    return _wcsnicmp(left, right, SIZE_MAX);
}

NTC_EXPORT wchar_t *wcscpy(wchar_t *to, const wchar_t *from) {
    wchar_t *out = to;
    while ((*out++ = *from++) != 0)
        continue;
    return to;
}

NTC_EXPORT wchar_t *wcsncpy(wchar_t *to, const wchar_t *from, size_t count) {
    size_t i = 0;
    for (; i < count && from[i]; ++i)
        to[i] = from[i];
    for (; i < count; ++i)
        to[i] = 0;
    return to;
}

NTC_EXPORT wchar_t *wcscat(wchar_t *to, const wchar_t *from) {
    wcscpy(to + wcslen(to), from);
    return to;
}

NTC_EXPORT wchar_t *wcsncat(wchar_t *to, const wchar_t *from, size_t count) {
    wchar_t *out = to + wcslen(to);
    const size_t length = wcsnlen(from, count);
    memcpy(out, from, length * sizeof(wchar_t));
    out[length] = 0;
    return to;
}

NTC_EXPORT wchar_t *wcschr(const wchar_t *text, wchar_t c) {
    for (;; ++text) {
        if (*text == c)
            return const_cast<wchar_t *>(text);
        if (!*text)
            return nullptr;
    }
}

NTC_EXPORT wchar_t *wcsrchr(const wchar_t *text, wchar_t c) {
    const wchar_t *found = nullptr;
    for (;; ++text) {
        if (*text == c)
            found = text;
        if (!*text)
            return const_cast<wchar_t *>(found);
    }
}

NTC_EXPORT wchar_t *wcsstr(const wchar_t *text, const wchar_t *part) {
    const size_t length = wcslen(part);
    for (;; ++text) {
        if (wcsncmp(text, part, length) == 0)
            return const_cast<wchar_t *>(text);
        if (!*text)
            return nullptr;
    }
}

NTC_EXPORT int _snwprintf(wchar_t *buffer, size_t count, const wchar_t *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = _vsnwprintf(buffer, count, format, arguments);
    va_end(arguments);
    return length;
}

NTC_EXPORT int _vswprintf(wchar_t *buffer, const wchar_t *format, va_list arguments) {
    return static_cast<int>(RtlpFormatWide(buffer, SIZE_MAX, format, arguments));
}

// swprintf of ntoskrnl.exe takes no count. The headers' C99 form differs, hence
// another name here.
extern "C" int NtcSwprintf(wchar_t *buffer, const wchar_t *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = _vswprintf(buffer, format, arguments);
    va_end(arguments);
    return length;
}
NTC_EXPORT_AS(swprintf, NtcSwprintf);
NTC_EXPORT_AS(_swprintf, NtcSwprintf);

// The headers used these before they could be declared as exports.
NTC_EXPORT_AS(wcsnlen, wcsnlen);
