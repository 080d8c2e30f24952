// SPDX-License-Identifier: MIT
//
// docs/console-protocol.md: "Data", "Commands".
#include <cstring>

#include <gtest/gtest.h>

#include "../../guest_driver/agent/core/pattern.h"
#include "../../guest_driver/agent/core/text.h"
#include "fake_platform.h"

TEST(AgentPattern, HoldsTheVectors) {
    // From a Python implementation of the document.
    uint64_t words[64];
    agent::PatternFill(words, 1, 0, 0);
    EXPECT_EQ(0u, words[0]);
    EXPECT_EQ(0u, words[1]);
    EXPECT_EQ(1u, words[2]);
    EXPECT_EQ(0x852386fec1e4480aull, words[3]);
    EXPECT_EQ(0xc21bbd1af2096cbfull, words[4]);
    EXPECT_EQ(0x37caeae835cb6dd8ull, words[63]);
    EXPECT_EQ(0x5cc3a128u, BitwiseCrc(std::string(reinterpret_cast<char *>(words), 512)));
    agent::PatternFill(words, UINT64_MAX, 0x123456789A, 7);
    EXPECT_EQ(0x68c884bau, BitwiseCrc(std::string(reinterpret_cast<char *>(words), 512)));
}

TEST(AgentNumbers, ParsesDecimalAndHexadecimal) {
    uint64_t value = 0;
    auto parse = [&](const char *text) {
        return agent::ParseNumber(text, std::strlen(text), &value);
    };
    EXPECT_TRUE(parse("18446744073709551615"));
    EXPECT_EQ(UINT64_MAX, value);
    EXPECT_TRUE(parse("0xFFFFFFFFffffffff"));
    EXPECT_EQ(UINT64_MAX, value);
    EXPECT_TRUE(parse("0"));
    EXPECT_EQ(0u, value);
    for (const char *bad : {"", "0x", "x1", "1x", "-1", "+1", " 1", "18446744073709551616",
                            "0x10000000000000000", "1.0", "0b1"})
        EXPECT_FALSE(parse(bad)) << bad;
}

TEST(AgentCommands, InfoAndDevices) {
    AgentRig rig;
    EXPECT_EQ("ok lines=1 devices=1\n",
              rig.Ask("devices").substr(rig.Ask("devices").find("ok lines")));
    std::string line = rig.Ask("devices");
    EXPECT_EQ(0u, line.find("#1 dev=0 type=blk transport=modern pci=00:04.0 id=1af4:1042 queues=1 "
                            "interrupt=message vectors=2 status=0x0f "
                            "device_features=0x0000000000000000 "
                            "driver_features=0x0000000100000200 state=running failure=none\n"))
        << line;
    EXPECT_EQ("#1 queue=0 size=128 max_size=256 vector=0 broken=0 last_error=0x00000000\n"
              "ok lines=1 queues=1\n",
              rig.Ask("queues"));
    EXPECT_EQ("loaded", Value(rig.Ask("info"), "driver"));
}

TEST(AgentCommands, Stats) {
    AgentRig rig;
    EXPECT_EQ("ok lines=0 in_flight=0 submitted=1 completed=1 errors=0 bytes_read=0 "
              "bytes_written=0 notifications=0 suppressed=0 interrupts=0 interrupts_not_ours=0 "
              "config_changes=0 dpcs=0 ring_full=0 indirect=0 max_in_flight=0 "
              "odd_lengths=0 bounced=0 failures=0 failed=none restarts=0 resent=0 timed_out=0 "
              "lost_interrupts=0\n",
              rig.Ask("stats"));
    EXPECT_EQ("ok lines=0\n", rig.Ask("stats clear dev=0"));
    EXPECT_EQ(IOCTL_VQ7_CLEAR_STATS, fake->submitted.back().code);
}

