// SPDX-License-Identifier: MIT
//
// The driver's clock and its resets on the host, to the tick: when a time-out is one, what a
// lost interrupt is, how long a reset is waited for.
#include "host/watch.h"

using namespace vq7::host;

namespace {

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
    const VQ7_TIMEOUT off = {VQ7_TIMEOUT_OFF, 1};
    machine.framework.Send(IOCTL_VQ7_SET_TIMEOUT, &off, sizeof(off), 0);
    EXPECT_FALSE(timer().armed);
    machine.Remove();
}

// It is switched off as it ticks, on another processor: the tick is the last one, and waits for
// nobody.
TEST_F(Watch, IsSwitchedOffAsItTicks) {
    dc().timeout_ms = VQ7_TIMEOUT_OFF;
    machine.framework.Pass(kTick);
    EXPECT_FALSE(timer().armed);
    machine.Remove();
}

// A tick that comes after the stop looks at nothing.
TEST_F(Watch, ATickAfterTheStop) {
    Send(2);
    machine.Serve();
    machine.framework.PowerDown();
    for (int i = 0; i < 3; i++) {
        machine.kernel.irql = DISPATCH_LEVEL;
        timer().config.EvtTimerFunc(reinterpret_cast<WDFTIMER>(&timer()));
        machine.kernel.irql = PASSIVE_LEVEL;
    }
    EXPECT_FALSE(timer().armed);
    EXPECT_EQ(Failures().lost_interrupts, 0u);
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Run();
    EXPECT_EQ(Completed(), 2u);
    machine.Remove();
}

// One is answered without an interrupt just before the tick at which both are late: the other
// one is late all the same.
TEST_F(Watch, OneAnswerDoesNotSaveTheOther) {
    Send(2);
    machine.framework.Pass(kTimeout);
    machine.Serve(1);
    machine.framework.Pass(kTick);
    EXPECT_EQ(Completed(), 1u);
    EXPECT_EQ(Failures().lost_interrupts, 1u);
    EXPECT_EQ(Failures().state, unsigned(VQ7_STATE_RECOVERING));
    EXPECT_EQ(machine.framework.RunWork(), 1);
    machine.Reattach();
    machine.Run();
    EXPECT_EQ(Completed(), 2u);
    machine.Remove();
}

// The first tick may have come right after the request, so one more is waited for.
TEST_F(Watch, LateIsTheTimeAndATick) {
    Send(1);
    machine.framework.Pass(kTimeout + kTick - 1);
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

// A request's age is one of whole ticks, here of 250 ms: at 1250 nobody is 1251 ms old.
TEST_F(Watch, LateIsNoMillisecondBefore) {
    const VQ7_TIMEOUT in = {kTimeout + 1, 1};
    machine.framework.Send(IOCTL_VQ7_SET_TIMEOUT, &in, sizeof(in), 0);
    Send(1);
    machine.framework.Pass(5 * kTick);
    EXPECT_EQ(Failures().state, unsigned(VQ7_STATE_RUNNING));
    machine.framework.Pass(kTick);
    EXPECT_EQ(Failures().state, unsigned(VQ7_STATE_RECOVERING));
    EXPECT_EQ(machine.framework.RunWork(), 1);
    machine.Reattach();
    machine.Run();
    machine.Remove();
}

// After a reset that left it a smaller ring the device has one of the two requests. When it
// does not answer that one either, the other is none that it was given a second time.
TEST_F(Watch, OneThatWaitsIsNotOneThatTheDeviceHad) {
    Send(2);
    machine.framework.Pass(kTimeout + kTick);
    machine.pci.queues[0].maxSize = machine.pci.queues[0].size = 4;
    EXPECT_EQ(machine.framework.RunWork(), 1);
    EXPECT_EQ(Failures().resent, 2u);
    machine.framework.Pass(kTimeout + kTick);
    EXPECT_EQ(machine.framework.RunWork(), 1);
    EXPECT_EQ(requests[0]->status, STATUS_IO_TIMEOUT);
    EXPECT_EQ(Completed(), 1u);
    machine.Reattach();
    machine.Run();
    EXPECT_EQ(requests[1]->status, STATUS_SUCCESS);
    EXPECT_EQ(Failures().timed_out, 1u);
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
    machine.framework.Pass(10 * kTimeout);
    EXPECT_EQ(machine.framework.RunWork(), 0);
    EXPECT_EQ(Failures().lost_interrupts, 0u);
    Send(1);
    machine.framework.Pass(kTimeout);
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

} // namespace
