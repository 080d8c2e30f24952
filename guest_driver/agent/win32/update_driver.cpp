// SPDX-License-Identifier: MIT
//
// `vq7agent update PATH\vq7test.inf`: what `devcon update` does, for all of our devices.
#include "update.h"

#include <cfgmgr32.h>
#include <setupapi.h>

namespace {

constexpr DWORD kForce = 1, kNonInteractive = 4;   // newdev.h, INSTALLFLAG_
constexpr DWORD kForceDelete = 1;                  // setupapi.h, SUOI_FORCEDELETE
constexpr WCHAR kOurs[] = L"PCI\\VEN_1AF4&DEV_10"; // Virtio 1.2, 4.1.2
constexpr DWORD kMostIds = 64;

// By hand, since an NT that lacks these may have all that the rest of the agent wants.
using UpdateFunction = BOOL(WINAPI *)(HWND, const WCHAR *, const WCHAR *, DWORD, BOOL *);
using UninstallFunction = BOOL(WINAPI *)(const WCHAR *, DWORD, void *);

template <typename Function> Function Load(const WCHAR *module, const char *name) {
    HMODULE loaded = LoadLibraryW(module);
    // FARPROC is of no function's type: by way of an address.
    auto *found = loaded ? reinterpret_cast<void *>(GetProcAddress(loaded, name)) : nullptr;
    return reinterpret_cast<Function>(found);
}

bool Begins(const WCHAR *text, const WCHAR *start) {
    int length = lstrlenW(start);
    return lstrlenW(text) >= length &&
           CompareStringOrdinal(text, length, start, length, TRUE) == CSTR_EQUAL;
}

// The first hardware ID, the most special one, of each of our devices that is present; each
// once, as there may be several of a kind.
class HardwareIds {
  public:
    DWORD Collect();
    DWORD count = 0;
    WCHAR ids[kMostIds][MAX_DEVICE_ID_LEN];

  private:
    void Add(const WCHAR *id);
};

void HardwareIds::Add(const WCHAR *id) {
    for (DWORD i = 0; i < count; i++)
        if (CompareStringOrdinal(ids[i], -1, id, -1, TRUE) == CSTR_EQUAL)
            return;
    if (count < kMostIds && lstrlenW(id) < MAX_DEVICE_ID_LEN)
        lstrcpyW(ids[count++], id);
}

DWORD HardwareIds::Collect() {
    HDEVINFO set =
        SetupDiGetClassDevsW(nullptr, nullptr, nullptr, DIGCF_PRESENT | DIGCF_ALLCLASSES);
    if (set == INVALID_HANDLE_VALUE)
        return GetLastError();
    SP_DEVINFO_DATA info = {};
    info.cbSize = sizeof(info);
    static WCHAR text[4096]; // several IDs, each with its end
    for (DWORD i = 0; SetupDiEnumDeviceInfo(set, i, &info); i++)
        if (SetupDiGetDeviceRegistryPropertyW(set, &info, SPDRP_HARDWAREID, nullptr,
                                              reinterpret_cast<BYTE *>(text),
                                              sizeof(text) - sizeof(WCHAR), nullptr) &&
            Begins(text, kOurs))
            Add(text);
    SetupDiDestroyDeviceInfoList(set);
    return 0;
}

// A value of an INF's [Version].
void Version(const WCHAR *inf, const WCHAR *name, WCHAR *text, DWORD size) {
    GetPrivateProfileStringW(L"Version", name, L"", text, size, inf);
}

bool SameVersion(const WCHAR *a, const WCHAR *b, const WCHAR *name) {
    WCHAR of_a[64], of_b[64];
    Version(a, name, of_a, 64);
    Version(b, name, of_b, 64);
    return CompareStringOrdinal(of_a, -1, of_b, -1, TRUE) == CSTR_EQUAL;
}

// Packages in the driver store, other than the new one, have their INF as oem*.inf.
DWORD RemoveOlder(const WCHAR *inf) {
    WCHAR path[MAX_PATH + 16];
    UINT length = GetWindowsDirectoryW(path, MAX_PATH - 32);
    if (length == 0 || length >= MAX_PATH - 32)
        return length ? ERROR_BUFFER_OVERFLOW : GetLastError();
    lstrcpyW(path + length, L"\\inf\\");
    WCHAR *name = path + length + 5;
    auto uninstall = Load<UninstallFunction>(L"setupapi.dll", "SetupUninstallOEMInfW");
    lstrcpyW(name, L"oem*.inf");
    WIN32_FIND_DATAW found;
    HANDLE search = FindFirstFileW(path, &found);
    if (search == INVALID_HANDLE_VALUE)
        return GetLastError() == ERROR_FILE_NOT_FOUND ? 0 : GetLastError();
    DWORD error = 0;
    do {
        if (lstrlenW(found.cFileName) > 15)
            continue; // oem and a number
        lstrcpyW(name, found.cFileName);
        if (!SameVersion(path, inf, L"ClassGuid") || SameVersion(path, inf, L"DriverVer"))
            continue;
        if (!uninstall)
            error = ERROR_CALL_NOT_IMPLEMENTED;
        else if (!uninstall(found.cFileName, kForceDelete, nullptr))
            error = GetLastError();
    } while (FindNextFileW(search, &found));
    FindClose(search);
    return error;
}

} // namespace

DWORD UpdateDriver(const WCHAR *inf) {
    WCHAR guid[64];
    Version(inf, L"ClassGuid", guid, 64);
    if (!guid[0])
        return ERROR_FILE_NOT_FOUND; // or it is no INF
    auto update = Load<UpdateFunction>(L"newdev.dll", "UpdateDriverForPlugAndPlayDevicesW");
    if (!update)
        return GetLastError();
    static HardwareIds devices;
    DWORD error = devices.Collect();
    if (!error && !devices.count)
        error = ERROR_NO_SUCH_DEVINST;
    bool restart = false;
    for (DWORD i = 0; !error && i < devices.count; i++) {
        BOOL wanted = FALSE;
        if (!update(nullptr, devices.ids[i], inf, kForce | kNonInteractive, &wanted))
            error = GetLastError();
        restart |= wanted != FALSE;
    }
    if (!error)
        error = RemoveOlder(inf);
    return error ? error : restart ? ERROR_SUCCESS_REBOOT_REQUIRED : 0;
}
