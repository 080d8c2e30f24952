// SPDX-License-Identifier: MIT
#include "devices.h"

#include "status.h"

namespace agent {
namespace {

constexpr size_t kPage = 4096;
constexpr uint8_t kGuard = 0x6B;
static_assert(sizeof(Call) <= kPage, "the call has a page of its own");

} // namespace

Call *NewCall(size_t data_size, size_t guard) {
    if (data_size > SIZE_MAX - kPage - 2 * guard)
        return nullptr;
    uint8_t *block = static_cast<uint8_t *>(platform::AllocatePages(kPage + data_size + 2 * guard));
    if (!block)
        return nullptr;
    Call *call = reinterpret_cast<Call *>(block);
    call->data = block + kPage + guard;
    call->data_size = data_size;
    for (size_t i = 0; i < guard; i++)
        call->data[i - guard] = call->data[data_size + i] = kGuard;
    return call;
}

bool GuardsAreWhole(const Call *call, size_t guard) {
    for (size_t i = 0; i < guard; i++)
        if (call->data[i - guard] != kGuard || call->data[call->data_size + i] != kGuard)
            return false;
    return true;
}

void FreeCall(Call *call) {
    if (call)
        platform::FreePages(call);
}

void SetTransfer(Call *call, uint64_t sector, uint32_t bytes, uint32_t segments) {
    call->transfer.sector = sector;
    call->transfer.segments = segments;
    call->transfer.reserved = 0;
    call->request.input = &call->transfer;
    call->request.input_size = sizeof(call->transfer);
    call->request.buffer = call->data;
    call->request.buffer_size = bytes;
}

// A device may go between the look at the list and its opening.
static uint32_t OpenStatus(uint32_t status) {
    switch (status) {
    case kStatusNoSuchDevice:
    case kStatusNoSuchFile:
    case kStatusObjectNameNotFound:
    case kStatusObjectPathNotFound:
    case kStatusDeletePending:
    case kStatusDeviceDoesNotExist:
        return kNoDevice;
    default:
        return status;
    }
}

uint32_t Devices::Open(uint32_t index, DeviceHandle **handle) {
    if (index >= platform::DeviceCount())
        return kNoDevice;
    DeviceHandle &entry = handles[index];
    if (!entry.device) {
        uint32_t status = platform::DeviceOpen(index, &entry.device);
        if (!Succeeded(status)) {
            entry.device = nullptr;
            return OpenStatus(status);
        }
    }
    entry.in_use = true;
    *handle = &entry;
    return kOk;
}

uint32_t Devices::OpenRaw(uint32_t index, uint32_t access, DeviceHandle **handle) {
    if (index >= platform::DeviceCount())
        return kNoDevice;
    if (raw.lost)
        return kStatusDeviceBusy;
    uint32_t status = platform::DeviceOpenHandle(index, access, &raw.device);
    if (!Succeeded(status)) {
        raw.device = nullptr;
        return OpenStatus(status);
    }
    raw.in_use = true;
    *handle = &raw;
    return kOk;
}

void Devices::CloseEarly(DeviceHandle *handle) {
    platform::DeviceClose(handle->device);
    handle->device = nullptr;
}

void Devices::Close(DeviceHandle *handle) {
    handle->in_use = false;
    if (handle->lost || !handle->device)
        return;
    platform::DeviceClose(handle->device);
    handle->device = nullptr;
}

void Devices::CloseUnderLoad(DeviceHandle *handle) {
    platform::DeviceClose(handle->device);
    handle->device = nullptr;
}

void Devices::Submit(DeviceHandle *handle, Call *call, uint32_t code) {
    call->handle = handle;
    call->abandoned = false;
    call->request.code = code;
    call->request.context = call;
    call->request.status = 0;
    call->request.information = 0;
    platform::SubmitRequest(handle->device, &call->request);
}

void Devices::Reclaim(Call *call) {
    DeviceHandle *handle = call->handle;
    FreeCall(call);
    lost--;
    handle->lost--;
    if (!handle->in_use)
        Close(handle);
}

Call *Devices::Wait(uint32_t timeout_ms) {
    for (;;) {
        platform::Request *request = platform::WaitRequest(timeout_ms);
        if (!request)
            return nullptr;
        Call *call = static_cast<Call *>(request->context);
        if (!call->abandoned)
            return call;
        Reclaim(call);
    }
}

void Devices::Abandon(Call *call) {
    call->abandoned = true;
    call->handle->lost++;
    lost++;
}

uint32_t Devices::Execute(DeviceHandle *handle, Call **call, uint32_t code, Answer &answer,
                          bool need_all) {
    uint64_t start = platform::MonotonicUs();
    Submit(handle, *call, code);
    while (!Wait(100)) {
        uint64_t waited = platform::MonotonicUs() - start;
        if (waited > kRequestTimeoutUs) {
            Abandon(*call);
            *call = nullptr;
            return kRequestLost;
        }
        if (answer.BusyDue()) {
            Text<64> text;
            text.Key("waiting_us", waited);
            answer.Busy(text);
        }
    }
    const platform::Request &request = (*call)->request;
    if (need_all && Succeeded(request.status) && request.information != request.buffer_size)
        return kStatusInfoLengthMismatch;
    return request.status;
}

uint32_t Devices::Query(DeviceHandle *handle, uint32_t code, void *out, size_t size,
                        Answer &answer) {
    Call *call = NewCall(size);
    if (!call)
        return kNoMemory;
    call->request.buffer = size ? call->data : nullptr;
    call->request.buffer_size = static_cast<uint32_t>(size);
    uint32_t status = Execute(handle, &call, code, answer, true);
    for (size_t i = 0; i < size && Succeeded(status); i++)
        static_cast<uint8_t *>(out)[i] = call->data[i];
    FreeCall(call);
    return status;
}

} // namespace agent
