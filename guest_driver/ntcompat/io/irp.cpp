// SPDX-License-Identifier: MIT
//
// IRPs: allocation, initialisation, release, and what is known about each of them.
#include "io/iop.h"

KSPIN_LOCK IopIrpLock;

static LIST_ENTRY AllIrps = {&AllIrps, &AllIrps};

// Freed IRPs are kept a while with their type cleared, so that a second
// completion or a late cancel is recognised instead of hitting reused memory.
static const ULONG QuarantineSize = 64;
static IOP_IRP_HEADER *Quarantine[QuarantineSize];
static ULONG QuarantineNext;

static const CCHAR MaximumStack = 60;

static void Initialize(PIRP irp, USHORT size, CCHAR stack_size) {
    RtlZeroMemory(irp, size);
    irp->Type = IO_TYPE_IRP;
    irp->Size = size;
    irp->StackCount = stack_size;
    irp->CurrentLocation = (CHAR)(stack_size + 1);
    irp->ApcEnvironment = 0;
    InitializeListHead(&irp->ThreadListEntry);
    irp->Tail.Overlay.CurrentStackLocation = (PIO_STACK_LOCATION)(irp + 1) + stack_size;
}

PIRP IopAllocateIrp(CCHAR stack_size, IOP_IRP_KIND kind, uint64_t allocator) {
    IopRequireIrql(DISPATCH_LEVEL, "IoAllocateIrp");
    if (stack_size < 1 || stack_size > MaximumStack)
        KdViolation(IOP_VERIFIER, "IRP with an impossible stack size", 0, (uint64_t)stack_size, 0,
                    0);
    USHORT size = IoSizeOfIrp(stack_size);
    auto *header = (IOP_IRP_HEADER *)ExAllocatePoolWithTag(
        NonPagedPool, sizeof(IOP_IRP_HEADER) + size, IOP_TAG_IRP);
    if (!header)
        return nullptr;
    RtlZeroMemory(header, sizeof(*header));
    header->magic = IOP_IRP_MAGIC;
    header->kind = kind;
    header->allocator = allocator;
    header->stack_size = stack_size;
    InitializeListHead(&header->calls);
    PIRP irp = (PIRP)(header + 1);
    Initialize(irp, size, stack_size);
    irp->AllocationFlags = IOP_IRP_HAS_HEADER;
    KIRQL irql;
    KeAcquireSpinLock(&IopIrpLock, &irql);
    InsertTailList(&AllIrps, &header->all);
    KeReleaseSpinLock(&IopIrpLock, irql);
    return irp;
}

void IopReleaseIrp(PIRP irp) {
    IOP_IRP_HEADER *header = IopIrpHeader(irp);
    irp->Type = 0;
    // Completing it again must look wrong even where only the location is checked.
    irp->CurrentLocation = (CHAR)(irp->StackCount + 2);
    irp->CancelRoutine = nullptr;
    KIRQL irql;
    KeAcquireSpinLock(&IopIrpLock, &irql);
    RemoveEntryList(&header->all);
    ULONG slot = QuarantineNext++ % QuarantineSize;
    IOP_IRP_HEADER *oldest = Quarantine[slot];
    Quarantine[slot] = header;
    KeReleaseSpinLock(&IopIrpLock, irql);
    if (oldest)
        ExFreePoolWithTag(oldest, IOP_TAG_IRP);
}

extern "C" PIRP NTAPI IoAllocateIrp(IN CCHAR StackSize, IN BOOLEAN ChargeQuota) {
    (void)ChargeQuota; // there is one process, and it has no quota
    return IopAllocateIrp(StackSize, IopIrpDriver, (uint64_t)__builtin_return_address(0));
}

static void RequireWithOwner(PIRP irp, IOP_IRP_HEADER *header, const char *function) {
    if (header->owner_location && irp->CurrentLocation < header->owner_location) {
        DbgPrint("io: %s of IRP %p which is in flight, at stack location %d of %d, device %p\n",
                 function, irp, irp->CurrentLocation, irp->StackCount,
                 IoGetCurrentIrpStackLocation(irp)->DeviceObject);
        KdViolation(IOP_VERIFIER_IO, "an IRP was freed or reused while a driver has it", 0x20B, 0,
                    (uint64_t)irp, (uint64_t)IoGetCurrentIrpStackLocation(irp)->DeviceObject);
    }
    if (!IsListEmpty(&header->calls)) {
        for (PLIST_ENTRY e = header->calls.Flink; e != &header->calls; e = e->Flink)
            if (!CONTAINING_RECORD(e, IOP_CALL, links)->completed)
                KdViolation(IOP_VERIFIER_IO,
                            "an IRP was freed inside a dispatch routine that has it", 0x20B, 0,
                            (uint64_t)irp, 0);
    }
}

