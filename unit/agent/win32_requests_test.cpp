// SPDX-License-Identifier: MIT
//
// The Win32 back end's devices and requests, on a SetupAPI and an I/O manager that are
// played here. In SetupAPI's list stay the interfaces of present devices that are
// disabled or have lost their driver; without SPINT_ACTIVE they are nobody's.
#include <cstring>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "../../guest_driver/agent/platform.h"
#include "../../guest_driver/agent/win32/win32.h"
#include "fake_windows/setupapi.h"

namespace {

constexpr uint32_t kNoSuchDevice = 0xC000000E, kNameNotFound = 0xC0000034;

struct Interface {
    std::wstring path;
    DWORD flags;
};

struct Windows {
    std::vector<Interface> interfaces;
    int sets = 0; // open device information sets
    std::map<HANDLE, std::wstring> files;
    std::map<HANDLE, DWORD> access;
    std::set<HANDLE> in_port;
    std::deque<OVERLAPPED *> port;
    uintptr_t next_handle = 0x100;
    DWORD error = 0;
    uint32_t nt_status = 0;
    uint32_t answer = 0; // NTSTATUS of each request
    bool at_once = false;
};

Windows *windows;

LONG NTAPI LastStatus() {
    return static_cast<LONG>(windows->nt_status);
}

class Win32 : public testing::Test {
  protected:
    void SetUp() override {
        windows = &fake_;
        ASSERT_TRUE(RequestsInit());
    }
    void TearDown() override {
        EXPECT_EQ(0, fake_.sets) << "a device information set was not freed";
        EXPECT_TRUE(fake_.files.empty()) << "a handle was not closed";
        windows = nullptr;
    }
    void Add(const wchar_t *path, DWORD flags) {
        fake_.interfaces.push_back({path, flags});
    }
    // Opens device `index`, and returns its path.
    std::wstring PathOf(uint32_t index) {
        platform::Device *device = nullptr;
        EXPECT_EQ(0u, platform::DeviceOpen(index, &device));
        std::wstring path = fake_.files[device];
        platform::DeviceClose(device);
        return path;
    }
    Windows fake_;
};

} // namespace

DWORD GetLastError() {
    return windows->error;
}
HMODULE GetModuleHandleW(const WCHAR *) {
    return windows;
}
FARPROC GetProcAddress(HMODULE, const char *name) {
    EXPECT_STREQ("RtlGetLastNtStatus", name);
    return reinterpret_cast<FARPROC>(LastStatus);
}
HANDLE CreateIoCompletionPort(HANDLE file, HANDLE port, ULONG_PTR, DWORD) {
    if (file == INVALID_HANDLE_VALUE)
        return &windows->port;
    EXPECT_EQ(&windows->port, port);
    windows->in_port.insert(file);
    return port;
}
HANDLE CreateFileW(const WCHAR *path, DWORD access, DWORD, void *, DWORD creation, DWORD flags,
                   HANDLE) {
    EXPECT_EQ(OPEN_EXISTING, creation);
    EXPECT_EQ(FILE_FLAG_OVERLAPPED, flags);
    for (const Interface &each : windows->interfaces)
        if (each.path == path && each.flags & SPINT_ACTIVE) {
            HANDLE handle = reinterpret_cast<HANDLE>(windows->next_handle += 4);
            windows->files[handle] = path;
            windows->access[handle] = access;
            return handle;
        }
    windows->nt_status = kNameNotFound;
    return INVALID_HANDLE_VALUE;
}
BOOL CancelIoEx(HANDLE, OVERLAPPED *) {
    return TRUE;
}

BOOL CloseHandle(HANDLE handle) {
    EXPECT_EQ(1u, windows->files.erase(handle));
    return TRUE;
}
BOOL DeviceIoControl(HANDLE file, DWORD, void *, DWORD, void *, DWORD out_size, DWORD *,
                     OVERLAPPED *overlapped) {
    EXPECT_TRUE(windows->in_port.count(file));
    overlapped->Internal = windows->answer;
    overlapped->InternalHigh = out_size;
    bool error = windows->answer >> 30 == 3;
    if (!(windows->at_once && error)) // an error at once queues nothing
        windows->port.push_back(overlapped);
    else
        overlapped->Internal = 0x103; // STATUS_PENDING, as it was set before the call
    if (!windows->at_once) {
        windows->error = ERROR_IO_PENDING;
        return FALSE;
    }
    windows->nt_status = windows->answer;
    windows->error = windows->answer ? 31 : 0;
    return windows->answer == 0;
}
BOOL PostQueuedCompletionStatus(HANDLE, DWORD, ULONG_PTR, OVERLAPPED *overlapped) {
    windows->port.push_back(overlapped);
    return TRUE;
}
BOOL GetQueuedCompletionStatus(HANDLE, DWORD *, ULONG_PTR *, OVERLAPPED **overlapped, DWORD) {
    if (windows->port.empty())
        return FALSE;
    *overlapped = windows->port.front();
    windows->port.pop_front();
    return (*overlapped)->Internal == 0;
}
HDEVINFO SetupDiGetClassDevsW(const GUID *guid, const WCHAR *, void *, DWORD flags) {
    EXPECT_EQ(0x8a6c7f2eu, guid->Data1);
    EXPECT_EQ(DIGCF_PRESENT | DIGCF_DEVICEINTERFACE, flags);
    windows->sets++;
    return windows;
}
BOOL SetupDiEnumDeviceInterfaces(HDEVINFO, void *, const GUID *, DWORD index,
                                 SP_DEVICE_INTERFACE_DATA *data) {
    EXPECT_EQ(sizeof(*data), data->cbSize);
    if (index >= windows->interfaces.size())
        return FALSE;
    data->Flags = windows->interfaces[index].flags;
    data->Reserved = index;
    return TRUE;
}
BOOL SetupDiGetDeviceInterfaceDetailW(HDEVINFO, SP_DEVICE_INTERFACE_DATA *data,
                                      SP_DEVICE_INTERFACE_DETAIL_DATA_W *detail, DWORD size,
                                      DWORD *, void *) {
    const std::wstring &path = windows->interfaces[data->Reserved].path;
    size_t bytes = (path.size() + 1) * sizeof(WCHAR);
    if (size < offsetof(SP_DEVICE_INTERFACE_DETAIL_DATA_W, DevicePath) + bytes)
        return FALSE;
    std::memcpy(detail->DevicePath, path.c_str(), bytes);
    return TRUE;
}
BOOL SetupDiDestroyDeviceInfoList(HDEVINFO) {
    windows->sets--;
    return TRUE;
}

