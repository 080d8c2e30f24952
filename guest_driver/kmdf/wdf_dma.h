/* SPDX-License-Identifier: MIT */
/*
 * DMA enablers and common buffers.
 */
#ifndef KMDF_WDF_DMA_H_
#define KMDF_WDF_DMA_H_

#include "wdf_object.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum _WDF_DMA_PROFILE {
    WdfDmaProfileInvalid = 0,
    WdfDmaProfilePacket,
    WdfDmaProfileScatterGather,
    WdfDmaProfilePacket64,
    WdfDmaProfileScatterGather64,
    WdfDmaProfileScatterGatherDuplex,
    WdfDmaProfileScatterGather64Duplex
} WDF_DMA_PROFILE;

typedef NTSTATUS NTAPI EVT_WDF_DMA_ENABLER_FILL(WDFDMAENABLER DmaEnabler);
typedef EVT_WDF_DMA_ENABLER_FILL *PFN_WDF_DMA_ENABLER_FILL;
typedef NTSTATUS NTAPI EVT_WDF_DMA_ENABLER_FLUSH(WDFDMAENABLER DmaEnabler);
typedef EVT_WDF_DMA_ENABLER_FLUSH *PFN_WDF_DMA_ENABLER_FLUSH;
typedef NTSTATUS NTAPI EVT_WDF_DMA_ENABLER_DISABLE(WDFDMAENABLER DmaEnabler);
typedef EVT_WDF_DMA_ENABLER_DISABLE *PFN_WDF_DMA_ENABLER_DISABLE;
typedef NTSTATUS NTAPI EVT_WDF_DMA_ENABLER_ENABLE(WDFDMAENABLER DmaEnabler);
typedef EVT_WDF_DMA_ENABLER_ENABLE *PFN_WDF_DMA_ENABLER_ENABLE;
typedef NTSTATUS NTAPI EVT_WDF_DMA_ENABLER_SELFMANAGED_IO_START(WDFDMAENABLER DmaEnabler);
typedef EVT_WDF_DMA_ENABLER_SELFMANAGED_IO_START *PFN_WDF_DMA_ENABLER_SELFMANAGED_IO_START;
typedef NTSTATUS NTAPI EVT_WDF_DMA_ENABLER_SELFMANAGED_IO_STOP(WDFDMAENABLER DmaEnabler);
typedef EVT_WDF_DMA_ENABLER_SELFMANAGED_IO_STOP *PFN_WDF_DMA_ENABLER_SELFMANAGED_IO_STOP;

/* 1.9: without the address width, version and flags that came later. */
typedef struct _WDF_DMA_ENABLER_CONFIG {
    ULONG Size;
    WDF_DMA_PROFILE Profile;
    size_t MaximumLength;
    PFN_WDF_DMA_ENABLER_FILL EvtDmaEnablerFill;
    PFN_WDF_DMA_ENABLER_FLUSH EvtDmaEnablerFlush;
    PFN_WDF_DMA_ENABLER_DISABLE EvtDmaEnablerDisable;
    PFN_WDF_DMA_ENABLER_ENABLE EvtDmaEnablerEnable;
    PFN_WDF_DMA_ENABLER_SELFMANAGED_IO_START EvtDmaEnablerSelfManagedIoStart;
    PFN_WDF_DMA_ENABLER_SELFMANAGED_IO_STOP EvtDmaEnablerSelfManagedIoStop;
} WDF_DMA_ENABLER_CONFIG, *PWDF_DMA_ENABLER_CONFIG;
KMDF_SIZE(WDF_DMA_ENABLER_CONFIG, 36, 64);

WDF_INLINE VOID WDF_DMA_ENABLER_CONFIG_INIT(PWDF_DMA_ENABLER_CONFIG Config, WDF_DMA_PROFILE Profile,
                                            size_t MaximumLength) {
    RtlZeroMemory(Config, sizeof(*Config));
    Config->Size = sizeof(*Config);
    Config->Profile = Profile;
    Config->MaximumLength = MaximumLength;
}

/* AlignmentRequirement is a mask: alignment - 1. */
typedef struct _WDF_COMMON_BUFFER_CONFIG {
    ULONG Size;
    ULONG AlignmentRequirement;
} WDF_COMMON_BUFFER_CONFIG, *PWDF_COMMON_BUFFER_CONFIG;
KMDF_SIZE(WDF_COMMON_BUFFER_CONFIG, 8, 8);

WDF_INLINE VOID WDF_COMMON_BUFFER_CONFIG_INIT(PWDF_COMMON_BUFFER_CONFIG Config,
                                              ULONG AlignmentRequirement) {
    Config->Size = sizeof(*Config);
    Config->AlignmentRequirement = AlignmentRequirement;
}

