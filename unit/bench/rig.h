// SPDX-License-Identifier: MIT
//
// What the benchmarks share: a queue of 256 with EVENT_IDX, its memory, and the
// device's part, which is the same code under the library and under the floor.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "virtqueue_split.h"

namespace bench {

constexpr UINT16 kSize = 256;
constexpr UINT16 kTableSize = 8; // descriptors of an indirect table
constexpr UINT64 kPoolPa = 0x200000;
constexpr UINT32 kSegmentSize = 512;

struct Free {
    void operator()(void *p) const {
        std::free(p);
    }
};
using Block = std::unique_ptr<std::uint8_t, Free>;

inline Block Allocate(std::size_t size) {
    size = (size + 4095) / 4096 * 4096;
    auto *p = static_cast<std::uint8_t *>(std::aligned_alloc(4096, size));
    std::memset(p, 0, size);
    return Block(p);
}

// Segments that the device reads, and a last one that it writes.
inline std::vector<VIRTQ_SG> Segments(UINT16 count) {
    std::vector<VIRTQ_SG> sg;
    for (UINT16 i = 0; i < count; i++) {
        sg.push_back({0x100000u + 0x1000u * i, kSegmentSize, static_cast<BOOLEAN>(i + 1 == count)});
    }
    return sg;
}

// Memory of a queue, laid out by the library; the floor uses the same layout.
struct Queue {
    Block state = Allocate(VirtqSplitStateSize(kSize));
    Block ring = Allocate(VirtqSplitRingMemSize(kSize, 4096, TRUE));
    Block pool = Allocate(sizeof(VIRTQ_DESC) * kSize * kTableSize);
    VIRTQ_SPLIT *vq = reinterpret_cast<VIRTQ_SPLIT *>(state.get());

    explicit Queue(bool indirect) {
        if (VirtqSplitInit(vq, kSize, TRUE, indirect, ring.get(), 0x1000, 4096,
                           indirect ? pool.get() : nullptr, kPoolPa, kSize,
                           kTableSize) != STATUS_SUCCESS) {
            std::abort();
        }
        vq->indirect_threshold = 0; // all of them, if there is a pool
        // Asks for a kick once in 65,536 buffers.
        VirtioWriteU16(VirtqUsedAvailEvent(vq->used, kSize), 0x7FFF);
    }
};

// Uses everything that is available, at once. Nothing of the driver's lies in its
// cache lines: its counts change while the driver works.
struct alignas(128) Device {
    VIRTQ_AVAIL *avail;
    VIRTQ_USED *used;
    UINT16 next = 0;
    UINT32 interrupts = 0;

    explicit Device(const Queue &queue) : avail(queue.vq->avail), used(queue.vq->used) {}

    bool Work() {
        UINT16 idx = VirtioLoadAcquireU16(&avail->idx);
        if (idx == next) {
            return false;
        }
        for (; next != idx; next++) {
            VIRTQ_USED_ELEM *entry = &VirtqUsedRing(used)[next & (kSize - 1)];
            entry->id = VirtqAvailRing(avail)[next & (kSize - 1)];
            entry->len = kSegmentSize;
        }
        VirtioStoreReleaseU16(&used->idx, next);
        return true;
    }

    // The decision about an interrupt (2.7.7.2); only where the device has a CPU
    // of its own, since otherwise its fence would be a good part of the result.
    void Interrupt(UINT16 old) {
        VIRTIO_MB();
        interrupts += VirtqNeedEvent(VirtioReadU16(VirtqAvailUsedEvent(avail, kSize)), next, old);
    }
};

} // namespace bench
