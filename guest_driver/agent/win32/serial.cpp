// SPDX-License-Identifier: MIT
//
// COM1 with overlapped reads and writes; a wait ends with the port's own timeout, or with the
// service.
#include "service.h"

#include "../platform.h"

namespace {

HANDLE port = INVALID_HANDLE_VALUE;
HANDLE read_event, write_event;
uint32_t timeout_set = UINT32_MAX;

// How long a read waits until it has all that it asks for. (A port can also be told to hand
// out what there is, at once or as soon as there is something. Not every system that has
// the rest of this has those.)
bool SetTimeout(uint32_t timeout_ms) {
    if (timeout_ms == timeout_set)
        return true;
    COMMTIMEOUTS timeouts = {};
    timeouts.ReadTotalTimeoutConstant = timeout_ms;
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

// Reads what is there; if that is nothing, waits for one byte.
bool Read(uint8_t *buffer, DWORD size, uint32_t timeout_ms, DWORD *count) {
    DWORD errors;
    COMSTAT state = {};
    if (!ClearCommError(port, &errors, &state))
        return false;
    DWORD wanted = state.cbInQue < size ? state.cbInQue : size;
    if (!wanted) {
        if (!timeout_ms)
            return true;
        wanted = 1;
    }
    OVERLAPPED overlapped = {};
    overlapped.hEvent = read_event;
    return (!timeout_ms || SetTimeout(timeout_ms)) &&
           Finish(ReadFile(port, buffer, wanted, count, &overlapped), &overlapped, count);
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
    DWORD wanted = size < 4096 ? static_cast<DWORD>(size) : 4096;
    if (StopRequested() || Read(buffer, wanted, timeout_ms, &count))
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
