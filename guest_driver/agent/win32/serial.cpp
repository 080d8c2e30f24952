// SPDX-License-Identifier: MIT
//
// COM1 with overlapped reads and writes; the wait is the port's own total timeout, or the
// end of the service.
#include "service.h"

#include "../platform.h"

namespace {

HANDLE port = INVALID_HANDLE_VALUE;
HANDLE read_event, write_event;
uint32_t timeout_set = UINT32_MAX;

// "Return what is there at once; if there is nothing, wait for one byte for so
// long" (COMMTIMEOUTS, ReadIntervalTimeout and multiplier MAXDWORD).
bool SetTimeout(uint32_t timeout_ms) {
    if (timeout_ms == timeout_set)
        return true;
    COMMTIMEOUTS timeouts = {};
    timeouts.ReadIntervalTimeout = MAXDWORD;
    if (timeout_ms) {
        timeouts.ReadTotalTimeoutMultiplier = MAXDWORD;
        timeouts.ReadTotalTimeoutConstant = timeout_ms;
    }
    if (!SetCommTimeouts(port, &timeouts))
        return false;
    timeout_set = timeout_ms;
    return true;
}

// Result of a read or write that returned `done`.
bool Finish(BOOL done, OVERLAPPED *overlapped, DWORD *count) {
    if (!done && GetLastError() != ERROR_IO_PENDING)
        return false;
    HANDLE either[2] = {overlapped->hEvent, StopEvent()};
    if (!done && either[1] && WaitForMultipleObjects(2, either, FALSE, INFINITE) != WAIT_OBJECT_0)
        CancelIo(port);
    return GetOverlappedResult(port, overlapped, count, TRUE) != FALSE;
}

} // namespace

bool SerialOpen() {
    read_event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    write_event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    if (!read_event || !write_event)
        return false;
    port = CreateFileW(L"\\\\.\\COM1", GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING,
                       FILE_FLAG_OVERLAPPED, nullptr);
    if (port == INVALID_HANDLE_VALUE)
        return false;
    DCB dcb = {};
    dcb.DCBlength = sizeof(dcb);
    if (!GetCommState(port, &dcb))
        return false;
    dcb.BaudRate = CBR_115200;
    dcb.ByteSize = 8;
    dcb.Parity = NOPARITY;
    dcb.StopBits = ONESTOPBIT;
    dcb.fBinary = TRUE;
    dcb.fParity = FALSE;
    dcb.fOutxCtsFlow = FALSE;
    dcb.fOutxDsrFlow = FALSE;
    dcb.fDsrSensitivity = FALSE;
    dcb.fOutX = FALSE;
    dcb.fInX = FALSE;
    dcb.fNull = FALSE;
    dcb.fAbortOnError = FALSE;
    dcb.fDtrControl = DTR_CONTROL_ENABLE;
    dcb.fRtsControl = RTS_CONTROL_ENABLE;
    return SetCommState(port, &dcb) && SetupComm(port, 65536, 65536);
}

namespace platform {

size_t ConsoleRead(uint8_t *buffer, size_t size, uint32_t timeout_ms) {
    DWORD count = 0;
    OVERLAPPED overlapped = {};
    overlapped.hEvent = read_event;
    if (StopRequested())
        return 0;
    DWORD wanted = size < 4096 ? static_cast<DWORD>(size) : 4096;
    if (SetTimeout(timeout_ms) &&
        Finish(ReadFile(port, buffer, wanted, &count, &overlapped), &overlapped, &count))
        return count;
    // A port that fails at once must not take the whole processor.
    Sleep(timeout_ms < 10 ? timeout_ms : 10);
    return 0;
}

void ConsoleWrite(const uint8_t *bytes, size_t size) {
    while (size) {
        DWORD count = 0;
        OVERLAPPED overlapped = {};
        overlapped.hEvent = write_event;
        DWORD piece = size < 4096 ? static_cast<DWORD>(size) : 4096;
        if (!Finish(WriteFile(port, bytes, piece, &count, &overlapped), &overlapped, &count) ||
            count == 0)
            return;
        bytes += count;
        size -= count;
    }
}

} // namespace platform
