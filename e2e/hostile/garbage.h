// SPDX-License-Identifier: MIT
// Numbers that look like chance and are a function of a seed.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include <sys/uio.h>

namespace hostile {

// Depends on both (the mixer of splitmix64).
inline uint64_t mixed(uint64_t seed, uint64_t count) {
    uint64_t z = seed + count * 0x9E3779B97F4A7C15;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

inline void fillWithGarbage(uint8_t *at, size_t bytes, uint64_t seed) {
    for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
        uint64_t word = mixed(seed, i);
        memcpy(at + i, &word, bytes - i < sizeof(word) ? bytes - i : sizeof(word));
    }
}

inline void fillWithGarbage(const std::vector<iovec> &parts, uint64_t seed) {
    for (const iovec &part : parts) {
        fillWithGarbage(static_cast<uint8_t *>(part.iov_base), part.iov_len, seed++);
    }
}

} // namespace hostile
