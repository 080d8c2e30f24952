// SPDX-License-Identifier: MIT
//
// virtio_sg_pfn.cpp: segments from page frame numbers and from MDL chains. The
// MDLs are real ones, built by hand as the memory manager builds them: the
// header, then one page frame number a page.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "virtio_sg_pfn.h"

namespace {

constexpr size_t kPage = PAGE_SIZE;

// One (address, length) a byte range, computed byte by byte: the slow truth.
struct Range {
    UINT64 addr;
    UINT64 len;
    bool operator==(const Range &) const = default;
};

struct Result {
    NTSTATUS status;
    UINT16 count;
    std::vector<Range> ranges;
};

Result FromPfns(const std::vector<UINT64> &pfns, size_t offset, size_t length, UINT16 cap = 64,
                BOOLEAN write = TRUE) {
    std::vector<VIRTQ_SG> sg(cap + 1, VIRTQ_SG{0x5A5A, 0x5A5A, 0x5A});
    UINT16 count = 0xBEEF;
    Result r{VirtioSgBuildFromPfns(pfns.data(), (UINT32)pfns.size(), offset, length, write,
                                   sg.data(), cap, &count),
             0,
             {}};
    r.count = count;
    for (UINT16 i = 0; i < std::min(cap, count); i++) {
        r.ranges.push_back({sg[i].addr, sg[i].len});
        EXPECT_EQ(sg[i].write, write);
    }
    for (size_t i = std::min(cap, count); i < sg.size(); i++) {
        EXPECT_EQ(sg[i].addr, 0x5A5Au) << "written behind the end";
    }
    return r;
}

TEST(SgFromPfns, JoinsNeighbours) // 2.7.4: the device may not care how a buffer is cut
{
    Result r = FromPfns({0x100, 0x101, 0x102}, 0, 3 * kPage);
    EXPECT_EQ(r.status, STATUS_SUCCESS);
    EXPECT_EQ(r.ranges, (std::vector<Range>{{0x100000, 3 * kPage}}));
    r = FromPfns({0x100, 0x102, 0x103}, 0, 3 * kPage, 64, FALSE);
    EXPECT_EQ(r.ranges, (std::vector<Range>{{0x100000, kPage}, {0x102000, 2 * kPage}}));
    r = FromPfns({0x103, 0x102, 0x102}, 0, 3 * kPage); // backwards, and the same again
    EXPECT_EQ(r.count, 3);
}

TEST(SgFromPfns, OffsetsAndTails) {
    EXPECT_EQ(FromPfns({5}, 1, 2).ranges, (std::vector<Range>{{0x5001, 2}}));
    EXPECT_EQ(FromPfns({5, 6}, kPage - 1, 2).ranges, (std::vector<Range>{{0x5FFF, 2}}));
    EXPECT_EQ(FromPfns({5, 9}, kPage - 1, 2).ranges,
              (std::vector<Range>{{0x5FFF, 1}, {0x9000, 1}}));
    EXPECT_EQ(FromPfns({5, 9, 10}, 100, 2 * kPage).ranges,
              (std::vector<Range>{{0x5064, kPage - 100}, {0x9000, kPage + 100}}));
    EXPECT_EQ(FromPfns({5, 6, 99}, 0, kPage).ranges, (std::vector<Range>{{0x5000, kPage}}));
}

TEST(SgFromPfns, AboveFourGigabytes) // 2.7.5: le64 addr
{
    EXPECT_EQ(FromPfns({0xFFFFF, 0x100000}, 0, 2 * kPage).ranges,
              (std::vector<Range>{{0xFFFFF000, 2 * kPage}}));
    EXPECT_EQ(FromPfns({0x123456789}, 1, 1).ranges, (std::vector<Range>{{0x123456789001, 1}}));
}

TEST(SgFromPfns, EndOfTheAddressSpace) // 2.7.5: le64 addr
{
    UINT64 last = ~UINT64(0) >> PAGE_SHIFT;
    EXPECT_EQ(FromPfns({last}, kPage - 1, 1).ranges, (std::vector<Range>{{~UINT64(0), 1}}));
    EXPECT_EQ(FromPfns({last - 1, last}, 0, 2 * kPage).ranges,
              (std::vector<Range>{{(last - 1) << PAGE_SHIFT, 2 * kPage}}));
    // Address 0 is not the neighbour of the last one.
    EXPECT_EQ(FromPfns({last, 0}, 0, 2 * kPage).count, 2);
    Result r = FromPfns({last + 1}, 0, 1);
    EXPECT_EQ(r.status, STATUS_INVALID_PARAMETER);
    EXPECT_EQ(r.count, 0);
    r = FromPfns({1, ~UINT64(0)}, 0, 2 * kPage);
    EXPECT_EQ(r.status, STATUS_INVALID_PARAMETER);
}

TEST(SgFromPfns, SizingAndTooSmall) {
    std::vector<UINT64> pfns = {1, 3, 5};
    UINT16 count = 0;
    EXPECT_EQ(VirtioSgBuildFromPfns(pfns.data(), 3, 0, 3 * kPage, TRUE, nullptr, 0, &count),
              STATUS_BUFFER_TOO_SMALL);
    EXPECT_EQ(count, 3);
    Result r = FromPfns(pfns, 0, 3 * kPage, 2);
    EXPECT_EQ(r.status, STATUS_BUFFER_TOO_SMALL);
    EXPECT_EQ(r.count, 3);
    EXPECT_EQ(r.ranges, (std::vector<Range>{{0x1000, kPage}, {0x3000, kPage}}));
    EXPECT_EQ(FromPfns(pfns, 0, 3 * kPage, 3).status, STATUS_SUCCESS);
}

TEST(SgFromPfns, Empty) {
    UINT16 count = 0xBEEF;
    EXPECT_EQ(VirtioSgBuildFromPfns(nullptr, 0, 0, 0, TRUE, nullptr, 0, &count), STATUS_SUCCESS);
    EXPECT_EQ(count, 0);
}

TEST(SgFromPfns, BadParameters) {
    std::vector<UINT64> pfns = {1, 2};
    VIRTQ_SG sg[2];
    UINT16 count = 9;
    auto build = [&](const UINT64 *p, UINT32 n, size_t offset, size_t length, VIRTQ_SG *out,
                     UINT16 cap) {
        count = 9;
        NTSTATUS status = VirtioSgBuildFromPfns(p, n, offset, length, TRUE, out, cap, &count);
        EXPECT_EQ(count, 0);
        return status;
    };
    EXPECT_EQ(build(pfns.data(), 2, kPage, 1, sg, 2), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(build(pfns.data(), 2, kPage, 0, sg, 2), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(build(pfns.data(), 2, 0, 2 * kPage + 1, sg, 2), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(build(pfns.data(), 2, 1, 2 * kPage, sg, 2), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(build(pfns.data(), 2, 1, ~size_t(0), sg, 2), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(build(pfns.data(), 2, kPage - 1, ~size_t(0), sg, 2), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(build(pfns.data(), 2, 0, 1, nullptr, 1), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(build(nullptr, 2, 0, 1, sg, 2), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(build(pfns.data(), 0, 0, 1, sg, 2), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtioSgBuildFromPfns(pfns.data(), 2, 0, 1, TRUE, sg, 2, nullptr),
              STATUS_INVALID_PARAMETER);
}

TEST(SgFromPfns, NoSegmentPasses32Bits) // 2.7.5: le32 len
{
    std::vector<UINT64> pfns((UINT64{1} << 32) / kPage + 2);
    for (size_t i = 0; i < pfns.size(); i++) {
        pfns[i] = 0x1000 + i;
    }
    auto build = [&](size_t offset, size_t length) {
        return FromPfns(pfns, offset, length, 4).ranges;
    };
    EXPECT_EQ(build(0, 0xFFFFFFFF), (std::vector<Range>{{0x1000000, 0xFFFFFFFF}}));
    // On 32 bits offset + length passes the end of size_t.
    EXPECT_EQ(build(kPage - 1, 0xFFFFFFFF), (std::vector<Range>{{0x1000FFF, 0xFFFFFFFF}}));
    const size_t four_gib = static_cast<size_t>(UINT64{1} << 32);
    if (four_gib != 0) {
        EXPECT_EQ(build(0, four_gib),
                  (std::vector<Range>{{0x1000000, 0xFFFFFFFF}, {0x100FFFFFF, 1}}));
        EXPECT_EQ(build(5, four_gib + kPage),
                  (std::vector<Range>{{0x1000005, 0xFFFFFFFF}, {0x101000004, kPage + 1}}));
    }
}

TEST(SgFromPfns, AtMost65535Segments) // 2.7: no queue holds more than 32768
{
    std::vector<UINT64> pfns(0x10000);
    for (size_t i = 0; i < pfns.size(); i++) {
        pfns[i] = 2 * i;
    }
    UINT16 count = 1;
    EXPECT_EQ(
        VirtioSgBuildFromPfns(pfns.data(), 0xFFFF, 0, 0xFFFF * kPage, TRUE, nullptr, 0, &count),
        STATUS_BUFFER_TOO_SMALL);
    EXPECT_EQ(count, 0xFFFF);
    EXPECT_EQ(
        VirtioSgBuildFromPfns(pfns.data(), 0x10000, 0, 0x10000 * kPage, TRUE, nullptr, 0, &count),
        STATUS_INVALID_PARAMETER);
    EXPECT_EQ(count, 0);
}

// ------------------------------------------------------------------ MDLs

class TestMdl {
  public:
    TestMdl(size_t offset, size_t bytes, const std::vector<PFN_NUMBER> &pfns)
        : storage_((sizeof(MDL) + (pfns.size() + 1) * sizeof(PFN_NUMBER)) / 8 + 1) {
        Get()->ByteOffset = static_cast<ULONG>(offset);
        Get()->ByteCount = static_cast<ULONG>(bytes);
        for (size_t i = 0; i < pfns.size(); i++) {
            MmGetMdlPfnArray(Get())[i] = pfns[i];
        }
        for (size_t i = 0; i < bytes; i++) {
            truth.push_back((UINT64{pfns[(offset + i) / kPage]} << PAGE_SHIFT) +
                            (offset + i) % kPage);
        }
    }
    PMDL Get() {
        return reinterpret_cast<PMDL>(storage_.data());
    }
    std::vector<UINT64> truth; // the address of every byte

  private:
    std::vector<UINT64> storage_;
};

struct Flush {
    PMDL mdl;
    BOOLEAN read;
    BOOLEAN dma;
};
std::vector<Flush> flushes;

class SgFromMdl : public ::testing::Test {
  protected:
    std::vector<std::unique_ptr<TestMdl>> chain;
    std::vector<UINT64> truth;

    void SetUp() override {
        flushes.clear();
        VirtioHostFlushIoBuffers = [](PMDL mdl, BOOLEAN read, BOOLEAN dma) {
            flushes.push_back({mdl, read, dma});
        };
    }
    void TearDown() override {
        VirtioHostFlushIoBuffers = nullptr;
    }
    void Append(size_t offset, size_t bytes, const std::vector<PFN_NUMBER> &pfns) {
        chain.push_back(std::make_unique<TestMdl>(offset, bytes, pfns));
        truth.insert(truth.end(), chain.back()->truth.begin(), chain.back()->truth.end());
        if (chain.size() > 1) {
            chain[chain.size() - 2]->Get()->Next = chain.back()->Get();
        }
    }
    // The bytes that a list describes, and that no two neighbours could be joined.
    static std::vector<UINT64> Bytes(const VIRTQ_SG *sg, UINT16 count) {
        std::vector<UINT64> bytes;
        for (UINT16 i = 0; i < count; i++) {
            EXPECT_NE(sg[i].len, 0u);
            if (i > 0) {
                EXPECT_NE(sg[i - 1].addr + sg[i - 1].len, sg[i].addr) << "not joined";
            }
            for (UINT32 b = 0; b < sg[i].len; b++) {
                bytes.push_back(sg[i].addr + b);
            }
        }
        return bytes;
    }
    void ExpectRange(size_t offset, size_t length) {
        VIRTQ_SG sg[64];
        UINT16 count = 0, needed = 0;
        ULONG most = VirtioSgMaxElemsForMdl(chain[0]->Get(), offset, length);
        ASSERT_EQ(VirtioSgBuildFromMdl(chain[0]->Get(), offset, length, TRUE, sg, 64, &count),
                  STATUS_SUCCESS);
        ASSERT_EQ(Bytes(sg, count), std::vector<UINT64>(truth.begin() + (long)offset,
                                                        truth.begin() + (long)(offset + length)));
        ASSERT_LE(count, most);
        ASSERT_LE(most, length / kPage + 2 * chain.size());
        NTSTATUS sizing =
            VirtioSgBuildFromMdl(chain[0]->Get(), offset, length, TRUE, nullptr, 0, &needed);
        ASSERT_EQ(sizing, length == 0 ? STATUS_SUCCESS : STATUS_BUFFER_TOO_SMALL);
        ASSERT_EQ(needed, count);
    }
};

TEST_F(SgFromMdl, OneMdl) {
    Append(100, 2 * kPage, {7, 8, 20});
    VIRTQ_SG sg[4];
    UINT16 count;
    ASSERT_EQ(VirtioSgBuildFromMdl(chain[0]->Get(), 0, 2 * kPage, FALSE, sg, 4, &count),
              STATUS_SUCCESS);
    ASSERT_EQ(count, 2);
    EXPECT_EQ(sg[0].addr, 0x7064u);
    EXPECT_EQ(sg[0].len, 2 * kPage - 100);
    EXPECT_EQ(sg[0].write, FALSE);
    EXPECT_EQ(sg[1].addr, 0x14000u);
    EXPECT_EQ(sg[1].len, 100u);
    EXPECT_EQ(VirtioSgMaxElemsForMdl(chain[0]->Get(), 0, 2 * kPage), 3u);
}

TEST_F(SgFromMdl, EveryRangeOfAChain) // 2.7.4
{
    Append(kPage - 3, 6, {1, 2});               // joined across a page
    Append(0, 0, {0});                          // empty
    Append(3, 5, {2});                          // goes on where the first ended: joined
    Append(4090, 4096 + 20, {9, 0x123456, 11}); // above 4 GiB in the middle
    Append(0, 10, {11});
    for (size_t offset = 0; offset < truth.size(); offset += offset < 30 ? 1 : 401) {
        for (size_t length = 1; offset + length <= truth.size(); length += length < 30 ? 1 : 397) {
            ExpectRange(offset, length);
        }
        ExpectRange(offset, truth.size() - offset);
    }
}

TEST_F(SgFromMdl, RandomChains) {
    std::mt19937 random(2);
    for (int round = 0; round < 300; round++) {
        chain.clear();
        truth.clear();
        unsigned n = 1 + random() % 4;
        for (unsigned i = 0; i < n; i++) {
            size_t offset = random() % kPage, bytes = random() % (3 * kPage);
            std::vector<PFN_NUMBER> pfns;
            for (size_t p = 0; p < (offset + bytes + kPage - 1) / kPage + 1; p++) {
                pfns.push_back(pfns.empty() || random() % 2 ? random() % 64 : pfns.back() + 1);
            }
            Append(offset, bytes, pfns);
        }
        size_t offset = truth.empty() ? 0 : random() % truth.size();
        size_t length = truth.empty() ? 0 : random() % (truth.size() - offset + 1);
        ExpectRange(offset, length);
    }
}

TEST_F(SgFromMdl, FlushesTheMdlsOfTheRangeOnSuccessOnly) {
    Append(0, 100, {1});
    Append(0, 100, {3});
    Append(0, 100, {5});
    VIRTQ_SG sg[3];
    UINT16 count;
    PMDL mdl = chain[0]->Get();
    EXPECT_EQ(VirtioSgBuildFromMdl(mdl, 0, 300, TRUE, nullptr, 0, &count), STATUS_BUFFER_TOO_SMALL);
    EXPECT_EQ(VirtioSgBuildFromMdl(mdl, 0, 300, TRUE, sg, 2, &count), STATUS_BUFFER_TOO_SMALL);
    EXPECT_EQ(VirtioSgBuildFromMdl(mdl, 0, 301, TRUE, sg, 3, &count), STATUS_INVALID_PARAMETER);
    EXPECT_TRUE(flushes.empty());
    EXPECT_EQ(VirtioSgBuildFromMdl(mdl, 0, 300, TRUE, sg, 3, &count), STATUS_SUCCESS);
    ASSERT_EQ(flushes.size(), 3u);
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(flushes[i].mdl, chain[i]->Get());
        EXPECT_EQ(flushes[i].read, TRUE); // the device writes memory: a read
        EXPECT_EQ(flushes[i].dma, TRUE);
    }
    flushes.clear();
    EXPECT_EQ(VirtioSgBuildFromMdl(mdl, 100, 100, FALSE, sg, 3, &count), STATUS_SUCCESS);
    ASSERT_EQ(flushes.size(), 1u); // only the one that the range touches
    EXPECT_EQ(flushes[0].mdl, chain[1]->Get());
    EXPECT_EQ(flushes[0].read, FALSE);
    VirtioHostFlushIoBuffers = nullptr;
    EXPECT_EQ(VirtioSgBuildFromMdl(mdl, 0, 300, TRUE, sg, 3, &count), STATUS_SUCCESS);
}

TEST_F(SgFromMdl, BadParameters) {
    Append(0, 100, {1});
    VIRTQ_SG sg[2];
    UINT16 count = 9;
    PMDL mdl = chain[0]->Get();
    EXPECT_EQ(VirtioSgBuildFromMdl(mdl, 0, 101, TRUE, sg, 2, &count), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(count, 0);
    EXPECT_EQ(VirtioSgBuildFromMdl(mdl, 100, 1, TRUE, sg, 2, &count), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtioSgBuildFromMdl(mdl, ~size_t(0), 1, TRUE, sg, 2, &count),
              STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtioSgBuildFromMdl(mdl, 1, ~size_t(0), TRUE, sg, 2, &count),
              STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtioSgBuildFromMdl(nullptr, 0, 1, TRUE, sg, 2, &count), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtioSgBuildFromMdl(mdl, 0, 1, TRUE, nullptr, 2, &count), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtioSgBuildFromMdl(mdl, 0, 1, TRUE, sg, 2, nullptr), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtioSgBuildFromMdl(nullptr, 0, 0, TRUE, nullptr, 0, &count), STATUS_SUCCESS);
    EXPECT_EQ(count, 0);
    EXPECT_EQ(VirtioSgMaxElemsForMdl(mdl, 0, 0), 0u);
    EXPECT_EQ(VirtioSgMaxElemsForMdl(mdl, 0, 101), 0u);
    EXPECT_EQ(VirtioSgMaxElemsForMdl(nullptr, 0, 1), 0u);
    EXPECT_EQ(VirtioSgMaxElemsForMdl(mdl, 99, 1), 1u);
    EXPECT_TRUE(flushes.empty());
}

TEST_F(SgFromMdl, PageFrameBeyondTheAddressSpace) {
    if (sizeof(PFN_NUMBER) == 4) {
        GTEST_SKIP() << "32-bit page frame numbers reach 2^44";
    }
    Append(0, kPage, {(~PFN_NUMBER(0) >> PAGE_SHIFT) + 1});
    VIRTQ_SG sg[1];
    UINT16 count = 9;
    EXPECT_EQ(VirtioSgBuildFromMdl(chain[0]->Get(), 0, kPage, TRUE, sg, 1, &count),
              STATUS_INVALID_PARAMETER);
    EXPECT_EQ(count, 0);
}

// regression: on 32 bits the place in the MDL wrapped, and the first page was taken.
TEST_F(SgFromMdl, TheEndOfAnMdlOfFourGigabytes) {
    std::vector<PFN_NUMBER> pfns(0x100001, 7);
    pfns.back() = 9;
    TestMdl mdl(4095, 0, pfns);
    mdl.Get()->ByteCount = 0xFFFFFFFF;
    VIRTQ_SG sg[1];
    UINT16 count = 9;
    ASSERT_EQ(VirtioSgBuildFromMdl(mdl.Get(), 0xFFFFF001, 8, TRUE, sg, 1, &count), STATUS_SUCCESS);
    ASSERT_EQ(count, 1);
    EXPECT_EQ(sg[0].addr, 9u << PAGE_SHIFT);
    EXPECT_EQ(VirtioSgMaxElemsForMdl(mdl.Get(), 0xFFFFF001, 8), 1u);
    EXPECT_EQ(VirtioSgMaxElemsForMdl(mdl.Get(), 0xFFFFF000, 9), 2u);
}

TEST_F(SgFromMdl, RingOfEmptyMdlsEnds) {
    Append(0, 0, {1});
    Append(0, 0, {2});
    chain[1]->Get()->Next = chain[0]->Get();
    VIRTQ_SG sg[1];
    UINT16 count = 9;
    EXPECT_EQ(VirtioSgBuildFromMdl(chain[0]->Get(), 0, 1, TRUE, sg, 1, &count),
              STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtioSgMaxElemsForMdl(chain[0]->Get(), 0, 1), 0u);
}

// Each of them a page, and the next page in memory: one segment.
TEST_F(SgFromMdl, AChainOf131072MdlsIsWalkedAndNoLongerOne) {
    struct OnePage {
        MDL mdl;
        PFN_NUMBER pfn;
    };
    constexpr size_t kMost = 131072;
    std::vector<OnePage> mdls(kMost + 1);
    for (size_t i = 0; i < mdls.size(); i++) {
        mdls[i].mdl.ByteCount = kPage;
        mdls[i].mdl.Next = i + 1 < mdls.size() ? &mdls[i + 1].mdl : nullptr;
        MmGetMdlPfnArray(&mdls[i].mdl)[0] = 0x1000 + i;
    }
    VIRTQ_SG sg[1];
    UINT16 count = 0;
    EXPECT_EQ(VirtioSgBuildFromMdl(&mdls[0].mdl, 0, kMost * kPage, TRUE, sg, 1, &count),
              STATUS_SUCCESS);
    EXPECT_EQ(count, 1);
    EXPECT_EQ(sg[0].len, kMost * kPage);
    EXPECT_EQ(flushes.size(), kMost);
    EXPECT_EQ(VirtioSgMaxElemsForMdl(&mdls[0].mdl, 0, kMost * kPage), kMost);
    EXPECT_EQ(VirtioSgBuildFromMdl(&mdls[0].mdl, 0, kMost * kPage + 1, TRUE, sg, 1, &count),
              STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtioSgMaxElemsForMdl(&mdls[0].mdl, 0, kMost * kPage + 1), 0u);
}

// More pages than an ULONG counts: a ring of MDLs that goes on for ever.
TEST_F(SgFromMdl, APageCountBeyond32BitsIsRefused) {
    MDL mdl = {};
    mdl.Next = &mdl;
    mdl.ByteCount = 0xFFFFF000u;
    EXPECT_EQ(VirtioSgMaxElemsForMdl(&mdl, 0, 0xFFFFFFFFu), 0x100000u);
    if (sizeof(size_t) == 4) {
        return; // has no greater lengths
    }
    auto most = [&](UINT64 bytes) {
        return VirtioSgMaxElemsForMdl(&mdl, 0, static_cast<size_t>(bytes));
    };
    EXPECT_EQ(most(UINT64{0xFFFFF000u} * 4096), 0xFFFFF000u);
    EXPECT_EQ(most(UINT64{0xFFFFFFFFu} * 4096), 0xFFFFFFFFu);
    EXPECT_EQ(most((UINT64{1} << 44) + 5 * kPage), 0u);
    mdl.ByteCount = 0x80000000u; // the sum is 2^32 on its way
    EXPECT_EQ(most((UINT64{1} << 44) + 5 * kPage), 0u);
}

} // namespace
