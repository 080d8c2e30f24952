// SPDX-License-Identifier: MIT
//
// vq7agent.exe: entry without a C runtime, and the small parts of the platform.
#include "win32.h"

#include <intrin.h>

#include "../core/agent.h"
#include "../platform.h"

namespace {

[[noreturn]] void Fail(const char *what) {
    DWORD error = GetLastError();
    agent::Text<256> line;
    line.Str("vq7agent: ").Str(what).Str(" (Windows error ").Dec(error).Str(")\r\n");
    DWORD written;
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), line.data, static_cast<DWORD>(line.size), &written,
              nullptr);
    ExitProcess(1);
}

} // namespace

extern "C" void AgentEntry(void);

extern "C" void AgentEntry(void) {
    if (!RequestsInit())
        Fail("no completion port can be made");
    if (!SerialOpen())
        Fail("COM1 can't be opened");
    agent::Agent *agent = agent::CreateAgent();
    if (!agent)
        Fail("there is no memory");
    agent->Start();
    for (;;)
        agent->Step(60000);
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
