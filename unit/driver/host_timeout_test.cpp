// SPDX-License-Identifier: MIT
//
// The driver on the host with a device that does not answer, or whose interrupts get lost:
// the time-out, what it sends again, and how often.
#include "host/silent.h"

using namespace vq7::host;

namespace {

class TimeOut : public SilentDevice {};

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
