// SPDX-License-Identifier: MIT
//
// Devices by interface GUID; requests through one I/O completion port.
#include "win32.h"

#include <setupapi.h>

#include "../core/status.h"
#include "../platform.h"
#include "../../driver/vq7_ioctl.h"

namespace {

constexpr uint32_t kStatusNoSuchDevice = 0xC000000E;
constexpr size_t kMaxPath = 512; // characters of a device path

const GUID kInterface = VQ7_INTERFACE_GUID_INIT;
HANDLE completions;

static_assert(sizeof(OVERLAPPED) <= sizeof(platform::Request::reserved), "fits the request");

struct Detail {
    SP_DEVICE_INTERFACE_DETAIL_DATA_W data;
    WCHAR room[kMaxPath];
};

// Calls `use` with each device path until it returns true. Returns how many there
// were before that.
template <typename Use> uint32_t ForEachInterface(Use use) {
    HDEVINFO set =
        SetupDiGetClassDevsW(&kInterface, nullptr, nullptr, DIGCF_PRESENT | DIGCF_DEVICEINTERFACE);
    if (set == INVALID_HANDLE_VALUE)
        return 0;
    uint32_t index = 0;
    for (DWORD i = 0; index < platform::kMaxDevices; i++) {
        SP_DEVICE_INTERFACE_DATA interface_data = {};
        interface_data.cbSize = sizeof(interface_data);
        if (!SetupDiEnumDeviceInterfaces(set, nullptr, &kInterface, i, &interface_data))
            break;
        // A present device that is disabled, or whose driver is gone, keeps its
        // interfaces in the list.
        if (!(interface_data.Flags & SPINT_ACTIVE))
            continue;
        Detail detail;
        detail.data.cbSize = sizeof(detail.data);
        bool named = SetupDiGetDeviceInterfaceDetailW(set, &interface_data, &detail.data,
                                                      sizeof(detail), nullptr, nullptr) != FALSE;
        if (use(index, named ? detail.data.DevicePath : nullptr))
            break;
        index++;
    }
    SetupDiDestroyDeviceInfoList(set);
    return index;
}

// A device is its handle.
uint32_t OpenWith(uint32_t index, DWORD access, platform::Device **device) {
    uint32_t status = kStatusNoSuchDevice;
    ForEachInterface([&](uint32_t i, const WCHAR *path) {
        if (i != index)
            return false;
        HANDLE handle = path ? CreateFileW(path, access, FILE_SHARE_READ | FILE_SHARE_WRITE,
                                           nullptr, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, nullptr)
                             : INVALID_HANDLE_VALUE;
        if (handle == INVALID_HANDLE_VALUE) {
            status = LastNtStatus();
            return true;
        }
        if (!CreateIoCompletionPort(handle, completions, 0, 0)) {
            status = LastNtStatus();
            CloseHandle(handle);
            return true;
        }
        status = 0;
        *device = reinterpret_cast<platform::Device *>(handle);
        return true;
    });
    return status;
}

} // namespace

uint32_t LastNtStatus() {
    typedef LONG(NTAPI * GetLast)(void);
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    FARPROC found = ntdll ? GetProcAddress(ntdll, "RtlGetLastNtStatus") : nullptr;
    if (!found)
        return 0xC0000001; // STATUS_UNSUCCESSFUL
    return static_cast<uint32_t>(reinterpret_cast<GetLast>(reinterpret_cast<void *>(found))());
}

bool RequestsInit() {
    completions = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1);
    return completions != nullptr;
}

namespace platform {

uint32_t DeviceCount() {
    return ForEachInterface([](uint32_t, const WCHAR *) { return false; });
}

uint32_t DeviceOpen(uint32_t index, Device **device) {
    return OpenWith(index, GENERIC_READ | GENERIC_WRITE, device);
}

uint32_t DeviceOpenHandle(uint32_t index, uint32_t access, Device **device) {
    DWORD wanted = access & kAccessRead ? GENERIC_READ : 0;
    return OpenWith(index, wanted | (access & kAccessWrite ? GENERIC_WRITE : 0), device);
}

void DeviceClose(Device *device) {
    CloseHandle(reinterpret_cast<HANDLE>(device));
}

void SubmitRequest(Device *device, Request *request) {
    OVERLAPPED *overlapped = reinterpret_cast<OVERLAPPED *>(request->reserved);
    *overlapped = {};
    if (DeviceIoControl(reinterpret_cast<HANDLE>(device), request->code,
                        const_cast<void *>(request->input), request->input_size, request->buffer,
                        request->buffer_size, nullptr, overlapped) ||
        GetLastError() == ERROR_IO_PENDING)
        return;
    // A call that fails at once queues nothing to the port, unless it is a warning.
    uint32_t status = LastNtStatus();
    if (status >> 30 == 2)
        return;
    overlapped->Internal = status;
    overlapped->InternalHigh = 0;
    PostQueuedCompletionStatus(completions, 0, 0, overlapped);
}

Request *WaitRequest(uint32_t timeout_ms) {
    DWORD count;
    ULONG_PTR key;
    OVERLAPPED *overlapped = nullptr;
    GetQueuedCompletionStatus(completions, &count, &key, &overlapped, timeout_ms);
    if (!overlapped)
        return nullptr;
    Request *request = CONTAINING_RECORD(overlapped, Request, reserved);
    // OVERLAPPED begins with the status block of the request.
    request->status = static_cast<uint32_t>(overlapped->Internal);
    request->information = static_cast<uint32_t>(overlapped->InternalHigh);
    return request;
}

void CancelRequest(Device *device, Request *request) {
    CancelIoEx(reinterpret_cast<HANDLE>(device), reinterpret_cast<OVERLAPPED *>(request->reserved));
}

// Windows has no documented way to power one device down from outside of its driver.
uint32_t DevicePowerDown(Device *) {
    return agent::kNotSupported;
}

uint32_t DevicePowerUp(Device *) {
    return agent::kNotSupported;
}

} // namespace platform
