// SPDX-License-Identifier: MIT
//
// libFuzzer's way to the record mutator. One time in four it mutates bytes itself,
// with what it has learned from comparisons.
#include "record_mutator.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t *data, std::size_t size, std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t *data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
    fuzz::Random random(seed);
    if (random.Below(4) == 0) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    return fuzz::MutateRecords(fuzz::kFormat, data, size, max_size, random);
}

extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t *a, std::size_t a_size,
                                                 const std::uint8_t *b, std::size_t b_size,
                                                 std::uint8_t *out, std::size_t max_size,
                                                 unsigned seed) {
    fuzz::Random random(seed);
    return fuzz::CrossRecords(fuzz::kFormat, a, a_size, b, b_size, out, max_size, random);
}
