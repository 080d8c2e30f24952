// SPDX-License-Identifier: MIT
// WDFSPINLOCK, WDFWAITLOCK, and the locks behind synchronization scopes.
#include "locks.h"

namespace wdfldr {

void CallbackLock::Initialize(bool passiveLevel) {
    passive = passiveLevel;
    KeInitializeSpinLock(&spin);
    KeInitializeMutex(&mutex, 0);
}

void CallbackLock::Acquire() {
    // Before the owner is looked at: a DPC runs in the context of any thread.
    if (passive)
        CheckIrql(APC_LEVEL, "callback lock of a passive-level object");
    if (IsOwner()) {
        depth++;
        return;
    }
    if (passive) {
        KeEnterCriticalRegion();
        KeWaitForSingleObject(&mutex, Executive, KernelMode, FALSE, nullptr);
    } else {
        KIRQL irql;
        KeAcquireSpinLock(&spin, &irql);
        previous = irql;
    }
    owner = KeGetCurrentThread();
    depth = 1;
}

void CallbackLock::Release() {
    if (!IsOwner())
        Stop(kInvalidLock, this, 0, "callback lock released by a thread that does not own it");
    if (--depth)
        return;
    owner = nullptr;
    if (passive) {
        KeReleaseMutex(&mutex, FALSE);
        KeLeaveCriticalRegion();
    } else {
        KeReleaseSpinLock(&spin, previous);
    }
}

} // namespace wdfldr

using namespace wdfldr;

WDF_API(NTSTATUS, WdfSpinLockCreate,
        (PWDF_DRIVER_GLOBALS pub, PWDF_OBJECT_ATTRIBUTES attributes, WDFSPINLOCK *out)) {
    WDF_ENTER(WdfSpinLockCreate, DISPATCH_LEVEL);
    CheckNotNull(out, kName, "SpinLock");
    *out = nullptr;
    NTSTATUS status = CheckAttributes(globals, attributes, kParentOptional);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    auto *lock = New<SpinLock>(globals, Type::SpinLock);
    if (!lock)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeInitializeSpinLock(&lock->lock);
    status = FinishCreate(globals, lock, ParentOf(globals, attributes, DriverObject(globals)),
                          attributes);
    if (NT_SUCCESS(status))
        *out = lock->HandleAs<WDFSPINLOCK>();
    return status;
}

WDF_API(VOID, WdfSpinLockAcquire, (PWDF_DRIVER_GLOBALS pub, WDFSPINLOCK handle)) {
    WDF_ENTER(WdfSpinLockAcquire, DISPATCH_LEVEL);
    auto *lock = From<SpinLock>(globals, handle, kName);
    if (lock->interruptLock)
        Stop(kInvalidLock, handle, 0, "%s: %p belongs to an interrupt", kName, handle);
    if (lock->owner == KeGetCurrentThread() && KeGetCurrentIrql() == DISPATCH_LEVEL)
        Stop(kRecursiveLock, handle, 0, "%s: %p is held by this thread", kName, handle);
    KIRQL irql;
    KeAcquireSpinLock(&lock->lock, &irql);
    lock->previous = irql;
    lock->owner = KeGetCurrentThread();
}

WDF_API(VOID, WdfSpinLockRelease, (PWDF_DRIVER_GLOBALS pub, WDFSPINLOCK handle)) {
    WDF_ENTER(WdfSpinLockRelease, DISPATCH_LEVEL);
    auto *lock = From<SpinLock>(globals, handle, kName);
    if (lock->owner != KeGetCurrentThread())
        Stop(kInvalidLock, handle, 0, "%s: %p isn't held by this thread", kName, handle);
    KIRQL irql = lock->previous;
    lock->owner = nullptr;
    KeReleaseSpinLock(&lock->lock, irql);
}

WDF_API(NTSTATUS, WdfWaitLockCreate,
        (PWDF_DRIVER_GLOBALS pub, PWDF_OBJECT_ATTRIBUTES attributes, WDFWAITLOCK *out)) {
    WDF_ENTER(WdfWaitLockCreate, DISPATCH_LEVEL);
    CheckNotNull(out, kName, "Lock");
    *out = nullptr;
    NTSTATUS status = CheckAttributes(globals, attributes, kParentOptional);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    auto *lock = New<WaitLock>(globals, Type::WaitLock);
    if (!lock)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeInitializeEvent(&lock->available, SynchronizationEvent, TRUE);
    status = FinishCreate(globals, lock, ParentOf(globals, attributes, DriverObject(globals)),
                          attributes);
    if (NT_SUCCESS(status))
        *out = lock->HandleAs<WDFWAITLOCK>();
    return status;
}

WDF_API(NTSTATUS, WdfWaitLockAcquire,
        (PWDF_DRIVER_GLOBALS pub, WDFWAITLOCK handle, PLONGLONG timeout)) {
    // A timeout of 0 never waits, which DISPATCH_LEVEL allows.
    WDF_ENTER(WdfWaitLockAcquire, timeout && *timeout == 0 ? DISPATCH_LEVEL : APC_LEVEL);
    auto *lock = From<WaitLock>(globals, handle, kName);
    if (lock->owner == KeGetCurrentThread())
        Stop(kRecursiveLock, handle, 0, "%s: %p is held by this thread", kName, handle);
    // The holder must not be suspended, as documented for the framework.
    bool region = KeGetCurrentIrql() <= APC_LEVEL;
    if (region)
        KeEnterCriticalRegion();
    LARGE_INTEGER due;
    due.QuadPart = timeout ? *timeout : 0;
    NTSTATUS status = KeWaitForSingleObject(&lock->available, Executive, KernelMode, FALSE,
                                            timeout ? &due : nullptr);
    if (status != STATUS_SUCCESS) {
        if (region)
            KeLeaveCriticalRegion();
        return status;
    }
    lock->owner = KeGetCurrentThread();
    lock->region = region;
    return STATUS_SUCCESS;
}

WDF_API(VOID, WdfWaitLockRelease, (PWDF_DRIVER_GLOBALS pub, WDFWAITLOCK handle)) {
    WDF_ENTER(WdfWaitLockRelease, DISPATCH_LEVEL);
    auto *lock = From<WaitLock>(globals, handle, kName);
    if (lock->owner != KeGetCurrentThread())
        Stop(kInvalidLock, handle, 0, "%s: %p isn't held by this thread", kName, handle);
    bool region = lock->region;
    lock->owner = nullptr;
    KeSetEvent(&lock->available, IO_NO_INCREMENT, FALSE);
    if (region)
        KeLeaveCriticalRegion();
}