extern "C" VOID NTAPI IoFreeIrp(IN PIRP Irp) {
    IopRequireIrql(DISPATCH_LEVEL, "IoFreeIrp");
    if (Irp->Type != IO_TYPE_IRP)
        KdViolation(IOP_VERIFIER_IO, "IoFreeIrp: not an IRP, or freed before", 1, (uint64_t)Irp, 0,
                    0);
    IOP_IRP_HEADER *header = IopIrpHeader(Irp);
    if (!header || header->magic != IOP_IRP_MAGIC)
        KdViolation(IOP_VERIFIER_IO, "IoFreeIrp: the IRP is not from IoAllocateIrp", 1,
                    (uint64_t)Irp, 0, 0);
    if (header->kind == IopIrpThread || header->kind == IopIrpFile)
        KdViolation(IOP_VERIFIER_IO,
                    "IoFreeIrp: the IRP belongs to a thread, the I/O manager frees it", 2,
                    (uint64_t)Irp, 0, 0);
    RequireWithOwner(Irp, header, "IoFreeIrp");
    if (Irp->CancelRoutine)
        KdViolation(IOP_VERIFIER_IO, "IoFreeIrp: the IRP has a cancel routine", 0,
                    (uint64_t)Irp->CancelRoutine, (uint64_t)Irp, 0);
    IopReleaseIrp(Irp);
}

extern "C" VOID NTAPI IoReuseIrp(IN OUT PIRP Irp, IN NTSTATUS Status) {
    IopRequireIrql(DISPATCH_LEVEL, "IoReuseIrp");
    UCHAR flags = Irp->AllocationFlags;
    IOP_IRP_HEADER *header = IopIrpHeader(Irp);
    if (Irp->Type != IO_TYPE_IRP || (header && header->kind != IopIrpDriver))
        KdViolation(IOP_VERIFIER_IO, "IoReuseIrp: only for IRPs of IoAllocateIrp", 0, (uint64_t)Irp,
                    0, 0);
    if (header) {
        RequireWithOwner(Irp, header, "IoReuseIrp");
        header->owner_location = 0;
        RtlZeroMemory(header->returned_pending, sizeof(header->returned_pending));
    }
    Initialize(Irp, Irp->Size, Irp->StackCount);
    Irp->AllocationFlags = flags;
    Irp->IoStatus.Status = Status;
}

extern "C" VOID NTAPI IoInitializeIrp(IN OUT PIRP Irp, IN USHORT PacketSize, IN CCHAR StackSize) {
    if (PacketSize < IoSizeOfIrp(StackSize))
        KdViolation(IOP_VERIFIER, "IoInitializeIrp: packet too small for the stack", 0, PacketSize,
                    (uint64_t)StackSize, 0);
    // An IRP of IoAllocateIrp would lose its allocation flags: documented as a
    // mistake, and IoReuseIrp is what was meant.
    KIRQL irql;
    KeAcquireSpinLock(&IopIrpLock, &irql);
    bool ours = false;
    for (PLIST_ENTRY e = AllIrps.Flink; e != &AllIrps; e = e->Flink)
        ours |= (PIRP)(CONTAINING_RECORD(e, IOP_IRP_HEADER, all) + 1) == Irp;
    KeReleaseSpinLock(&IopIrpLock, irql);
    if (ours)
        KdViolation(IOP_VERIFIER_IO, "IoInitializeIrp on an IRP of IoAllocateIrp", 0x20D, 0,
                    (uint64_t)Irp, 0);
    Initialize(Irp, PacketSize, StackSize);
}

void IopCheckIrpsOfImage(uint64_t base, uint64_t size, const WCHAR *name) {
    KIRQL irql;
    KeAcquireSpinLock(&IopIrpLock, &irql);
    ULONG count = 0;
    PIRP first = nullptr;
    for (PLIST_ENTRY e = AllIrps.Flink; e != &AllIrps; e = e->Flink) {
        auto *header = CONTAINING_RECORD(e, IOP_IRP_HEADER, all);
        if (header->allocator - base >= size)
            continue;
        if (!count++)
            first = (PIRP)(header + 1);
    }
    KeReleaseSpinLock(&IopIrpLock, irql);
    if (count) {
        DbgPrint("io: %ws is unloaded with %u IRP(s) not freed, the first at %p\n", name, count,
                 first);
        KdViolation(IOP_VERIFIER, "a driver is unloaded and has not freed its IRPs", 0x62, base,
                    (uint64_t)first, count);
    }
}