/* IRQL: PASSIVE_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFDMAENABLERCREATE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                 WDFDEVICE Device, PWDF_DMA_ENABLER_CONFIG Config,
                                                 PWDF_OBJECT_ATTRIBUTES Attributes,
                                                 WDFDMAENABLER *DmaEnablerHandle);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfDmaEnablerCreate(WDFDEVICE Device, PWDF_DMA_ENABLER_CONFIG Config,
                                        PWDF_OBJECT_ATTRIBUTES Attributes,
                                        WDFDMAENABLER *DmaEnablerHandle) {
    return WDF_CALL(WDFDMAENABLERCREATE, WdfDmaEnablerCreate)(WdfDriverGlobals, Device, Config,
                                                              Attributes, DmaEnablerHandle);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef VOID(NTAPI *PFN_WDFDMAENABLERSETMAXIMUMSCATTERGATHERELEMENTS)(
    PWDF_DRIVER_GLOBALS DriverGlobals, WDFDMAENABLER DmaEnabler, size_t MaximumFragments);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfDmaEnablerSetMaximumScatterGatherElements(WDFDMAENABLER DmaEnabler,
                                                             size_t MaximumFragments) {
    WDF_CALL(WDFDMAENABLERSETMAXIMUMSCATTERGATHERELEMENTS,
             WdfDmaEnablerSetMaximumScatterGatherElements)
    (WdfDriverGlobals, DmaEnabler, MaximumFragments);
}
#endif

/* IRQL: PASSIVE_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFCOMMONBUFFERCREATE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                   WDFDMAENABLER DmaEnabler, size_t Length,
                                                   PWDF_OBJECT_ATTRIBUTES Attributes,
                                                   WDFCOMMONBUFFER *CommonBuffer);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfCommonBufferCreate(WDFDMAENABLER DmaEnabler, size_t Length,
                                          PWDF_OBJECT_ATTRIBUTES Attributes,
                                          WDFCOMMONBUFFER *CommonBuffer) {
    return WDF_CALL(WDFCOMMONBUFFERCREATE, WdfCommonBufferCreate)(WdfDriverGlobals, DmaEnabler,
                                                                  Length, Attributes, CommonBuffer);
}
#endif

/* IRQL: PASSIVE_LEVEL */
typedef NTSTATUS(NTAPI *PFN_WDFCOMMONBUFFERCREATEWITHCONFIG)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                             WDFDMAENABLER DmaEnabler,
                                                             size_t Length,
                                                             PWDF_COMMON_BUFFER_CONFIG Config,
                                                             PWDF_OBJECT_ATTRIBUTES Attributes,
                                                             WDFCOMMONBUFFER *CommonBuffer);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfCommonBufferCreateWithConfig(WDFDMAENABLER DmaEnabler, size_t Length,
                                                    PWDF_COMMON_BUFFER_CONFIG Config,
                                                    PWDF_OBJECT_ATTRIBUTES Attributes,
                                                    WDFCOMMONBUFFER *CommonBuffer) {
    return WDF_CALL(WDFCOMMONBUFFERCREATEWITHCONFIG, WdfCommonBufferCreateWithConfig)(
        WdfDriverGlobals, DmaEnabler, Length, Config, Attributes, CommonBuffer);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef PVOID(NTAPI *PFN_WDFCOMMONBUFFERGETALIGNEDVIRTUALADDRESS)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                                  WDFCOMMONBUFFER CommonBuffer);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE PVOID WdfCommonBufferGetAlignedVirtualAddress(WDFCOMMONBUFFER CommonBuffer) {
    return WDF_CALL(WDFCOMMONBUFFERGETALIGNEDVIRTUALADDRESS,
                    WdfCommonBufferGetAlignedVirtualAddress)(WdfDriverGlobals, CommonBuffer);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef PHYSICAL_ADDRESS(NTAPI *PFN_WDFCOMMONBUFFERGETALIGNEDLOGICALADDRESS)(
    PWDF_DRIVER_GLOBALS DriverGlobals, WDFCOMMONBUFFER CommonBuffer);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE PHYSICAL_ADDRESS WdfCommonBufferGetAlignedLogicalAddress(WDFCOMMONBUFFER CommonBuffer) {
    return WDF_CALL(WDFCOMMONBUFFERGETALIGNEDLOGICALADDRESS,
                    WdfCommonBufferGetAlignedLogicalAddress)(WdfDriverGlobals, CommonBuffer);
}
#endif

/* IRQL: <= DISPATCH_LEVEL */
typedef size_t(NTAPI *PFN_WDFCOMMONBUFFERGETLENGTH)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                    WDFCOMMONBUFFER CommonBuffer);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE size_t WdfCommonBufferGetLength(WDFCOMMONBUFFER CommonBuffer) {
    return WDF_CALL(WDFCOMMONBUFFERGETLENGTH, WdfCommonBufferGetLength)(WdfDriverGlobals,
                                                                        CommonBuffer);
}
#endif

#ifdef __cplusplus
}
#endif

#endif /* KMDF_WDF_DMA_H_ */
