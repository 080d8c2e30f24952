// SPDX-License-Identifier: MIT
//
// The agent's entries in the event log. The text of an event is its one string: the message
// table in vq7agent.rc says so.
#include "service.h"

namespace {

constexpr WCHAR kSource[] = L"SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\vq7agent";

DWORD Bytes(const WCHAR *text) {
    DWORD length = 0;
    while (text[length])
        length++;
    return (length + 1) * static_cast<DWORD>(sizeof(WCHAR));
}

} // namespace

void ReportAgentEvent(Event event, const WCHAR *text) {
    HANDLE log = RegisterEventSourceW(nullptr, kServiceName);
    if (!log)
        return; // there is nowhere else to say it
    WORD type = event == Event::kFailed ? EVENTLOG_ERROR_TYPE : EVENTLOG_INFORMATION_TYPE;
    ReportEventW(log, type, 0, static_cast<DWORD>(event), nullptr, 1, 0, &text, nullptr);
    DeregisterEventSource(log);
}

DWORD RegisterEventSource(const WCHAR *program) {
    HKEY key;
    LONG error = RegCreateKeyExW(HKEY_LOCAL_MACHINE, kSource, 0, nullptr, 0, KEY_SET_VALUE, nullptr,
                                 &key, nullptr);
    if (error)
        return static_cast<DWORD>(error);
    DWORD types = EVENTLOG_ERROR_TYPE | EVENTLOG_WARNING_TYPE | EVENTLOG_INFORMATION_TYPE;
    error = RegSetValueExW(key, L"EventMessageFile", 0, REG_SZ,
                           reinterpret_cast<const BYTE *>(program), Bytes(program));
    if (!error)
        error = RegSetValueExW(key, L"TypesSupported", 0, REG_DWORD,
                               reinterpret_cast<const BYTE *>(&types), sizeof(types));
    RegCloseKey(key);
    return static_cast<DWORD>(error);
}

void UnregisterEventSource() {
    RegDeleteKeyW(HKEY_LOCAL_MACHINE, kSource);
}
