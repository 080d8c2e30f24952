// SPDX-License-Identifier: MIT
//
// What a sector holds, as docs/console-protocol.md ("Data") defines it.
#ifndef VQ7_AGENT_PATTERN_H_
#define VQ7_AGENT_PATTERN_H_

#include "text.h"

namespace agent {

constexpr uint32_t kSectorSize = 512;
constexpr uint32_t kSectorWords = kSectorSize / 8;
constexpr uint64_t kGolden = 0x9E3779B97F4A7C15ull;

constexpr uint64_t Mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

// Fills one sector; `words` has kSectorWords.
void PatternFill(uint64_t *words, uint64_t seed, uint64_t sector, uint64_t generation);

struct Mismatch {
    uint64_t sector;
    uint32_t offset; // byte of the first wrong word
    uint64_t want;   // that word
    uint64_t got;
    uint64_t holds_sector; // what the sector says of itself
    uint64_t holds_generation;
    uint64_t holds_seed;
};

// True: the sector holds the pattern. False: *mismatch tells what is wrong.
bool PatternCheck(const uint64_t *words, uint64_t seed, uint64_t sector, uint64_t generation,
                  Mismatch *mismatch);

// Writes `<name>=<sector> offset= want= got= holds=` as the protocol has them.
void PutMismatch(Writer &line, const char *name, const Mismatch &mismatch);

} // namespace agent

#endif // VQ7_AGENT_PATTERN_H_
