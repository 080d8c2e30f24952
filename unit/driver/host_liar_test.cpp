// SPDX-License-Identifier: MIT
//
// What a device that lies may not come to: its values in the place of those that were
// checked, and memory that has been given back.
#include "host/machine.h"

using namespace vq7::host;

namespace {

NTSTATUS Restart(Machine &machine) {
    Request *request = machine.framework.Send(IOCTL_VQ7_RESTART, nullptr, 0, 0);

    machine.framework.RunWork();
    EXPECT_TRUE(request->completed);
    return request->status;
}

void Say(Machine &machine, unsigned at, std::uint32_t value) {
    memcpy(&machine.pci.config[at], &value, sizeof(value));
}

// Virtio 1.2, 5.2.4: a block size that is none, and a capacity beside it, when it is started
// again. What was said before and checked is what callers see, and are judged by.
TEST(Liar, NothingUncheckedTakesTheirPlace) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    const auto before = machine.Get<VQ7_BLK_INFO>(IOCTL_VQ7_BLK_GET_INFO);

    for (std::uint32_t size : {0u, 3u, 0xFFFFFFFFu}) {
        Say(machine, 20, size);
        Say(machine, 0, 7);
        Say(machine, 12, 5);
        EXPECT_EQ(Restart(machine), STATUS_DEVICE_CONFIGURATION_ERROR) << size;
        const auto after = machine.Get<VQ7_BLK_INFO>(IOCTL_VQ7_BLK_GET_INFO);
        EXPECT_EQ(after.block_size, before.block_size) << size;
        EXPECT_EQ(after.capacity, before.capacity) << size;
        EXPECT_EQ(after.seg_max, before.seg_max) << size;
        Data data(machine.memory, 5);
        Request *odd = machine.Read(0, data);
        EXPECT_EQ(odd->status, STATUS_INVALID_PARAMETER) << size;
    }
    Say(machine, 20, 512);
    EXPECT_EQ(Restart(machine), STATUS_SUCCESS);
    const auto after = machine.Get<VQ7_BLK_INFO>(IOCTL_VQ7_BLK_GET_INFO);
    EXPECT_EQ(after.capacity & 0xFFFFFFFF, 7u);
    EXPECT_EQ(after.seg_max, 5u);
    machine.Remove();
}

class Broken : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
        request = machine.Write(0, data);
        EXPECT_TRUE(machine.BusMaster());
        machine.ring->PutUsed(0, 16, 1); // 2.7.14: no descriptor of a ring of 16
        machine.ring->PutUsedIdx(1);
        machine.Interrupt();
    }

    Machine machine;
    Data data{machine.memory, 4096};
    Request *request = nullptr;
};

// It has reset, as it says; but it may go on writing, and the callers have their memory back.
TEST_F(Broken, ItsBusMasteringIsOffUntilItIsStartedAgain) {
    machine.framework.RunWork();
    EXPECT_EQ(request->status, STATUS_DEVICE_PROTOCOL_ERROR);
    EXPECT_EQ(machine.pci.status, 0);
    EXPECT_FALSE(machine.BusMaster());
    EXPECT_EQ(Restart(machine), STATUS_SUCCESS);
    EXPECT_TRUE(machine.BusMaster());
    machine.Reattach();
    Request *later = machine.Write(0, data);
    machine.Run();
    EXPECT_EQ(later->status, STATUS_SUCCESS);
    machine.Remove();
}

// The power-down comes before the work item.
TEST_F(Broken, APowerDownComesFirst) {
    machine.framework.PowerDown();
    EXPECT_EQ(request->status, STATUS_DEVICE_PROTOCOL_ERROR);
    EXPECT_FALSE(machine.BusMaster());
    EXPECT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    EXPECT_TRUE(machine.BusMaster());
    machine.Remove();
}

} // namespace
