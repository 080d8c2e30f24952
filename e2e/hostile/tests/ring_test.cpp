// SPDX-License-Identifier: MIT
// The ring: notifications, wrapping, and what no driver may do.
#include <gtest/gtest.h>

#include "front_end.h"

namespace hostile {
namespace {

class RingTest : public ::testing::Test {
  protected:
    void start(uint64_t features, uint16_t size = 64, uint16_t base = 0) {
        front.negotiate(features);
        front.shareMemory();
        front.startQueue(size, base);
    }
    // A ring that the device gives up: the front end hears of it, and nothing is used.
    void expectBroken(const std::string &why) {
        front.kick();
        EXPECT_TRUE(front.failed(10'000));
        EXPECT_EQ(served.counter("ring_errors"), 1u);
        EXPECT_EQ(served.counter("completed"), 0u);
        EXPECT_NE(served.command("status").find(why), std::string::npos)
            << served.command("status");
        // Served again after a stop, as a driver's reset makes it.
        front.stopQueue();
        front.resetRing();
        front.startQueue();
        EXPECT_EQ(front.request(4, 0, "", 0).status, 0);
    }
    Served served;
    FrontEnd front{served.socketPath()};
};

// More than 65,536 requests: both indices wrap.
TEST_F(RingTest, Wraps) {
    constexpr uint16_t Batch = 16;
    start(Version1 | EventIdx);
    for (unsigned round = 0; round < 66'000 / Batch; round++) {
        for (uint16_t i = 0; i < Batch; i++) {
            front.submit(uint16_t(3 * i), 0, round % 2048, "", 512);
        }
        front.kick();
        std::vector<Used> done = front.used(Batch);
        for (uint16_t i = 0; i < Batch; i++) {
            ASSERT_EQ(done[i].id, 3u * i) << round;
            ASSERT_EQ(done[i].length, 513u) << round;
        }
    }
    EXPECT_EQ(served.counter("requests"), 66'000u);
    EXPECT_EQ(served.counter("ring_errors"), 0u);
}

// 2.7.7.1, 2.7.10.1: the event's index says for which buffer there is to be an interrupt.
TEST_F(RingTest, InterruptsAsTheEventIndexSays) {
    start(Version1 | EventIdx);
    front.usedEvent(0);
    front.request(4, 0, "", 0);
    EXPECT_TRUE(front.called(10'000)) << "the first";
    front.usedEvent(2);
    front.request(4, 0, "", 0);
    EXPECT_EQ(served.counter("suppressed"), 1u);
    EXPECT_FALSE(front.called(0)) << "the second was not asked for";
    front.request(4, 0, "", 0);
    EXPECT_TRUE(front.called(10'000)) << "the third was";
    front.usedEvent(uint16_t(-5));
    front.request(4, 0, "", 0);
    EXPECT_EQ(served.counter("suppressed"), 2u);
    EXPECT_FALSE(front.called(0)) << "an event long past";
}

TEST_F(RingTest, InterruptsAsTheFlagSays) {
    start(Version1);
    front.availableFlags(1);
    front.request(4, 0, "", 0);
    EXPECT_EQ(served.counter("suppressed"), 1u);
    EXPECT_FALSE(front.called(0));
    front.availableFlags(0);
    front.request(4, 0, "", 0);
    EXPECT_TRUE(front.called(10'000));
}

// 2.7.7.2: the device wants a kick for the next buffer, whatever that is.
TEST_F(RingTest, AsksForTheNextKick) {
    start(Version1 | EventIdx);
    for (uint16_t i = 1; i < 5; i++) {
        front.request(4, 0, "", 0);
        served.command("status"); // it has gone through its ring once more
        EXPECT_EQ(front.availableEvent(), i);
    }
}

TEST_F(RingTest, GoesOnWhereItIsTold) {
    front.negotiate(Version1);
    front.shareMemory();
    front.startQueue(64);
    for (int i = 0; i < 3; i++) {
        front.request(4, 0, "", 0);
    }
    EXPECT_EQ(front.stopQueue(), 3u);
    front.kick(); // nobody listens
    front.startQueue(64, 3);
    front.request(4, 0, "", 0);
    EXPECT_EQ(front.stopQueue(), 4u);
    EXPECT_EQ(served.counter("requests"), 4u);
}

TEST_F(RingTest, DescriptorOutOfTheTable) {
    start(Version1);
    front.publish(64);
    expectBroken("descriptor 64 of a table of 64");
}

TEST_F(RingTest, ChainWithoutEnd) {
    start(Version1);
    front.describe(front.table(), 0, {FrontEnd::Data, 16, false}, 1, 1);
    front.describe(front.table(), 1, {FrontEnd::Data, 16, false}, 1, 0);
    front.publish(0);
    expectBroken("never ends");
}

TEST_F(RingTest, ReadableBehindWritable) {
    start(Version1);
    front.chain(
        0, {{FrontEnd::Data, 16, false}, {FrontEnd::Data, 1, true}, {FrontEnd::Data, 1, false}});
    front.publish(0);
    expectBroken("readable descriptor behind");
}

TEST_F(RingTest, OutsideMemory) {
    start(Version1);
    front.chain(0, {{FrontEnd::Data, 16, false}, {FrontEnd::Memory - 1, 2, true}});
    front.publish(0);
    expectBroken("outside the guest's memory");
}

TEST_F(RingTest, AddressThatWraps) {
    start(Version1);
    front.chain(0, {{FrontEnd::Data, 16, false}, {UINT64_MAX - 3, 8, true}});
    front.publish(0);
    expectBroken("outside the guest's memory");
}

TEST_F(RingTest, MoreAvailableThanThereIsRoom) {
    start(Version1);
    for (int i = 0; i < 65; i++) {
        front.publish(0);
    }
    expectBroken("65 buffers available");
}

TEST_F(RingTest, IndirectThatWasNotNegotiated) {
    start(Version1);
    front.describe(front.table(), 0, {FrontEnd::Data, 32, false}, 4, 0);
    front.publish(0);
    expectBroken("wasn't negotiated");
}

TEST_F(RingTest, IndirectInIndirect) {
    start(Version1 | Indirect);
    front.describe(FrontEnd::Data, 0, {FrontEnd::Data, 16, false}, 4, 0);
    front.describe(front.table(), 0, {FrontEnd::Data, 16, false}, 4, 0);
    front.publish(0);
    expectBroken("indirect table in an indirect table");
}

TEST_F(RingTest, IndirectLinkOutOfItsTable) {
    start(Version1 | Indirect);
    front.describe(FrontEnd::Data, 0, {FrontEnd::Data, 16, false}, 1, 2);
    front.describe(front.table(), 0, {FrontEnd::Data, 32, false}, 4, 0);
    front.publish(0);
    expectBroken("link out of an indirect table");
}

TEST_F(RingTest, IndirectOfABadSize) {
    start(Version1 | Indirect);
    front.describe(front.table(), 0, {FrontEnd::Data, 40, false}, 4, 0);
    front.publish(0);
    expectBroken("indirect table of 40 bytes");
}

TEST_F(RingTest, NoRoomForTheStatus) {
    start(Version1);
    front.chain(0, {{FrontEnd::Data, 16, false}});
    front.publish(0);
    expectBroken("without room for its header or its status");
}

TEST_F(RingTest, RingsOutsideMemory) {
    front.negotiate(Version1);
    front.shareMemory();
    front.startQueue();
    VringAddress places{0,
                        0,
                        FrontEnd::User + FrontEnd::Memory - 512,
                        FrontEnd::User + 0x6000,
                        FrontEnd::User + 0x4000,
                        0};
    EXPECT_EQ(front.tell(Type::SetVringAddr, places), 0u);
    front.kick();
    EXPECT_TRUE(front.failed(10'000));
    EXPECT_EQ(served.counter("ring_errors"), 1u);
}

} // namespace
} // namespace hostile
