// SPDX-License-Identifier: MIT
//
// Queues on the host: their sizes, the memory they have, and what is made anew when a device
// is started once more.
#include "host/cross.h"

#include "driver.h"

using namespace vq7::host;

namespace {

Options Legacy(std::uint16_t size) {
    Options options;
    options.modern = false;
    options.legacy = true;
    options.queue_size = size;
    options.memory = 4 << 20;
    return options;
}

// 2.7.2: a driver can't choose a legacy device's size, however large it is.
TEST(Queues, ALegacyDevicesSizeIsTaken) {
    for (std::uint16_t size : {4, 16, 2048, 32768}) {
        Machine machine(Legacy(size));
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS) << size;
        EXPECT_EQ(machine.Info().queue[0].size, size);
        EXPECT_FALSE(machine.kernel.Logged("queue 0: status"));
        machine.Remove();
    }
}

// 4.1.4.3: down to a power of two, whatever the device says.
TEST(Queues, OddSizesOfAModernDevice) {
    const std::pair<std::uint16_t, std::uint16_t> sizes[] = {
        {5, 4}, {7, 4}, {9, 8}, {15, 8}, {1023, 512}, {1025, 1024}, {32767, 1024}};
    for (const auto &[says, used] : sizes) {
        Options options;
        options.queue_size = says;
        options.memory = 4 << 20;
        Machine machine(options);
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS) << says;
        EXPECT_EQ(machine.Info().queue[0].size, used);
        machine.Remove();
    }
}

// 2.7.6, 2.7.8: with EVENT_IDX each of the rings has two bytes more.
TEST(Queues, MemoryHoldsTheEventFields) {
    for (std::uint16_t size : {16, 128}) {
        Options options;
        options.queue_size = size;
        Machine machine(options);
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
        const std::uint64_t desc = machine.pci.queues[0].desc, used = machine.pci.queues[0].device;
        unsigned found = 0;
        for (auto &object : machine.framework.objects) {
            auto *buffer = dynamic_cast<Buffer *>(object.get());
            if (buffer != nullptr && buffer->pa == desc) {
                EXPECT_EQ(buffer->length, used - desc + 6 + 8u * size);
                found++;
            }
        }
        EXPECT_EQ(found, 1u);
        machine.Remove();
    }
}

// 128 indirect tables; what else is under way goes into the ring itself.
TEST(Queues, IndirectTables) {
    Options options;
    options.queue_size = 256;
    options.memory = 16 << 20;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data pages(machine.memory, 8 * 4096);
    std::vector<Request *> requests;
    for (unsigned i = 0; i < 130; i++) {
        requests.push_back(machine.Write(i, pages));
    }
    EXPECT_EQ(StatsNow(machine).in_flight, 130u);
    EXPECT_EQ(StatsNow(machine).indirect, 128u);
    machine.Run();
    for (Request *request : requests) {
        EXPECT_EQ(request->status, STATUS_SUCCESS);
    }
    machine.Remove();
}

// Nothing is made anew at a start that finds the device as it was, whichever of the ring's
// features it has.
TEST(Queues, AreKept) {
    for (std::uint64_t features : {std::uint64_t(0), std::uint64_t(kIndirect),
                                   std::uint64_t(kEventIdx), kIndirect | kEventIdx}) {
        Options options;
        options.features = features;
        Machine machine(options);
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
        machine.framework.PowerDown();
        const std::size_t objects = machine.framework.objects.size();
        ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
        EXPECT_EQ(machine.framework.objects.size(), objects) << std::hex << features;
        machine.Remove();
    }
}

// ------------------------------------------------------------------- starts

// It resets when it gets power, and then no more: it isn't set up.
TEST(Starts, AResetThatSticks) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    machine.framework.PowerDown();
    const auto device = reinterpret_cast<WDFDEVICE>(machine.framework.device);
    machine.pci.driverFeatures = 0;
    EXPECT_EQ(machine.framework.callbacks.EvtDeviceD0Entry(device, WdfPowerDeviceD3),
              STATUS_SUCCESS);
    machine.pci.status = 0x0F; // something has set it up meanwhile
    machine.pci.resetReads = 1 << 20;
    EXPECT_EQ(
        machine.framework.callbacks.EvtDeviceD0EntryPostInterruptsEnabled(device, WdfPowerDeviceD3),
        STATUS_IO_TIMEOUT);
    EXPECT_EQ(machine.pci.driverFeatures, 0u);
    machine.pci.resetReads = 0;
    machine.pci.status = 0;
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Remove();
}

// 3.1.1: a driver that gives up says so (FAILED), before it resets the device.
TEST(Starts, AFailureIsToldToTheDevice) {
    Machine machine;
    machine.pci.queues[0].maxSize = machine.pci.queues[0].size = 0;
    EXPECT_EQ(machine.Start(), STATUS_NOT_FOUND);
    EXPECT_NE(machine.pci.oldStatus & 0x80, 0) << "what it was when it was reset";
    EXPECT_EQ(machine.pci.status, 0);
    machine.Remove();
}

// The last of the transitional ids (4.1.2.1) has a legacy interface, too; and where that can't
// be used either, its reason is the start's.
TEST(Starts, TheLegacyInterfaceOfTheLastTransitionalId) {
    for (bool there : {true, false}) {
        Options options;
        options.legacy = true;
        Machine machine(options);
        machine.pci.putCfg(2, 0x103F, 2);
        machine.pci.refuseFeaturesOk = true;
        if (!there) {
            auto &resources = machine.framework.raw;
            resources.erase(resources.begin());
            machine.framework.translated = resources;
        }
        EXPECT_EQ(machine.Start(), there ? STATUS_SUCCESS : STATUS_NOT_FOUND);
        EXPECT_TRUE(machine.kernel.Logged("the legacy one is tried"));
        machine.Remove();
    }
}

TEST_F(Cross, AStopWaitsForTheRegisters) {
    ExpectWaitForRegisters(machine, [&] { machine.framework.PowerDown(); });
    machine.Remove();
}

// The ring breaks, and the power goes before the work item has run: it is counted all the same.
TEST_F(Cross, AFailureIsCountedWhereThePowerGoesFirst) {
    Send(2);
    machine.ring->PutUsed(0, 999, 1);
    machine.ring->PutUsedIdx(1);
    machine.Interrupt();
    machine.framework.PowerDown();
    const auto failures = GetNow<VQ7_FAILURES>(machine, IOCTL_VQ7_GET_FAILURES);
    EXPECT_EQ(failures.count[VQ7_FAILURE_USED_ID], 1u);
    machine.framework.RunWork();
    ExpectAll(STATUS_DEVICE_PROTOCOL_ERROR);
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Remove();
}

// Bus mastering can't be switched on for a restart: the device isn't started.
TEST_F(Cross, ARestartWithoutBusMastering) {
    machine.framework.unreadable = 4; // the command register
    Request *restart = machine.framework.Send(IOCTL_VQ7_RESTART, nullptr, 0, 0);
    EXPECT_EQ(machine.framework.RunWork(), 1);
    EXPECT_EQ(restart->status, STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_EQ(machine.pci.status & 4, 0) << "DRIVER_OK";
    machine.framework.unreadable = ~0u;
    machine.Remove();
}

} // namespace
