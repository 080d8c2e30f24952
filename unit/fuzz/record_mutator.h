// SPDX-License-Identifier: MIT
//
// Mutation of inputs that are a header and records of one size. Any byte string is
// a legal input; what this adds is steps that keep records whole: insert, delete,
// duplicate, move, replace, change a field, and cross two inputs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fuzz {

// splitmix64: small, and the same numbers on every machine.
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint32_t Next() {
        std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return static_cast<std::uint32_t>((z ^ (z >> 31)) >> 16);
    }
    std::uint32_t Below(std::uint32_t n) {
        return static_cast<std::uint32_t>(std::uint64_t{Next()} * n >> 32);
    }
    std::uint8_t Byte() {
        return static_cast<std::uint8_t>(Next());
    }

  private:
    std::uint64_t state_;
};

struct RecordFormat {
    std::size_t header;      // bytes
    std::size_t record;      // bytes, at most 16
    std::size_t max_records; // more are ignored by the harness
    void (*fill_header)(Random &random, std::uint8_t *header);
    // At most `room` (> 0) likely records in a row; gives how many were written.
    std::size_t (*fill_records)(Random &random, std::uint8_t *records, std::size_t room);
};

// Each harness's <name>_format.cpp defines its own.
extern const RecordFormat kFormat;

// One to four steps on data[0..size); gives the new size, at most max_size.
std::size_t MutateRecords(const RecordFormat &format, std::uint8_t *data, std::size_t size,
                          std::size_t max_size, Random &random);

// The head of one input and the tail of another; gives the size of out.
std::size_t CrossRecords(const RecordFormat &format, const std::uint8_t *a, std::size_t a_size,
                         const std::uint8_t *b, std::size_t b_size, std::uint8_t *out,
                         std::size_t max_size, Random &random);

} // namespace fuzz
