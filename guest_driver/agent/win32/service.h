// SPDX-License-Identifier: MIT
//
// vq7agent.exe as a Windows service, and its own management of it.
#ifndef VQ7_AGENT_SERVICE_H_
#define VQ7_AGENT_SERVICE_H_

#include "win32.h"

constexpr WCHAR kServiceName[] = L"vq7agent";

// Registers the service (started with the system, restarted when it fails) and its source of
// events. An installed one is brought up to date. 0, or the Windows error.
DWORD ServiceInstall();
DWORD ServiceUninstall();
DWORD ServiceStart();
// Returns when it has stopped, or ERROR_SERVICE_REQUEST_TIMEOUT.
DWORD ServiceStop();

// What the service control manager starts: hands the thread over to it and returns when the
// service has ended. `run` serves until StopRequested(); it returns 0 or the Windows error
// that kept it from starting, with *what naming the step. 0, or the Windows error.
DWORD ServiceRun(DWORD (*run)(const char **what));

// Made by ServiceRun(); null: the agent runs by hand, and nobody stops it.
HANDLE StopEvent();
bool StopRequested();

// Events in the log Application, source vq7agent.
enum class Event : DWORD { kStarted = 1, kStopped = 2, kFailed = 3 };
void ReportAgentEvent(Event event, const WCHAR *text);
DWORD RegisterEventSource(const WCHAR *program);
void UnregisterEventSource();

#endif // VQ7_AGENT_SERVICE_H_