TEST(AgentCommands, Failures) {
    AgentRig rig;
    FakeDisk &disk = fake->disks[0];
    const char *const states[] = {"stopped", "running", "failed", "recovering", "unknown"};
    for (uint8_t state = 0; state < 5; state++) {
        disk.state = state;
        EXPECT_EQ(states[state], Value(rig.Ask("devices"), "state"));
    }
    const char *const names[] = {"none",           "used-id-out-of-range",
                                 "used-idx-jump",  "used-never-issued",
                                 "used-mid-chain", "used-twice",
                                 "used-length",    "protocol",
                                 "needs-reset",    "time-out",
                                 "reset-stuck",    "gone",
                                 "start-failed",   "unknown"};
    for (uint8_t failure = 0; failure < 14; failure++) {
        disk.last_failure = failure;
        EXPECT_EQ(names[failure], Value(rig.Ask("devices"), "failure"));
    }
    disk.failures.count[VQ7_FAILURE_TIME_OUT] = 3;
    EXPECT_EQ("time-out:3", Value(rig.Ask("stats"), "failed"));
    disk.failures.count[VQ7_FAILURE_USED_ID] = 20;
    EXPECT_EQ("used-id-out-of-range:20,time-out:3", Value(rig.Ask("stats"), "failed"));
    EXPECT_EQ("23", Value(rig.Ask("stats"), "failures"));
    // All of them, as large as they get, fit the answer.
    for (uint32_t i = 1; i < VQ7_FAILURE_ROOM; i++)
        disk.failures.count[i] = 9999999;
    EXPECT_EQ("149999985", Value(rig.Ask("stats"), "failures"));
    disk.failures.lost_interrupts = 7;
    EXPECT_EQ("7", Value(rig.Ask("stats"), "lost_interrupts"));
}

TEST(AgentCommands, RestartAndTimeout) {
    AgentRig rig;
    EXPECT_EQ("ok lines=0\n", rig.Ask("device restart"));
    EXPECT_EQ(IOCTL_VQ7_RESTART, fake->submitted.back().code);
    EXPECT_EQ("ok lines=0 timeout_ms=0 retries=0\n", rig.Ask("device timeout"));
    EXPECT_EQ("ok lines=0 timeout_ms=250 retries=0\n", rig.Ask("device timeout ms=250"));
    EXPECT_EQ("ok lines=0 timeout_ms=250 retries=4\n", rig.Ask("device timeout retries=4"));
    EXPECT_EQ(IOCTL_VQ7_SET_TIMEOUT, fake->submitted.back().code);
    EXPECT_EQ("BAD_ARGUMENT", Value(rig.Ask("device timeout ms=x"), "name"));
    fake->fault = [](const SubmittedOperation &, size_t) { return Fault::kIoError; };
    EXPECT_EQ("STATUS_IO_DEVICE_ERROR", Value(rig.Ask("device restart"), "name"));
}

TEST(AgentCommands, LowMemory) {
    AgentRig rig;
    EXPECT_EQ("ok lines=0 fail=0 calls=0 failed=none at=0x00000000\n", rig.Ask("lowmemory"));
    EXPECT_EQ("ok lines=0 fail=7 calls=0 failed=none at=0x00000000\n", rig.Ask("lowmemory fail=7"));
    fake->low_resources = {7, 9, "pool", 0x1234};
    EXPECT_EQ("ok lines=0 fail=7 calls=9 failed=pool at=0x00001234\n", rig.Ask("lowmemory"));
    EXPECT_EQ("BAD_ARGUMENT", Value(rig.Ask("lowmemory fail=-1"), "name"));
    fake->has_faults = false;
    EXPECT_EQ("NOT_SUPPORTED", Value(rig.Ask("lowmemory fail=1"), "name"));
}

