// SPDX-License-Identifier: MIT
//
// Devices by interface GUID, and asynchronous I/O control requests as IRPs of our
// own. Completion frees the IRP and hands the request to WaitRequest().
#include "requests.h"

#include "../platform.h"
#include "../../driver/vq7_ioctl.h"

namespace {

constexpr ULONG kTag = 'ga7V'; // "V7ag"
const GUID kInterface = VQ7_INTERFACE_GUID_INIT;

struct Completions {
    LIST_ENTRY list; // of requests, by reserved[0..1]
    KSPIN_LOCK lock;
    KSEMAPHORE count;
};

Completions completions;

static_assert(sizeof(LIST_ENTRY) <= 2 * sizeof(uint64_t), "links fit reserved[0..1]");

LIST_ENTRY *Links(platform::Request *request) {
    return reinterpret_cast<LIST_ENTRY *>(&request->reserved[0]);
}

// <= DISPATCH_LEVEL.
void Hand(platform::Request *request, NTSTATUS status, ULONG_PTR information) {
    request->status = static_cast<uint32_t>(status);
    request->information = static_cast<uint32_t>(information);
    ExInterlockedInsertTailList(&completions.list, Links(request), &completions.lock);
    KeReleaseSemaphore(&completions.count, IO_NO_INCREMENT, 1, FALSE);
}

NTSTATUS NTAPI OnComplete(PDEVICE_OBJECT, PIRP irp, PVOID context) {
    NTSTATUS status = irp->IoStatus.Status;
    ULONG_PTR information = irp->IoStatus.Information;
    // The buffers are nonpaged pool: the MDL was never locked.
    if (irp->MdlAddress) {
        IoFreeMdl(irp->MdlAddress);
        irp->MdlAddress = nullptr;
    }
    IoFreeIrp(irp);
    // After this the request, and all it points at, may be gone.
    Hand(static_cast<platform::Request *>(context), status, information);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

// Puts the buffers where the code's transfer method wants them.
NTSTATUS AttachBuffers(PIRP irp, const platform::Request &request) {
    ULONG method = request.code & 3;
    if (method == METHOD_BUFFERED) {
        // One system buffer serves both ways; no IOCTL here has an input as well.
        if (request.input_size)
            return STATUS_INVALID_PARAMETER;
        irp->AssociatedIrp.SystemBuffer = request.buffer;
        return STATUS_SUCCESS;
    }
    if (method == METHOD_NEITHER)
        return STATUS_INVALID_PARAMETER;
    irp->AssociatedIrp.SystemBuffer = const_cast<void *>(request.input);
    if (!request.buffer_size)
        return STATUS_SUCCESS;
    irp->MdlAddress = IoAllocateMdl(request.buffer, request.buffer_size, FALSE, FALSE, nullptr);
    if (!irp->MdlAddress)
        return STATUS_INSUFFICIENT_RESOURCES;
    MmBuildMdlForNonPagedPool(irp->MdlAddress);
    return STATUS_SUCCESS;
}

// Calls `use` for each interface name until it returns true. Returns how many
// names there were before that.
template <typename Use> uint32_t ForEachInterface(Use use) {
    PWSTR list = nullptr;
    NTSTATUS status = IoGetDeviceInterfaces(&kInterface, nullptr, 0, &list);
    if (!NT_SUCCESS(status)) {
        DbgPrint("vq7agent: the devices can't be listed: 0x%08x\n", status);
        return 0;
    }
    uint32_t index = 0;
    for (PWSTR name = list; *name && index < platform::kMaxDevices; index++) {
        if (use(index, name))
            break;
        while (*name)
            name++;
        name++;
    }
    ExFreePool(list);
    return index;
}

} // namespace

void RequestsInit() {
    InitializeListHead(&completions.list);
    KeInitializeSpinLock(&completions.lock);
    KeInitializeSemaphore(&completions.count, 0, MAXLONG);
}

namespace platform {

struct Device {
    PFILE_OBJECT file;
    PDEVICE_OBJECT device; // kept by the file object
};

uint32_t DeviceCount() {
    return ForEachInterface([](uint32_t, PWSTR) { return false; });
}

uint32_t DeviceOpen(uint32_t index, Device **device) {
    Device *opened =
        static_cast<Device *>(ExAllocatePoolWithTag(NonPagedPool, sizeof(Device), kTag));
    if (!opened)
        return static_cast<uint32_t>(STATUS_INSUFFICIENT_RESOURCES);
    NTSTATUS status = STATUS_NO_SUCH_DEVICE;
    ForEachInterface([&](uint32_t i, PWSTR name) {
        if (i != index)
            return false;
        UNICODE_STRING path;
        RtlInitUnicodeString(&path, name);
        status = IoGetDeviceObjectPointer(&path, FILE_READ_DATA | FILE_WRITE_DATA, &opened->file,
                                          &opened->device);
        return true;
    });
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(opened, kTag);
        return static_cast<uint32_t>(status);
    }
    *device = opened;
    return 0;
}

void DeviceClose(Device *device) {
    ObDereferenceObject(device->file);
    ExFreePoolWithTag(device, kTag);
}

void SubmitRequest(Device *device, Request *request) {
    PIRP irp = IoAllocateIrp(device->device->StackSize, FALSE);
    if (!irp) {
        Hand(request, STATUS_INSUFFICIENT_RESOURCES, 0);
        return;
    }
    NTSTATUS status = AttachBuffers(irp, *request);
    if (!NT_SUCCESS(status)) {
        IoFreeIrp(irp);
        Hand(request, status, 0);
        return;
    }
    irp->RequestorMode = KernelMode;
    irp->Tail.Overlay.Thread = PsGetCurrentThread();
    irp->Tail.Overlay.OriginalFileObject = device->file;
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    next->FileObject = device->file;
    next->Parameters.DeviceIoControl.IoControlCode = request->code;
    next->Parameters.DeviceIoControl.InputBufferLength = request->input_size;
    next->Parameters.DeviceIoControl.OutputBufferLength = request->buffer_size;
    IoSetCompletionRoutine(irp, OnComplete, request, TRUE, TRUE, TRUE);
    IoCallDriver(device->device, irp);
}

Request *WaitRequest(uint32_t timeout_ms) {
    LARGE_INTEGER timeout;
    timeout.QuadPart = -static_cast<LONGLONG>(timeout_ms) * 10000;
    NTSTATUS status =
        KeWaitForSingleObject(&completions.count, Executive, KernelMode, FALSE, &timeout);
    if (status != STATUS_SUCCESS)
        return nullptr;
    LIST_ENTRY *links = ExInterlockedRemoveHeadList(&completions.list, &completions.lock);
    return CONTAINING_RECORD(links, Request, reserved);
}

} // namespace platform
