// SPDX-License-Identifier: MIT
#ifndef VQ7_AGENT_GENERATION_MAP_H_
#define VQ7_AGENT_GENERATION_MAP_H_

#include <stddef.h>
#include <stdint.h>

namespace agent {

// The generation last written to each sector of a range, in memory for only those
// parts that have been written.
struct GenerationMap {
    static constexpr uint32_t kUnwritten = 0;
    static constexpr uint32_t kUnknown = UINT32_MAX; // a write to it failed
    static constexpr uint64_t kChunkSectors = 4096;

    uint32_t **chunks;
    uint64_t chunk_count;

    // `sectors` > 0. False: no memory.
    bool Init(uint64_t sectors);
    void Free();
    // Both for sectors relative to the range's start.
    uint32_t Get(uint64_t sector) const;
    // Makes room, so that Set() can't fail. False: no memory.
    bool Prepare(uint64_t sector, uint64_t count);
    void Set(uint64_t sector, uint64_t count, uint32_t generation);
};

} // namespace agent

#endif // VQ7_AGENT_GENERATION_MAP_H_
