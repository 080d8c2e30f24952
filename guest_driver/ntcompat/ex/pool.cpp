// SPDX-License-Identifier: MIT
//
// The exported pool functions: argument and IRQL rules here, the memory in mm.
// Bug check parameters are those documented for 0xC2 and 0xC4.
#include "mm/mi.h"

#undef ExAllocatePool
#undef ExAllocatePoolWithQuota
#undef ExFreePool

namespace {

const ULONG kPagedBit = 1, kCacheAlignedBit = 4;
const ULONG kQuotaDontRaise = POOL_QUOTA_FAIL_INSTEAD_OF_RAISE;
const size_t kLargestSmall = 4096 - 48 - 8;

bool IsTagReadable(ULONG tag) {
    for (int shift = 0; shift < 32; shift += 8) {
        const int c = (tag >> shift) & 0x7F; // the top bit protects the block
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
            return true;
    }
    return false;
}

void CheckRequest(ULONG type, size_t size, ULONG tag, uint64_t caller) {
    const KIRQL irql = KeGetCurrentIrql();
    if (irql > DISPATCH_LEVEL || ((type & kPagedBit) && irql > APC_LEVEL))
        KdViolation(0xC2, "pool is allocated at an IRQL that is too high", 0x8, irql, type, size);
    if (type & ~(kPagedBit | kCacheAlignedBit))
        KdViolation(0xC2, "a pool type that a Windows 7 driver can't use", 0x99, type, size,
                    caller);
    if (size == 0)
        KdViolation(0xC4, "a pool block of zero bytes is allocated", 0x0, irql, type, 0);
    if (tag == 0)
        KdViolation(0xC2, "pool is allocated with tag 0", 0x9B, type, size, caller);
    if (tag == ' GIB')
        KdViolation(0xC2, "pool is allocated with tag 'BIG '", 0x9C, type, size, caller);
    if (!IsTagReadable(tag))
        KdViolation(0xC2, "pool is allocated with a tag without letters and digits", 0x9D, tag,
                    type, caller);
}

void *AllocateOrRaise(ULONG type, size_t size, ULONG tag, uint64_t caller, bool raise) {
    void *block = ExpAllocatePool(static_cast<POOL_TYPE>(type), size, tag, caller);
    if (!block && raise)
        ExRaiseStatus(STATUS_INSUFFICIENT_RESOURCES);
    return block;
}

} // namespace

void *ExpAllocatePool(POOL_TYPE pool_type, size_t size, ULONG tag, uint64_t caller) {
    const ULONG type = static_cast<ULONG>(pool_type);
    CheckRequest(type, size, tag, caller);
    if (MiFailsForLack("pool"))
        return nullptr;
    if (size > kLargestSmall || (type & kCacheAlignedBit))
        return MiAllocateLarge(size, tag, static_cast<uint16_t>(type), caller);
    return MiAllocateSmall(size, tag, static_cast<uint16_t>(type), caller, false);
}

void ExpFreePool(void *block, ULONG tag, uint64_t) {
    const uint64_t va = reinterpret_cast<uint64_t>(block);
    if (KeGetCurrentIrql() > DISPATCH_LEVEL)
        KdViolation(0xC2, "pool is freed at an IRQL that is too high", 0x9, KeGetCurrentIrql(), 0,
                    va);
    if (MiIsSmallPoolAddress(va))
        MiFreeSmall(block, tag);
    else
        MiFreeLarge(block, tag);
}

PVOID NTAPI ExAllocatePoolWithTag(POOL_TYPE type, SIZE_T size, ULONG tag) {
    const ULONG raise = static_cast<ULONG>(type) & POOL_RAISE_IF_ALLOCATION_FAILURE;
    return AllocateOrRaise(static_cast<ULONG>(type) & ~raise, size, tag, MI_CALLER(), raise != 0);
}

NTC_EXPORT PVOID NTAPI ExAllocatePool(POOL_TYPE type, SIZE_T size) {
    const ULONG raise = static_cast<ULONG>(type) & POOL_RAISE_IF_ALLOCATION_FAILURE;
    return AllocateOrRaise(static_cast<ULONG>(type) & ~raise, size, 'enoN', MI_CALLER(),
                           raise != 0);
}

PVOID NTAPI ExAllocatePoolWithTagPriority(POOL_TYPE type, SIZE_T size, ULONG tag,
                                          EX_POOL_PRIORITY) {
    return AllocateOrRaise(static_cast<ULONG>(type), size, tag, MI_CALLER(), false);
}

// Raises when memory is short, unless the type says otherwise. There are no
// processes with quotas, so nothing is charged.
PVOID NTAPI ExAllocatePoolWithQuotaTag(POOL_TYPE type, SIZE_T size, ULONG tag) {
    const ULONG flags = static_cast<ULONG>(type);
    return AllocateOrRaise(flags & ~(kQuotaDontRaise | POOL_RAISE_IF_ALLOCATION_FAILURE), size, tag,
                           MI_CALLER(), !(flags & kQuotaDontRaise));
}

NTC_EXPORT PVOID NTAPI ExAllocatePoolWithQuota(POOL_TYPE type, SIZE_T size) {
    const ULONG flags = static_cast<ULONG>(type);
    return AllocateOrRaise(flags & ~(kQuotaDontRaise | POOL_RAISE_IF_ALLOCATION_FAILURE), size,
                           'enoN', MI_CALLER(), !(flags & kQuotaDontRaise));
}

VOID NTAPI ExFreePoolWithTag(PVOID block, ULONG tag) {
    ExpFreePool(block, tag, MI_CALLER());
}

NTC_EXPORT VOID NTAPI ExFreePool(PVOID block) {
    ExpFreePool(block, 0, MI_CALLER());
}
