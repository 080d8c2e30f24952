// SPDX-License-Identifier: MIT
//
// Open devices and requests to them. A request that never comes back can't be
// freed: its call is abandoned, which keeps its memory and its device open until
// the driver returns it after all.
#ifndef VQ7_AGENT_DEVICES_H_
#define VQ7_AGENT_DEVICES_H_

#include "../platform.h"
#include "answer.h"
#include "ioctl.h"

namespace agent {

// A request without completion for so long counts as lost.
constexpr uint64_t kRequestTimeoutUs = 20000000;

struct DeviceHandle {
    platform::Device *device; // null: not open
    uint32_t lost;            // abandoned calls
    bool in_use;              // by the command that runs
};

// One request with its buffers, in one allocation; `data` is page-aligned, or `guard` bytes
// behind a page's beginning.
struct Call {
    platform::Request request;
    VQ7_BLK_TRANSFER transfer; // input of block transfers
    DeviceHandle *handle;
    void *owner; // the workload's
    uint8_t *data;
    size_t data_size;
    bool abandoned;
};

// Null: no memory. With `guard` (less than a page) there are so many bytes before and behind
// the data that nobody may write.
Call *NewCall(size_t data_size, size_t guard = 0);
bool GuardsAreWhole(const Call *call, size_t guard);
void FreeCall(Call *call); // null is fine

struct Devices {
    DeviceHandle handles[platform::kMaxDevices];
    DeviceHandle raw; // of the command `ioctl`
    uint32_t lost;    // abandoned calls of all devices

    // Status of the platform; kNoDevice: there is no such index now.
    uint32_t Open(uint32_t index, DeviceHandle **handle);
    // The same through platform::DeviceOpenHandle(). kStatusDeviceBusy: an abandoned
    // call of an earlier one is still out.
    uint32_t OpenRaw(uint32_t index, uint32_t access, DeviceHandle **handle);
    // Closes a raw handle at once, whatever is in flight; Close() is to follow.
    void CloseEarly(DeviceHandle *handle);
    void Close(DeviceHandle *handle);
    // With requests in flight, which Wait() still returns. Close() follows.
    void CloseUnderLoad(DeviceHandle *handle);
    void Submit(DeviceHandle *handle, Call *call, uint32_t code);
    // The next finished call that nobody has abandoned; null: none in time.
    Call *Wait(uint32_t timeout_ms);
    // The call and its memory now belong to the driver.
    void Abandon(Call *call);
    // Submits and waits, with busy lines. kRequestLost: it was abandoned and
    // *call is null now. With `need_all`, a success of another information length
    // than the buffer's becomes kStatusInfoLengthMismatch.
    uint32_t Execute(DeviceHandle *handle, Call **call, uint32_t code, Answer &answer,
                     bool need_all);
    // Execute() for an IOCTL that only fills a structure.
    uint32_t Query(DeviceHandle *handle, uint32_t code, void *out, size_t size, Answer &answer);

  private:
    void Reclaim(Call *call);
};

// Prepares a block transfer of the call's first `bytes` bytes of data.
void SetTransfer(Call *call, uint64_t sector, uint32_t bytes, uint32_t segments);

} // namespace agent

#endif // VQ7_AGENT_DEVICES_H_
