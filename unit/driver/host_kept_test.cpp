// SPDX-License-Identifier: MIT
//
// What is kept over a power-down, on the host: exactly what the device had is sent again,
// and what still waits for room in the ring when the device is pulled out fails with the rest.
#include "host/machine.h"

using namespace vq7::host;

namespace {

// A ring of 16 without indirect descriptors.
Options SmallRing() {
    Options options;
    options.features &= ~(kIndirect | kEventIdx);
    return options;
}

struct Kept : testing::Test {
    void SetUp() override {
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    }
    std::vector<std::uint64_t> SectorsSeen() {
        std::vector<std::uint64_t> sectors;
        for (const Seen &seen : machine.seen) {
            sectors.push_back(seen.sector);
        }
        return sectors;
    }
    Machine machine{SmallRing()};
    Data data{machine.memory, 512};
    std::vector<Request *> requests;
};

// The device takes all that fit and does them, and the driver hears of none: they are sent
// again, in order, each once, and before those that were not sent yet.
TEST_F(Kept, WhatTheDeviceHadIsSentAgain) {
    for (unsigned i = 0; i < 9; i++) {
        requests.push_back(machine.Write(i, data));
    }
    machine.Serve();
    const std::vector<std::uint64_t> first = SectorsSeen();
    ASSERT_EQ(first, (std::vector<std::uint64_t>{0, 1, 2, 3, 4}));
    machine.framework.PowerDown();
    machine.seen.clear();
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Run();
    EXPECT_EQ(SectorsSeen(), (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
    for (Request *request : requests) {
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(request->status, STATUS_SUCCESS);
    }
    EXPECT_EQ(machine.Stats().submitted, 9u + first.size());
    EXPECT_EQ(machine.Stats().completed, 9u);
    machine.Remove();
}

// One in parts whose beginning is done: it needs more of the ring when it is sent again from
// the start, and the two behind it wait. They aren't in the framework's queue, so nobody but
// the driver can end them.
TEST_F(Kept, WhatWaitsToBeSentAgainFailsWithTheRest) {
    Data big(machine.memory, 20 * 4096); // 14 segments, and 6
    requests.push_back(machine.Write(0, big));
    requests.push_back(machine.Write(500, data));
    requests.push_back(machine.Write(600, data));
    machine.Serve(1);
    machine.Interrupt();
    machine.Serve();
    ASSERT_EQ(SectorsSeen(), (std::vector<std::uint64_t>{0, 14 * 8, 500, 600}));
    machine.framework.PowerDown();
    machine.seen.clear();
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Serve();
    ASSERT_EQ(SectorsSeen(), std::vector<std::uint64_t>{0}) << "the others wait for room";
    machine.pci.gone = true;
    machine.framework.SurpriseRemove();
    for (Request *request : requests) {
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(request->status, STATUS_DEVICE_REMOVED);
        EXPECT_EQ(request->information, 0u);
    }
    machine.framework.powered = false;
    machine.pci.gone = false; // the model says what it was
    machine.Remove();
}

// The same, and the device breaks the protocol instead.
TEST_F(Kept, WhatWaitsToBeSentAgainFailsWithTheDevice) {
    Data big(machine.memory, 20 * 4096);
    requests.push_back(machine.Write(0, big));
    requests.push_back(machine.Write(500, data));
    machine.Serve(1);
    machine.Interrupt();
    machine.framework.PowerDown();
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.ring->PutUsed(0, 999, 1); // no such descriptor
    machine.ring->PutUsedIdx(1);
    machine.Interrupt();
    EXPECT_EQ(machine.framework.RunWork(), 1);
    for (Request *request : requests) {
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(request->status, STATUS_DEVICE_PROTOCOL_ERROR);
    }
    machine.Remove();
}

// Where the framework leaves out the callback before interrupts are disconnected.
TEST_F(Kept, AlsoByThePowerDownThatComesWithoutWarning) {
    for (unsigned i = 0; i < 9; i++) {
        requests.push_back(machine.Write(i, data));
    }
    machine.framework.callbacks.EvtDeviceD0Exit(
        reinterpret_cast<WDFDEVICE>(machine.framework.device), WdfPowerDeviceD3);
    EXPECT_EQ(machine.pci.status, 0);
    machine.framework.connected = machine.framework.powered = false;
    for (Request *request : requests) {
        EXPECT_FALSE(request->completed);
    }
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Run();
    EXPECT_EQ(SectorsSeen(), (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
    machine.Remove();
}

// More starts than there are slots: each has all of them.
TEST_F(Kept, EveryStartHasAllSlots) {
    for (unsigned i = 0; i < 9; i++) {
        requests.push_back(machine.Write(i, data));
    }
    for (unsigned i = 0; i < 40; i++) {
        machine.framework.PowerDown();
        machine.seen.clear();
        ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
        machine.Serve();
        ASSERT_EQ(machine.seen.size(), 5u) << i;
    }
    machine.Interrupt();
    machine.Run();
    for (Request *request : requests) {
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(request->status, STATUS_SUCCESS);
    }
    machine.Remove();
}

} // namespace