TEST(AgentCommands, Lies) {
    AgentRig rig;
    EXPECT_EQ("ok lines=0\n", rig.Ask("lie add slot=4 at=0x34 width=1 value=0"));
    EXPECT_EQ("ok lines=0\n", rig.Ask("lie add slot=5 space=bar4 at=0x1014 width=4 op=count "
                                      "value=0xffffffff skip=2 times=3"));
    EXPECT_EQ("#1 lie=0 slot=4 space=config at=0x000034 width=1 op=set value=0x00000000 skip=0 "
              "times=0 reads=0 hits=0\n"
              "#2 lie=1 slot=5 space=bar4 at=0x001014 width=4 op=count value=0xffffffff skip=2 "
              "times=3 reads=0 hits=0\n"
              "ok lines=2 lies=2\n",
              rig.Ask("lie list"));
    EXPECT_EQ("ok lines=0\n", rig.Ask("lie clear"));
    EXPECT_EQ("ok lines=0 lies=0\n", rig.Ask("lie list"));
    for (const char *bad : {"lie add at=1 width=1 value=1", "lie add slot=4 width=1 value=1",
                            "lie add slot=4 at=1 width=1", "lie add slot=4 at=1 width=5 value=1",
                            "lie add slot=4 space=bar6 at=1 width=1 value=1",
                            "lie add slot=4 op=not at=1 width=1 value=1"})
        EXPECT_EQ("BAD_ARGUMENT", Value(rig.Ask(bad), "name")) << bad;
    fake->has_faults = false;
    EXPECT_EQ("NOT_SUPPORTED", Value(rig.Ask("lie clear"), "name"));
}

TEST(AgentCommands, Help) {
    AgentRig rig;
    EXPECT_EQ("#1 blk flush [dev=n]\nok lines=1\n", rig.Ask("help blk flush"));
    EXPECT_NE(std::string::npos, rig.Ask("help blk").find("ok lines=7\n"));
    EXPECT_NE(std::string::npos, rig.Ask("help").find("ok lines=27\n"));
    EXPECT_EQ("UNKNOWN_COMMAND", Value(rig.Ask("help nothing"), "name"));
    EXPECT_EQ("BAD_ARGUMENT", Value(rig.Ask("help blk read 0"), "name"));
}

struct BadCase {
    const char *command, *message;
};

TEST(AgentCommands, BadArgumentsAreNamed) {
    const BadCase cases[] = {
        {"info x", "'x' is one argument too many"},
        {"devices dev=0", "'dev=0' is not an option of this command"},
        {"stats dev=x", "dev is not a number"},
        {"stats dev=-1", "dev is not a number"},
        {"stats dev=4294967296", "dev must be from 0 to 4294967295"},
        {"stats dev=0 dev=0", "dev is given twice"},
        {"blk read", "sector is missing"},
        {"blk read 0", "count is missing"},
        {"blk read a 1", "sector is not a number"},
        {"blk read 0 0", "count must be from 1 to 2048"},
        {"blk read 0 2049 quiet=1", "count must be from 1 to 2048"},
        {"blk read 0 129", "count above 128 needs quiet=1"},
        {"blk read 18446744073709551615 2", "sector plus count passes 2^64"},
        {"blk read 0 1 quiet=2", "quiet must be from 0 to 1"},
        {"blk read 0 1 segments=4097", "segments must be from 0 to 4096"},
        {"blk read 0 1 2", "'2' is one argument too many"},
        {"blk read 0 quiet=1 1", "count is missing"},
        {"blk read 0 1 quiet=1 x", "'x' stands behind an option"},
        {"blk read 0 1 seed=1", "'seed=1' is not an option of this command"},
        {"blk write 0 1 gen=1", "seed is missing"},
        {"blk write 0 1 seed=1", "gen is missing"},
        {"blk verify 0 1 seed= gen=1", "seed is not a number"},
        {"blk flush 1", "'1' is one argument too many"},
        {"blk run write=101", "write must be from 0 to 100"},
        {"blk run sizes=", "sizes is not a number"},
        {"blk run sizes=512,", "sizes is not a number"},
        {"blk run sizes=0", "sizes must be from 512 to 16777216"},
        {"blk run sizes=513", "sizes must be multiples of 512"},
        {"blk run sizes=512,512,512,512,512,512,512,512,512,512,512,512,512,512,512,512,512",
         "sizes has too many values"},
        {"blk run pattern=zigzag", "pattern must be random or sequential"},
        {"blk run depth=0", "depth must be from 1 to 4096"},
        {"blk run ops=0", "ops must be from 1 to 4294967293"},
        {"blk run base=2", "base must be from 0 to 1"},
        {"blk run start=4096", "start is behind the end of the disk"},
        {"blk run start=4000 span=97", "span passes the end of the disk"},
        {"blk run span=7", "span is smaller than the largest of sizes"},
        {"reset now", "'now' is one argument too many"},
        {"driver unload now", "'now' is one argument too many"},
        {"crash now", "'now' is one argument too many"},
        {"info a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a",
         "arguments are too many"},
        {"info =\"\\", "'=\\\"\\\\' is not an option of this command"},
    };
    AgentRig rig;
    for (const BadCase &bad : cases)
        EXPECT_EQ(std::string("error lines=0 status=0xe0070002 name=BAD_ARGUMENT msg=\"") +
                      bad.message + "\"\n",
                  rig.Ask(bad.command))
            << bad.command;
    EXPECT_EQ("", fake->machine);
    EXPECT_TRUE(fake->loaded);
    for (auto &op : fake->submitted)
        EXPECT_EQ(0u, op.count);
}

