// SPDX-License-Identifier: MIT
//
// Lookaside lists. Drivers pop and push by inline functions; with depth 0 nothing
// is ever kept, so that every block goes through the pool's checks.
#include "mm/mi.h"

namespace {

const USHORT kDepth = 0; // see above: strictness before speed

void Initialize(GENERAL_LOOKASIDE *list, PALLOCATE_FUNCTION allocate, PFREE_FUNCTION release,
                ULONG flags, SIZE_T size, ULONG tag, POOL_TYPE type) {
    memset(list, 0, sizeof(*list));
    InitializeSListHead(&list->ListHead);
    list->Depth = kDepth;
    list->MaximumDepth = 256;
    list->Type = static_cast<POOL_TYPE>(static_cast<ULONG>(type) | flags);
    list->Tag = tag;
    list->Size = static_cast<ULONG>(max(size, static_cast<SIZE_T>(LOOKASIDE_MINIMUM_BLOCK_SIZE)));
    list->Allocate = allocate ? allocate : ExAllocatePoolWithTag;
    list->Free = release ? release : ExFreePool;
}

void Drain(GENERAL_LOOKASIDE *list) {
    while (PSLIST_ENTRY entry = ExpInterlockedPopEntrySList(&list->ListHead))
        list->Free(entry);
}

} // namespace

VOID NTAPI ExInitializeNPagedLookasideList(PNPAGED_LOOKASIDE_LIST list, PALLOCATE_FUNCTION allocate,
                                           PFREE_FUNCTION release, ULONG flags, SIZE_T size,
                                           ULONG tag, USHORT) {
    Initialize(&list->L, allocate, release, flags, size, tag, NonPagedPool);
}

VOID NTAPI ExDeleteNPagedLookasideList(PNPAGED_LOOKASIDE_LIST list) {
    Drain(&list->L);
}

VOID NTAPI ExInitializePagedLookasideList(PPAGED_LOOKASIDE_LIST list, PALLOCATE_FUNCTION allocate,
                                          PFREE_FUNCTION release, ULONG flags, SIZE_T size,
                                          ULONG tag, USHORT) {
    MiPagedCode("ExInitializePagedLookasideList");
    Initialize(&list->L, allocate, release, flags, size, tag, PagedPool);
}

VOID NTAPI ExDeletePagedLookasideList(PPAGED_LOOKASIDE_LIST list) {
    MiPagedCode("ExDeletePagedLookasideList");
    Drain(&list->L);
}
