/* SPDX-License-Identifier: MIT */
/*
 * Locks, timers, work items and memory objects.
 */
#ifndef KMDF_WDF_SYNC_H_
#define KMDF_WDF_SYNC_H_

#include "wdf_object.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef VOID NTAPI EVT_WDF_TIMER(WDFTIMER Timer);
typedef EVT_WDF_TIMER *PFN_WDF_TIMER;

/* 1.9: with TolerableDelay, without the later UseHighResolutionTimer. */
typedef struct _WDF_TIMER_CONFIG {
    ULONG Size;
    PFN_WDF_TIMER EvtTimerFunc;
    ULONG Period; /* milliseconds; 0: once */
    BOOLEAN AutomaticSerialization;
    ULONG TolerableDelay;
} WDF_TIMER_CONFIG, *PWDF_TIMER_CONFIG;
KMDF_SIZE(WDF_TIMER_CONFIG, 20, 32);

WDF_INLINE VOID WDF_TIMER_CONFIG_INIT(PWDF_TIMER_CONFIG Config, PFN_WDF_TIMER EvtTimerFunc) {
    RtlZeroMemory(Config, sizeof(*Config));
    Config->Size = sizeof(*Config);
    Config->EvtTimerFunc = EvtTimerFunc;
    Config->AutomaticSerialization = TRUE;
}

/* Relative due times and timeouts are negative, in units of 100 ns. */
WDF_INLINE LONGLONG WDF_REL_TIMEOUT_IN_MS(ULONGLONG Milliseconds) {
    return -(LONGLONG)(Milliseconds * 10000);
}

typedef VOID NTAPI EVT_WDF_WORKITEM(WDFWORKITEM WorkItem);
typedef EVT_WDF_WORKITEM *PFN_WDF_WORKITEM;

typedef struct _WDF_WORKITEM_CONFIG {
    ULONG Size;
    PFN_WDF_WORKITEM EvtWorkItemFunc;
    BOOLEAN AutomaticSerialization;
} WDF_WORKITEM_CONFIG, *PWDF_WORKITEM_CONFIG;
KMDF_SIZE(WDF_WORKITEM_CONFIG, 12, 24);

WDF_INLINE VOID WDF_WORKITEM_CONFIG_INIT(PWDF_WORKITEM_CONFIG Config,
                                         PFN_WDF_WORKITEM EvtWorkItemFunc) {
    RtlZeroMemory(Config, sizeof(*Config));
    Config->Size = sizeof(*Config);
    Config->EvtWorkItemFunc = EvtWorkItemFunc;
    Config->AutomaticSerialization = TRUE;
}

/* IRQL: <= DISPATCH_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFSPINLOCKCREATE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                               PWDF_OBJECT_ATTRIBUTES SpinLockAttributes,
                                               WDFSPINLOCK *SpinLock);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfSpinLockCreate(PWDF_OBJECT_ATTRIBUTES SpinLockAttributes,
                                      WDFSPINLOCK *SpinLock) {
    return WDF_CALL(WDFSPINLOCKCREATE, WdfSpinLockCreate)(WdfDriverGlobals, SpinLockAttributes,
                                                          SpinLock);
}
#endif

/* IRQL: <= DISPATCH_LEVEL, returns at DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFSPINLOCKACQUIRE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                            WDFSPINLOCK SpinLock);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfSpinLockAcquire(WDFSPINLOCK SpinLock) {
    WDF_CALL(WDFSPINLOCKACQUIRE, WdfSpinLockAcquire)(WdfDriverGlobals, SpinLock);
}
#endif

/* IRQL: DISPATCH_LEVEL, returns at the IRQL before the acquire */
typedef VOID(NTAPI *PFN_WDFSPINLOCKRELEASE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                            WDFSPINLOCK SpinLock);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfSpinLockRelease(WDFSPINLOCK SpinLock) {
    WDF_CALL(WDFSPINLOCKRELEASE, WdfSpinLockRelease)(WdfDriverGlobals, SpinLock);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFWAITLOCKCREATE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                               PWDF_OBJECT_ATTRIBUTES LockAttributes,
                                               WDFWAITLOCK *Lock);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfWaitLockCreate(PWDF_OBJECT_ATTRIBUTES LockAttributes, WDFWAITLOCK *Lock) {
    return WDF_CALL(WDFWAITLOCKCREATE, WdfWaitLockCreate)(WdfDriverGlobals, LockAttributes, Lock);
}
#endif

/* IRQL: PASSIVE_LEVEL; <= DISPATCH_LEVEL with a timeout of 0 */
typedef NTSTATUS(NTAPI *PFN_WDFWAITLOCKACQUIRE)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFWAITLOCK Lock,
                                                PLONGLONG Timeout);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfWaitLockAcquire(WDFWAITLOCK Lock, PLONGLONG Timeout) {
    return WDF_CALL(WDFWAITLOCKACQUIRE, WdfWaitLockAcquire)(WdfDriverGlobals, Lock, Timeout);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFWAITLOCKRELEASE)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFWAITLOCK Lock);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfWaitLockRelease(WDFWAITLOCK Lock) {
    WDF_CALL(WDFWAITLOCKRELEASE, WdfWaitLockRelease)(WdfDriverGlobals, Lock);
}
#endif