TEST(AgentCommands, UnknownCommands) {
    AgentRig rig;
    EXPECT_EQ("error lines=0 status=0xe0070001 name=UNKNOWN_COMMAND msg=\"no command 'blk format'; "
              "try help\"\n",
              rig.Ask("blk format 1 2"));
    EXPECT_EQ("UNKNOWN_COMMAND", Value(rig.Ask("blk"), "name"));
    EXPECT_EQ("UNKNOWN_COMMAND", Value(rig.Ask(""), "name"));
}

TEST(AgentCommands, MissingDevices) {
    AgentRig rig;
    fake->AddDisk(8);
    fake->disks[1].type = 1;
    EXPECT_EQ("NO_DEVICE", Value(rig.Ask("stats dev=2"), "name"));
    EXPECT_EQ("NO_DEVICE", Value(rig.Ask("blk info dev=1"), "name"));
    EXPECT_EQ("ok lines=0", rig.Ask("stats dev=1").substr(0, 10));
    fake->open_status = 0xC0000022;
    EXPECT_EQ("STATUS_ACCESS_DENIED", Value(rig.Ask("blk info"), "name"));
}

TEST(AgentBlk, WritesReadsAndVerifiesThePattern) {
    AgentRig rig;
    std::string wrote = rig.Ask("blk write 100 2 seed=9 gen=0x10 segments=3");
    uint64_t words[128];
    agent::PatternFill(words, 9, 100, 16);
    agent::PatternFill(words + 64, 9, 101, 16);
    EXPECT_EQ(0, std::memcmp(words, &fake->disks[0].data[51200], 1024));
    EXPECT_EQ(wrote, rig.Ask("blk read 100 2 quiet=1"));
    EXPECT_EQ("1024", Value(wrote, "bytes"));
    EXPECT_EQ("ok lines=0 sectors=2\n", rig.Ask("blk verify 100 2 seed=9 gen=16"));
    std::string read = rig.Ask("blk read 100 2");
    EXPECT_EQ("#1 00000000 640000000000000010000000000000000900000000000000", read.substr(0, 60))
        << read.substr(0, 100);
    EXPECT_NE(std::string::npos, read.find("#32 000003e0 "));
}

TEST(AgentBlk, LongRangesGoInPieces) {
    AgentRig rig(5000);
    EXPECT_EQ("2560000", Value(rig.Ask("blk write 0 5000 seed=1 gen=1"), "bytes"));
    EXPECT_EQ("ok lines=0 sectors=5000\n", rig.Ask("blk verify 0 5000 seed=1 gen=1"));
    EXPECT_EQ(904u, fake->submitted.back().count);
}

