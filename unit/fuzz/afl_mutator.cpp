// SPDX-License-Identifier: MIT
//
// AFL++'s way to the record mutator: a shared library, loaded by
// AFL_CUSTOM_MUTATOR_LIBRARY. AFL++ runs its own byte mutations besides.
#include "record_mutator.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace {

struct Mutator {
    explicit Mutator(unsigned seed) : random(seed) {}
    fuzz::Random random;
    std::uint8_t out[1 << 16];
};

} // namespace

extern "C" void *afl_custom_init(void *, unsigned seed) {
    return new (std::nothrow) Mutator(seed);
}

extern "C" std::size_t afl_custom_fuzz(void *state, std::uint8_t *data, std::size_t size,
                                       std::uint8_t **out, std::uint8_t *other,
                                       std::size_t other_size, std::size_t max_size) {
    Mutator &m = *static_cast<Mutator *>(state);
    std::size_t most = std::min(max_size, sizeof(m.out));
    *out = m.out;
    if (other != nullptr && m.random.Below(8) == 0) {
        return fuzz::CrossRecords(fuzz::kFormat, data, size, other, other_size, m.out, most,
                                  m.random);
    }
    size = std::min(size, most);
    std::memcpy(m.out, data, size);
    return fuzz::MutateRecords(fuzz::kFormat, m.out, size, most, m.random);
}

extern "C" void afl_custom_deinit(void *state) {
    delete static_cast<Mutator *>(state);
}
