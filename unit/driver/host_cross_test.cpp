// SPDX-License-Identifier: MIT
//
// Where the driver's ways cross, on the host: a ring that is broken, a device that is stopped,
// and another processor that acts while one is in the framework.
#include "host/cross.h"

using namespace vq7::host;

namespace {

// ------------------------------------------------------------- broken, stopped

TEST_F(Cross, ABrokenRingIsLookedAtOnce) {
    Send(2);
    machine.ring->PutUsed(0, 999, 1);
    machine.ring->PutUsedIdx(1);
    machine.Interrupt();
    EXPECT_EQ(machine.framework.RunDpcs(), 0) << "there is nothing to go on with";
    const std::size_t lines = machine.kernel.log.size();
    machine.Interrupt();
    EXPECT_EQ(machine.framework.RunDpcs(), 0);
    EXPECT_EQ(machine.kernel.log.size(), lines);
    EXPECT_EQ(machine.framework.RunWork(), 1);
    ExpectAll(STATUS_DEVICE_PROTOCOL_ERROR);
    machine.Remove();
}

// A DPC that was queued before, and runs after the device was stopped.
TEST_F(Cross, ADpcAfterTheStop) {
    Send(2);
    machine.Serve();
    machine.pci.isr |= 3;
    EXPECT_TRUE(machine.framework.Interrupted(0));
    machine.framework.PowerDown();
    machine.pci.status |= 0x40; // whatever it says now: nobody asks
    EXPECT_EQ(machine.framework.RunDpcs(), 1);
    EXPECT_EQ(machine.framework.RunDpcs(), 0);
    machine.pci.status = 0;
    EXPECT_FALSE(machine.kernel.Logged("asks for a reset"));
    EXPECT_EQ(StatsNow(machine).config_changes, 0u);
    for (Request *request : requests) {
        EXPECT_FALSE(request->completed);
    }
    EXPECT_EQ(GetNow<VQ7_DEVICE_INFO>(machine, IOCTL_VQ7_GET_DEVICE_INFO).queue[0].broken, 0);
    EXPECT_EQ(StatsNow(machine).in_flight, 0u);
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Run();
    ExpectAll(STATUS_SUCCESS);
    machine.Remove();
}

// ---------------------------------------------------------- another processor

// The framework asks for one that is done and not yet completed: there is nothing to say.
TEST_F(Cross, AStopOfOneThatIsDone) {
    for (ULONG flags : {ULONG(WdfRequestStopActionSuspend), ULONG(WdfRequestStopActionPurge)}) {
        requests.clear();
        Send(2);
        machine.Serve();
        machine.framework.in_complete = [&] {
            EXPECT_FALSE(requests[1]->completed);
            IoStop(requests[1], flags);
            EXPECT_FALSE(requests[1]->acknowledged);
            EXPECT_FALSE(requests[1]->completed) << "by whoever is at it";
        };
        machine.Interrupt();
        ExpectAll(STATUS_SUCCESS);
    }
    machine.Remove();
}

TEST_F(Cross, AStopThatSaysNothing) {
    Send(1);
    IoStop(requests[0], 0);
    IoStop(requests[0], WdfRequestStopRequestCancelable);
    EXPECT_FALSE(requests[0]->acknowledged);
    EXPECT_FALSE(requests[0]->completed);
    machine.Run();
    ExpectAll(STATUS_SUCCESS);
    machine.Remove();
}

// The device answers while a stop is being acknowledged: the request is the framework's for
// that long, and is completed afterwards.
TEST_F(Cross, AnAnswerDuringTheAcknowledgement) {
    Send(2);
    machine.Serve();
    machine.framework.in_acknowledge = [&] {
        machine.Interrupt();
        EXPECT_FALSE(requests[0]->completed) << "it is held";
        EXPECT_TRUE(requests[1]->completed);
    };
    IoStop(requests[0], WdfRequestStopActionSuspend);
    EXPECT_TRUE(requests[0]->acknowledged);
    ExpectAll(STATUS_SUCCESS);
    Send(1);
    machine.Run();
    ExpectAll(STATUS_SUCCESS);
    machine.Remove();
}

// The device is stopped when some are in the ring that it was not told of.
TEST_F(Cross, NobodyIsToldAfterTheStop) {
    Send(3);
    machine.framework.PowerDown();
    machine.seen.clear();
    const std::size_t told = machine.pci.notifies.size();
    machine.framework.in_retrieve = [&] {
        EXPECT_EQ(machine.kernel.irql, DISPATCH_LEVEL) << "others wait for this thread";
        StopMeanwhile(machine);
    };
    machine.framework.PowerUp();
    EXPECT_EQ(machine.pci.notifies.size(), told);
    EXPECT_EQ(machine.kernel.irql, PASSIVE_LEVEL);
    machine.framework.connected = machine.framework.powered = false;
    machine.pci.msix = false;
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Run();
    ExpectAll(STATUS_SUCCESS);
    EXPECT_EQ(Sectors(machine), Count(0, 3));
    machine.Remove();
}

// Another processor that comes with a request leaves it to the one that sends already.
TEST_F(Cross, TheOrderIsKeptWhileAnotherSends) {
    machine.framework.in_retrieved = [&] { requests.push_back(machine.Write(6, data)); };
    requests.push_back(machine.Write(5, data));
    machine.Run();
    ExpectAll(STATUS_SUCCESS);
    EXPECT_EQ(Sectors(machine), Count(5, 7));
    machine.Remove();
}

// Requests that wait with the framework, and whatever it calls when the queue has power.
TEST_F(Cross, WhatWaitedIsSentByEachCallback) {
    Queue &queue = *machine.framework.queues.at(1);
    const auto handle = reinterpret_cast<WDFDEVICE>(machine.framework.device);
    const std::function<void()> calls[] = {
        [&] { queue.ready(reinterpret_cast<WDFQUEUE>(&queue), queue.ready_context); },
        [&] { machine.framework.callbacks.EvtDeviceSelfManagedIoInit(handle); },
        [&] { machine.framework.callbacks.EvtDeviceSelfManagedIoRestart(handle); },
    };
    for (const auto &call : calls) {
        machine.framework.powered = false;
        Send(2);
        EXPECT_EQ(StatsNow(machine).in_flight, 0u);
        machine.framework.powered = true;
        call();
        EXPECT_EQ(StatsNow(machine).in_flight, 2u);
        machine.Run();
        ExpectAll(STATUS_SUCCESS);
    }
    // Not to a device that is stopped.
    machine.framework.PowerDown();
    const std::size_t told = machine.pci.notifies.size();
    calls[0]();
    EXPECT_EQ(machine.pci.notifies.size(), told);
    machine.Remove();
}

// The device sees nothing of what was in memory before.
TEST_F(Cross, SharedMemoryIsCleared) {
    unsigned buffers = 0;
    for (auto &object : machine.framework.objects) {
        if (auto *buffer = dynamic_cast<Buffer *>(object.get()); buffer && buffer->alive) {
            const std::uint8_t *bytes = machine.memory.Host(buffer->pa, buffer->length);
            EXPECT_EQ(std::count(bytes, bytes + buffer->length, kUnset), 0) << buffers;
            buffers++;
        }
    }
    EXPECT_EQ(buffers, 4u) << "ring, indirect tables, headers, bounce buffer";
    machine.Remove();
}

// One that the driver has just got when the device is stopped: it is kept, unless the
// framework wants it ended, or the device has failed.
TEST_F(Cross, OneThatComesAsTheDeviceStops) {
    Request *late = nullptr;
    machine.framework.in_retrieved = [&] { StopMeanwhile(machine); };
    late = machine.Write(5, data);
    EXPECT_FALSE(late->completed);
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Run();
    EXPECT_EQ(late->status, STATUS_SUCCESS);
    EXPECT_EQ(Sectors(machine), Count(5, 6));
    machine.Remove();
}

TEST_F(Cross, OneThatIsPurgedAsTheDeviceStops) {
    machine.framework.in_retrieved = [&] {
        for (auto &object : machine.framework.objects) {
            auto *request = dynamic_cast<Request *>(object.get());
            if (request != nullptr && request->presented) {
                IoStop(request, WdfRequestStopActionPurge);
                EXPECT_FALSE(request->completed) << "by whoever has just got it";
            }
        }
        StopMeanwhile(machine);
    };
    Send(1);
    ExpectAll(STATUS_DEVICE_NOT_READY);
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Run();
    EXPECT_TRUE(machine.seen.empty());
    machine.Remove();
}

TEST_F(Cross, OneThatComesAsTheDeviceFails) {
    Send(1);
    machine.framework.in_retrieved = [&] {
        const KIRQL irql = std::exchange(machine.kernel.irql, KIRQL(PASSIVE_LEVEL));
        machine.ring->PutUsed(0, 999, 1);
        machine.ring->PutUsedIdx(1);
        machine.pci.isr |= 1;
        EXPECT_TRUE(machine.framework.Interrupted(0));
        machine.framework.RunDpcs();
        EXPECT_EQ(machine.framework.RunWork(), 1);
        machine.kernel.irql = irql;
    };
    Request *late = machine.Write(5, data);
    EXPECT_TRUE(late->completed);
    EXPECT_EQ(late->status, STATUS_DEVICE_NOT_READY);
    ExpectAll(STATUS_DEVICE_PROTOCOL_ERROR);
    machine.Remove();
}

} // namespace
