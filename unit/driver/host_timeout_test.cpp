// SPDX-License-Identifier: MIT
//
// The driver on the host with a device that does not answer, or whose interrupts get lost:
// the time-out, what it sends again, and how often; at each moment of it a power-down, a
// removal or a broken ring.
#include "host/machine.h"

using namespace vq7::host;

namespace {

constexpr unsigned kMs = 1000;            // the time-out
constexpr unsigned kEnough = 3 * kMs / 2; // and the ticks that notice it

class TimeOut : public testing::TestWithParam<int> { // messages
  protected:
    void SetUp() override {
        Options options;
        options.messages = GetParam();
        options.features &= ~(kIndirect | kEventIdx); // five requests fill the ring of 16
        machine.emplace(options);
        machine->framework.numbers = {{u"RequestTimeoutMs", kMs}, {u"RequestRetries", 2}};
        ASSERT_EQ(machine->Start(), STATUS_SUCCESS);
        data.emplace(machine->memory, 512);
    }
    void Send(unsigned count) {
        for (unsigned i = 0; i < count; i++) {
            requests.push_back(machine->Write(i, *data));
        }
    }
    // The driver's work item, after which the model's ring is the new one.
    void RunWork() {
        EXPECT_EQ(machine->framework.RunWork(), 1);
        machine->Reattach();
    }
    VQ7_FAILURES Failures() {
        VQ7_FAILURES failures;
        Request *request =
            machine->framework.Send(IOCTL_VQ7_GET_FAILURES, nullptr, 0, sizeof(failures));
        EXPECT_TRUE(request->completed);
        memcpy(&failures, request->buffer.data(), sizeof(failures));
        EXPECT_EQ(failures.size, sizeof(failures));
        return failures;
    }
    void ExpectAll(NTSTATUS status) {
        for (std::size_t i = 0; i < requests.size(); i++) {
            EXPECT_TRUE(requests[i]->completed) << i;
            EXPECT_EQ(requests[i]->status, status) << i;
        }
    }
    void ExpectNone() {
        for (std::size_t i = 0; i < requests.size(); i++) {
            EXPECT_FALSE(requests[i]->completed) << i;
        }
    }
    NTSTATUS SetTimeout(unsigned ms, unsigned retries) {
        VQ7_TIMEOUT in = {ms, retries};
        Request *request = machine->framework.Send(IOCTL_VQ7_SET_TIMEOUT, &in, sizeof(in), 0);
        EXPECT_TRUE(request->completed);
        return request->status;
    }
    NTSTATUS Restart() {
        Request *request = machine->framework.Send(IOCTL_VQ7_RESTART, nullptr, 0, 0);
        EXPECT_FALSE(request->completed) << "it may take long: a work item does it";
        RunWork();
        EXPECT_TRUE(request->completed);
        return request->status;
    }
    std::vector<std::uint64_t> Sectors() {
        std::vector<std::uint64_t> sectors;
        for (const Seen &seen : machine->seen) {
            sectors.push_back(seen.sector);
        }
        return sectors;
    }
    std::optional<Machine> machine;
    std::optional<Data> data;
    std::vector<Request *> requests;
};

INSTANTIATE_TEST_SUITE_P(Interrupts, TimeOut, testing::Values(0, 2),
                         [](const auto &info) { return "Messages" + std::to_string(info.param); });

TEST_P(TimeOut, WhatTheDeviceHadIsSentAgainInOrder) {
    Send(9);
    machine->framework.Pass(kMs - 1);
    EXPECT_EQ(machine->framework.RunWork(), 0) << "not before its time";
    machine->framework.Pass(kEnough - kMs);
    ExpectNone();
    EXPECT_EQ(Failures().state, unsigned(VQ7_STATE_RECOVERING));
    Request *late = machine->Write(9, *data);
    EXPECT_FALSE(late->completed) << "it waits";
    RunWork();
    requests.push_back(late);
    machine->Run();
    ExpectAll(STATUS_SUCCESS);
    EXPECT_EQ(Sectors(), (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    const VQ7_FAILURES failures = Failures();
    EXPECT_EQ(failures.state, unsigned(VQ7_STATE_RUNNING));
    EXPECT_EQ(failures.last_failure, unsigned(VQ7_FAILURE_TIME_OUT));
    EXPECT_EQ(failures.count[VQ7_FAILURE_TIME_OUT], 1u);
    EXPECT_EQ(failures.resent, 5u);
    EXPECT_EQ(failures.timed_out, 0u);
    EXPECT_EQ(failures.restarts, 1u);
    EXPECT_EQ(failures.lost_interrupts, 0u);
    machine->Remove();
}

TEST_P(TimeOut, SoOftenAndNoOftener) {
    Send(9);
    for (unsigned i = 0; i < 3; i++) {
        ExpectNone();
        machine->framework.Pass(kEnough);
        RunWork();
    }
    // The five that the device had; the others have their turn now.
    for (unsigned i = 0; i < 9; i++) {
        EXPECT_EQ(requests[i]->completed, i < 5) << i;
        if (i < 5) {
            EXPECT_EQ(requests[i]->status, STATUS_IO_TIMEOUT);
            EXPECT_EQ(requests[i]->information, 0u);
        }
    }
    EXPECT_EQ(Failures().timed_out, 5u);
    EXPECT_EQ(Failures().resent, 10u);
    machine->Run();
    for (unsigned i = 5; i < 9; i++) {
        EXPECT_EQ(requests[i]->status, STATUS_SUCCESS);
    }
    EXPECT_EQ(Sectors(), (std::vector<std::uint64_t>{5, 6, 7, 8}));
    machine->Remove();
}

// A device that is slow, but answers each within its time, has no part in this.
TEST_P(TimeOut, SlowIsNotSilent) {
    Send(5);
    for (unsigned i = 0; i < 5; i++) {
        Data more(machine->memory, 512);
        requests.push_back(machine->Write(10 + i, more));
        machine->framework.Pass(kMs / 5);
        machine->Serve(1);
        machine->Interrupt();
    }
    EXPECT_EQ(machine->framework.RunWork(), 0);
    EXPECT_EQ(Failures().restarts, 0u);
    machine->Run();
    ExpectAll(STATUS_SUCCESS);
    machine->Remove();
}

TEST_P(TimeOut, Off) {
    EXPECT_EQ(SetTimeout(VQ7_TIMEOUT_OFF, 0), STATUS_SUCCESS);
    Send(2);
    machine->framework.Pass(4'000'000);
    EXPECT_EQ(machine->framework.RunWork(), 0);
    ExpectNone();
    EXPECT_FALSE(machine->framework.timers.at(0)->armed) << "it costs nothing";
    // And on again: from now on.
    EXPECT_EQ(SetTimeout(kMs, 0), STATUS_SUCCESS);
    machine->framework.Pass(kMs - 1);
    EXPECT_EQ(machine->framework.RunWork(), 0);
    machine->framework.Pass(kEnough - kMs);
    RunWork();
    ExpectAll(STATUS_IO_TIMEOUT);
    machine->Remove();
}

TEST_P(TimeOut, Limits) {
    for (unsigned ms : {1u, 99u, 3600001u, ~0u}) {
        EXPECT_EQ(SetTimeout(ms, 0), STATUS_INVALID_PARAMETER) << ms;
    }
    EXPECT_EQ(SetTimeout(kMs, 17), STATUS_INVALID_PARAMETER);
    for (unsigned ms : {0u, 100u, 3600000u}) {
        EXPECT_EQ(SetTimeout(ms, 16), STATUS_SUCCESS) << ms;
        EXPECT_EQ(Failures().timeout_ms, ms);
        EXPECT_EQ(Failures().retries, 16u);
    }
    Request *request = machine->framework.Send(IOCTL_VQ7_SET_TIMEOUT, "\1\0\0\0", 4, 0);
    EXPECT_EQ(request->status, STATUS_BUFFER_TOO_SMALL);
    machine->Remove();
}

// --------------------------------------------------------------- lost interrupts

// The device is done, and nobody says so: the next tick but one finds it.
TEST_P(TimeOut, ALostInterruptIsMadeUpFor) {
    Send(9);
    machine->Serve();
    machine->framework.Pass(kMs / 4);
    ExpectNone();
    machine->framework.Pass(kMs / 4);
    for (unsigned i = 0; i < 5; i++) {
        EXPECT_TRUE(requests[i]->completed) << i;
    }
    EXPECT_EQ(Failures().lost_interrupts, 1u);
    EXPECT_EQ(Failures().restarts, 0u);
    machine->Run();
    ExpectAll(STATUS_SUCCESS);
    machine->Remove();
}

// In the very tick that would have been the last.
TEST_P(TimeOut, AnAnswerAtTheLastMomentCounts) {
    Send(1);
    machine->framework.Pass(kMs);
    machine->Serve();
    machine->framework.Pass(kEnough - kMs);
    ExpectAll(STATUS_SUCCESS);
    EXPECT_EQ(machine->framework.RunWork(), 0);
    machine->Remove();
}

// ------------------------------------------------------------------ resets

TEST_P(TimeOut, AResetThatTakesItsTime) {
    Send(3);
    machine->pci.resetReads = 1 << 20;
    std::uint64_t slept = 0;
    machine->kernel.asleep = [&] {
        slept = machine->kernel.slept;
        if (slept >= 900'000) {
            machine->pci.resetReads = 0;
        }
    };
    machine->framework.Pass(kEnough);
    RunWork();
    EXPECT_GE(slept, 900'000u);
    EXPECT_LT(machine->pci.stalled, 20'000u) << "the processor is held up";
    machine->Run();
    ExpectAll(STATUS_SUCCESS);
    EXPECT_EQ(Failures().count[VQ7_FAILURE_RESET_STUCK], 0u);
    machine->Remove();
}

TEST_P(TimeOut, AResetThatDoesNotEnd) {
    Send(9);
    machine->pci.resetReads = 1 << 20;
    machine->framework.Pass(kEnough);
    EXPECT_EQ(machine->framework.RunWork(), 1);
    EXPECT_LT(machine->kernel.slept, 1'500'000u);
    ExpectAll(STATUS_IO_TIMEOUT);
    EXPECT_FALSE(machine->BusMaster());
    VQ7_FAILURES failures = Failures();
    EXPECT_EQ(failures.state, unsigned(VQ7_STATE_FAILED));
    EXPECT_EQ(failures.last_failure, unsigned(VQ7_FAILURE_RESET_STUCK));
    EXPECT_EQ(failures.count[VQ7_FAILURE_TIME_OUT], 1u);
    EXPECT_EQ(failures.count[VQ7_FAILURE_RESET_STUCK], 1u);
    Request *later = machine->Write(0, *data);
    EXPECT_TRUE(later->completed);
    EXPECT_EQ(later->status, STATUS_DEVICE_NOT_READY);
    // A restart finds it as stuck, then well.
    machine->pci.status = 0x0F;
    Request *restart = machine->framework.Send(IOCTL_VQ7_RESTART, nullptr, 0, 0);
    EXPECT_EQ(machine->framework.RunWork(), 1);
    EXPECT_EQ(restart->status, STATUS_IO_TIMEOUT);
    machine->pci.resetReads = 0;
    EXPECT_EQ(Restart(), STATUS_SUCCESS);
    EXPECT_TRUE(machine->BusMaster());
    later = machine->Write(0, *data);
    machine->Run();
    EXPECT_EQ(later->status, STATUS_SUCCESS);
    EXPECT_EQ(Failures().count[VQ7_FAILURE_RESET_STUCK], 2u);
    machine->Remove();
}

// It resets, and can't be started again.
TEST_P(TimeOut, ADeviceThatIsAnotherAfterwards) {
    Send(3);
    machine->framework.Pass(kEnough);
    machine->pci.queues[0].maxSize = machine->pci.queues[0].size = 0;
    EXPECT_EQ(machine->framework.RunWork(), 1);
    ExpectAll(STATUS_IO_DEVICE_ERROR);
    EXPECT_EQ(Failures().last_failure, unsigned(VQ7_FAILURE_START));
    EXPECT_EQ(Failures().state, unsigned(VQ7_STATE_FAILED));
    EXPECT_EQ(machine->pci.status, 0);
    machine->pci.queues[0].maxSize = machine->pci.queues[0].size = 16;
    EXPECT_EQ(Restart(), STATUS_SUCCESS);
    Request *later = machine->Write(0, *data);
    machine->Run();
    EXPECT_EQ(later->status, STATUS_SUCCESS);
    machine->Remove();
}

// ------------------------------------------------------- at each moment of it

TEST_P(TimeOut, APowerDownComesFirst) {
    Send(9);
    machine->framework.Pass(kEnough);
    machine->framework.PowerDown();
    ExpectNone();
    EXPECT_EQ(machine->framework.RunWork(), 1) << "nothing is left for it to do";
    EXPECT_EQ(machine->pci.status, 0);
    ASSERT_EQ(machine->PowerUp(), STATUS_SUCCESS);
    machine->Run();
    ExpectAll(STATUS_SUCCESS);
    EXPECT_EQ(Failures().count[VQ7_FAILURE_TIME_OUT], 0u) << "it had no answer to give";
    machine->Remove();
}

TEST_P(TimeOut, APowerDownComesWhileItResets) {
    Send(9);
    machine->pci.resetReads = 1 << 20;
    machine->kernel.asleep = [&] {
        machine->kernel.asleep = nullptr;
        // The framework asks for what the driver has; the power itself waits for the lock.
        for (unsigned i = 0; i < 5; i++) {
            requests[i]->queue->config.EvtIoStop(reinterpret_cast<WDFQUEUE>(requests[i]->queue),
                                                 reinterpret_cast<WDFREQUEST>(requests[i]),
                                                 WdfRequestStopActionSuspend);
            EXPECT_TRUE(requests[i]->acknowledged);
        }
        machine->framework.powered = false;
        machine->pci.resetReads = 0;
    };
    machine->framework.Pass(kEnough);
    RunWork();
    machine->framework.PowerDown();
    ASSERT_EQ(machine->PowerUp(), STATUS_SUCCESS);
    machine->Run();
    ExpectAll(STATUS_SUCCESS);
    machine->Remove();
}

TEST_P(TimeOut, ARemovalComesFirst) {
    Send(9);
    machine->framework.Pass(kEnough);
    machine->pci.gone = true;
    machine->framework.SurpriseRemove();
    ExpectAll(STATUS_DEVICE_REMOVED);
    EXPECT_EQ(machine->framework.RunWork(), 1);
    machine->framework.powered = false;
    machine->pci.gone = false; // the model says what it was
    machine->Remove();
}

// A request that is to be purged isn't sent again: it ends with the time-out.
TEST_P(TimeOut, WhatIsToBePurgedEnds) {
    Send(3);
    requests[1]->queue->config.EvtIoStop(reinterpret_cast<WDFQUEUE>(requests[1]->queue),
                                         reinterpret_cast<WDFREQUEST>(requests[1]),
                                         WdfRequestStopActionPurge);
    EXPECT_FALSE(requests[1]->completed);
    machine->framework.Pass(kEnough);
    RunWork();
    EXPECT_TRUE(requests[1]->completed);
    EXPECT_EQ(requests[1]->status, STATUS_IO_TIMEOUT);
    machine->Run();
    EXPECT_EQ(requests[0]->status, STATUS_SUCCESS);
    EXPECT_EQ(requests[2]->status, STATUS_SUCCESS);
    EXPECT_EQ(Sectors(), (std::vector<std::uint64_t>{0, 2}));
    machine->Remove();
}

// Between the tick and the work item the device answers nonsense.
TEST_P(TimeOut, TheRingBreaksMeanwhile) {
    Send(3);
    machine->framework.Pass(kEnough);
    machine->ring->PutUsed(0, 999, 1);
    machine->ring->PutUsedIdx(1);
    machine->Interrupt();
    EXPECT_EQ(machine->framework.RunWork(), 1);
    ExpectAll(STATUS_DEVICE_PROTOCOL_ERROR);
    EXPECT_EQ(Failures().count[VQ7_FAILURE_USED_ID], 1u);
    EXPECT_EQ(Failures().count[VQ7_FAILURE_TIME_OUT], 0u);
    EXPECT_EQ(Restart(), STATUS_SUCCESS);
    machine->Remove();
}

// Or it answers after all: that is taken, and what is left is sent again.
TEST_P(TimeOut, AnAnswerBetweenTheTickAndTheReset) {
    Send(3);
    machine->framework.Pass(kEnough);
    machine->Serve(1);
    machine->Interrupt();
    EXPECT_TRUE(requests[0]->completed);
    machine->seen.clear();
    RunWork();
    machine->Run();
    ExpectAll(STATUS_SUCCESS);
    EXPECT_EQ(Sectors(), (std::vector<std::uint64_t>{1, 2}));
    machine->Remove();
}

TEST_P(TimeOut, OneThatAsksForAResetSaysSo) {
    Send(3);
    machine->framework.Pass(kMs - 1);
    machine->pci.status |= 0x40;
    machine->framework.Pass(kEnough - kMs);
    EXPECT_EQ(machine->framework.RunWork(), 1);
    ExpectAll(STATUS_DEVICE_PROTOCOL_ERROR);
    EXPECT_EQ(Failures().last_failure, unsigned(VQ7_FAILURE_NEEDS_RESET));
    machine->Remove();
}

TEST_P(TimeOut, OneThatIsGoneIsNotAskedAgain) {
    Send(3);
    machine->pci.gone = true;
    machine->framework.Pass(kEnough);
    EXPECT_EQ(machine->framework.RunWork(), 1);
    ExpectAll(STATUS_DEVICE_PROTOCOL_ERROR);
    EXPECT_GE(Failures().count[VQ7_FAILURE_GONE], 1u);
    machine->pci.gone = false;
    machine->Remove();
}

// ---------------------------------------------------------------- restarts

TEST_P(TimeOut, ARestartLosesNothing) {
    Send(9);
    machine->Serve(2);
    machine->seen.clear();
    EXPECT_EQ(Restart(), STATUS_SUCCESS);
    machine->Run();
    ExpectAll(STATUS_SUCCESS);
    EXPECT_EQ(Sectors(), (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
    EXPECT_EQ(Failures().restarts, 1u);
    EXPECT_EQ(Failures().resent, 0u) << "that is for time-outs";
    EXPECT_EQ(Failures().last_failure, unsigned(VQ7_FAILURE_NONE));
    machine->Remove();
}

TEST_P(TimeOut, OneRestartAtATime) {
    Request *first = machine->framework.Send(IOCTL_VQ7_RESTART, nullptr, 0, 0);
    Request *second = machine->framework.Send(IOCTL_VQ7_RESTART, nullptr, 0, 0);
    EXPECT_FALSE(first->completed);
    EXPECT_EQ(second->status, STATUS_DEVICE_BUSY);
    RunWork();
    EXPECT_EQ(first->status, STATUS_SUCCESS);
    machine->Remove();
}

// What an error in a ring leaves, a restart mends, for each of them.
TEST_P(TimeOut, EveryBrokenRingHasItsName) {
    struct Case {
        int failure;
        std::function<void(vq7::model::SplitDevice &)> lie;
    };
    const Case cases[] = {
        {VQ7_FAILURE_USED_ID,
         [](auto &ring) {
             ring.PutUsed(0, 16, 1);
             ring.PutUsedIdx(1);
         }},
        {VQ7_FAILURE_USED_INDEX, [](auto &ring) { ring.PutUsedIdx(0x8000); }},
        {VQ7_FAILURE_NOT_ISSUED,
         [](auto &ring) {
             ring.PutUsed(0, 15, 1);
             ring.PutUsedIdx(1);
         }},
        {VQ7_FAILURE_MID_CHAIN,
         [](auto &ring) {
             ring.PutUsed(0, 1, 1);
             ring.PutUsedIdx(1);
         }},
        {VQ7_FAILURE_USED_TWICE,
         [](auto &ring) {
             ring.PutUsed(0, 0, 1);
             ring.PutUsed(1, 0, 1);
             ring.PutUsedIdx(2);
         }},
    };
    for (const Case &c : cases) {
        EXPECT_EQ(Restart(), STATUS_SUCCESS); // used->idx is 0
        requests.clear();
        Send(2);
        c.lie(*machine->ring);
        machine->Interrupt();
        EXPECT_EQ(machine->framework.RunWork(), 1);
        EXPECT_EQ(Failures().last_failure, unsigned(c.failure));
        EXPECT_EQ(Failures().count[c.failure], 1u);
        EXPECT_EQ(machine->Info().state, VQ7_STATE_FAILED);
        EXPECT_EQ(machine->Info().last_failure, c.failure);
        EXPECT_TRUE(requests[1]->completed);
        EXPECT_EQ(requests[1]->status, STATUS_DEVICE_PROTOCOL_ERROR);
        EXPECT_EQ(Restart(), STATUS_SUCCESS);
        EXPECT_EQ(machine->Info().state, VQ7_STATE_RUNNING);
        EXPECT_EQ(machine->Info().queue[0].broken, 0);
        requests.clear();
        Send(9);
        machine->Run();
        ExpectAll(STATUS_SUCCESS);
    }
    machine->framework.Send(IOCTL_VQ7_CLEAR_STATS, nullptr, 0, 0);
    EXPECT_EQ(Failures().count[VQ7_FAILURE_USED_TWICE], 0u);
    machine->Remove();
}

// Whatever call fails in a restart: it says so, and the next one works.
TEST_P(TimeOut, ARestartThatFails) {
    int n = 0;
    for (; n < 60; n++) {
        requests.clear();
        Send(2);
        machine->pci.queues[0].maxSize ^= 16 ^ 32; // the rings are made anew
        machine->pci.queues[0].size = machine->pci.queues[0].maxSize;
        machine->kernel.failed.clear();
        machine->kernel.fail_at = n;
        Request *restart = machine->framework.Send(IOCTL_VQ7_RESTART, nullptr, 0, 0);
        EXPECT_EQ(machine->framework.RunWork(), 1);
        machine->kernel.fail_at = -1;
        ASSERT_TRUE(restart->completed);
        if (machine->kernel.failed.empty()) {
            break;
        }
        SCOPED_TRACE(machine->kernel.failed);
        if (NT_SUCCESS(restart->status)) { // it was not needed
            machine->Reattach();
            machine->Run();
            ExpectAll(STATUS_SUCCESS);
            continue;
        }
        ExpectAll(STATUS_IO_DEVICE_ERROR);
        EXPECT_EQ(Restart(), STATUS_SUCCESS);
    }
    EXPECT_GT(n, 5) << "calls that may fail";
    machine->Reattach();
    machine->Run();
    ExpectAll(STATUS_SUCCESS);
    machine->Remove();
}

// --------------------------------------------------------------- parameters

TEST(TimeOutParameters, AreTheRegistrys) {
    struct Case {
        std::map<std::u16string, ULONG> numbers;
        bool starts;
        unsigned ms, retries;
    };
    const Case cases[] = {
        {{}, true, 60000, 1},
        {{{u"RequestTimeoutMs", 0}}, true, 0, 1},
        {{{u"RequestTimeoutMs", 100}, {u"RequestRetries", 16}}, true, 100, 16},
        {{{u"RequestRetries", 0}}, true, 60000, 0},
        {{{u"RequestTimeoutMs", 99}}, false, 0, 0},
        {{{u"RequestTimeoutMs", 3600001}}, false, 0, 0},
        {{{u"RequestRetries", 17}}, false, 0, 0},
    };
    for (const Case &c : cases) {
        Machine machine;
        machine.framework.numbers = c.numbers;
        EXPECT_EQ(machine.Start(), c.starts ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER);
        if (c.starts) {
            const auto failures = machine.Get<VQ7_FAILURES>(IOCTL_VQ7_GET_FAILURES);
            EXPECT_EQ(failures.timeout_ms, c.ms);
            EXPECT_EQ(failures.retries, c.retries);
        } else {
            EXPECT_TRUE(machine.kernel.Logged("parameter RequestTimeoutMs"));
        }
        machine.Remove();
    }
}

} // namespace