TEST_F(Win32, CountsActiveInterfacesOnly) {
    EXPECT_EQ(0u, platform::DeviceCount());
    Add(L"disabled", 0);
    EXPECT_EQ(0u, platform::DeviceCount());
    Add(L"first", SPINT_ACTIVE);
    Add(L"removed", 4); // SPINT_REMOVED
    Add(L"second", SPINT_ACTIVE | 2);
    EXPECT_EQ(2u, platform::DeviceCount());
    EXPECT_EQ(L"first", PathOf(0));
    EXPECT_EQ(L"second", PathOf(1));
}

TEST_F(Win32, NoDeviceWhereAllAreInactive) {
    Add(L"a", 0);
    Add(L"b", 0);
    platform::Device *device = nullptr;
    for (uint32_t index : {0u, 1u, 2u}) {
        EXPECT_EQ(kNoSuchDevice, platform::DeviceOpen(index, &device));
        EXPECT_EQ(kNoSuchDevice, platform::DeviceOpenHandle(index, 3, &device));
    }
    EXPECT_EQ(nullptr, device);
}

TEST_F(Win32, AtMostKMaxDevices) {
    for (uint32_t i = 0; i < 3 * platform::kMaxDevices; i++)
        Add(L"x", i % 2 ? SPINT_ACTIVE : 0);
    EXPECT_EQ(platform::kMaxDevices, platform::DeviceCount());
}

TEST_F(Win32, ANameThatIsTooLongIsSaid) {
    Add(std::wstring(600, L'x').c_str(), SPINT_ACTIVE);
    fake_.nt_status = 0xC0000023;
    platform::Device *device = nullptr;
    EXPECT_EQ(1u, platform::DeviceCount());
    EXPECT_EQ(0xC0000023u, platform::DeviceOpen(0, &device));
}

TEST_F(Win32, AccessIsWhatIsAskedFor) {
    Add(L"a", SPINT_ACTIVE);
    const DWORD wanted[] = {0, GENERIC_READ, GENERIC_WRITE, GENERIC_READ | GENERIC_WRITE};
    for (uint32_t access = 0; access < 4; access++) {
        platform::Device *device = nullptr;
        ASSERT_EQ(0u, platform::DeviceOpenHandle(0, access, &device));
        EXPECT_EQ(wanted[access], fake_.access[device]);
        platform::DeviceClose(device);
    }
    platform::Device *device = nullptr;
    ASSERT_EQ(0u, platform::DeviceOpen(0, &device));
    EXPECT_EQ(wanted[3], fake_.access[device]);
    platform::DeviceClose(device);
}

TEST_F(Win32, EachRequestComesBackOnce) {
    Add(L"a", SPINT_ACTIVE);
    struct Case {
        uint32_t answer;
        bool at_once;
        uint32_t information;
    };
    for (const Case &c : {Case{0, false, 8}, Case{0, true, 8}, Case{0xC0000185, false, 8},
                          Case{0xC0000010, true, 0}, Case{0x80000005, true, 8}}) {
        platform::Device *device = nullptr;
        ASSERT_EQ(0u, platform::DeviceOpenHandle(0, 3, &device));
        uint8_t buffer[8];
        platform::Request request{};
        request.buffer = buffer;
        request.buffer_size = 8;
        fake_.answer = c.answer;
        fake_.at_once = c.at_once;
        platform::SubmitRequest(device, &request);
        platform::DeviceClose(device); // a request in flight comes back all the same
        EXPECT_EQ(&request, platform::WaitRequest(0));
        EXPECT_EQ(c.answer, request.status);
        EXPECT_EQ(c.information, request.information);
        EXPECT_EQ(nullptr, platform::WaitRequest(0));
    }
}
