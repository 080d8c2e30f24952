/* SPDX-License-Identifier: MIT */
/*
 * Device objects: creation, PnP and power callbacks, properties, resources.
 */
#ifndef KMDF_WDF_DEVICE_H_
#define KMDF_WDF_DEVICE_H_

#include "wdf_object.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum _WDF_POWER_DEVICE_STATE {
    WdfPowerDeviceInvalid = 0,
    WdfPowerDeviceD0,
    WdfPowerDeviceD1,
    WdfPowerDeviceD2,
    WdfPowerDeviceD3,
    WdfPowerDeviceD3Final,
    WdfPowerDevicePrepareForHibernation,
    WdfPowerDeviceMaximum
} WDF_POWER_DEVICE_STATE,
    *PWDF_POWER_DEVICE_STATE;

typedef enum _WDF_SPECIAL_FILE_TYPE {
    WdfSpecialFileUndefined = 0,
    WdfSpecialFilePaging,
    WdfSpecialFileHibernation,
    WdfSpecialFileDump,
    WdfSpecialFileMax
} WDF_SPECIAL_FILE_TYPE;

typedef enum _WDF_DEVICE_IO_TYPE {
    WdfDeviceIoUndefined = 0,
    WdfDeviceIoNeither,
    WdfDeviceIoBuffered,
    WdfDeviceIoDirect
} WDF_DEVICE_IO_TYPE,
    *PWDF_DEVICE_IO_TYPE;

typedef enum _WDF_DEVICE_FAILED_ACTION {
    WdfDeviceFailedUndefined = 0,
    WdfDeviceFailedAttemptRestart,
    WdfDeviceFailedNoRestart
} WDF_DEVICE_FAILED_ACTION;

typedef NTSTATUS NTAPI EVT_WDF_DEVICE_D0_ENTRY(WDFDEVICE Device,
                                               WDF_POWER_DEVICE_STATE PreviousState);
typedef EVT_WDF_DEVICE_D0_ENTRY *PFN_WDF_DEVICE_D0_ENTRY;
typedef NTSTATUS NTAPI EVT_WDF_DEVICE_D0_ENTRY_POST_INTERRUPTS_ENABLED(
    WDFDEVICE Device, WDF_POWER_DEVICE_STATE PreviousState);
typedef EVT_WDF_DEVICE_D0_ENTRY_POST_INTERRUPTS_ENABLED
    *PFN_WDF_DEVICE_D0_ENTRY_POST_INTERRUPTS_ENABLED;
typedef NTSTATUS NTAPI EVT_WDF_DEVICE_D0_EXIT(WDFDEVICE Device, WDF_POWER_DEVICE_STATE TargetState);
typedef EVT_WDF_DEVICE_D0_EXIT *PFN_WDF_DEVICE_D0_EXIT;
typedef NTSTATUS NTAPI EVT_WDF_DEVICE_D0_EXIT_PRE_INTERRUPTS_DISABLED(
    WDFDEVICE Device, WDF_POWER_DEVICE_STATE TargetState);
typedef EVT_WDF_DEVICE_D0_EXIT_PRE_INTERRUPTS_DISABLED
    *PFN_WDF_DEVICE_D0_EXIT_PRE_INTERRUPTS_DISABLED;
typedef NTSTATUS NTAPI EVT_WDF_DEVICE_PREPARE_HARDWARE(WDFDEVICE Device, WDFCMRESLIST ResourcesRaw,
                                                       WDFCMRESLIST ResourcesTranslated);
typedef EVT_WDF_DEVICE_PREPARE_HARDWARE *PFN_WDF_DEVICE_PREPARE_HARDWARE;
typedef NTSTATUS NTAPI EVT_WDF_DEVICE_RELEASE_HARDWARE(WDFDEVICE Device,
                                                       WDFCMRESLIST ResourcesTranslated);
