// SPDX-License-Identifier: MIT
//
// Failures of a device on the host: what they are called, that each is counted once, and what
// crosses them on another processor.
#include "host/cross.h"
#include "host/watch.h"

using namespace vq7::host;

namespace {

TEST(Failures, HaveNamesForWhatAQueueSays) {
    const std::pair<NTSTATUS, LONG> names[] = {
        {VIRTQ_STATUS_USED_ID_RANGE, VQ7_FAILURE_USED_ID},
        {VIRTQ_STATUS_USED_IDX_AHEAD, VQ7_FAILURE_USED_INDEX},
        {VIRTQ_STATUS_USED_NOT_ISSUED, VQ7_FAILURE_NOT_ISSUED},
        {VIRTQ_STATUS_USED_MID_CHAIN, VQ7_FAILURE_MID_CHAIN},
        {VIRTQ_STATUS_USED_TWICE, VQ7_FAILURE_USED_TWICE},
        {VIRTQ_STATUS_USED_LENGTH, VQ7_FAILURE_USED_LENGTH},
        {STATUS_UNSUCCESSFUL, VQ7_FAILURE_PROTOCOL},
    };
    for (const auto &[status, failure] : names) {
        EXPECT_EQ(Vq7FailureOf(status), failure);
    }
}

// The numbers are in other programs: none may change.
TEST(Failures, HaveNumbersOfTheirOwn) {
    const int numbers[] = {
        VQ7_FAILURE_NONE,        VQ7_FAILURE_USED_ID,     VQ7_FAILURE_USED_INDEX,
        VQ7_FAILURE_NOT_ISSUED,  VQ7_FAILURE_MID_CHAIN,   VQ7_FAILURE_USED_TWICE,
        VQ7_FAILURE_USED_LENGTH, VQ7_FAILURE_PROTOCOL,    VQ7_FAILURE_NEEDS_RESET,
        VQ7_FAILURE_TIME_OUT,    VQ7_FAILURE_RESET_STUCK, VQ7_FAILURE_GONE,
        VQ7_FAILURE_START};
    for (int i = 0; i < int(std::size(numbers)); i++) {
        EXPECT_EQ(numbers[i], i);
    }
}

// The first reason counts, once; the ring is in the log; nothing ticks any more.
TEST_F(Watch, AFailureIsCountedOnce) {
    Send(2);
    Break();
    machine.pci.status |= 0x40;
    machine.pci.isr |= 2;
    machine.framework.Interrupted(0);
    machine.framework.RunDpcs();
    EXPECT_EQ(Failures().count[VQ7_FAILURE_USED_ID], 0u) << "by the work item";
    EXPECT_EQ(machine.framework.RunWork(), 1);
    EXPECT_EQ(machine.framework.RunWork(), 0);
    EXPECT_FALSE(timer().armed);
    VQ7_FAILURES failures = Failures();
    for (unsigned i = 0; i < VQ7_FAILURE_ROOM; i++) {
        EXPECT_EQ(failures.count[i], i == VQ7_FAILURE_USED_ID) << i;
    }
    EXPECT_EQ(failures.last_failure, unsigned(VQ7_FAILURE_USED_ID));
    EXPECT_TRUE(machine.kernel.Logged("queue 0 is broken"));
    unsigned lines = 0;
    for (const std::string &line : machine.kernel.log) {
        lines += line.find("avail") != std::string::npos;
    }
    EXPECT_GE(lines, 1u) << "what the ring held";
    machine.framework.PowerDown();
    EXPECT_EQ(Failures().count[VQ7_FAILURE_USED_ID], 1u);
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    EXPECT_EQ(Failures().last_failure, unsigned(VQ7_FAILURE_USED_ID)) << "also afterwards";
    machine.Remove();
}

// It is found broken as the clock of another processor says that it is late: it has failed.
TEST_F(Watch, AFailureWinsOverATimeOut) {
    Send(2);
    unsigned compares = 0;
    machine.kernel.at_compare = [&] {
        if (machine.kernel.log.empty() || dc().fail_reason == VQ7_FAILURE_NONE || compares++ != 0) {
            return;
        }
        dc().state = Vq7Recovering; // what TimeOut does
    };
    Break();
    machine.kernel.at_compare = nullptr;
    EXPECT_EQ(compares, 3u) << "the state, and both again";
    EXPECT_EQ(Failures().state, unsigned(VQ7_STATE_FAILED));
    EXPECT_EQ(machine.framework.RunWork(), 1);
    for (Request *request : requests) {
        EXPECT_EQ(request->status, STATUS_DEVICE_PROTOCOL_ERROR);
    }
    EXPECT_EQ(Failures().count[VQ7_FAILURE_USED_ID], 1u);
    EXPECT_EQ(Failures().restarts, 0u);
    machine.Remove();
}

TEST_F(Watch, ARestartWaitsForTheRegisters) {
    ExpectWaitForRegisters(machine, [&] {
        Request *restart = AskForRestart();
        EXPECT_EQ(machine.framework.RunWork(), 1);
        EXPECT_EQ(restart->status, STATUS_SUCCESS);
    });
    machine.Remove();
}

// The ring breaks as a restart stops the device: the restart says so.
TEST_F(Watch, TheRingBreaksAsItIsRestarted) {
    Send(2);
    Request *restart = AskForRestart();
    machine.framework.in_lock = [&](Lock *) {
        machine.framework.in_lock = nullptr;
        Break();
    };
    EXPECT_GE(machine.framework.RunWork(), 1);
    EXPECT_EQ(restart->status, STATUS_DEVICE_PROTOCOL_ERROR);
    machine.framework.RunWork();
    EXPECT_EQ(Failures().state, unsigned(VQ7_STATE_FAILED));
    EXPECT_EQ(Completed(), 2u);
    machine.Remove();
}

// A restart of a device that runs, and doesn't follow.
TEST_F(Watch, ARestartThatIsStuck) {
    machine.pci.resetReads = 1 << 20;
    Request *restart = AskForRestart();
    EXPECT_EQ(machine.framework.RunWork(), 1);
    EXPECT_EQ(restart->status, STATUS_IO_TIMEOUT);
    EXPECT_EQ(Failures().last_failure, unsigned(VQ7_FAILURE_RESET_STUCK));
    machine.pci.resetReads = 0;
    machine.Remove();
}

// A queue that isn't broken is not said to be.
TEST_F(Watch, OneThatAsksForAResetHasNoBrokenQueue) {
    Send(2);
    machine.pci.status |= 0x40;
    machine.pci.isr |= 2;
    machine.framework.Interrupted(0);
    machine.framework.RunDpcs();
    const std::size_t told = machine.pci.notifies.size();
    EXPECT_EQ(machine.framework.RunWork(), 1);
    EXPECT_FALSE(machine.kernel.Logged("is broken"));
    Send(1);
    EXPECT_EQ(machine.pci.notifies.size(), told);
    EXPECT_EQ(requests[2]->status, STATUS_DEVICE_NOT_READY);
    // A restart from there.
    Request *restart = AskForRestart();
    EXPECT_EQ(machine.framework.RunWork(), 1);
    EXPECT_EQ(restart->status, STATUS_SUCCESS);
    EXPECT_TRUE(timer().armed);
    machine.Remove();
}

// The ring breaks as the time-out is being dealt with, on another processor.
TEST_F(Watch, TheRingBreaksAsItIsStopped) {
    Send(2);
    machine.kernel.at_log = [&] {
        if (machine.kernel.log.back().find("it is reset") != std::string::npos) {
            machine.kernel.at_log = nullptr;
            Break();
        }
    };
    machine.framework.Pass(kTimeout + kTick);
    EXPECT_GE(machine.framework.RunWork(), 1);
    machine.framework.RunWork();
    for (Request *request : requests) {
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(request->status, STATUS_DEVICE_PROTOCOL_ERROR);
    }
    EXPECT_EQ(Failures().count[VQ7_FAILURE_TIME_OUT], 1u);
    EXPECT_EQ(Failures().count[VQ7_FAILURE_USED_ID], 1u);
    EXPECT_EQ(Failures().restarts, 0u);
    EXPECT_EQ(Failures().state, unsigned(VQ7_STATE_FAILED));
    machine.Remove();
}

TEST_F(Watch, ARestartOfADeviceWithoutPower) {
    Request *restart = AskForRestart();
    machine.framework.callbacks.EvtDeviceD0ExitPreInterruptsDisabled(
        reinterpret_cast<WDFDEVICE>(machine.framework.device), WdfPowerDeviceD3);
    machine.framework.connected = machine.framework.powered = false;
    EXPECT_EQ(machine.framework.RunWork(), 1);
    EXPECT_TRUE(restart->completed);
    EXPECT_EQ(restart->status, STATUS_DEVICE_NOT_READY);
    EXPECT_EQ(machine.pci.status, 0);
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Remove();
}

// Each start that fails counts as one, and leaves nothing for a later work item.
TEST_F(Watch, RestartsThatFailAreCounted) {
    for (unsigned i = 1; i < 4; i++) {
        machine.pci.queues[0].maxSize = machine.pci.queues[0].size = 0;
        Request *restart = AskForRestart();
        EXPECT_EQ(machine.framework.RunWork(), 1);
        EXPECT_EQ(restart->status, STATUS_NOT_FOUND);
        EXPECT_EQ(machine.framework.RunWork(), 0);
        EXPECT_EQ(Failures().count[VQ7_FAILURE_START], i);
        EXPECT_EQ(Failures().restarts, 0u);
        EXPECT_FALSE(timer().armed);
        EXPECT_TRUE(machine.kernel.Logged("cannot start 00:04.0 (block device)"));
        EXPECT_EQ(machine.Stats().in_flight, 0u);
    }
    machine.pci.queues[0].maxSize = machine.pci.queues[0].size = 16;
    Request *restart = AskForRestart();
    EXPECT_EQ(machine.framework.RunWork(), 1);
    EXPECT_EQ(restart->status, STATUS_SUCCESS);
    EXPECT_EQ(restart->information, 0u);
    VQ7_FAILURES failures = Failures();
    for (unsigned i = 0; i < VQ7_FAILURE_ROOM; i++) {
        EXPECT_EQ(failures.count[i], i == VQ7_FAILURE_START ? 3u : 0u) << i;
    }
    EXPECT_EQ(failures.restarts, 1u);
    EXPECT_EQ(failures.reserved, 0u);
    machine.Remove();
}

} // namespace
