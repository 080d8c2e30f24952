/* SPDX-License-Identifier: MIT */
/*
 * Interrupt objects.
 */
#ifndef KMDF_WDF_INTERRUPT_H_
#define KMDF_WDF_INTERRUPT_H_

#include "wdf_object.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum _WDF_INTERRUPT_POLARITY {
    WdfInterruptPolarityUnknown = 0,
    WdfInterruptActiveHigh,
    WdfInterruptActiveLow
} WDF_INTERRUPT_POLARITY,
    *PWDF_INTERRUPT_POLARITY;

typedef BOOLEAN NTAPI EVT_WDF_INTERRUPT_ISR(WDFINTERRUPT Interrupt, ULONG MessageID);
typedef EVT_WDF_INTERRUPT_ISR *PFN_WDF_INTERRUPT_ISR;
typedef VOID NTAPI EVT_WDF_INTERRUPT_DPC(WDFINTERRUPT Interrupt, WDFOBJECT AssociatedObject);
typedef EVT_WDF_INTERRUPT_DPC *PFN_WDF_INTERRUPT_DPC;
typedef BOOLEAN NTAPI EVT_WDF_INTERRUPT_SYNCHRONIZE(WDFINTERRUPT Interrupt, WDFCONTEXT Context);
typedef EVT_WDF_INTERRUPT_SYNCHRONIZE *PFN_WDF_INTERRUPT_SYNCHRONIZE;
typedef NTSTATUS NTAPI EVT_WDF_INTERRUPT_ENABLE(WDFINTERRUPT Interrupt, WDFDEVICE AssociatedDevice);
typedef EVT_WDF_INTERRUPT_ENABLE *PFN_WDF_INTERRUPT_ENABLE;
typedef NTSTATUS NTAPI EVT_WDF_INTERRUPT_DISABLE(WDFINTERRUPT Interrupt,
                                                 WDFDEVICE AssociatedDevice);
typedef EVT_WDF_INTERRUPT_DISABLE *PFN_WDF_INTERRUPT_DISABLE;

/* 1.9: no work item, resource descriptors or passive handling. */
typedef struct _WDF_INTERRUPT_CONFIG {
    ULONG Size;
    WDFSPINLOCK SpinLock;
    WDF_TRI_STATE ShareVector;
    BOOLEAN FloatingSave;
    BOOLEAN AutomaticSerialization;
    PFN_WDF_INTERRUPT_ISR EvtInterruptIsr;
    PFN_WDF_INTERRUPT_DPC EvtInterruptDpc;
    PFN_WDF_INTERRUPT_ENABLE EvtInterruptEnable;
    PFN_WDF_INTERRUPT_DISABLE EvtInterruptDisable;
} WDF_INTERRUPT_CONFIG, *PWDF_INTERRUPT_CONFIG;
KMDF_SIZE(WDF_INTERRUPT_CONFIG, 32, 56);

WDF_INLINE VOID WDF_INTERRUPT_CONFIG_INIT(PWDF_INTERRUPT_CONFIG Configuration,
                                          PFN_WDF_INTERRUPT_ISR EvtInterruptIsr,
                                          PFN_WDF_INTERRUPT_DPC EvtInterruptDpc) {
    RtlZeroMemory(Configuration, sizeof(*Configuration));
    Configuration->Size = sizeof(*Configuration);
    Configuration->ShareVector = WdfUseDefault;
    Configuration->EvtInterruptIsr = EvtInterruptIsr;
    Configuration->EvtInterruptDpc = EvtInterruptDpc;
}

/* 1.9: with Group (Windows 7), on an 8-byte boundary. */
typedef struct _WDF_INTERRUPT_INFO {
    ULONG Size;
    ULONG64 Reserved1;
    KAFFINITY TargetProcessorSet;
    ULONG Reserved2;
    ULONG MessageNumber;
    ULONG Vector;
    KIRQL Irql;
    KINTERRUPT_MODE Mode;
    WDF_INTERRUPT_POLARITY Polarity;
    BOOLEAN MessageSignaled;
    UCHAR ShareDisposition;
    DECLSPEC_ALIGN(8) USHORT Group;
} WDF_INTERRUPT_INFO, *PWDF_INTERRUPT_INFO;
KMDF_SIZE(WDF_INTERRUPT_INFO, 56, 64);

