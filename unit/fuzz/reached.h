// SPDX-License-Identifier: MIT
//
// Counts results: which function gave which status. A harness lists the pairs
// that the headers document; with VQ7_FUZZ_REACH set in the environment, the run
// ends by printing the count of each, and fails where one is 0. So the corpus is
// held to reaching every documented error, not just many lines.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "require.h"
#include "virtqueue_split.h"

namespace fuzz {

constexpr unsigned kStatuses = 24;
constexpr unsigned kMaxFunctions = 16;

inline unsigned StatusIndex(NTSTATUS status) {
    switch (static_cast<UINT32>(status)) {
    case 0x00000000u: // STATUS_SUCCESS
        return 0;
    case 0x80000005u: // STATUS_BUFFER_OVERFLOW
        return 1;
    case 0x80000011u: // STATUS_DEVICE_BUSY
        return 2;
    case 0xC000000Du: // STATUS_INVALID_PARAMETER
        return 3;
    case 0xC0000010u: // STATUS_INVALID_DEVICE_REQUEST
        return 4;
    case 0xC0000023u: // STATUS_BUFFER_TOO_SMALL
        return 5;
    case 0xC000003Cu: // STATUS_DATA_OVERRUN
        return 6;
    case 0xC000009Au: // STATUS_INSUFFICIENT_RESOURCES
        return 7;
    case 0xC000009Cu: // STATUS_DEVICE_DATA_ERROR
        return 8;
    case 0xC00000B5u: // STATUS_IO_TIMEOUT
        return 9;
    case 0xC00000BBu: // STATUS_NOT_SUPPORTED
        return 10;
    case 0xC00000C0u: // STATUS_DEVICE_DOES_NOT_EXIST
        return 11;
    case 0xC0000182u: // STATUS_DEVICE_CONFIGURATION_ERROR
        return 12;
    case 0xC0000184u: // STATUS_INVALID_DEVICE_STATE
        return 13;
    case 0xC0000185u: // STATUS_IO_DEVICE_ERROR
        return 14;
    case 0xC0000186u: // STATUS_DEVICE_PROTOCOL_ERROR
        return 15;
    case 0xC0000206u: // STATUS_INVALID_BUFFER_SIZE
        return 16;
    case 0xC0000225u: // STATUS_NOT_FOUND
        return 17;
    case 0xC000042Au: // STATUS_REQUEST_OUT_OF_SEQUENCE
        return 18;
    default:
        Broken("a documented status");
    }
}

// One documented result of a function.
struct Documented {
    unsigned function;
    NTSTATUS status;
    const char *name;
};

// Read and cleared by libFuzzer at each input: a result is as good as a branch, so
// inputs that give a rare one are kept.
__attribute__((
    used,
    section("__libfuzzer_extra_counters"))) static std::uint8_t seen[kMaxFunctions * kStatuses];

template <unsigned kFunctions> class Reached {
    static_assert(kFunctions <= kMaxFunctions);

  public:
    template <unsigned kCount> explicit Reached(const Documented (&list)[kCount]) {
        list_ = list;
        list_count_ = kCount;
        if (std::getenv("VQ7_FUZZ_REACH") != nullptr) {
            self_ = this;
            std::atexit(Report);
        }
    }

    NTSTATUS Note(unsigned function, NTSTATUS status) {
        unsigned index = StatusIndex(status);
        counts_[function][index]++;
        seen[function * kStatuses + index] = 1;
        return status;
    }

  private:
    static void Report() {
        unsigned missing = 0;
        for (unsigned i = 0; i < self_->list_count_; i++) {
            const Documented &d = self_->list_[i];
            unsigned long count = self_->counts_[d.function][StatusIndex(d.status)];
            std::fprintf(stderr, "reached: %8lu %s\n", count, d.name);
            missing += count == 0;
        }
        if (missing != 0) {
            std::fprintf(stderr, "reached: %u documented results are not in the corpus\n", missing);
            std::_Exit(1);
        }
    }

    static inline Reached *self_ = nullptr;
    const Documented *list_;
    unsigned list_count_;
    unsigned long counts_[kFunctions][kStatuses] = {};
};

} // namespace fuzz
