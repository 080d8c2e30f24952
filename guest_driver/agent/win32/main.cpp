// SPDX-License-Identifier: MIT
//
// vq7agent.exe: entry without a C runtime, its command line, and the small parts of the
// platform.
#include "service.h"

#include <intrin.h>

#include "../core/agent.h"
#include "../platform.h"
#include "update.h"

namespace {

constexpr UINT kExitFailed = 1, kExitUsage = 2;

void Say(DWORD to, const char *text, size_t size) {
    DWORD written;
    WriteFile(GetStdHandle(to), text, static_cast<DWORD>(size), &written, nullptr);
}

[[noreturn]] void Fail(const char *what, DWORD error) {
    agent::Text<256> line;
    line.Str("vq7agent: ").Str(what).Str(" (Windows error ").Dec(error).Str(")\r\n");
    Say(STD_ERROR_HANDLE, line.data, line.size);
    ExitProcess(kExitFailed);
}

[[noreturn]] void Usage() {
    static const char kText[] =
        "usage: vq7agent             serve COM1, in the foreground\r\n"
        "       vq7agent install     make it a service that starts with the system\r\n"
        "       vq7agent uninstall | start | stop\r\n"
        "       vq7agent update PATH\\vq7test.inf    that driver takes the place of ours\r\n";
    Say(STD_ERROR_HANDLE, kText, sizeof(kText) - 1);
    ExitProcess(kExitUsage);
}

// Serves until a service is to stop; by hand for ever. 0, or the error of the step *what.
DWORD Serve(const char **what) {
    *what = "no completion port can be made";
    if (!RequestsInit())
        return GetLastError();
    *what = "COM1 can't be opened";
    if (!SerialOpen())
        return GetLastError();
    agent::Agent *agent = agent::CreateAgent();
    if (!agent) {
        *what = "there is no memory";
        return ERROR_NOT_ENOUGH_MEMORY;
    }
    agent->Start();
    while (!StopRequested())
        agent->Step(60000);
    return 0;
}

// The service gives way to an update, which starts it again when the machine starts again.
DWORD ServeOrUpdate(const char **what) {
    *what = "the script of the update disc can't be started";
    bool started;
    DWORD error = StartUpdate(&started);
    if (started)
        ReportAgentEvent(Event::kStarted, L"the script of the update disc runs");
    return error || started ? error : Serve(what);
}

DWORD RunAsService() {
    return ServiceRun(ServeOrUpdate);
}

struct Command {
    const WCHAR *word;
    DWORD (*run)();
    const char *failure;
};

const Command kCommands[] = {
    {L"service", RunAsService, "it is not the service control manager that has started it"},
    {L"install", ServiceInstall, "the service can't be installed"},
    {L"uninstall", ServiceUninstall, "the service can't be removed"},
    {L"start", ServiceStart, "the service can't be started"},
    {L"stop", ServiceStop, "the service can't be stopped"},
};

// What follows the program's name, without the blanks around it.
WCHAR *Arguments() {
    WCHAR *at = GetCommandLineW();
    bool quoted = false;
    for (; *at && (quoted || *at != L' '); at++)
        quoted ^= *at == L'"';
    while (*at == L' ')
        at++;
    WCHAR *end = at;
    for (WCHAR *each = at; *each; each++)
        end = *each == L' ' ? end : each + 1;
    *end = 0;
    return at;
}

// The rest of the command line behind a word and blanks, without quotes; null: another word.
WCHAR *Behind(WCHAR *text, const WCHAR *word) {
    int length = lstrlenW(word);
    if (lstrlenW(text) <= length || text[length] != L' ' ||
        CompareStringOrdinal(text, length, word, length, TRUE) != CSTR_EQUAL)
        return nullptr;
    WCHAR *at = text + length;
    while (*at == L' ')
        at++;
    int end = lstrlenW(at);
    if (end > 1 && at[0] == L'"' && at[end - 1] == L'"') {
        at[end - 1] = 0;
        at++;
    }
    return at;
}

[[noreturn]] void Update(const WCHAR *inf) {
    DWORD error = UpdateDriver(inf);
    if (error && error != ERROR_SUCCESS_REBOOT_REQUIRED)
        Fail("the driver can't be updated", error);
    ExitProcess(error);
}

} // namespace

extern "C" void AgentEntry(void);

extern "C" void AgentEntry(void) {
    WCHAR *word = Arguments();
    if (!*word) {
        const char *what;
        DWORD error = Serve(&what);
        Fail(what, error);
    }
    if (const WCHAR *inf = Behind(word, L"update"))
        Update(inf);
    for (const Command &command : kCommands) {
        if (CompareStringOrdinal(word, -1, command.word, -1, TRUE) != CSTR_EQUAL)
            continue;
        DWORD error = command.run();
        if (error)
            Fail(command.failure, error);
        ExitProcess(0);
    }
    Usage();
}

namespace platform {

void *AllocatePages(size_t bytes) {
    return VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void FreePages(void *memory) {
    VirtualFree(memory, 0, MEM_RELEASE);
}

uint64_t MonotonicUs() {
    LARGE_INTEGER frequency, now;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&now);
    uint64_t count = static_cast<uint64_t>(now.QuadPart);
    uint64_t hertz = static_cast<uint64_t>(frequency.QuadPart);
    return count / hertz * 1000000 + count % hertz * 1000000 / hertz;
}

uint64_t BootId() {
    static uint64_t id;
    if (!id) {
        FILETIME now;
        GetSystemTimeAsFileTime(&now);
        uint64_t time = static_cast<uint64_t>(now.dwHighDateTime) << 32 | now.dwLowDateTime;
        id = (time ^ __rdtsc()) * 0x9E3779B97F4A7C15ull | 1;
    }
    return id;
}

const char *GuestName() {
    return "windows";
}

const char *Architecture() {
    return sizeof(void *) == 8 ? "x64" : "x86";
}

} // namespace platform
