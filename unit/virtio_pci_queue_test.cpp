// SPDX-License-Identifier: MIT
//
// Queue set-up, vectors and notification on both transports (Virtio 1.2,
// 4.1.5.1.2, 4.1.5.1.3, 4.1.5.2).
#include <gtest/gtest.h>

#include "virtio_pci_model.h"

using model::PciDevice;

namespace {

constexpr UINT16 None = 0xFFFF;
constexpr UINT64 Desc = 0x100000;
constexpr UINT64 Avail = Desc + 16 * 256;
constexpr UINT64 Used = Desc + 8192; // legacy layout of 256: 4096 + 518, up to 4096

struct QueueTest : testing::Test {
    PciDevice d;
    VIRTIO_PCI_DEVICE dev;

    void start(PciDevice device, bool msix = false, UINT16 queues = 3) {
        d = device;
        d.msix = msix;
        d.numQueues = queues;
        d.queues.assign(queues, model::Queue());
        for (UINT16 i = 0; i < queues; i++) {
            d.queues[i].notifyOff = i;
        }
        ASSERT_EQ(VirtioPciInit(&dev, model::io(), &d, VirtioPciModeAuto, msix), STATUS_SUCCESS);
        ASSERT_EQ(VirtioPciReset(&dev, 10), STATUS_SUCCESS);
        ASSERT_EQ(VirtioPciNegotiate(&dev, 0, 0), STATUS_SUCCESS);
    }
    void TearDown() override {
        EXPECT_TRUE(d.violations.empty()) << d.violations.front();
    }
};

TEST_F(QueueTest, ModernSetup) // 4.1.5.1.3
{
    start(PciDevice::modern());
    EXPECT_EQ(dev.num_queues, 3);
    UINT16 size = 0;
    ASSERT_EQ(VirtioPciQueueMaxSize(&dev, 2, &size), STATUS_SUCCESS);
    EXPECT_EQ(size, 256);
    ASSERT_EQ(
        VirtioPciQueueSetup(&dev, 2, 64, 0x123456780ull, 0x223456782ull, 0x323456784ull, None),
        STATUS_SUCCESS);
    EXPECT_EQ(d.queues[2].size, 64);
    EXPECT_EQ(d.queues[2].desc, 0x123456780ull);
    EXPECT_EQ(d.queues[2].driver, 0x223456782ull);
    EXPECT_EQ(d.queues[2].device, 0x323456784ull);
    EXPECT_EQ(d.queues[2].enabled, 1);
    EXPECT_EQ(d.queues[1].enabled, 0);
    // queue_enable is the last write to the queue (4.1.4.3.2).
    EXPECT_EQ(d.log.back().kind, 'w');
    EXPECT_EQ(d.log.back().offset, 28u);
}

TEST_F(QueueTest, ModernNotifyAddressIsOffsetTimesMultiplier) // 4.1.4.4
{
    start(PciDevice::modern());
    ASSERT_EQ(VirtioPciQueueSetup(&dev, 2, 64, Desc, Avail, Used, None), STATUS_SUCCESS);
    VirtioPciNotify(&dev, 2);
    ASSERT_EQ(d.notifies.size(), 1u);
    EXPECT_EQ(d.notifies[0].first, 0x3000u + 2 * 4);
    EXPECT_EQ(d.notifies[0].second, 2);
}

TEST_F(QueueTest, NotifyOfAQueueThatIsNotSetUpWritesNothing) // 4.1.5.2
{
    d = PciDevice::modern();
    ASSERT_EQ(VirtioPciInit(&dev, model::io(), &d, VirtioPciModeAuto, FALSE), STATUS_SUCCESS);
    VirtioPciNotify(&dev, 0);
    EXPECT_TRUE(d.notifies.empty());
    start(PciDevice::modern());
    VirtioPciNotify(&dev, 0);
    VirtioPciNotify(&dev, 1);
    VirtioPciNotify(&dev, 63);
    VirtioPciNotify(&dev, 64);
    VirtioPciNotify(&dev, 0xFFFF);
    ASSERT_EQ(VirtioPciQueueSetup(&dev, 1, 64, Desc, Avail, Used, None), STATUS_SUCCESS);
    ASSERT_EQ(VirtioPciQueueSetup(&dev, 0, 64, Desc, Avail, Used, None), STATUS_SUCCESS);
    ASSERT_EQ(VirtioPciReset(&dev, 10), STATUS_SUCCESS);
    VirtioPciNotify(&dev, 0); // forgotten by the reset
    VirtioPciNotify(&dev, 1);
    EXPECT_TRUE(d.notifies.empty());
}

TEST_F(QueueTest, ANotifyOffsetOutsideItsRegionIsRefused) // 4.1.4.4.1
{
    start(PciDevice::modern());
    d.queues[0].notifyOff = 0x400; // * 4 = 0x1000, the region's length
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 0, 64, Desc, Avail, Used, None),
              STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_EQ(d.queues[0].enabled, 0);
    d.queues[0].notifyOff = 0x3FF;
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 0, 64, Desc, Avail, Used, None), STATUS_SUCCESS);
}

