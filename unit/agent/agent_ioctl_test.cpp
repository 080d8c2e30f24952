// SPDX-License-Identifier: MIT
//
// docs/console-protocol.md: `ioctl`.
#include <cstring>

#include <gtest/gtest.h>

#include "../../guest_driver/agent/core/pattern.h"
#include "fake_platform.h"

namespace {

std::string Code(uint32_t code) {
    return "ioctl " + std::to_string(code) + " ";
}

const std::string kRead = Code(IOCTL_VQ7_BLK_READ), kWrite = Code(IOCTL_VQ7_BLK_WRITE);
const std::string kId = Code(IOCTL_VQ7_BLK_GET_ID), kFlush = Code(IOCTL_VQ7_BLK_FLUSH);
// VQ7_BLK_TRANSFER of sector 3.
const std::string kSector3 = "in=03000000000000000000000000000000 ";

} // namespace

TEST(AgentIoctl, ShowsTheWholeOutputBuffer) {
    AgentRig rig;
    EXPECT_EQ(
        "#1 00000000 6469736b2030000000000000000000000000000000000000eeeeeeeeeeeeeeee\n"
        "#2 00000020 eeee\n"
        "ok lines=2 status=0x00000000 name=STATUS_SUCCESS information=24 crc=0x" +
            [] {
                std::string bytes("disk 0");
                bytes.resize(24);
                bytes.append(10, '\xee');
                char text[9];
                std::snprintf(text, sizeof(text), "%08x", BitwiseCrc(bytes));
                return std::string(text);
            }() +
            "\n",
        rig.Ask(kId + "out=34 fill=0xee"));
    EXPECT_EQ("ok lines=0 status=0xc0000023 name=STATUS_BUFFER_TOO_SMALL information=0",
              rig.Ask(kId + "out=23 quiet=1").substr(0, 71));
    EXPECT_EQ("STATUS_INVALID_DEVICE_REQUEST", Value(rig.Ask("ioctl 0xffffffff"), "name"));
}

TEST(AgentIoctl, TransfersWhatIsGiven) {
    AgentRig rig;
    agent::PatternFill(reinterpret_cast<uint64_t *>(&fake->disks[0].data[3 * 512]), 1, 3, 1);
    std::string answer = rig.Ask(kRead + kSector3 + "out=512 offset=9");
    EXPECT_EQ("#1 00000000 0300000000000000010000000000000001000000", answer.substr(0, 52));
    EXPECT_EQ("512", Value(answer, "information"));
    EXPECT_EQ("STATUS_SUCCESS", Value(rig.Ask(kWrite + kSector3 + "out=512 fill=0x5a"), "name"));
    EXPECT_EQ(std::string(512, 'Z'),
              std::string(reinterpret_cast<char *>(&fake->disks[0].data[3 * 512]), 512));
    // The input is the beginning of the data.
    EXPECT_EQ("STATUS_SUCCESS",
              Value(rig.Ask(kWrite + kSector3 + "out=512 same=1 offset=3 fill=1"), "name"));
    EXPECT_EQ(3, fake->disks[0].data[3 * 512]);
    EXPECT_EQ(0, fake->disks[0].data[3 * 512 + 1]);
    EXPECT_EQ(1, fake->disks[0].data[3 * 512 + 16]);
}

TEST(AgentIoctl, AccessIsThatOfTheHandle) {
    AgentRig rig;
    struct Case {
        const char *access;
        const char *read, *write;
    };
    for (const Case &c : {Case{"both", "STATUS_SUCCESS", "STATUS_SUCCESS"},
                          Case{"read", "STATUS_SUCCESS", "STATUS_ACCESS_DENIED"},
                          Case{"write", "STATUS_ACCESS_DENIED", "STATUS_SUCCESS"},
                          Case{"none", "STATUS_ACCESS_DENIED", "STATUS_ACCESS_DENIED"}}) {
        std::string access = std::string("quiet=1 access=") + c.access;
        EXPECT_EQ(c.read, Value(rig.Ask(kId + "out=24 " + access), "name")) << c.access;
        EXPECT_EQ(c.write, Value(rig.Ask(kFlush + access), "name")) << c.access;
    }
    fake->open_status = 0xC0000022;
    EXPECT_EQ("error lines=0 status=0xc0000022 name=STATUS_ACCESS_DENIED msg=\"device 0 can't be "
              "opened\"\n",
              rig.Ask(kFlush));
}

