/* SPDX-License-Identifier: MIT */
/*
 * I/O queues.
 */
#ifndef KMDF_WDF_IO_QUEUE_H_
#define KMDF_WDF_IO_QUEUE_H_

#include "wdf_object.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef VOID NTAPI EVT_WDF_IO_QUEUE_IO_DEFAULT(WDFQUEUE Queue, WDFREQUEST Request);
typedef EVT_WDF_IO_QUEUE_IO_DEFAULT *PFN_WDF_IO_QUEUE_IO_DEFAULT;
typedef VOID NTAPI EVT_WDF_IO_QUEUE_IO_READ(WDFQUEUE Queue, WDFREQUEST Request, size_t Length);
typedef EVT_WDF_IO_QUEUE_IO_READ *PFN_WDF_IO_QUEUE_IO_READ;
typedef VOID NTAPI EVT_WDF_IO_QUEUE_IO_WRITE(WDFQUEUE Queue, WDFREQUEST Request, size_t Length);
typedef EVT_WDF_IO_QUEUE_IO_WRITE *PFN_WDF_IO_QUEUE_IO_WRITE;
typedef VOID NTAPI EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL(WDFQUEUE Queue, WDFREQUEST Request,
                                                      size_t OutputBufferLength,
                                                      size_t InputBufferLength,
                                                      ULONG IoControlCode);
typedef EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL *PFN_WDF_IO_QUEUE_IO_DEVICE_CONTROL;
typedef VOID NTAPI EVT_WDF_IO_QUEUE_IO_INTERNAL_DEVICE_CONTROL(WDFQUEUE Queue, WDFREQUEST Request,
                                                               size_t OutputBufferLength,
                                                               size_t InputBufferLength,
                                                               ULONG IoControlCode);
typedef EVT_WDF_IO_QUEUE_IO_INTERNAL_DEVICE_CONTROL *PFN_WDF_IO_QUEUE_IO_INTERNAL_DEVICE_CONTROL;
typedef VOID NTAPI EVT_WDF_IO_QUEUE_IO_STOP(WDFQUEUE Queue, WDFREQUEST Request, ULONG ActionFlags);
typedef EVT_WDF_IO_QUEUE_IO_STOP *PFN_WDF_IO_QUEUE_IO_STOP;
typedef VOID NTAPI EVT_WDF_IO_QUEUE_IO_RESUME(WDFQUEUE Queue, WDFREQUEST Request);
typedef EVT_WDF_IO_QUEUE_IO_RESUME *PFN_WDF_IO_QUEUE_IO_RESUME;
typedef VOID NTAPI EVT_WDF_IO_QUEUE_IO_CANCELED_ON_QUEUE(WDFQUEUE Queue, WDFREQUEST Request);
typedef EVT_WDF_IO_QUEUE_IO_CANCELED_ON_QUEUE *PFN_WDF_IO_QUEUE_IO_CANCELED_ON_QUEUE;
typedef VOID NTAPI EVT_WDF_IO_QUEUE_STATE(WDFQUEUE Queue, WDFCONTEXT Context);
typedef EVT_WDF_IO_QUEUE_STATE *PFN_WDF_IO_QUEUE_STATE;

typedef enum _WDF_IO_QUEUE_DISPATCH_TYPE {
    WdfIoQueueDispatchInvalid = 0,
    WdfIoQueueDispatchSequential,
    WdfIoQueueDispatchParallel,
    WdfIoQueueDispatchManual,
    WdfIoQueueDispatchMax
} WDF_IO_QUEUE_DISPATCH_TYPE;

/* 1.9: with Settings, without the later Driver member. */
typedef struct _WDF_IO_QUEUE_CONFIG {
    ULONG Size;
    WDF_IO_QUEUE_DISPATCH_TYPE DispatchType;
    WDF_TRI_STATE PowerManaged;
    BOOLEAN AllowZeroLengthRequests;
    BOOLEAN DefaultQueue;
    PFN_WDF_IO_QUEUE_IO_DEFAULT EvtIoDefault;
    PFN_WDF_IO_QUEUE_IO_READ EvtIoRead;
    PFN_WDF_IO_QUEUE_IO_WRITE EvtIoWrite;
    PFN_WDF_IO_QUEUE_IO_DEVICE_CONTROL EvtIoDeviceControl;
    PFN_WDF_IO_QUEUE_IO_INTERNAL_DEVICE_CONTROL EvtIoInternalDeviceControl;
    PFN_WDF_IO_QUEUE_IO_STOP EvtIoStop;
    PFN_WDF_IO_QUEUE_IO_RESUME EvtIoResume;
    PFN_WDF_IO_QUEUE_IO_CANCELED_ON_QUEUE EvtIoCanceledOnQueue;
    union {
        struct {
            ULONG NumberOfPresentedRequests;
        } Parallel;
    } Settings;
} WDF_IO_QUEUE_CONFIG, *PWDF_IO_QUEUE_CONFIG;
KMDF_SIZE(WDF_IO_QUEUE_CONFIG, 52, 88);

