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
    std::vector<VIRTQ_SG> sg;
};

// Sends the whole of it, checking what has to hold of every part.
std::vector<Part> SplitAll(const BLK_LIMITS &limits, UINT32 total, UINT32 pieces, Buffer &buffer) {
    BLK_CUT cut;
    std::vector<Part> parts;
    UINT32 offset = 0;
    EXPECT_TRUE(BlkCutInit(&cut, total, pieces));
    while (offset < total) {
        std::vector<VIRTQ_SG> sg(limits.max_segments + 1, VIRTQ_SG{0, 0xABCD, FALSE});
        UINT16 count = 0;
        UINT32 bytes = 0;
        NTSTATUS status =
            BlkBuildPart(&limits, &cut, buffer.mdl(), offset, TRUE, sg.data(), &count, &bytes);
        if (status != STATUS_SUCCESS || bytes == 0 || count > limits.max_segments) {
            ADD_FAILURE() << "status " << std::hex << status << " bytes " << bytes;
            return parts;
        }
        EXPECT_EQ(sg[limits.max_segments].len, 0xABCDu) << "written behind the end";
        EXPECT_LE(bytes, limits.max_bytes);
        if (offset + bytes != total) {
            EXPECT_EQ(bytes % kSector, 0u) << "a request is whole sectors";
        }
        UINT32 at = offset;
        sg.resize(count);
        for (const VIRTQ_SG &element : sg) {
            EXPECT_GT(element.len, 0u);
            EXPECT_TRUE(element.write);
            if (limits.size_max != 0) {
                EXPECT_LE(element.len, limits.size_max);
            }
            for (UINT32 i = 0; i < element.len; i++) {
                if (element.addr + i != buffer.AddressOf(at + i)) {
                    ADD_FAILURE() << "byte " << at + i << " is somewhere else";
                    return parts;
                }
            }
            at += element.len;
        }
        EXPECT_EQ(at, offset + bytes) << "segments and length agree";
        parts.push_back({bytes, sg});
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
    // Pages at an odd offset: three segments end in the middle of a sector.
    Buffer buffer = Scattered(65536, 100);
    std::vector<Part> parts = SplitAll({3, 0x100000, 0, 4096}, 65536, 0, buffer);
    ASSERT_GT(parts.size(), 4u);
    EXPECT_EQ(parts[0].bytes % 4096, 0u) << "the block size, where it can be";
}

TEST(Part, FallsBackToSectors) {
    // Two segments of 4096 - 100 bytes never hold a block of 8192.
    Buffer buffer = Scattered(65536, 100);
    std::vector<Part> parts = SplitAll({2, 0x100000, 0, 8192}, 65536, 0, buffer);
    EXPECT_EQ(parts[0].bytes, 7680u);
}

TEST(Part, NoRoomForASector) {
    Buffer buffer = Scattered(4096);
    BLK_LIMITS limits = {1, 0x100000, 0, 512};
    BLK_CUT cut;
    VIRTQ_SG sg[1];
    UINT16 count;
    UINT32 bytes;
    ASSERT_TRUE(BlkCutInit(&cut, 4096, 4096));
    EXPECT_EQ(BlkBuildPart(&limits, &cut, buffer.mdl(), 0, TRUE, sg, &count, &bytes),
              STATUS_INVALID_PARAMETER);
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
        limits.max_segments = (UINT16)(64 + random() % 64);
        limits.max_bytes = kSector * (8 + random() % 256);
        limits.size_max = (random() % 2) ? 0 : 100 + random() % 8192;
        limits.unit = kSector << (random() % 4);
        // Enough segments for a sector, however it is cut.
        if (pieces * 8 > total / 8) {
            pieces = total / 64;
        }
        std::vector<Part> parts = SplitAll(limits, total, pieces, buffer);
        EXPECT_GE(Segments(parts), pieces);
    }
}

} // namespace