typedef EVT_WDF_DEVICE_RELEASE_HARDWARE *PFN_WDF_DEVICE_RELEASE_HARDWARE;
typedef VOID NTAPI EVT_WDF_DEVICE_SELF_MANAGED_IO_CLEANUP(WDFDEVICE Device);
typedef EVT_WDF_DEVICE_SELF_MANAGED_IO_CLEANUP *PFN_WDF_DEVICE_SELF_MANAGED_IO_CLEANUP;
typedef VOID NTAPI EVT_WDF_DEVICE_SELF_MANAGED_IO_FLUSH(WDFDEVICE Device);
typedef EVT_WDF_DEVICE_SELF_MANAGED_IO_FLUSH *PFN_WDF_DEVICE_SELF_MANAGED_IO_FLUSH;
typedef NTSTATUS NTAPI EVT_WDF_DEVICE_SELF_MANAGED_IO_INIT(WDFDEVICE Device);
typedef EVT_WDF_DEVICE_SELF_MANAGED_IO_INIT *PFN_WDF_DEVICE_SELF_MANAGED_IO_INIT;
typedef NTSTATUS NTAPI EVT_WDF_DEVICE_SELF_MANAGED_IO_SUSPEND(WDFDEVICE Device);
typedef EVT_WDF_DEVICE_SELF_MANAGED_IO_SUSPEND *PFN_WDF_DEVICE_SELF_MANAGED_IO_SUSPEND;
typedef NTSTATUS NTAPI EVT_WDF_DEVICE_SELF_MANAGED_IO_RESTART(WDFDEVICE Device);
typedef EVT_WDF_DEVICE_SELF_MANAGED_IO_RESTART *PFN_WDF_DEVICE_SELF_MANAGED_IO_RESTART;
typedef VOID NTAPI EVT_WDF_DEVICE_SURPRISE_REMOVAL(WDFDEVICE Device);
typedef EVT_WDF_DEVICE_SURPRISE_REMOVAL *PFN_WDF_DEVICE_SURPRISE_REMOVAL;
typedef NTSTATUS NTAPI EVT_WDF_DEVICE_QUERY_REMOVE(WDFDEVICE Device);
typedef EVT_WDF_DEVICE_QUERY_REMOVE *PFN_WDF_DEVICE_QUERY_REMOVE;
typedef NTSTATUS NTAPI EVT_WDF_DEVICE_QUERY_STOP(WDFDEVICE Device);
typedef EVT_WDF_DEVICE_QUERY_STOP *PFN_WDF_DEVICE_QUERY_STOP;
typedef VOID NTAPI EVT_WDF_DEVICE_USAGE_NOTIFICATION(WDFDEVICE Device,
                                                     WDF_SPECIAL_FILE_TYPE NotificationType,
                                                     BOOLEAN IsInNotificationPath);
typedef EVT_WDF_DEVICE_USAGE_NOTIFICATION *PFN_WDF_DEVICE_USAGE_NOTIFICATION;
typedef VOID NTAPI EVT_WDF_DEVICE_RELATIONS_QUERY(WDFDEVICE Device,
                                                  DEVICE_RELATION_TYPE RelationType);
typedef EVT_WDF_DEVICE_RELATIONS_QUERY *PFN_WDF_DEVICE_RELATIONS_QUERY;

