// SPDX-License-Identifier: MIT
//
// What compilers call without being told to. Only for the freestanding images:
// hosts have their own. Compiled with -fno-builtin, or memcpy would be made of
// calls of memcpy.
#include <stddef.h>
#include <stdint.h>

extern "C" {

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);

typedef uint64_t __attribute__((may_alias, aligned(1))) Word;

void *memcpy(void *to, const void *from, size_t size) {
    uint8_t *d = static_cast<uint8_t *>(to);
    const uint8_t *s = static_cast<const uint8_t *>(from);
    for (; size >= 8; size -= 8, d += 8, s += 8)
        *reinterpret_cast<Word *>(d) = *reinterpret_cast<const Word *>(s);
    for (; size; size--)
        *d++ = *s++;
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    uint8_t *d = static_cast<uint8_t *>(to);
    const uint8_t *s = static_cast<const uint8_t *>(from);
    if (d <= s || d >= s + size)
        return memcpy(to, from, size);
    while (size--)
        d[size] = s[size];
    return to;
}

void *memset(void *to, int value, size_t size) {
    uint8_t *d = static_cast<uint8_t *>(to);
    const uint64_t word = 0x0101010101010101ull * static_cast<uint8_t>(value);
    for (; size >= 8; size -= 8, d += 8)
        *reinterpret_cast<Word *>(d) = word;
    for (; size; size--)
        *d++ = static_cast<uint8_t>(value);
    return to;
}

int memcmp(const void *a, const void *b, size_t size) {
    const uint8_t *x = static_cast<const uint8_t *>(a);
    const uint8_t *y = static_cast<const uint8_t *>(b);
    for (size_t i = 0; i < size; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

#if defined(__i386__)
// 64-bit division, which compilers for 32-bit x86 call by these names.
static uint64_t Divide(uint64_t dividend, uint64_t divisor, uint64_t *remainder) {
    uint64_t quotient = 0, rest = 0;
    for (int bit = 63; bit >= 0; bit--) {
        bool carry = rest >> 63;
        rest = rest << 1 | (dividend >> bit & 1);
        if (carry || rest >= divisor) {
            rest -= divisor;
            quotient |= 1ull << bit;
        }
    }
    *remainder = rest;
    return quotient;
}

uint64_t __udivdi3(uint64_t dividend, uint64_t divisor);
uint64_t __umoddi3(uint64_t dividend, uint64_t divisor);

uint64_t __udivdi3(uint64_t dividend, uint64_t divisor) {
    uint64_t remainder;
    return Divide(dividend, divisor, &remainder);
}

uint64_t __umoddi3(uint64_t dividend, uint64_t divisor) {
    uint64_t remainder;
    Divide(dividend, divisor, &remainder);
    return remainder;
}
#endif

} // extern "C"
