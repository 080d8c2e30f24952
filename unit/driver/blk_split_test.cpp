// SPDX-License-Identifier: MIT
//
// How an IOCTL's data becomes virtio-blk requests: every byte once and in order,
// within the device's limits, cut where the caller wants it cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "blk_split.h"

namespace {

constexpr UINT32 kSector = 512;

// A locked buffer: an MDL of scattered (or joined) pages.
class Buffer {
  public:
    Buffer(std::vector<size_t> pfns, UINT32 offset, UINT32 length)
        : pfns_(std::move(pfns)), offset_(offset),
          storage_((sizeof(MDL) + pfns_.size() * sizeof(PFN_NUMBER)) / sizeof(UINT64) + 1) {
        PMDL m = mdl();
        m->ByteOffset = offset;
        m->ByteCount = length;
        for (size_t i = 0; i < pfns_.size(); i++) {
            MmGetMdlPfnArray(m)[i] = pfns_[i];
        }
    }
    PMDL mdl() {
        return reinterpret_cast<PMDL>(storage_.data());
    }
    UINT64 AddressOf(UINT32 byte) const {
        UINT64 at = (UINT64)offset_ + byte;
        return (UINT64)pfns_[at / PAGE_SIZE] * PAGE_SIZE + at % PAGE_SIZE;
    }

