// SPDX-License-Identifier: MIT
// WDF_OBJECT_ATTRIBUTES: validation, and what they add to an object.
#include "object.h"

namespace wdfldr {

static NTSTATUS CheckContextType(PWDF_OBJECT_ATTRIBUTES attributes) {
    PCWDF_OBJECT_CONTEXT_TYPE_INFO type = attributes->ContextTypeInfo;
    if (!type) {
        return attributes->ContextSizeOverride ? STATUS_WDF_OBJECT_ATTRIBUTES_INVALID
                                               : STATUS_SUCCESS;
    }
    if (type->Size != sizeof(*type))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (attributes->ContextSizeOverride && attributes->ContextSizeOverride < type->ContextSize)
        return STATUS_WDF_OBJECT_ATTRIBUTES_INVALID;
    if (!type->ContextName)
        return STATUS_WDF_OBJECT_ATTRIBUTES_INVALID;
    return STATUS_SUCCESS;
}

static NTSTATUS CheckLevels(PWDF_OBJECT_ATTRIBUTES attributes, ULONG rules) {
    WDF_EXECUTION_LEVEL level = attributes->ExecutionLevel;
    WDF_SYNCHRONIZATION_SCOPE scope = attributes->SynchronizationScope;
    if (level <= WdfExecutionLevelInvalid || level > WdfExecutionLevelDispatch)
        return STATUS_WDF_EXECUTION_LEVEL_INVALID;
    if (scope <= WdfSynchronizationScopeInvalid || scope > WdfSynchronizationScopeNone)
        return STATUS_WDF_SYNCHRONIZATION_SCOPE_INVALID;
    if (rules & kLevelsAllowed)
        return STATUS_SUCCESS;
    if (level != WdfExecutionLevelInheritFromParent)
        return STATUS_WDF_EXECUTION_LEVEL_INVALID;
    if (scope != WdfSynchronizationScopeInheritFromParent)
        return STATUS_WDF_SYNCHRONIZATION_SCOPE_INVALID;
    return STATUS_SUCCESS;
}

NTSTATUS CheckAttributes(Globals *globals, PWDF_OBJECT_ATTRIBUTES attributes, ULONG rules) {
    if (!attributes)
        return (rules & kParentRequired) ? STATUS_WDF_PARENT_NOT_SPECIFIED : STATUS_SUCCESS;
    if (attributes->Size != sizeof(*attributes))
        return STATUS_INFO_LENGTH_MISMATCH;
    NTSTATUS status = CheckContextType(attributes);
    if (!NT_SUCCESS(status))
        return status;
    if (attributes->ParentObject) {
        if (rules & kParentNotAllowed)
            return STATUS_WDF_PARENT_ASSIGNMENT_NOT_ALLOWED;
        FromHandle(globals, attributes->ParentObject, "ParentObject");
    } else if (rules & kParentRequired) {
        return STATUS_WDF_PARENT_NOT_SPECIFIED;
    }
    return CheckLevels(attributes, rules);
}

Object *ParentOf(Globals *globals, PWDF_OBJECT_ATTRIBUTES attributes, Object *fallback) {
    if (attributes && attributes->ParentObject)
        return FromHandle(globals, attributes->ParentObject, "ParentObject");
    return fallback;
}

NTSTATUS AddContext(Object *object, PWDF_OBJECT_ATTRIBUTES attributes, Context **out) {
    if (out)
        *out = nullptr;
    if (!attributes || (!attributes->ContextTypeInfo && !attributes->EvtCleanupCallback &&
                        !attributes->EvtDestroyCallback))
        return STATUS_SUCCESS;
    PCWDF_OBJECT_CONTEXT_TYPE_INFO type = attributes->ContextTypeInfo;
    size_t size = attributes->ContextSizeOverride;
    if (size == 0 && type)
        size = type->ContextSize;
    if (size > 0x10000000)
        return STATUS_INTEGER_OVERFLOW;
    auto *context = static_cast<Context *>(Allocate(object->globals, sizeof(Context) + size));
    if (!context)
        return STATUS_INSUFFICIENT_RESOURCES;
    context->signature = Context::kSignature;
    context->owner = object;
    context->type = type && type->UniqueType ? type->UniqueType : type;
    context->cleanup = attributes->EvtCleanupCallback;
    context->destroy = attributes->EvtDestroyCallback;

    KIRQL irql;
    KeAcquireSpinLock(&object->globals->treeLock, &irql);
    Context **end = &object->contexts;
    Context *existing = nullptr;
    for (; *end; end = &(*end)->next) {
        if (context->type && (*end)->type == context->type)
            existing = *end;
    }
    if (!existing)
        *end = context;
    KeReleaseSpinLock(&object->globals->treeLock, irql);
    if (existing)
        Free(object->globals, context);
    if (out)
        *out = existing ? existing : context;
    return existing ? STATUS_OBJECT_NAME_EXISTS : STATUS_SUCCESS;
}

NTSTATUS FinishCreate(Globals *globals, Object *object, Object *parent,
                      PWDF_OBJECT_ATTRIBUTES attributes) {
    InitializeListHead(&object->children);
    object->globals = globals;
    object->signature = Object::kSignature;
    if (attributes) {
        object->executionLevel = attributes->ExecutionLevel;
        object->synchronizationScope = attributes->SynchronizationScope;
    }
    if (parent) {
        if (object->executionLevel == WdfExecutionLevelInheritFromParent)
            object->executionLevel = parent->executionLevel;
        if (object->synchronizationScope == WdfSynchronizationScopeInheritFromParent)
            object->synchronizationScope = parent->synchronizationScope;
    }
    NTSTATUS status = AddContext(object, attributes, nullptr);
    bool parentGone = false;
    if (NT_SUCCESS(status) && parent) {
        KIRQL irql;
        KeAcquireSpinLock(&globals->treeLock, &irql);
        parentGone = parent->disposed;
        if (!parentGone) {
            InsertTailList(&parent->children, &object->sibling);
            object->linked = true;
            object->parent = parent;
            InterlockedIncrement(&parent->references);
        }
        KeReleaseSpinLock(&globals->treeLock, irql);
    }
    if (parentGone)
        status = STATUS_DELETE_PENDING;
    if (!NT_SUCCESS(status)) {
        while (Context *context = object->contexts) {
            object->contexts = context->next;
            Free(globals, context);
        }
        object->signature = 0;
        Free(globals, object);
    }
    return status;
}

void DropFailed(Object *object) {
    for (Context *context = object->contexts; context; context = context->next) {
        context->cleanup = nullptr;
        context->destroy = nullptr;
    }
    object->Delete();
}

} // namespace wdfldr
