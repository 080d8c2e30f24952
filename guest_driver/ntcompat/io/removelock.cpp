// SPDX-License-Identifier: MIT
//
// Remove locks. A checked driver passes the larger structure; only its common
// part is used, the size tells which one it is.
#include "io/iop.h"

static void CheckSize(ULONG size) {
    if (size != sizeof(IO_REMOVE_LOCK_COMMON_BLOCK) &&
        size != sizeof(IO_REMOVE_LOCK_COMMON_BLOCK) + sizeof(IO_REMOVE_LOCK_DBG_BLOCK))
        KdViolation(IOP_VERIFIER, "a remove lock of unknown size", 0, size, 0, 0);
}

extern "C" VOID NTAPI IoInitializeRemoveLockEx(IN PIO_REMOVE_LOCK Lock, IN ULONG AllocateTag,
                                               IN ULONG MaxLockedMinutes, IN ULONG HighWatermark,
                                               IN ULONG RemlockSize) {
    (void)AllocateTag;
    (void)MaxLockedMinutes;
    (void)HighWatermark;
    IopRequireIrql(PASSIVE_LEVEL, "IoInitializeRemoveLock");
    CheckSize(RemlockSize);
    RtlZeroMemory(Lock, RemlockSize);
    Lock->Common.IoCount = 1;
    KeInitializeEvent(&Lock->Common.RemoveEvent, SynchronizationEvent, FALSE);
}

extern "C" NTSTATUS NTAPI IoAcquireRemoveLockEx(IN PIO_REMOVE_LOCK RemoveLock,
                                                IN PVOID Tag OPTIONAL, IN PCSTR File, IN ULONG Line,
                                                IN ULONG RemlockSize) {
    (void)Tag;
    (void)File;
    (void)Line;
    IopRequireIrql(DISPATCH_LEVEL, "IoAcquireRemoveLock");
    CheckSize(RemlockSize);
    LONG count = InterlockedIncrement(&RemoveLock->Common.IoCount);
    if (count <= 0)
        KdViolation(IOP_VERIFIER, "a remove lock was never initialised", 0, (uint64_t)RemoveLock,
                    (uint64_t)(LONG64)count, 0);
    if (!RemoveLock->Common.Removed)
        return STATUS_SUCCESS;
    if (InterlockedDecrement(&RemoveLock->Common.IoCount) == 0)
        KeSetEvent(&RemoveLock->Common.RemoveEvent, IO_NO_INCREMENT, FALSE);
    return STATUS_DELETE_PENDING;
}

extern "C" VOID NTAPI IoReleaseRemoveLockEx(IN PIO_REMOVE_LOCK RemoveLock, IN PVOID Tag OPTIONAL,
                                            IN ULONG RemlockSize) {
    (void)Tag;
    IopRequireIrql(DISPATCH_LEVEL, "IoReleaseRemoveLock");
    CheckSize(RemlockSize);
    LONG count = InterlockedDecrement(&RemoveLock->Common.IoCount);
    if (count < 0 || (count == 0 && !RemoveLock->Common.Removed))
        KdViolation(IOP_VERIFIER, "a remove lock was released more often than acquired", 0,
                    (uint64_t)RemoveLock, (uint64_t)(LONG64)count, 0);
    if (count == 0)
        KeSetEvent(&RemoveLock->Common.RemoveEvent, IO_NO_INCREMENT, FALSE);
}

extern "C" VOID NTAPI IoReleaseRemoveLockAndWaitEx(IN PIO_REMOVE_LOCK RemoveLock,
                                                   IN PVOID Tag OPTIONAL, IN ULONG RemlockSize) {
    (void)Tag;
    IopRequireIrql(PASSIVE_LEVEL, "IoReleaseRemoveLockAndWait");
    CheckSize(RemlockSize);
    RemoveLock->Common.Removed = TRUE;
    // The caller's own acquisition, and the one the initialisation counted.
    InterlockedDecrement(&RemoveLock->Common.IoCount);
    if (InterlockedDecrement(&RemoveLock->Common.IoCount) > 0)
        KeWaitForSingleObject(&RemoveLock->Common.RemoveEvent, Executive, KernelMode, FALSE,
                              nullptr);
}
