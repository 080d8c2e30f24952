// SPDX-License-Identifier: MIT
//
// Memory for one execution: pieces of exactly the size asked for, with red zones
// before and behind, and no allocator in the way. With AddressSanitizer a red zone
// is poisoned, so that one wrong byte read or written ends the run at once; without
// it, the zones hold a pattern that Check compares, which finds writes only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "require.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VQ7_FUZZ_ASAN 1
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef VQ7_FUZZ_ASAN
#define VQ7_FUZZ_ASAN 0
#endif

namespace fuzz {

template <std::size_t kSize> class GuardedMemory {
  public:
    // Forgets all pieces; everything is red zone again.
    void Begin() {
        Redden(0, touched_);
        touched_ = 0;
        end_ = 0;
        count_ = 0;
    }

    // `size` bytes, of any content, whose address is `skew` more than a multiple of 64.
    std::uint8_t *Take(std::size_t size, std::size_t skew = 0) {
        std::size_t start = (end_ + kRedZone + 63) / 64 * 64 + skew;
        Require(count_ < kPieces && start + size + kRedZone <= kSize, "room for the harness");
        pieces_[count_++] = {start, start + size};
        end_ = start + size;
        touched_ = end_ + kRedZone > touched_ ? end_ + kRedZone : touched_;
#if VQ7_FUZZ_ASAN
        ASAN_UNPOISON_MEMORY_REGION(memory_ + start, size);
#endif
        return memory_ + start;
    }

    // What AddressSanitizer would have found by now.
    void Check() const {
#if !VQ7_FUZZ_ASAN
        std::size_t at = 0;
        for (unsigned i = 0; i <= count_; i++) {
            std::size_t stop = i < count_ ? pieces_[i].start : end_ + kRedZone;
            for (; at < stop; at++) {
                Require(memory_[at] == kRed, "nothing written outside its memory");
            }
            at = i < count_ ? pieces_[i].end : at;
        }
#endif
    }

  private:
    static constexpr std::size_t kRedZone = 64;
    static constexpr unsigned kPieces = 72;
    static constexpr std::uint8_t kRed = 0xA5;
    struct Piece {
        std::size_t start, end;
    };

    void Redden(std::size_t start, std::size_t end) {
#if VQ7_FUZZ_ASAN
        ASAN_POISON_MEMORY_REGION(memory_ + start, end - start);
#else
        std::memset(memory_ + start, kRed, end - start);
#endif
    }

    alignas(4096) std::uint8_t memory_[kSize];
    Piece pieces_[kPieces];
    std::size_t end_ = 0;
    std::size_t touched_ = kSize; // what is behind it is red
    unsigned count_ = 0;
};

} // namespace fuzz
