// SPDX-License-Identifier: MIT
//
// Faults that ntcompat makes on demand: allocations of the driver that fail, and devices that
// lie in their registers.
#include "ntc_services.h"

#include "../platform.h"

namespace platform {

uint32_t SetLowResources(uint32_t nth) {
    return static_cast<uint32_t>(NtcSetLowResources("vq7test.sys", nth));
}

uint32_t GetLowResources(LowResources *now) {
    NTC_LOW_RESOURCES state;
    NtcGetLowResources(&state);
    *now = {state.nth, state.calls, state.failed, state.offset};
    return 0;
}

uint32_t AddLie(const Lie &lie) {
    NTC_LIE mine{};
    mine.device = lie.slot;
    mine.space = lie.bar < 0 ? NTC_LIE_CONFIG : static_cast<ULONG>(lie.bar);
    mine.offset = lie.offset;
    mine.width = lie.width;
    mine.operation = lie.operation;
    mine.value = lie.value;
    mine.skip = lie.skip;
    mine.times = lie.times;
    return static_cast<uint32_t>(NtcAddLie(&mine));
}

uint32_t GetLie(uint32_t index, Lie *lie) {
    NTC_LIE mine;
    NTSTATUS status = NtcGetLie(index, &mine);
    if (NT_SUCCESS(status))
        *lie = {mine.device,    mine.space == NTC_LIE_CONFIG ? -1 : static_cast<int>(mine.space),
                mine.offset,    mine.width,
                mine.operation, mine.value,
                mine.skip,      mine.times,
                mine.reads,     mine.hits};
    return static_cast<uint32_t>(status);
}

uint32_t ClearLies() {
    NtcClearLies();
    return 0;
}

} // namespace platform
