// SPDX-License-Identifier: MIT
#include "generation_map.h"

#include "../platform.h"

namespace agent {

bool GenerationMap::Init(uint64_t sectors) {
    chunk_count = (sectors - 1) / kChunkSectors + 1;
    chunks = nullptr;
    if (chunk_count > SIZE_MAX / sizeof(chunks[0]))
        return false;
    chunks = static_cast<uint32_t **>(
        platform::AllocatePages(static_cast<size_t>(chunk_count) * sizeof(chunks[0])));
    return chunks != nullptr;
}

void GenerationMap::Free() {
    if (!chunks)
        return;
    for (uint64_t i = 0; i < chunk_count; i++)
        if (chunks[i])
            platform::FreePages(chunks[i]);
    platform::FreePages(chunks);
    chunks = nullptr;
}

uint32_t GenerationMap::Get(uint64_t sector) const {
    const uint32_t *chunk = chunks[sector / kChunkSectors];
    return chunk ? chunk[sector % kChunkSectors] : kUnwritten;
}

bool GenerationMap::Prepare(uint64_t sector, uint64_t count) {
    for (uint64_t i = sector / kChunkSectors; i <= (sector + count - 1) / kChunkSectors; i++) {
        if (!chunks[i])
            chunks[i] =
                static_cast<uint32_t *>(platform::AllocatePages(kChunkSectors * sizeof(uint32_t)));
        if (!chunks[i])
            return false;
    }
    return true;
}

void GenerationMap::Set(uint64_t sector, uint64_t count, uint32_t generation) {
    for (uint64_t s = sector; s < sector + count; s++)
        chunks[s / kChunkSectors][s % kChunkSectors] = generation;
}

} // namespace agent
