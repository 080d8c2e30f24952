// SPDX-License-Identifier: MIT
#ifndef VQ7_UNIT_FAKE_SETUPAPI_H_
#define VQ7_UNIT_FAKE_SETUPAPI_H_

#include <windows.h>

#define DIGCF_PRESENT 2u
#define DIGCF_DEVICEINTERFACE 0x10u
#define SPINT_ACTIVE 1u

using HDEVINFO = void *;

struct SP_DEVICE_INTERFACE_DATA {
    DWORD cbSize;
    GUID InterfaceClassGuid;
    DWORD Flags;
    ULONG_PTR Reserved;
};

struct SP_DEVICE_INTERFACE_DETAIL_DATA_W {
    DWORD cbSize;
    WCHAR DevicePath[1];
};

HDEVINFO SetupDiGetClassDevsW(const GUID *guid, const WCHAR *enumerator, void *window, DWORD flags);
BOOL SetupDiEnumDeviceInterfaces(HDEVINFO set, void *device, const GUID *guid, DWORD index,
                                 SP_DEVICE_INTERFACE_DATA *data);
BOOL SetupDiGetDeviceInterfaceDetailW(HDEVINFO set, SP_DEVICE_INTERFACE_DATA *data,
                                      SP_DEVICE_INTERFACE_DETAIL_DATA_W *detail, DWORD size,
                                      DWORD *needed, void *device);
BOOL SetupDiDestroyDeviceInfoList(HDEVINFO set);

#endif // VQ7_UNIT_FAKE_SETUPAPI_H_
