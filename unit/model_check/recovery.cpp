// SPDX-License-Identifier: MIT
//
// The queue at the start of a history and at its end, and how it recovers from
// any state in between.
#include "driver.h"

#include <cstddef>
#include <cstdlib>

#include "model_osdep.h"
#include "virtqueue_split.h"

namespace mc {

static uint8_t g_fresh[kPrivateBytes]; // after Init

static VIRTQ_SPLIT *vq() {
    return static_cast<VIRTQ_SPLIT *>(hooks::privateMemory());
}

static VIRTQ_SPLIT_AREAS areas() {
    return VIRTQ_SPLIT_AREAS{hooks::g_desc, 0x10000,       hooks::g_avail,
                             0x20000,       hooks::g_used, 0x30000};
}

void driverSetUp() {
    VIRTQ_SPLIT_AREAS where = (hooks::setUpViews(), areas());
    uint16_t size = uint16_t(g_config.size);
    if (!NT_SUCCESS(VirtqSplitInitAreas(vq(), size, size, g_config.eventIdx, FALSE, &where, nullptr,
                                        0, 0, 0))) {
        abort();
    }
    hooks::poisonViews();
    memset(g_fresh, 0, sizeof(g_fresh));
    memcpy(g_fresh, vq(), VirtqSplitStateSize(size));
}

State initialState() {
    State s;
    memset(static_cast<void *>(&s), 0, sizeof(s));
    memcpy(s.driver.privateBytes, g_fresh, sizeof(g_fresh));
    hooks::enter(s);
    vq()->avail_idx = vq()->last_used_idx = g_config.start;
    hooks::leave(s);
    for (unsigned loc : {kAvailIdx, kUsedIdx, kUsedEvent, kAvailEvent}) {
        s.memory[loc] = g_config.start;
    }
    s.device.last = s.device.usedIdx = s.device.signalledIdx = g_config.start;
    s.device.budget = uint8_t(g_config.adversary);
    return s;
}

void checkNothingLeft(const State &s) {
    hooks::enter(s);
    if (VirtqSplitNumFree(vq()) != g_config.size || VirtqSplitInFlight(vq()) != 0) {
        violate("all buffers are back, but %u of %u descriptors are free", VirtqSplitNumFree(vq()),
                g_config.size);
    }
}

// Whether the queue is as after Init: all but what says nothing of a free descriptor.
static bool isFresh() {
    constexpr size_t chains = offsetof(VIRTQ_SPLIT, storage);
    alignas(VIRTQ_SPLIT) static uint8_t now[kPrivateBytes];
    memcpy(now, vq(), VirtqSplitStateSize(uint16_t(g_config.size)));
    const uint8_t *base = static_cast<const uint8_t *>(hooks::privateMemory());
    size_t at = size_t(reinterpret_cast<const uint8_t *>(vq()->chains) - base);
    for (unsigned i = 0; i < g_config.size; i++) {
        VIRTQ_SPLIT_CHAIN is, was;
        memcpy(&is, now + at + i * sizeof(is), sizeof(is));
        memcpy(&was, g_fresh + at + i * sizeof(was), sizeof(was));
        if (is.next != was.next || is.state != was.state) {
            return false;
        }
    }
    return memcmp(now, g_fresh, chains) == 0;
}

void checkRecovery(const State &s) {
    bool seen[kMaxBuffers] = {};
    unsigned left = 0;
    void *cookie;

    for (unsigned b = 0; b < s.driver.submitted; b++) {
        left += isOutstanding(s.driver.buffers[b]);
    }
    hooks::enter(s);
    while (NT_SUCCESS(VirtqSplitDetachUnused(vq(), &cookie))) {
        uintptr_t b = reinterpret_cast<uintptr_t>(cookie) - 1;
        if (b >= s.driver.submitted || seen[b] || !isOutstanding(s.driver.buffers[b])) {
            violate("detach gave back a buffer that is not outstanding (cookie %lu)",
                    (unsigned long)b + 1);
            return;
        }
        seen[b] = true;
        left--;
    }
    NTSTATUS status = VirtqSplitResetChecked(vq());
    hooks::poisonViews();
    if (left != 0 || !NT_SUCCESS(status)) {
        violate("%u buffers leak over detach and reset, status %08x", left, unsigned(status));
        return;
    }
    if (!isFresh()) {
        violate("the queue after reset is not as after init");
    }
}

} // namespace mc