/* IRQL: <= DISPATCH_LEVEL. A parent object is required */
typedef NTSTATUS(NTAPI *PFN_WDFTIMERCREATE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                            PWDF_TIMER_CONFIG Config,
                                            PWDF_OBJECT_ATTRIBUTES Attributes, WDFTIMER *Timer);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfTimerCreate(PWDF_TIMER_CONFIG Config, PWDF_OBJECT_ATTRIBUTES Attributes,
                                   WDFTIMER *Timer) {
    return WDF_CALL(WDFTIMERCREATE, WdfTimerCreate)(WdfDriverGlobals, Config, Attributes, Timer);
}
#endif

/* IRQL: <= DISPATCH_LEVEL. TRUE: it was queued already */
typedef BOOLEAN(NTAPI *PFN_WDFTIMERSTART)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFTIMER Timer,
                                          LONGLONG DueTime);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE BOOLEAN WdfTimerStart(WDFTIMER Timer, LONGLONG DueTime) {
    return WDF_CALL(WDFTIMERSTART, WdfTimerStart)(WdfDriverGlobals, Timer, DueTime);
}
#endif

/* IRQL: <= DISPATCH_LEVEL; PASSIVE_LEVEL with Wait */
typedef BOOLEAN(NTAPI *PFN_WDFTIMERSTOP)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFTIMER Timer,
                                         BOOLEAN Wait);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE BOOLEAN WdfTimerStop(WDFTIMER Timer, BOOLEAN Wait) {
    return WDF_CALL(WDFTIMERSTOP, WdfTimerStop)(WdfDriverGlobals, Timer, Wait);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef WDFOBJECT(NTAPI *PFN_WDFTIMERGETPARENTOBJECT)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                      WDFTIMER Timer);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE WDFOBJECT WdfTimerGetParentObject(WDFTIMER Timer) {
    return WDF_CALL(WDFTIMERGETPARENTOBJECT, WdfTimerGetParentObject)(WdfDriverGlobals, Timer);
}
#endif

/* IRQL: <= DISPATCH_LEVEL. A parent object is required */
typedef NTSTATUS(NTAPI *PFN_WDFWORKITEMCREATE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                               PWDF_WORKITEM_CONFIG Config,
                                               PWDF_OBJECT_ATTRIBUTES Attributes,
                                               WDFWORKITEM *WorkItem);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfWorkItemCreate(PWDF_WORKITEM_CONFIG Config,
                                      PWDF_OBJECT_ATTRIBUTES Attributes, WDFWORKITEM *WorkItem) {
    return WDF_CALL(WDFWORKITEMCREATE, WdfWorkItemCreate)(WdfDriverGlobals, Config, Attributes,
                                                          WorkItem);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFWORKITEMENQUEUE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                            WDFWORKITEM WorkItem);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfWorkItemEnqueue(WDFWORKITEM WorkItem) {
    WDF_CALL(WDFWORKITEMENQUEUE, WdfWorkItemEnqueue)(WdfDriverGlobals, WorkItem);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef WDFOBJECT(NTAPI *PFN_WDFWORKITEMGETPARENTOBJECT)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                         WDFWORKITEM WorkItem);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE WDFOBJECT WdfWorkItemGetParentObject(WDFWORKITEM WorkItem) {
    return WDF_CALL(WDFWORKITEMGETPARENTOBJECT, WdfWorkItemGetParentObject)(WdfDriverGlobals,
                                                                            WorkItem);
}
#endif

/* IRQL: PASSIVE_LEVEL */
typedef VOID(NTAPI *PFN_WDFWORKITEMFLUSH)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFWORKITEM WorkItem);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfWorkItemFlush(WDFWORKITEM WorkItem) {
    WDF_CALL(WDFWORKITEMFLUSH, WdfWorkItemFlush)(WdfDriverGlobals, WorkItem);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFMEMORYCREATE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                             PWDF_OBJECT_ATTRIBUTES Attributes, POOL_TYPE PoolType,
                                             ULONG PoolTag, size_t BufferSize, WDFMEMORY *Memory,
                                             PVOID *Buffer);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfMemoryCreate(PWDF_OBJECT_ATTRIBUTES Attributes, POOL_TYPE PoolType,
                                    ULONG PoolTag, size_t BufferSize, WDFMEMORY *Memory,
                                    PVOID *Buffer) {
    return WDF_CALL(WDFMEMORYCREATE, WdfMemoryCreate)(WdfDriverGlobals, Attributes, PoolType,
                                                      PoolTag, BufferSize, Memory, Buffer);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef PVOID(NTAPI *PFN_WDFMEMORYGETBUFFER)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFMEMORY Memory,
                                             size_t *BufferSize);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE PVOID WdfMemoryGetBuffer(WDFMEMORY Memory, size_t *BufferSize) {
    return WDF_CALL(WDFMEMORYGETBUFFER, WdfMemoryGetBuffer)(WdfDriverGlobals, Memory, BufferSize);
}
#endif

#ifdef __cplusplus
}
#endif

#endif /* KMDF_WDF_SYNC_H_ */
