/* SPDX-License-Identifier: MIT */
/*
 * Handles, common enumerations, driver globals and the function table of KMDF
 * 1.9. Include <ntddk.h> first. Names, values and layouts are those that
 * Microsoft documents; the framework checks structures by their size, so every
 * size is asserted, for x86 and x64.
 *
 * Framework functions and event callbacks are __stdcall on x86 (NTAPI), but for
 * the two that are __fastcall.
 *
 * Define KMDF_TYPES_ONLY to get types and PFN_WDF... function pointer types
 * without the inline wrappers (for an implementation of the framework).
 */
#ifndef KMDF_WDF_TYPES_H_
#define KMDF_WDF_TYPES_H_

#ifdef __cplusplus
extern "C" {
#endif

#define KMDF_MAJOR_VERSION_BOUND 1
#define KMDF_MINOR_VERSION_BOUND 9
#define KMDF_BUILD_NUMBER_BOUND 7600

#define WDF_INLINE static __inline

/* KMDF_SIZE(type, x86, x64) fails to compile when a size is wrong. */
#ifdef _WIN64
#define KMDF_SIZE(type, x86, x64) typedef char kmdf_size_of_##type[(sizeof(type) == (x64)) ? 1 : -1]
#else
#define KMDF_SIZE(type, x86, x64) typedef char kmdf_size_of_##type[(sizeof(type) == (x86)) ? 1 : -1]
#endif

typedef enum _WDF_TRI_STATE {
    WdfFalse = FALSE,
    WdfTrue = TRUE,
    WdfUseDefault = 2
} WDF_TRI_STATE,
    *PWDF_TRI_STATE;

typedef PVOID WDFCONTEXT;
typedef HANDLE WDFOBJECT, *PWDFOBJECT;
typedef struct WDFDEVICE_INIT *PWDFDEVICE_INIT;

#define WDF_HANDLE(name)                                                                           \
    struct name##__;                                                                               \
    typedef struct name##__ *name

WDF_HANDLE(WDFDRIVER);
WDF_HANDLE(WDFDEVICE);
WDF_HANDLE(WDFQUEUE);
WDF_HANDLE(WDFREQUEST);
WDF_HANDLE(WDFFILEOBJECT);
WDF_HANDLE(WDFDPC);
WDF_HANDLE(WDFTIMER);
WDF_HANDLE(WDFWORKITEM);
WDF_HANDLE(WDFINTERRUPT);
WDF_HANDLE(WDFWAITLOCK);
WDF_HANDLE(WDFSPINLOCK);
WDF_HANDLE(WDFMEMORY);
WDF_HANDLE(WDFIOTARGET);
WDF_HANDLE(WDFDMAENABLER);
WDF_HANDLE(WDFDMATRANSACTION);
WDF_HANDLE(WDFCOMMONBUFFER);
WDF_HANDLE(WDFKEY);
WDF_HANDLE(WDFSTRING);
WDF_HANDLE(WDFCOLLECTION);
WDF_HANDLE(WDFIORESREQLIST);
WDF_HANDLE(WDFCMRESLIST);

#define WDF_NO_OBJECT_ATTRIBUTES NULL
#define WDF_NO_EVENT_CALLBACK NULL
#define WDF_NO_HANDLE NULL
#define WDF_NO_CONTEXT NULL

/* Filled in by the framework when the driver binds. */
#define WDF_DRIVER_GLOBALS_NAME_LEN 32

typedef struct _WDF_DRIVER_GLOBALS {
    WDFDRIVER Driver;
    ULONG DriverFlags;
    ULONG DriverTag;
    CHAR DriverName[WDF_DRIVER_GLOBALS_NAME_LEN];
    BOOLEAN DisplaceDriverUnload; /* the entry stub has to hook DriverUnload */
} WDF_DRIVER_GLOBALS, *PWDF_DRIVER_GLOBALS;
KMDF_SIZE(WDF_DRIVER_GLOBALS, 48, 56);

enum {
#define WDF_FUNCTION(index, name) name##TableIndex = index,
#include "wdf_function_table.h"
    WdfFunctionTableNumEntries = 396
};

typedef VOID(NTAPI *WDFFUNC)(VOID);

#ifndef KMDF_TYPES_ONLY
extern WDFFUNC WdfFunctions[WdfFunctionTableNumEntries];
extern PWDF_DRIVER_GLOBALS WdfDriverGlobals;

/* The table entry of a function, cast to its type. */
#define WDF_CALL(TYPE, name) ((PFN_##TYPE)WdfFunctions[name##TableIndex])
#endif

#ifdef __cplusplus
}
#endif

#endif /* KMDF_WDF_TYPES_H_ */
