// SPDX-License-Identifier: MIT
//
// Reader of the boot archive: cpio in the "new ASCII" (newc) format, where each
// member has a 110-byte header of eight-digit hexadecimal fields. Used by the
// loader and by the kernel, so it knows neither.
#ifndef NTC_CPIO_H_
#define NTC_CPIO_H_

#include <stddef.h>
#include <stdint.h>

struct CpioMember {
    const char *name; // NUL-terminated, inside the archive
    const uint8_t *data;
    size_t size;
};

static inline bool CpioHex(const char *text, uint64_t *value) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) {
        char c = text[i];
        uint64_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint64_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (uint64_t)((c | 0x20) - 'a') + 10;
        else
            return false;
        v = v * 16 + digit;
    }
    *value = v;
    return true;
}

// Reads the member at *offset and moves *offset to the next one. False at the
// trailer and where the archive is damaged or cut short.
static inline bool CpioNext(const uint8_t *archive, size_t length, size_t *offset,
                            CpioMember *member) {
    const size_t header = 110;
    if (*offset > length || length - *offset < header)
        return false;
    const char *h = (const char *)archive + *offset;
    for (int i = 0; i < 5; i++)
        if (h[i] != "07070"[i])
            return false;
    uint64_t size, name_size; // fields 7 and 12 of 13, after the magic
    if (h[5] != '1' || !CpioHex(h + 6 + 6 * 8, &size) || !CpioHex(h + 6 + 11 * 8, &name_size))
        return false;
    size_t name_at = *offset + header;
    if (name_size == 0 || name_size > length - name_at || archive[name_at + name_size - 1] != 0)
        return false;
    size_t data_at = (name_at + (size_t)name_size + 3) & ~(size_t)3;
    if (data_at > length || size > length - data_at)
        return false;
    member->name = (const char *)archive + name_at;
    member->data = archive + data_at;
    member->size = (size_t)size;
    *offset = (data_at + (size_t)size + 3) & ~(size_t)3;
    const char *trailer = "TRAILER!!!";
    for (size_t i = 0; member->name[i] == trailer[i]; i++)
        if (trailer[i] == 0)
            return false;
    return true;
}

// File names of images are compared without case, as the DLL names of import
// tables are ("HAL.dll" for hal.dll).
static inline bool NameEqual(const char *a, const char *b) {
    for (;; a++, b++) {
        char x = *a, y = *b;
        if (x >= 'A' && x <= 'Z')
            x = (char)(x | 0x20);
        if (y >= 'A' && y <= 'Z')
            y = (char)(y | 0x20);
        if (x != y)
            return false;
        if (x == 0)
            return true;
    }
}

static inline bool CpioFind(const uint8_t *archive, size_t length, const char *name,
                            CpioMember *member) {
    size_t offset = 0;
    while (CpioNext(archive, length, &offset, member)) {
        if (NameEqual(member->name, name))
            return true;
    }
    return false;
}

#endif // NTC_CPIO_H_
