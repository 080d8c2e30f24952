// SPDX-License-Identifier: MIT
//
// The driver's start on the host: what it asks of the device, what it then says of it, and
// what it leaves behind when something fails half-way.
#include "host/machine.h"

using namespace vq7::host;

namespace {

Options Of(bool modern, bool legacy, int messages) {
    Options options;
    options.modern = modern;
    options.legacy = legacy;
    options.messages = messages;
    return options;
}

// Name, interfaces of the device, messages.
struct Kind {
    const char *name;
    bool modern, legacy;
    int messages;
};

class Start : public testing::TestWithParam<Kind> {
  protected:
    Options options = Of(GetParam().modern, GetParam().legacy, GetParam().messages);
};

INSTANTIATE_TEST_SUITE_P(Kinds, Start,
                         testing::Values(Kind{"ModernLine", true, false, 0},
                                         Kind{"ModernOneMessage", true, false, 1},
                                         Kind{"ModernTwoMessages", true, false, 2},
                                         Kind{"LegacyLine", false, true, 0},
                                         Kind{"LegacyTwoMessages", false, true, 2},
                                         Kind{"TransitionalTwoMessages", true, true, 2}),
                         [](const auto &info) { return std::string(info.param.name); });

TEST_P(Start, SetsTheDeviceUp) {
    Machine machine(options);
    const Kind kind = GetParam();
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    EXPECT_EQ(machine.pci.status, kind.modern ? 0x0F : 0x07);
    EXPECT_TRUE(machine.BusMaster());
    const model::Queue &queue = machine.pci.queues[0];
    const unsigned vector = kind.messages == 0 ? 0xFFFF : kind.messages == 1 ? 0 : 1;
    EXPECT_EQ(queue.vector, vector);
    EXPECT_EQ(machine.pci.configVector, kind.messages == 0 ? 0xFFFF : 0);
    EXPECT_EQ(kind.modern ? queue.enabled : queue.pfn != 0, 1);
    EXPECT_EQ(machine.framework.dma_profile, WdfDmaProfileScatterGather64);
    EXPECT_GE(machine.framework.dma_length, 0x100000u);
    EXPECT_EQ(machine.framework.interface_guid, "8a6c7f2e-51b0-4d0b-9e43-5b7a3c1d7e07");
    EXPECT_TRUE(machine.kernel.Logged("loaded"));
    EXPECT_TRUE(machine.kernel.Logged("00:04.0 block device"));
    EXPECT_FALSE(machine.kernel.Logged("cannot"));
    machine.Remove();
    EXPECT_EQ(machine.pci.status, 0);
    EXPECT_TRUE(machine.kernel.Logged("00:04.0 stopped"));
}

TEST_P(Start, SaysWhatItFound) {
    Machine machine(options);
    const Kind kind = GetParam();
    machine.framework.bus_number = 3;
    machine.framework.address = 31 << 16 | 5;
    machine.pci.features |= 1u << 24; // one that the driver does not know
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    const VQ7_DEVICE_INFO info = machine.Info();
    EXPECT_EQ(info.size, sizeof(info));
    EXPECT_EQ(info.version, unsigned(VQ7_INTERFACE_VERSION));
    EXPECT_EQ(info.pci_vendor, 0x1AF4);
    EXPECT_EQ(info.pci_device, kind.legacy ? 0x1001 : 0x1042);
    EXPECT_EQ(info.pci_subsystem_vendor, 0x1AF4);
    EXPECT_EQ(info.pci_subsystem, kind.legacy ? 2 : 0x1100);
    EXPECT_EQ(info.pci_revision, kind.legacy ? 0 : 1);
    EXPECT_EQ(info.pci_bus, 3);
    EXPECT_EQ(info.pci_slot, 31);
    EXPECT_EQ(info.pci_function, 5);
    EXPECT_EQ(info.virtio_type, 2u);
    EXPECT_EQ(info.transport, unsigned(kind.modern ? VQ7_TRANSPORT_MODERN : VQ7_TRANSPORT_LEGACY));
    EXPECT_EQ(info.interrupt_mode,
              unsigned(kind.messages ? VQ7_INTERRUPT_MESSAGE : VQ7_INTERRUPT_LINE));
    EXPECT_EQ(info.vectors, unsigned(kind.messages ? kind.messages : 1));
    EXPECT_EQ(info.queue_count, 1u);
    EXPECT_EQ(info.device_status, kind.modern ? 0x0Fu : 0x07u);
    EXPECT_EQ(info.device_features, machine.pci.features & (kind.modern ? ~0ull : 0xFFFFFFFFull));
    EXPECT_EQ(info.driver_features,
              machine.pci.features & (kind.modern ? ~0ull : 0xFFFFFFFFull) & ~(1ull << 24));
    EXPECT_EQ(info.queue[0].size, 16);
    EXPECT_EQ(info.queue[0].max_size, 16);
    EXPECT_EQ(info.queue[0].vector, machine.pci.queues[0].vector);
    EXPECT_EQ(info.queue[0].broken, 0);
    EXPECT_EQ(info.queue[0].last_error, 0u);
    EXPECT_EQ(info.queue[1].size, 0);
    machine.Remove();
}

// Whatever call of kernel or framework fails: an error comes back, the device stands still,
// nothing is left behind. As many runs as there are calls that may fail.
TEST_P(Start, EveryFailureIsCleanedUp) {
    int failures = 0;
    for (int n = 0; n < 200; n++) {
        Machine machine(options);
        machine.kernel.fail_at = n;
        NTSTATUS status = machine.Start();
        if (machine.kernel.failed.empty()) {
            EXPECT_EQ(status, STATUS_SUCCESS);
            failures = n;
            machine.Remove();
            break;
        }
        const std::string &what = machine.kernel.failed;
        machine.kernel.fail_at = -1;
        SCOPED_TRACE(what + ", call " + std::to_string(n));
        if (NT_SUCCESS(status)) { // a capability that can't be read may not be needed
            EXPECT_EQ(what, "GetBusData");
        } else if (what == "WdfFdoQueryForInterface") {
            EXPECT_EQ(status, STATUS_NOT_SUPPORTED);
        } else if (what != "GetBusData" && what != "SetBusData") {
            EXPECT_TRUE(status == STATUS_INSUFFICIENT_RESOURCES ||
                        status == STATUS_DEVICE_CONFIGURATION_ERROR)
                << std::hex << status;
        }
        if (!NT_SUCCESS(status)) {
            EXPECT_EQ(machine.pci.status, 0);
            // DriverEntry says that it is loaded, and each step what it can't do.
            unsigned lines = 0;
            for (const std::string &line : machine.kernel.log) {
                lines += line.find("loaded") == std::string::npos;
            }
            EXPECT_GE(lines, 1u);
        }
        machine.Remove();
        for (const std::string &leak : machine.framework.Leaks()) {
            ADD_FAILURE() << "left behind: " << leak;
        }
    }
    EXPECT_GT(failures, 30) << "calls that may fail";
}

// What can't be read of configuration space reads as all ones, and then nothing is sure.
TEST_P(Start, NothingIsReadOfTheCapabilities) {
    for (unsigned at : {0x06u, 0x34u, Framework::kMsixAt}) {
        Machine machine(options);
        machine.framework.unreadable = at;
        ASSERT_EQ(machine.framework.Load(), STATUS_SUCCESS);
        ASSERT_EQ(machine.framework.AddDevice(), STATUS_SUCCESS);
        if (NT_SUCCESS(machine.framework.PrepareHardware())) {
            EXPECT_EQ(NT_SUCCESS(machine.framework.PowerUp()), options.messages == 0) << at;
        }
        machine.framework.unreadable = ~0u;
        machine.Remove();
    }
}

TEST_P(Start, AfterAFailureItCanBeStartedAgain) {
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    for (int n = 0; n < 60; n++) {
        machine.framework.PowerDown();
        machine.kernel.failed.clear();
        machine.kernel.fail_at = n;
        NTSTATUS status = machine.PowerUp();
        machine.kernel.fail_at = -1;
        if (!NT_SUCCESS(status)) {
            ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
        }
        Data data(machine.memory, 512, std::uint8_t(n));
        Request *request = machine.Write(n, data);
        machine.Run();
        ASSERT_TRUE(request->completed) << machine.kernel.failed;
        EXPECT_EQ(request->status, STATUS_SUCCESS);
        EXPECT_EQ(machine.disk[n * 512], n);
        if (machine.kernel.failed.empty()) {
            break;
        }
    }
    machine.Remove();
}

// ------------------------------------------------------------------ parameter

struct Parameter {
    const char16_t *text; // null: no value
    bool key, starts, modern;
};

class Transport : public testing::TestWithParam<Parameter> {};

INSTANTIATE_TEST_SUITE_P(
    Values, Transport,
    testing::Values(Parameter{nullptr, false, true, true}, Parameter{nullptr, true, true, true},
                    Parameter{u"auto", true, true, true}, Parameter{u"AUTO", true, true, true},
                    Parameter{u"Legacy", true, true, false}, Parameter{u"modern", true, true, true},
                    Parameter{u"", true, false, false}, Parameter{u"moder", true, false, false},
                    Parameter{u"moderne", true, false, false},
                    Parameter{u"legacy legacy leg", true, false, false}));

TEST_P(Transport, IsTheParameters) {
    Machine machine(Of(true, true, 0));
    machine.framework.parameters_key = GetParam().key;
    if (GetParam().text != nullptr) {
        machine.framework.transport = GetParam().text;
    }
    NTSTATUS status = machine.Start();
    EXPECT_EQ(status, GetParam().starts ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER);
    EXPECT_EQ(machine.framework.open_keys, 0);
    if (NT_SUCCESS(status)) {
        EXPECT_EQ(machine.pci.queues[0].enabled, GetParam().modern);
        machine.Remove();
    } else {
        EXPECT_TRUE(machine.kernel.Logged("parameter Transport"));
        EXPECT_EQ(machine.framework.device, nullptr);
    }
}

TEST(Transport, IsNotWhatTheDeviceHas) {
    Machine machine(Of(true, false, 0));
    machine.framework.transport = u"legacy";
    EXPECT_FALSE(NT_SUCCESS(machine.Start()));
    EXPECT_TRUE(machine.kernel.Logged("Transport=legacy"));
    machine.Remove();
}

// ---------------------------------------------------------------------- device

TEST(Device, DoesNotReset) {
    Machine machine;
    machine.pci.cfg[4] = 0x07;
    machine.pci.status = 0x0F;
    machine.pci.resetReads = 1 << 20;
    EXPECT_FALSE(NT_SUCCESS(machine.Start()));
    EXPECT_FALSE(machine.BusMaster()) << "it could write into memory that is given back";
    EXPECT_EQ(machine.pci.cfg[4], 0x03) << "nothing else of the command register";
    EXPECT_TRUE(machine.kernel.Logged("00:04.0 does not reset"));
    const std::uint64_t waited = machine.pci.stalled + machine.kernel.slept;
    EXPECT_GE(waited, 1'000'000u) << "it has a second";
    EXPECT_LE(waited, 1'010'000u);
    machine.pci.resetReads = 0;
    machine.Remove();
}

TEST(Device, ResetsLate) {
    Machine machine;
    machine.pci.status = 0x0F;
    machine.pci.resetReads = 20;
    EXPECT_EQ(machine.Start(), STATUS_SUCCESS);
    EXPECT_TRUE(machine.BusMaster());
    machine.Remove();
}

TEST(Device, RefusesTheFeatures) {
    Machine machine;
    machine.pci.refuseFeaturesOk = true;
    EXPECT_FALSE(NT_SUCCESS(machine.Start()));
    EXPECT_EQ(machine.pci.status, 0);
    EXPECT_TRUE(machine.kernel.Logged("cannot start 00:04.0 (block device)"));
    machine.Remove();
}

TEST(Device, RefusesAVector) {
    Machine machine(Of(true, false, 2));
    machine.pci.refuseVectors = true;
    EXPECT_FALSE(NT_SUCCESS(machine.Start()));
    EXPECT_EQ(machine.pci.status, 0);
    machine.Remove();
}

TEST(Device, BusMasteringIsOnAlready) {
    Machine machine;
    machine.pci.cfg[4] = 0x07;
    EXPECT_EQ(machine.Start(), STATUS_SUCCESS);
    EXPECT_EQ(machine.pci.cfg[4], 0x07);
    machine.Remove();
    EXPECT_TRUE(machine.BusMaster()) << "only a device that doesn't reset loses it";
}

TEST(Device, OfAnotherTypeIsOnlyLookedAt) {
    Options options;
    options.type = 4;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    const VQ7_DEVICE_INFO info = machine.Info();
    EXPECT_EQ(info.virtio_type, 4u);
    EXPECT_EQ(info.queue_count, 0u);
    EXPECT_EQ(info.driver_features, kVersion1 | kIndirect | kEventIdx) << "none of a type's";
    EXPECT_EQ(machine.Stats().submitted, 0u);
    EXPECT_TRUE(machine.kernel.Logged("virtio device"));
    Request *request = machine.framework.Send(IOCTL_VQ7_BLK_GET_INFO, nullptr, 0, 64);
    EXPECT_TRUE(request->completed);
    EXPECT_EQ(request->status, STATUS_INVALID_DEVICE_REQUEST);
    machine.pci.isr = 1;
    EXPECT_TRUE(machine.framework.Interrupted(0));
    machine.framework.RunDpcs();
    machine.framework.PowerDown();
    EXPECT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Remove();
}

TEST(Device, QueueSizes) {
    for (unsigned size : {0u, 1u, 2u, 3u, 4u, 8u, 24u, 128u, 256u, 1024u, 2048u, 32768u}) {
        Options options;
        options.queue_size = std::uint16_t(size);
        options.features &= ~kSegMax;
        Machine machine(options);
        NTSTATUS status = machine.Start();
        SCOPED_TRACE(size);
        // Down to a power of two, which has room for header, data and status; at most 1024.
        unsigned used = 1;
        while (used * 2 <= std::min(size, 1024u)) {
            used *= 2;
        }
        EXPECT_EQ(NT_SUCCESS(status), size >= 4);
        if (size == 0) { // there is no such queue (4.1.5.1.3)
            EXPECT_EQ(status, STATUS_NOT_FOUND);
            EXPECT_TRUE(machine.kernel.Logged("queue 0: status 0xc0000225"));
        }
        if (NT_SUCCESS(status)) {
            EXPECT_EQ(machine.Info().queue[0].size, used);
            EXPECT_EQ(machine.Info().queue[0].max_size, size);
            EXPECT_EQ(machine.pci.queues[0].size, used);
            // Header and status take two; seg_max is 0, which is no limit.
            EXPECT_EQ(machine.Get<VQ7_BLK_INFO>(IOCTL_VQ7_BLK_GET_INFO).max_segments,
                      std::min(used - 2, 128u));
        }
        machine.Remove();
    }
}

// A legacy device's size is the one there is: if it is no power of two, no ring is made.
TEST(Device, LegacyQueueSizes) {
    for (unsigned size : {3u, 24u, 33u}) {
        Options options = Of(false, true, 0);
        options.queue_size = std::uint16_t(size);
        Machine machine(options);
        EXPECT_EQ(machine.Start(), STATUS_DEVICE_CONFIGURATION_ERROR) << size;
        EXPECT_EQ(machine.pci.queues[0].pfn, 0u) << "the device is told of no ring";
        EXPECT_EQ(machine.pci.status, 0);
        machine.Remove();
    }
}

TEST(Device, IsRefusedAgain) {
    Options options;
    options.features = 0;
    options.queue_size = 1; // no room for header, data and status
    Machine machine(options);
    EXPECT_EQ(machine.Start(), STATUS_DEVICE_CONFIGURATION_ERROR);
    ASSERT_EQ(machine.framework.PrepareHardware(), STATUS_SUCCESS);
    EXPECT_EQ(machine.PowerUp(), STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_EQ(machine.pci.status, 0);
    machine.Remove();
}

TEST(Device, QueueSizeChangesBetweenStarts) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    for (std::uint16_t size : {64, 64, 8, 128}) {
        machine.framework.PowerDown();
        machine.pci.queues[0].maxSize = machine.pci.queues[0].size = size;
        machine.pci.features ^= kIndirect;
        ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
        EXPECT_EQ(machine.Info().queue[0].size, size);
        Data data(machine.memory, 16384, std::uint8_t(size));
        Request *request = machine.Write(size, data);
        machine.Run();
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(machine.disk[size * 512], std::uint8_t(size));
        EXPECT_EQ((machine.Info().driver_features & kIndirect) != 0,
                  (machine.pci.features & kIndirect) != 0);
    }
    machine.Remove();
}

} // namespace
