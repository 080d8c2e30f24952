// SPDX-License-Identifier: MIT
//
// Files of the boot archive.
#include "ntc.h"

#include "cpio.h"

extern "C" {

BOOLEAN LdrFindFile(const char *name, const void **data, size_t *size) {
    CpioMember member;
    if (!CpioFind((const uint8_t *)KeLoaderBlock->archive, KeLoaderBlock->archive_size, name,
                  &member))
        return FALSE;
    *data = member.data;
    *size = member.size;
    return TRUE;
}

const char *LdrFileName(size_t index) {
    size_t offset = 0;
    CpioMember member;
    for (size_t i = 0; CpioNext((const uint8_t *)KeLoaderBlock->archive,
                                KeLoaderBlock->archive_size, &offset, &member);
         i++)
        if (i == index)
            return member.name;
    return nullptr;
}

} // extern "C"
