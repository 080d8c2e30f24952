// SPDX-License-Identifier: MIT
//
// The driver on the host with a device that does not answer: short times, a ring that is soon
// full, and requests that the device takes when it is told to.
#ifndef VQ7_UNIT_DRIVER_HOST_SILENT_H_
#define VQ7_UNIT_DRIVER_HOST_SILENT_H_

#include "machine.h"

namespace vq7::host {

inline constexpr unsigned kMs = 1000;            // the time-out
inline constexpr unsigned kEnough = 3 * kMs / 2; // and the ticks that notice it

class SilentDevice : public testing::TestWithParam<int> { // messages
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

} // namespace vq7::host

#endif // VQ7_UNIT_DRIVER_HOST_SILENT_H_
