// SPDX-License-Identifier: MIT
//
// Input of virtio_pci_fuzz: a PCI function and what a driver does with it. Any byte
// string is legal; missing bytes are 0, records beyond kMaxPciRecords are ignored.
// All records about configuration space are applied before VirtioPciInit, the
// others afterwards, in order.
//
//   header, 16 bytes
//     id         device id: one of kDeviceIds; 0x80 another vendor
//     revision   bits 0-1
//     caps       bit 0: there is a capability list
//     pointer    to it
//     bars       6 bytes: length of each BAR, one of kBarLengths
//     mode       bits 0-1 VIRTIO_PCI_MODE (3 is none); 4 MSI-X
//     behaviour  of the registers, see Behaviour
//     subsystem  2 bytes, and 2 that are unused
//   record, 8 bytes: PciOp (% kPciOps), operands a, b, c, and value (32 bits)
#pragma once

#include <cstddef>
#include <cstdint>

namespace fuzz {

struct PciHeader {
    std::uint8_t id, revision, caps, pointer, bars[6], mode, behaviour, subsystem[2], unused[2];
};

struct PciRecord {
    std::uint8_t op, a, b, c;
    std::uint32_t value;
};

constexpr std::size_t kMaxPciRecords = 32;

constexpr std::uint16_t kDeviceIds[] = {0x1001, 0x1042, 0x1000, 0x103F,
                                        0x1040, 0x107F, 0x0FFF, 0x1080};
constexpr std::uint64_t kBarLengths[] = {
    0,  0x4000, 128,        0x1000,      0x3002,      0x3038,     20,     24,
    19, 23,     0xFFFFFFFF, 0x100000000, 0x100000038, 0x10000000, 0x2001, 0x4000};
// Offsets and lengths of structures, mostly those that fit into 0x4000.
constexpr std::uint32_t kOffsets[] = {0,      0x1000, 0x2000, 0x3000,     4,          2,
                                      0x3FC8, 0x3FFF, 0x4000, 0xFFFFFFFC, 0xFFFFF000, 0x1001};
constexpr std::uint32_t kLengths[] = {0x38, 3, 0x40, 0x1000, 2,          1,
                                      0x37, 0, 4,    0x4000, 0xFFFFFFFF, 0x1001};

enum PciOp : std::uint8_t {
    // configuration space
    kCapability, // at slot a; b: type (bits 0-2), bar (4-6); c: slot of the next, 0 none;
                 // value: bits 0-3 offset, 4-7 length, 8-15 multiplier, 16-23 what to add
                 // to its length in configuration space, 24-31 what to add to its offset
    kPokeConfig, // value at a, b % 3: 1, 2, 4 bytes
    // device
    kPokeRegister, // value at a | b << 8 of the registers
    kBehave,       // as `behaviour` of the header: a
    // driver
    kPciReset,  // timeout a % 4 ms
    kNegotiate, // wanted: value, and again from bit 31; required: bit b where c is odd
    kDriverOk,  // a & 1: fail instead; a & 2: only read the status
    kMaxSize,   // of queue a
    kSetup,     // queue a, size by b, addresses by c, vector the low half of value
    kNotify,    // queue a, or a | b << 8 where c is odd
    kReadIsr,
    kReadConfig,   // c % 25 bytes at a, or at value where b is odd
    kWriteConfig,  // the same
    kConfigVector, // the low half of value
    kPciOps
};

// How registers read and write; bits.
enum Behaviour : std::uint8_t {
    kStuck16 = 1,    // 16-bit writes change nothing: vectors and sizes are refused
    kStuck8 = 2,     // 8-bit writes change nothing: the status
    kNoFeatures = 4, // FEATURES_OK does not stick
    kNoise = 8,      // another value at each read
    kGone = 16,      // all ones
    kSlowReset = 32, // the status needs three reads to become 0
    kUnstable = 64   // configuration space changes behind a read
};

constexpr unsigned kSlots = 48;
constexpr std::uint8_t SlotOffset(unsigned slot) {
    return static_cast<std::uint8_t>(0x40 + 4 * (slot % kSlots));
}

} // namespace fuzz
