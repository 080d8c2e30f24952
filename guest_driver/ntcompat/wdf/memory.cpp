// SPDX-License-Identifier: MIT
// WDFMEMORY.
#include "memory.h"

using namespace wdfldr;

void Memory::OnDestroy() {
    if (tag && buffer)
        ExFreePoolWithTag(buffer, tag);
    buffer = nullptr;
}

WDF_API(NTSTATUS, WdfMemoryCreate,
        (PWDF_DRIVER_GLOBALS pub, PWDF_OBJECT_ATTRIBUTES attributes, POOL_TYPE poolType, ULONG tag,
         size_t size, WDFMEMORY *out, PVOID *bufferOut)) {
    bool paged = (poolType & 1) == PagedPool;
    WDF_ENTER(WdfMemoryCreate, paged ? APC_LEVEL : DISPATCH_LEVEL);
    CheckNotNull(out, kName, "Memory");
    *out = nullptr;
    if (bufferOut)
        *bufferOut = nullptr;
    if (size == 0)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "BufferSize is 0");
    NTSTATUS status = CheckAttributes(globals, attributes, kParentOptional);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    auto *memory = New<Memory>(globals, Type::Memory);
    if (!memory)
        return STATUS_INSUFFICIENT_RESOURCES;
    memory->passiveDelete = paged;
    status = FinishCreate(globals, memory, ParentOf(globals, attributes, DriverObject(globals)),
                          attributes);
    if (!NT_SUCCESS(status))
        return status;
    memory->tag = tag ? tag : globals->pub.DriverTag;
    memory->size = size;
    memory->buffer = ExAllocatePoolWithTag(poolType, size, memory->tag);
    if (!memory->buffer) {
        DropFailed(memory);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (bufferOut)
        *bufferOut = memory->buffer;
    *out = memory->HandleAs<WDFMEMORY>();
    return STATUS_SUCCESS;
}

WDF_API(NTSTATUS, WdfMemoryCreatePreallocated,
        (PWDF_DRIVER_GLOBALS pub, PWDF_OBJECT_ATTRIBUTES attributes, PVOID buffer, size_t size,
         WDFMEMORY *out)) {
    WDF_ENTER(WdfMemoryCreatePreallocated, DISPATCH_LEVEL);
    CheckNotNull(buffer, kName, "Buffer");
    CheckNotNull(out, kName, "Memory");
    *out = nullptr;
    if (size == 0)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "BufferSize is 0");
    NTSTATUS status = CheckAttributes(globals, attributes, kParentOptional);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    auto *memory = New<Memory>(globals, Type::Memory);
    if (!memory)
        return STATUS_INSUFFICIENT_RESOURCES;
    memory->buffer = buffer;
    memory->size = size;
    status = FinishCreate(globals, memory, ParentOf(globals, attributes, DriverObject(globals)),
                          attributes);
    if (NT_SUCCESS(status))
        *out = memory->HandleAs<WDFMEMORY>();
    return status;
}

WDF_API(PVOID, WdfMemoryGetBuffer, (PWDF_DRIVER_GLOBALS pub, WDFMEMORY handle, size_t *size)) {
    WDF_ENTER(WdfMemoryGetBuffer, DISPATCH_LEVEL);
    auto *memory = From<Memory>(globals, handle, kName);
    if (size)
        *size = memory->size;
    return memory->buffer;
}

static bool IsInside(const Memory *memory, size_t offset, size_t length) {
    return offset <= memory->size && length <= memory->size - offset;
}

WDF_API(NTSTATUS, WdfMemoryCopyToBuffer,
        (PWDF_DRIVER_GLOBALS pub, WDFMEMORY handle, size_t offset, PVOID buffer, size_t length)) {
    WDF_ENTER(WdfMemoryCopyToBuffer, DISPATCH_LEVEL);
    auto *memory = From<Memory>(globals, handle, kName);
    CheckNotNull(buffer, kName, "Buffer");
    if (!IsInside(memory, offset, length))
        return STATUS_BUFFER_TOO_SMALL;
    RtlCopyMemory(buffer, static_cast<char *>(memory->buffer) + offset, length);
    return STATUS_SUCCESS;
}

WDF_API(NTSTATUS, WdfMemoryCopyFromBuffer,
        (PWDF_DRIVER_GLOBALS pub, WDFMEMORY handle, size_t offset, PVOID buffer, size_t length)) {
    WDF_ENTER(WdfMemoryCopyFromBuffer, DISPATCH_LEVEL);
    auto *memory = From<Memory>(globals, handle, kName);
    CheckNotNull(buffer, kName, "Buffer");
    if (!IsInside(memory, offset, length))
        return STATUS_BUFFER_TOO_SMALL;
    RtlCopyMemory(static_cast<char *>(memory->buffer) + offset, buffer, length);
    return STATUS_SUCCESS;
}
