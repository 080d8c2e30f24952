// SPDX-License-Identifier: MIT
//
// Likely records, for the mutator: a whole modern function, or a step of the driver.
#include "virtio_pci_format.h"

#include <cstring>

#include "record_mutator.h"

namespace fuzz {

namespace {

void Put(std::uint8_t *bytes, PciOp op, std::uint32_t a, std::uint32_t b, std::uint32_t c,
         std::uint32_t value) {
    PciRecord record = {op, static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b),
                        static_cast<std::uint8_t>(c), value};
    std::memcpy(bytes, &record, sizeof(record));
}

// The four structures of a modern function in BAR 1; rarely one is odd.
std::size_t PutStructures(Random &random, std::uint8_t *records) {
    for (std::uint32_t i = 0; i < 4; i++) {
        std::uint32_t type = i + 1, slot = 1 + 5 * i, next = i == 3 ? 0 : slot + 5;
        std::uint32_t offset = i, length = i == 0 ? 0 : random.Below(5);
        if (random.Below(12) == 0) {
            offset = random.Below(12);
            length = random.Below(12);
        }
        std::uint32_t multiplier = random.Below(3) == 0 ? random.Byte() : 1;
        Put(records + 8 * i, kCapability, slot, type | 1u << 4, next,
            offset | length << 4 | multiplier << 8);
    }
    return 4;
}

std::uint32_t RegisterValue(Random &random) {
    return random.Below(2) ? random.Below(512) : random.Next();
}

// Registers that let a modern queue be set up, and the driver doing it.
std::size_t PutQueue(Random &random, std::uint8_t *records) {
    std::uint32_t vector = random.Below(2) ? 0xFFFF : random.Below(3);
    std::uint32_t notify_off = random.Below(4) ? random.Below(4) : random.Next() & 0xFFFF;
    Put(records, kPokeRegister, 16, 0, 0, 0x20000u | vector); // two queues
    Put(records + 8, kPokeRegister, 24, 0, 0, 0xFFFF0100u);   // of 256
    Put(records + 16, kPokeRegister, 28, 0, 0, notify_off << 16);
    Put(records + 24, kPokeRegister, 4, 0, 0, ~0u); // features
    Put(records + 32, kNegotiate, 0, 0, 0, random.Next());
    Put(records + 40, kSetup, random.Below(2), random.Below(4) ? 8 : random.Below(18), 8, vector);
    Put(records + 48, kNotify, random.Below(2), 0, 0, 0);
    return 7;
}

std::size_t PutDriverSteps(Random &random, std::uint8_t *records, std::size_t room) {
    std::size_t n = 0;
    if (random.Below(2) && room >= 4) {
        Put(records + 8 * n++, kPokeRegister, 24 - random.Below(2) * 12, 0, 0, 256);
        Put(records + 8 * n++, kPciReset, 1, 0, 0, 0);
        Put(records + 8 * n++, kNegotiate, 0, random.Below(64), random.Below(2), ~0u);
    }
    PciOp op = static_cast<PciOp>(kPokeRegister + random.Below(kPciOps - kPokeRegister));
    Put(records + 8 * n++, op, random.Below(4) ? random.Below(4) : random.Byte(), random.Below(18),
        random.Below(9), random.Below(2) ? 0xFFFF : RegisterValue(random));
    return n;
}

std::size_t FillRecords(Random &random, std::uint8_t *records, std::size_t room) {
    std::uint32_t what = random.Below(8);
    if (what < 2 && room >= 4) {
        return PutStructures(random, records);
    }
    if (what < 4 && room >= 7) {
        return PutQueue(random, records);
    }
    if (what == 4) {
        Put(records, kPokeConfig, random.Byte(), random.Below(3), 0, random.Next());
        return 1;
    }
    if (what == 5) {
        Put(records, kPokeRegister, random.Below(64), random.Below(2), 0, RegisterValue(random));
        return 1;
    }
    return PutDriverSteps(random, records, room);
}

void FillHeader(Random &random, std::uint8_t *header) {
    PciHeader h = {};
    h.id = random.Below(4) ? static_cast<std::uint8_t>(random.Below(2)) : random.Byte();
    h.revision = static_cast<std::uint8_t>(random.Below(2));
    h.caps = random.Below(8) != 0;
    h.pointer = random.Below(8) ? SlotOffset(1) : random.Byte();
    for (std::uint8_t &bar : h.bars) {
        bar = random.Below(4) ? 1 : random.Byte();
    }
    h.mode = random.Byte() & (random.Below(8) ? 0x12 : 0x13);
    h.behaviour = random.Below(3) ? 0 : random.Byte();
    std::memcpy(header, &h, sizeof(h));
}

} // namespace

const RecordFormat kFormat = {sizeof(PciHeader), sizeof(PciRecord), kMaxPciRecords, FillHeader,
                              FillRecords};

} // namespace fuzz