TEST_F(QueueTest, ANotifyOffsetAtTheVeryEndOfItsRegion) // 4.1.4.4.1: offset + 2 <= length
{
    PciDevice device = PciDevice::modern();
    device.putCfg(0x70 + 12, 0x3FF * 4 + 2, 4);
    start(device);
    d.queues[0].notifyOff = 0x3FF;
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 0, 64, Desc, Avail, Used, None), STATUS_SUCCESS);
    d.queues[1].notifyOff = 0x400;
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 1, 64, Desc, Avail, Used, None),
              STATUS_DEVICE_CONFIGURATION_ERROR);
    device.putCfg(0x70 + 12, 0x3FF * 4 + 1, 4); // half a register is none
    start(device);
    d.queues[0].notifyOff = 0x3FF;
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 0, 64, Desc, Avail, Used, None),
              STATUS_DEVICE_CONFIGURATION_ERROR);
}

TEST_F(QueueTest, ANotifyOffsetBeyond32BitsIsRefused) // 4.1.4.4.1
{
    PciDevice device = PciDevice::modern();
    device.putCfg(0x70 + 16, 0x80000000, 4); // notify_off_multiplier
    start(device);
    d.queues[0].notifyOff = 2; // 2^32: offset 0, if cut to 32 bits
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 0, 64, Desc, Avail, Used, None),
              STATUS_DEVICE_CONFIGURATION_ERROR);
}

TEST_F(QueueTest, ModernRefusesBadSizesAndAddresses) // 2.7, 4.1.5.1.3
{
    start(PciDevice::modern());
    struct {
        UINT16 size;
        UINT64 desc, avail, used;
    } rows[] = {
        {0, Desc, Avail, Used},      {48, Desc, Avail, Used},     {512, Desc, Avail, Used},
        {64, 0, Avail, Used},        {64, Desc, 0, Used},         {64, Desc, Avail, 0},
        {64, Desc + 8, Avail, Used}, {64, Desc, Avail + 1, Used}, {64, Desc, Avail, Used + 2},
        {64, Desc + 1, Avail, Used}, {64, Desc, Avail, Used + 1}};
    for (auto &r : rows) {
        EXPECT_EQ(VirtioPciQueueSetup(&dev, 0, r.size, r.desc, r.avail, r.used, None),
                  STATUS_INVALID_PARAMETER);
    }
    EXPECT_EQ(d.queues[0].enabled, 0);
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 3, 64, Desc, Avail, Used, None), STATUS_NOT_FOUND);
}

TEST_F(QueueTest, AQueueIsSetUpOnce) // 4.1.5.1.3
{
    start(PciDevice::modern());
    ASSERT_EQ(VirtioPciQueueSetup(&dev, 0, 64, Desc, Avail, Used, None), STATUS_SUCCESS);
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 0, 64, Desc, Avail, Used, None), STATUS_DEVICE_BUSY);
    start(PciDevice::legacy());
    ASSERT_EQ(VirtioPciQueueSetup(&dev, 0, 256, Desc, Avail, Used, None), STATUS_SUCCESS);
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 0, 256, Desc, Avail, Used, None), STATUS_DEVICE_BUSY);
}

TEST_F(QueueTest, ASizeTheDeviceDoesNotTakeIsAnError) // 4.1.5.1.3
{
    start(PciDevice::modern());
    d.refuseSize = true;
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 0, 64, Desc, Avail, Used, None),
              STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_EQ(d.queues[0].enabled, 0);
}

TEST_F(QueueTest, MaximumSizes) // 2.7: at most 32768; legacy a power of two
{
    UINT16 size = 1;
    start(PciDevice::modern());
    d.queues[0].size = 0x8001;
    EXPECT_EQ(VirtioPciQueueMaxSize(&dev, 0, &size), STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_EQ(size, 0);
    d.queues[0].size = 0x8000;
    EXPECT_EQ(VirtioPciQueueMaxSize(&dev, 0, &size), STATUS_SUCCESS);
    EXPECT_EQ(size, 0x8000);
    d.queues[0].size = 100; // a modern maximum need not be a power of two
    EXPECT_EQ(VirtioPciQueueMaxSize(&dev, 0, &size), STATUS_SUCCESS);
    d.queues[0].size = 0;
    EXPECT_EQ(VirtioPciQueueMaxSize(&dev, 0, &size), STATUS_NOT_FOUND);
    start(PciDevice::legacy());
    d.queues[0].maxSize = 100;
    EXPECT_EQ(VirtioPciQueueMaxSize(&dev, 0, &size), STATUS_DEVICE_CONFIGURATION_ERROR);
    d.queues[0].maxSize = 0;
    EXPECT_EQ(VirtioPciQueueMaxSize(&dev, 0, &size), STATUS_NOT_FOUND);
}

TEST_F(QueueTest, ARingOfOne) // 2.7: the least power of two
{
    start(PciDevice::modern());
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 0, 1, Desc, Avail, Used, None), STATUS_SUCCESS);
}

