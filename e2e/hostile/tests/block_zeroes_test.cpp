// SPDX-License-Identifier: MIT
// DISCARD and WRITE_ZEROES (5.2.6).
#include <gtest/gtest.h>

#include "front_end.h"

namespace hostile {
namespace {

constexpr uint32_t Out = 1, Discard = 11, WriteZeroes = 13, Unmap = 1;
constexpr uint8_t Ok = 0, IoErr = 1, Unsupp = 2;
constexpr uint64_t Features = bit(13) | bit(14);

std::string range(uint64_t sector, uint32_t sectors, uint32_t flags = 0) {
    std::string bytes(16, '\0');
    memcpy(bytes.data(), &sector, 8);
    memcpy(bytes.data() + 8, &sectors, 4);
    memcpy(bytes.data() + 12, &flags, 4);
    return bytes;
}

class BlockZeroesTest : public ::testing::Test {
  protected:
    void start(const std::string &more = "") {
        served.command("set discard=64 write_zeroes=64 " + more);
        front.negotiate((Version1 | Features | bit(9)) & front.ask(Type::GetFeatures));
        front.shareMemory();
        front.startQueue();
    }
    void fill(uint64_t sectors) {
        ASSERT_EQ(front.request(Out, 0, std::string(sectors * 512, 'x'), 0).status, Ok);
    }
    // A letter a sector: what it holds.
    std::string sectors(uint64_t count) {
        std::string all;
        for (uint64_t i = 0; i < count; i++) {
            std::string here = front.request(0, i, "", 512).data;
            all += here == std::string(512, 'x') ? 'x' : here == std::string(512, 0) ? '0' : '?';
        }
        return all;
    }
    uint8_t ask(uint32_t type, const std::string &ranges) {
        auto result = front.request(type, 0, ranges, 0);
        EXPECT_EQ(result.length, 1u);
        return result.status;
    }
    Served served;
    FrontEnd front{served.socketPath()};
};

TEST_F(BlockZeroesTest, OnlyWhereOffered) {
    EXPECT_EQ(front.ask(Type::GetFeatures) & Features, 0u);
    EXPECT_EQ(front.config(36, 24), std::vector<uint8_t>(24, 0));
    start();
    EXPECT_EQ(front.ask(Type::GetFeatures) & Features, Features);
    std::vector<uint8_t> fields{64, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0,
                                64, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0};
    EXPECT_EQ(front.config(36, 24), fields);
    served.command("set discard=0 write_zeroes=0");
    EXPECT_EQ(ask(Discard, range(0, 1)), Unsupp);
    EXPECT_EQ(ask(WriteZeroes, range(0, 1)), Unsupp);
}

TEST_F(BlockZeroesTest, ZerosAreReadOfThem) {
    start();
    fill(16);
    EXPECT_EQ(ask(Discard, range(1, 2) + range(5, 1)), Ok);
    EXPECT_EQ(ask(WriteZeroes, range(8, 3)), Ok);
    EXPECT_EQ(ask(WriteZeroes, range(12, 1, Unmap) + range(15, 1)), Ok);
    EXPECT_EQ(sectors(17), "x00xx0xx000x0xx00");
    EXPECT_EQ(served.counter("discard"), 1u);
    EXPECT_EQ(served.counter("zeroes"), 2u);
    EXPECT_EQ(served.counter("failed"), 0u);
}

// What was written before isn't put on top when it is flushed.
TEST_F(BlockZeroesTest, ComeAfterWhatIsInTheCache) {
    start("cache=1");
    fill(8);
    EXPECT_EQ(ask(Discard, range(0, 2)), Ok);
    EXPECT_EQ(sectors(4), "00xx");
    fill(8);
    EXPECT_EQ(ask(WriteZeroes, range(2, 2)), Ok);
    EXPECT_EQ(front.request(4, 0, "", 0).status, Ok);
    EXPECT_EQ(sectors(8), "xx00xxxx");
    EXPECT_EQ(served.disk(2, 1024), std::string(1024, '\0'));
}

// A request of which one range is refused changes nothing.
TEST_F(BlockZeroesTest, RefusesWhatItMust) {
    start();
    fill(64);
    EXPECT_EQ(ask(Discard, range(0, 1) + range(1, 1, Unmap)), Unsupp) << "not for DISCARD";
    EXPECT_EQ(ask(WriteZeroes, range(0, 1) + range(1, 1, 2)), Unsupp) << "unknown";
    EXPECT_EQ(ask(Discard, range(0, 1) + range(2048, 1)), IoErr) << "past the end";
    EXPECT_EQ(ask(WriteZeroes, range(2047, 2)), IoErr);
    EXPECT_EQ(ask(WriteZeroes, range(UINT64_MAX, 2)), IoErr) << "a sum that wraps";
    EXPECT_EQ(ask(Discard, range(0, 0)), IoErr);
    EXPECT_EQ(ask(Discard, ""), IoErr);
    EXPECT_EQ(ask(Discard, range(0, 1) + "x"), IoErr);
    EXPECT_EQ(served.counter("limits_exceeded"), 0u);
    EXPECT_EQ(ask(Discard, range(0, 65)), IoErr) << "longer than was said";
    std::string many;
    for (unsigned i = 0; i < 17; i++) {
        many += range(i, 1);
    }
    EXPECT_EQ(ask(Discard, many), IoErr) << "more than was said";
    EXPECT_EQ(served.counter("limits_exceeded"), 2u);
    served.command("set read_only=1");
    EXPECT_EQ(ask(Discard, range(0, 1)), IoErr);
    EXPECT_EQ(sectors(64), std::string(64, 'x'));
}

TEST_F(BlockZeroesTest, WholeBlocksAlone) {
    start("blk_size=4096");
    EXPECT_EQ(ask(Discard, range(8, 8)), Ok);
    EXPECT_EQ(ask(Discard, range(4, 8)), IoErr);
    EXPECT_EQ(ask(WriteZeroes, range(8, 4)), IoErr);
}

} // namespace
} // namespace hostile
