/* SPDX-License-Identifier: MIT */
/*
 * I/O requests.
 */
#ifndef KMDF_WDF_REQUEST_H_
#define KMDF_WDF_REQUEST_H_

#include "wdf_object.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum _WDF_REQUEST_TYPE {
    WdfRequestTypeCreate = 0x0,
    WdfRequestTypeClose = 0x2,
    WdfRequestTypeRead = 0x3,
    WdfRequestTypeWrite = 0x4,
    WdfRequestTypeDeviceControl = 0xE,
    WdfRequestTypeDeviceControlInternal = 0xF,
    WdfRequestTypeCleanup = 0x12,
    WdfRequestTypeOther = 0x1C,
    WdfRequestTypeUsb = 0x40,
    WdfRequestTypeNoFormat = 0xFF,
    WdfRequestTypeMax
} WDF_REQUEST_TYPE;

typedef enum _WDF_REQUEST_STOP_ACTION_FLAGS {
    WdfRequestStopActionInvalid = 0,
    WdfRequestStopActionSuspend = 0x1,
    WdfRequestStopActionPurge = 0x2,
    WdfRequestStopRequestCancelable = 0x10000000
} WDF_REQUEST_STOP_ACTION_FLAGS;

typedef struct _WDF_REQUEST_PARAMETERS {
    USHORT Size;
    UCHAR MinorFunction;
    WDF_REQUEST_TYPE Type;
    union {
        struct {
            PIO_SECURITY_CONTEXT SecurityContext;
            ULONG Options;
            USHORT POINTER_ALIGNMENT FileAttributes;
            USHORT ShareAccess;
            ULONG POINTER_ALIGNMENT EaLength;
        } Create;
        struct {
            size_t Length;
            ULONG POINTER_ALIGNMENT Key;
            LONGLONG DeviceOffset;
        } Read;
        struct {
            size_t Length;
            ULONG POINTER_ALIGNMENT Key;
            LONGLONG DeviceOffset;
        } Write;
        struct {
            size_t OutputBufferLength;
            size_t POINTER_ALIGNMENT InputBufferLength;
            ULONG POINTER_ALIGNMENT IoControlCode;
            PVOID Type3InputBuffer;
        } DeviceIoControl;
        struct {
            PVOID Arg1;
            PVOID Arg2;
            ULONG POINTER_ALIGNMENT IoControlCode;
            PVOID Arg4;
        } Others;
    } Parameters;
} WDF_REQUEST_PARAMETERS, *PWDF_REQUEST_PARAMETERS;
KMDF_SIZE(WDF_REQUEST_PARAMETERS, 24, 40);

WDF_INLINE VOID WDF_REQUEST_PARAMETERS_INIT(PWDF_REQUEST_PARAMETERS Parameters) {
    RtlZeroMemory(Parameters, sizeof(*Parameters));
    Parameters->Size = sizeof(*Parameters);
}

typedef VOID NTAPI EVT_WDF_REQUEST_CANCEL(WDFREQUEST Request);
typedef EVT_WDF_REQUEST_CANCEL *PFN_WDF_REQUEST_CANCEL;

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFREQUESTCOMPLETE)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFREQUEST Request,
                                            NTSTATUS Status);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfRequestComplete(WDFREQUEST Request, NTSTATUS Status) {
    WDF_CALL(WDFREQUESTCOMPLETE, WdfRequestComplete)(WdfDriverGlobals, Request, Status);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFREQUESTCOMPLETEWITHINFORMATION)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                           WDFREQUEST Request, NTSTATUS Status,
                                                           ULONG_PTR Information);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfRequestCompleteWithInformation(WDFREQUEST Request, NTSTATUS Status,
                                                  ULONG_PTR Information) {
    WDF_CALL(WDFREQUESTCOMPLETEWITHINFORMATION, WdfRequestCompleteWithInformation)
    (WdfDriverGlobals, Request, Status, Information);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFREQUESTSETINFORMATION)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                  WDFREQUEST Request, ULONG_PTR Information);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfRequestSetInformation(WDFREQUEST Request, ULONG_PTR Information) {
    WDF_CALL(WDFREQUESTSETINFORMATION, WdfRequestSetInformation)
    (WdfDriverGlobals, Request, Information);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFREQUESTGETPARAMETERS)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                 WDFREQUEST Request,
                                                 PWDF_REQUEST_PARAMETERS Parameters);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfRequestGetParameters(WDFREQUEST Request, PWDF_REQUEST_PARAMETERS Parameters) {
    WDF_CALL(WDFREQUESTGETPARAMETERS, WdfRequestGetParameters)
    (WdfDriverGlobals, Request, Parameters);
}
#endif

/* IRQL: <= DISPATCH_LEVEL. STATUS_BUFFER_TOO_SMALL */
typedef NTSTATUS(NTAPI *PFN_WDFREQUESTRETRIEVEINPUTBUFFER)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                           WDFREQUEST Request,
                                                           size_t MinimumRequiredLength,
                                                           PVOID *Buffer, size_t *Length);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfRequestRetrieveInputBuffer(WDFREQUEST Request, size_t MinimumRequiredLength,
                                                  PVOID *Buffer, size_t *Length) {
    return WDF_CALL(WDFREQUESTRETRIEVEINPUTBUFFER, WdfRequestRetrieveInputBuffer)(
        WdfDriverGlobals, Request, MinimumRequiredLength, Buffer, Length);
}
#endif

