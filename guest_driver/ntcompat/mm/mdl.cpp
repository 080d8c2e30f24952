// SPDX-License-Identifier: MIT
//
// MDLs: making, describing nonpaged memory, parts. Rules as Driver Verifier
// checks them (bug check 0xC4, 0x70 to 0xB8).
#include "mm/mi.h"

#undef IoFreeMdl

#define MI_MDL_TAG ' ldM'

namespace {

const SIZE_T kMostBytes = 0x7FFFF000; // 2 GiB less a page: what one MDL describes

uint64_t *PfnArray(PMDL mdl) {
    return reinterpret_cast<uint64_t *>(mdl + 1);
}

void AddToIrp(PIRP irp, PMDL mdl, BOOLEAN secondary) {
    if (!secondary) {
        irp->MdlAddress = mdl;
        return;
    }
    if (!irp->MdlAddress)
        KdViolation(0xC4, "a secondary MDL for an IRP without a first one", 0x16,
                    reinterpret_cast<uintptr_t>(irp), 0, 0);
    PMDL last = irp->MdlAddress;
    while (last->Next)
        last = last->Next;
    last->Next = mdl;
}

} // namespace

SIZE_T NTAPI MmSizeOfMdl(PVOID base, SIZE_T length) {
    return sizeof(MDL) + ADDRESS_AND_SIZE_TO_SPAN_PAGES(base, length) * sizeof(PFN_NUMBER);
}

PMDL NTAPI IoAllocateMdl(PVOID address, ULONG length, BOOLEAN secondary, BOOLEAN, PIRP irp) {
    if (length > kMostBytes)
        return nullptr;
    const size_t size = MmSizeOfMdl(address, length);
    auto *mdl = static_cast<PMDL>(ExpAllocatePool(NonPagedPool, size, MI_MDL_TAG, MI_CALLER()));
    if (!mdl)
        return nullptr;
    // The page numbers keep the pool's fill pattern until the MDL is built.
    MmInitializeMdl(mdl, address, length);
    mdl->Process = nullptr;
    mdl->MappedSystemVa = nullptr;
    if (irp)
        AddToIrp(irp, mdl, secondary);
    return mdl;
}

NTC_EXPORT VOID NTAPI IoFreeMdl(PMDL mdl) {
    if (mdl->MdlFlags & MDL_PARTIAL_HAS_BEEN_MAPPED)
        MmUnmapLockedPages(mdl->MappedSystemVa, mdl);
    const CSHORT flags = mdl->MdlFlags;
    if (!(flags & MDL_PARTIAL) && (flags & MDL_MAPPED_TO_SYSTEM_VA))
        KdViolation(0xC4, "an MDL is freed while its pages are mapped", 0xB8,
                    reinterpret_cast<uintptr_t>(mdl), static_cast<USHORT>(flags), 0);
    if (!(flags & MDL_PARTIAL) && (flags & MDL_PAGES_LOCKED))
        KdViolation(0xC4, "an MDL is freed while its pages are locked", 0xB8,
                    reinterpret_cast<uintptr_t>(mdl), static_cast<USHORT>(flags), 0);
    ExpFreePool(mdl, MI_MDL_TAG, 0);
}

VOID NTAPI MmBuildMdlForNonPagedPool(PMDL mdl) {
    if (mdl->MdlFlags &
        (MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL | MDL_PARTIAL))
        KdViolation(0xC4, "MmBuildMdlForNonPagedPool for an MDL that is built already", 0xB0,
                    reinterpret_cast<uintptr_t>(mdl), static_cast<USHORT>(mdl->MdlFlags), 0);
    const uint64_t start = reinterpret_cast<uint64_t>(mdl->StartVa);
    const uint64_t address = start + mdl->ByteOffset;
    const ULONG pages = ADDRESS_AND_SIZE_TO_SPAN_PAGES(address, mdl->ByteCount);
    bool io_space = false;
    for (ULONG i = 0; i < pages; ++i) {
        const uint64_t physical = MiPhysicalAddress(start + i * MI_PAGE_SIZE);
        if (!physical)
            KdViolation(0xC4, "MmBuildMdlForNonPagedPool for addresses that are no nonpaged memory",
                        0x7F, KeGetCurrentIrql(), reinterpret_cast<uintptr_t>(mdl),
                        start + i * MI_PAGE_SIZE);
        PfnArray(mdl)[i] = physical / MI_PAGE_SIZE;
        io_space |= physical / MI_PAGE_SIZE > MiHighestPfn();
    }
    mdl->Process = nullptr;
    mdl->MappedSystemVa = reinterpret_cast<PVOID>(address);
    mdl->MdlFlags |= MDL_SOURCE_IS_NONPAGED_POOL;
    if (io_space)
        mdl->MdlFlags |= MDL_IO_SPACE;
}

VOID NTAPI IoBuildPartialMdl(PMDL source, PMDL target, PVOID address, ULONG length) {
    const uint64_t from = reinterpret_cast<uint64_t>(source->StartVa) + source->ByteOffset;
    const uint64_t start = reinterpret_cast<uint64_t>(address);
    const uint64_t offset = start - from;
    if (start < from || offset > source->ByteCount)
        KdViolation(0xC4, "a partial MDL begins outside its source", 0x16,
                    reinterpret_cast<uintptr_t>(source), start, length);
    if (length == 0)
        length = static_cast<ULONG>(source->ByteCount - offset);
    if (length > source->ByteCount - offset)
        KdViolation(0xC4, "a partial MDL is longer than its source", 0x16,
                    reinterpret_cast<uintptr_t>(source), start, length);
    const ULONG pages = ADDRESS_AND_SIZE_TO_SPAN_PAGES(start, length);
    const size_t room = (static_cast<USHORT>(target->Size) - sizeof(MDL)) / sizeof(PFN_NUMBER);
    if (pages > room)
        KdViolation(0xC4, "a partial MDL has no room for the pages of its range", 0x16,
                    reinterpret_cast<uintptr_t>(target), pages, room);
    const CSHORT described =
        MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL;
    if (!(source->MdlFlags & (described | MDL_PARTIAL)))
        KdViolation(0xC4, "a partial MDL is made of one that isn't built", 0xB3,
                    reinterpret_cast<uintptr_t>(source), static_cast<USHORT>(source->MdlFlags),
                    described);
    target->Process = source->Process;
    target->StartVa = PAGE_ALIGN(address);
    target->ByteOffset = BYTE_OFFSET(address);
    target->ByteCount = length;
    // A part borrows the source's mapping and locks: it never unlocks.
    const CSHORT borrowed = MDL_SOURCE_IS_NONPAGED_POOL | MDL_MAPPED_TO_SYSTEM_VA | MDL_IO_SPACE |
                            MDL_IO_PAGE_READ | MDL_WRITE_OPERATION;
    target->MdlFlags = static_cast<CSHORT>((target->MdlFlags & MDL_ALLOCATED_FIXED_SIZE) |
                                           (source->MdlFlags & borrowed) | MDL_PARTIAL);
    if (target->MdlFlags & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL)) {
        target->MappedSystemVa = static_cast<char *>(source->MappedSystemVa) + offset;
        if (target->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA)
            target->MdlFlags |= MDL_PARENT_MAPPED_SYSTEM_VA;
    } else {
        target->MappedSystemVa = nullptr;
    }
    const uint64_t first = (reinterpret_cast<uint64_t>(target->StartVa) -
                            reinterpret_cast<uint64_t>(source->StartVa)) /
                           MI_PAGE_SIZE;
    for (ULONG i = 0; i < pages; ++i)
        PfnArray(target)[i] = PfnArray(source)[first + i];
}