  private:
    std::vector<size_t> pfns_;
    UINT32 offset_;
    std::vector<UINT64> storage_;
};

Buffer Scattered(UINT32 length, UINT32 offset = 0) {
    std::vector<size_t> pfns;
    for (UINT32 i = 0; i <= (length + offset) / PAGE_SIZE; i++) {
        pfns.push_back(0x100 + 2 * i);
    }
    return Buffer(pfns, offset, length);
}

struct Part {
    UINT32 bytes;
    bool bounced;
    std::vector<VIRTQ_SG> sg;
};

constexpr UINT64 kBounce = 0x7F000000; // nobody else's memory
constexpr UINT32 kBounceRoom = 0x10000;

// One part of it, from memory or through the bounce buffer.
bool Build(const BLK_LIMITS &limits, const BLK_CUT &cut, Buffer &buffer, UINT32 offset,
           std::vector<VIRTQ_SG> &sg, UINT32 &bytes, bool &bounced) {
    UINT16 count = 0;
    sg.assign(limits.max_segments + 1, VIRTQ_SG{0, 0xABCD, FALSE});
    NTSTATUS status =
        BlkBuildPart(&limits, &cut, buffer.mdl(), offset, TRUE, sg.data(), &count, &bytes);
    bounced = bytes == 0;
    if (bounced) {
        EXPECT_EQ(count, 0u);
        UINT32 room = std::max(kBounceRoom, limits.unit);
        bytes = BlkBouncePart(&limits, &cut, offset, kBounce, room, TRUE, sg.data(), &count);
        EXPECT_LE(bytes, room);
    }
    EXPECT_EQ(sg[limits.max_segments].len, 0xABCDu) << "written behind the end";
    sg.resize(std::min(count, limits.max_segments));
    return status == STATUS_SUCCESS && bytes != 0 && count <= limits.max_segments;
}

// Sends the whole of it, checking what has to hold of every part.
std::vector<Part> SplitAll(const BLK_LIMITS &limits, UINT32 total, UINT32 pieces, Buffer &buffer) {
    BLK_CUT cut;
    std::vector<Part> parts;
    UINT32 offset = 0;
    EXPECT_TRUE(BlkCutInit(&cut, total, pieces));
    while (offset < total) {
        std::vector<VIRTQ_SG> sg;
        UINT32 bytes = 0;
        bool bounced = false;
        if (!Build(limits, cut, buffer, offset, sg, bytes, bounced)) {
            ADD_FAILURE() << "no part at " << offset;
            return parts;
        }
        EXPECT_LE(bytes, limits.max_bytes);
        EXPECT_EQ(bytes % limits.unit, 0u) << "a request is whole blocks";
        UINT32 at = offset;
        for (const VIRTQ_SG &element : sg) {
            EXPECT_GT(element.len, 0u);
            EXPECT_TRUE(element.write);
            if (limits.size_max != 0) {
                EXPECT_LE(element.len, limits.size_max);
            }
            for (UINT32 i = 0; i < element.len; i++) {
                UINT64 want = bounced ? kBounce + at - offset + i : buffer.AddressOf(at + i);
                if (element.addr + i != want) {
                    ADD_FAILURE() << "byte " << at + i << " is somewhere else";
                    return parts;
                }
            }
            at += element.len;
        }
        EXPECT_EQ(at, offset + bytes) << "segments and length agree";
        parts.push_back({bytes, bounced, sg});
        offset += bytes;
    }
    EXPECT_EQ(offset, total);
    return parts;
}

size_t Segments(const std::vector<Part> &parts) {
    size_t n = 0;
    for (const Part &part : parts) {
        n += part.sg.size();
    }
    return n;
}

// Through a buffer: whole blocks, as many as it has room for, or all that is left.
TEST(BouncePart, WholeBlocksOrTheRest) {
    struct Case {
        UINT32 unit, max_bytes, size_max, room, total, offset;
        std::vector<UINT32> lengths;
    };
    for (const Case &c : {
             Case{512, 0x100000, 0, 0x10000, 4096, 0, {4096}},
             Case{512, 0x100000, 0, 0x10000, 4096, 1024, {3072}},
             Case{512, 0x100000, 0, 1600, 4096, 0, {1536}},
             Case{512, 2048, 0, 0x10000, 4096, 512, {2048}},
             Case{512, 0x100000, 700, 0x10000, 4096, 2048, {700, 700, 648}},
             Case{512, 0x100000, 1024, 2560, 4096, 512, {1024, 1024, 512}},
             Case{4096, 0x100000, 0, 0x10000, 512, 0, {512}}, // of when blocks were smaller
             Case{4096, 0x100000, 0, 0x10000, 4608, 4096, {512}},
             Case{512, 0x100000, 0, 1600, 5632, 4096, {1536}},
         }) {
        const BLK_LIMITS limits = {8, c.max_bytes, c.size_max, c.unit};
        BLK_CUT cut;
        ASSERT_TRUE(BlkCutInit(&cut, c.total, 1));
        for (BOOLEAN device_write : {TRUE, FALSE}) {
            std::vector<VIRTQ_SG> sg(9, VIRTQ_SG{1, 2, BOOLEAN(!device_write)});
            UINT16 count = 0;
            UINT32 sum = 0;
            const UINT32 bytes = BlkBouncePart(&limits, &cut, c.offset, kBounce, c.room,
                                               device_write, sg.data(), &count);
            ASSERT_EQ(count, c.lengths.size());
            for (size_t i = 0; i < count; i++) {
                EXPECT_EQ(sg[i].addr, kBounce + sum);
                EXPECT_EQ(sg[i].len, c.lengths[i]);
                EXPECT_EQ(sg[i].write, device_write);
                sum += sg[i].len;
            }
            EXPECT_EQ(bytes, sum);
            EXPECT_EQ(sg[count].len, 2u) << "no more of them";
        }
    }
}

TEST(Cut, OneByteIsOnePiece) {
    BLK_CUT cut;
    ASSERT_TRUE(BlkCutInit(&cut, 1, 1));
    EXPECT_EQ(BlkCutEnd(&cut, 0), 1u);
    EXPECT_FALSE(BlkCutInit(&cut, 0, 0));
    EXPECT_FALSE(BlkCutInit(&cut, 0, 1));
    EXPECT_FALSE(BlkCutInit(&cut, 1, 2));
}

TEST(Cut, AsEvenAsCanBe) {
    BLK_CUT cut;
    ASSERT_TRUE(BlkCutInit(&cut, 1000, 3));
    EXPECT_EQ(BlkCutEnd(&cut, 0), 334u);
    EXPECT_EQ(BlkCutEnd(&cut, 333), 334u);
    EXPECT_EQ(BlkCutEnd(&cut, 334), 667u);
    EXPECT_EQ(BlkCutEnd(&cut, 667), 1000u);
    EXPECT_EQ(BlkCutEnd(&cut, 999), 1000u);
}

TEST(Cut, Refuses) {
    BLK_CUT cut;
    EXPECT_FALSE(BlkCutInit(&cut, 0, 0));
    EXPECT_FALSE(BlkCutInit(&cut, 512, 513));
    EXPECT_TRUE(BlkCutInit(&cut, 512, 512));
    EXPECT_EQ(BlkCutEnd(&cut, 17), 18u);
    ASSERT_TRUE(BlkCutInit(&cut, 0xFFFFFE00u, 4096)) << "near the end of 32 bits";
    EXPECT_EQ(BlkCutEnd(&cut, 0xFFFFFDFFu), 0xFFFFFE00u);
    ASSERT_TRUE(BlkCutInit(&cut, 0xFFFFFE00u, 0));
    EXPECT_EQ(BlkCutEnd(&cut, 5), 0xFFFFFE00u);
}

TEST(Part, OneRequestWhereItFits) {
    Buffer buffer = Scattered(16384);
    std::vector<Part> parts = SplitAll({128, 0x100000, 0, 512}, 16384, 0, buffer);
    ASSERT_EQ(parts.size(), 1u);
    EXPECT_EQ(parts[0].sg.size(), 4u);
}

TEST(Part, PiecesAreSegments) {
    Buffer buffer({0x100, 0x101, 0x102, 0x103, 0x104}, 0, 16384);
    std::vector<Part> parts = SplitAll({128, 0x100000, 0, 512}, 16384, 64, buffer);
    ASSERT_EQ(parts.size(), 1u);
    ASSERT_EQ(parts[0].sg.size(), 64u);
    for (const VIRTQ_SG &element : parts[0].sg) {
        EXPECT_EQ(element.len, 256u);
    }
}

TEST(Part, SplitAtBlocksWhenSegmentsRunOut) {
    // Pages at an odd offset: three segments end in the middle of a block.
    Buffer buffer = Scattered(65536, 100);
    std::vector<Part> parts = SplitAll({3, 0x100000, 0, 4096}, 65536, 0, buffer);
    ASSERT_GT(parts.size(), 4u);
    for (const Part &part : parts) {
        EXPECT_FALSE(part.bounced);
    }
}

TEST(Part, ABlockThatDoesNotFitIsBounced) {
    // Two segments of 4096 - 100 bytes never hold a block of 8192.
    Buffer buffer = Scattered(65536, 100);
    std::vector<Part> parts = SplitAll({2, 0x100000, 0, 8192}, 65536, 0, buffer);
    ASSERT_EQ(parts.size(), 1u);
    EXPECT_TRUE(parts[0].bounced);
    EXPECT_EQ(parts[0].sg.size(), 1u);
}

TEST(Part, NoMoreIsBouncedThanTheBufferHolds) {
    Buffer buffer = Scattered(0x28000, 1);
    std::vector<Part> parts = SplitAll({1, 0x100000, 0, 8192}, 0x28000, 0, buffer);
    ASSERT_EQ(parts.size(), 3u);
    EXPECT_EQ(parts[0].bytes, kBounceRoom);
    EXPECT_EQ(parts[2].bytes, 0x8000u);
}

TEST(Part, WhatIsBouncedObeysTheLimits) {
    Buffer buffer = Scattered(8192, 7);
    // Two segments of 300 bytes: one sector at a time, in pieces of 300 and 212.
    std::vector<Part> parts = SplitAll({2, 512, 300, 512}, 8192, 8192, buffer);
    ASSERT_EQ(parts.size(), 16u);
    ASSERT_EQ(parts[0].sg.size(), 2u);
    EXPECT_EQ(parts[0].sg[0].len, 300u);
    EXPECT_EQ(parts[0].sg[1].len, 212u);
}

TEST(Part, OneSegmentHoldsOnePage) {
    Buffer buffer = Scattered(16384);
    std::vector<Part> parts = SplitAll({1, 0x100000, 0, 512}, 16384, 0, buffer);
    ASSERT_EQ(parts.size(), 4u);
    EXPECT_FALSE(parts[3].bounced);
}

TEST(Part, UnalignedMemoryIsBouncedWhereItMustBe) {
    // One segment at a time: what is left of a page, less the sector that goes over to the
    // next page, which is bounced.
    Buffer buffer = Scattered(16384, 100);
    std::vector<Part> parts = SplitAll({1, 4096, 0, 512}, 16384, 0, buffer);
    EXPECT_FALSE(parts[0].bounced);
    EXPECT_EQ(parts[0].bytes, 3584u);
    EXPECT_TRUE(parts[1].bounced);
}

TEST(Part, MdlShorterThanItsData) {
    Buffer buffer = Scattered(4096);
    BLK_LIMITS limits = {8, 0x100000, 0, 512};
    BLK_CUT cut;
    VIRTQ_SG sg[8];
    UINT16 count;
    UINT32 bytes;
    ASSERT_TRUE(BlkCutInit(&cut, 8192, 0));
    EXPECT_EQ(BlkBuildPart(&limits, &cut, buffer.mdl(), 0, TRUE, sg, &count, &bytes),
              STATUS_INVALID_PARAMETER);
}

TEST(Part, RandomTransfers) {
    std::mt19937 random(7);
    for (int round = 0; round < 300; round++) {
        UINT32 total = kSector * (1 + random() % 512);
        UINT32 offset = random() % PAGE_SIZE;
        UINT32 pieces = random() % std::min<UINT32>(total, 300);
        std::vector<size_t> pfns;
        size_t pfn = 0x1000;
        for (UINT32 i = 0; i <= (total + offset) / PAGE_SIZE; i++) {
            pfn += (random() % 2) ? 1 : 2 + random() % 50;
            pfns.push_back(pfn);
        }
        Buffer buffer(pfns, offset, total);
        BLK_LIMITS limits;
        limits.max_segments = (UINT16)(1 + random() % ((random() % 2) ? 4 : 128));
        limits.unit = kSector << (random() % 4);
        total -= total > limits.unit ? total % limits.unit : 0;
        limits.unit = std::min(limits.unit, total);
        limits.max_bytes = limits.unit * (1 + random() % 64);
        limits.size_max = 0;
        if (random() % 2) {
            limits.size_max = limits.max_bytes / limits.max_segments + 1 + random() % 8192;
        }
        if (total % limits.unit != 0) {
            continue;
        }
        std::vector<Part> parts = SplitAll(limits, total, pieces, buffer);
        if (std::none_of(parts.begin(), parts.end(), [](auto &part) { return part.bounced; })) {
            EXPECT_GE(Segments(parts), pieces);
        }
    }
}

} // namespace
