// SPDX-License-Identifier: MIT
// What a driver and a block device say to each other (Virtio 1.2, 5.2).
#pragma once

#include "block.h"
#include "vhost_user.h"

namespace hostile {

constexpr uint32_t Sector = 512;

// 5.2.3, 6.
constexpr uint64_t FeatureSizeMax = bit(1), FeatureSegMax = bit(2), FeatureGeometry = bit(4),
                   FeatureRo = bit(5), FeatureBlkSize = bit(6), FeatureFlush = bit(9),
                   FeatureTopology = bit(10), FeatureConfigWce = bit(11), FeatureMq = bit(12),
                   FeatureDiscard = bit(13), FeatureWriteZeroes = bit(14);
constexpr uint64_t FeatureIndirect = bit(28), FeatureEventIdx = bit(29), FeatureVersion1 = bit(32);

// 5.2.6.
constexpr uint32_t TypeIn = 0, TypeOut = 1, TypeFlush = 4, TypeGetId = 8, TypeDiscard = 11,
                   TypeWriteZeroes = 13;
constexpr uint8_t StatusOk = 0, StatusIoErr = 1, StatusUnsupp = 2;
constexpr size_t IdBytes = 20;

#pragma pack(push, 1)
struct Config { // 5.2.4
    uint64_t capacity;
    uint32_t sizeMax;
    uint32_t segMax;
    uint16_t cylinders;
    uint8_t heads;
    uint8_t sectors;
    uint32_t blkSize;
    uint8_t physicalBlockExp;
    uint8_t alignmentOffset;
    uint16_t minIoSize;
    uint32_t optIoSize;
    uint8_t writeback;
    uint8_t unused;
    uint16_t queues;
    uint32_t maxDiscardSectors;
    uint32_t maxDiscardSegments;
    uint32_t discardAlignment;
    uint32_t maxZeroesSectors;
    uint32_t maxZeroesSegments;
    uint8_t zeroesMayUnmap;
    uint8_t unused1[3];
};
#pragma pack(pop)
static_assert(sizeof(Config) == 60);

struct Range { // of DISCARD and WRITE_ZEROES (5.2.6)
    uint64_t sector;
    uint32_t sectors;
    uint32_t flags;
};
static_assert(sizeof(Range) == 16);
constexpr uint32_t RangeUnmap = 1;
constexpr uint32_t MaxRanges = 16; // of a request; ours to choose

// One request, taken apart.
struct Block::Request {
    Header header;
    const Chain &chain;
    const GuestMemory &memory;
    uint64_t out; // bytes of data to the device
    uint64_t in;  // bytes of data from the device

    uint64_t data() const {
        return header.type == TypeIn ? in : out;
    }
    // Throws RingError where it is gone.
    std::vector<iovec> dataParts() const;
};

} // namespace hostile
