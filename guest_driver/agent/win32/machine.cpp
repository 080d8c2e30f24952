// SPDX-License-Identifier: MIT
//
// Loading and unloading the driver by disabling its device nodes; shutdown.
#include "win32.h"

#include <cfgmgr32.h>
#include <setupapi.h>

#include "../platform.h"

namespace {

constexpr uint32_t kStatusUnsuccessful = 0xC0000001;
constexpr uint32_t kStatusNoSuchDevice = 0xC000000E;
constexpr uint32_t kStatusAccessDenied = 0xC0000022;
constexpr uint32_t kStatusPrivilegeNotHeld = 0xC0000061;
constexpr WCHAR kService[] = L"vq7test";

bool SameText(const WCHAR *a, const WCHAR *b) {
    return CompareStringOrdinal(a, -1, b, -1, TRUE) == CSTR_EQUAL;
}

uint32_t FromConfigRet(CONFIGRET result) {
    if (result == CR_SUCCESS)
        return 0;
    return result == CR_ACCESS_DENIED ? kStatusAccessDenied : kStatusUnsuccessful;
}

// Every present device whose function driver is ours, disabled ones as well.
template <typename Use> uint32_t ForEachDevNode(Use use) {
    HDEVINFO set =
        SetupDiGetClassDevsW(nullptr, nullptr, nullptr, DIGCF_PRESENT | DIGCF_ALLCLASSES);
    if (set == INVALID_HANDLE_VALUE)
        return LastNtStatus();
    uint32_t status = kStatusNoSuchDevice;
    SP_DEVINFO_DATA info = {};
    info.cbSize = sizeof(info);
    for (DWORD i = 0; SetupDiEnumDeviceInfo(set, i, &info); i++) {
        WCHAR service[64];
        if (!SetupDiGetDeviceRegistryPropertyW(set, &info, SPDRP_SERVICE, nullptr,
                                               reinterpret_cast<BYTE *>(service), sizeof(service),
                                               nullptr) ||
            !SameText(service, kService))
            continue;
        status = FromConfigRet(use(info.DevInst));
        if (status)
            break;
    }
    SetupDiDestroyDeviceInfoList(set);
    return status;
}

} // namespace

namespace platform {

uint32_t DriverUnload() {
    return ForEachDevNode([](DEVINST node) { return CM_Disable_DevNode(node, 0); });
}

uint32_t DriverLoad() {
    return ForEachDevNode([](DEVINST node) { return CM_Enable_DevNode(node, 0); });
}

uint32_t PrepareShutdown() {
    HANDLE token;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY, &token))
        return LastNtStatus();
    TOKEN_PRIVILEGES privileges = {};
    privileges.PrivilegeCount = 1;
    privileges.Privileges[0].Attributes = SE_PRIVILEGE_ENABLED;
    uint32_t status = 0;
    if (!LookupPrivilegeValueW(nullptr, L"SeShutdownPrivilege", &privileges.Privileges[0].Luid) ||
        !AdjustTokenPrivileges(token, FALSE, &privileges, 0, nullptr, nullptr))
        status = LastNtStatus();
    else if (GetLastError() == ERROR_NOT_ALL_ASSIGNED)
        status = kStatusPrivilegeNotHeld;
    CloseHandle(token);
    return status;
}

uint32_t Shutdown(bool restart) {
    constexpr DWORD kReason = 0x80000000; // SHTDN_REASON_FLAG_PLANNED
    if (InitiateSystemShutdownExW(nullptr, nullptr, 0, TRUE, restart, kReason))
        return 0;
    return LastNtStatus();
}

void Crash() {}

} // namespace platform
