// SPDX-License-Identifier: MIT
// The protocol: what a front end may say, what it may not, and what outlives it.
#include <gtest/gtest.h>

#include <sys/mman.h>

#include "front_end.h"

namespace hostile {
namespace {

class SessionTest : public ::testing::Test {
  protected:
    void start() {
        front->negotiate(Version1 | EventIdx);
        front->shareMemory();
        front->startQueue();
    }
    Served served;
    std::unique_ptr<FrontEnd> front = std::make_unique<FrontEnd>(served.socketPath());
};

TEST_F(SessionTest, Features) {
    uint64_t offered = front->ask(Type::GetFeatures);
    EXPECT_EQ(offered & (Version1 | EventIdx | Indirect | bit(30)),
              Version1 | EventIdx | Indirect | bit(30));
    EXPECT_EQ(front->ask(Type::GetQueueNum), 1u);
    EXPECT_EQ(front->ask(Type::GetMaxMemSlots), GuestMemory::MaxRegions);
    front->negotiate(Version1);
    EXPECT_EQ(front->tell(Type::SetFeatures, Version1 | bit(50)), 1u) << "never offered";
    served.command("set without=0x20000000");
    EXPECT_EQ(front->tell(Type::SetFeatures, EventIdx), 1u) << "no longer offered";
    EXPECT_EQ(front->ask(Type::GetFeatures) & EventIdx, 0u);
}

// Each refused by an acknowledgement; the connection goes on.
TEST_F(SessionTest, Refusals) {
    front->negotiate(Version1);
    EXPECT_EQ(front->tell(Type(77), uint64_t(0)), 1u) << "an unknown message";
    EXPECT_EQ(front->tell(Type::SetVringNum, VringState{0, 3}), 1u) << "no power of two";
    EXPECT_EQ(front->tell(Type::SetVringNum, VringState{0, 0}), 1u);
    EXPECT_EQ(front->tell(Type::SetVringNum, VringState{1, 64}), 1u) << "no such queue";
    EXPECT_EQ(front->tell(Type::SetVringNum, uint32_t(0)), 1u) << "too short";
    EXPECT_EQ(front->tell(Type::SetVringKick, uint64_t(0)), 1u) << "no descriptor";
    EXPECT_EQ(front->tell(Type::SetBackendReqFd, uint64_t(0)), 1u) << "no socket";
    EXPECT_EQ(front->tell(Type::SetOwner, uint64_t(0)), 0u);
}

TEST_F(SessionTest, MemoryThatCannotBe) {
    Fd file(memfd_create("test", MFD_CLOEXEC));
    ASSERT_EQ(ftruncate(file.get(), 1 << 20), 0);
    front->negotiate(Version1);
    auto add = [&](Region region) {
        return front->tell(Type::AddMemReg, SingleRegion{0, region}, {file.get()});
    };
    EXPECT_EQ(add({0, 2 << 20, 0x10000, 0}), 1u) << "longer than its file";
    EXPECT_EQ(add({0, 1 << 20, 0x10000, 4096}), 1u);
    EXPECT_EQ(add({0, 0, 0x10000, 0}), 1u);
    EXPECT_EQ(add({UINT64_MAX, 2, 0x10000, 0}), 1u);
    EXPECT_EQ(add({0, 4096, 0x10000, 0}), 0u);
    EXPECT_EQ(add({4095, 4096, 0x90000, 0}), 1u) << "overlaps";
    EXPECT_EQ(front->tell(Type::AddMemReg, SingleRegion{0, {1 << 20, 4096, 0, 0}}), 1u)
        << "without a file";
    EXPECT_EQ(front->tell(Type::RemMemReg, SingleRegion{0, {0, 4096, 0x20000, 0}}), 1u);
    EXPECT_EQ(front->tell(Type::RemMemReg, SingleRegion{0, {0, 4096, 0x10000, 0}}), 0u);
    EXPECT_EQ(served.counter("regions"), 0u);
}

// Regions come and go while the ring runs; what is held is found where it is then.
TEST_F(SessionTest, ManyRegions) {
    start();
    Fd file(memfd_create("test", MFD_CLOEXEC));
    ASSERT_EQ(ftruncate(file.get(), 64 << 12), 0);
    for (uint64_t i = 0; i < GuestMemory::MaxRegions - 2; i++) {
        Region region{(64 << 20) + (i << 20), 4096, (i + 1) << 40, i << 12};
        ASSERT_EQ(front->tell(Type::AddMemReg, SingleRegion{0, region}, {file.get()}), 0u);
    }
    Region more{32 << 20, 4096, 1 << 20, 0};
    EXPECT_EQ(front->tell(Type::AddMemReg, SingleRegion{0, more}, {file.get()}), 1u) << "too many";
    EXPECT_EQ(served.counter("regions"), GuestMemory::MaxRegions);
    EXPECT_EQ(front->request(0, 0, "", 512).status, 0);

    served.command("misbehave hold");
    uint64_t status = front->submit(0, 0, 0, "", 512);
    front->kick();
    while (served.counter("held") != 1) {
    }
    front->shareMemory();
    EXPECT_EQ(served.counter("regions"), 2u);
    EXPECT_EQ(served.command("release"), "ok released=1\n");
    EXPECT_EQ(front->used(1)[0].length, 513u);
    EXPECT_EQ(*front->at(status), 0);
}

// A ring whose memory goes rests, with what it holds, until that is there again.
TEST_F(SessionTest, MemoryOfTheRingGoes) {
    start();
    served.command("misbehave slow value=20 kind=read");
    front->submit(10, 0, 0, "", 512);
    front->kick();
    while (served.counter("pending") != 1) {
    }
    EXPECT_EQ(front->tell(Type::SetMemTable, MemoryTable{0, 0}), 0u);
    front->submit(0, 4, 0, "", 0);
    front->kick();
    EXPECT_FALSE(front->called(60));
    EXPECT_EQ(served.counter("completed"), 0u);
    front->shareMemory();
    EXPECT_EQ(front->used(2).size(), 2u);
    EXPECT_EQ(served.counter("ring_errors"), 0u);

    MemoryTable many{1, 0}; // that says more than it brings
    EXPECT_EQ(front->tell(Type::SetMemTable, many), 1u);
    front->shareMemory();
    EXPECT_EQ(front->request(4, 0, "", 0).status, 0);
    EXPECT_EQ(front->stopQueue(), 3u);
}

TEST_F(SessionTest, EndsAConnectionThatBreaksTheProtocol) {
    front->send(Type::SetFeatures, nullptr, 0, {}, 2); // version 3
    EXPECT_TRUE(front->closed());
    front = std::make_unique<FrontEnd>(served.socketPath());
    front->send(Type::SetVringNum, nullptr, 0);
    EXPECT_TRUE(front->closed()) << "too short, and no acknowledgement was negotiated";
    front = std::make_unique<FrontEnd>(served.socketPath());
    std::string much(8192, 'x');
    front->send(Type::SetMemTable, much.data(), much.size());
    EXPECT_TRUE(front->closed());
    front = std::make_unique<FrontEnd>(served.socketPath());
    start();
    EXPECT_EQ(front->request(4, 0, "", 0).status, 0);
    EXPECT_EQ(served.counter("connections"), 4u);
}

// Requests at the device outlive the connection: the next one's record has them.
TEST_F(SessionTest, DoesAgainWhatWasInFlight) {
    front->negotiate(Version1);
    front->shareMemory();
    front->trackInflight();
    front->startQueue();
    served.command("misbehave hold kind=write");
    uint64_t first = front->submit(10, 1, 5, std::string(512, 'x'), 0);
    uint64_t second = front->submit(2, 1, 5, std::string(512, 'y'), 0);
    front->kick();
    while (served.counter("held") != 2) {
    }
    uint64_t flush = front->submit(20, 4, 0, "", 0);
    front->kick();
    EXPECT_EQ(front->used(1)[0].id, 20u) << "others go on";
    EXPECT_EQ(*front->at(flush), 0);
    EXPECT_EQ(front->stopQueue(), 3u) << "all were taken";
    EXPECT_EQ(served.counter("forgotten"), 2u);
    EXPECT_EQ(served.disk(5, 1), std::string(1, '\0')) << "held, so not done";

    served.command("behave");
    front->trackInflight();
    front->startQueue(64, 1); // as a front end that knows of the used ring alone
    front->kick();
    auto done = front->used(2);
    EXPECT_EQ(done[0].id, 10u) << "in the order they came";
    EXPECT_EQ(done[1].id, 2u);
    EXPECT_EQ(*front->at(first), 0);
    EXPECT_EQ(*front->at(second), 0);
    EXPECT_EQ(served.disk(5, 1), "y");
    EXPECT_EQ(served.counter("resubmitted"), 2u);

    front->stopQueue();
    front->trackInflight();
    front->startQueue(64, 3);
    front->request(4, 0, "", 0);
    EXPECT_EQ(served.counter("resubmitted"), 2u) << "nothing is done twice";
}

// QEMU 10 says nothing when it has connected again, where QEMU 7.2 kicked.
TEST_F(SessionTest, RegressionDoesItAgainWithoutAKick) {
    front->negotiate(Version1);
    front->shareMemory();
    front->trackInflight();
    front->startQueue();
    served.command("misbehave hold");
    uint64_t flush = front->submit(6, 4, 0, "", 0);
    front->kick();
    while (served.counter("held") != 1) {
    }
    front->stopQueue();
    served.command("behave");
    front->trackInflight();
    front->startQueue(64, 1);
    EXPECT_EQ(front->used(1)[0].id, 6u);
    EXPECT_EQ(*front->at(flush), 0);
    EXPECT_EQ(served.counter("resubmitted"), 1u);
}

// Without the record nobody would do them: a stop answers them.
TEST_F(SessionTest, AnswersWhatIsHeldWhenItStops) {
    start();
    served.command("misbehave hold");
    front->submit(0, 1, 7, std::string(512, 'z'), 0);
    front->kick();
    while (served.counter("held") != 1) {
    }
    EXPECT_EQ(front->stopQueue(), 1u);
    EXPECT_EQ(front->used(1)[0].length, 1u);
    EXPECT_EQ(served.disk(7, 1), "z");
}

TEST_F(SessionTest, DisabledRingsWait) {
    front->negotiate(Version1);
    front->shareMemory();
    front->startQueue();
    EXPECT_EQ(front->tell(Type::SetVringEnable, VringState{0, 0}), 0u);
    front->submit(0, 4, 0, "", 0);
    front->kick();
    EXPECT_EQ(front->tell(Type::SetOwner, uint64_t(0)), 0u);
    EXPECT_EQ(served.counter("requests"), 0u);
    EXPECT_EQ(front->tell(Type::SetVringEnable, VringState{0, 1}), 0u);
    front->used(1);
}

// "If VHOST_USER_F_PROTOCOL_FEATURES has not been negotiated, the ring starts directly in the
// enabled state"; and a legacy driver knows no VIRTIO_F_VERSION_1.
TEST_F(SessionTest, FrontEndWithoutProtocolFeatures) {
    front->negotiateOld(0);
    for (uint16_t size : {1024, 2, 64}) {
        front->shareMemory();
        front->startQueue(size);
        if (size > 2) { // a request has three descriptors
            EXPECT_EQ(front->request(1, 3, std::string(512, char('a' + size % 26)), 0).status, 0);
            EXPECT_EQ(served.disk(3, 1), std::string(1, char('a' + size % 26)));
            EXPECT_TRUE(front->called(1000));
        }
        EXPECT_EQ(front->stopQueue(), size > 2 ? 1u : 0u);
        front->resetRing();
    }
    EXPECT_EQ(served.counter("ring_errors"), 0u);
    EXPECT_EQ(served.counter("connections"), 1u);
}

TEST_F(SessionTest, ResetDevice) {
    start();
    front->request(4, 0, "", 0);
    EXPECT_EQ(front->tell(Type::ResetDevice, uint64_t(0)), 0u);
    front->resetRing();
    start();
    front->request(4, 0, "", 0);
}

TEST_F(SessionTest, RingWithoutDescriptorsIsPolled) {
    start();
    EXPECT_EQ(front->tell(Type::SetVringCall, VringNoFd), 0u);
    EXPECT_EQ(front->tell(Type::SetVringKick, VringNoFd), 0u);
    front->submit(0, 4, 0, "", 0);
    EXPECT_EQ(front->used(1)[0].length, 1u);
}

TEST_F(SessionTest, GoesAndComesBack) {
    start();
    served.command("misbehave hold");
    front->submit(0, 4, 0, "", 0);
    front->kick();
    while (served.counter("held") != 1) {
    }
    EXPECT_EQ(served.command("disconnect"), "ok\n");
    EXPECT_TRUE(front->closed());
    EXPECT_EQ(served.counter("forgotten"), 1u);
    EXPECT_EQ(served.command("listen off"), "ok\n");
    EXPECT_THROW(FrontEnd(served.socketPath()), Error);
    EXPECT_EQ(served.command("listen on"), "ok\n");
    served.command("behave");
    front = std::make_unique<FrontEnd>(served.socketPath());
    start();
    front->request(4, 0, "", 0);
}

} // namespace
} // namespace hostile
