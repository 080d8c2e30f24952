// SPDX-License-Identifier: MIT
//
// vq7agent.sys: the agent as a system thread of ntcompat.
#include "../core/agent.h"
#include "../core/status.h"
#include "../platform.h"
#include "ntc_services.h"
#include "requests.h"
#include "serial_console.h"
#include "settings.h"

#include <intrin.h>

namespace {

constexpr ULONG kTag = 'ga7V'; // "V7ag"
constexpr ULONG kManuallyInitiatedCrash = 0xE2;
constexpr WCHAR kService[] = L"vq7test";
// Stands in for a system whose driver can't be unloaded: vq7agent.Unload=no.
bool can_unload = true;

void NTAPI AgentThread(PVOID) {
    NTSTATUS status = SerialConsoleStart();
    agent::Agent *agent = NT_SUCCESS(status) ? agent::CreateAgent() : nullptr;
    if (!agent) {
        DbgPrint("vq7agent: can't start: 0x%08x\n",
                 NT_SUCCESS(status) ? STATUS_INSUFFICIENT_RESOURCES : status);
        PsTerminateSystemThread(status);
    }
    agent->Start();
    for (;;)
        agent->Step(60000);
}

} // namespace

// There is no unload routine: the agent stays as long as the system.
extern "C" NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT, PUNICODE_STRING service) {
    can_unload = !SettingIs(service, L"Unload", L"no");
    NTSTATUS status = RequestsInit();
    if (!NT_SUCCESS(status))
        return status;
    HANDLE thread;
    status = PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr,
                                  AgentThread, nullptr);
    if (NT_SUCCESS(status))
        ZwClose(thread);
    return status;
}

namespace platform {

void *AllocatePages(size_t bytes) {
    // Pool of a page and more is page-aligned.
    if (bytes < PAGE_SIZE)
        bytes = PAGE_SIZE;
    void *memory = ExAllocatePoolWithTag(NonPagedPool, bytes, kTag);
    if (memory)
        RtlZeroMemory(memory, bytes);
    return memory;
}

void FreePages(void *memory) {
    ExFreePoolWithTag(memory, kTag);
}

uint64_t MonotonicUs() {
    LARGE_INTEGER frequency;
    LARGE_INTEGER now = KeQueryPerformanceCounter(&frequency);
    uint64_t count = static_cast<uint64_t>(now.QuadPart);
    uint64_t hertz = static_cast<uint64_t>(frequency.QuadPart);
    return count / hertz * 1000000 + count % hertz * 1000000 / hertz;
}

uint64_t BootId() {
    // The jitter of firmware and boot makes the counter's low bits differ.
    static uint64_t id;
    if (!id)
        id = __rdtsc() * 0x9E3779B97F4A7C15ull | 1;
    return id;
}

const char *GuestName() {
    return "ntcompat";
}

const char *Architecture() {
    return "x64";
}

uint32_t DriverUnload() {
    if (!can_unload)
        return agent::kNotSupported;
    return static_cast<uint32_t>(NtcDisableService(kService));
}

uint32_t DriverLoad() {
    return static_cast<uint32_t>(NtcEnableService(kService));
}

uint32_t PrepareShutdown() {
    return 0; // nothing to ask for in kernel mode
}

uint32_t Shutdown(bool restart) {
    return static_cast<uint32_t>(NtcShutdown(restart ? TRUE : FALSE));
}

void Crash() {
    KeBugCheckEx(kManuallyInitiatedCrash, 0, 0, 0, 0);
}

} // namespace platform
