// SPDX-License-Identifier: MIT
//
// RTL_BITMAP. No locking: the caller's business, as documented.
#include "ntc.h"

#undef RtlCheckBit

namespace {

inline bool Test(PRTL_BITMAP map, ULONG index) {
    return (map->Buffer[index / 32] >> (index % 32)) & 1;
}

void CheckRange(PRTL_BITMAP map, ULONG start, ULONG count, const char *who) {
    if (start > map->SizeOfBitMap || count > map->SizeOfBitMap - start)
        KdViolation(0xC4, who, 0, reinterpret_cast<uintptr_t>(map), start, count);
}

ULONG FindRun(PRTL_BITMAP map, ULONG count, ULONG hint, bool set) {
    if (count == 0)
        return hint & ~7u;
    if (hint >= map->SizeOfBitMap)
        hint = 0;
    for (int pass = 0; pass < 2; ++pass) {
        ULONG run = 0;
        const ULONG start = pass ? 0 : hint;
        for (ULONG i = start; i < map->SizeOfBitMap; ++i) {
            run = Test(map, i) == set ? run + 1 : 0;
            if (run == count)
                return i + 1 - count;
        }
    }
    return 0xFFFFFFFF;
}

} // namespace

VOID NTAPI RtlInitializeBitMap(PRTL_BITMAP map, PULONG buffer, ULONG size) {
    map->SizeOfBitMap = size;
    map->Buffer = buffer;
}

VOID NTAPI RtlClearAllBits(PRTL_BITMAP map) {
    memset(map->Buffer, 0, (map->SizeOfBitMap + 31) / 32 * 4);
}

VOID NTAPI RtlSetAllBits(PRTL_BITMAP map) {
    memset(map->Buffer, 0xFF, (map->SizeOfBitMap + 31) / 32 * 4);
}

BOOLEAN NTAPI RtlTestBit(PRTL_BITMAP map, ULONG index) {
    CheckRange(map, index, 1, "RtlTestBit beyond the bitmap");
    return Test(map, index);
}

VOID NTAPI RtlSetBits(PRTL_BITMAP map, ULONG start, ULONG count) {
    CheckRange(map, start, count, "RtlSetBits beyond the bitmap");
    for (ULONG i = start; i < start + count; ++i)
        map->Buffer[i / 32] |= 1u << (i % 32);
}

VOID NTAPI RtlClearBits(PRTL_BITMAP map, ULONG start, ULONG count) {
    CheckRange(map, start, count, "RtlClearBits beyond the bitmap");
    for (ULONG i = start; i < start + count; ++i)
        map->Buffer[i / 32] &= ~(1u << (i % 32));
}

VOID NTAPI RtlSetBit(PRTL_BITMAP map, ULONG index) {
    RtlSetBits(map, index, 1);
}
VOID NTAPI RtlClearBit(PRTL_BITMAP map, ULONG index) {
    RtlClearBits(map, index, 1);
}

BOOLEAN NTAPI RtlAreBitsClear(PRTL_BITMAP map, ULONG start, ULONG count) {
    if (!count || start > map->SizeOfBitMap || count > map->SizeOfBitMap - start)
        return FALSE;
    for (ULONG i = start; i < start + count; ++i)
        if (Test(map, i))
            return FALSE;
    return TRUE;
}

BOOLEAN NTAPI RtlAreBitsSet(PRTL_BITMAP map, ULONG start, ULONG count) {
    if (!count || start > map->SizeOfBitMap || count > map->SizeOfBitMap - start)
        return FALSE;
    for (ULONG i = start; i < start + count; ++i)
        if (!Test(map, i))
            return FALSE;
    return TRUE;
}

ULONG NTAPI RtlNumberOfSetBits(PRTL_BITMAP map) {
    ULONG count = 0;
    for (ULONG i = 0; i < map->SizeOfBitMap; ++i)
        count += Test(map, i);
    return count;
}

ULONG NTAPI RtlNumberOfClearBits(PRTL_BITMAP map) {
    return map->SizeOfBitMap - RtlNumberOfSetBits(map);
}

ULONG NTAPI RtlFindClearBits(PRTL_BITMAP map, ULONG count, ULONG hint) {
    return FindRun(map, count, hint, false);
}

ULONG NTAPI RtlFindSetBits(PRTL_BITMAP map, ULONG count, ULONG hint) {
    return FindRun(map, count, hint, true);
}

ULONG NTAPI RtlFindClearBitsAndSet(PRTL_BITMAP map, ULONG count, ULONG hint) {
    const ULONG found = FindRun(map, count, hint, false);
    if (found != 0xFFFFFFFF)
        RtlSetBits(map, found, count);
    return found;
}

ULONG NTAPI RtlFindSetBitsAndClear(PRTL_BITMAP map, ULONG count, ULONG hint) {
    const ULONG found = FindRun(map, count, hint, true);
    if (found != 0xFFFFFFFF)
        RtlClearBits(map, found, count);
    return found;
}
