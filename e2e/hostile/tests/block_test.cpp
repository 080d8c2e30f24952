// SPDX-License-Identifier: MIT
// The device behaves: what a driver may ask for and what it then finds.
#include <gtest/gtest.h>

#include "front_end.h"

namespace hostile {
namespace {

constexpr uint32_t In = 0, Out = 1, Flush = 4, GetId = 8;
constexpr uint8_t Ok = 0, IoErr = 1, Unsupp = 2;

std::string text(size_t bytes, char first = 'a') {
    std::string all(bytes, '\0');
    for (size_t i = 0; i < bytes; i++) {
        all[i] = char(first + (i * 7 + i / 512) % 26);
    }
    return all;
}

class BlockTest : public ::testing::Test {
  protected:
    void start(uint64_t features = Version1 | EventIdx | Indirect | bit(1) | bit(2) | bit(6)) {
        front.negotiate(features & front.ask(Type::GetFeatures));
        front.shareMemory();
        front.startQueue();
    }
    Served served;
    FrontEnd front{served.socketPath()};
};

TEST_F(BlockTest, WhatIsWrittenIsRead) {
    start();
    auto wrote = front.request(Out, 8, text(4096), 0);
    EXPECT_EQ(wrote.status, Ok);
    EXPECT_EQ(wrote.length, 1u);
    EXPECT_EQ(served.disk(8, 4096), text(4096));
    auto read = front.request(In, 9, "", 1024);
    EXPECT_EQ(read.status, Ok);
    EXPECT_EQ(read.length, 1025u);
    EXPECT_EQ(read.data, text(4096).substr(512, 1024));
    EXPECT_EQ(front.request(Flush, 0, "", 0).status, Ok);
    EXPECT_EQ(served.counter("write"), 1u);
    EXPECT_EQ(served.counter("read"), 1u);
    EXPECT_EQ(served.counter("flush"), 1u);
}

// 5.2.6.1: what isn't known is said so; what can't be done is an error.
TEST_F(BlockTest, RefusesWhatItMust) {
    served.command("set blk_size=4096");
    start();
    EXPECT_EQ(front.request(99, 0, "", 0).status, Unsupp);
    EXPECT_EQ(front.request(In, 2048, "", 4096).status, IoErr) << "past the end";
    EXPECT_EQ(front.request(In, UINT64_MAX - 7, "", 4096).status, IoErr) << "a sum that wraps";
    EXPECT_EQ(front.request(In, 0, "", 100).status, IoErr) << "no whole sector";
    EXPECT_EQ(front.request(In, 0, "", 512).status, IoErr) << "no whole block";
    EXPECT_EQ(front.request(In, 1, "", 4096).status, IoErr) << "not at a block's start";
    served.command("set read_only=1");
    EXPECT_EQ(front.request(Out, 0, text(4096), 0).status, IoErr) << "read-only";
    EXPECT_EQ(served.disk(0, 512), std::string(512, '\0'));
    auto last = front.request(In, 2040, "", 4096);
    EXPECT_EQ(last.status, Ok);
}

// A length says how much was written (2.7.8.2), also when the request failed.
TEST_F(BlockTest, AFailedReadLeavesNothingUnwrittenThatItCounts) {
    start();
    auto failed = front.request(In, 4096, "", 1024);
    EXPECT_EQ(failed.status, IoErr);
    EXPECT_EQ(failed.length, 1025u);
    EXPECT_EQ(failed.data, std::string(1024, '\0'));
}

TEST_F(BlockTest, Serial) {
    start();
    EXPECT_EQ(front.request(GetId, 0, "", 20).data, std::string("VQ7-DISK-0") + std::string(10, 0));
    served.command("set serial=");
    EXPECT_EQ(front.request(GetId, 0, "", 20).data, std::string(20, '\0'));
    served.command("set serial=12345678901234567890");
    auto full = front.request(GetId, 0, "", 20);
    EXPECT_EQ(full.data, "12345678901234567890");
    EXPECT_EQ(full.length, 21u);
    EXPECT_EQ(served.command("set serial=123456789012345678901").rfind("error ", 0), 0u);
}

// 2.7.4.3: a modern driver may cut header, data and status as it likes.
TEST_F(BlockTest, AnyLayout) {
    start();
    std::string bytes = text(1024, 'A');
    struct {
        uint32_t type = Out, reserved = 0;
        uint64_t sector = 3;
    } header;
    std::string whole = std::string(reinterpret_cast<char *>(&header), 16) + bytes;
    uint64_t place = front.put(whole), status = front.put("\xFF");
    front.chain(5, {{place, 1, false},
                    {place + 1, 18, false},
                    {place + 19, uint32_t(whole.size() - 19), false},
                    {status, 1, true}});
    front.publish(5);
    front.kick();
    EXPECT_EQ(front.used(1)[0].length, 1u);
    EXPECT_EQ(*front.at(status), Ok);
    EXPECT_EQ(served.disk(3, 1024), bytes);

    header.type = In;
    uint64_t back = front.room(1025);
    front.chain(5, {{front.put({reinterpret_cast<char *>(&header), 16}), 16, false},
                    {back, 700, true},
                    {back + 700, 325, true}});
    front.publish(5);
    front.kick();
    EXPECT_EQ(front.used(1)[0].length, 1025u);
    EXPECT_EQ(front.get(back, 1024), bytes);
    EXPECT_EQ(*front.at(back + 1024), Ok) << "the status is the last writable byte";
}

// 2.7.5.3.2: direct descriptors, then one that refers to a table; its write flag is ignored.
TEST_F(BlockTest, IndirectAfterDirect) {
    start();
    std::string header(16, '\0');
    uint64_t table = front.room(64), data = front.room(512), status = front.put("\xFF");
    front.describe(table, 0, {data, 512, true}, 1, 1);
    front.describe(table, 1, {status, 1, true}, 0, 0);
    front.describe(front.table(), 7, {front.put(header), 16, false}, 1, 9);
    front.describe(front.table(), 9, {table, 32, true}, 4, 0);
    front.publish(7);
    front.kick();
    EXPECT_EQ(front.used(1)[0].length, 513u);
    EXPECT_EQ(*front.at(status), Ok);
}

TEST_F(BlockTest, DataAcrossMemoryRegions) {
    start();
    std::string bytes = text(2048, 'k');
    memcpy(front.at(FrontEnd::Split - 700), bytes.data(), bytes.size());
    struct {
        uint32_t type = Out, reserved = 0;
        uint64_t sector = 100;
    } header;
    uint64_t status = front.put("\xFF");
    front.chain(0, {{front.put({reinterpret_cast<char *>(&header), 16}), 16, false},
                    {FrontEnd::Split - 700, 2048, false},
                    {status, 1, true}});
    front.publish(0);
    front.kick();
    front.used(1);
    EXPECT_EQ(*front.at(status), Ok);
    EXPECT_EQ(served.disk(100, 2048), bytes);
}

// A driver that has negotiated limits and exceeds them is told, and it is counted.
TEST_F(BlockTest, LimitsOfSegments) {
    served.command("set seg_max=1 size_max=1024");
    start();
    EXPECT_EQ(front.request(In, 0, "", 1024).status, Ok);
    EXPECT_EQ(served.counter("limits_exceeded"), 0u);
    EXPECT_EQ(front.request(In, 0, "", 1536).status, IoErr);
    EXPECT_EQ(served.counter("limits_exceeded"), 1u);
}

TEST_F(BlockTest, Configuration) {
    served.command("set capacity=12345 seg_max=3 size_max=4096 blk_size=4096 queues=4");
    FrontEnd second(served.socketPath()); // waits for the first one to go
    start();
    std::vector<uint8_t> bytes = front.config(0, 36);
    ASSERT_EQ(bytes.size(), 36u);
    auto field = [&](size_t at) {
        uint32_t value;
        memcpy(&value, bytes.data() + at, 4);
        return value;
    };
    EXPECT_EQ(field(0), 12345u);
    EXPECT_EQ(field(8), 4096u);
    EXPECT_EQ(field(12), 3u);
    EXPECT_EQ(field(20), 4096u);
    EXPECT_EQ(bytes[34], 4);
    EXPECT_EQ(front.config(200, 56), std::vector<uint8_t>(56, 0)) << "beyond what it has: zeros";
    EXPECT_TRUE(front.config(200, 57).empty()) << "beyond what there can be";
}

TEST_F(BlockTest, TheFrontEndHearsOfAChange) {
    start();
    Fd channel = front.backendChannel();
    EXPECT_EQ(served.command("set capacity=4096"), "ok told=1\n");
    Receiver receiver;
    ASSERT_TRUE(readableWithin(channel.get(), 10'000));
    ASSERT_EQ(receiver.receive(channel.get()), Receiver::State::Whole);
    EXPECT_EQ(receiver.take().header.request, BackendConfigChange);
    EXPECT_EQ(front.config(0, 2), (std::vector<uint8_t>{0, 16}));
    EXPECT_EQ(served.command("set serial=x"), "ok told=0\n");
}

// Only the cache mode may be written, and only where it is offered (5.2.4).
TEST_F(BlockTest, WritesOfTheConfiguration) {
    struct {
        ConfigSpace head;
        uint8_t value;
        uint8_t rest[3];
    } wce{{32, 1, 0}, 0, {}};
    start();
    EXPECT_EQ(front.tell(Type::SetConfig, wce), 1u);
    served.command("set config_wce=1");
    EXPECT_EQ(front.tell(Type::SetConfig, wce), 0u);
    EXPECT_EQ(front.config(32, 1), std::vector<uint8_t>{0});
    EXPECT_EQ(front.request(Out, 0, text(512), 0).status, Ok) << "writethrough";
    wce.head.offset = 0;
    EXPECT_EQ(front.tell(Type::SetConfig, wce), 1u);
    wce.head.flags = ConfigMigration;
    EXPECT_EQ(front.tell(Type::SetConfig, wce), 0u);
}

// `with`: a feature whose field makes no sense.
TEST_F(BlockTest, FeaturesWithoutTheirFields) {
    served.command("set seg_max=0 size_max=0 with=0x46");
    EXPECT_EQ(front.ask(Type::GetFeatures) & 0x46u, 0x46u);
}

} // namespace
} // namespace hostile
