/* SPDX-License-Identifier: MIT */
/*
 * KMDF objects: attributes, typed contexts, life time.
 */
#ifndef KMDF_WDF_OBJECT_H_
#define KMDF_WDF_OBJECT_H_

#include "wdf_types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum _WDF_EXECUTION_LEVEL {
    WdfExecutionLevelInvalid = 0,
    WdfExecutionLevelInheritFromParent,
    WdfExecutionLevelPassive,
    WdfExecutionLevelDispatch
} WDF_EXECUTION_LEVEL;

typedef enum _WDF_SYNCHRONIZATION_SCOPE {
    WdfSynchronizationScopeInvalid = 0,
    WdfSynchronizationScopeInheritFromParent,
    WdfSynchronizationScopeDevice,
    WdfSynchronizationScopeQueue,
    WdfSynchronizationScopeNone
} WDF_SYNCHRONIZATION_SCOPE;

typedef VOID NTAPI EVT_WDF_OBJECT_CONTEXT_CLEANUP(WDFOBJECT Object);
typedef EVT_WDF_OBJECT_CONTEXT_CLEANUP *PFN_WDF_OBJECT_CONTEXT_CLEANUP;
typedef VOID NTAPI EVT_WDF_OBJECT_CONTEXT_DESTROY(WDFOBJECT Object);
typedef EVT_WDF_OBJECT_CONTEXT_DESTROY *PFN_WDF_OBJECT_CONTEXT_DESTROY;

typedef const struct _WDF_OBJECT_CONTEXT_TYPE_INFO *PCWDF_OBJECT_CONTEXT_TYPE_INFO;
typedef PCWDF_OBJECT_CONTEXT_TYPE_INFO(__cdecl *PFN_GET_UNIQUE_CONTEXT_TYPE)(VOID);

/* Identifies a context type; compared by the address in UniqueType. */
typedef struct _WDF_OBJECT_CONTEXT_TYPE_INFO {
    ULONG Size;
    PCHAR ContextName;
    size_t ContextSize;
    PCWDF_OBJECT_CONTEXT_TYPE_INFO UniqueType;
    PFN_GET_UNIQUE_CONTEXT_TYPE EvtDriverGetUniqueContextType;
} WDF_OBJECT_CONTEXT_TYPE_INFO, *PWDF_OBJECT_CONTEXT_TYPE_INFO;
KMDF_SIZE(WDF_OBJECT_CONTEXT_TYPE_INFO, 20, 40);

typedef struct _WDF_OBJECT_ATTRIBUTES {
    ULONG Size;
    PFN_WDF_OBJECT_CONTEXT_CLEANUP EvtCleanupCallback;
    PFN_WDF_OBJECT_CONTEXT_DESTROY EvtDestroyCallback;
    WDF_EXECUTION_LEVEL ExecutionLevel;
    WDF_SYNCHRONIZATION_SCOPE SynchronizationScope;
    WDFOBJECT ParentObject;
    size_t ContextSizeOverride;
    PCWDF_OBJECT_CONTEXT_TYPE_INFO ContextTypeInfo;
} WDF_OBJECT_ATTRIBUTES, *PWDF_OBJECT_ATTRIBUTES;
KMDF_SIZE(WDF_OBJECT_ATTRIBUTES, 32, 56);

WDF_INLINE VOID WDF_OBJECT_ATTRIBUTES_INIT(PWDF_OBJECT_ATTRIBUTES Attributes) {
    RtlZeroMemory(Attributes, sizeof(*Attributes));
    Attributes->Size = sizeof(*Attributes);
    Attributes->ExecutionLevel = WdfExecutionLevelInheritFromParent;
    Attributes->SynchronizationScope = WdfSynchronizationScopeInheritFromParent;
}

/*
 * Declares a context type and an accessor. One description of a type exists in
 * the whole image, since the framework compares addresses: hence selectany.
 */
#ifdef __cplusplus
#define KMDF_SELECTANY extern "C" __declspec(selectany) const
#else
#define KMDF_SELECTANY __declspec(selectany) const
#endif

#define WDF_GET_CONTEXT_TYPE_INFO(type) (&_WDF_##type##_TYPE_INFO)

#define WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(type, accessor)                                         \
    KMDF_SELECTANY WDF_OBJECT_CONTEXT_TYPE_INFO _WDF_##type##_TYPE_INFO = {                        \
        sizeof(WDF_OBJECT_CONTEXT_TYPE_INFO), (PCHAR) #type, sizeof(type),                         \
        WDF_GET_CONTEXT_TYPE_INFO(type), NULL};                                                    \
    WDF_INLINE type *accessor(WDFOBJECT Handle) {                                                  \
        return (type *)WdfObjectGetTypedContextWorker(                                             \
            Handle, WDF_GET_CONTEXT_TYPE_INFO(type)->UniqueType);                                  \
    }                                                                                              \
    typedef type *WDF_POINTER_TYPE_##type

