// SPDX-License-Identifier: MIT
//
// The driver on the host resets a device: one that does not answer, at each moment of the
// time-out with a power-down, a removal or a broken ring; and one that is restarted by IOCTL.
#include "host/silent.h"

using namespace vq7::host;

namespace {

class Reset : public SilentDevice {};

INSTANTIATE_TEST_SUITE_P(Interrupts, Reset, testing::Values(0, 2),
                         [](const auto &info) { return "Messages" + std::to_string(info.param); });

// ------------------------------------------------------------------ resets

TEST_P(Reset, AResetThatTakesItsTime) {
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

TEST_P(Reset, AResetThatDoesNotEnd) {
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
TEST_P(Reset, ADeviceThatIsAnotherAfterwards) {
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

TEST_P(Reset, APowerDownComesFirst) {
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

TEST_P(Reset, APowerDownComesWhileItResets) {
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

TEST_P(Reset, ARemovalComesFirst) {
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

// One that went without a word is found by the clock, and called that.
TEST_P(Reset, OneThatIsGone) {
    Send(3);
    machine->pci.gone = true;
    machine->framework.Pass(kEnough);
    EXPECT_EQ(machine->framework.RunWork(), 1);
    ExpectAll(STATUS_DEVICE_PROTOCOL_ERROR);
    EXPECT_TRUE(machine->kernel.Logged("the device is gone"));
    VQ7_FAILURES failures = Failures();
    EXPECT_EQ(failures.last_failure, unsigned(VQ7_FAILURE_GONE));
    EXPECT_EQ(failures.count[VQ7_FAILURE_NEEDS_RESET], 0u);
    machine->framework.SurpriseRemove();
    machine->framework.powered = false;
    machine->pci.gone = false; // the model says what it was
    machine->Remove();
}

// A request that is to be purged isn't sent again: it ends with the time-out.
TEST_P(Reset, WhatIsToBePurgedEnds) {
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
TEST_P(Reset, TheRingBreaksMeanwhile) {
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
TEST_P(Reset, AnAnswerBetweenTheTickAndTheReset) {
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

TEST_P(Reset, OneThatAsksForAResetSaysSo) {
    Send(3);
    machine->framework.Pass(kMs - 1);
    machine->pci.status |= 0x40;
    machine->framework.Pass(kEnough - kMs);
    EXPECT_EQ(machine->framework.RunWork(), 1);
    ExpectAll(STATUS_DEVICE_PROTOCOL_ERROR);
    EXPECT_EQ(Failures().last_failure, unsigned(VQ7_FAILURE_NEEDS_RESET));
    machine->Remove();
}

TEST_P(Reset, OneThatIsGoneIsNotAskedAgain) {
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

TEST_P(Reset, ARestartLosesNothing) {
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

TEST_P(Reset, OneRestartAtATime) {
    Request *first = machine->framework.Send(IOCTL_VQ7_RESTART, nullptr, 0, 0);
    Request *second = machine->framework.Send(IOCTL_VQ7_RESTART, nullptr, 0, 0);
    EXPECT_FALSE(first->completed);
    EXPECT_EQ(second->status, STATUS_DEVICE_BUSY);
    RunWork();
    EXPECT_EQ(first->status, STATUS_SUCCESS);
    machine->Remove();
}

// What an error in a ring leaves, a restart mends, for each of them.
TEST_P(Reset, EveryBrokenRingHasItsName) {
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
TEST_P(Reset, ARestartThatFails) {
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

// ------------------------------------------------------------- without queues

// A device of a type that the driver doesn't know fails and comes back like any other.
TEST(OtherTypes, FailAndComeBack) {
    Options options;
    options.type = 4;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    machine.pci.status |= 0x40; // DEVICE_NEEDS_RESET (2.1.2)
    machine.pci.isr = 2;
    EXPECT_TRUE(machine.framework.Interrupted(0));
    machine.framework.RunDpcs();
    EXPECT_EQ(machine.framework.RunWork(), 1);
    EXPECT_TRUE(machine.kernel.Logged("has failed"));
    for (int i = 0; i < 2; i++) { // one that has failed, one that runs
        Request *restart = machine.framework.Send(IOCTL_VQ7_RESTART, nullptr, 0, 0);
        EXPECT_EQ(machine.framework.RunWork(), 1);
        EXPECT_EQ(restart->status, STATUS_SUCCESS);
    }
    machine.Remove();
}

} // namespace
