// SPDX-License-Identifier: MIT
// WdfObject...: contexts, references, general objects, deletion.
#include "driver.h"

using namespace wdfldr;

// No IRQL check: contexts are looked up in interrupt service routines.
WDF_API(PVOID, WdfObjectGetTypedContextWorker,
        (PWDF_DRIVER_GLOBALS pub, WDFOBJECT handle, PCWDF_OBJECT_CONTEXT_TYPE_INFO type)) {
    WDF_ENTER(WdfObjectGetTypedContextWorker, HIGH_LEVEL);
    Object *object = FromHandle(globals, handle, kName);
    for (Context *context = object->contexts; context; context = context->next) {
        if (context->type && context->type == type)
            return context->Data();
    }
    return nullptr;
}

WDF_API(NTSTATUS, WdfObjectAllocateContext,
        (PWDF_DRIVER_GLOBALS pub, WDFOBJECT handle, PWDF_OBJECT_ATTRIBUTES attributes,
         PVOID *out)) {
    WDF_ENTER(WdfObjectAllocateContext, DISPATCH_LEVEL);
    Object *object = FromHandle(globals, handle, kName);
    CheckNotNull(attributes, kName, "ContextAttributes");
    if (out)
        *out = nullptr;
    NTSTATUS status = CheckAttributes(globals, attributes, kParentNotAllowed);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    if (!attributes->ContextTypeInfo)
        return Refuse(STATUS_OBJECT_NAME_INVALID, kName, "no context type");
    if (object->disposed)
        return Refuse(STATUS_DELETE_PENDING, kName, "the object is being deleted");
    Context *context;
    status = AddContext(object, attributes, &context);
    if (out && context)
        *out = context->Data();
    return status;
}

WDF_API(WDFOBJECT, WdfObjectContextGetObject, (PWDF_DRIVER_GLOBALS pub, PVOID data)) {
    WDF_ENTER(WdfObjectContextGetObject, HIGH_LEVEL);
    CheckNotNull(data, kName, "ContextPointer");
    Context *context = static_cast<Context *>(data) - 1;
    if (!MmIsAddressValid(context) || context->signature != Context::kSignature)
        Stop(kInvalidHandle, data, 0, "%s: %p is no object context", kName, data);
    return context->owner->Handle();
}

WDF_API(VOID, WdfObjectReferenceActual,
        (PWDF_DRIVER_GLOBALS pub, WDFOBJECT handle, PVOID, LONG, PCHAR)) {
    WDF_ENTER(WdfObjectReferenceActual, HIGH_LEVEL);
    FromHandle(globals, handle, kName)->Reference();
}

WDF_API(VOID, WdfObjectDereferenceActual,
        (PWDF_DRIVER_GLOBALS pub, WDFOBJECT handle, PVOID, LONG, PCHAR)) {
    WDF_ENTER(WdfObjectDereferenceActual, DISPATCH_LEVEL);
    FromHandle(globals, handle, kName)->Dereference();
}

WDF_API(NTSTATUS, WdfObjectCreate,
        (PWDF_DRIVER_GLOBALS pub, PWDF_OBJECT_ATTRIBUTES attributes, WDFOBJECT *out)) {
    WDF_ENTER(WdfObjectCreate, DISPATCH_LEVEL);
    CheckNotNull(out, kName, "Object");
    *out = nullptr;
    NTSTATUS status = CheckAttributes(globals, attributes, kParentOptional);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    auto *object = New<Object>(globals, Type::Object);
    if (!object)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = FinishCreate(globals, object, ParentOf(globals, attributes, DriverObject(globals)),
                          attributes);
    if (NT_SUCCESS(status))
        *out = object->Handle();
    return status;
}

WDF_API(VOID, WdfObjectDelete, (PWDF_DRIVER_GLOBALS pub, WDFOBJECT handle)) {
    WDF_ENTER(WdfObjectDelete, DISPATCH_LEVEL);
    Object *object = FromHandle(globals, handle, kName);
    if (object->noDelete)
        Stop(kObjectError, handle, 0, "%s: a %s is deleted by the framework only", kName,
             TypeName(object->type));
    object->Delete();
}

// Custom types, which the GUID would name, came with KMDF 1.11.
WDF_API(NTSTATUS, WdfObjectQuery,
        (PWDF_DRIVER_GLOBALS pub, WDFOBJECT handle, CONST GUID *guid, ULONG, PVOID)) {
    WDF_ENTER(WdfObjectQuery, DISPATCH_LEVEL);
    FromHandle(globals, handle, kName);
    CheckNotNull(guid, kName, "Guid");
    return STATUS_NOT_FOUND;
}
