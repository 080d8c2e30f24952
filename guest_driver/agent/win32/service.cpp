// SPDX-License-Identifier: MIT
//
// The service's own side: what the service control manager calls.
#include "service.h"

#include "../core/text.h"

namespace {

SERVICE_STATUS_HANDLE status_handle;
SERVICE_STATUS status;
HANDLE stop_event;
DWORD (*serve)(const char **what);

void Report(DWORD state, DWORD wait_ms) {
    status.dwServiceType = SERVICE_WIN32_OWN_PROCESS;
    status.dwCurrentState = state;
    status.dwControlsAccepted =
        state == SERVICE_RUNNING ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN : 0;
    status.dwWaitHint = wait_ms;
    SetServiceStatus(status_handle, &status);
}

DWORD WINAPI OnControl(DWORD control, DWORD, void *, void *) {
    switch (control) {
    case SERVICE_CONTROL_STOP:
    case SERVICE_CONTROL_SHUTDOWN:
        Report(SERVICE_STOP_PENDING, 30000);
        SetEvent(stop_event);
        return NO_ERROR;
    case SERVICE_CONTROL_INTERROGATE:
        return NO_ERROR;
    default:
        return ERROR_CALL_NOT_IMPLEMENTED;
    }
}

void ReportFailure(const char *what, DWORD error) {
    agent::Text<256> line;
    line.Str(what).Str(" (Windows error ").Dec(error).Str(")");
    WCHAR wide[256];
    size_t size = line.size < 255 ? line.size : 255;
    for (size_t i = 0; i < size; i++)
        wide[i] = static_cast<WCHAR>(static_cast<unsigned char>(line.data[i]));
    wide[size] = 0;
    ReportAgentEvent(Event::kFailed, wide);
}

void WINAPI ServiceMain(DWORD, WCHAR **) {
    status_handle = RegisterServiceCtrlHandlerExW(kServiceName, OnControl, nullptr);
    if (!status_handle)
        return;
    Report(SERVICE_RUNNING, 0);
    ReportAgentEvent(Event::kStarted, L"the agent serves COM1");
    const char *what = "";
    DWORD error = serve(&what);
    if (error) {
        ReportFailure(what, error);
        status.dwWin32ExitCode = error;
    } else {
        ReportAgentEvent(Event::kStopped, L"the agent was stopped");
    }
    Report(SERVICE_STOPPED, 0);
}

} // namespace

DWORD ServiceRun(DWORD (*run)(const char **what)) {
    serve = run;
    stop_event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    if (!stop_event)
        return GetLastError();
    WCHAR name[] = L"vq7agent"; // ignored, but not const in the table
    SERVICE_TABLE_ENTRYW table[] = {{name, ServiceMain}, {nullptr, nullptr}};
    return StartServiceCtrlDispatcherW(table) ? 0 : GetLastError();
}

HANDLE StopEvent() {
    return stop_event;
}

bool StopRequested() {
    return stop_event && WaitForSingleObject(stop_event, 0) == WAIT_OBJECT_0;
}
