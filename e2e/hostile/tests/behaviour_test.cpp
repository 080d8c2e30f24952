// SPDX-License-Identifier: MIT
// Misbehaviour: each way, for the requests and at the moments that a rule names.
#include <gtest/gtest.h>

#include "front_end.h"

namespace hostile {
namespace {

class BehaviourTest : public ::testing::Test {
  protected:
    void SetUp() override {
        front.negotiate(Version1 | EventIdx);
        front.shareMemory();
        front.startQueue();
    }
    uint32_t readLength() {
        auto read = front.request(0, 0, "", 1024);
        EXPECT_EQ(read.status, 0);
        EXPECT_EQ(read.data, std::string(1024, '\0')) << "the data is right, whatever the length";
        return read.length;
    }
    Served served;
    FrontEnd front{served.socketPath()};
};

TEST_F(BehaviourTest, UsedLengths) {
    struct {
        const char *rule;
        uint32_t read, write;
    } const cases[] = {
        {"length", 0, 0},
        {"length value=1", 1, 1},
        {"length-without-status", 1024, 0},
        {"length-beyond", 1026, 2},
        {"length-beyond value=4096", 5121, 4097},
        {"length value=0xFFFFFFFF", 0xFFFFFFFF, 0xFFFFFFFF},
    };
    for (const auto &each : cases) {
        served.command(std::string("misbehave ") + each.rule);
        EXPECT_EQ(readLength(), each.read) << each.rule;
        EXPECT_EQ(front.request(1, 0, std::string(512, '\0'), 0).length, each.write) << each.rule;
        EXPECT_EQ(front.request(4, 0, "", 0).length, each.write) << each.rule;
        served.command("behave");
        EXPECT_EQ(readLength(), 1025u);
    }
    EXPECT_EQ(served.counter("misbehaved"), 18u);
}

TEST_F(BehaviourTest, StatusBytes) {
    served.command("misbehave no-status");
    auto none = front.request(0, 0, "", 512);
    EXPECT_EQ(none.status, 0xFF) << "as the driver left it";
    EXPECT_EQ(none.length, 513u);
    served.command("behave no-status");
    served.command("misbehave status value=7");
    EXPECT_EQ(front.request(4, 0, "", 0).status, 7);
    served.command("behave");
    served.command("misbehave io-error kind=write");
    EXPECT_EQ(front.request(4, 0, "", 0).status, 0);
    EXPECT_EQ(front.request(1, 0, std::string(512, 'x'), 0).status, 1);
}

TEST_F(BehaviourTest, NoData) {
    front.request(1, 3, std::string(512, 'x'), 0);
    served.command("misbehave no-data");
    auto read = front.request(0, 3, "", 512);
    EXPECT_EQ(read.status, 0);
    EXPECT_EQ(read.length, 513u) << "as if it had been written";
    EXPECT_EQ(read.data, std::string(512, '\xCC'));
    auto written = front.request(1, 3, std::string(512, 'y'), 0);
    EXPECT_EQ(written.status, 0);
    EXPECT_EQ(written.length, 1u);
    EXPECT_EQ(served.disk(3, 512), std::string(512, 'x'));
    served.command("behave");
    EXPECT_EQ(front.request(0, 3, "", 512).data, std::string(512, 'x'));
}

TEST_F(BehaviourTest, Kinds) {
    served.command("misbehave length kind=write,flush");
    EXPECT_EQ(readLength(), 1025u);
    EXPECT_EQ(front.request(4, 0, "", 0).length, 0u);
    EXPECT_EQ(front.request(1, 0, std::string(512, 'x'), 0).length, 0u);
}

TEST_F(BehaviourTest, Moments) {
    auto pattern = [this](const std::string &when) {
        std::string hits;
        served.command("behave");
        served.command("misbehave length kind=flush " + when);
        for (int i = 0; i < 8; i++) {
            hits += front.request(4, 0, "", 0).length == 0 ? '*' : '.';
        }
        return hits;
    };
    EXPECT_EQ(pattern("when=always"), "********");
    EXPECT_EQ(pattern("when=on:3"), "..*.....");
    EXPECT_EQ(pattern("when=after:3"), "...*****");
    EXPECT_EQ(pattern("when=after:0"), "********");
    EXPECT_EQ(pattern("when=every:3"), "..*..*..");
    EXPECT_EQ(pattern("when=always times=2"), "**......");
    EXPECT_EQ(pattern("when=after:2 times=3"), "..***...");
    EXPECT_EQ(pattern("when=random:100"), "********");
    std::string one = pattern("when=random:50 seed=1"), two = pattern("when=random:50 seed=2");
    EXPECT_EQ(pattern("when=random:50 seed=1"), one) << "a seed is a sequence";
    EXPECT_NE(one, two);
    EXPECT_NE(served.command("rules").find("name=length value=0 kind=flush when=random:50 seen=8"),
              std::string::npos);
}

TEST_F(BehaviourTest, HeldUntilReleased) {
    served.command("misbehave hold kind=read");
    for (uint16_t i = 0; i < 3; i++) {
        front.submit(uint16_t(4 * i), 0, i, "", 512);
    }
    front.kick();
    while (served.counter("held") != 3) {
    }
    front.submit(20, 4, 0, "", 0);
    front.kick();
    EXPECT_EQ(front.used(1)[0].id, 20u) << "others are served meanwhile";
    EXPECT_EQ(served.command("release"), "ok released=3\n");
    EXPECT_EQ(front.used(3)[2].id, 8u);
}

TEST_F(BehaviourTest, Order) {
    auto order = [this](const std::string &rule) {
        std::string ids;
        served.command("behave");
        served.command("misbehave " + rule);
        for (uint16_t i = 0; i < 4; i++) {
            front.submit(uint16_t(4 * i), 4, 0, "", 0);
        }
        front.kick();
        if (rule == "hold") {
            while (served.counter("held") != 4) {
            }
            EXPECT_EQ(served.command("release 1"), "ok released=1\n");
            EXPECT_EQ(front.used(1)[0].id, 0u);
            EXPECT_EQ(served.counter("held"), 3u);
            served.command("release");
            ids = "0";
        }
        for (const Used &each : front.used(4 - ids.size())) {
            ids += std::to_string(each.id / 4);
        }
        return ids;
    };
    EXPECT_EQ(order("slow value=5"), "0123");
    EXPECT_EQ(order("reverse value=30"), "3210");
    EXPECT_EQ(order("hold"), "0123");
    EXPECT_EQ(order("slow value=40 when=on:1"), "1230");
}

TEST_F(BehaviourTest, SlowTakesItsTime) {
    served.command("misbehave slow value=60");
    auto began = Loop::Clock::now();
    front.request(4, 0, "", 0);
    EXPECT_GE(Loop::Clock::now() - began, std::chrono::milliseconds(60));
    EXPECT_TRUE(front.called(10'000));
}

// A stop doesn't wait: what is slow is answered then.
TEST_F(BehaviourTest, SlowEndsWithTheRing) {
    served.command("misbehave slow value=100000");
    front.submit(0, 4, 0, "", 0);
    front.kick();
    while (served.counter("pending") != 1) {
    }
    EXPECT_EQ(front.stopQueue(), 1u);
    EXPECT_EQ(front.used(1)[0].length, 1u);
}

TEST_F(BehaviourTest, CommandsThatMakeNoSense) {
    struct {
        const char *command, *answer;
    } const cases[] = {
        {"dance", "error unknown command 'dance'; see help\n"},
        {"misbehave", "error which misbehaviour? known: used-id, "},
        {"misbehave lie", "error unknown misbehaviour 'lie'; known: used-id, "},
        {"misbehave length value=-1", "error value '-1' is no number from 0 to "},
        {"misbehave length value=12x", "error value '12x' is no number"},
        {"misbehave length when=never", "error when=never: it must be always, on:K"},
        {"misbehave length when=on", "error when=on: it must be always"},
        {"misbehave length when=every:0", "error when=every:0: the number must be at least 1"},
        {"misbehave length kind=reads", "error unknown kind of request 'reads'; known: read, "},
        {"misbehave length kind=", "error unknown kind of request ''"},
        {"misbehave length colour=red", "error unknown option 'colour'; known: value, "},
        {"misbehave length 5", "error '5' isn't name=value\n"},
        {"behave 99", "error no rule has the name or number '99'\n"},
        {"set colour=red", "error unknown property 'colour'; known: serial, capacity, "},
        {"set seg_max=4294967296", "error seg_max '4294967296' is no number from 0 to 4294967295"},
        {"set seg_max", "error 'seg_max' isn't name=value\n"},
        {"release x", "error count 'x' is no number"},
        {"listen", "error listen on, or listen off"},
    };
    for (const auto &each : cases) {
        std::string answer = served.command(each.command);
        EXPECT_EQ(answer.rfind(each.answer, 0), 0u) << each.command << ": " << answer;
    }
    EXPECT_EQ(served.command("rules"), "ok\n") << "none of them left a rule";
}

} // namespace
} // namespace hostile
