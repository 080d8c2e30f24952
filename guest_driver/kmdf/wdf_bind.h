/* SPDX-License-Identifier: MIT */
/*
 * What WDFLDR.SYS exports, and what a driver gives it to bind to the framework.
 * A driver proper doesn't include this; its entry stub does.
 */
#ifndef KMDF_WDF_BIND_H_
#define KMDF_WDF_BIND_H_

#include "wdf_types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct _LIBRARY_MODULE;

typedef struct _WDF_VERSION {
    ULONG Major;
    ULONG Minor;
    ULONG Build;
} WDF_VERSION;

/*
 * Size       of this structure
 * Component  L"KmdfLibrary"
 * Version    the one the driver was built for
 * FuncCount  how many functions that version has (1.9: 396)
 * FuncTable  up to KMDF 1.13: an array of FuncCount entries, which the
 *            framework fills in; from 1.15: the address of a pointer
 * Module     belongs to the loader
 */
typedef struct _WDF_BIND_INFO {
    ULONG Size;
    PWCHAR Component;
    WDF_VERSION Version;
    ULONG FuncCount;
    WDFFUNC *FuncTable;
    struct _LIBRARY_MODULE *Module;
} WDF_BIND_INFO, *PWDF_BIND_INFO;
KMDF_SIZE(WDF_BIND_INFO, 32, 48);

/* PASSIVE_LEVEL. Loads the framework where it isn't, fills the table in and
 * gives the driver its globals. RegistryPath stays in use until the unbind. */
NTSTATUS NTAPI WdfVersionBind(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath,
                              PWDF_BIND_INFO BindInfo, PWDF_DRIVER_GLOBALS *ComponentGlobals);

/* PASSIVE_LEVEL. The table and the globals are gone afterwards. */
NTSTATUS NTAPI WdfVersionUnbind(PUNICODE_STRING RegistryPath, PWDF_BIND_INFO BindInfo,
                                PWDF_DRIVER_GLOBALS ComponentGlobals);

#ifdef __cplusplus
}
#endif

#endif /* KMDF_WDF_BIND_H_ */