WDF_INLINE VOID WDF_INTERRUPT_INFO_INIT(PWDF_INTERRUPT_INFO Info) {
    RtlZeroMemory(Info, sizeof(*Info));
    Info->Size = sizeof(*Info);
}

/* IRQL: PASSIVE_LEVEL; 1.9: from EvtDriverDeviceAdd only */
typedef NTSTATUS(NTAPI *PFN_WDFINTERRUPTCREATE)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFDEVICE Device,
                                                PWDF_INTERRUPT_CONFIG Configuration,
                                                PWDF_OBJECT_ATTRIBUTES Attributes,
                                                WDFINTERRUPT *Interrupt);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfInterruptCreate(WDFDEVICE Device, PWDF_INTERRUPT_CONFIG Configuration,
                                       PWDF_OBJECT_ATTRIBUTES Attributes, WDFINTERRUPT *Interrupt) {
    return WDF_CALL(WDFINTERRUPTCREATE, WdfInterruptCreate)(WdfDriverGlobals, Device, Configuration,
                                                            Attributes, Interrupt);
}
#endif

/* IRQL: <= DIRQL. FALSE: the DPC was queued already */
typedef BOOLEAN(NTAPI *PFN_WDFINTERRUPTQUEUEDPCFORISR)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                       WDFINTERRUPT Interrupt);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE BOOLEAN WdfInterruptQueueDpcForIsr(WDFINTERRUPT Interrupt) {
    return WDF_CALL(WDFINTERRUPTQUEUEDPCFORISR, WdfInterruptQueueDpcForIsr)(WdfDriverGlobals,
                                                                            Interrupt);
}
#endif

/* IRQL: <= DIRQL */
typedef BOOLEAN(NTAPI *PFN_WDFINTERRUPTSYNCHRONIZE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                    WDFINTERRUPT Interrupt,
                                                    PFN_WDF_INTERRUPT_SYNCHRONIZE Callback,
                                                    WDFCONTEXT Context);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE BOOLEAN WdfInterruptSynchronize(WDFINTERRUPT Interrupt,
                                           PFN_WDF_INTERRUPT_SYNCHRONIZE Callback,
                                           WDFCONTEXT Context) {
    return WDF_CALL(WDFINTERRUPTSYNCHRONIZE, WdfInterruptSynchronize)(WdfDriverGlobals, Interrupt,
                                                                      Callback, Context);
}
#endif

/* IRQL: <= DIRQL, returns at DIRQL */
typedef VOID(NTAPI *PFN_WDFINTERRUPTACQUIRELOCK)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                 WDFINTERRUPT Interrupt);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfInterruptAcquireLock(WDFINTERRUPT Interrupt) {
    WDF_CALL(WDFINTERRUPTACQUIRELOCK, WdfInterruptAcquireLock)(WdfDriverGlobals, Interrupt);
}
#endif

/* IRQL: DIRQL */
typedef VOID(NTAPI *PFN_WDFINTERRUPTRELEASELOCK)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                 WDFINTERRUPT Interrupt);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfInterruptReleaseLock(WDFINTERRUPT Interrupt) {
    WDF_CALL(WDFINTERRUPTRELEASELOCK, WdfInterruptReleaseLock)(WdfDriverGlobals, Interrupt);
}
#endif

/* IRQL: <= DISPATCH_LEVEL; valid from EvtDevicePrepareHardware on */
typedef VOID(NTAPI *PFN_WDFINTERRUPTGETINFO)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                             WDFINTERRUPT Interrupt, PWDF_INTERRUPT_INFO Info);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfInterruptGetInfo(WDFINTERRUPT Interrupt, PWDF_INTERRUPT_INFO Info) {
    WDF_CALL(WDFINTERRUPTGETINFO, WdfInterruptGetInfo)(WdfDriverGlobals, Interrupt, Info);
}
#endif

/* IRQL: any */
typedef WDFDEVICE(NTAPI *PFN_WDFINTERRUPTGETDEVICE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                    WDFINTERRUPT Interrupt);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE WDFDEVICE WdfInterruptGetDevice(WDFINTERRUPT Interrupt) {
    return WDF_CALL(WDFINTERRUPTGETDEVICE, WdfInterruptGetDevice)(WdfDriverGlobals, Interrupt);
}
#endif

#ifdef __cplusplus
}
#endif

#endif /* KMDF_WDF_INTERRUPT_H_ */
