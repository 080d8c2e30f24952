// SPDX-License-Identifier: MIT
//
// Where the driver's ways cross, on the host: requests that come back in another order than
// they went, one bounce buffer for all of them, another processor that acts while one is in
// the framework.
#include "host/machine.h"

#include "blk.h"

using namespace vq7::host;

namespace {

std::vector<std::uint64_t> Sectors(const Machine &machine) {
    std::vector<std::uint64_t> sectors;
    for (const Seen &seen : machine.seen) {
        sectors.push_back(seen.sector);
    }
    return sectors;
}

std::vector<std::uint64_t> Count(std::uint64_t first, std::uint64_t end) {
    std::vector<std::uint64_t> numbers;
    for (; first < end; first++) {
        numbers.push_back(first);
    }
    return numbers;
}

template <typename T> T GetNow(Machine &machine, ULONG code) {
    T out;
    Request *request = machine.framework.Send(code, nullptr, 0, sizeof(out));
    EXPECT_TRUE(request->completed);
    memcpy(&out, request->buffer.data(), sizeof(out));
    return out;
}

VQ7_STATS StatsNow(Machine &machine) {
    return GetNow<VQ7_STATS>(machine, IOCTL_VQ7_GET_STATS);
}

void IoStop(Request *request, ULONG flags) {
    request->queue->config.EvtIoStop(reinterpret_cast<WDFQUEUE>(request->queue),
                                     reinterpret_cast<WDFREQUEST>(request), flags);
}

// Stops the device as another processor would, in the middle of something.
void StopMeanwhile(Machine &machine) {
    const KIRQL irql = std::exchange(machine.kernel.irql, KIRQL(PASSIVE_LEVEL));
    machine.framework.callbacks.EvtDeviceD0ExitPreInterruptsDisabled(
        reinterpret_cast<WDFDEVICE>(machine.framework.device), WdfPowerDeviceD3);
    machine.kernel.irql = irql;
    machine.framework.connected = machine.framework.powered = false;
    machine.pci.msix = false;
}

struct Cross : testing::Test {
    explicit Cross(Options options = {}) : machine(options) {}
    void SetUp() override {
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    }
    void Send(unsigned count) {
        for (unsigned i = 0; i < count; i++) {
            requests.push_back(machine.Write(requests.size(), data));
        }
    }
    void ExpectAll(NTSTATUS status) {
        for (std::size_t i = 0; i < requests.size(); i++) {
            EXPECT_TRUE(requests[i]->completed) << i;
            EXPECT_EQ(requests[i]->status, status) << i;
        }
    }
    Machine machine;
    Data data{machine.memory, 512};
    Data pages{machine.memory, 8 * 4096}; // whose chain is an indirect one
    std::vector<Request *> requests;
};

// --------------------------------------------------------------------- slots

// What comes back early makes room for one more, and for no more than that.
TEST_F(Cross, SlotsComeBackOneByOne) {
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
TEST_F(Cross, EachStartHasAllSlots) {
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
TEST_F(Cross, AnotherOrder) {
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
TEST_F(Cross, SeveralIds) {
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
TEST_F(Cross, TheLengthOfAnErrorIsNotOdd) {
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
TEST_F(Cross, AnErrorOfAPartIsForgotten) {
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

// ------------------------------------------------------------- broken, stopped

TEST_F(Cross, ABrokenRingIsLookedAtOnce) {
    Send(2);
    machine.ring->PutUsed(0, 999, 1);
    machine.ring->PutUsedIdx(1);
    machine.Interrupt();
    EXPECT_EQ(machine.framework.RunDpcs(), 0) << "there is nothing to go on with";
    const std::size_t lines = machine.kernel.log.size();
    machine.Interrupt();
    EXPECT_EQ(machine.framework.RunDpcs(), 0);
    EXPECT_EQ(machine.kernel.log.size(), lines);
    EXPECT_EQ(machine.framework.RunWork(), 1);
    ExpectAll(STATUS_DEVICE_PROTOCOL_ERROR);
    machine.Remove();
}

// A DPC that was queued before, and runs after the device was stopped.
TEST_F(Cross, ADpcAfterTheStop) {
    Send(2);
    machine.Serve();
    machine.pci.isr |= 1;
    EXPECT_TRUE(machine.framework.Interrupted(0));
    machine.framework.PowerDown();
    EXPECT_EQ(machine.framework.RunDpcs(), 1);
    EXPECT_EQ(machine.framework.RunDpcs(), 0);
    for (Request *request : requests) {
        EXPECT_FALSE(request->completed);
    }
    EXPECT_EQ(GetNow<VQ7_DEVICE_INFO>(machine, IOCTL_VQ7_GET_DEVICE_INFO).queue[0].broken, 0);
    EXPECT_EQ(StatsNow(machine).in_flight, 0u);
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Run();
    ExpectAll(STATUS_SUCCESS);
    machine.Remove();
}

// ---------------------------------------------------------- another processor

// The framework asks for one that is done and not yet completed: there is nothing to say.
TEST_F(Cross, AStopOfOneThatIsDone) {
    for (ULONG flags : {ULONG(WdfRequestStopActionSuspend), ULONG(WdfRequestStopActionPurge)}) {
        requests.clear();
        Send(2);
        machine.Serve();
        machine.framework.in_complete = [&] {
            EXPECT_FALSE(requests[1]->completed);
            IoStop(requests[1], flags);
            EXPECT_FALSE(requests[1]->acknowledged);
            EXPECT_FALSE(requests[1]->completed) << "by whoever is at it";
        };
        machine.Interrupt();
        ExpectAll(STATUS_SUCCESS);
    }
    machine.Remove();
}

TEST_F(Cross, AStopThatSaysNothing) {
    Send(1);
    IoStop(requests[0], 0);
    IoStop(requests[0], WdfRequestStopRequestCancelable);
    EXPECT_FALSE(requests[0]->acknowledged);
    EXPECT_FALSE(requests[0]->completed);
    machine.Run();
    ExpectAll(STATUS_SUCCESS);
    machine.Remove();
}

// The device answers while a stop is being acknowledged: the request is the framework's for
// that long, and is completed afterwards.
TEST_F(Cross, AnAnswerDuringTheAcknowledgement) {
    Send(2);
    machine.Serve();
    machine.framework.in_acknowledge = [&] {
        machine.Interrupt();
        EXPECT_FALSE(requests[0]->completed) << "it is held";
        EXPECT_TRUE(requests[1]->completed);
    };
    IoStop(requests[0], WdfRequestStopActionSuspend);
    EXPECT_TRUE(requests[0]->acknowledged);
    ExpectAll(STATUS_SUCCESS);
    Send(1);
    machine.Run();
    ExpectAll(STATUS_SUCCESS);
    machine.Remove();
}

// The device is stopped when some are in the ring that it was not told of.
TEST_F(Cross, NobodyIsToldAfterTheStop) {
    Send(3);
    machine.framework.PowerDown();
    machine.seen.clear();
    const std::size_t told = machine.pci.notifies.size();
    machine.framework.in_retrieve = [&] {
        EXPECT_EQ(machine.kernel.irql, DISPATCH_LEVEL) << "others wait for this thread";
        StopMeanwhile(machine);
    };
    machine.framework.PowerUp();
    EXPECT_EQ(machine.pci.notifies.size(), told);
    EXPECT_EQ(machine.kernel.irql, PASSIVE_LEVEL);
    machine.framework.connected = machine.framework.powered = false;
    machine.pci.msix = false;
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Run();
    ExpectAll(STATUS_SUCCESS);
    EXPECT_EQ(Sectors(machine), Count(0, 3));
    machine.Remove();
}

// One that the driver has just got when the device is stopped: it is kept, unless the
// framework wants it ended, or the device has failed.
TEST_F(Cross, OneThatComesAsTheDeviceStops) {
    Request *late = nullptr;
    machine.framework.in_retrieved = [&] { StopMeanwhile(machine); };
    late = machine.Write(5, data);
    EXPECT_FALSE(late->completed);
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Run();
    EXPECT_EQ(late->status, STATUS_SUCCESS);
    EXPECT_EQ(Sectors(machine), Count(5, 6));
    machine.Remove();
}

TEST_F(Cross, OneThatIsPurgedAsTheDeviceStops) {
    machine.framework.in_retrieved = [&] {
        for (auto &object : machine.framework.objects) {
            auto *request = dynamic_cast<Request *>(object.get());
            if (request != nullptr && request->presented) {
                IoStop(request, WdfRequestStopActionPurge);
                EXPECT_FALSE(request->completed) << "by whoever has just got it";
            }
        }
        StopMeanwhile(machine);
    };
    Send(1);
    ExpectAll(STATUS_DEVICE_NOT_READY);
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Run();
    EXPECT_TRUE(machine.seen.empty());
    machine.Remove();
}

TEST_F(Cross, OneThatComesAsTheDeviceFails) {
    Send(1);
    machine.framework.in_retrieved = [&] {
        const KIRQL irql = std::exchange(machine.kernel.irql, KIRQL(PASSIVE_LEVEL));
        machine.ring->PutUsed(0, 999, 1);
        machine.ring->PutUsedIdx(1);
        machine.pci.isr |= 1;
        EXPECT_TRUE(machine.framework.Interrupted(0));
        machine.framework.RunDpcs();
        EXPECT_EQ(machine.framework.RunWork(), 1);
        machine.kernel.irql = irql;
    };
    Request *late = machine.Write(5, data);
    EXPECT_TRUE(late->completed);
    EXPECT_EQ(late->status, STATUS_DEVICE_NOT_READY);
    ExpectAll(STATUS_DEVICE_PROTOCOL_ERROR);
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

} // namespace
