// SPDX-License-Identifier: MIT
//
// Installing, removing, starting and stopping the service, from a command line.
#include "service.h"

namespace {

constexpr DWORD kRestartMs = 1000;
constexpr DWORD kForgetFailuresS = 86400;
constexpr DWORD kStopMs = 30000;
constexpr DWORD kPollMs = 100;

// A handle of the service control manager's.
class Handle {
  public:
    explicit Handle(SC_HANDLE handle) : handle_(handle) {}
    ~Handle() {
        if (handle_)
            CloseServiceHandle(handle_);
    }
    Handle(const Handle &) = delete;
    Handle &operator=(const Handle &) = delete;
    operator SC_HANDLE() const {
        return handle_;
    }

  private:
    SC_HANDLE handle_;
};

// Quoted, with the word that makes it a service: `"C:\path\vq7agent.exe" service`.
DWORD CommandLine(WCHAR *text, DWORD size, WCHAR *program) {
    DWORD length = GetModuleFileNameW(nullptr, program, MAX_PATH);
    if (length == 0)
        return GetLastError();
    constexpr WCHAR kTail[] = L"\" service";
    if (length >= MAX_PATH || length + 1 + sizeof(kTail) / sizeof(WCHAR) > size)
        return ERROR_BUFFER_OVERFLOW;
    WCHAR *at = text;
    *at++ = L'"';
    for (DWORD i = 0; i < length; i++)
        *at++ = program[i];
    for (WCHAR c : kTail)
        *at++ = c;
    return 0;
}

DWORD SetRecovery(SC_HANDLE service) {
    SC_ACTION again[3];
    for (SC_ACTION &action : again) {
        action.Type = SC_ACTION_RESTART;
        action.Delay = kRestartMs;
    }
    SERVICE_FAILURE_ACTIONSW actions = {};
    actions.dwResetPeriod = kForgetFailuresS;
    actions.cActions = 3;
    actions.lpsaActions = again;
    if (!ChangeServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS, &actions))
        return GetLastError();
    // Also where it ends by itself with an error, as without a COM1. An older NT lacks this.
    SERVICE_FAILURE_ACTIONS_FLAG flag = {TRUE};
    ChangeServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, &flag);
    return 0;
}

DWORD Describe(SC_HANDLE service) {
    WCHAR text[] = L"Serves the VQ7 test rig on COM1.";
    SERVICE_DESCRIPTIONW description = {text};
    if (!ChangeServiceConfig2W(service, SERVICE_CONFIG_DESCRIPTION, &description))
        return GetLastError();
    return SetRecovery(service);
}

// Those that say that what is wanted is so already.
bool Changed(SC_HANDLE service, const WCHAR *command_line) {
    return ChangeServiceConfigW(service, SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START,
                                SERVICE_ERROR_NORMAL, command_line, nullptr, nullptr, nullptr,
                                nullptr, nullptr, nullptr) != FALSE;
}

template <typename Use> DWORD WithService(DWORD access, Use use) {
    Handle manager(OpenSCManagerW(nullptr, nullptr, SC_MANAGER_CONNECT));
    if (!manager)
        return GetLastError();
    Handle service(OpenServiceW(manager, kServiceName, access));
    if (!service)
        return GetLastError();
    return use(service);
}

} // namespace

DWORD ServiceInstall() {
    WCHAR command_line[MAX_PATH + 16], program[MAX_PATH];
    DWORD error = CommandLine(command_line, MAX_PATH + 16, program);
    if (error)
        return error;
    Handle manager(OpenSCManagerW(nullptr, nullptr, SC_MANAGER_CREATE_SERVICE));
    if (!manager)
        return GetLastError();
    Handle made(CreateServiceW(manager, kServiceName, L"VQ7 agent", SERVICE_ALL_ACCESS,
                               SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START, SERVICE_ERROR_NORMAL,
                               command_line, nullptr, nullptr, nullptr, nullptr, nullptr));
    if (made) {
        error = Describe(made);
    } else {
        error = GetLastError();
        if (error != ERROR_SERVICE_EXISTS)
            return error;
        Handle old(OpenServiceW(manager, kServiceName, SERVICE_ALL_ACCESS));
        error = old && Changed(old, command_line) ? Describe(old) : GetLastError();
    }
    return error ? error : RegisterEventSource(program);
}

DWORD ServiceUninstall() {
    DWORD error = WithService(DELETE, [](SC_HANDLE service) -> DWORD {
        return DeleteService(service) ? 0 : GetLastError();
    });
    if (!error)
        UnregisterEventSource();
    return error;
}

DWORD ServiceStart() {
    return WithService(SERVICE_START, [](SC_HANDLE service) -> DWORD {
        return StartServiceW(service, 0, nullptr) ? 0 : GetLastError();
    });
}

DWORD ServiceStop() {
    return WithService(SERVICE_STOP | SERVICE_QUERY_STATUS, [](SC_HANDLE service) -> DWORD {
        SERVICE_STATUS status;
        if (!ControlService(service, SERVICE_CONTROL_STOP, &status))
            return GetLastError();
        for (DWORD waited = 0; status.dwCurrentState != SERVICE_STOPPED; waited += kPollMs) {
            if (waited >= kStopMs)
                return ERROR_SERVICE_REQUEST_TIMEOUT;
            Sleep(kPollMs);
            if (!QueryServiceStatus(service, &status))
                return GetLastError();
        }
        return 0;
    });
}