#define WDF_DECLARE_CONTEXT_TYPE(type) WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(type, WdfObjectGet_##type)

#define WDF_OBJECT_ATTRIBUTES_SET_CONTEXT_TYPE(attributes, type)                                   \
    ((attributes)->ContextTypeInfo = WDF_GET_CONTEXT_TYPE_INFO(type)->UniqueType)

#define WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(attributes, type)                                  \
    do {                                                                                           \
        WDF_OBJECT_ATTRIBUTES_INIT(attributes);                                                    \
        WDF_OBJECT_ATTRIBUTES_SET_CONTEXT_TYPE(attributes, type);                                  \
    } while (0)

#define WdfObjectReference(handle)                                                                 \
    WdfObjectReferenceActual((handle), NULL, __LINE__, (PCHAR)__FILE__)
#define WdfObjectDereference(handle)                                                               \
    WdfObjectDereferenceActual((handle), NULL, __LINE__, (PCHAR)__FILE__)

/* IRQL: any. NULL: the object has no such context */
typedef PVOID(FASTCALL *PFN_WDFOBJECTGETTYPEDCONTEXTWORKER)(
    PWDF_DRIVER_GLOBALS DriverGlobals, WDFOBJECT Handle, PCWDF_OBJECT_CONTEXT_TYPE_INFO TypeInfo);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE PVOID WdfObjectGetTypedContextWorker(WDFOBJECT Handle,
                                                PCWDF_OBJECT_CONTEXT_TYPE_INFO TypeInfo) {
    return WDF_CALL(WDFOBJECTGETTYPEDCONTEXTWORKER,
                    WdfObjectGetTypedContextWorker)(WdfDriverGlobals, Handle, TypeInfo);
}
#endif

/* IRQL: any */
typedef WDFOBJECT(FASTCALL *PFN_WDFOBJECTCONTEXTGETOBJECT)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                           PVOID ContextPointer);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE WDFOBJECT WdfObjectContextGetObject(PVOID ContextPointer) {
    return WDF_CALL(WDFOBJECTCONTEXTGETOBJECT, WdfObjectContextGetObject)(WdfDriverGlobals,
                                                                          ContextPointer);
}
#endif

/* IRQL: <= DISPATCH_LEVEL. STATUS_OBJECT_NAME_EXISTS: it has one already */
typedef NTSTATUS(NTAPI *PFN_WDFOBJECTALLOCATECONTEXT)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                      WDFOBJECT Handle,
                                                      PWDF_OBJECT_ATTRIBUTES ContextAttributes,
                                                      PVOID *Context);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE NTSTATUS WdfObjectAllocateContext(WDFOBJECT Handle,
                                             PWDF_OBJECT_ATTRIBUTES ContextAttributes,
                                             PVOID *Context) {
    return WDF_CALL(WDFOBJECTALLOCATECONTEXT, WdfObjectAllocateContext)(WdfDriverGlobals, Handle,
                                                                        ContextAttributes, Context);
}
#endif

/* IRQL: any */
typedef VOID(NTAPI *PFN_WDFOBJECTREFERENCEACTUAL)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                  WDFOBJECT Handle, PVOID Tag, LONG Line,
                                                  PCHAR File);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfObjectReferenceActual(WDFOBJECT Handle, PVOID Tag, LONG Line, PCHAR File) {
    WDF_CALL(WDFOBJECTREFERENCEACTUAL, WdfObjectReferenceActual)
    (WdfDriverGlobals, Handle, Tag, Line, File);
}
#endif

/* IRQL: any */
typedef VOID(NTAPI *PFN_WDFOBJECTDEREFERENCEACTUAL)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                    WDFOBJECT Handle, PVOID Tag, LONG Line,
                                                    PCHAR File);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfObjectDereferenceActual(WDFOBJECT Handle, PVOID Tag, LONG Line, PCHAR File) {
    WDF_CALL(WDFOBJECTDEREFERENCEACTUAL, WdfObjectDereferenceActual)
    (WdfDriverGlobals, Handle, Tag, Line, File);
}
#endif

/* IRQL: <= DISPATCH_LEVEL, PASSIVE_LEVEL for some types */
typedef VOID(NTAPI *PFN_WDFOBJECTDELETE)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFOBJECT Object);
#ifndef KMDF_TYPES_ONLY
WDF_INLINE VOID WdfObjectDelete(WDFOBJECT Object) {
    WDF_CALL(WDFOBJECTDELETE, WdfObjectDelete)(WdfDriverGlobals, Object);
}
#endif

#ifdef __cplusplus
}
#endif

#endif /* KMDF_WDF_OBJECT_H_ */
