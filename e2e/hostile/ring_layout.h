// SPDX-License-Identifier: MIT
// A split virtqueue's bytes (Virtio 1.2, 2.7.5, 2.7.6, 2.7.8).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace hostile {

constexpr uint16_t DescNext = 1, DescWrite = 2, DescIndirect = 4;
constexpr uint16_t AvailNoInterrupt = 1, UsedNoNotify = 1;
constexpr size_t AvailIdx = 2, AvailRing = 4;
constexpr size_t UsedFlags = 0, UsedIdx = 2, UsedRing = 4, UsedElement = 8;

inline std::atomic_ref<uint16_t> shared16(uint8_t *at) {
    return std::atomic_ref<uint16_t>(*reinterpret_cast<uint16_t *>(at));
}

} // namespace hostile
