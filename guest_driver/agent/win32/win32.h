// SPDX-License-Identifier: MIT
//
// Shared by the files of the Win32 back end (Windows 7 and later).
#ifndef VQ7_AGENT_WIN32_H_
#define VQ7_AGENT_WIN32_H_

#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <winioctl.h>

#include <stdint.h>

// Opens and sets up COM1. False: GetLastError() says why.
bool SerialOpen();
// Makes the completion port. False: GetLastError() says why.
bool RequestsInit();
// The NTSTATUS behind the last failed call, as ntdll keeps it for each thread.
uint32_t LastNtStatus();

#endif // VQ7_AGENT_WIN32_H_
