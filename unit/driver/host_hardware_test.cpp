// SPDX-License-Identifier: MIT
//
// The hardware side of the driver's start and end on the host: registers at the edges of what
// is mapped, the command register, capabilities, resources of other kinds, the way from one
// interface to the other, and callbacks in an order that is rare.
#include "host/machine.h"

#include "driver.h"

using namespace vq7::host;

namespace {

DEVICE_CONTEXT *ContextOf(Machine &machine) {
    return Vq7GetDevice(reinterpret_cast<WDFDEVICE>(machine.framework.device));
}

WDFDEVICE HandleOf(Machine &machine) {
    return reinterpret_cast<WDFDEVICE>(machine.framework.device);
}

// ------------------------------------------------------------------ registers

// The last bytes of what is mapped can be reached, and not what goes on behind them.
TEST(Edges, OfAMapping) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    DEVICE_CONTEXT *dc = ContextOf(machine);
    const std::uint32_t end = 0x1000; // of the page that the common configuration is in
    ASSERT_EQ(machine.kernel.mappings.count(machine.kernel.bar_base[4]), 1u);
    for (int width : {1, 2, 4}) {
        for (std::uint32_t at = end - 8; at <= end + 1; at++) {
            const bool inside = at + width <= end || at >= end;
            EXPECT_EQ(Vq7Mapped(dc, 4, at, width) != nullptr, inside) << at << " " << width;
        }
    }
    EXPECT_EQ(Vq7Mapped(dc, 3, 0, 1), nullptr);
    const std::size_t accesses = machine.pci.log.size();
    EXPECT_EQ(Vq7PciIo.Read16(dc, 4, end - 1), 0xFFFF);
    EXPECT_EQ(Vq7PciIo.Read32(dc, 4, end - 3), 0xFFFFFFFF);
    Vq7PciIo.Write16(dc, 4, end - 1, 0);
    Vq7PciIo.Write32(dc, 4, end - 3, 0);
    EXPECT_EQ(machine.pci.log.size(), accesses);
    machine.Remove();
}

TEST(Edges, OfTheCommandRegister) {
    Machine machine;
    machine.pci.cfg[4] = 0x47;
    machine.pci.cfg[5] = 0x05;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    DEVICE_CONTEXT *dc = ContextOf(machine);
    EXPECT_EQ(machine.framework.config_writes, 0) << "it is on already";
    EXPECT_TRUE(Vq7SetBusMaster(dc, FALSE));
    EXPECT_EQ(machine.pci.cfg[4], 0x43);
    EXPECT_EQ(machine.pci.cfg[5], 0x05);
    EXPECT_TRUE(Vq7SetBusMaster(dc, FALSE));
    EXPECT_EQ(machine.framework.config_writes, 1);
    EXPECT_TRUE(Vq7SetBusMaster(dc, TRUE));
    EXPECT_TRUE(machine.BusMaster());
    machine.kernel.fail_at = 0;
    EXPECT_FALSE(Vq7SetBusMaster(dc, FALSE)) << "it can't be read";
    machine.kernel.fail_at = 1;
    EXPECT_FALSE(Vq7SetBusMaster(dc, FALSE)) << "it can't be written";
    machine.pci.gone = true;
    EXPECT_TRUE(Vq7SetBusMaster(dc, FALSE)) << "it does nothing any more";
    EXPECT_FALSE(Vq7SetBusMaster(dc, TRUE));
    EXPECT_EQ(machine.framework.config_writes, 2);
    machine.pci.gone = false;
    machine.Remove();
}

TEST(Edges, OneThatIsGoneNeedsNoCommandRegister) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    const int writes = machine.framework.config_writes;
    machine.pci.gone = true;
    machine.framework.SurpriseRemove();
    EXPECT_EQ(machine.framework.config_writes, writes);
    EXPECT_FALSE(machine.kernel.Logged("cannot write the PCI command register"));
    EXPECT_TRUE(machine.kernel.Logged("does not reset"));
    const auto failures = machine.Get<VQ7_FAILURES>(IOCTL_VQ7_GET_FAILURES);
    EXPECT_EQ(failures.count[VQ7_FAILURE_GONE], 1u);
    EXPECT_EQ(failures.count[VQ7_FAILURE_RESET_STUCK], 0u);
    EXPECT_EQ(failures.reserved, 0u);
    machine.framework.powered = false;
    machine.pci.gone = false;
    machine.Remove();
}

