// SPDX-License-Identifier: MIT
//
// As much of Windows as the agent's Win32 back end for devices uses, so that it runs in
// a host test (win32_requests_test.cpp). Values are those of Microsoft's headers.
#ifndef VQ7_UNIT_FAKE_WINDOWS_H_
#define VQ7_UNIT_FAKE_WINDOWS_H_

#include <stddef.h>
#include <stdint.h>

#define NTAPI
#define FALSE 0
#define TRUE 1
#define INVALID_HANDLE_VALUE reinterpret_cast<HANDLE>(static_cast<intptr_t>(-1))
#define GENERIC_READ 0x80000000u
#define GENERIC_WRITE 0x40000000u
#define FILE_SHARE_READ 1u
#define FILE_SHARE_WRITE 2u
#define OPEN_EXISTING 3u
#define FILE_FLAG_OVERLAPPED 0x40000000u
#define ERROR_IO_PENDING 997u
#define CONTAINING_RECORD(address, type, field)                                                    \
    reinterpret_cast<type *>(reinterpret_cast<char *>(address) - offsetof(type, field))

using BOOL = int;
using BYTE = uint8_t;
using DWORD = uint32_t;
using LONG = int32_t;
using WCHAR = wchar_t;
using ULONG_PTR = uintptr_t;
using HANDLE = void *;
using HMODULE = void *;
using FARPROC = void (*)();

struct GUID {
    uint32_t Data1;
    uint16_t Data2, Data3;
    uint8_t Data4[8];
};

struct OVERLAPPED {
    ULONG_PTR Internal;
    ULONG_PTR InternalHigh;
    uint64_t Offset;
    HANDLE hEvent;
};

DWORD GetLastError();
HMODULE GetModuleHandleW(const WCHAR *name);
FARPROC GetProcAddress(HMODULE module, const char *name);
HANDLE CreateIoCompletionPort(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads);
HANDLE CreateFileW(const WCHAR *path, DWORD access, DWORD share, void *security, DWORD creation,
                   DWORD flags, HANDLE like);
BOOL CloseHandle(HANDLE handle);
BOOL CancelIoEx(HANDLE handle, OVERLAPPED *overlapped);
BOOL DeviceIoControl(HANDLE file, DWORD code, void *in, DWORD in_size, void *out, DWORD out_size,
                     DWORD *returned, OVERLAPPED *overlapped);
BOOL PostQueuedCompletionStatus(HANDLE port, DWORD bytes, ULONG_PTR key, OVERLAPPED *overlapped);
BOOL GetQueuedCompletionStatus(HANDLE port, DWORD *bytes, ULONG_PTR *key, OVERLAPPED **overlapped,
                               DWORD timeout_ms);

#endif // VQ7_UNIT_FAKE_WINDOWS_H_
