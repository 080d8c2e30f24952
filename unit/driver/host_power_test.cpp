// SPDX-License-Identifier: MIT
//
// The driver on the host while its device goes: power down and up, removal with and without
// a warning, a device that breaks the protocol, asks for a reset or does not follow one.
// Every request is completed once, with the status that says why.
#include "host/machine.h"

using namespace vq7::host;

namespace {

class Power : public testing::TestWithParam<int> { // messages
  protected:
    void SetUp() override {
        Options options;
        options.messages = GetParam();
        options.queue_size = 16;
        options.features &= ~(kIndirect | kEventIdx);
        machine.emplace(options);
        ASSERT_EQ(machine->Start(), STATUS_SUCCESS);
        data.emplace(machine->memory, 512);
    }
    // `count` requests: five at the device, in a ring of 16, the others waiting.
    void Send(unsigned count) {
        for (unsigned i = 0; i < count; i++) {
            requests.push_back(machine->Write(i, *data));
        }
    }
    void ExpectAll(NTSTATUS status) {
        for (std::size_t i = 0; i < requests.size(); i++) {
            EXPECT_TRUE(requests[i]->completed) << i;
            EXPECT_EQ(requests[i]->status, status) << i;
            EXPECT_EQ(requests[i]->information, NT_SUCCESS(status) ? 512u : 0u) << i;
        }
    }
    std::optional<Machine> machine;
    std::optional<Data> data;
    std::vector<Request *> requests;
};

INSTANTIATE_TEST_SUITE_P(Interrupts, Power, testing::Values(0, 1, 2),
                         [](const auto &info) { return "Messages" + std::to_string(info.param); });

TEST_P(Power, RequestsAreKeptAndSentAgainInOrder) {
    Send(9);
    machine->framework.PowerDown();
    EXPECT_TRUE(machine->BusMaster());
    for (Request *request : requests) {
        EXPECT_FALSE(request->completed);
    }
    for (unsigned i = 0; i < 5; i++) {
        EXPECT_TRUE(requests[i]->acknowledged);
    }
    ASSERT_EQ(machine->PowerUp(), STATUS_SUCCESS);
    machine->Run();
    ExpectAll(STATUS_SUCCESS);
    ASSERT_EQ(machine->seen.size(), 9u);
    for (unsigned i = 0; i < 9; i++) {
        EXPECT_EQ(machine->seen[i].sector, i);
    }
    EXPECT_EQ(machine->Stats().completed, 9u);
    machine->Remove();
}

TEST_P(Power, ManyTimesOver) {
    Send(9);
    for (int i = 0; i < 3; i++) {
        machine->framework.PowerDown();
        ASSERT_EQ(machine->PowerUp(), STATUS_SUCCESS);
    }
    machine->Run();
    ExpectAll(STATUS_SUCCESS);
    EXPECT_EQ(machine->seen.size(), 9u);
    machine->Remove();
}

// Of a transfer in parts, some of which are done: all of it is sent again.
TEST_P(Power, ATransferInPartsIsSentAgain) {
    Data big(machine->memory, 60 * 4096, 0x5A);
    Request *request = machine->Write(0, big);
    machine->Serve(1);
    machine->Interrupt();
    EXPECT_FALSE(request->completed);
    machine->framework.PowerDown();
    machine->seen.clear();
    ASSERT_EQ(machine->PowerUp(), STATUS_SUCCESS);
    machine->Run();
    EXPECT_TRUE(request->completed);
    EXPECT_EQ(request->status, STATUS_SUCCESS);
    EXPECT_EQ(request->information, 60u * 4096);
    EXPECT_EQ(machine->seen.front().sector, 0u);
    std::uint64_t bytes = 0;
    for (const Seen &seen : machine->seen) {
        bytes += seen.bytes;
    }
    EXPECT_EQ(bytes, 60u * 4096);
    machine->Remove();
}

TEST_P(Power, AnErrorBeforeThePowerDownIsForgotten) {
    Data big(machine->memory, 60 * 4096);
    Request *request = machine->Write(0, big);
    bool fail = true;
    machine->answer = [&](const Seen &, std::uint8_t &status, std::uint32_t &) {
        status = std::exchange(fail, false);
    };
    machine->framework.PowerDown();
    ASSERT_EQ(machine->PowerUp(), STATUS_SUCCESS);
    fail = false;
    machine->Run();
    EXPECT_TRUE(request->completed);
    EXPECT_EQ(request->status, STATUS_SUCCESS);
    machine->Remove();
}

// Purge: the device completes what it has; what waits is the framework's.
TEST_P(Power, RemovalWaitsForTheDevice) {
    Send(9);
    machine->Remove();
    unsigned done = 0;
    for (Request *request : requests) {
        EXPECT_TRUE(request->completed);
        EXPECT_TRUE(request->status == STATUS_SUCCESS || request->status == STATUS_CANCELLED);
        done += request->status == STATUS_SUCCESS;
    }
    EXPECT_GE(done, 5u);
    EXPECT_TRUE(machine->kernel.pool.empty());
}

// A request that was kept over a power-down, and is then to be purged without power.
TEST_P(Power, KeptRequestsArePurged) {
    Send(3);
    machine->framework.PowerDown();
    for (Request *request : requests) {
        request->queue->config.EvtIoStop(reinterpret_cast<WDFQUEUE>(request->queue),
                                         reinterpret_cast<WDFREQUEST>(request),
                                         WdfRequestStopActionPurge);
    }
    ExpectAll(STATUS_CANCELLED);
    machine->Remove();
}

TEST_P(Power, PurgedRequestsAreNotKept) {
    Send(3);
    for (Request *request : requests) {
        request->queue->config.EvtIoStop(reinterpret_cast<WDFQUEUE>(request->queue),
                                         reinterpret_cast<WDFREQUEST>(request),
                                         WdfRequestStopActionPurge);
        EXPECT_FALSE(request->completed) << "the device has it";
        EXPECT_FALSE(request->acknowledged);
    }
    machine->framework.PowerDown(WdfRequestStopActionInvalid);
    ExpectAll(STATUS_CANCELLED);
    // It was taken back, so the framework had nothing to wait for.
    machine->kernel.violations.clear();
    machine->Remove();
}

TEST_P(Power, SurpriseRemoval) {
    Send(9);
    machine->pci.gone = true;
    machine->framework.SurpriseRemove();
    ExpectAll(STATUS_DEVICE_REMOVED);
    machine->framework.powered = false;
    machine->pci.gone = false; // the model says what it was
    machine->Remove();
}

// KMDF hands out a request while the driver stops, and asks nothing of it.
TEST_P(Power, OneThatIsRetrievedWhileItStops) {
    Send(1);
    Request *late = nullptr;
    machine->framework.in_retrieve = [&] { // the lock is released there
        const KIRQL irql = std::exchange(machine->kernel.irql, KIRQL(PASSIVE_LEVEL));
        machine->framework.callbacks.EvtDeviceD0ExitPreInterruptsDisabled(
            reinterpret_cast<WDFDEVICE>(machine->framework.device), WdfPowerDeviceD3);
        machine->kernel.irql = irql; // it was another CPU's
    };
    late = machine->Write(8, *data);
    EXPECT_FALSE(late->completed);
    machine->framework.connected = false;
    machine->pci.msix = false;
    machine->framework.powered = false;
    ASSERT_EQ(machine->PowerUp(), STATUS_SUCCESS);
    machine->Run();
    EXPECT_TRUE(late->completed);
    EXPECT_EQ(late->status, STATUS_SUCCESS);
    ExpectAll(STATUS_SUCCESS);
    machine->Remove();
}

TEST_P(Power, ADeviceThatDoesNotStopIsIsolated) {
    Send(2);
    machine->pci.resetReads = 1 << 20;
    machine->kernel.violations.clear();
    machine->framework.PowerDown();
    EXPECT_FALSE(machine->BusMaster());
    EXPECT_TRUE(machine->kernel.Logged("00:04.0 does not reset"));
    machine->pci.resetReads = 0;
    ASSERT_EQ(machine->PowerUp(), STATUS_SUCCESS);
    EXPECT_TRUE(machine->BusMaster());
    machine->Run();
    ExpectAll(STATUS_SUCCESS);
    machine->Remove();
}

// --------------------------------------------------------------- a broken device

TEST_P(Power, AUsedRingThatLies) {
    Send(9);
    machine->ring->PutUsed(0, 999, 1); // no such descriptor
    machine->ring->PutUsedIdx(1);
    machine->Interrupt();
    EXPECT_NE(machine->pci.status, 0) << "a reset may take long: a work item does it";
    VQ7_DEVICE_INFO before;
    Request *raw = machine->framework.Send(IOCTL_VQ7_GET_DEVICE_INFO, nullptr, 0, sizeof(before));
    memcpy(&before, raw->buffer.data(), sizeof(before));
    EXPECT_EQ(before.device_status, 0u) << "a reset may be going on";
    EXPECT_EQ(machine->framework.RunWork(), 1);
    EXPECT_EQ(machine->pci.status, 0);
    for (unsigned i = 0; i < requests.size(); i++) {
        EXPECT_TRUE(requests[i]->completed);
        EXPECT_TRUE(requests[i]->status == STATUS_DEVICE_PROTOCOL_ERROR ||
                    (i >= 5 && requests[i]->status == STATUS_DEVICE_NOT_READY))
            << i;
    }
    EXPECT_TRUE(machine->kernel.Logged("queue 0 is broken"));
    EXPECT_TRUE(machine->kernel.Logged("00:04.0 has failed"));
    VQ7_DEVICE_INFO info = machine->Info();
    EXPECT_EQ(info.queue[0].broken, 1);
    EXPECT_NE(info.queue[0].last_error, 0u);
    Request *later = machine->Write(0, *data);
    EXPECT_TRUE(later->completed);
    EXPECT_EQ(later->status, STATUS_DEVICE_NOT_READY);
    machine->framework.PowerDown();
    ASSERT_EQ(machine->PowerUp(), STATUS_SUCCESS);
    EXPECT_EQ(machine->Info().queue[0].broken, 0);
    later = machine->Write(0, *data);
    machine->Run();
    EXPECT_EQ(later->status, STATUS_SUCCESS);
    machine->Remove();
}

// The power-down comes before the work item.
TEST_P(Power, ABrokenDeviceIsStoppedFirst) {
    Send(3);
    machine->ring->PutUsed(0, 999, 1);
    machine->ring->PutUsedIdx(1);
    machine->Interrupt();
    machine->framework.PowerDown();
    ExpectAll(STATUS_DEVICE_PROTOCOL_ERROR);
    EXPECT_EQ(machine->framework.RunWork(), 1);
    ASSERT_EQ(machine->PowerUp(), STATUS_SUCCESS);
    Request *later = machine->Write(0, *data);
    machine->Run();
    EXPECT_EQ(later->status, STATUS_SUCCESS);
    machine->Remove();
}

TEST_P(Power, ADeviceThatAsksForAReset) {
    Send(2);
    machine->pci.status |= 0x40; // DEVICE_NEEDS_RESET (2.1)
    if (GetParam() == 0) {
        machine->pci.isr |= 2;
    }
    EXPECT_TRUE(machine->framework.Interrupted(0));
    machine->framework.RunDpcs();
    EXPECT_TRUE(machine->kernel.Logged("asks for a reset"));
    EXPECT_EQ(machine->framework.RunWork(), 1);
    ExpectAll(STATUS_DEVICE_PROTOCOL_ERROR);
    EXPECT_EQ(machine->pci.status, 0);
    EXPECT_EQ(machine->Info().queue[0].broken, 0);
    machine->Remove();
}

// --------------------------------------------------------------- configuration

TEST_P(Power, TheDiskGrows) {
    const std::uint64_t capacity = 0x1'0000'0123;
    memcpy(&machine->pci.config[0], &capacity, 8);
    if (GetParam() == 0) {
        machine->pci.isr |= 2;
    }
    EXPECT_TRUE(machine->framework.Interrupted(0));
    EXPECT_EQ(machine->framework.RunDpcs(), 1);
    EXPECT_EQ(machine->Get<VQ7_BLK_INFO>(IOCTL_VQ7_BLK_GET_INFO).capacity, capacity);
    EXPECT_EQ(machine->Stats().config_changes, 1u);
    // Another that says nothing new counts where it can only be of the configuration.
    if (GetParam() == 0) {
        machine->pci.isr |= 2;
    }
    EXPECT_TRUE(machine->framework.Interrupted(0));
    machine->framework.RunDpcs();
    EXPECT_EQ(machine->Stats().config_changes, GetParam() == 1 ? 1u : 2u);
    EXPECT_EQ(machine->Stats().interrupts, 2u);
    machine->Remove();
}

TEST_P(Power, AnInterruptOfTheQueueIsNoneOfTheConfiguration) {
    Send(1);
    machine->Run();
    EXPECT_EQ(machine->Stats().config_changes, 0u);
    ExpectAll(STATUS_SUCCESS);
    machine->Remove();
}

// What changed while the driver started told nobody: it looks for itself.
TEST_P(Power, TheDiskGrowsBeforeItRuns) {
    const std::uint64_t capacity = 4711;
    int reads = 0, last = -1;
    for (int start = 0; start < 2; start++) {
        machine->framework.PowerDown();
        reads = 0;
        machine->pci.onConfigRead = [&] {
            if ((machine->pci.status & 4) == 0 && ++reads == last) { // before DRIVER_OK
                memcpy(&machine->pci.config[0], &capacity, 8);
            }
        };
        ASSERT_EQ(machine->PowerUp(), STATUS_SUCCESS);
        last = reads;
    }
    machine->pci.onConfigRead = nullptr;
    EXPECT_EQ(machine->Get<VQ7_BLK_INFO>(IOCTL_VQ7_BLK_GET_INFO).capacity, capacity);
    EXPECT_EQ(machine->Stats().config_changes, 1u);
    machine->Remove();
}

TEST_P(Power, ADeviceThatAsksForAResetBeforeItRuns) {
    machine->framework.PowerDown();
    machine->pci.onConfigRead = [&] { machine->pci.status |= 0x40; };
    ASSERT_EQ(machine->PowerUp(), STATUS_SUCCESS);
    machine->pci.onConfigRead = nullptr;
    EXPECT_TRUE(machine->kernel.Logged("asks for a reset"));
    EXPECT_EQ(machine->framework.RunWork(), 1);
    EXPECT_EQ(machine->pci.status, 0);
    Request *request = machine->Write(0, *data);
    EXPECT_TRUE(request->completed);
    EXPECT_EQ(request->status, STATUS_DEVICE_NOT_READY);
    machine->Remove();
}

} // namespace