/* IRQL: <= DISPATCH_LEVEL. STATUS_BUFFER_TOO_SMALL */
typedef NTSTATUS(NTAPI *PFN_WDFREQUESTRETRIEVEOUTPUTBUFFER)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                            WDFREQUEST Request,
                                                            size_t MinimumRequiredSize,
                                                            PVOID *Buffer, size_t *Length);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfRequestRetrieveOutputBuffer(WDFREQUEST Request, size_t MinimumRequiredSize,
                                                   PVOID *Buffer, size_t *Length) {
    return WDF_CALL(WDFREQUESTRETRIEVEOUTPUTBUFFER, WdfRequestRetrieveOutputBuffer)(
        WdfDriverGlobals, Request, MinimumRequiredSize, Buffer, Length);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFREQUESTRETRIEVEINPUTWDMMDL)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                           WDFREQUEST Request, PMDL *Mdl);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfRequestRetrieveInputWdmMdl(WDFREQUEST Request, PMDL *Mdl) {
    return WDF_CALL(WDFREQUESTRETRIEVEINPUTWDMMDL, WdfRequestRetrieveInputWdmMdl)(WdfDriverGlobals,
                                                                                  Request, Mdl);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFREQUESTRETRIEVEOUTPUTWDMMDL)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                            WDFREQUEST Request, PMDL *Mdl);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfRequestRetrieveOutputWdmMdl(WDFREQUEST Request, PMDL *Mdl) {
    return WDF_CALL(WDFREQUESTRETRIEVEOUTPUTWDMMDL,
                    WdfRequestRetrieveOutputWdmMdl)(WdfDriverGlobals, Request, Mdl);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFREQUESTFORWARDTOIOQUEUE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                        WDFREQUEST Request,
                                                        WDFQUEUE DestinationQueue);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfRequestForwardToIoQueue(WDFREQUEST Request, WDFQUEUE DestinationQueue) {
    return WDF_CALL(WDFREQUESTFORWARDTOIOQUEUE,
                    WdfRequestForwardToIoQueue)(WdfDriverGlobals, Request, DestinationQueue);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef WDFQUEUE(NTAPI *PFN_WDFREQUESTGETIOQUEUE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                  WDFREQUEST Request);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE WDFQUEUE WdfRequestGetIoQueue(WDFREQUEST Request) {
    return WDF_CALL(WDFREQUESTGETIOQUEUE, WdfRequestGetIoQueue)(WdfDriverGlobals, Request);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFREQUESTMARKCANCELABLE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                  WDFREQUEST Request,
                                                  PFN_WDF_REQUEST_CANCEL EvtRequestCancel);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfRequestMarkCancelable(WDFREQUEST Request,
                                         PFN_WDF_REQUEST_CANCEL EvtRequestCancel) {
    WDF_CALL(WDFREQUESTMARKCANCELABLE, WdfRequestMarkCancelable)
    (WdfDriverGlobals, Request, EvtRequestCancel);
}
#endif

/* IRQL: <= DISPATCH_LEVEL. STATUS_CANCELLED: the caller completes it */
typedef NTSTATUS(NTAPI *PFN_WDFREQUESTMARKCANCELABLEEX)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                        WDFREQUEST Request,
                                                        PFN_WDF_REQUEST_CANCEL EvtRequestCancel);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfRequestMarkCancelableEx(WDFREQUEST Request,
                                               PFN_WDF_REQUEST_CANCEL EvtRequestCancel) {
    return WDF_CALL(WDFREQUESTMARKCANCELABLEEX,
                    WdfRequestMarkCancelableEx)(WdfDriverGlobals, Request, EvtRequestCancel);
}
#endif

/* IRQL: <= DISPATCH_LEVEL. STATUS_CANCELLED: the callback owns it */
typedef NTSTATUS(NTAPI *PFN_WDFREQUESTUNMARKCANCELABLE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                        WDFREQUEST Request);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfRequestUnmarkCancelable(WDFREQUEST Request) {
    return WDF_CALL(WDFREQUESTUNMARKCANCELABLE, WdfRequestUnmarkCancelable)(WdfDriverGlobals,
                                                                            Request);
}
#endif

/* IRQL: <= DISPATCH_LEVEL; not while it is cancelable */
typedef BOOLEAN(NTAPI *PFN_WDFREQUESTISCANCELED)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                 WDFREQUEST Request);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE BOOLEAN WdfRequestIsCanceled(WDFREQUEST Request) {
    return WDF_CALL(WDFREQUESTISCANCELED, WdfRequestIsCanceled)(WdfDriverGlobals, Request);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFREQUESTSTOPACKNOWLEDGE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                   WDFREQUEST Request, BOOLEAN Requeue);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfRequestStopAcknowledge(WDFREQUEST Request, BOOLEAN Requeue) {
    WDF_CALL(WDFREQUESTSTOPACKNOWLEDGE, WdfRequestStopAcknowledge)
    (WdfDriverGlobals, Request, Requeue);
}
#endif

#ifdef __cplusplus
}
#endif

#endif /* KMDF_WDF_REQUEST_H_ */
