// SPDX-License-Identifier: MIT
//
// Likely pages, for the mutator: runs of neighbours, MDLs, and numbers at the edges.
#include "virtio_sg_pfn_format.h"

#include <cstring>

#include "record_mutator.h"

namespace fuzz {

namespace {

std::uint64_t AnyPfn(Random &random) {
    switch (random.Below(5)) {
    case 0:
        return (std::uint64_t{1} << 52) - 1 - random.Below(3); // the last that are legal
    case 1:
        return (std::uint64_t{1} << 52) + random.Below(2);
    case 2:
        return (std::uint64_t{1} << 20) - 1 + random.Below(3); // around 4 GiB
    case 3:
        return random.Below(4);
    default:
        return 0x1000 + random.Below(0x1000);
    }
}

std::size_t FillRecords(Random &random, std::uint8_t *records, std::size_t room) {
    std::size_t count = 1 + random.Below(static_cast<std::uint32_t>(room));
    std::uint64_t pfn = AnyPfn(random);
    for (std::size_t i = 0; i < count; i++) {
        std::uint64_t page = pfn++;
        page |= random.Below(6) == 0 ? kNewMdl : 0;
        page |= random.Below(10) == 0 ? kEmptyMdl : 0;
        page |= random.Below(6) == 0 ? kShortMdl : 0;
        std::memcpy(records + 8 * i, &page, 8);
    }
    return count;
}

void FillHeader(Random &random, std::uint8_t *bytes) {
    SgHeader header = {};
    header.offset = random.Below(3 * 4096);
    header.length = random.Below(33 * 4096);
    header.shape = random.Byte();
    header.room = static_cast<std::uint8_t>(random.Below(40));
    std::memcpy(bytes, &header, kSgHeader);
}

} // namespace

const RecordFormat kFormat = {kSgHeader, 8, kMaxPages, FillHeader, FillRecords};

} // namespace fuzz
