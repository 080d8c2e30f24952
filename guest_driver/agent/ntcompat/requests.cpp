// SPDX-License-Identifier: MIT
//
// Devices by interface GUID, and asynchronous I/O control requests: IRPs of our own,
// whose completion hands the request to WaitRequest(), which frees the IRP, so that the
// command thread can cancel it in between; or, where a device was opened by
// DeviceOpenHandle(), what the I/O manager makes of a handle.
#include "requests.h"

#include "ntc_services.h"
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

// A request through a handle, in its `reserved`. One event serves all of them: each
// request clears it when it starts, so one looks at the status blocks before waiting.
struct HandleRequest {
    LIST_ENTRY links;
    IO_STATUS_BLOCK io; // STATUS_PENDING: not finished
};

struct HandleRequests {
    LIST_ENTRY pending; // the command thread's
    HANDLE event_handle;
    PKEVENT event;
};

HandleRequests handle_requests;

static_assert(sizeof(HandleRequest) <= sizeof(platform::Request::reserved), "fits the request");
static_assert(sizeof(LIST_ENTRY) <= 2 * sizeof(uint64_t), "links fit reserved[0..1]");

// Of a request that is an IRP of our own, behind what others use of `reserved`.
constexpr size_t kIrp = 6;  // the PIRP, or 0
constexpr size_t kFile = 7; // its PFILE_OBJECT, referenced as the I/O manager does; or 0
static_assert(sizeof(HandleRequest) <= kIrp * sizeof(uint64_t), "ends before reserved[kIrp]");

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
    // After this the request, and all it points at, may be gone.
    Hand(static_cast<platform::Request *>(context), status, information);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