TEST(Edges, ACommandRegisterThatCannotBeWritten) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    machine.pci.resetReads = 1 << 20;
    machine.framework.unreadable = 4;
    machine.framework.callbacks.EvtDeviceD0ExitPreInterruptsDisabled(HandleOf(machine),
                                                                     WdfPowerDeviceD3);
    EXPECT_TRUE(machine.kernel.Logged("cannot write the PCI command register"));
    machine.pci.resetReads = 0;
    machine.framework.connected = machine.framework.powered = false;
    EXPECT_EQ(machine.framework.PowerUp(), STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_TRUE(machine.kernel.Logged("bus mastering cannot be switched on"));
    machine.framework.unreadable = ~0u;
    machine.Remove();
}

// Nothing is looked for in a list that the status register doesn't announce, and a list that
// leads into itself has an end.
TEST(Edges, OfTheCapabilityList) {
    for (bool announced : {false, true}) {
        Options options;
        options.modern = false;
        options.legacy = true;
        Machine machine(options);
        machine.pci.cfg[0x34] = announced ? 0x40 : std::uint8_t(Framework::kMsixAt);
        machine.pci.putCfg(6, announced ? 0x0010 : 0, 2);
        machine.pci.cfg[Framework::kMsixAt] = 0x11; // enabled
        machine.pci.cfg[Framework::kMsixAt + 3] = 0x80;
        machine.pci.cfg[0x40] = 0x05;
        machine.pci.cfg[0x41] = 0x40; // itself
        EXPECT_EQ(machine.Start(), STATUS_SUCCESS);
        machine.pci.cfgReads.clear();
        EXPECT_FALSE(Vq7MsixEnabled(ContextOf(machine)));
        EXPECT_EQ(machine.pci.cfgReads[0x41], announced ? 48u : 0u);
        machine.Remove();
    }
}

// ------------------------------------------------------------------ resources

TEST(ResourceKinds, LargeMemory) {
    for (USHORT flags : {0x0200, 0x0400, 0x0800, 0}) {
        Machine machine;
        for (auto *list : {&machine.framework.raw, &machine.framework.translated}) {
            CM_PARTIAL_RESOURCE_DESCRIPTOR &bar = list->front();
            bar.Type = CmResourceTypeMemoryLarge;
            bar.Flags = flags;
            bar.u.Memory.Length = flags == 0x0200 ? 0x40 : 1; // 16 KiB, 64 KiB, 4 GiB
        }
        EXPECT_EQ(NT_SUCCESS(machine.Start()), flags != 0);
        if (flags != 0) {
            const std::uint64_t lengths[] = {0x4000, 0x10000, 0x100000000};
            EXPECT_EQ(Vq7PciIo.BarLength(ContextOf(machine), 4), lengths[flags / 0x400]);
        }
        machine.Remove();
    }
}

TEST(ResourceKinds, AsManyInterruptsAsThereAreObjects) {
    for (int messages : {3, 8, 9}) {
        Options options;
        options.messages = messages;
        Machine machine(options);
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
        EXPECT_EQ(machine.framework.interrupts.size(), 8u);
        EXPECT_EQ(machine.Info().vectors, unsigned(std::min(messages, 8)));
        machine.Remove();
    }
}

TEST(ResourceKinds, NeverWithoutWhatItWasGiven) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    machine.framework.PowerDown();
    machine.framework.callbacks.EvtDeviceReleaseHardware(HandleOf(machine), nullptr);
    machine.kernel.fail_at = 0;
    EXPECT_EQ(machine.framework.PrepareHardware(), STATUS_NOT_SUPPORTED);
    EXPECT_EQ(machine.framework.bus_references, 0) << "given back once";
    EXPECT_EQ(machine.Stats().in_flight, 0u) << "without a queue";
    ASSERT_EQ(machine.framework.PrepareHardware(), STATUS_SUCCESS);
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Remove();
}

// A work item that has yet to run does so while there are registers.
TEST(ResourceKinds, GoAfterTheWorkItem) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    machine.ring->PutUsed(0, 999, 1);
    machine.ring->PutUsedIdx(1);
    machine.Interrupt();
    machine.framework.PowerDown();
    machine.framework.callbacks.EvtDeviceReleaseHardware(HandleOf(machine), nullptr);
    EXPECT_EQ(machine.framework.RunWork(), 0);
    machine.Remove();
}

// Where the framework leaves out the callbacks before these. What it wants ended is.
TEST(ResourceKinds, OfADeviceThatRuns) {
    for (bool release : {true, false}) {
        Machine machine;
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
        Data data(machine.memory, 512);
        Request *request = machine.Write(0, data);
        request->queue->config.EvtIoStop(reinterpret_cast<WDFQUEUE>(request->queue),
                                         reinterpret_cast<WDFREQUEST>(request),
                                         WdfRequestStopActionPurge);
        machine.framework.powered = machine.framework.connected = false;
        if (release) {
            machine.framework.callbacks.EvtDeviceReleaseHardware(HandleOf(machine), nullptr);
        } else {
            machine.framework.callbacks.EvtDeviceD0Exit(HandleOf(machine), WdfPowerDeviceD3);
        }
        EXPECT_EQ(machine.pci.status, 0);
        EXPECT_EQ(machine.kernel.mappings.empty(), release);
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(request->status, STATUS_CANCELLED);
        machine.Remove();
    }
}

