// SPDX-License-Identifier: MIT
//
// The update disc, as the service sees it: a CD of that name, whose script is run. What is
// done then is the script's, and so as new as the disc.
#include "update.h"

namespace {

constexpr WCHAR kLabel[] = L"VQ7_UPDATE";
constexpr WCHAR kScript[] = L":\\vq7\\update.cmd";
// A drive that says it isn't ready may be about to be: Windows has just started.
constexpr int kTries = 20;
constexpr DWORD kPollMs = 500;

WCHAR *Append(WCHAR *at, const WCHAR *text) {
    while (*text)
        *at++ = *text++;
    *at = 0;
    return at;
}

// ERROR_NOT_READY, or 0.
DWORD LookInto(WCHAR letter, bool *found) {
    WCHAR root[] = L"?:\\", label[MAX_PATH + 1] = L"";
    root[0] = letter;
    *found = false;
    if (GetDriveTypeW(root) != DRIVE_CDROM)
        return 0;
    if (!GetVolumeInformationW(root, label, MAX_PATH + 1, nullptr, nullptr, nullptr, nullptr, 0))
        return GetLastError() == ERROR_NOT_READY ? ERROR_NOT_READY : 0;
    *found = CompareStringOrdinal(label, -1, kLabel, -1, TRUE) == CSTR_EQUAL;
    return 0;
}

// The letter of the drive that has the disc; 0: none has.
WCHAR FindDisc() {
    for (int i = 0; i < kTries; i++) {
        bool wait = false;
        DWORD drives = GetLogicalDrives();
        for (WCHAR letter = L'A'; letter <= L'Z'; letter++) {
            bool found = false;
            if (drives >> (letter - L'A') & 1)
                wait |= LookInto(letter, &found) == ERROR_NOT_READY;
            if (found)
                return letter;
        }
        if (!wait)
            return 0;
        Sleep(kPollMs);
    }
    return 0;
}

} // namespace

DWORD StartUpdate(bool *started) {
    *started = false;
    SetErrorMode(SEM_FAILCRITICALERRORS); // no dialog for an empty drive
    WCHAR letter = FindDisc();
    if (!letter)
        return 0;
    WCHAR shell[MAX_PATH + 16];
    UINT length = GetSystemDirectoryW(shell, MAX_PATH);
    if (length == 0 || length >= MAX_PATH)
        return length ? ERROR_BUFFER_OVERFLOW : GetLastError();
    Append(shell + length, L"\\cmd.exe");
    WCHAR line[64], *at = Append(line, L"cmd.exe /c ");
    *at++ = letter;
    Append(at, kScript);
    STARTUPINFOW startup = {};
    startup.cb = sizeof(startup);
    PROCESS_INFORMATION process;
    if (!CreateProcessW(shell, line, nullptr, nullptr, FALSE, CREATE_NO_WINDOW, nullptr, nullptr,
                        &startup, &process))
        return GetLastError();
    CloseHandle(process.hThread);
    CloseHandle(process.hProcess);
    *started = true;
    return 0;
}
