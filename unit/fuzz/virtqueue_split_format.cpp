// SPDX-License-Identifier: MIT
//
// Likely operations, for the mutator: what a driver and a device do most of the
// time, with something wrong now and then.
#include "virtqueue_split_format.h"

#include "record_mutator.h"

namespace fuzz {

namespace {

void Put(std::uint8_t *record, Op op, std::uint32_t a = 0, std::uint32_t b = 0,
         std::uint32_t c = 0) {
    record[0] = op;
    record[1] = static_cast<std::uint8_t>(a);
    record[2] = static_cast<std::uint8_t>(b);
    record[3] = static_cast<std::uint8_t>(c);
}

std::uint32_t Small(Random &random) {
    return random.Below(4) == 0 ? random.Below(18) : random.Below(4);
}

void PutAny(Random &random, std::uint8_t *record) {
    Op op = static_cast<Op>(random.Below(kOps));
    Put(record, op, random.Below(2) ? Small(random) : random.Byte(), Small(random),
        random.Below(2) ? Small(random) : random.Byte());
}

void PutAdd(Random &random, std::uint8_t *record) {
    Put(record, kAdd, 1 + Small(random), Small(random), random.Below(4) ? 0xC0 : random.Byte());
}

// One to five buffers, mostly with one at fault.
void PutSubmit(Random &random, std::uint8_t *record) {
    Put(record, kSubmit, 1 + random.Below(5), random.Byte(), random.Byte());
}

// One operation, or a few that belong together.
std::size_t FillRecords(Random &random, std::uint8_t *records, std::size_t room) {
    if (room < 4 || random.Below(3) == 0) {
        PutAny(random, records);
        return 1;
    }
    std::size_t n = 0;
    std::uint32_t adds = 1 + random.Below(3);
    for (std::uint32_t i = 0; i < adds && n + 3 < room; i++) {
        if (random.Below(4) == 0) {
            PutSubmit(random, records + 4 * n++);
        } else {
            PutAdd(random, records + 4 * n++);
        }
    }
    switch (random.Below(6)) {
    case 0:
        Put(records + 4 * n++, kCompleteOdd, Small(random), random.Byte());
        break;
    case 1:
        Put(records + 4 * n++, kComplete, Small(random), random.Byte(), random.Byte());
        Put(records + 4 * n++, kReplay);
        break;
    case 2:
        Put(records + 4 * n++, kUsedIdx, Small(random));
        break;
    default:
        Put(records + 4 * n++, kComplete, Small(random), random.Byte(), random.Byte());
    }
    const Op last[] = {kGet, kGetBatch, kDrain, kDetach, kEnable, kRecover};
    Put(records + 4 * n++, last[random.Below(6)], 1 + Small(random));
    return n;
}

void FillHeader(Random &random, std::uint8_t *header) {
    header[0] = random.Byte();
    header[1] = static_cast<std::uint8_t>(random.Below(18));
    header[2] = static_cast<std::uint8_t>(random.Below(18));
    header[3] = static_cast<std::uint8_t>(Small(random));
}

} // namespace

const RecordFormat kFormat = {sizeof(Header), sizeof(Operation), kMaxOps, FillHeader, FillRecords};

} // namespace fuzz