// Puts the buffers where the code's transfer method wants them.
NTSTATUS AttachBuffers(PIRP irp, const platform::Request &request) {
    ULONG method = request.code & 3;
    if (method == METHOD_BUFFERED) {
        // One system buffer serves both ways; no IOCTL here has an input and an output.
        if (request.input_size && request.buffer_size)
            return STATUS_INVALID_PARAMETER;
        irp->AssociatedIrp.SystemBuffer =
            request.input_size ? const_cast<void *>(request.input) : request.buffer;
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

HandleRequest *OfHandle(platform::Request *request) {
    return reinterpret_cast<HandleRequest *>(request->reserved);
}

void SubmitToHandle(HANDLE handle, platform::Request *request) {
    HandleRequest *mine = OfHandle(request);
    mine->io.Status = STATUS_PENDING;
    NTSTATUS status =
        ZwDeviceIoControlFile(handle, handle_requests.event_handle, nullptr, nullptr, &mine->io,
                              request->code, const_cast<void *>(request->input),
                              request->input_size, request->buffer, request->buffer_size);
    // What fails at once leaves the status block alone.
    if (NT_ERROR(status))
        Hand(request, status, 0);
    else
        InsertTailList(&handle_requests.pending, &mine->links);
}

// Null: none is finished.
platform::Request *TakeFromHandles() {
    PLIST_ENTRY head = &handle_requests.pending;
    for (PLIST_ENTRY entry = head->Flink; entry != head; entry = entry->Flink) {
        HandleRequest *mine = CONTAINING_RECORD(entry, HandleRequest, links);
        NTSTATUS status = *const_cast<volatile NTSTATUS *>(&mine->io.Status);
        if (status == STATUS_PENDING)
            continue;
        RemoveEntryList(entry);
        auto *request = CONTAINING_RECORD(mine, platform::Request, reserved);
        request->status = static_cast<uint32_t>(status);
        request->information =
            static_cast<uint32_t>(*const_cast<volatile ULONG_PTR *>(&mine->io.Information));
        return request;
    }
    return nullptr;
}

NTSTATUS MakeEvent() {
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, nullptr, OBJ_KERNEL_HANDLE, nullptr, nullptr);
    NTSTATUS status = ZwCreateEvent(&handle_requests.event_handle, EVENT_ALL_ACCESS, &attributes,
                                    SynchronizationEvent, FALSE);
    PVOID event = nullptr;
    if (NT_SUCCESS(status))
        status = ObReferenceObjectByHandle(handle_requests.event_handle, SYNCHRONIZE, nullptr,
                                           KernelMode, &event, nullptr);
    handle_requests.event = static_cast<PKEVENT>(event);
    return status;
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

NTSTATUS RequestsInit() {
    InitializeListHead(&completions.list);
    KeInitializeSpinLock(&completions.lock);
    KeInitializeSemaphore(&completions.count, 0, MAXLONG);
    InitializeListHead(&handle_requests.pending);
    return MakeEvent();
}

namespace platform {

struct Device {
    HANDLE handle;         // its end sends the cleanup
    PFILE_OBJECT file;     // null: opened by DeviceOpenHandle()
    PDEVICE_OBJECT device; // kept by the file object
};

namespace {

NTSTATUS OpenByHandle(PUNICODE_STRING path, uint32_t access, HANDLE *handle) {
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK io{};
    // What a program that asks for nothing gets.
    ACCESS_MASK wanted = SYNCHRONIZE | FILE_READ_ATTRIBUTES;
    wanted |= access & kAccessRead ? FILE_READ_DATA : 0;
    wanted |= access & kAccessWrite ? FILE_WRITE_DATA : 0;
    InitializeObjectAttributes(&attributes, path, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, nullptr,
                               nullptr);
    return ZwCreateFile(handle, wanted, &attributes, &io, nullptr, FILE_ATTRIBUTE_NORMAL,
                        FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_OPEN, FILE_NON_DIRECTORY_FILE,
                        nullptr, 0);
}

NTSTATUS OpenFile(PUNICODE_STRING path, Device *opened) {
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK io{};
    InitializeObjectAttributes(&attributes, path, OBJ_KERNEL_HANDLE, nullptr, nullptr);
    NTSTATUS status = ZwOpenFile(&opened->handle, FILE_READ_DATA | FILE_WRITE_DATA, &attributes,
                                 &io, 0, FILE_NON_DIRECTORY_FILE);
    if (!NT_SUCCESS(status))
        return status;
    PVOID file;
    status = ObReferenceObjectByHandle(opened->handle, 0, nullptr, KernelMode, &file, nullptr);
    if (!NT_SUCCESS(status)) {
        ZwClose(opened->handle);
        return status;
    }
    opened->file = static_cast<PFILE_OBJECT>(file);
    opened->device = IoGetRelatedDeviceObject(opened->file);
    return STATUS_SUCCESS;
}

// Opens device `index` by `open`, which gets its name and what to fill in.
template <typename Open> uint32_t OpenBy(uint32_t index, Device **device, Open open) {
    Device *opened =
        static_cast<Device *>(ExAllocatePoolWithTag(NonPagedPool, sizeof(Device), kTag));
    if (!opened)
        return static_cast<uint32_t>(STATUS_INSUFFICIENT_RESOURCES);
    RtlZeroMemory(opened, sizeof(*opened));
    NTSTATUS status = STATUS_NO_SUCH_DEVICE;
    ForEachInterface([&](uint32_t i, PWSTR name) {
        if (i != index)
            return false;
        UNICODE_STRING path;
        RtlInitUnicodeString(&path, name);
        status = open(&path, opened);
        return true;
    });
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(opened, kTag);
        return static_cast<uint32_t>(status);
    }
    *device = opened;
    return 0;
}

} // namespace

uint32_t DeviceCount() {
    return ForEachInterface([](uint32_t, PWSTR) { return false; });
}

uint32_t DeviceOpen(uint32_t index, Device **device) {
    return OpenBy(index, device, OpenFile);
}

uint32_t DeviceOpenHandle(uint32_t index, uint32_t access, Device **device) {
    return OpenBy(index, device, [access](PUNICODE_STRING path, Device *opened) {
        return OpenByHandle(path, access, &opened->handle);
    });
}

void DeviceClose(Device *device) {
    ZwClose(device->handle);
    if (device->file)
        ObDereferenceObject(device->file);
    ExFreePoolWithTag(device, kTag);
}

uint32_t DevicePowerDown(Device *device) {
    return static_cast<uint32_t>(NtcSleepDevice(device->device));
}

uint32_t DevicePowerUp(Device *device) {
    return static_cast<uint32_t>(NtcWakeDevice(device->device));
}

void SubmitRequest(Device *device, Request *request) {
    request->reserved[kIrp] = request->reserved[kFile] = 0;
    if (!device->file) {
        SubmitToHandle(device->handle, request);
        return;
    }
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
    ObReferenceObject(device->file);
    request->reserved[kFile] = reinterpret_cast<uint64_t>(device->file);
    request->reserved[kIrp] = reinterpret_cast<uint64_t>(irp);
    IoCallDriver(device->device, irp);
}

static Request *Release(Request *request) {
    if (request->reserved[kIrp])
        IoFreeIrp(reinterpret_cast<PIRP>(request->reserved[kIrp]));
    if (request->reserved[kFile])
        ObDereferenceObject(reinterpret_cast<PFILE_OBJECT>(request->reserved[kFile]));
    request->reserved[kIrp] = request->reserved[kFile] = 0;
    return request;
}

void CancelRequest(Device *, Request *request) {
    if (request->reserved[kIrp])
        IoCancelIrp(reinterpret_cast<PIRP>(request->reserved[kIrp]));
}

Request *WaitRequest(uint32_t timeout_ms) {
    LARGE_INTEGER timeout;
    timeout.QuadPart = -static_cast<LONGLONG>(timeout_ms) * 10000;
    PVOID objects[] = {&completions.count, handle_requests.event};
    for (;;) {
        if (Request *request = TakeFromHandles())
            return request;
        NTSTATUS status = KeWaitForMultipleObjects(2, objects, WaitAny, Executive, KernelMode,
                                                   FALSE, &timeout, nullptr);
        if (status == STATUS_WAIT_0) {
            LIST_ENTRY *links = ExInterlockedRemoveHeadList(&completions.list, &completions.lock);
            return Release(CONTAINING_RECORD(links, Request, reserved));
        }
        if (status != STATUS_WAIT_1)
            return nullptr;
        // One through a handle, or one that was taken already: it is soon looked at again.
    }
}

} // namespace platform
