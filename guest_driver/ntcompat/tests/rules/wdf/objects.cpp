// SPDX-License-Identifier: MIT
//
// Objects, handles, locks: no device is needed.
#include "wdfrules.h"

NTSTATUS CreateObject(PWDF_OBJECT_ATTRIBUTES attributes, WDFOBJECT *object) {
    typedef NTSTATUS NTAPI CREATE(PWDF_DRIVER_GLOBALS globals, PWDF_OBJECT_ATTRIBUTES attributes,
                                  WDFOBJECT * object);
    auto *create = (CREATE *)WdfFunctions[WdfObjectCreateTableIndex];
    return create(WdfDriverGlobals, attributes, object);
}

static NTSTATUS NewObject(WDFOBJECT *object) {
    return CreateObject(WDF_NO_OBJECT_ATTRIBUTES, object);
}

// WDFLDR.SYS of ntcompat has no I/O targets; Windows' has.
static NTSTATUS Missing(WDFDRIVER) {
    typedef NTSTATUS NTAPI CREATE(PWDF_DRIVER_GLOBALS globals, WDFDEVICE device,
                                  PWDF_OBJECT_ATTRIBUTES attributes, WDFIOTARGET * target);
    WDFIOTARGET target;
    auto *create = (CREATE *)WdfFunctions[WdfIoTargetCreateTableIndex];
    return create(WdfDriverGlobals, nullptr, WDF_NO_OBJECT_ATTRIBUTES, &target);
}

static NTSTATUS WrongType(WDFDRIVER driver) {
    WdfSpinLockAcquire((WDFSPINLOCK)driver);
    return STATUS_SUCCESS;
}

static NTSTATUS NullHandle(WDFDRIVER) {
    WdfSpinLockAcquire(nullptr);
    return STATUS_SUCCESS;
}

static NTSTATUS NotAHandle(WDFDRIVER) {
    WdfObjectDelete((WDFOBJECT)(LONG_PTR)0x1230);
    return STATUS_SUCCESS;
}

static NTSTATUS DeletedTwice(WDFDRIVER) {
    WDFOBJECT object;
    NTSTATUS status = NewObject(&object);
    if (!NT_SUCCESS(status))
        return status;
    WdfObjectReference(object); // its memory stays
    WdfObjectDelete(object);
    WdfObjectDelete(object);
    return STATUS_SUCCESS;
}

static NTSTATUS UsedDeleted(WDFDRIVER) {
    WDFOBJECT object;
    NTSTATUS status = NewObject(&object);
    if (!NT_SUCCESS(status))
        return status;
    WdfObjectDelete(object);
    WdfObjectReference(object);
    return STATUS_SUCCESS;
}

static NTSTATUS OverDereference(WDFDRIVER) {
    WDFOBJECT object;
    NTSTATUS status = NewObject(&object);
    if (!NT_SUCCESS(status))
        return status;
    WdfObjectDereference(object);
    return STATUS_SUCCESS;
}

static NTSTATUS DeleteDriver(WDFDRIVER driver) {
    WdfObjectDelete(driver);
    return STATUS_SUCCESS;
}

static NTSTATUS Leak(WDFDRIVER) {
    WDFOBJECT object;
    NTSTATUS status = NewObject(&object);
    if (NT_SUCCESS(status))
        WdfObjectReference(object);
    return status;
}

static NTSTATUS SpinHigh(WDFDRIVER) {
    WDFSPINLOCK lock;
    NTSTATUS status = WdfSpinLockCreate(WDF_NO_OBJECT_ATTRIBUTES, &lock);
    if (!NT_SUCCESS(status))
        return status;
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL + 1, &irql);
    WdfSpinLockAcquire(lock);
    return STATUS_SUCCESS;
}

static NTSTATUS SpinRecursive(WDFDRIVER) {
    WDFSPINLOCK lock;
    NTSTATUS status = WdfSpinLockCreate(WDF_NO_OBJECT_ATTRIBUTES, &lock);
    if (!NT_SUCCESS(status))
        return status;
    WdfSpinLockAcquire(lock);
    WdfSpinLockAcquire(lock);
    return STATUS_SUCCESS;
}