/* 1.9: 16 callbacks; EvtDeviceUsageNotificationEx came later. */
typedef struct _WDF_PNPPOWER_EVENT_CALLBACKS {
    ULONG Size;
    PFN_WDF_DEVICE_D0_ENTRY EvtDeviceD0Entry;
    PFN_WDF_DEVICE_D0_ENTRY_POST_INTERRUPTS_ENABLED EvtDeviceD0EntryPostInterruptsEnabled;
    PFN_WDF_DEVICE_D0_EXIT EvtDeviceD0Exit;
    PFN_WDF_DEVICE_D0_EXIT_PRE_INTERRUPTS_DISABLED EvtDeviceD0ExitPreInterruptsDisabled;
    PFN_WDF_DEVICE_PREPARE_HARDWARE EvtDevicePrepareHardware;
    PFN_WDF_DEVICE_RELEASE_HARDWARE EvtDeviceReleaseHardware;
    PFN_WDF_DEVICE_SELF_MANAGED_IO_CLEANUP EvtDeviceSelfManagedIoCleanup;
    PFN_WDF_DEVICE_SELF_MANAGED_IO_FLUSH EvtDeviceSelfManagedIoFlush;
    PFN_WDF_DEVICE_SELF_MANAGED_IO_INIT EvtDeviceSelfManagedIoInit;
    PFN_WDF_DEVICE_SELF_MANAGED_IO_SUSPEND EvtDeviceSelfManagedIoSuspend;
    PFN_WDF_DEVICE_SELF_MANAGED_IO_RESTART EvtDeviceSelfManagedIoRestart;
    PFN_WDF_DEVICE_SURPRISE_REMOVAL EvtDeviceSurpriseRemoval;
    PFN_WDF_DEVICE_QUERY_REMOVE EvtDeviceQueryRemove;
    PFN_WDF_DEVICE_QUERY_STOP EvtDeviceQueryStop;
    PFN_WDF_DEVICE_USAGE_NOTIFICATION EvtDeviceUsageNotification;
    PFN_WDF_DEVICE_RELATIONS_QUERY EvtDeviceRelationsQuery;
} WDF_PNPPOWER_EVENT_CALLBACKS, *PWDF_PNPPOWER_EVENT_CALLBACKS;
KMDF_SIZE(WDF_PNPPOWER_EVENT_CALLBACKS, 68, 136);

WDF_INLINE VOID WDF_PNPPOWER_EVENT_CALLBACKS_INIT(PWDF_PNPPOWER_EVENT_CALLBACKS Callbacks) {
    RtlZeroMemory(Callbacks, sizeof(*Callbacks));
    Callbacks->Size = sizeof(*Callbacks);
}

typedef struct _WDF_DEVICE_PNP_CAPABILITIES {
    ULONG Size;
    WDF_TRI_STATE LockSupported;
    WDF_TRI_STATE EjectSupported;
    WDF_TRI_STATE Removable;
    WDF_TRI_STATE DockDevice;
    WDF_TRI_STATE UniqueID;
    WDF_TRI_STATE SilentInstall;
    WDF_TRI_STATE SurpriseRemovalOK;
    WDF_TRI_STATE HardwareDisabled;
    WDF_TRI_STATE NoDisplayInUI;
    ULONG Address;
    ULONG UINumber;
} WDF_DEVICE_PNP_CAPABILITIES, *PWDF_DEVICE_PNP_CAPABILITIES;
KMDF_SIZE(WDF_DEVICE_PNP_CAPABILITIES, 48, 48);