TEST(AgentBlk, VerifyTellsWhatIsThere) {
    AgentRig rig;
    rig.Ask("blk write 10 3 seed=1 gen=1");
    rig.Ask("blk write 11 1 seed=2 gen=5");
    uint64_t want[64], got[64];
    agent::PatternFill(want, 1, 11, 1);
    agent::PatternFill(got, 2, 11, 5);
    EXPECT_EQ("#1 sector=11 offset=8 want=0100000000000000 got=0500000000000000 "
              "holds=sector:11,generation:5,seed:2\n"
              "error lines=1 status=0xe0070004 name=MISCOMPARE msg=\"1 of 3 sectors do not hold "
              "the pattern\"\n",
              rig.Ask("blk verify 10 3 seed=1 gen=1"));
    fake->disks[0].data[12 * 512 + 511] ^= 0x80;
    EXPECT_NE(std::string::npos,
              rig.Ask("blk verify 12 1 seed=1 gen=1").find("sector=12 offset=504 "));
    EXPECT_EQ("16", Value(rig.Ask("blk verify 1000 40 seed=1 gen=1")
                              .substr(rig.Ask("blk verify 1000 40 seed=1 gen=1").find("error ")),
                          "lines"));
}

TEST(AgentBlk, VerifySeesDataThatNeverCame) {
    AgentRig rig(4096);
    rig.Ask("blk write 0 4096 seed=1 gen=1");
    size_t before = fake->submitted.size();
    fake->fault = [&](const SubmittedOperation &, size_t index) {
        return index == before + 2 ? Fault::kNoTransfer : Fault::kNone; // the second piece
    };
    EXPECT_NE(std::string::npos, rig.Ask("blk verify 0 4096 seed=1 gen=1").find("2048 of 4096"));
}

TEST(AgentBlk, DriverErrorsKeepTheirStatus) {
    AgentRig rig;
    std::string past = rig.Ask("blk read 4095 2 quiet=1");
    EXPECT_EQ("error lines=0 status=0xc0000185 name=STATUS_IO_DEVICE_ERROR msg=\"reading sectors "
              "from 4095 on failed\"\n",
              past);
    EXPECT_EQ("ok", rig.Ask("blk read 4095 1 quiet=1").substr(0, 2));
    fake->fault = [](const SubmittedOperation &op, size_t) {
        return op.count ? Fault::kShort : Fault::kNone;
    };
    EXPECT_EQ("STATUS_INFO_LENGTH_MISMATCH", Value(rig.Ask("blk read 0 4 quiet=1"), "name"));
    fake->fault = nullptr;
    fake->disks[0].flush = false;
    EXPECT_EQ("STATUS_NOT_SUPPORTED", Value(rig.Ask("blk flush"), "name"));
}

TEST(AgentBlk, IdIsPercentEncoded) {
    AgentRig rig;
    fake->disks[0].id = "a b%\xff~._-Z0123456789012"; // more than 20
    EXPECT_EQ("ok lines=0 id=a%20b%25%ff~._-Z0123456789\n", rig.Ask("blk id"));
}

TEST(AgentBlk, ALostRequestIsAnErrorAndItsMemoryStays) {
    AgentRig rig;
    size_t in_use = fake->MemoryInUse();
    fake->fault = [](const SubmittedOperation &op, size_t) {
        return op.count ? Fault::kLost : Fault::kNone;
    };
    std::string answer = rig.Ask("blk read 0 4 quiet=1");
    EXPECT_NE(std::string::npos, answer.find("busy waiting_us=1"));
    EXPECT_NE(std::string::npos, answer.find("name=REQUEST_LOST")) << answer;
    EXPECT_NE(std::string::npos, answer.find("did not complete within 20 s"));
    EXPECT_EQ(in_use + 4096 + 2048, fake->MemoryInUse()); // the device may still write there
    EXPECT_EQ("STATUS_DEVICE_BUSY", Value(rig.Ask("driver unload"), "name"));
    EXPECT_EQ("ok", rig.Ask("stats").substr(0, 2));
    fake->ReturnLost();
    EXPECT_EQ("ok lines=0\n", rig.Ask("driver unload"));
    EXPECT_EQ(in_use, fake->MemoryInUse());
    EXPECT_TRUE(fake->open.empty());
}

