// SPDX-License-Identifier: MIT
//
// Input of virtqueue_split_fuzz: a programme for a driver and a device that share
// a queue. Any byte string is legal: missing bytes are 0, a part of an operation at
// the end and operations beyond kMaxOps are ignored, numbers are taken modulo
// what there is.
//
//   header, 4 bytes
//     shape      bits 0-2: queue size 1 << (n % 5); 3 EVENT_IDX; 4 indirect;
//                5 separate areas; 6 cut_used_length; 7 kick_when_full
//     tables     indirect tables, % 18 (0: no pool)
//     entries    descriptors a table, % 18
//     threshold  of indirect, % 18
//   operation, 4 bytes: Op (% kOps), and operands a, b, c as below
#pragma once

#include <cstddef>
#include <cstdint>

namespace fuzz {

struct Header {
    std::uint8_t shape, tables, entries, threshold;
};

struct Operation {
    std::uint8_t op, a, b, c;
};

constexpr std::size_t kMaxOps = 48;
constexpr unsigned kMaxQueue = 16;
constexpr unsigned kMaxTables = 17;

enum Op : std::uint8_t {
    // driver
    kAdd,          // a segments, b of them readable; c: 0x80 publish it, 0x40 kick
    kAddOdd,       // a segments with fault c at segment b; see Fault
    kAddBatch,     // a % 6 buffers; segments from b; c: number of the one at fault
    kPublish,      // the a-th of those added, or head b where c is odd
    kPublishBatch, // a % 6 of those added, from the lowest; c & 7: 1 the last twice,
                   // 2 head b at the end
    kKick,         // a & 3: 0 both, 1 prepare, 2 commit, 3 both in one call
    kGet,          // one
    kGetBatch,     // a % 8 of them (0 is refused)
    kDrain,        // as the documented loop
    kDisable,      // interrupts
    kEnable,       // a & 3: 0 and 3 at the next, 1 delayed, 2 PrepareWait and Poll
    kDetach,       // a % 4 + 1 buffers
    kReset,        //
    kRecover,      // detach all, reset
    kInspect,      // a % 7: see Session::Inspect
    // device
    kComplete,     // the a-th chain in flight, with b % (writable + 1) bytes; c & 1: also
                   // the one after it
    kCompleteOdd,  // id by a, length by b (see OddLength); c & 1: do not move used->idx
    kReplay,       // the used entry before, once more
    kUsedIdx,      // c & 1: to a | b << 8; else a signed step
    kPokeRing,     // byte c at a | b << 8 of the ring
    kPokePool,     // byte c at a | b << 8 of the tables
    kDeviceWishes, // used->flags a; avail_event is b signed away from avail->idx
    kScribble,     // a & 3: descriptors, avail ring, used ring, tables; all become c
    // driver, later: the numbers above are those of the corpus
    kSubmit, // as kAddBatch, and published
    kOps
};

constexpr bool IsDevice(Op op) {
    return op >= kComplete && op <= kScribble;
}

// What is wrong with a buffer (operand c % 8 of kAddOdd).
enum Fault : std::uint8_t {
    kNoLength,
    kWraps,      // past the end of the address space
    kOutOfOrder, // a readable segment behind a writable one
    kHuge,       // 4 GiB - 1 bytes: too much, unless alone
    kNullSegments,
    kNullHead,
    kNoSegment,
    kEndOfMemory // nothing: its last byte is the last there is
};

} // namespace fuzz
