// SPDX-License-Identifier: MIT
//
// Which parts of BARs a caller has to map: VirtioPciGetRegion, VirtioPciGetNotifyRegion
// (Virtio 1.2, 4.1.4). No access may be outside of them.
#include <gtest/gtest.h>

#include "virtio_pci_started.h"

using model::Both;
using model::PciDevice;
using model::Started;

namespace {

struct Place {
    unsigned bar;
    uint32_t offset, length;
    bool operator==(const Place &) const = default;
};

std::ostream &operator<<(std::ostream &out, const Place &p) {
    return out << "BAR " << p.bar << " at " << p.offset << " length " << p.length;
}

std::vector<Place> regions(const VIRTIO_PCI_DEVICE &dev) {
    std::vector<Place> found;
    VIRTIO_PCI_REGION region;
    for (UINT32 i = 0;; i++) {
        NTSTATUS status = VirtioPciGetRegion(&dev, i, &region);
        if (!NT_SUCCESS(status)) {
            EXPECT_EQ(status, STATUS_NO_MORE_ENTRIES);
            return found;
        }
        found.push_back({region.bar, region.offset, region.length});
    }
}

TEST(Regions, OfAModernDevice) // 4.1.4
{
    Started s(PciDevice::modern());
    EXPECT_EQ(regions(s.dev), (std::vector<Place>{{4, 0, 0x38}, {4, 0x1000, 1}, {4, 0x2000, 64}}));
}

TEST(Regions, OfALongStructureThatWhichIsRead) // 4.1.4.3, 4.1.4.5
{
    PciDevice d = PciDevice::modern();
    d.barLength[4] = uint64_t(8) << 30;
    d.putCfg(0x40 + 12, 0x40000000, 4);
    d.putCfg(0x50 + 8, 0xC0000000, 4);
    d.putCfg(0x50 + 12, 0x1000, 4);
    d.putCfg(0x60 + 12, 0x20000000, 4);
    VIRTIO_PCI_DEVICE dev;
    ASSERT_EQ(VirtioPciInit(&dev, model::io(), &d, VirtioPciModeModern, FALSE), STATUS_SUCCESS);
    EXPECT_EQ(regions(dev),
              (std::vector<Place>{{4, 0, 0x38}, {4, 0xC0000000, 1}, {4, 0x2000, 0x1000}}));
    UINT8 byte;
    EXPECT_EQ(VirtioPciReadConfig(&dev, 0x1000, &byte, 1), STATUS_BUFFER_OVERFLOW);
}

TEST(Regions, OfADeviceWithoutConfiguration) // 4.1.4.6
{
    PciDevice d = PciDevice::modern();
    d.cfg[0x63] = 99;
    Started s(d);
    EXPECT_EQ(regions(s.dev), (std::vector<Place>{{4, 0, 0x38}, {4, 0x1000, 1}}));
}

TEST(Regions, OfALegacyDevice) // 4.1.4.10
{
    for (uint32_t first : {20u, 24u}) {
        Started s(PciDevice::legacy(), first == 24);
        EXPECT_EQ(regions(s.dev),
                  (std::vector<Place>{{0, 0, first}, {0, 19, 1}, {0, first, 128 - first}}));
    }
}

TEST(Regions, OfWhatWasNotInitialized) {
    VIRTIO_PCI_DEVICE dev = {};
    VIRTIO_PCI_REGION region;
    EXPECT_EQ(VirtioPciGetRegion(&dev, 0, &region), STATUS_INVALID_DEVICE_STATE);
    EXPECT_EQ(VirtioPciGetNotifyRegion(&dev, 0, &region), STATUS_INVALID_DEVICE_STATE);
}

// Starts a device of two queues, far apart where it can say where they are.
struct Use : Both {
    PciDevice d = make();
    VIRTIO_PCI_DEVICE dev;

    void SetUp() override {
        d.numQueues = 2;
        d.queues.resize(2);
        if (GetParam()) {
            d.multiplier = 0x1000;
            d.barLength[4] = 0x800000;
            d.putCap(0x70, 0x84, 2, 4, 0x400000, 0x400000);
            d.notifyAt = 0x400000;
            d.queues[1].notifyOff = 0x3FF;
        }
        ASSERT_EQ(VirtioPciInit(&dev, model::io(), &d, VirtioPciModeAuto, FALSE), STATUS_SUCCESS);
        ASSERT_EQ(VirtioPciReset(&dev, 10), STATUS_SUCCESS);
        ASSERT_EQ(VirtioPciNegotiate(&dev, 0, 0), STATUS_SUCCESS);
    }

    void setUpQueue(UINT16 queue) {
        ASSERT_EQ(
            VirtioPciQueueSetup(&dev, queue, 256, 0x10000, 0x11000, 0x12000, VIRTIO_PCI_NO_VECTOR),
            STATUS_SUCCESS);
    }
};

TEST_P(Use, NotifyRegisters) // 4.1.4.4
{
    VIRTIO_PCI_REGION region;
    EXPECT_EQ(VirtioPciGetNotifyRegion(&dev, 1, &region), STATUS_NOT_FOUND);
    setUpQueue(1);
    ASSERT_EQ(VirtioPciGetNotifyRegion(&dev, 1, &region), STATUS_SUCCESS);
    EXPECT_EQ(region.bar, GetParam() ? 4 : 0);
    EXPECT_EQ(region.offset, GetParam() ? 0x7FF000u : 16u);
    EXPECT_EQ(region.length, 2u);
    EXPECT_EQ(VirtioPciGetNotifyRegion(&dev, 0, &region), STATUS_NOT_FOUND);
    EXPECT_EQ(VirtioPciGetNotifyRegion(&dev, VIRTIO_PCI_MAX_QUEUES, &region), STATUS_NOT_FOUND);
    ASSERT_EQ(VirtioPciReset(&dev, 10), STATUS_SUCCESS);
    EXPECT_EQ(VirtioPciGetNotifyRegion(&dev, 1, &region), STATUS_NOT_FOUND);
}

TEST_P(Use, NoAccessIsOutside) // 4.1.4
{
    std::vector<Place> mapped = regions(dev);
    for (UINT16 queue : {UINT16(0), UINT16(1)}) {
        VIRTIO_PCI_REGION region;
        setUpQueue(queue);
        ASSERT_EQ(VirtioPciGetNotifyRegion(&dev, queue, &region), STATUS_SUCCESS);
        mapped.push_back({region.bar, region.offset, region.length});
        VirtioPciNotify(&dev, queue);
    }
    UINT64 word;
    VirtioPciDriverOk(&dev);
    EXPECT_EQ(VirtioPciReadConfig(&dev, 0, &word, 8), STATUS_SUCCESS);
    VirtioPciReadIsr(&dev);
    ASSERT_GT(d.log.size(), 20u);
    for (auto &a : d.log) {
        bool inside = false;
        for (const Place &p : mapped) {
            inside |=
                a.bar == p.bar && a.offset >= p.offset && a.offset + a.width <= p.offset + p.length;
        }
        EXPECT_TRUE(inside) << "BAR " << unsigned(a.bar) << " at " << a.offset;
    }
}

INSTANTIATE_TEST_SUITE_P(Transports, Use, testing::Bool(),
                         [](const auto &i) { return i.param ? "modern" : "legacy"; });

} // namespace
