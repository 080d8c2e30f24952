// SPDX-License-Identifier: MIT
//
// COM1 through the Zw file interface. The handle is asynchronous: on a synchronous
// one a write would wait for the read that is always pending. A reader thread
// fills a ring, so that the command thread can wait with a timeout.
#include "serial_console.h"

#include "../platform.h"

namespace {

constexpr size_t kRingSize = 16384;

struct SerialConsole {
    HANDLE file;
    HANDLE read_event;
    HANDLE write_event;
    KSPIN_LOCK lock; // head, tail
    size_t head;     // bytes put in
    size_t tail;     // bytes taken out
    KEVENT arrived;  // synchronization event: something was put in
    KEVENT room;     // ... was taken out
    UCHAR ring[kRingSize];
};

SerialConsole console;

// Waits for a request on an asynchronous handle.
NTSTATUS Finish(NTSTATUS status, HANDLE event, IO_STATUS_BLOCK *io) {
    if (status == STATUS_PENDING) {
        status = ZwWaitForSingleObject(event, FALSE, nullptr);
        if (NT_SUCCESS(status))
            status = io->Status;
    }
    return status;
}

void Put(const UCHAR *bytes, size_t count) {
    while (count) {
        KIRQL irql;
        KeAcquireSpinLock(&console.lock, &irql);
        size_t put = 0;
        while (put < count && console.head - console.tail < kRingSize)
            console.ring[console.head++ % kRingSize] = bytes[put++];
        KeReleaseSpinLock(&console.lock, irql);
        bytes += put;
        count -= put;
        KeSetEvent(&console.arrived, IO_NO_INCREMENT, FALSE);
        if (count)
            KeWaitForSingleObject(&console.room, Executive, KernelMode, FALSE, nullptr);
    }
}

// How many reads may fail one after the other before the port counts as broken.
constexpr int kMaxFailures = 20;

void Pause(ULONG milliseconds) {
    LARGE_INTEGER pause;
    pause.QuadPart = -static_cast<LONGLONG>(milliseconds) * 10000;
    KeDelayExecutionThread(KernelMode, FALSE, &pause);
}

// After an error (framing, overrun) the line is read on, ever more slowly. A port
// that does nothing but fail is given up: said once, and once for the first failure.
void NTAPI ReaderThread(PVOID) {
    static UCHAR buffer[256];
    int failures = 0;
    while (failures < kMaxFailures) {
        IO_STATUS_BLOCK io{};
        LARGE_INTEGER offset{};
        NTSTATUS status = ZwReadFile(console.file, console.read_event, nullptr, nullptr, &io,
                                     buffer, sizeof(buffer), &offset, nullptr);
        status = Finish(status, console.read_event, &io);
        if (NT_SUCCESS(status)) {
            failures = 0;
            if (io.Information)
                Put(buffer, io.Information);
            else
                Pause(10);
            continue;
        }
        if (failures++ == 0)
            DbgPrint("vq7agent: reading COM1 failed: 0x%08x\n", status);
        Pause(10 * failures);
    }
    DbgPrint("vq7agent: COM1 is given up after %d failed reads\n", failures);
}

NTSTATUS MakeEvent(HANDLE *event) {
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, nullptr, OBJ_KERNEL_HANDLE, nullptr, nullptr);
    return ZwCreateEvent(event, EVENT_ALL_ACCESS, &attributes, SynchronizationEvent, FALSE);
}

NTSTATUS OpenPort() {
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK io{};
    RtlInitUnicodeString(&name, L"\\DosDevices\\COM1");
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE,
                               nullptr, nullptr);
    return ZwCreateFile(&console.file, GENERIC_READ | GENERIC_WRITE, &attributes, &io, nullptr,
                        FILE_ATTRIBUTE_NORMAL, 0, FILE_OPEN, FILE_NON_DIRECTORY_FILE, nullptr, 0);
}

} // namespace

NTSTATUS SerialConsoleStart() {
    KeInitializeSpinLock(&console.lock);
    KeInitializeEvent(&console.arrived, SynchronizationEvent, FALSE);
    KeInitializeEvent(&console.room, SynchronizationEvent, FALSE);
    NTSTATUS status = MakeEvent(&console.read_event);
    if (NT_SUCCESS(status))
        status = MakeEvent(&console.write_event);
    if (NT_SUCCESS(status))
        status = OpenPort();
    if (!NT_SUCCESS(status))
        return status;
    HANDLE thread;
    status = PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr,
                                  ReaderThread, nullptr);
    if (NT_SUCCESS(status))
        ZwClose(thread);
    return status;
}

namespace platform {

static size_t Take(uint8_t *buffer, size_t size) {
    KIRQL irql;
    KeAcquireSpinLock(&console.lock, &irql);
    size_t count = 0;
    while (count < size && console.tail != console.head)
        buffer[count++] = console.ring[console.tail++ % kRingSize];
    KeReleaseSpinLock(&console.lock, irql);
    if (count)
        KeSetEvent(&console.room, IO_NO_INCREMENT, FALSE);
    return count;
}

size_t ConsoleRead(uint8_t *buffer, size_t size, uint32_t timeout_ms) {
    uint64_t start = MonotonicUs();
    for (;;) {
        size_t count = Take(buffer, size);
        uint64_t waited = (MonotonicUs() - start) / 1000;
        if (count || waited >= timeout_ms)
            return count;
        // The event may be left over from bytes taken before: look again.
        LARGE_INTEGER timeout;
        timeout.QuadPart = -static_cast<LONGLONG>(timeout_ms - waited) * 10000;
        KeWaitForSingleObject(&console.arrived, Executive, KernelMode, FALSE, &timeout);
    }
}

void ConsoleWrite(const uint8_t *bytes, size_t size) {
    while (size) {
        IO_STATUS_BLOCK io{};
        LARGE_INTEGER offset{};
        ULONG piece = size < 4096 ? static_cast<ULONG>(size) : 4096;
        NTSTATUS status = ZwWriteFile(console.file, console.write_event, nullptr, nullptr, &io,
                                      const_cast<uint8_t *>(bytes), piece, &offset, nullptr);
        status = Finish(status, console.write_event, &io);
        if (!NT_SUCCESS(status) || io.Information == 0 || io.Information > piece) {
            DbgPrint("vq7agent: writing COM1 failed: 0x%08x\n", status);
            return;
        }
        bytes += io.Information;
        size -= io.Information;
    }
}

} // namespace platform
