// SPDX-License-Identifier: MIT
#include "pattern.h"

namespace agent {
namespace {

// Word i of a sector, `state` being key + i * kGolden.
struct Generator {
    uint64_t head[3];
    uint64_t state;

    Generator(uint64_t seed, uint64_t sector, uint64_t generation) {
        head[0] = sector;
        head[1] = generation;
        head[2] = seed;
        state = (Mix(seed + kGolden) ^ Mix(sector + 2 * kGolden) ^ Mix(generation + 3 * kGolden)) +
                2 * kGolden;
    }
    uint64_t Next(uint32_t i) {
        if (i < 3)
            return head[i];
        state += kGolden;
        return Mix(state);
    }
};

} // namespace

void PatternFill(uint64_t *words, uint64_t seed, uint64_t sector, uint64_t generation) {
    Generator generator(seed, sector, generation);
    for (uint32_t i = 0; i < kSectorWords; i++)
        words[i] = generator.Next(i);
}

bool PatternCheck(const uint64_t *words, uint64_t seed, uint64_t sector, uint64_t generation,
                  Mismatch *mismatch) {
    Generator generator(seed, sector, generation);
    for (uint32_t i = 0; i < kSectorWords; i++) {
        uint64_t want = generator.Next(i);
        if (words[i] == want)
            continue;
        *mismatch = {sector, i * 8, want, words[i], words[0], words[1], words[2]};
        return false;
    }
    return true;
}

void PutMismatch(Writer &line, const char *name, const Mismatch &mismatch) {
    line.Key(name, mismatch.sector).Key("offset", mismatch.offset);
    // Eight bytes as they lie in memory.
    line.Key("want").Bytes(&mismatch.want, 8).Key("got").Bytes(&mismatch.got, 8);
    line.Key("holds").Str("sector:").Dec(mismatch.holds_sector);
    line.Str(",generation:").Dec(mismatch.holds_generation);
    line.Str(",seed:").Dec(mismatch.holds_seed);
}

} // namespace agent