TEST_F(QueueTest, LegacyNotifiesInItsOwnBar) // also after a modern interface without ISR
{
    PciDevice device = PciDevice::transitional();
    device.cfg[0x53] = 99;
    start(device);
    ASSERT_FALSE(dev.modern);
    ASSERT_EQ(VirtioPciQueueSetup(&dev, 1, 256, Desc, Avail, Used, None), STATUS_SUCCESS);
    VirtioPciNotify(&dev, 1);
    EXPECT_EQ(d.log.back().bar, 0);
    EXPECT_EQ(d.log.back().offset, 16u);
}

TEST_F(QueueTest, LegacyQueueCounts) // 4.1.5.1.3.1
{
    start(PciDevice::legacy(), false, 1);
    EXPECT_EQ(dev.num_queues, 1);
    start(PciDevice::legacy(), false, 0);
    EXPECT_EQ(dev.num_queues, 0);
    start(PciDevice::legacy(), false, 100);
    EXPECT_EQ(dev.num_queues, VIRTIO_PCI_MAX_QUEUES);
}

TEST_F(QueueTest, LegacyLayoutOfARingWhoseAvailPartEndsJustInItsLastPage) // 2.7.2
{
    start(PciDevice::legacy());
    d.queues[0].maxSize = 4096; // 65536 + 6 + 8192 bytes: 18 pages and 6 bytes
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 0, 4096, Desc, Desc + 65536, Desc + 19 * 4096, None),
              STATUS_SUCCESS);
}

TEST_F(QueueTest, TheLastQueueIsNotifiedLikeTheFirst) // 4.1.5.2
{
    start(PciDevice::modern(), false, VIRTIO_PCI_MAX_QUEUES);
    ASSERT_EQ(VirtioPciQueueSetup(&dev, 63, 64, Desc, Avail, Used, None), STATUS_SUCCESS);
    VirtioPciNotify(&dev, 63);
    ASSERT_EQ(d.notifies.size(), 1u);
    EXPECT_EQ(d.notifies[0].second, 63);
}

TEST_F(QueueTest, TooManyQueuesAreBounded) // 4.1.4.3: num_queues
{
    start(PciDevice::modern(), false, VIRTIO_PCI_MAX_QUEUES + 1);
    EXPECT_EQ(dev.num_queues, VIRTIO_PCI_MAX_QUEUES);
    start(PciDevice::modern(), false, 0xFFFF);
    EXPECT_EQ(dev.num_queues, VIRTIO_PCI_MAX_QUEUES);
    UINT16 size;
    EXPECT_EQ(VirtioPciQueueMaxSize(&dev, VIRTIO_PCI_MAX_QUEUES, &size), STATUS_NOT_FOUND);
}

TEST_F(QueueTest, LegacySetup) // 4.1.5.1.3.1
{
    start(PciDevice::legacy());
    EXPECT_EQ(dev.num_queues, 3);
    ASSERT_EQ(VirtioPciQueueSetup(&dev, 1, 256, Desc, Avail, Used, None), STATUS_SUCCESS);
    EXPECT_EQ(d.queues[1].pfn, Desc / 4096);
    VirtioPciNotify(&dev, 1);
    ASSERT_EQ(d.notifies.size(), 1u);
    EXPECT_EQ(d.notifies[0].first, 16u);
    EXPECT_EQ(d.notifies[0].second, 1);
}

TEST_F(QueueTest, LegacyWithoutMsixHasNoVectorRegister) // 4.1.4.10: configuration is there
{
    start(PciDevice::legacy());
    d.log.clear();
    ASSERT_EQ(VirtioPciQueueSetup(&dev, 0, 256, Desc, Avail, Used, None), STATUS_SUCCESS);
    EXPECT_EQ(d.config, std::vector<uint8_t>(d.config.size(), 0));
    for (auto &a : d.log) {
        EXPECT_LT(a.offset, 20u);
    }
}

