// SPDX-License-Identifier: MIT
//
// memcpy and its family. The compiler emits calls to them, so they are written
// with plain word loops (long copies are most of what the guest does with data;
// under TCG unrolled 64-bit moves beat `rep movsb`).
#include "ntc.h"

#undef RtlCopyMemory
#undef RtlMoveMemory
#undef RtlFillMemory
#undef RtlZeroMemory
#undef RtlCompareMemory

namespace {

typedef uint64_t __attribute__((may_alias, aligned(1))) Word;

inline void CopyForward(uint8_t *to, const uint8_t *from, size_t count) {
    for (; count >= 32; count -= 32, to += 32, from += 32) {
        const Word a = reinterpret_cast<const Word *>(from)[0];
        const Word b = reinterpret_cast<const Word *>(from)[1];
        const Word c = reinterpret_cast<const Word *>(from)[2];
        const Word d = reinterpret_cast<const Word *>(from)[3];
        reinterpret_cast<Word *>(to)[0] = a;
        reinterpret_cast<Word *>(to)[1] = b;
        reinterpret_cast<Word *>(to)[2] = c;
        reinterpret_cast<Word *>(to)[3] = d;
    }
    for (; count >= 8; count -= 8, to += 8, from += 8)
        *reinterpret_cast<Word *>(to) = *reinterpret_cast<const Word *>(from);
    for (; count; --count)
        *to++ = *from++;
}

inline void CopyBackward(uint8_t *to, const uint8_t *from, size_t count) {
    to += count;
    from += count;
    for (; count >= 8; count -= 8) {
        to -= 8;
        from -= 8;
        *reinterpret_cast<Word *>(to) = *reinterpret_cast<const Word *>(from);
    }
    for (; count; --count)
        *--to = *--from;
}

} // namespace

extern "C" void *memcpy(void *to, const void *from, size_t count) {
    CopyForward(static_cast<uint8_t *>(to), static_cast<const uint8_t *>(from), count);
    return to;
}

extern "C" void *memmove(void *to, const void *from, size_t count) {
    auto *destination = static_cast<uint8_t *>(to);
    auto *source = static_cast<const uint8_t *>(from);
    if (destination - source >= 0 && static_cast<size_t>(destination - source) < count)
        CopyBackward(destination, source, count);
    else
        CopyForward(destination, source, count);
    return to;
}

extern "C" void *memset(void *to, int value, size_t count) {
    auto *bytes = static_cast<uint8_t *>(to);
    const Word word = 0x0101010101010101ull * static_cast<uint8_t>(value);
    for (; count >= 32; count -= 32, bytes += 32) {
        reinterpret_cast<Word *>(bytes)[0] = word;
        reinterpret_cast<Word *>(bytes)[1] = word;
        reinterpret_cast<Word *>(bytes)[2] = word;
        reinterpret_cast<Word *>(bytes)[3] = word;
    }
    for (; count >= 8; count -= 8, bytes += 8)
        *reinterpret_cast<Word *>(bytes) = word;
    for (; count; --count)
        *bytes++ = static_cast<uint8_t>(value);
    return to;
}

extern "C" int memcmp(const void *left, const void *right, size_t count) {
    auto *a = static_cast<const uint8_t *>(left);
    auto *b = static_cast<const uint8_t *>(right);
    for (; count >= 8; count -= 8, a += 8, b += 8) {
        if (*reinterpret_cast<const Word *>(a) != *reinterpret_cast<const Word *>(b))
            break;
    }
    for (; count; --count, ++a, ++b) {
        if (*a != *b)
            return *a < *b ? -1 : 1;
    }
    return 0;
}

NTC_EXPORT SIZE_T NTAPI RtlCompareMemory(const VOID *left, const VOID *right, SIZE_T length) {
    auto *a = static_cast<const uint8_t *>(left);
    auto *b = static_cast<const uint8_t *>(right);
    SIZE_T equal = 0;
    while (equal < length && a[equal] == b[equal])
        ++equal;
    return equal;
}

NTC_EXPORT void NTAPI RtlCopyMemory(void *to, const void *from, SIZE_T length) {
    memmove(to, from, length);
}
NTC_EXPORT void NTAPI RtlMoveMemory(void *to, const void *from, SIZE_T length) {
    memmove(to, from, length);
}
NTC_EXPORT void NTAPI RtlFillMemory(void *to, SIZE_T length, UCHAR fill) {
    memset(to, fill, length);
}
NTC_EXPORT void NTAPI RtlZeroMemory(void *to, SIZE_T length) {
    memset(to, 0, length);
}

// The headers used these before they could be declared as exports.
NTC_EXPORT_AS(memcpy, memcpy);
NTC_EXPORT_AS(memset, memset);
NTC_EXPORT_AS(memcmp, memcmp);
NTC_EXPORT_AS(memmove, memmove);
