// SPDX-License-Identifier: MIT
//
// The narrow half of the C runtime that ntoskrnl.exe exports to drivers.
#include "ntc.h"
#include "rtlp.h"

NTC_EXPORT int tolower(int c) {
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}
NTC_EXPORT int toupper(int c) {
    return c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c;
}
NTC_EXPORT int isdigit(int c) {
    return c >= '0' && c <= '9';
}
NTC_EXPORT int islower(int c) {
    return c >= 'a' && c <= 'z';
}
NTC_EXPORT int isupper(int c) {
    return c >= 'A' && c <= 'Z';
}
NTC_EXPORT int isspace(int c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}
NTC_EXPORT int isprint(int c) {
    return c >= ' ' && c < 0x7F;
}
NTC_EXPORT int isxdigit(int c) {
    return isdigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

NTC_EXPORT size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length])
        ++length;
    return length;
}

extern "C" size_t strnlen(const char *text, size_t limit) {
    size_t length = 0;
    while (length < limit && text[length])
        ++length;
    return length;
}

NTC_EXPORT int strncmp(const char *left, const char *right, size_t count) {
    for (; count; --count, ++left, ++right) {
        const int a = static_cast<unsigned char>(*left);
        const int b = static_cast<unsigned char>(*right);
        if (a != b)
            return a < b ? -1 : 1;
        if (!a)
            break;
    }
    return 0;
}

NTC_EXPORT int strcmp(const char *left, const char *right) {
    return strncmp(left, right, SIZE_MAX);
}

NTC_EXPORT int _strnicmp(const char *left, const char *right, size_t count) {
    for (; count; --count, ++left, ++right) {
        const int a = tolower(static_cast<unsigned char>(*left));
        const int b = tolower(static_cast<unsigned char>(*right));
        if (a != b)
            return a - b;
        if (!a)
            break;
    }
    return 0;
}

NTC_EXPORT int _stricmp(const char *left, const char *right) {
    return _strnicmp(left, right, SIZE_MAX);
}

NTC_EXPORT char *strcpy(char *to, const char *from) {
    char *out = to;
    while ((*out++ = *from++) != 0)
        continue;
    return to;
}

NTC_EXPORT char *strncpy(char *to, const char *from, size_t count) {
    size_t i = 0;
    for (; i < count && from[i]; ++i)
        to[i] = from[i];
    for (; i < count; ++i)
        to[i] = 0;
    return to;
}

NTC_EXPORT char *strcat(char *to, const char *from) {
    strcpy(to + strlen(to), from);
    return to;
}

NTC_EXPORT char *strncat(char *to, const char *from, size_t count) {
    char *out = to + strlen(to);
    const size_t length = strnlen(from, count);
    memcpy(out, from, length);
    out[length] = 0;
    return to;
}

NTC_EXPORT char *strchr(const char *text, int c) {
    for (;; ++text) {
        if (*text == static_cast<char>(c))
            return const_cast<char *>(text);
        if (!*text)
            return nullptr;
    }
}

NTC_EXPORT char *strrchr(const char *text, int c) {
    const char *found = nullptr;
    for (;; ++text) {
        if (*text == static_cast<char>(c))
            found = text;
        if (!*text)
            return const_cast<char *>(found);
    }
}

NTC_EXPORT char *strstr(const char *text, const char *part) {
    const size_t length = strlen(part);
    for (;; ++text) {
        if (strncmp(text, part, length) == 0)
            return const_cast<char *>(text);
        if (!*text)
            return nullptr;
    }
}

NTC_EXPORT void *memchr(const void *memory, int c, size_t count) {
    auto *bytes = static_cast<const unsigned char *>(memory);
    for (; count; --count, ++bytes) {
        if (*bytes == static_cast<unsigned char>(c))
            return const_cast<unsigned char *>(bytes);
    }
    return nullptr;
}

NTC_EXPORT int atoi(const char *text) {
    while (isspace(static_cast<unsigned char>(*text)))
        ++text;
    const bool negative = *text == '-';
    if (*text == '-' || *text == '+')
        ++text;
    unsigned value = 0;
    for (; isdigit(static_cast<unsigned char>(*text)); ++text)
        value = value * 10 + static_cast<unsigned>(*text - '0');
    return static_cast<int>(negative ? 0 - value : value);
}

NTC_EXPORT int _snprintf(char *buffer, size_t count, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = _vsnprintf(buffer, count, format, arguments);
    va_end(arguments);
    return length;
}

NTC_EXPORT int vsprintf(char *buffer, const char *format, va_list arguments) {
    return static_cast<int>(RtlpFormat(buffer, SIZE_MAX, format, arguments));
}

NTC_EXPORT int sprintf(char *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = vsprintf(buffer, format, arguments);
    va_end(arguments);
    return length;
}

// The headers used these before they could be declared as exports.
NTC_EXPORT_AS(strnlen, strnlen);