WDF_INLINE VOID WDF_DEVICE_PNP_CAPABILITIES_INIT(PWDF_DEVICE_PNP_CAPABILITIES Caps) {
    Caps->Size = sizeof(*Caps);
    Caps->LockSupported = WdfUseDefault;
    Caps->EjectSupported = WdfUseDefault;
    Caps->Removable = WdfUseDefault;
    Caps->DockDevice = WdfUseDefault;
    Caps->UniqueID = WdfUseDefault;
    Caps->SilentInstall = WdfUseDefault;
    Caps->SurpriseRemovalOK = WdfUseDefault;
    Caps->HardwareDisabled = WdfUseDefault;
    Caps->NoDisplayInUI = WdfUseDefault;
    Caps->Address = (ULONG)-1;
    Caps->UINumber = (ULONG)-1;
}

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFDEVICEINITSETPNPPOWEREVENTCALLBACKS)(
    PWDF_DRIVER_GLOBALS DriverGlobals, PWDFDEVICE_INIT DeviceInit,
    PWDF_PNPPOWER_EVENT_CALLBACKS PnpPowerEventCallbacks);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfDeviceInitSetPnpPowerEventCallbacks(
    PWDFDEVICE_INIT DeviceInit, PWDF_PNPPOWER_EVENT_CALLBACKS PnpPowerEventCallbacks) {
    WDF_CALL(WDFDEVICEINITSETPNPPOWEREVENTCALLBACKS, WdfDeviceInitSetPnpPowerEventCallbacks)
    (WdfDriverGlobals, DeviceInit, PnpPowerEventCallbacks);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFDEVICEINITSETIOTYPE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                PWDFDEVICE_INIT DeviceInit,
                                                WDF_DEVICE_IO_TYPE IoType);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfDeviceInitSetIoType(PWDFDEVICE_INIT DeviceInit, WDF_DEVICE_IO_TYPE IoType) {
    WDF_CALL(WDFDEVICEINITSETIOTYPE, WdfDeviceInitSetIoType)(WdfDriverGlobals, DeviceInit, IoType);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFDEVICEINITSETEXCLUSIVE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                   PWDFDEVICE_INIT DeviceInit, BOOLEAN IsExclusive);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfDeviceInitSetExclusive(PWDFDEVICE_INIT DeviceInit, BOOLEAN IsExclusive) {
    WDF_CALL(WDFDEVICEINITSETEXCLUSIVE, WdfDeviceInitSetExclusive)
    (WdfDriverGlobals, DeviceInit, IsExclusive);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFDEVICEINITSETREQUESTATTRIBUTES)(
    PWDF_DRIVER_GLOBALS DriverGlobals, PWDFDEVICE_INIT DeviceInit,
    PWDF_OBJECT_ATTRIBUTES RequestAttributes);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfDeviceInitSetRequestAttributes(PWDFDEVICE_INIT DeviceInit,
                                                  PWDF_OBJECT_ATTRIBUTES RequestAttributes) {
    WDF_CALL(WDFDEVICEINITSETREQUESTATTRIBUTES, WdfDeviceInitSetRequestAttributes)
    (WdfDriverGlobals, DeviceInit, RequestAttributes);
}
#endif

/* IRQL: PASSIVE_LEVEL. On success *DeviceInit becomes NULL */
typedef NTSTATUS(NTAPI *PFN_WDFDEVICECREATE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                             PWDFDEVICE_INIT *DeviceInit,
                                             PWDF_OBJECT_ATTRIBUTES DeviceAttributes,
                                             WDFDEVICE *Device);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfDeviceCreate(PWDFDEVICE_INIT *DeviceInit,
                                    PWDF_OBJECT_ATTRIBUTES DeviceAttributes, WDFDEVICE *Device) {
    return WDF_CALL(WDFDEVICECREATE, WdfDeviceCreate)(WdfDriverGlobals, DeviceInit,
                                                      DeviceAttributes, Device);
}
#endif

/* IRQL: PASSIVE_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFDEVICECREATEDEVICEINTERFACE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                            WDFDEVICE Device,
                                                            const GUID *InterfaceClassGUID,
                                                            PCUNICODE_STRING ReferenceString);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfDeviceCreateDeviceInterface(WDFDEVICE Device, const GUID *InterfaceClassGUID,
                                                   PCUNICODE_STRING ReferenceString) {
    return WDF_CALL(WDFDEVICECREATEDEVICEINTERFACE, WdfDeviceCreateDeviceInterface)(
        WdfDriverGlobals, Device, InterfaceClassGUID, ReferenceString);
}
#endif

/* IRQL: any */
typedef PDEVICE_OBJECT(NTAPI *PFN_WDFDEVICEWDMGETDEVICEOBJECT)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                               WDFDEVICE Device);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE PDEVICE_OBJECT WdfDeviceWdmGetDeviceObject(WDFDEVICE Device) {
    return WDF_CALL(WDFDEVICEWDMGETDEVICEOBJECT, WdfDeviceWdmGetDeviceObject)(WdfDriverGlobals,
                                                                              Device);
}
#endif

