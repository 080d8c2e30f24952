// SPDX-License-Identifier: MIT
//
// All that the agent's core needs of the system it runs on. Each back end
// (win32/, ntcompat/, and the fake of the unit tests) defines these functions.
// All are called by one thread, the command thread, at PASSIVE_LEVEL.
// A status is an NTSTATUS as an unsigned number; 0 is success.
#ifndef VQ7_AGENT_PLATFORM_H_
#define VQ7_AGENT_PLATFORM_H_

#include <stddef.h>
#include <stdint.h>

namespace platform {

// ---- console: COM1 ----------------------------------------------------------

// Waits until at least one byte has come or timeout_ms (0: don't wait) is over,
// and hands out at most `size` bytes. Returns their number; 0: none came.
size_t ConsoleRead(uint8_t *buffer, size_t size, uint32_t timeout_ms);
// Returns when all bytes are with the system. There is nobody to tell when the
// console itself fails, so it reports nothing.
void ConsoleWrite(const uint8_t *bytes, size_t size);

// ---- the driver's devices ---------------------------------------------------

struct Device; // an open device

constexpr uint32_t kMaxDevices = 1024; // four buses full of functions

// Number of devices that offer the VQ7 interface now; looks each time. At most
// kMaxDevices. The order of the devices stays the same while the set does.
uint32_t DeviceCount();
// Opens device `index` (below the last DeviceCount()). On success *device is to
// be closed; otherwise it isn't changed.
uint32_t DeviceOpen(uint32_t index, Device **device);
constexpr uint32_t kAccessRead = 1;
constexpr uint32_t kAccessWrite = 2;
// Opens device `index` as any program would: a handle with this access (0 is legal),
// whose requests pass all checks of the system's I/O manager.
uint32_t DeviceOpenHandle(uint32_t index, uint32_t access, Device **device);
// Drops every reference to the device but those of requests in flight: these still
// come back from WaitRequest().
void DeviceClose(Device *device);

// One I/O control request. The caller owns it and all it points at until
// WaitRequest() returns it.
struct Request {
    uint32_t code;       // IOCTL
    const void *input;   // or null
    uint32_t input_size; // bytes
    void *buffer;        // output buffer, or the data of a direct transfer; or null
    uint32_t buffer_size;
    void *context; // the caller's
    // Set when it comes back:
    uint32_t status;
    uint32_t information; // bytes
    // The back end's:
    uint64_t reserved[8];
};

// Buffers must come from AllocatePages() or lie in memory that AllocatePages()
// gave. Every submitted request comes back from WaitRequest() once, also one that
// failed at once; or never, if the driver keeps it.
void SubmitRequest(Device *device, Request *request);
// The next finished request of any device; null: none within timeout_ms.
Request *WaitRequest(uint32_t timeout_ms);
// Asks the driver to end a submitted request early. It comes back from
// WaitRequest() in any case, cancelled or not.
void CancelRequest(Device *device, Request *request);

// What the machine's sleep (S3) and its end mean for one device. Requests may be in
// flight. kNotSupported where the system does not do that for one device.
uint32_t DevicePowerDown(Device *device);
uint32_t DevicePowerUp(Device *device);

// ---- memory -----------------------------------------------------------------

// Zeroed, page-aligned, resident at any IRQL in kernel mode; null: there is none.
void *AllocatePages(size_t bytes);
void FreePages(void *memory);

// ---- time and identity ------------------------------------------------------

// Microseconds since some moment before the agent's start; never goes back.
uint64_t MonotonicUs();
// Differs between starts of the agent.
uint64_t BootId();
// "ntcompat", "windows": one word.
const char *GuestName();
// "x64" or "x86".
const char *Architecture();

// ---- faults on demand; kNotSupported where the guest has none ------------------------

// Of all allocations that are made for the driver, the nth from now on fails; 0: none.
uint32_t SetLowResources(uint32_t nth);
struct LowResources {
    uint32_t nth;
    uint32_t calls;     // since then
    const char *failed; // what it was; null: none yet
    uint32_t offset;    // where in the driver it was called
};
uint32_t GetLowResources(LowResources *now);

// What the driver reads in a register of the PCI function in a slot of bus 0, instead of
// what the device says.
struct Lie {
    uint32_t slot;
    int bar; // -1: configuration space
    uint32_t offset, width;
    uint32_t operation; // 0 set, 1 or, 2 and, 3 xor, 4 add another multiple each time
    uint32_t value;
    uint32_t skip, times; // true reads before; lies then, 0: all that follow
    uint32_t reads, hits; // so far
};
uint32_t AddLie(const Lie &lie);
// An error: there is no index-th.
uint32_t GetLie(uint32_t index, Lie *lie);
uint32_t ClearLies();

// ---- the machine ------------------------------------------------------------

// Removes all devices of the driver and unloads it / loads it and starts them.
// Refused while a device is open.
uint32_t DriverUnload();
uint32_t DriverLoad();
// Asks for what a shutdown needs (a privilege); Shutdown() follows.
uint32_t PrepareShutdown();
// Restarts or turns off the machine. Returns only if it failed, or, where the
// system shuts down behind the caller's back, with 0.
uint32_t Shutdown(bool restart);
// Bug check 0xE2. Returns only where it is not supported.
void Crash();

} // namespace platform

#endif // VQ7_AGENT_PLATFORM_H_
