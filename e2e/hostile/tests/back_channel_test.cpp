// SPDX-License-Identifier: MIT
// Messages of the back end's own, to a front end that doesn't read them.
#include <gtest/gtest.h>

#include <thread>

#include <sys/socket.h>

#include "back_channel.h"
#include "front_end.h"

namespace hostile {
namespace {

// A front end that has asked for something reads nothing but the answer, however often the
// configuration changes meanwhile.
TEST(BackChannel, AFloodOfChangesKeepsNobodyWaiting) {
    Served served;
    FrontEnd front(served.socketPath());
    front.negotiate(bit(32));
    front.shareMemory();
    front.startQueue();
    Fd channel = front.backendChannel();
    int few = 1; // as few as the system allows
    setsockopt(channel.get(), SOL_SOCKET, SO_RCVBUF, &few, sizeof(few));
    auto began = std::chrono::steady_clock::now();
    for (int i = 1; i <= 1000; i++) {
        ASSERT_EQ(served.command("set capacity=" + std::to_string(i)), "ok told=1\n");
    }
    EXPECT_EQ(front.config(0, 2), (std::vector<uint8_t>{0xE8, 3}));
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(4))
        << "it waited for room";
    EXPECT_EQ(front.request(1, 0, std::string(512, 'x'), 0).status, 0);
    Receiver receiver;
    size_t told = 0;
    for (; readableWithin(channel.get(), 200); told++) {
        ASSERT_EQ(receiver.receive(channel.get()), Receiver::State::Whole);
        EXPECT_EQ(receiver.take().header.request, BackendConfigChange);
    }
    EXPECT_GT(told, BackChannel::MaxWaiting) << "what waited came when there was room";
    EXPECT_EQ(served.command("set capacity=5"), "ok told=1\n");
    EXPECT_TRUE(readableWithin(channel.get(), 10'000));
}

class Alone : public ::testing::Test {
  protected:
    void SetUp() override {
        int ends[2];
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        here = Fd(ends[0]);
        channel.use(Fd(ends[1]));
        int least = 1;
        setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
    }
    void run(std::chrono::milliseconds time) {
        loop.at(Loop::Clock::now() + time, [this] { loop.end(0); });
        loop.run();
    }
    Loop loop;
    Fd here;
    BackChannel channel{loop};
};

TEST_F(Alone, ThereIsAnEndToWhatWaits) {
    for (int i = 0; i < 10'000; i++) {
        channel.say(BackendConfigChange);
    }
    EXPECT_EQ(channel.waiting(), BackChannel::MaxWaiting);
}

TEST_F(Alone, AnEndMeansThatNobodyIsTold) {
    for (int i = 0; i < 10'000; i++) {
        channel.say(BackendConfigChange);
    }
    here.reset();
    run(std::chrono::milliseconds(50));
    EXPECT_FALSE(channel);
    EXPECT_EQ(channel.waiting(), 0u);
    channel.say(BackendConfigChange);
    EXPECT_EQ(channel.waiting(), 0u);
}

} // namespace
} // namespace hostile
