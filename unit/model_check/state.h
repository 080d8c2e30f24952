// SPDX-License-Identifier: MIT
//
// A state of the system that is explored: plain bytes, compared and hashed as
// such, so everything in it is zeroed first and kept canonical.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace mc {

constexpr unsigned kMaxSize = 4;     // queue
constexpr unsigned kMaxBuffers = 8;  // submitted in one history
constexpr unsigned kStoreSlots = 14; // of a store buffer
constexpr unsigned kStaleSlots = 12; // older values a load may still see
constexpr unsigned kMaxLoads = 12;   // of one call
constexpr unsigned kPrivateBytes = 320;

// Shared words. A descriptor is one: nobody is misled more by half of an old
// descriptor than by all of it, as the device checks every field.
enum Loc : uint8_t {
    kAvailFlags,
    kAvailIdx,
    kUsedEvent,
    kUsedFlags,
    kUsedIdx,
    kAvailEvent,
    kAvailRing,                      // [kMaxSize]
    kUsedId = kAvailRing + kMaxSize, // [kMaxSize]
    kUsedLen = kUsedId + kMaxSize,   // [kMaxSize]
    kDesc = kUsedLen + kMaxSize,     // [kMaxSize]
    kLocs = kDesc + kMaxSize
};

// SC: no buffers. TSO: a FIFO of stores for each agent. PSO: stores to
// different words leave in any order, unless a write fence or release stands
// between. Weak: PSO, and the driver's loads may see words as they were at any
// time since its last acquire load or fence.
enum class Model : uint8_t { kSc, kTso, kPso, kWeak };

enum Agent : uint8_t { kDriver, kDevice };

struct StoreBuffer {
    uint64_t value[kStoreSlots];
    uint8_t loc[kStoreSlots];
    uint8_t epoch[kStoreSlots]; // entries of a lower epoch leave first
    uint8_t count;
    uint8_t fenced; // a write fence stands behind the last entry
};

struct StaleValue {
    uint64_t value; // what the word held before a store that memory took
    uint64_t loc;
};

enum class Call : uint8_t {
    kNone,
    kPublish,
    kKickPrepare,
    kKickCommit,
    kKick,
    kHasUsed,
    kGetUsed,
    kGetUsedBatch,
    kDisable,
    kEnable,
    kEnableDelayed,
    kPrepareWait,
    kPoll,
    kCalls
};

enum class BufferState : uint8_t { kNew, kPublished, kFetched, kUsed, kCompleted };

// Added by the driver and not completed yet.
inline bool isOutstanding(BufferState b) {
    return b != BufferState::kNew && b != BufferState::kCompleted;
}

enum class Submit : uint8_t { kIdle, kCommit };
enum class Drain : uint8_t { kAsleep, kDisable, kLook, kTake, kEnable, kPoll };

// The driver: two threads whose calls exclude each other, one that submits and
// one that drains. In the middle of a call its state is that before the call
// (privateBytes) and what its loads have returned so far.
struct DriverState {
    alignas(8) uint8_t privateBytes[kPrivateBytes];
    uint32_t loads[kMaxLoads];
    uint16_t waitPosition;
    Call call;
    uint8_t done;      // primitives of the call behind us
    uint8_t loadCount; // of which loads
    uint8_t count;     // buffers of a kPublish under way
    Submit submit;
    Drain drain;
    uint8_t submitted;
    uint8_t needKick;
    uint8_t broken;
    uint8_t sawWaiting; // an enable said so, and nothing was taken since
    BufferState buffers[kMaxBuffers];
};

enum class DevicePc : uint8_t {
    kIdle,
    kFetchRing,
    kFetchDesc,
    kArmed,
    kDead, // lost its way after a forged word; only with an adversary
};

struct DeviceState {
    DevicePc pc;
    uint8_t awake;
    uint8_t unsignalled;
    uint8_t handCount;
    uint8_t head;
    uint8_t at;    // descriptor of the chain under way
    uint8_t steps; // taken in that chain
    uint16_t last;
    uint16_t usedIdx;
    uint16_t signalledIdx;
    uint8_t hand[kMaxSize][2]; // head, buffer
    uint8_t budget;            // forged words left
};

struct State {
    uint64_t memory[kLocs];
    StoreBuffer stores[2];
    StaleValue stale[kStaleSlots];
    uint8_t staleCount;
    uint8_t kick;      // pending notification of the device
    uint8_t interrupt; // pending notification of the driver
    DeviceState device;
    DriverState driver;
};

enum class Program : uint8_t { kHasUsed, kGetUsed, kDpc, kBatch, kDelayed, kWait, kSubmit };

// Programs that hand over up to two buffers at once, and take as many.
inline bool isOfBatches(Program p) {
    return p == Program::kBatch || p == Program::kSubmit;
}

enum class Mutant : uint8_t {
    kNone,
    kKickNoFence,
    kKickFenceLate,
    kEnableNoFence,
    kEnableFenceEarly,
    kDrainNoFence,
    kPublishNoRelease,
    kUsedNoAcquire,
    kNoRearm,
    kRearmOffByOne,
    kKickEventOffByOne,
    kKickCountOffByOne,
    kForgetsWaiting,
    kNoInFlightCheck,
    kNoLengthCheck,
    kMutants
};

struct Config {
    unsigned size = 2;
    bool eventIdx = true;
    Program program = Program::kHasUsed;
    Model model = Model::kTso;
    unsigned buffers = 3;
    bool chains = true; // every other buffer has two descriptors
    Mutant mutant = Mutant::kNone;
    unsigned adversary = 0;  // words that may be forged
    uint16_t start = 0xFFFF; // of all free-running indices: they wrap at once
};

// The configuration under exploration; one at a time.
extern Config g_config;
// Empty, or what the last step did wrong.
extern std::string g_violation;
// Where a step describes itself; null while exploring.
extern std::string *g_trace;

#define MC_TRACE(...)                                                                              \
    do {                                                                                           \
        if (::mc::g_trace) {                                                                       \
            ::mc::trace(__VA_ARGS__);                                                              \
        }                                                                                          \
    } while (0)

void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
void violate(const char *format, ...) __attribute__((format(printf, 1, 2)));
std::string locName(unsigned loc);
const char *callName(Call call);

// What is in buffer `b`, agreed between the driver's program and the checks.
inline unsigned segmentsOf(unsigned b) {
    return g_config.chains && g_config.size > 1 && (b & 1) ? 2 : 1;
}
constexpr uint32_t kSegmentBytes = 64;
inline uint32_t pageOf(unsigned b, unsigned segment) {
    return 1 + 2 * b + segment;
}
inline uint32_t usedLengthOf(unsigned b) {
    return 16 + b;
}
// Descriptor word: page, length, flags, next; 16 bits each.
inline uint64_t packDesc(uint64_t page, uint64_t len, uint64_t flags, uint64_t next) {
    return page << 48 | (len & 0xFFFF) << 32 | flags << 16 | next;
}

} // namespace mc
