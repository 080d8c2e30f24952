// SPDX-License-Identifier: MIT
//
// Included before each source of the queue when it is compiled for
// virtqueue_split_order_test.cpp: virtio_osdep.h, whose loads, stores and fences of
// shared memory are noted before they are done.
#pragma once

#include <vector>

#include "virtio_osdep.h"

namespace vq7::model {

enum class Kind { kLoad, kAcquire, kStore, kRelease, kFence };

struct Access {
    Kind kind;
    const volatile void *at; // null: a fence
    bool operator==(const Access &) const = default;
};

extern std::vector<Access> trace;

inline void Note(Kind kind, const volatile void *at) {
    trace.push_back({kind, at});
}

} // namespace vq7::model

#define VQ7_NOTED(kind, at, access) (::vq7::model::Note(::vq7::model::Kind::kind, (at)), (access))

// A macro's own name in its replacement is the function of virtio_osdep.h.
#define VirtioLoadAcquireU16(p) VQ7_NOTED(kAcquire, p, VirtioLoadAcquireU16(p))
#define VirtioStoreReleaseU16(p, v) VQ7_NOTED(kRelease, p, VirtioStoreReleaseU16(p, v))
#define VirtioReadU16(p) VQ7_NOTED(kLoad, p, VirtioReadU16(p))
#define VirtioReadU32(p) VQ7_NOTED(kLoad, p, VirtioReadU32(p))
#define VirtioWriteU16(p, v) VQ7_NOTED(kStore, p, VirtioWriteU16(p, v))
#define VirtioWriteU32(p, v) VQ7_NOTED(kStore, p, VirtioWriteU32(p, v))

#undef VIRTIO_MB
#define VIRTIO_MB() VQ7_NOTED(kFence, nullptr, __atomic_thread_fence(__ATOMIC_SEQ_CST))
