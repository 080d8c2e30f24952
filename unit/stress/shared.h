// SPDX-License-Identifier: MIT
//
// What the two sides of the stress test share: memory for a ring, and doorbells
// on which they really sleep. Offsets, not pointers: the two processes have the
// memory at different addresses.
#pragma once

#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace stress {

// A counter that one side rings and the other waits on. The waiter spins for a
// while, then sleeps in the kernel: a ring that was wrongly left out is a wait
// that ends in a time-out, never one that a later poll repairs.
struct alignas(64) Doorbell {
    std::atomic<uint32_t> count{0};
    std::atomic<uint32_t> sleeping{0};
    std::atomic<uint32_t> waitingFor{0}; // while sleeping: the `seen` below

    // Whether the other side sleeps on this bell and has not been rung. Only who
    // rings it may ask: for him it stays so.
    bool isAsleep() const {
        return sleeping.load() && waitingFor.load() == count.load();
    }

    void ring() {
        count.fetch_add(1, std::memory_order_seq_cst);
        if (sleeping.load(std::memory_order_seq_cst)) {
            syscall(SYS_futex, &count, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
        }
    }

    // Until the count differs from `seen`, the value read before the decision
    // to wait. FALSE: nobody rang for `limit`, or `stop` was set.
    bool wait(uint32_t seen, unsigned spins, std::chrono::milliseconds limit,
              const std::atomic<uint32_t> &stop) {
        for (unsigned i = 0; i < spins; i++) {
            if (count.load(std::memory_order_acquire) != seen) {
                return true;
            }
            __builtin_ia32_pause();
        }
        auto end = std::chrono::steady_clock::now() + limit;
        waitingFor.store(seen, std::memory_order_seq_cst);
        sleeping.store(1, std::memory_order_seq_cst);
        while (count.load(std::memory_order_seq_cst) == seen) {
            if (stop.load() || std::chrono::steady_clock::now() > end) {
                sleeping.store(0);
                return false;
            }
            timespec slice{0, 20000000};
            syscall(SYS_futex, &count, FUTEX_WAIT, seen, &slice, nullptr, 0);
        }
        sleeping.store(0);
        return true;
    }
};

// What a buffer holds, in plain accesses: the ring alone orders them, and a
// ThreadSanitizer build sees whether it does. One word in each of several cache
// lines, which the other side had last: stores to them take their time, and the
// store buffer keeps what is written next, avail->idx and used_event, behind them.
// That is the window in which a missing fence loses a wake-up.
struct alignas(64) Line {
    uint64_t word;
};
constexpr unsigned kLines = 4;
constexpr unsigned kPayloads = 2048; // at least the largest depth

struct Payload {
    Line lines[kLines];
};

// The ring of `size` descriptors is laid out by the library in `ring`.
struct Shared {
    Doorbell kick;      // driver -> device: available buffer notification
    Doorbell interrupt; // device -> driver: used buffer notification
    std::atomic<uint32_t> stop{0};
    std::atomic<uint64_t> processed{0};
    std::atomic<uint32_t> deviceError{0}; // line number of what the device saw
    alignas(4096) uint8_t ring[64 * 1024];
    Payload payloads[kPayloads];

    // Addresses are 64 apart, and at most kPayloads of them in use.
    Payload &payloadOf(uint64_t address) {
        return payloads[address / 64 % kPayloads];
    }
};

// What the driver asks in line `i` of the buffer at `address`; the device answers
// with the complement.
inline uint64_t questionFor(uint64_t address, unsigned i) {
    return address * 0x9E3779B97F4A7C15ull + i;
}

struct Options {
    unsigned size = 64;
    unsigned depth = 1;
    unsigned segments = 1;     // of each buffer: the last one is the payload
    unsigned batch = 0;        // this many in a call; 0: one, by the calls for one
    bool interruptsOn = false; // while the driver drains, too
    bool eventIdx = true;
    bool processes = false;
    uint64_t buffers = 1000000;
    unsigned spins = 2000;
    unsigned limitMs = 500;
};

constexpr unsigned kMaxSegments = 8;
constexpr unsigned kMaxBatch = 32;

// Address and length of a segment before the payload, which is at `address`.
inline uint64_t segmentFor(uint64_t address, unsigned i) {
    return address + (uint64_t(i + 1) << 40);
}
inline uint32_t segmentLengthFor(uint64_t address, unsigned i) {
    return uint32_t(address % 1000) + i + 1;
}

// What the device writes as `len` for a buffer at `address`: both sides know it.
inline uint32_t lengthFor(uint64_t address) {
    return uint32_t((address * 0x9E3779B97F4A7C15ull) >> 40) % 4096;
}

// The device: takes available buffers until `stop`. Written from Virtio 1.2,
// 2.7, with its own offsets; in unit/stress/device.cpp.
void deviceMain(Shared *shared, const Options &options);

} // namespace stress
