// SPDX-License-Identifier: MIT
//
// Types of KMDF 1.9 that WDFLDR.SYS offers beyond the subset declared in
// guest_driver/kmdf, with Microsoft's names, values and layouts.
#ifndef NTC_WDF_MORE_H_
#define NTC_WDF_MORE_H_

#include "wdf.h"
#include "wdf_bind.h"

typedef VOID NTAPI EVT_WDF_DPC(WDFDPC Dpc);
typedef EVT_WDF_DPC *PFN_WDF_DPC;

typedef struct _WDF_DPC_CONFIG {
    ULONG Size;
    PFN_WDF_DPC EvtDpcFunc;
    BOOLEAN AutomaticSerialization;
} WDF_DPC_CONFIG, *PWDF_DPC_CONFIG;

typedef VOID NTAPI EVT_WDF_DEVICE_FILE_CREATE(WDFDEVICE Device, WDFREQUEST Request,
                                              WDFFILEOBJECT FileObject);
typedef EVT_WDF_DEVICE_FILE_CREATE *PFN_WDF_DEVICE_FILE_CREATE;
typedef VOID NTAPI EVT_WDF_FILE_CLOSE(WDFFILEOBJECT FileObject);
typedef EVT_WDF_FILE_CLOSE *PFN_WDF_FILE_CLOSE;
typedef VOID NTAPI EVT_WDF_FILE_CLEANUP(WDFFILEOBJECT FileObject);
typedef EVT_WDF_FILE_CLEANUP *PFN_WDF_FILE_CLEANUP;

typedef enum _WDF_FILEOBJECT_CLASS {
    WdfFileObjectInvalid = 0,
    WdfFileObjectNotRequired = 1,
    WdfFileObjectWdfCanUseFsContext = 2,
    WdfFileObjectWdfCanUseFsContext2 = 3,
    WdfFileObjectWdfCannotUseFsContexts = 4,
    WdfFileObjectCanBeOptional = 0x80000000,
} WDF_FILEOBJECT_CLASS;

typedef struct _WDF_FILEOBJECT_CONFIG {
    ULONG Size;
    PFN_WDF_DEVICE_FILE_CREATE EvtDeviceFileCreate;
    PFN_WDF_FILE_CLOSE EvtFileClose;
    PFN_WDF_FILE_CLEANUP EvtFileCleanup;
    WDF_TRI_STATE AutoForwardCleanupClose;
    WDF_FILEOBJECT_CLASS FileObjectClass;
} WDF_FILEOBJECT_CONFIG, *PWDF_FILEOBJECT_CONFIG;

typedef enum _WDF_IO_QUEUE_STATE {
    WdfIoQueueAcceptRequests = 0x01,
    WdfIoQueueDispatchRequests = 0x02,
    WdfIoQueueNoRequests = 0x04,
    WdfIoQueueDriverNoRequests = 0x08,
    WdfIoQueuePnpHeld = 0x10,
} WDF_IO_QUEUE_STATE;

// wdfstatus.h
#define WDFLDR_STATUS(code) (static_cast<NTSTATUS>(0xC0200000u | (code)))
#ifndef STATUS_WDF_PAUSED
#define STATUS_WDF_PAUSED WDFLDR_STATUS(0x203)
#define STATUS_WDF_BUSY WDFLDR_STATUS(0x204)
#define STATUS_WDF_REQUEST_ALREADY_PENDING WDFLDR_STATUS(0x207)
#define STATUS_WDF_REQUEST_INVALID_STATE WDFLDR_STATUS(0x208)
#define STATUS_WDF_OBJECT_ATTRIBUTES_INVALID WDFLDR_STATUS(0x209)
#define STATUS_WDF_NO_CALLBACK WDFLDR_STATUS(0x20B)
#define STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL WDFLDR_STATUS(0x20C)
#define STATUS_WDF_PARENT_ALREADY_ASSIGNED WDFLDR_STATUS(0x20D)
#define STATUS_WDF_PARENT_ASSIGNMENT_NOT_ALLOWED WDFLDR_STATUS(0x20F)
#define STATUS_WDF_SYNCHRONIZATION_SCOPE_INVALID WDFLDR_STATUS(0x210)
#define STATUS_WDF_EXECUTION_LEVEL_INVALID WDFLDR_STATUS(0x211)
#define STATUS_WDF_PARENT_NOT_SPECIFIED WDFLDR_STATUS(0x212)
#endif

typedef struct _WDF_CLASS_BIND_INFO *PWDF_CLASS_BIND_INFO;

#endif // NTC_WDF_MORE_H_