TEST(AgentIoctl, ManyAreInFlightAtOnceAndCounted) {
    AgentRig rig;
    fake->fault = [](const SubmittedOperation &, size_t index) {
        return index % 4 == 0 ? Fault::kIoError : Fault::kNone;
    };
    size_t in_use = fake->MemoryInUse();
    for (const char *more : {"", " share=1", " close=1", " share=1 close=1"}) {
        size_t before = fake->submitted.size();
        std::string answer = rig.Ask(kRead + kSector3 + "out=512 count=100" + more);
        EXPECT_EQ(100u, fake->submitted.size() - before);
        EXPECT_EQ(100u, fake->submitted.back().flying) << more;
        EXPECT_NE(std::string::npos,
                  answer.find("status=0xc0000185 name=STATUS_IO_DEVICE_ERROR information=0 "
                              "requests=25\n"))
            << answer;
        EXPECT_NE(std::string::npos, answer.find("information=512 requests=75\n"));
        EXPECT_NE(std::string::npos, answer.find("ok lines=2 requests=100\n"));
        EXPECT_TRUE(fake->open.empty());
        EXPECT_EQ(in_use, fake->MemoryInUse());
    }
}

TEST(AgentIoctl, ALostRequestIsAnErrorAndItsMemoryStays) {
    for (const char *more : {"", " count=3", " count=3 close=1"}) {
        AgentRig rig;
        size_t in_use = fake->MemoryInUse();
        fake->fault = [](const SubmittedOperation &, size_t index) {
            return index == 0 ? Fault::kLost : Fault::kNone;
        };
        std::string answer = rig.Ask(kRead + kSector3 + "out=512 quiet=1" + more);
        EXPECT_NE(std::string::npos, answer.find("name=REQUEST_LOST")) << answer;
        EXPECT_GT(fake->MemoryInUse(), in_use);
        EXPECT_EQ("STATUS_DEVICE_BUSY", Value(rig.Ask(kFlush), "name"));
        fake->ReturnLost();
        EXPECT_EQ("ok ", rig.Ask("blk flush").substr(0, 3));
        EXPECT_EQ(in_use, fake->MemoryInUse());
        EXPECT_EQ("ok ", rig.Ask(kFlush).substr(0, 3));
        EXPECT_TRUE(fake->open.empty());
    }
}

TEST(AgentIoctl, BadArguments) {
    AgentRig rig;
    struct Case {
        const char *command, *message;
    };
    for (const Case &bad :
         {Case{"ioctl", "code is missing"},
          Case{"ioctl 4294967296", "code must be from 0 to 42949"},
          Case{"ioctl 0 in=012", "in is no even number of hexadecimal digits"},
          Case{"ioctl 0 in=0x12", "in is no even number of hexadecimal digits"},
          Case{"ioctl 0 in=00 in_size=0", "in_size is less than what in= gives"},
          Case{"ioctl 0 in_size=9 out=8 same=1",
               "same needs an output buffer as long as the input"},
          Case{"ioctl 0 out=65537", "out above 65536 needs quiet=1"},
          Case{"ioctl 0 access=all", "access must be both or read or write or none"},
          Case{"ioctl 0 offset=4096", "offset must be from 0 to 4095"}})
        EXPECT_NE(std::string::npos,
                  rig.Ask(bad.command).find(std::string("name=BAD_ARGUMENT msg=\"") + bad.message))
            << rig.Ask(bad.command);
    EXPECT_TRUE(fake->submitted.empty());
    fake->memory_limit = fake->MemoryInUse() + 100000;
    size_t in_use = fake->MemoryInUse();
    EXPECT_EQ("NO_MEMORY", Value(rig.Ask(kFlush + "count=100"), "name"));
    EXPECT_EQ(in_use, fake->MemoryInUse());
}

TEST(AgentUnloaded, NoCommandFindsADevice) {
    AgentRig rig;
    rig.Ask("driver unload");
    for (const char *command : {"queues", "stats", "stats clear", "blk info", "blk read 0 1",
                                "blk write 0 1 seed=1 gen=1", "blk verify 0 1 seed=1 gen=1",
                                "blk flush", "blk id", "blk run", "ioctl 0", "driver unload"})
        EXPECT_EQ("NO_DEVICE", Value(rig.Ask(command), "name")) << command;
    // It goes between the look at the list and the opening.
    rig.Ask("driver load");
    for (uint32_t status :
         {0xC000000Eu, 0xC000000Fu, 0xC0000034u, 0xC000003Au, 0xC0000056u, 0xC00000C0u}) {
        fake->open_status = status;
        EXPECT_EQ("NO_DEVICE", Value(rig.Ask("stats"), "name"));
        EXPECT_EQ("NO_DEVICE", Value(rig.Ask("ioctl 0"), "name"));
    }
}