static NTSTATUS SpinNotHeld(WDFDRIVER) {
    WDFSPINLOCK lock;
    NTSTATUS status = WdfSpinLockCreate(WDF_NO_OBJECT_ATTRIBUTES, &lock);
    if (NT_SUCCESS(status))
        WdfSpinLockRelease(lock);
    return status;
}

static NTSTATUS WaitHigh(WDFDRIVER) {
    WDFWAITLOCK lock;
    NTSTATUS status = WdfWaitLockCreate(WDF_NO_OBJECT_ATTRIBUTES, &lock);
    if (!NT_SUCCESS(status))
        return status;
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    return WdfWaitLockAcquire(lock, nullptr);
}

// ---- legal ----------------------------------------------------------------------------

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            DbgPrint("wdfrules: %s, line %u\n", #condition, __LINE__);                             \
            return STATUS_UNSUCCESSFUL;                                                            \
        }                                                                                          \
    } while (0)

static VOID NTAPI NoTimer(WDFTIMER) {}

// Refused with a status, the system stays up.
static NTSTATUS Statuses(WDFDRIVER driver) {
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFOBJECT object;
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.Size--;
    CHECK(CreateObject(&attributes, &object) == STATUS_INFO_LENGTH_MISMATCH);
    WDF_TIMER_CONFIG config;
    WDFTIMER timer;
    WDF_TIMER_CONFIG_INIT(&config, NoTimer);
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    // STATUS_WDF_PARENT_NOT_SPECIFIED
    CHECK(WdfTimerCreate(&config, &attributes, &timer) == (NTSTATUS)0xC0200212);
    attributes.ParentObject = driver; // no device
    CHECK(WdfTimerCreate(&config, &attributes, &timer) == STATUS_INVALID_DEVICE_REQUEST);
    config.Size++;
    CHECK(WdfTimerCreate(&config, &attributes, &timer) == STATUS_INFO_LENGTH_MISMATCH);
    return STATUS_SUCCESS;
}

static ULONG Cleanups;

static VOID NTAPI CountCleanup(WDFOBJECT) {
    Cleanups++;
}

static NTSTATUS Objects(WDFDRIVER) {
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFOBJECT parent, child;
    WDFSPINLOCK lock;
    WDFWAITLOCK wait;
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.EvtCleanupCallback = CountCleanup;
    CHECK(NT_SUCCESS(CreateObject(&attributes, &parent)));
    attributes.ParentObject = parent;
    CHECK(NT_SUCCESS(CreateObject(&attributes, &child)));
    WdfObjectReference(child);
    WdfObjectDelete(parent);
    CHECK(Cleanups == 2);
    WdfObjectDereference(child);
    CHECK(NT_SUCCESS(WdfSpinLockCreate(WDF_NO_OBJECT_ATTRIBUTES, &lock)));
    WdfSpinLockAcquire(lock);
    CHECK(KeGetCurrentIrql() == DISPATCH_LEVEL);
    WdfSpinLockRelease(lock);
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL);
    CHECK(NT_SUCCESS(WdfWaitLockCreate(WDF_NO_OBJECT_ATTRIBUTES, &wait)));
    CHECK(WdfWaitLockAcquire(wait, nullptr) == STATUS_SUCCESS);
    WdfWaitLockRelease(wait);
    WdfObjectDelete(wait);
    return STATUS_SUCCESS; // the driver object takes the spin lock with it
}

const WdfCase ObjectCases[] = {
    {"not-implemented", Missing, nullptr},
    {"handle-wrong-type", WrongType, nullptr},
    {"handle-null", NullHandle, nullptr},
    {"handle-not-one", NotAHandle, nullptr},
    {"object-deleted-twice", DeletedTwice, nullptr},
    {"object-used-deleted", UsedDeleted, nullptr},
    {"object-over-dereference", OverDereference, nullptr},
    {"object-delete-driver", DeleteDriver, nullptr},
    {"object-leak", Leak, nullptr},
    {"spin-high", SpinHigh, nullptr},
    {"spin-recursive", SpinRecursive, nullptr},
    {"spin-not-held", SpinNotHeld, nullptr},
    {"wait-lock-high", WaitHigh, nullptr},
    {"control-statuses", Statuses, nullptr},
    {"control-objects", Objects, nullptr},
    {nullptr, nullptr, nullptr},
};