/* IRQL: any */
typedef PDEVICE_OBJECT(NTAPI *PFN_WDFDEVICEWDMGETATTACHEDDEVICE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                                 WDFDEVICE Device);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE PDEVICE_OBJECT WdfDeviceWdmGetAttachedDevice(WDFDEVICE Device) {
    return WDF_CALL(WDFDEVICEWDMGETATTACHEDDEVICE, WdfDeviceWdmGetAttachedDevice)(WdfDriverGlobals,
                                                                                  Device);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFDEVICESETFAILED)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFDEVICE Device,
                                            WDF_DEVICE_FAILED_ACTION FailedAction);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfDeviceSetFailed(WDFDEVICE Device, WDF_DEVICE_FAILED_ACTION FailedAction) {
    WDF_CALL(WDFDEVICESETFAILED, WdfDeviceSetFailed)(WdfDriverGlobals, Device, FailedAction);
}
#endif

/* IRQL: PASSIVE_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFDEVICEQUERYPROPERTY)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                    WDFDEVICE Device,
                                                    DEVICE_REGISTRY_PROPERTY DeviceProperty,
                                                    ULONG BufferLength, PVOID PropertyBuffer,
                                                    PULONG ResultLength);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfDeviceQueryProperty(WDFDEVICE Device,
                                           DEVICE_REGISTRY_PROPERTY DeviceProperty,
                                           ULONG BufferLength, PVOID PropertyBuffer,
                                           PULONG ResultLength) {
    return WDF_CALL(WDFDEVICEQUERYPROPERTY, WdfDeviceQueryProperty)(
        WdfDriverGlobals, Device, DeviceProperty, BufferLength, PropertyBuffer, ResultLength);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFDEVICESETPNPCAPABILITIES)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                     WDFDEVICE Device,
                                                     PWDF_DEVICE_PNP_CAPABILITIES PnpCapabilities);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfDeviceSetPnpCapabilities(WDFDEVICE Device,
                                            PWDF_DEVICE_PNP_CAPABILITIES PnpCapabilities) {
    WDF_CALL(WDFDEVICESETPNPCAPABILITIES, WdfDeviceSetPnpCapabilities)
    (WdfDriverGlobals, Device, PnpCapabilities);
}
#endif

/* IRQL: PASSIVE_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFFDOQUERYFORINTERFACE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                     WDFDEVICE Fdo, LPCGUID InterfaceType,
                                                     PINTERFACE Interface, USHORT Size,
                                                     USHORT Version, PVOID InterfaceSpecificData);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfFdoQueryForInterface(WDFDEVICE Fdo, LPCGUID InterfaceType,
                                            PINTERFACE Interface, USHORT Size, USHORT Version,
                                            PVOID InterfaceSpecificData) {
    return WDF_CALL(WDFFDOQUERYFORINTERFACE, WdfFdoQueryForInterface)(
        WdfDriverGlobals, Fdo, InterfaceType, Interface, Size, Version, InterfaceSpecificData);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef ULONG(NTAPI *PFN_WDFCMRESOURCELISTGETCOUNT)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                    WDFCMRESLIST List);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE ULONG WdfCmResourceListGetCount(WDFCMRESLIST List) {
    return WDF_CALL(WDFCMRESOURCELISTGETCOUNT, WdfCmResourceListGetCount)(WdfDriverGlobals, List);
}
#endif

/* IRQL: <= DISPATCH_LEVEL. NULL: no such index */
typedef PCM_PARTIAL_RESOURCE_DESCRIPTOR(NTAPI *PFN_WDFCMRESOURCELISTGETDESCRIPTOR)(
    PWDF_DRIVER_GLOBALS DriverGlobals, WDFCMRESLIST List, ULONG Index);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE PCM_PARTIAL_RESOURCE_DESCRIPTOR WdfCmResourceListGetDescriptor(WDFCMRESLIST List,
                                                                          ULONG Index) {
    return WDF_CALL(WDFCMRESOURCELISTGETDESCRIPTOR,
                    WdfCmResourceListGetDescriptor)(WdfDriverGlobals, List, Index);
}
#endif

#ifdef __cplusplus
}
#endif

#endif /* KMDF_WDF_DEVICE_H_ */
