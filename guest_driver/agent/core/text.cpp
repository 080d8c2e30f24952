// SPDX-License-Identifier: MIT
#include "text.h"

namespace agent {

size_t Length(const char *text) {
    size_t n = 0;
    while (text[n])
        n++;
    return n;
}

bool Equal(const char *a, size_t a_size, const char *b, size_t b_size) {
    if (a_size != b_size)
        return false;
    for (size_t i = 0; i < a_size; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

bool Equal(const char *a, const char *b) {
    return Equal(a, Length(a), b, Length(b));
}

static int Digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

bool ParseNumber(const char *text, size_t size, uint64_t *value) {
    int base = 10;
    size_t i = 0;
    if (size > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        i = 2;
    }
    if (i == size)
        return false;
    const uint64_t limit = base == 10 ? UINT64_MAX / 10 : UINT64_MAX / 16;
    uint64_t result = 0;
    for (; i < size; i++) {
        int digit = Digit(text[i]);
        if (digit >= base || result > limit)
            return false;
        result *= static_cast<unsigned>(base);
        if (result > UINT64_MAX - static_cast<unsigned>(digit))
            return false;
        result += static_cast<unsigned>(digit);
    }
    *value = result;
    return true;
}

bool ParseHex(const char *text, size_t size, uint8_t *bytes, size_t capacity) {
    if (size / 2 > capacity)
        return false;
    for (size_t i = 0; i < size; i += 2) {
        int high = Digit(text[i]), low = Digit(text[i + 1]);
        if (high > 15 || low > 15)
            return false;
        bytes[i / 2] = static_cast<uint8_t>(high << 4 | low);
    }
    return true;
}

Writer &Writer::Char(char c) {
    if (size < capacity)
        data[size++] = c;
    else
        overflow = true;
    return *this;
}

Writer &Writer::Str(const char *text) {
    return Str(text, Length(text));
}

Writer &Writer::Str(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        Char(text[i]);
    return *this;
}

Writer &Writer::Dec(uint64_t value) {
    char digits[20];
    size_t n = 0;
    do {
        digits[n++] = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value);
    while (n)
        Char(digits[--n]);
    return *this;
}

Writer &Writer::Hex(uint64_t value, unsigned digits) {
    while (digits)
        Char("0123456789abcdef"[(value >> (4 * --digits)) & 15]);
    return *this;
}

Writer &Writer::Bytes(const void *bytes, size_t count) {
    const uint8_t *p = static_cast<const uint8_t *>(bytes);
    for (size_t i = 0; i < count; i++)
        Hex(p[i], 2);
    return *this;
}

Writer &Writer::Key(const char *name) {
    if (size)
        Char(' ');
    return Str(name).Char('=');
}

Writer &Writer::Key(const char *name, uint64_t value) {
    return Key(name).Dec(value);
}

Writer &Writer::Key(const char *name, const char *value) {
    return Key(name).Str(value);
}

Writer &Writer::KeyHex(const char *name, uint64_t value, unsigned digits) {
    return Key(name).Str("0x").Hex(value, digits);
}

} // namespace agent
