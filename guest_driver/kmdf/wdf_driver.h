/* SPDX-License-Identifier: MIT */
/*
 * The driver object and its registry parameters.
 */
#ifndef KMDF_WDF_DRIVER_H_
#define KMDF_WDF_DRIVER_H_

#include "wdf_object.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef NTSTATUS NTAPI EVT_WDF_DRIVER_DEVICE_ADD(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit);
typedef EVT_WDF_DRIVER_DEVICE_ADD *PFN_WDF_DRIVER_DEVICE_ADD;
typedef VOID NTAPI EVT_WDF_DRIVER_UNLOAD(WDFDRIVER Driver);
typedef EVT_WDF_DRIVER_UNLOAD *PFN_WDF_DRIVER_UNLOAD;

typedef enum _WDF_DRIVER_INIT_FLAGS {
    WdfDriverInitNonPnpDriver = 0x1,
    WdfDriverInitNoDispatchOverride = 0x2,
    WdfVerifyOn = 0x4,
    WdfVerifierOn = 0x8
} WDF_DRIVER_INIT_FLAGS;

typedef struct _WDF_DRIVER_CONFIG {
    ULONG Size;
    PFN_WDF_DRIVER_DEVICE_ADD EvtDriverDeviceAdd;
    PFN_WDF_DRIVER_UNLOAD EvtDriverUnload;
    ULONG DriverInitFlags;
    ULONG DriverPoolTag;
} WDF_DRIVER_CONFIG, *PWDF_DRIVER_CONFIG;
KMDF_SIZE(WDF_DRIVER_CONFIG, 20, 32);

WDF_INLINE VOID WDF_DRIVER_CONFIG_INIT(PWDF_DRIVER_CONFIG Config,
                                       PFN_WDF_DRIVER_DEVICE_ADD EvtDriverDeviceAdd) {
    RtlZeroMemory(Config, sizeof(*Config));
    Config->Size = sizeof(*Config);
    Config->EvtDriverDeviceAdd = EvtDriverDeviceAdd;
}

#ifndef KMDF_TYPES_ONLY
WDF_INLINE WDFDRIVER WdfGetDriver(VOID) {
    return WdfDriverGlobals->Driver;
}
#endif

/* IRQL: PASSIVE_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFDRIVERCREATE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                             PDRIVER_OBJECT DriverObject,
                                             PCUNICODE_STRING RegistryPath,
                                             PWDF_OBJECT_ATTRIBUTES DriverAttributes,
                                             PWDF_DRIVER_CONFIG DriverConfig, WDFDRIVER *Driver);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfDriverCreate(PDRIVER_OBJECT DriverObject, PCUNICODE_STRING RegistryPath,
                                    PWDF_OBJECT_ATTRIBUTES DriverAttributes,
                                    PWDF_DRIVER_CONFIG DriverConfig, WDFDRIVER *Driver) {
    return WDF_CALL(WDFDRIVERCREATE, WdfDriverCreate)(WdfDriverGlobals, DriverObject, RegistryPath,
                                                      DriverAttributes, DriverConfig, Driver);
}
#endif

/* IRQL: PASSIVE_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFDRIVEROPENPARAMETERSREGISTRYKEY)(
    PWDF_DRIVER_GLOBALS DriverGlobals, WDFDRIVER Driver, ACCESS_MASK DesiredAccess,
    PWDF_OBJECT_ATTRIBUTES KeyAttributes, WDFKEY *Key);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfDriverOpenParametersRegistryKey(WDFDRIVER Driver, ACCESS_MASK DesiredAccess,
                                                       PWDF_OBJECT_ATTRIBUTES KeyAttributes,
                                                       WDFKEY *Key) {
    return WDF_CALL(WDFDRIVEROPENPARAMETERSREGISTRYKEY, WdfDriverOpenParametersRegistryKey)(
        WdfDriverGlobals, Driver, DesiredAccess, KeyAttributes, Key);
}
#endif

/* IRQL: PASSIVE_LEVEL */
typedef VOID(NTAPI *PFN_WDFREGISTRYCLOSE)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfRegistryClose(WDFKEY Key) {
    WDF_CALL(WDFREGISTRYCLOSE, WdfRegistryClose)(WdfDriverGlobals, Key);
}
#endif

/* IRQL: PASSIVE_LEVEL. STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_TYPE_MISMATCH */
typedef NTSTATUS(NTAPI *PFN_WDFREGISTRYQUERYULONG)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key,
                                                   PCUNICODE_STRING ValueName, PULONG Value);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfRegistryQueryULong(WDFKEY Key, PCUNICODE_STRING ValueName, PULONG Value) {
    return WDF_CALL(WDFREGISTRYQUERYULONG, WdfRegistryQueryULong)(WdfDriverGlobals, Key, ValueName,
                                                                  Value);
}
#endif

/* IRQL: PASSIVE_LEVEL. STATUS_BUFFER_OVERFLOW: longer than Value->MaximumLength */
typedef NTSTATUS(NTAPI *PFN_WDFREGISTRYQUERYUNICODESTRING)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                           WDFKEY Key, PCUNICODE_STRING ValueName,
                                                           PUSHORT ValueByteLength,
                                                           PUNICODE_STRING Value);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfRegistryQueryUnicodeString(WDFKEY Key, PCUNICODE_STRING ValueName,
                                                  PUSHORT ValueByteLength, PUNICODE_STRING Value) {
    return WDF_CALL(WDFREGISTRYQUERYUNICODESTRING, WdfRegistryQueryUnicodeString)(
        WdfDriverGlobals, Key, ValueName, ValueByteLength, Value);
}
#endif

/* IRQL: PASSIVE_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFREGISTRYQUERYSTRING)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key,
                                                    PCUNICODE_STRING ValueName, WDFSTRING String);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfRegistryQueryString(WDFKEY Key, PCUNICODE_STRING ValueName,
                                           WDFSTRING String) {
    return WDF_CALL(WDFREGISTRYQUERYSTRING, WdfRegistryQueryString)(WdfDriverGlobals, Key,
                                                                    ValueName, String);
}
#endif

#ifdef __cplusplus
}
#endif

#endif /* KMDF_WDF_DRIVER_H_ */
