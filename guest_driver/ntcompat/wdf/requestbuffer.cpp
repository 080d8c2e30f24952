// SPDX-License-Identifier: MIT
// WdfRequestRetrieve...: buffers, MDLs and memory objects of a request.
#include "memory.h"
#include "request.h"

using namespace wdfldr;

namespace {

// Where the input or output of an IRP is: in a system buffer, or in an MDL.
struct Buffer {
    size_t length;
    void *systemBuffer; // NULL where mdl is set
    PMDL mdl;
};

NTSTATUS ReadWriteBuffer(Request *request, size_t length, Buffer *out) {
    PIRP irp = request->irp;
    ULONG flags = request->device->deviceObject->Flags;
    out->length = length;
    if (flags & DO_BUFFERED_IO)
        out->systemBuffer = irp->AssociatedIrp.SystemBuffer;
    else if (flags & DO_DIRECT_IO)
        out->mdl = irp->MdlAddress;
    else
        return STATUS_INVALID_DEVICE_REQUEST; // neither: unsafe buffers only
    return STATUS_SUCCESS;
}

NTSTATUS ControlBuffer(Request *request, PIO_STACK_LOCATION stack, bool input, Buffer *out) {
    PIRP irp = request->irp;
    const auto &ioctl = stack->Parameters.DeviceIoControl;
    out->length = input ? ioctl.InputBufferLength : ioctl.OutputBufferLength;
    switch (ioctl.IoControlCode & 3) {
    case METHOD_BUFFERED:
        out->systemBuffer = irp->AssociatedIrp.SystemBuffer;
        return STATUS_SUCCESS;
    case METHOD_IN_DIRECT:
    case METHOD_OUT_DIRECT:
        if (input)
            out->systemBuffer = irp->AssociatedIrp.SystemBuffer;
        else
            out->mdl = irp->MdlAddress;
        return STATUS_SUCCESS;
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

// STATUS_INVALID_DEVICE_REQUEST: the request has no such buffer;
// STATUS_BUFFER_TOO_SMALL: it has no bytes, or fewer than `minimum`.
NTSTATUS Locate(Request *request, bool input, size_t minimum, Buffer *out) {
    *out = {};
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(request->irp);
    NTSTATUS status = STATUS_INVALID_DEVICE_REQUEST;
    if (stack->MajorFunction == IRP_MJ_READ && !input)
        status = ReadWriteBuffer(request, stack->Parameters.Read.Length, out);
    else if (stack->MajorFunction == IRP_MJ_WRITE && input)
        status = ReadWriteBuffer(request, stack->Parameters.Write.Length, out);
    else if (stack->MajorFunction == IRP_MJ_DEVICE_CONTROL ||
             stack->MajorFunction == IRP_MJ_INTERNAL_DEVICE_CONTROL)
        status = ControlBuffer(request, stack, input, out);
    if (!NT_SUCCESS(status))
        return status;
    if (out->length == 0 || out->length < minimum || (!out->systemBuffer && !out->mdl))
        return STATUS_BUFFER_TOO_SMALL;
    return STATUS_SUCCESS;
}

NTSTATUS Retrieve(Request *request, bool input, size_t minimum, PVOID *address, size_t *length) {
    Buffer buffer;
    NTSTATUS status = Locate(request, input, minimum, &buffer);
    if (!NT_SUCCESS(status))
        return status;
    *address = buffer.mdl ? MmGetSystemAddressForMdlSafe(buffer.mdl, NormalPagePriority)
                          : buffer.systemBuffer;
    if (!*address)
        return STATUS_INSUFFICIENT_RESOURCES;
    *length = buffer.length;
    return STATUS_SUCCESS;
}

NTSTATUS RetrieveMdl(Request *request, bool input, PMDL *own, PMDL *out) {
    Buffer buffer;
    NTSTATUS status = Locate(request, input, 0, &buffer);
    if (!NT_SUCCESS(status))
        return status;
    if (buffer.mdl) {
        *out = buffer.mdl;
        return STATUS_SUCCESS;
    }
    if (!*own) {
        *own = IoAllocateMdl(buffer.systemBuffer, static_cast<ULONG>(buffer.length), FALSE, FALSE,
                             nullptr);
        if (!*own)
            return STATUS_INSUFFICIENT_RESOURCES;
        MmBuildMdlForNonPagedPool(*own);
    }
    *out = *own;
    return STATUS_SUCCESS;
}

NTSTATUS RetrieveMemory(Request *request, bool input, Memory **own, WDFMEMORY *out) {
    if (!*own) {
        PVOID address;
        size_t length;
        NTSTATUS status = Retrieve(request, input, 0, &address, &length);
        if (!NT_SUCCESS(status))
            return status;
        auto *memory = New<Memory>(request->globals, Type::Memory);
        if (!memory)
            return STATUS_INSUFFICIENT_RESOURCES;
        memory->buffer = address;
        memory->size = length;
        memory->noDelete = true;
        status = FinishCreate(request->globals, memory, request, nullptr);
        if (!NT_SUCCESS(status))
            return status;
        *own = memory;
    }
    *out = (*own)->HandleAs<WDFMEMORY>();
    return STATUS_SUCCESS;
}

} // namespace

WDF_API(NTSTATUS, WdfRequestRetrieveInputBuffer,
        (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle, size_t minimum, PVOID *buffer,
         size_t *length)) {
    WDF_ENTER(WdfRequestRetrieveInputBuffer, DISPATCH_LEVEL);
    CheckNotNull(buffer, kName, "Buffer");
    size_t size = 0;
    *buffer = nullptr;
    NTSTATUS status =
        Retrieve(RequestInDriver(globals, handle, kName), true, minimum, buffer, &size);
    if (length)
        *length = size;
    return status;
}

WDF_API(NTSTATUS, WdfRequestRetrieveOutputBuffer,
        (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle, size_t minimum, PVOID *buffer,
         size_t *length)) {
    WDF_ENTER(WdfRequestRetrieveOutputBuffer, DISPATCH_LEVEL);
    CheckNotNull(buffer, kName, "Buffer");
    size_t size = 0;
    *buffer = nullptr;
    NTSTATUS status =
        Retrieve(RequestInDriver(globals, handle, kName), false, minimum, buffer, &size);
    if (length)
        *length = size;
    return status;
}

WDF_API(NTSTATUS, WdfRequestRetrieveInputWdmMdl,
        (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle, PMDL *out)) {
    WDF_ENTER(WdfRequestRetrieveInputWdmMdl, DISPATCH_LEVEL);
    CheckNotNull(out, kName, "Mdl");
    *out = nullptr;
    Request *request = RequestInDriver(globals, handle, kName);
    return RetrieveMdl(request, true, &request->inputMdl, out);
}

WDF_API(NTSTATUS, WdfRequestRetrieveOutputWdmMdl,
        (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle, PMDL *out)) {
    WDF_ENTER(WdfRequestRetrieveOutputWdmMdl, DISPATCH_LEVEL);
    CheckNotNull(out, kName, "Mdl");
    *out = nullptr;
    Request *request = RequestInDriver(globals, handle, kName);
    return RetrieveMdl(request, false, &request->outputMdl, out);
}

WDF_API(NTSTATUS, WdfRequestRetrieveInputMemory,
        (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle, WDFMEMORY *out)) {
    WDF_ENTER(WdfRequestRetrieveInputMemory, DISPATCH_LEVEL);
    CheckNotNull(out, kName, "Memory");
    *out = nullptr;
    Request *request = RequestInDriver(globals, handle, kName);
    return RetrieveMemory(request, true, &request->inputMemory, out);
}

WDF_API(NTSTATUS, WdfRequestRetrieveOutputMemory,
        (PWDF_DRIVER_GLOBALS pub, WDFREQUEST handle, WDFMEMORY *out)) {
    WDF_ENTER(WdfRequestRetrieveOutputMemory, DISPATCH_LEVEL);
    CheckNotNull(out, kName, "Memory");
    *out = nullptr;
    Request *request = RequestInDriver(globals, handle, kName);
    return RetrieveMemory(request, false, &request->outputMemory, out);
}
