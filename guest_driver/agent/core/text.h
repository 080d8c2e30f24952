// SPDX-License-Identifier: MIT
//
// Text of bounded length, put together piece by piece. What doesn't fit is
// dropped and remembered in `overflow`.
#ifndef VQ7_AGENT_TEXT_H_
#define VQ7_AGENT_TEXT_H_

#include <stddef.h>
#include <stdint.h>

namespace agent {

size_t Length(const char *text);
bool Equal(const char *a, size_t a_size, const char *b, size_t b_size);
bool Equal(const char *a, const char *b);

// Parses all `size` characters as a decimal or, after 0x, hexadecimal number.
// False: empty, another character, or above 2^64 - 1.
bool ParseNumber(const char *text, size_t size, uint64_t *value);
// Two hexadecimal digits a byte, in memory order; `size` is even. False: another
// character, or more than `capacity` bytes.
bool ParseHex(const char *text, size_t size, uint8_t *bytes, size_t capacity);

struct Writer {
    char *data;
    size_t capacity;
    size_t size;
    bool overflow;

    Writer &Char(char c);
    Writer &Str(const char *text);
    Writer &Str(const char *text, size_t length);
    Writer &Dec(uint64_t value);
    // Lower case, with leading zeros, `digits` (1 to 16) long.
    Writer &Hex(uint64_t value, unsigned digits);
    // Two digits for each byte, in memory order.
    Writer &Bytes(const void *bytes, size_t count);
    // ` name=value`, without the space at the start of the text.
    Writer &Key(const char *name);
    Writer &Key(const char *name, uint64_t value);
    Writer &Key(const char *name, const char *value);
    Writer &KeyHex(const char *name, uint64_t value, unsigned digits);
};

// A writer with its own room. No constructors that need to run at load: make it
// a local, or call Clear().
template <size_t N> struct Text : Writer {
    char room[N];

    Text() {
        Clear();
    }
    Text(const Text &) = delete;
    Text &operator=(const Text &) = delete;
    void Clear() {
        data = room;
        capacity = N;
        size = 0;
        overflow = false;
    }
    // Terminated; the last character goes when there is no room left.
    const char *CStr() {
        if (size == N) {
            size--;
            overflow = true;
        }
        room[size] = 0;
        return room;
    }
};

} // namespace agent

#endif // VQ7_AGENT_TEXT_H_