WDF_INLINE VOID WDF_IO_QUEUE_CONFIG_INIT(PWDF_IO_QUEUE_CONFIG Config,
                                         WDF_IO_QUEUE_DISPATCH_TYPE DispatchType) {
    RtlZeroMemory(Config, sizeof(*Config));
    Config->Size = sizeof(*Config);
    Config->PowerManaged = WdfUseDefault;
    Config->DispatchType = DispatchType;
    if (DispatchType == WdfIoQueueDispatchParallel) {
        Config->Settings.Parallel.NumberOfPresentedRequests = (ULONG)-1; /* no limit */
    }
}

WDF_INLINE VOID WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(PWDF_IO_QUEUE_CONFIG Config,
                                                       WDF_IO_QUEUE_DISPATCH_TYPE DispatchType) {
    WDF_IO_QUEUE_CONFIG_INIT(Config, DispatchType);
    Config->DefaultQueue = TRUE;
}

/* IRQL: <= DISPATCH_LEVEL. Queue may be NULL */
typedef NTSTATUS(NTAPI *PFN_WDFIOQUEUECREATE)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFDEVICE Device,
                                              PWDF_IO_QUEUE_CONFIG Config,
                                              PWDF_OBJECT_ATTRIBUTES QueueAttributes,
                                              WDFQUEUE *Queue);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfIoQueueCreate(WDFDEVICE Device, PWDF_IO_QUEUE_CONFIG Config,
                                     PWDF_OBJECT_ATTRIBUTES QueueAttributes, WDFQUEUE *Queue) {
    return WDF_CALL(WDFIOQUEUECREATE, WdfIoQueueCreate)(WdfDriverGlobals, Device, Config,
                                                        QueueAttributes, Queue);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef WDFDEVICE(NTAPI *PFN_WDFIOQUEUEGETDEVICE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                  WDFQUEUE Queue);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE WDFDEVICE WdfIoQueueGetDevice(WDFQUEUE Queue) {
    return WDF_CALL(WDFIOQUEUEGETDEVICE, WdfIoQueueGetDevice)(WdfDriverGlobals, Queue);
}
#endif

/* IRQL: <= DISPATCH_LEVEL. STATUS_NO_MORE_ENTRIES, STATUS_WDF_PAUSED */
typedef NTSTATUS(NTAPI *PFN_WDFIOQUEUERETRIEVENEXTREQUEST)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                           WDFQUEUE Queue, WDFREQUEST *OutRequest);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfIoQueueRetrieveNextRequest(WDFQUEUE Queue, WDFREQUEST *OutRequest) {
    return WDF_CALL(WDFIOQUEUERETRIEVENEXTREQUEST,
                    WdfIoQueueRetrieveNextRequest)(WdfDriverGlobals, Queue, OutRequest);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFIOQUEUESTART)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfIoQueueStart(WDFQUEUE Queue) {
    WDF_CALL(WDFIOQUEUESTART, WdfIoQueueStart)(WdfDriverGlobals, Queue);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFIOQUEUESTOP)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue,
                                        PFN_WDF_IO_QUEUE_STATE StopComplete, WDFCONTEXT Context);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfIoQueueStop(WDFQUEUE Queue, PFN_WDF_IO_QUEUE_STATE StopComplete,
                               WDFCONTEXT Context) {
    WDF_CALL(WDFIOQUEUESTOP, WdfIoQueueStop)(WdfDriverGlobals, Queue, StopComplete, Context);
}
#endif

/* IRQL: PASSIVE_LEVEL */
typedef VOID(NTAPI *PFN_WDFIOQUEUESTOPSYNCHRONOUSLY)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                     WDFQUEUE Queue);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfIoQueueStopSynchronously(WDFQUEUE Queue) {
    WDF_CALL(WDFIOQUEUESTOPSYNCHRONOUSLY, WdfIoQueueStopSynchronously)(WdfDriverGlobals, Queue);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFIOQUEUEPURGE)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue,
                                         PFN_WDF_IO_QUEUE_STATE PurgeComplete, WDFCONTEXT Context);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfIoQueuePurge(WDFQUEUE Queue, PFN_WDF_IO_QUEUE_STATE PurgeComplete,
                                WDFCONTEXT Context) {
    WDF_CALL(WDFIOQUEUEPURGE, WdfIoQueuePurge)(WdfDriverGlobals, Queue, PurgeComplete, Context);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFIOQUEUEREADYNOTIFY)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                   WDFQUEUE Queue,
                                                   PFN_WDF_IO_QUEUE_STATE QueueReady,
                                                   WDFCONTEXT Context);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfIoQueueReadyNotify(WDFQUEUE Queue, PFN_WDF_IO_QUEUE_STATE QueueReady,
                                          WDFCONTEXT Context) {
    return WDF_CALL(WDFIOQUEUEREADYNOTIFY, WdfIoQueueReadyNotify)(WdfDriverGlobals, Queue,
                                                                  QueueReady, Context);
}
#endif

#ifdef __cplusplus
}
#endif

#endif /* KMDF_WDF_IO_QUEUE_H_ */
