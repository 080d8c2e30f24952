// SPDX-License-Identifier: MIT
//
// The driver's clock, its resets and its failures on the host, to the tick: when a time-out
// is one, what a lost interrupt is, how long a reset is waited for, what is counted once.
#include "host/machine.h"

#include "driver.h"

using namespace vq7::host;

namespace {

constexpr unsigned kMs = 1000, kTick = kMs / 4;

struct Watch : testing::Test {
    explicit Watch(const Options &options = Small()) : machine(options) {
        machine.framework.numbers = {{u"RequestTimeoutMs", kMs}, {u"RequestRetries", 1}};
    }
    void SetUp() override {
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    }
    static Options Small() { // five requests fill the ring
        Options options;
        options.features &= ~(kIndirect | kEventIdx);
        return options;
    }
    VQ7_FAILURES Failures() {
        VQ7_FAILURES failures;
        Request *request =
            machine.framework.Send(IOCTL_VQ7_GET_FAILURES, nullptr, 0, sizeof(failures));
        memcpy(&failures, request->buffer.data(), sizeof(failures));
        return failures;
    }
    void Send(unsigned count) {
        for (unsigned i = 0; i < count; i++) {
            requests.push_back(machine.Write(i, data));
        }
    }
    unsigned Completed() {
        unsigned count = 0;
        for (Request *request : requests) {
            count += request->completed;
        }
        return count;
    }
    void Break() {
        machine.ring->PutUsed(0, 999, 1);
        machine.ring->PutUsedIdx(1);
        machine.Interrupt();
    }
    Request *AskForRestart() {
        return machine.framework.Send(IOCTL_VQ7_RESTART, nullptr, 0, 0);
    }
    Timer &timer() {
        return *machine.framework.timers.at(0);
    }
    Machine machine;
    Data data{machine.memory, 512};
    std::vector<Request *> requests;
};

// --------------------------------------------------------------------- ticks

TEST_F(Watch, TicksAreAQuarterOfIt) {
    struct Case {
        unsigned timeout, tick;
    };
    for (const Case &c : {Case{100, 25}, Case{3996, 999}, Case{4000, 1000}, Case{4004, 1000},
                          Case{3600000, 1000}}) {
        const VQ7_TIMEOUT in = {c.timeout, 1};
        machine.framework.Send(IOCTL_VQ7_SET_TIMEOUT, &in, sizeof(in), 0);
        EXPECT_TRUE(timer().armed);
        EXPECT_EQ(timer().due_ms, c.tick);
    }
    machine.Remove();
}

// The first tick may have come right after the request, so one more is waited for.
TEST_F(Watch, LateIsTheTimeAndATick) {
    Send(1);
    machine.framework.Pass(kMs + kTick - 1);
    EXPECT_EQ(Failures().state, unsigned(VQ7_STATE_RUNNING));
    EXPECT_TRUE(timer().armed);
    machine.framework.Pass(1);
    EXPECT_EQ(Failures().state, unsigned(VQ7_STATE_RECOVERING));
    EXPECT_FALSE(timer().armed) << "until it runs again";
    EXPECT_EQ(machine.framework.RunWork(), 1);
    EXPECT_TRUE(timer().armed);
    machine.Reattach();
    machine.Run();
    EXPECT_EQ(Completed(), 1u);
    machine.Remove();
}

// Requests of an earlier tick are older, whatever slot they are in.
TEST_F(Watch, TheOldestCounts) {
    Send(2);
    machine.framework.Pass(3 * kTick);
    Send(2);
    machine.Serve(1);
    machine.Interrupt();
    machine.framework.Pass(2 * kTick);
    EXPECT_EQ(Failures().state, unsigned(VQ7_STATE_RECOVERING));
    EXPECT_EQ(machine.framework.RunWork(), 1);
    EXPECT_EQ(Failures().resent, 3u);
    machine.Reattach();
    machine.Run();
    EXPECT_EQ(Completed(), 4u);
    machine.Remove();
}

TEST_F(Watch, NothingAtTheDeviceIsNeverLate) {
    Send(3);
    machine.Run();
    machine.framework.Pass(10 * kMs);
    EXPECT_EQ(machine.framework.RunWork(), 0);
    EXPECT_EQ(Failures().lost_interrupts, 0u);
    Send(1);
    machine.framework.Pass(kMs);
    EXPECT_EQ(machine.framework.RunWork(), 0) << "it is as old as itself";
    machine.Run();
    machine.Remove();
}

// An interrupt is lost when what it is for has waited a whole tick, not when there is always
// something new.
TEST_F(Watch, NewAnswersAreNotOldOnes) {
    Send(5);
    machine.Serve(1);
    for (unsigned i = 1; i < 5; i++) {
        machine.framework.Pass(kTick);
        EXPECT_EQ(Completed(), i - 1) << "its interrupt may be on the way";
        machine.Interrupt();
        EXPECT_EQ(Completed(), i);
        machine.Serve(1);
    }
    machine.Interrupt();
    // Nothing waits at this tick, and what comes then is new at the next one.
    machine.framework.Pass(kTick);
    Send(2);
    machine.Serve(1);
    machine.framework.Pass(kTick);
    EXPECT_EQ(Completed(), 5u);
    EXPECT_EQ(Failures().lost_interrupts, 0u);
    machine.framework.Pass(kTick);
    EXPECT_EQ(Completed(), 6u);
    EXPECT_EQ(Failures().lost_interrupts, 1u);
    machine.Run();
    machine.Remove();
}

// A device that is always done with one more: the tick ends, and the next one goes on.
struct Deep : Watch {
    Deep()
        : Watch([] {
              Options options;
              options.queue_size = 64;
              options.features &= ~(kIndirect | kEventIdx);
              return options;
          }()) {}
};

TEST_F(Deep, ATickEnds) {
    Send(200);
    machine.Serve(1);
    machine.framework.Pass(kTick);
    machine.kernel.at_barrier = [&] { machine.Serve(1); };
    machine.framework.Pass(kTick);
    machine.kernel.at_barrier = nullptr;
    // 16 looks at four answers each; each but the first finds one more, of the notification.
    EXPECT_EQ(Completed(), 16u * 4 + 15);
    EXPECT_EQ(machine.framework.RunWork(), 0);
    machine.framework.Pass(2 * kTick);
    machine.Run();
    EXPECT_EQ(Completed(), 200u);
    machine.Remove();
}

// -------------------------------------------------------------------- resets

// Two milliseconds at full attention, then a second in steps of ten.
TEST_F(Watch, AResetHasASecond) {
    machine.pci.stalled = 0;
    machine.pci.resetReads = 1 << 20;
    machine.framework.PowerDown();
    EXPECT_EQ(machine.kernel.slept, 1'000'000u);
    EXPECT_GE(machine.pci.stalled, 2000u);
    EXPECT_LT(machine.pci.stalled, 3000u);
    machine.pci.resetReads = 0;
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.kernel.slept = 0;
    machine.framework.PowerDown();
    EXPECT_EQ(machine.kernel.slept, 0u);
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Remove();
}

// It goes away while it is waited for: there is nothing to wait for.
TEST_F(Watch, OneThatGoesWhileItResets) {
    machine.pci.resetReads = 1 << 20;
    machine.kernel.asleep = [&] { machine.pci.gone = true; };
    machine.framework.callbacks.EvtDeviceD0ExitPreInterruptsDisabled(
        reinterpret_cast<WDFDEVICE>(machine.framework.device), WdfPowerDeviceD3);
    EXPECT_EQ(machine.kernel.slept, 10'000u);
    EXPECT_EQ(Failures().count[VQ7_FAILURE_GONE], 1u);
    EXPECT_EQ(Failures().count[VQ7_FAILURE_RESET_STUCK], 0u);
    EXPECT_EQ(Failures().last_failure, unsigned(VQ7_FAILURE_GONE));
    machine.pci.gone = false;
    machine.pci.resetReads = 0;
    machine.framework.connected = machine.framework.powered = false;
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Remove();
}

// Each sleep is looked after: it ends as soon as the device has followed.
TEST_F(Watch, AResetThatEndsInAStep) {
    machine.pci.resetReads = 1 << 20;
    machine.kernel.asleep = [&] {
        if (machine.kernel.slept == 30'000) {
            machine.pci.resetReads = 0;
        }
    };
    machine.framework.PowerDown();
    EXPECT_EQ(machine.kernel.slept, 30'000u);
    EXPECT_TRUE(machine.BusMaster());
    EXPECT_EQ(Failures().last_failure, unsigned(VQ7_FAILURE_NONE));
    EXPECT_EQ(Failures().count[VQ7_FAILURE_NONE], 0u) << "which is none to count";
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Remove();
}

// ------------------------------------------------------------------ failures

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
    machine.framework.Pass(kMs + kTick);
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
