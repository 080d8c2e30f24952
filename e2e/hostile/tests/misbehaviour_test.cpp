// SPDX-License-Identifier: MIT
// The ways to break the protocol: each does what its description says, and the back end
// serves correctly as soon as it is told to.
#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "front_end.h"

namespace hostile {
namespace {

class MisbehaviourTest : public ::testing::Test {
  protected:
    void SetUp() override {
        start(Version1 | EventIdx | Indirect);
    }
    void start(uint64_t features) {
        front.negotiate(features);
        front.shareMemory();
        front.startQueue();
    }
    void misbehave(const std::string &rule) {
        std::string answer = served.command("misbehave " + rule);
        ASSERT_EQ(answer.rfind("ok rule=", 0), 0u) << answer;
    }
    void submitFlush(uint16_t head) {
        front.submit(head, 4, 0, "", 0);
        front.kick();
    }
    // Goes on with a ring that the lie has left in no order.
    void expectServes() {
        served.command("behave");
        front.stopQueue();
        front.resetRing();
        front.startQueue();
        EXPECT_EQ(front.request(4, 0, "", 0).status, 0);
    }
    uint16_t usedIndex() {
        return *reinterpret_cast<volatile uint16_t *>(front.at(front.usedRing() + 2));
    }
    void waitForCompleted(uint64_t count) {
        while (served.counter("completed") < count) {
        }
    }
    Served served;
    FrontEnd front{served.socketPath()};
};

TEST_F(MisbehaviourTest, UsedIds) {
    struct {
        const char *rule;
        uint32_t id;
    } const cases[] = {
        {"used-id value=0x1234567", 0x1234567},
        {"used-id-beyond", 64},
        {"used-id-beyond value=0xFFBF", 0xFFFF},
        {"used-id-inside", 11},
        {"used-id-unissued", 63},
    };
    for (const auto &each : cases) {
        misbehave(each.rule);
        submitFlush(10);
        EXPECT_EQ(front.used(1)[0].id, each.id) << each.rule;
        expectServes();
    }
}

TEST_F(MisbehaviourTest, UsedTwice) {
    misbehave("used-twice");
    submitFlush(8);
    std::vector<Used> both = front.used(2);
    EXPECT_EQ(both[0].id, 8u);
    EXPECT_EQ(both[1].id, 8u);
    expectServes();
}

TEST_F(MisbehaviourTest, UsedIndex) {
    for (uint16_t offset : {1, 64, 32768, 65534, 65535}) {
        misbehave("used-index value=" + std::to_string(offset));
        uint64_t completed = served.counter("completed");
        uint16_t index = usedIndex();
        submitFlush(0);
        waitForCompleted(completed + 1);
        EXPECT_EQ(usedIndex(), uint16_t(index + 1 + offset));
        expectServes();
    }
}

TEST_F(MisbehaviourTest, Forgotten) {
    misbehave("forget when=on:1");
    submitFlush(0);
    submitFlush(4);
    EXPECT_EQ(front.used(1)[0].id, 4u);
    EXPECT_EQ(served.command("release"), "ok released=0\n") << "it isn't held, but forgotten";
    EXPECT_EQ(served.counter("held"), 0u);
    EXPECT_EQ(served.counter("pending"), 1u);
    expectServes();
}

TEST_F(MisbehaviourTest, HangsUp) {
    misbehave("hang-up value=20");
    submitFlush(0);
    EXPECT_TRUE(front.closed());
    served.command("behave");
    FrontEnd again(served.socketPath());
    again.negotiate(Version1);
    EXPECT_EQ(served.counter("connections"), 2u);
}

TEST_F(MisbehaviourTest, Interrupts) {
    misbehave("no-interrupt when=on:1");
    front.usedEvent(0);
    submitFlush(0);
    front.used(1);
    EXPECT_EQ(served.counter("calls"), 0u);
    EXPECT_FALSE(front.called(0));
    misbehave("storm value=30 when=on:1");
    front.usedEvent(1);
    submitFlush(0);
    while (served.counter("calls") < 31) {
    }
    EXPECT_TRUE(front.called(10'000));
    misbehave("early-interrupt value=50 when=on:1");
    front.usedEvent(2);
    uint64_t completed = served.counter("completed");
    submitFlush(0);
    EXPECT_TRUE(front.called(10'000));
    EXPECT_EQ(served.counter("completed"), completed) << "the answer isn't there yet";
    front.used(1);
    served.command("behave");
    front.usedEvent(3);
    front.request(4, 0, "", 0);
    EXPECT_TRUE(front.called(10'000));
}

TEST_F(MisbehaviourTest, NotificationFields) {
    misbehave("avail-event value=0x8000 when=on:1");
    front.request(4, 0, "", 0);
    served.command("status");
    EXPECT_EQ(front.availableEvent(), 0x8001);
    misbehave("no-notify when=on:1");
    front.request(4, 0, "", 0);
    served.command("status");
    EXPECT_EQ(front.availableEvent(), 1) << "the index that is farthest away";
    EXPECT_EQ(*front.at(front.usedRing()), 1) << "used->flags";
    front.request(4, 0, "", 0); // until the next request
    served.command("status");
    EXPECT_EQ(front.availableEvent(), 3);
    EXPECT_EQ(*front.at(front.usedRing()), 0);
}

TEST_F(MisbehaviourTest, LooksWithoutKicks) {
    misbehave("poll value=5000 when=on:1");
    front.request(4, 0, "", 0);
    front.submit(0, 4, 0, "", 0);
    EXPECT_EQ(front.used(1).size(), 1u) << "with no kick";
    misbehave("flicker value=300 when=on:1");
    front.request(4, 0, "", 0);
    std::set<uint16_t> seen;
    while (seen.size() < 8) {
        seen.insert(front.availableEvent());
    }
    expectServes();
}

// What the driver wrote is overwritten, and the device goes on all the same.
TEST_F(MisbehaviourTest, Scribbles) {
    auto descriptor = [this](uint16_t index) { return front.get(front.table() + 16 * index, 16); };
    for (const char *rule : {"scribble value=31", "scribble-after value=31"}) {
        misbehave(rule);
        for (int round = 0; round < 100; round++) {
            auto head = uint16_t(3 * (round % 8));
            front.submit(head, 4, 0, "", 0);
            std::string before = descriptor(head), inside = descriptor(uint16_t(head + 1));
            front.kick();
            front.used(1);
            served.command("status"); // it is through with it
            ASSERT_NE(descriptor(head), before) << rule << round;
            ASSERT_NE(descriptor(uint16_t(head + 1)), inside) << rule << round;
        }
        EXPECT_EQ(served.counter("ring_errors"), 0u);
        expectServes();
    }
}

TEST_F(MisbehaviourTest, ScribblesWhatItWasGivenToRead) {
    misbehave("scribble value=8 kind=write");
    auto address = [this](uint16_t index) {
        uint64_t value;
        memcpy(&value, front.at(front.table() + 16 * index), sizeof(value));
        return value;
    };
    std::string text(512, 'x');
    front.submit(0, 1, 5, text, 0);
    front.kick();
    front.used(1);
    EXPECT_EQ(served.disk(5, 512), text) << "it had been written by then";
    EXPECT_NE(front.get(address(0), 4), std::string({1, 0, 0, 0})) << "the header";
    EXPECT_NE(front.get(address(1), 512), text) << "the data";
}

TEST_F(MisbehaviourTest, WritesBehindTheRing) {
    misbehave("scribble value=32");
    uint64_t behind = front.usedRing() + 8192;
    submitFlush(0);
    front.used(1);
    EXPECT_NE(front.get(behind, 8), std::string(8, '\0'));
    EXPECT_EQ(front.get(behind + 8, 8), std::string(8, '\0'));
}

TEST_F(MisbehaviourTest, Late) {
    front.request(1, 3, std::string(512, 'd'), 0);
    auto early = [this](const std::string &rule, uint8_t &status, std::string &data) {
        misbehave(rule + " value=400 when=on:1");
        uint64_t place = 0, byte = front.submit(0, 0, 3, "", 512, &place);
        front.kick();
        front.used(1);
        status = *front.at(byte);
        data = front.get(place, 512);
        std::this_thread::sleep_for(std::chrono::milliseconds(450));
        served.command("status"); // it is through with what is due
        EXPECT_EQ(front.get(place, 512), std::string(512, 'd')) << rule;
        return *front.at(byte);
    };
    std::string data;
    uint8_t status;
    EXPECT_EQ(early("late-data", status, data), 0);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(data, std::string(512, '\xCC'));
    EXPECT_EQ(early("late-status", status, data), 0);
    EXPECT_EQ(status, 0xFF);
    EXPECT_EQ(data, std::string(512, 'd'));
    EXPECT_EQ(early("late-all", status, data), 0);
    EXPECT_EQ(status, 0xFF);
    EXPECT_EQ(data, std::string(512, '\xCC'));
    EXPECT_EQ(early("status-again", status, data), 0xA5);
    EXPECT_EQ(status, 0);
}

TEST_F(MisbehaviourTest, WritesOutsideTheBuffer) {
    misbehave("outside value=8 kind=read");
    front.room(64); // so that there is something before it in its page
    uint64_t place = 0;
    front.submit(0, 0, 0, "", 512, &place);
    std::string before = front.get(place - 16, 16), behind = front.get(place + 512, 16);
    front.kick();
    front.used(1);
    EXPECT_EQ(front.get(place, 512), std::string(512, '\0')) << "the data itself is right";
    EXPECT_EQ(front.get(place - 16, 8), before.substr(0, 8));
    EXPECT_NE(front.get(place - 8, 8), before.substr(8));
    EXPECT_NE(front.get(place + 512, 8), behind.substr(0, 8));
    EXPECT_EQ(front.get(place + 520, 8), behind.substr(8));
}

TEST_F(MisbehaviourTest, AnyOrder) {
    misbehave("shuffle value=40 seed=3");
    std::string ids;
    for (uint16_t i = 0; i < 8; i++) {
        front.submit(uint16_t(4 * i), 4, 0, "", 0);
    }
    front.kick();
    for (const Used &each : front.used(8)) {
        ids += std::to_string(each.id / 4);
    }
    std::string sorted = ids;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(sorted, "01234567") << "each of them once";
    EXPECT_NE(ids, sorted);
}

} // namespace
} // namespace hostile
