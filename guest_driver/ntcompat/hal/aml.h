// SPDX-License-Identifier: MIT
//
// The little that is read of AML, the byte code of ACPI's tables (ACPI 6.4, chapter 20).
// Nothing of the kernel is needed, so that the host's tests read tables with it, too.
#ifndef NTC_HAL_AML_H_
#define NTC_HAL_AML_H_

#include <stdint.h>

// A number: Zero, One, or a prefix with one, two or four bytes (20.2.3). False: it is none.
static inline bool AmlInteger(const uint8_t *aml, uint32_t *value) {
    uint32_t bytes = aml[0] == 0x0A ? 1 : aml[0] == 0x0B ? 2 : aml[0] == 0x0C ? 4 : 0;
    if (bytes == 0) {
        *value = aml[0];
        return aml[0] <= 1;
    }
    *value = 0;
    for (uint32_t i = 0; i < bytes; i++)
        *value |= (uint32_t)aml[1 + i] << (8 * i);
    return true;
}

// PkgLength (20.2.4): how far a package reaches, counted from here; `bytes`: its own size.
static inline uint32_t AmlPackageLength(const uint8_t *aml, uint32_t *bytes) {
    *bytes = 1u + (aml[0] >> 6);
    if (*bytes == 1)
        return aml[0] & 0x3F;
    uint32_t length = aml[0] & 0xF;
    for (uint32_t i = 1; i < *bytes; i++)
        length |= (uint32_t)aml[i] << (8 * i - 4);
    return length;
}

// The _ADR of the innermost device that `at` is in, where it is the first thing in there, as
// in QEMU's devices for PCI functions. False: there is no such device after `start`.
static inline bool AmlFunctionAround(const uint8_t *start, const uint8_t *at, uint32_t *address) {
    enum { NAME = 4, ADR = 5 }; // bytes of the device's name, and of \x08 "_ADR"
    for (const uint8_t *p = at; p-- > start;) {
        uint32_t bytes;
        if (p[0] != 0x5B || p[1] != 0x82 || p + 2 + AmlPackageLength(p + 2, &bytes) <= at)
            continue;
        const uint8_t *body = p + 2 + bytes + NAME;
        return body + ADR < at && body[0] == 0x08 && body[1] == '_' && body[2] == 'A' &&
               body[3] == 'D' && body[4] == 'R' && AmlInteger(body + ADR, address);
    }
    return false;
}

#endif // NTC_HAL_AML_H_
