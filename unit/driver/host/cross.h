// SPDX-License-Identifier: MIT
//
// What tests share that look at requests one by one, while the driver is at them.
#pragma once

#include "machine.h"

namespace vq7::host {

inline std::vector<std::uint64_t> Sectors(const Machine &machine) {
    std::vector<std::uint64_t> sectors;
    for (const Seen &seen : machine.seen) {
        sectors.push_back(seen.sector);
    }
    return sectors;
}

inline std::vector<std::uint64_t> Count(std::uint64_t first, std::uint64_t end) {
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

inline VQ7_STATS StatsNow(Machine &machine) {
    return GetNow<VQ7_STATS>(machine, IOCTL_VQ7_GET_STATS);
}

inline void IoStop(Request *request, ULONG flags) {
    request->queue->config.EvtIoStop(reinterpret_cast<WDFQUEUE>(request->queue),
                                     reinterpret_cast<WDFREQUEST>(request), flags);
}

// Stops the device as another processor would, in the middle of something.
inline void StopMeanwhile(Machine &machine) {
    const KIRQL irql = std::exchange(machine.kernel.irql, KIRQL(PASSIVE_LEVEL));
    machine.framework.callbacks.EvtDeviceD0ExitPreInterruptsDisabled(
        reinterpret_cast<WDFDEVICE>(machine.framework.device), WdfPowerDeviceD3);
    machine.kernel.irql = irql;
    machine.framework.connected = machine.framework.powered = false;
    machine.pci.msix = false;
}

// `stop` has the device reset: who has the registers, on another processor, is waited for first.
inline void ExpectWaitForRegisters(Machine &machine, const std::function<void()> &stop) {
    Lock &registers = *machine.framework.spin_locks.at(0);
    const unsigned before = registers.locked;
    machine.pci.resetReads = 1 << 20;
    machine.kernel.asleep = [&] {
        EXPECT_GT(registers.locked, before);
        machine.pci.resetReads = 0;
    };
    stop();
    EXPECT_GT(machine.kernel.slept, 0u);
    machine.kernel.asleep = nullptr;
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

} // namespace vq7::host
