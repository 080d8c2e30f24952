// SPDX-License-Identifier: MIT
//
// Slots, the bounce buffer and answers on the host: requests that come back in another order
// than they went, one buffer for all of them, errors of parts.
#include "host/cross.h"

#include "blk.h"

using namespace vq7::host;

namespace {

struct Slots : Cross {};

// --------------------------------------------------------------------- slots

// What comes back early makes room for one more, and for no more than that.
TEST_F(Slots, SlotsComeBackOneByOne) {
    auto send = [&](unsigned count) {
        for (unsigned i = 0; i < count; i++) {
            requests.push_back(machine.Write(requests.size(), pages));
        }
    };
    send(3);
    machine.Serve(1);
    machine.Interrupt();
    send(16);
    machine.Serve();
    EXPECT_EQ(Sectors(machine), Count(0, 17)) << "3 and 14: 16 at the device";
    machine.Interrupt();
    machine.Run();
    ExpectAll(STATUS_SUCCESS);
    EXPECT_EQ(Sectors(machine), Count(0, 19));
    machine.Remove();
}

// After each start there are as many as the ring has descriptors, and the next one waits.
TEST_F(Slots, EachStartHasAllSlots) {
    for (int start = 0; start < 3; start++) {
        requests.clear();
        machine.seen.clear();
        for (unsigned i = 0; i < 20; i++) {
            requests.push_back(machine.Write(i, pages));
        }
        EXPECT_EQ(StatsNow(machine).in_flight, 16u);
        machine.Serve();
        EXPECT_EQ(Sectors(machine), Count(0, 16));
        machine.Interrupt();
        machine.Run();
        ExpectAll(STATUS_SUCCESS);
        EXPECT_EQ(Sectors(machine), Count(0, 20));
        requests.clear();
        Send(5);
        machine.framework.PowerDown();
        ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
        machine.Run();
    }
    EXPECT_EQ(machine.Stats().ring_full, 3u) << "one waits, and others behind it";
    EXPECT_EQ(machine.Stats().indirect, 60u);
    machine.Remove();
}

// The device answers the second first.
TEST_F(Slots, AnotherOrder) {
    Send(2);
    auto first = machine.ring->Pop(), second = machine.ring->Pop();
    machine.ServeOne(*second);
    machine.Interrupt();
    EXPECT_FALSE(requests[0]->completed);
    EXPECT_TRUE(requests[1]->completed);
    Send(2);
    machine.Run();
    machine.ServeOne(*first);
    machine.Interrupt();
    ExpectAll(STATUS_SUCCESS);
    EXPECT_EQ(Sectors(machine), (std::vector<std::uint64_t>{1, 2, 3, 0}));
    machine.Remove();
}

// Each has its own place for what the device writes.
TEST_F(Slots, SeveralIds) {
    std::vector<Request *> ids;
    for (int i = 0; i < 3; i++) {
        Send(1);
        ids.push_back(machine.framework.Send(IOCTL_VQ7_BLK_GET_ID, nullptr, 0, 24));
    }
    machine.Run();
    ExpectAll(STATUS_SUCCESS);
    for (Request *id : ids) {
        EXPECT_TRUE(id->completed);
        EXPECT_EQ(memcmp(id->buffer.data(), "VQ7-DISK-HOST-12345\0\0\0\0\0", 24), 0);
    }
    machine.Remove();
}

// ------------------------------------------------------------- bounce buffer

Options OneSegment() {
    Options options;
    options.seg_max = 1;
    return options;
}

struct Bounced : Cross {
    Bounced() : Cross(OneSegment()) {}
    Data mapped{machine.memory, 1024, 0x33, false};
};

// It is the one's that has it, whatever comes back meanwhile.
TEST_F(Bounced, IsFreeWhenItsOwnRequestIsBack) {
    requests.push_back(machine.Write(0, mapped, 3));
    requests.push_back(machine.Write(8, data));
    auto first = machine.ring->Pop(), second = machine.ring->Pop();
    requests.push_back(machine.Write(16, mapped, 3));
    machine.ServeOne(*second);
    machine.Interrupt();
    EXPECT_TRUE(requests[1]->completed);
    EXPECT_EQ(StatsNow(machine).in_flight, 1u) << "the third waits for the buffer";
    machine.ServeOne(*first);
    machine.Interrupt();
    EXPECT_EQ(StatsNow(machine).in_flight, 1u);
    machine.Run();
    ExpectAll(STATUS_SUCCESS);
    EXPECT_EQ(Sectors(machine), (std::vector<std::uint64_t>{8, 0, 16}));
    EXPECT_EQ(machine.Stats().bounced, 2u);
    machine.Remove();
}

// Small blocks go through it together: 64 KiB, as far as one segment holds them.
TEST_F(Bounced, TakesManyBlocksAtOnce) {
    Data large(machine.memory, 0x10000 + 1024, 0x44, false);
    Request *request = machine.Write(0, large, 300);
    machine.Run();
    EXPECT_EQ(request->status, STATUS_SUCCESS);
    ASSERT_EQ(machine.seen.size(), 2u);
    EXPECT_EQ(machine.seen[0].bytes, 0x10000u);
    EXPECT_EQ(machine.seen[1].bytes, 1024u);
    EXPECT_EQ(machine.disk[large.size() - 1], 0x44);
    Data in(machine.memory, large.size(), 0, false);
    request = machine.Read(0, in, 300);
    machine.Run();
    EXPECT_EQ(request->status, STATUS_SUCCESS);
    for (std::size_t i = 0; i < in.size(); i++) {
        ASSERT_EQ(in[i], 0x44) << i;
    }
    machine.Remove();
}

// While it is at the device: neither lost nor taken twice over a power-down.
TEST_F(Bounced, IsFreeAfterAStart) {
    requests.push_back(machine.Write(0, mapped, 3));
    machine.Serve();
    machine.framework.PowerDown();
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Run();
    requests.push_back(machine.Write(8, mapped, 3));
    machine.Run();
    ExpectAll(STATUS_SUCCESS);
    EXPECT_EQ(Sectors(machine), (std::vector<std::uint64_t>{0, 0, 8}));
    machine.Remove();
}

TEST_F(Bounced, CopiesWhatIsAskedFor) {
    Data none(machine.memory, 512), one(machine.memory, 512, 0x21, false);
    none.mdl()->Next = one.mdl(); // the first has no system address
    std::uint8_t buffer[4] = {1, 2, 3, 4};
    EXPECT_EQ(BlkCopyMdl(none.mdl(), 512, buffer, 1, FALSE), STATUS_SUCCESS) << "not needed";
    EXPECT_EQ(buffer[0], 0x21);
    EXPECT_EQ(buffer[1], 2);
    EXPECT_EQ(BlkCopyMdl(none.mdl(), 511, buffer, 1, FALSE), STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_EQ(BlkCopyMdl(one.mdl(), 511, buffer, 1, TRUE), STATUS_SUCCESS);
    EXPECT_EQ(one[511], 0x21);
    EXPECT_EQ(BlkCopyMdl(one.mdl(), 511, buffer, 2, TRUE), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(BlkCopyMdl(one.mdl(), 512, buffer, 0, TRUE), STATUS_SUCCESS);
    machine.Remove();
}

// ------------------------------------------------------------------- answers

// What an error has as its length is nobody's affair.
TEST_F(Slots, TheLengthOfAnErrorIsNotOdd) {
    machine.answer = [](const Seen &, std::uint8_t &status, std::uint32_t &length) {
        status = 1;
        length = 7;
    };
    Request *id = machine.framework.Send(IOCTL_VQ7_BLK_GET_ID, nullptr, 0, 24);
    Send(1);
    machine.Run();
    ExpectAll(STATUS_IO_DEVICE_ERROR);
    EXPECT_EQ(id->status, STATUS_IO_DEVICE_ERROR);
    EXPECT_EQ(id->buffer[0], 0u) << "and an id that isn't one is not shown";
    EXPECT_EQ(machine.Stats().odd_lengths, 0u);
    EXPECT_EQ(machine.Stats().errors, 2u);
    machine.Remove();
}

// Said once a start; and while the DPC takes what is done, it needs no interrupts (2.7.10).
TEST(Odd, IsSaidOnceAStart) {
    Options options;
    options.features &= ~kEventIdx;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    machine.answer = [](const Seen &, std::uint8_t &, std::uint32_t &length) { length = 9; };
    Data data(machine.memory, 512);
    unsigned lines = 0, interrupts_off = 0;
    machine.kernel.at_log = [&] {
        if (machine.kernel.log.back().find("status byte decides") != std::string::npos) {
            lines++;
            interrupts_off += machine.ring->AvailFlags() & 1;
        }
    };
    for (unsigned start = 0; start < 2; start++) {
        for (int i = 0; i < 3; i++) {
            Request *request = machine.Write(0, data);
            machine.Run();
            EXPECT_EQ(request->status, STATUS_SUCCESS);
            EXPECT_EQ(machine.ring->AvailFlags() & 1, 0);
        }
        EXPECT_EQ(lines, start + 1);
        EXPECT_EQ(interrupts_off, lines);
        machine.framework.PowerDown();
        ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    }
    machine.kernel.at_log = nullptr;
    machine.Remove();
}

// An error of the first part, that the driver has taken, and a power-down before the second
// is back: all of it is sent again, and the error is forgotten.
TEST_F(Slots, AnErrorOfAPartIsForgotten) {
    Data big(machine.memory, 20 * 4096);
    bool fail = true;
    machine.answer = [&](const Seen &, std::uint8_t &status, std::uint32_t &) {
        status = std::exchange(fail, false);
    };
    Request *request = machine.Write(0, big);
    machine.Serve(1);
    machine.Interrupt();
    EXPECT_FALSE(request->completed) << "the second part is at the device";
    machine.framework.PowerDown();
    machine.seen.clear();
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Run();
    EXPECT_TRUE(request->completed);
    EXPECT_EQ(request->status, STATUS_SUCCESS);
    EXPECT_EQ(request->information, big.size());
    EXPECT_EQ(Sectors(machine), (std::vector<std::uint64_t>{0, 14 * 8}));
    machine.Remove();
}

// Two parts are at the device and the third waits for room: when the first one fails, the
// third is not sent.
TEST(PartsOfOne, AnErrorWithAnotherAtTheDevice) {
    Options options;
    options.queue_size = 32;
    options.seg_max = 14;
    options.features &= ~(kIndirect | kEventIdx);
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    machine.answer = [&](const Seen &seen, std::uint8_t &status, std::uint32_t &) {
        status = seen.sector == 0;
    };
    Data data(machine.memory, 3 * 14 * 4096);
    Request *request = machine.Write(0, data);
    machine.Serve(1);
    machine.Interrupt();
    EXPECT_FALSE(request->completed) << "the second one is not back";
    machine.Run();
    EXPECT_TRUE(request->completed);
    EXPECT_EQ(request->status, STATUS_IO_DEVICE_ERROR);
    EXPECT_EQ(Sectors(machine), (std::vector<std::uint64_t>{0, 14 * 8}));
    machine.Remove();
}

// Requests that fail with nothing at the device don't keep a processor for longer than a
// ring's worth of them, unless nothing else will bring it back.
TEST_F(Bounced, OneRingsWorthOfFailures) {
    Data bad(machine.memory, 1024); // which has no system address
    auto failed = [&] {
        unsigned count = 0;
        for (Request *request : requests) {
            count += request->completed && request->status == STATUS_NO_MEMORY;
        }
        return count;
    };
    for (bool others : {true, false}) {
        requests.clear();
        Request *first = machine.Write(0, mapped, 3); // has the buffer
        Request *other = others ? machine.Write(8, data) : nullptr;
        auto chain = machine.ring->Pop();
        for (int i = 0; i < 40; i++) {
            requests.push_back(machine.Write(0, bad, 3)); // waits for it
        }
        EXPECT_EQ(failed(), 0u);
        machine.ServeOne(*chain);
        machine.Interrupt();
        EXPECT_TRUE(first->completed);
        EXPECT_EQ(failed(), others ? 16u : 40u);
        Request *next = machine.Write(16, data); // whoever comes next goes on
        EXPECT_EQ(failed(), others ? 32u : 40u);
        machine.Run();
        EXPECT_EQ(next->status, STATUS_SUCCESS);
        EXPECT_EQ(failed(), 40u);
        EXPECT_TRUE(other == nullptr || other->status == STATUS_SUCCESS);
    }
    machine.Remove();
}

// The budget stays used up: of those behind the failures one is sent, which will bring the
// processor back.
TEST_F(Bounced, OneAfterARingsWorthOfFailures) {
    Data bad(machine.memory, 1024); // which has no system address
    Request *first = machine.Write(0, mapped, 3);
    auto chain = machine.ring->Pop();
    for (int i = 0; i < 20; i++) {
        machine.Write(0, bad, 3);
    }
    Send(4);
    machine.ServeOne(*chain);
    machine.Interrupt();
    EXPECT_TRUE(first->completed);
    EXPECT_EQ(StatsNow(machine).in_flight, 1u);
    machine.Run();
    ExpectAll(STATUS_SUCCESS);
    machine.Remove();
}

} // namespace
