// SPDX-License-Identifier: MIT
//
// The driver on the host with a clock that a test turns to the tick, and a ring that is soon
// full or broken.
#ifndef VQ7_UNIT_DRIVER_HOST_WATCH_H_
#define VQ7_UNIT_DRIVER_HOST_WATCH_H_

#include "machine.h"

#include "driver.h"

namespace vq7::host {

inline constexpr unsigned kTimeout = 1000, kTick = kTimeout / 4;

struct Watch : testing::Test {
    explicit Watch(const Options &options = Small()) : machine(options) {
        machine.framework.numbers = {{u"RequestTimeoutMs", kTimeout}, {u"RequestRetries", 1}};
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
    DEVICE_CONTEXT &dc() {
        return *Vq7GetDevice(reinterpret_cast<WDFDEVICE>(machine.framework.device));
    }
    Timer &timer() {
        return *machine.framework.timers.at(0);
    }
    Machine machine;
    Data data{machine.memory, 512};
    std::vector<Request *> requests;
};

} // namespace vq7::host

#endif // VQ7_UNIT_DRIVER_HOST_WATCH_H_