TEST(AgentBlk, NoMemory) {
    AgentRig rig;
    fake->memory_limit = fake->MemoryInUse() + 100000;
    EXPECT_EQ("NO_MEMORY", Value(rig.Ask("blk read 0 2048 quiet=1"), "name"));
    EXPECT_EQ("NO_MEMORY", Value(rig.Ask("blk run depth=64"), "name"));
    size_t in_use = fake->MemoryInUse();
    rig.Ask("blk read 0 2048 quiet=1");
    EXPECT_EQ(in_use, fake->MemoryInUse());
}

TEST(AgentMachine, DriverUnloadAndLoad) {
    AgentRig rig;
    EXPECT_EQ("ok lines=0\n", rig.Ask("driver unload"));
    EXPECT_EQ("unloaded", Value(rig.Ask("info"), "driver"));
    EXPECT_EQ("ok lines=0 devices=0\n", rig.Ask("devices"));
    EXPECT_EQ("NO_DEVICE", Value(rig.Ask("blk read 0 1"), "name"));
    EXPECT_EQ("NO_DEVICE", Value(rig.Ask("driver unload"), "name"));
    EXPECT_EQ("ok lines=0 devices=1\n", rig.Ask("driver load"));
    EXPECT_EQ("STATUS_IMAGE_ALREADY_LOADED", Value(rig.Ask("driver load"), "name"));
    fake->unload_status = 0xC0000022;
    EXPECT_EQ("STATUS_ACCESS_DENIED", Value(rig.Ask("driver unload"), "name"));
    EXPECT_EQ("loaded", Value(rig.Ask("info"), "driver"));
}

TEST(AgentMachine, ShutsDownAfterFlushAndAnswer) {
    AgentRig rig;
    fake->on_submit = [] { EXPECT_EQ("", fake->machine); };
    EXPECT_EQ("ok lines=0\n", rig.Ask("reset"));
    EXPECT_EQ(IOCTL_VQ7_BLK_FLUSH, fake->submitted.back().code);
    EXPECT_EQ("restart", fake->machine);
    fake->on_submit = nullptr;
    fake->disks[0].flush = false; // nothing to flush is no failure
    EXPECT_EQ("ok lines=0\n", rig.Ask("poweroff"));
    EXPECT_EQ("restartpoweroff", fake->machine);
    fake->fault = [](const SubmittedOperation &op, size_t) {
        return op.code == IOCTL_VQ7_BLK_FLUSH ? Fault::kIoError : Fault::kNone;
    };
    EXPECT_EQ("#1 dev=0 flush=failed status=0xc0000185 name=STATUS_IO_DEVICE_ERROR\nok lines=1\n",
              rig.Ask("reset"));
    fake->shutdown_status = 0xC0000061;
    fake->machine = "";
    EXPECT_EQ("STATUS_PRIVILEGE_NOT_HELD", Value(rig.Ask("reset"), "name"));
    EXPECT_EQ("", fake->machine);
}

TEST(AgentMachine, CrashIsRefusedWhereItCantBe) {
    AgentRig rig;
    EXPECT_EQ("NOT_SUPPORTED", Value(rig.Ask("crash"), "name"));
    EXPECT_EQ("crash", fake->machine);
}

TEST(AgentCommands, LeaveNothingBehind) {
    AgentRig rig;
    size_t in_use = fake->MemoryInUse();
    for (const char *command :
         {"help", "info", "devices", "queues", "stats", "stats clear", "blk info", "blk read 0 9",
          "blk write 0 9 seed=1 gen=1", "blk verify 0 9 seed=1 gen=1",
          "blk verify 0 9 seed=1 gen=2", "blk flush", "blk id", "blk run",
          "blk run depth=9 write=100", "blk read 5000 1", "reset"}) {
        rig.Ask(command);
        EXPECT_EQ(in_use, fake->MemoryInUse()) << command;
        EXPECT_TRUE(fake->open.empty()) << command;
    }
}