// ----------------------------------------------------------------- interfaces

Options Transitional(int messages = 0) {
    Options options;
    options.legacy = true;
    options.messages = messages;
    return options;
}

// Which of the modern interface's failures are its own, so that the legacy one is tried: the
// device's, not those of the system.
TEST(Ways, ToTheLegacyInterface) {
    struct Case {
        const char *what;
        bool tried, starts;
        std::function<void(Machine &)> spoil;
    };
    const Case cases[] = {
        {"configuration that never stands still", true, true,
         [](Machine &m) { m.pci.onConfigRead = [&m] { m.pci.generation++; }; }},
        {"an IOMMU", true, true,
         [](Machine &m) {
             m.pci.features |= std::uint64_t(1) << 33;
             m.framework.iommu = true;
         }},
        {"no queue", true, false,
         [](Machine &m) { m.pci.queues[0].maxSize = m.pci.queues[0].size = 0; }},
        {"blocks of no size", true, false, [](Machine &m) { m.pci.config[20] = 1; }},
        {"no memory", false, false,
         [](Machine &m) { m.pci.onConfigRead = [&m] { m.kernel.fail_at = 0; }; }},
    };
    for (const Case &c : cases) {
        SCOPED_TRACE(c.what);
        Machine machine(Transitional());
        c.spoil(machine);
        EXPECT_EQ(NT_SUCCESS(machine.Start()), c.starts);
        EXPECT_EQ(machine.kernel.Logged("its modern interface can't be started"), c.tried);
        EXPECT_EQ(machine.framework.interrupts[0]->locked, unsigned(c.tried))
            << "an ISR may look at the device meanwhile";
        machine.pci.onConfigRead = nullptr;
        machine.kernel.fail_at = -1;
        if (c.starts) {
            EXPECT_EQ(machine.Info().transport, unsigned(VQ7_TRANSPORT_LEGACY));
        }
        machine.Remove();
    }
}

// A modern interface whose capabilities make no sense is said; one that isn't there, isn't.
TEST(Ways, AMalformedOneIsSaid) {
    for (bool malformed : {true, false}) {
        Machine machine(Transitional());
        if (malformed) {
            machine.pci.putCfg(0x40 + 12, 4, 4); // the common configuration has 4 bytes
        }
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
        EXPECT_EQ(machine.kernel.Logged("its modern interface is malformed"), malformed);
        EXPECT_EQ(machine.legacy(), malformed);
        EXPECT_EQ(machine.framework.interrupts[0]->locked, 0u);
        machine.Remove();
    }
    Options options;
    options.modern = false;
    options.legacy = true;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    EXPECT_FALSE(machine.kernel.Logged("malformed"));
    EXPECT_FALSE(machine.kernel.Logged("no usable"));
    machine.Remove();
}

// 2.1.2: a driver that gives up says so before it resets.
TEST(Ways, AFailureIsWrittenIntoTheStatus) {
    Machine machine;
    machine.pci.refuseFeaturesOk = true;
    EXPECT_EQ(machine.Start(), STATUS_NOT_SUPPORTED);
    std::vector<unsigned> written;
    for (const auto &access : machine.pci.log) {
        if (access.kind == 'w' && access.bar == 4 && access.offset == 20) {
            written.push_back(access.value);
        }
    }
    ASSERT_GE(written.size(), 2u);
    EXPECT_EQ(written.back(), 0u);
    EXPECT_EQ(written[written.size() - 2] & 0x80, 0x80u);
    EXPECT_EQ(machine.pci.queues[0].desc, 0u) << "and sets up no queue";
    machine.Remove();
}

