// SPDX-License-Identifier: MIT
// A volatile write cache (5.2.6.2): what a flush has confirmed is in the file, and of the
// rest a power cut leaves what it likes.
#include <gtest/gtest.h>

#include "front_end.h"

namespace hostile {
namespace {

constexpr uint32_t In = 0, Out = 1, Flush = 4;
constexpr uint64_t FlushFeature = bit(9);

std::string sectors(size_t count, char filling) {
    return std::string(count * 512, filling);
}

class CacheTest : public ::testing::Test {
  protected:
    void start(uint64_t features) {
        served.command("set cache=1");
        front.negotiate(features & front.ask(Type::GetFeatures));
        front.shareMemory();
        front.startQueue();
    }
    Served served;
    FrontEnd front{served.socketPath()};
};

TEST_F(CacheTest, WhatIsWrittenIsReadAndNotKept) {
    start(Version1 | FlushFeature);
    EXPECT_EQ(front.request(Out, 8, sectors(4, 'a'), 0).status, 0);
    EXPECT_EQ(front.request(Out, 9, sectors(1, 'b'), 0).status, 0);
    EXPECT_EQ(served.disk(8, 2048), sectors(4, '\0'));
    EXPECT_EQ(served.counter("cached"), 4u);
    EXPECT_EQ(front.request(In, 7, "", 2560).data,
              sectors(1, '\0') + sectors(1, 'a') + sectors(1, 'b') + sectors(2, 'a'));
}

TEST_F(CacheTest, AFlushKeepsTheNewest) {
    start(Version1 | FlushFeature);
    front.request(Out, 8, sectors(2, 'a'), 0);
    front.request(Out, 9, sectors(1, 'b'), 0);
    EXPECT_EQ(front.request(Flush, 0, "", 0).status, 0);
    EXPECT_EQ(served.disk(8, 1024), sectors(1, 'a') + sectors(1, 'b'));
    EXPECT_EQ(served.counter("cached"), 0u);
    EXPECT_NE(served.command("cut 1").find("dropped=0 older=0 kept=0"), std::string::npos);
}

// It has no way to ask for a flush.
TEST_F(CacheTest, NothingIsKeptBackFromADriverWithoutFlush) {
    start(Version1);
    front.request(Out, 8, sectors(2, 'a'), 0);
    EXPECT_EQ(served.disk(8, 1024), sectors(2, 'a'));
}

TEST_F(CacheTest, ACutLosesSomeOfIt) {
    start(Version1 | FlushFeature);
    front.request(Out, 0, sectors(64, 'a'), 0);
    front.request(Flush, 0, "", 0);
    front.request(Out, 0, sectors(64, 'b'), 0);
    front.request(Out, 0, sectors(64, 'c'), 0);
    std::string said = served.command("cut 7");
    int found[3] = {};
    for (uint64_t at = 0; at < 64; at++) {
        std::string holds = served.disk(at, 512);
        ASSERT_TRUE(holds[0] >= 'a' && holds[0] <= 'c');
        EXPECT_EQ(holds, sectors(1, holds[0])) << "torn";
        found[holds[0] - 'a']++;
    }
    EXPECT_EQ(said, "ok dropped=" + std::to_string(found[0]) + " older=" +
                        std::to_string(found[1]) + " kept=" + std::to_string(found[2]) + "\n");
    EXPECT_TRUE(found[0] > 8 && found[1] > 8 && found[2] > 8) << said;
    EXPECT_TRUE(front.closed());
}

} // namespace
} // namespace hostile