TEST_F(QueueTest, LegacyCountsOverGaps) // 4.1.5.1.3: size 0, no queue
{
    start(PciDevice::legacy(), false, 5);
    d.queues[1].maxSize = 0;
    d.queues[4].maxSize = 0;
    ASSERT_EQ(VirtioPciReset(&dev, 10), STATUS_SUCCESS);
    ASSERT_EQ(VirtioPciNegotiate(&dev, 0, 0), STATUS_SUCCESS);
    EXPECT_EQ(dev.num_queues, 4);
}

TEST_F(QueueTest, LegacyRefusesALayoutTheDeviceWouldNotSee) // 2.7.2
{
    start(PciDevice::legacy());
    const UINT64 high = UINT64(1) << 44; // page frame number beyond 32 bits
    struct {
        UINT16 size;
        UINT64 desc, avail, used;
    } rows[] = {{128, Desc, Desc + 2048, Desc + 4096}, // the size is the device's
                {256, Desc + 2048, Avail + 2048, Used + 2048},
                {256, Desc + 1, Avail + 1, Used},
                {256, Desc, Avail + 2, Used},
                {256, Desc, Avail, Used + 4096},
                {256, high, high + 4096, high + 8192}};
    for (auto &r : rows) {
        EXPECT_EQ(VirtioPciQueueSetup(&dev, 0, r.size, r.desc, r.avail, r.used, None),
                  STATUS_INVALID_PARAMETER);
    }
    EXPECT_EQ(d.queues[0].pfn, 0u);
    const UINT64 top = high - 4096 * 3; // the last page frame that fits
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 0, 256, top, top + 4096, top + 8192, None), STATUS_SUCCESS);
}

struct Vectors : QueueTest, testing::WithParamInterface<bool> {
    PciDevice make() {
        return GetParam() ? PciDevice::modern() : PciDevice::legacy();
    }
};
INSTANTIATE_TEST_SUITE_P(Transports, Vectors, testing::Values(false, true),
                         [](const auto &i) { return std::string(i.param ? "modern" : "legacy"); });

TEST_P(Vectors, AreSetAndReadBack) // 4.1.5.1.2.1
{
    start(make(), true);
    ASSERT_EQ(VirtioPciSetConfigVector(&dev, 0), STATUS_SUCCESS);
    ASSERT_EQ(VirtioPciQueueSetup(&dev, 1, 256, Desc, Avail, Used, 2), STATUS_SUCCESS);
    EXPECT_EQ(d.configVector, 0);
    EXPECT_EQ(d.queues[1].vector, 2);
}

TEST_P(Vectors, ARefusedVectorIsAnError) // 4.1.5.1.2.1
{
    start(make(), true);
    d.refuseVectors = true;
    EXPECT_EQ(VirtioPciSetConfigVector(&dev, 0), STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 1, 256, Desc, Avail, Used, 2),
              STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_EQ(d.queues[1].enabled, 0);
    EXPECT_EQ(d.queues[1].pfn, 0u);
}

// regression: the size had been written by then, and was the largest from there on.
TEST_F(QueueTest, ARefusedVectorLeavesTheSizeAlone) // 4.1.5.1.3, 4.1.5.1.2.1
{
    UINT16 size = 0;
    start(PciDevice::modern(), true);
    d.refuseVectors = true;
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 1, 64, Desc, Avail, Used, 2),
              STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_EQ(VirtioPciQueueMaxSize(&dev, 1, &size), STATUS_SUCCESS);
    EXPECT_EQ(size, 256);
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 1, 256, Desc, Avail, Used, None), STATUS_SUCCESS);
}

TEST_P(Vectors, NeedMsix) // 4.1.5.1.2
{
    start(make(), false);
    d.log.clear();
    EXPECT_EQ(VirtioPciSetConfigVector(&dev, 0), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtioPciSetConfigVector(&dev, None), STATUS_SUCCESS);
    EXPECT_TRUE(d.log.empty());
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 0, 256, Desc, Avail, Used, 1), STATUS_INVALID_PARAMETER);
    // Without MSI-X the vector registers are left alone.
    EXPECT_EQ(VirtioPciQueueSetup(&dev, 0, 256, Desc, Avail, Used, None), STATUS_SUCCESS);
    for (auto &a : d.log) {
        EXPECT_NE(a.offset, GetParam() ? 26u : 22u);
    }
}

TEST_F(QueueTest, LegacyConfigurationMovesWithMsix) // 4.1.4.10
{
    start(PciDevice::legacy(), true);
    d.config[0] = 0x5A;
    UINT8 byte = 0;
    ASSERT_EQ(VirtioPciReadConfig(&dev, 0, &byte, 1), STATUS_SUCCESS);
    EXPECT_EQ(byte, 0x5A);
    EXPECT_EQ(d.log.back().offset, 24u);
}

} // namespace