// A start that fails when there are rings leaves none of them.
TEST(Ways, NothingIsLeftOfAFailure) {
    Options options;
    options.features = 0;
    options.queue_size = 2;
    Machine machine(options);
    ASSERT_EQ(machine.framework.Load(), STATUS_SUCCESS);
    ASSERT_EQ(machine.framework.AddDevice(), STATUS_SUCCESS);
    ASSERT_EQ(machine.framework.PrepareHardware(), STATUS_SUCCESS);
    EXPECT_EQ(machine.framework.PowerUp(), STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_EQ(machine.kernel.pool.size(), 1u) << "what lives as long as the device";
    for (const auto &object : machine.framework.objects) {
        EXPECT_FALSE(object->alive && dynamic_cast<const Buffer *>(object.get()));
    }
    EXPECT_EQ(machine.Info().queue_count, 0u);
    EXPECT_EQ(machine.Info().state, VQ7_STATE_STOPPED);
    machine.Remove();
}

TEST(Ways, FeaturesThatSomeDevicesInsistOn) {
    Options options;
    options.features |= std::uint64_t(1) << 33 | std::uint64_t(1) << 36 | std::uint64_t(1) << 34;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    EXPECT_EQ(machine.Info().driver_features >> 32, 1u | 1u << 1 | 1u << 4)
        << "VERSION_1, ACCESS_PLATFORM, ORDER_PLATFORM; not RING_PACKED";
    machine.Remove();
}

// --------------------------------------------------------------------- device

TEST(Objects, AreWhatTheDriverNeeds) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    ASSERT_EQ(machine.framework.queues.size(), 2u);
    const WDF_IO_QUEUE_CONFIG &all = machine.framework.queues[0]->config;
    const WDF_IO_QUEUE_CONFIG &waiting = machine.framework.queues[1]->config;
    EXPECT_TRUE(all.DefaultQueue);
    EXPECT_EQ(all.DispatchType, WdfIoQueueDispatchParallel);
    EXPECT_NE(all.PowerManaged, WdfFalse);
    EXPECT_FALSE(waiting.DefaultQueue);
    EXPECT_EQ(waiting.DispatchType, WdfIoQueueDispatchManual);
    EXPECT_NE(waiting.PowerManaged, WdfFalse);
    EXPECT_EQ(machine.framework.driver_config.DriverPoolTag, ULONG('7qVt'));
    EXPECT_EQ(machine.framework.work_items.size(), 1u);
    EXPECT_EQ(machine.framework.timers.size(), 1u);
    EXPECT_FALSE(machine.framework.timers[0]->config.AutomaticSerialization);
    for (const Lock *lock : machine.framework.spin_locks) {
        EXPECT_EQ(lock->parent, machine.framework.device);
    }
    machine.framework.driver_config.EvtDriverUnload(nullptr);
    EXPECT_TRUE(machine.kernel.Logged("unloaded"));
    machine.Remove();
}

// What was kept is sent as soon as the device runs; it needs nothing of the framework's.
TEST(Objects, WhatWasKeptDoesNotWait) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, 512);
    Request *request = machine.Write(0, data);
    machine.framework.PowerDown();
    EXPECT_GE(machine.framework.timers[0]->waits, 1u) << "no tick while the device is reset";
    ASSERT_EQ(machine.framework.callbacks.EvtDeviceD0Entry(HandleOf(machine), WdfPowerDeviceD3),
              STATUS_SUCCESS);
    ASSERT_EQ(machine.framework.callbacks.EvtDeviceD0EntryPostInterruptsEnabled(HandleOf(machine),
                                                                                WdfPowerDeviceD3),
              STATUS_SUCCESS);
    machine.framework.connected = machine.framework.powered = true;
    machine.Reattach();
    EXPECT_EQ(machine.Stats().in_flight, 1u);
    machine.Run();
    EXPECT_TRUE(request->completed);
    EXPECT_EQ(request->status, STATUS_SUCCESS);
    machine.Remove();
}

// What is said of a device is all that is said: nothing of the memory behind it.
TEST(Objects, TheRestIsZero) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    const VQ7_DEVICE_INFO info = machine.Info();
    EXPECT_EQ(info.reserved, 0);
    EXPECT_EQ(info.last_failure, VQ7_FAILURE_NONE);
    EXPECT_EQ(info.queue[0].reserved + info.queue[0].reserved2, 0u);
    for (unsigned i = 1; i < VQ7_MAX_QUEUES_REPORTED; i++) {
        const VQ7_QUEUE_INFO none = {};
        EXPECT_EQ(memcmp(&info.queue[i], &none, sizeof(none)), 0) << i;
    }
    machine.Remove();
}

// A device of a type that the driver doesn't know has no configuration that it reads.
TEST(Objects, AnUnknownTypeHasNoConfiguration) {
    Options options;
    options.type = 4;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    machine.pci.isr = 3;
    EXPECT_TRUE(machine.framework.Interrupted(0));
    EXPECT_EQ(machine.framework.RunDpcs(), 1);
    EXPECT_EQ(machine.Stats().config_changes, 1u);
    machine.framework.Pass(120000);
    EXPECT_EQ(machine.framework.RunWork(), 0);
    machine.Remove();
}

} // namespace
