// SPDX-License-Identifier: MIT
//
// Interrupts and DPCs on the host: shared lines, messages, and a device that goes on while
// the DPC is at work.
#include "host/machine.h"

#include "driver.h"

using namespace vq7::host;

namespace {

TEST(Line, IsShared) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    machine.pci.isr = 0;
    EXPECT_FALSE(machine.framework.Interrupted(0));
    EXPECT_FALSE(machine.framework.Interrupted(0));
    EXPECT_EQ(machine.framework.RunDpcs(), 0);
    EXPECT_EQ(machine.Stats().interrupts_not_ours, 2u);
    EXPECT_EQ(machine.Stats().interrupts, 0u);
    machine.pci.gone = true;
    EXPECT_FALSE(machine.framework.Interrupted(0)) << "a device that is gone reads as all ones";
    machine.pci.gone = false;
    machine.pci.isr = 1;
    EXPECT_TRUE(machine.framework.Interrupted(0));
    EXPECT_EQ(machine.framework.RunDpcs(), 1);
    EXPECT_EQ(machine.Stats().interrupts, 1u);
    EXPECT_FALSE(machine.framework.Interrupted(0));
    EXPECT_EQ(machine.Stats().interrupts_not_ours, 4u);
    EXPECT_FALSE(machine.framework.Interrupted(0));
    machine.framework.Send(IOCTL_VQ7_CLEAR_STATS, nullptr, 0, 0);
    EXPECT_EQ(machine.Stats().interrupts_not_ours, 0u);
    machine.Remove();
}

// More of them than half the counter holds, before anybody asks: on a line that is shared with
// a busy device, that is a matter of days.
TEST(Line, ManyAreCounted) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    DEVICE_CONTEXT *dc = Vq7GetDevice(reinterpret_cast<WDFDEVICE>(machine.framework.device));
    dc->isr_taken = LONG(0x90000000);
    dc->isr_not_ours = LONG(0xA0000000);
    const VQ7_STATS stats = machine.Stats();
    EXPECT_EQ(stats.interrupts, 0x90000000u);
    EXPECT_EQ(stats.interrupts_not_ours, 0xA0000000u);
    EXPECT_EQ(machine.Stats().interrupts, 0x90000000u) << "once";
    // More than the counter holds, if each DPC adds it up.
    for (int i = 0; i < 3; i++) {
        dc->isr_taken = LONG(0x90000000);
        machine.pci.isr = 1;
        EXPECT_TRUE(machine.framework.Interrupted(0));
        machine.framework.RunDpcs();
    }
    EXPECT_EQ(machine.Stats().interrupts, 4 * 0x90000000ull + 3);
    machine.Remove();
}

// Both reasons at once, and a second interrupt before the DPC.
TEST(Line, ReasonsAddUp) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, 512);
    Request *request = machine.Write(0, data);
    machine.Serve();
    const std::uint64_t capacity = 77;
    memcpy(&machine.pci.config[0], &capacity, 8);
    machine.pci.isr = 1;
    EXPECT_TRUE(machine.framework.Interrupted(0));
    machine.pci.isr = 2;
    EXPECT_TRUE(machine.framework.Interrupted(0));
    EXPECT_EQ(machine.framework.RunDpcs(), 1);
    EXPECT_TRUE(request->completed);
    EXPECT_EQ(machine.Get<VQ7_BLK_INFO>(IOCTL_VQ7_BLK_GET_INFO).capacity, capacity);
    EXPECT_EQ(machine.Stats().interrupts, 2u);
    EXPECT_EQ(machine.Stats().dpcs, 1u);
    machine.Remove();
}

// Each reason brings about its own work, whatever the DPC finds on its stack.
TEST(Line, EachReasonHasItsOwnWork) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, 512);
    unsigned told = 0, looked = 0;
    machine.pci.onConfigRead = [&] { looked++; };
    for (std::uint8_t stack : {0x00, 0xCD, 0x00}) {
        machine.framework.stack = stack;
        Request *request = machine.Write(0, data);
        machine.Serve();
        machine.pci.isr = 2;
        EXPECT_TRUE(machine.framework.Interrupted(0));
        EXPECT_EQ(machine.framework.RunDpcs(), 1);
        EXPECT_FALSE(request->completed) << "it was the configuration's";
        EXPECT_EQ(machine.Stats().config_changes, ++told);
        looked = 0;
        machine.Interrupt();
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(machine.Stats().config_changes, told);
        EXPECT_EQ(looked, 0u) << "a read of a register costs an exit";
    }
    machine.Remove();
}

// Another interrupt comes, on another processor, between two instructions of this one.
TEST(Line, NoReasonIsLost) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, 512);
    DEVICE_CONTEXT *dc = Vq7GetDevice(reinterpret_cast<WDFDEVICE>(machine.framework.device));
    Request *request = machine.Write(0, data);
    machine.Serve();
    machine.kernel.at_compare = [&] {
        machine.kernel.at_compare = nullptr;
        dc->isr_status |= 2;
    };
    machine.Interrupt();
    EXPECT_TRUE(request->completed);
    EXPECT_EQ(machine.Stats().config_changes, 1u);
    machine.Remove();
}

// An interrupt of the configuration alone leaves the queue's requests where they are.
TEST(Messages, EachHasItsOwnWork) {
    Options options;
    options.messages = 2;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, 512);
    unsigned told = 0, looked = 0;
    machine.pci.onConfigRead = [&] { looked++; };
    for (std::uint8_t stack : {0x00, 0xCD, 0x00}) {
        machine.framework.stack = stack;
        Request *request = machine.Write(0, data);
        machine.Serve();
        EXPECT_TRUE(machine.framework.Interrupted(0));
        machine.framework.RunDpcs();
        EXPECT_FALSE(request->completed);
        EXPECT_EQ(machine.Stats().config_changes, ++told);
        looked = 0;
        EXPECT_TRUE(machine.framework.Interrupted(1));
        machine.framework.RunDpcs();
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(machine.Stats().config_changes, told);
        EXPECT_EQ(looked, 0u);
    }
    machine.Remove();
}

// A device that finishes one more each time the DPC has looked: the DPC ends after some, and
// goes on in the next one, since no interrupt will come for what it has left.
TEST(Dpc, EndsAndGoesOn) {
    for (int messages : {0, 2}) {
        Options options;
        options.messages = messages;
        options.features &= ~(kIndirect | kEventIdx);
        Machine machine(options);
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
        Data data(machine.memory, 512);
        std::vector<Request *> requests;
        for (unsigned i = 0; i < 5; i++) {
            requests.push_back(machine.Write(i, data));
        }
        machine.Serve(1);
        machine.kernel.at_barrier = [&] { machine.Serve(1); };
        machine.Interrupt();
        machine.kernel.at_barrier = nullptr;
        EXPECT_EQ(machine.seen.size(), 5u);
        EXPECT_TRUE(requests[3]->completed);
        EXPECT_FALSE(requests[4]->completed) << "it has other things to do than this device";
        EXPECT_EQ(machine.framework.RunDpcs(), 1);
        EXPECT_EQ(machine.framework.RunDpcs(), 0);
        EXPECT_TRUE(requests[4]->completed);
        EXPECT_EQ(machine.Stats().completed, 5u);
        machine.Remove();
    }
}

} // namespace
