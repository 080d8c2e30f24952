// SPDX-License-Identifier: MIT
//
// What both transports share: choice, status protocol, negotiation. Runs on both
// where it says so.
#include "virtio_pci_started.h"

using model::Both;
using model::PciDevice;
using model::Started;

namespace {

constexpr UINT64 Version1 = UINT64(1) << 32;
constexpr UINT64 EventIdx = UINT64(1) << 29;
constexpr UINT64 Indirect = UINT64(1) << 28;
constexpr UINT64 Packed = UINT64(1) << 34;

NTSTATUS initWith(PciDevice &d, VIRTIO_PCI_MODE mode, VIRTIO_PCI_DEVICE *dev) {
    return VirtioPciInit(dev, model::io(), &d, mode, FALSE);
}

TEST(VirtioPci, NumbersAreTheSpecifications) // 2.1, 4.1.2, 4.1.4.5
{
    EXPECT_EQ(VIRTIO_STATUS_ACKNOWLEDGE, 1);
    EXPECT_EQ(VIRTIO_STATUS_DRIVER, 2);
    EXPECT_EQ(VIRTIO_STATUS_DRIVER_OK, 4);
    EXPECT_EQ(VIRTIO_STATUS_FEATURES_OK, 8);
    EXPECT_EQ(VIRTIO_STATUS_DEVICE_NEEDS_RESET, 64);
    EXPECT_EQ(VIRTIO_STATUS_FAILED, 128);
    EXPECT_EQ(VIRTIO_PCI_VENDOR_ID, 0x1AF4);
    EXPECT_EQ(VIRTIO_PCI_ISR_QUEUE, 1);
    EXPECT_EQ(VIRTIO_PCI_ISR_CONFIG, 2);
    EXPECT_EQ(VIRTIO_PCI_NO_VECTOR, 0xFFFF);
}

TEST(VirtioPciInit, ModeChoosesTheTransport) // 4.1.2.1, 4.1.2.3
{
    struct {
        PciDevice d;
        VIRTIO_PCI_MODE mode;
        NTSTATUS status;
        bool modern;
    } rows[] = {
        {PciDevice::transitional(), VirtioPciModeAuto, STATUS_SUCCESS, true},
        {PciDevice::transitional(), VirtioPciModeLegacy, STATUS_SUCCESS, false},
        {PciDevice::transitional(), VirtioPciModeModern, STATUS_SUCCESS, true},
        {PciDevice::legacy(), VirtioPciModeAuto, STATUS_SUCCESS, false},
        {PciDevice::legacy(), VirtioPciModeModern, STATUS_NOT_FOUND, false},
        {PciDevice::modern(), VirtioPciModeAuto, STATUS_SUCCESS, true},
        {PciDevice::modern(), VirtioPciModeLegacy, STATUS_NOT_FOUND, false},
    };
    for (auto &row : rows) {
        VIRTIO_PCI_DEVICE dev;
        EXPECT_EQ(initWith(row.d, row.mode, &dev), row.status);
        if (row.status == STATUS_SUCCESS) {
            EXPECT_EQ(dev.modern != FALSE, row.modern);
            EXPECT_EQ(dev.device_type, 2);
        }
    }
}

TEST(VirtioPciInit, RefusesWhatIsNotVirtio) // 4.1.2
{
    VIRTIO_PCI_DEVICE dev;
    for (auto id : {0x0FFF, 0x1080}) {
        PciDevice d = PciDevice::transitional();
        d.putCfg(2, id, 2);
        EXPECT_EQ(initWith(d, VirtioPciModeAuto, &dev), STATUS_NOT_SUPPORTED) << id;
    }
    PciDevice d = PciDevice::transitional();
    d.putCfg(0, 0x8086, 2);
    EXPECT_EQ(initWith(d, VirtioPciModeAuto, &dev), STATUS_NOT_SUPPORTED);
}

TEST(VirtioPciInit, RefusesBadArguments) {
    PciDevice d = PciDevice::modern();
    VIRTIO_PCI_DEVICE dev;
    EXPECT_EQ(VirtioPciInit(nullptr, model::io(), &d, VirtioPciModeAuto, FALSE),
              STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtioPciInit(&dev, nullptr, &d, VirtioPciModeAuto, FALSE), STATUS_INVALID_PARAMETER);
    // Each function of the table is needed.
    for (size_t at = 0; at < sizeof(VIRTIO_PCI_IO); at += sizeof(void *)) {
        VIRTIO_PCI_IO holes = *model::io();
        memset(reinterpret_cast<uint8_t *>(&holes) + at, 0, sizeof(void *));
        EXPECT_EQ(VirtioPciInit(&dev, &holes, &d, VirtioPciModeAuto, FALSE),
                  STATUS_INVALID_PARAMETER)
            << "function " << at / sizeof(void *);
    }
    EXPECT_EQ(VirtioPciInit(&dev, model::io(), &d, VIRTIO_PCI_MODE(3), FALSE),
              STATUS_INVALID_PARAMETER);
}

TEST(VirtioPciInit, TheRangesOfDeviceIdsHaveTheirEnds) // 4.1.2
{
    for (int id : {0x1000, 0x103F}) {
        VIRTIO_PCI_DEVICE dev;
        PciDevice d = PciDevice::legacy(9);
        d.putCfg(2, id, 2);
        EXPECT_EQ(initWith(d, VirtioPciModeAuto, &dev), STATUS_SUCCESS) << id;
        EXPECT_EQ(dev.device_type, 9);
    }
    for (int id : {0x1040, 0x107F}) {
        VIRTIO_PCI_DEVICE dev;
        PciDevice d = PciDevice::modern();
        d.putCfg(2, id, 2);
        d.putCfg(0x2E, 9, 2);
        EXPECT_EQ(initWith(d, VirtioPciModeAuto, &dev), STATUS_SUCCESS) << id;
        EXPECT_EQ(dev.device_type, id - 0x1040);
    }
}

TEST(VirtioPciInit, AnIncompleteModernInterfaceLeavesNothingToTheLegacyOne) // 4.1.2.3
{
    Started s([] {
        PciDevice d = PciDevice::transitional();
        d.cfg[0x73] = 99; // no notify structure
        d.config[0] = 0x5A;
        d.isr = 3;
        return d;
    }());
    EXPECT_FALSE(s.dev.modern);
    ASSERT_EQ(VirtioPciReset(&s.dev, 10), STATUS_SUCCESS);
    ASSERT_EQ(VirtioPciNegotiate(&s.dev, 0, 0), STATUS_SUCCESS);
    UINT8 byte = 0;
    ASSERT_EQ(VirtioPciReadConfig(&s.dev, 0, &byte, 1), STATUS_SUCCESS);
    EXPECT_EQ(byte, 0x5A);
    EXPECT_EQ(VirtioPciReadIsr(&s.dev), 3);
    for (auto &a : s.d.log) {
        EXPECT_EQ(a.bar, 0);
    }
}

TEST(VirtioPciInit, TheSmallestLegacyBars) // 4.1.4.10
{
    VIRTIO_PCI_DEVICE dev;
    UINT8 byte;
    PciDevice d = PciDevice::legacy();
    d.barLength[0] = 20; // no device configuration
    ASSERT_EQ(initWith(d, VirtioPciModeLegacy, &dev), STATUS_SUCCESS);
    EXPECT_EQ(VirtioPciReadConfig(&dev, 0, &byte, 1), STATUS_BUFFER_OVERFLOW);
    d.barLength[0] = 21; // one byte of it
    ASSERT_EQ(initWith(d, VirtioPciModeLegacy, &dev), STATUS_SUCCESS);
    EXPECT_EQ(VirtioPciReadConfig(&dev, 0, &byte, 1), STATUS_SUCCESS);
}

TEST(VirtioPciInit, LegacyNeedsRevisionZeroAndItsRegisters) // 4.1.2.3
{
    VIRTIO_PCI_DEVICE dev;
    PciDevice revision = PciDevice::legacy();
    revision.cfg[8] = 1;
    EXPECT_EQ(initWith(revision, VirtioPciModeLegacy, &dev), STATUS_NOT_FOUND);
    PciDevice unmapped = PciDevice::legacy();
    unmapped.barLength[0] = 19;
    EXPECT_EQ(initWith(unmapped, VirtioPciModeLegacy, &dev), STATUS_NOT_FOUND);
}

TEST(VirtioPciInit, NoMoreThanAPageOfALegacyBarIsDeviceConfiguration) // 4.1.4.10
{
    VIRTIO_PCI_DEVICE dev;
    PciDevice d = PciDevice::legacy();
    for (uint64_t length : {uint64_t(1) << 33, uint64_t(1) << 32, uint64_t(20 + 0x1001)}) {
        d.barLength[0] = length;
        ASSERT_EQ(initWith(d, VirtioPciModeLegacy, &dev), STATUS_SUCCESS);
        EXPECT_EQ(dev.config.length, 0x1000u);
    }
    d.barLength[0] = 20 + 0xFFF;
    ASSERT_EQ(initWith(d, VirtioPciModeLegacy, &dev), STATUS_SUCCESS);
    EXPECT_EQ(dev.config.length, 0xFFFu);
}

TEST(VirtioPciInit, AModernDeviceIdHasNoLegacyInterface) // 4.1.2.1
{
    VIRTIO_PCI_DEVICE dev;
    PciDevice d = PciDevice::legacy();
    d.putCfg(2, 0x1040, 2);
    EXPECT_EQ(initWith(d, VirtioPciModeLegacy, &dev), STATUS_NOT_FOUND);
}

void expectEachCallRefused(VIRTIO_PCI_DEVICE *dev) {
    UINT8 byte = 7;
    UINT16 size = 7;
    EXPECT_EQ(VirtioPciReset(dev, 10), STATUS_INVALID_DEVICE_STATE);
    EXPECT_EQ(VirtioPciNegotiate(dev, 0, 0), STATUS_INVALID_DEVICE_STATE);
    VirtioPciDriverOk(dev);
    VirtioPciFail(dev);
    EXPECT_EQ(VirtioPciGetStatus(dev), 0);
    EXPECT_EQ(VirtioPciQueueMaxSize(dev, 0, &size), STATUS_NOT_FOUND);
    EXPECT_EQ(VirtioPciQueueSetup(dev, 0, 256, 0x1000, 0x2000, 0x3000, VIRTIO_PCI_NO_VECTOR),
              STATUS_NOT_FOUND);
    EXPECT_EQ(VirtioPciSetConfigVector(dev, VIRTIO_PCI_NO_VECTOR), STATUS_INVALID_DEVICE_STATE);
    VirtioPciNotify(dev, 0);
    EXPECT_EQ(VirtioPciReadIsr(dev), 0);
    EXPECT_EQ(VirtioPciReadConfig(dev, 0, &byte, 1), STATUS_BUFFER_OVERFLOW);
    EXPECT_EQ(VirtioPciWriteConfig(dev, 0, &byte, 1), STATUS_BUFFER_OVERFLOW);
}

// regression: an interface that is found in part left its device configuration behind.
TEST(VirtioPciInit, CallsBeforeSuccessAreRefused) // 3.1.1: the order of steps
{
    for (unsigned missing : {0x00u, 0x40u, 0x50u, 0x70u}) { // common, notify, ISR
        for (bool msix : {false, true}) {
            PciDevice d = missing == 0 ? PciDevice::legacy() : PciDevice::modern();
            if (missing != 0) {
                d.cfg[missing + 3] = 99; // a type that is none of ours
            }
            VIRTIO_PCI_DEVICE dev;
            ASSERT_EQ(VirtioPciInit(&dev, model::io(), &d, VirtioPciModeModern, msix),
                      STATUS_NOT_FOUND);
            d.log.clear();
            expectEachCallRefused(&dev);
            EXPECT_TRUE(d.log.empty()) << "a register was touched";
        }
    }
}

// regression: Notify called through null; refused arguments left an older device's
// content.
TEST(VirtioPciInit, CallsAreRefusedWhereItWasRefusedOrNeverCalled) // 3.1.1
{
    VIRTIO_PCI_DEVICE zeroed = {};
    expectEachCallRefused(&zeroed);

    Started s(PciDevice::modern());
    ASSERT_EQ(VirtioPciNegotiate(&s.dev, 0, 0), STATUS_SUCCESS);
    ASSERT_EQ(VirtioPciInit(&s.dev, model::io(), &s.d, VIRTIO_PCI_MODE(3), FALSE),
              STATUS_INVALID_PARAMETER);
    s.d.log.clear();
    expectEachCallRefused(&s.dev);
    EXPECT_TRUE(s.d.log.empty()) << "a register was touched";
}

INSTANTIATE_TEST_SUITE_P(Transports, Both, testing::Values(false, true),
                         [](const auto &i) { return std::string(i.param ? "modern" : "legacy"); });

TEST_P(Both, ResetWaitsForStatusZero) // 4.1.4.3.2
{
    Started s(make());
    s.d.status = 0x0F;
    s.d.resetReads = 5;
    EXPECT_EQ(VirtioPciReset(&s.dev, 100), STATUS_SUCCESS);
    EXPECT_EQ(s.d.resetReads, 0);
    EXPECT_EQ(s.d.stalled, 5000u);
}

TEST_P(Both, ResetGivesUpAfterItsTime) // 4.1.4.3.2
{
    Started s(make());
    s.d.status = 0x0F;
    s.d.resetReads = 1 << 20;
    EXPECT_EQ(VirtioPciReset(&s.dev, 50), STATUS_IO_TIMEOUT);
    EXPECT_EQ(s.d.stalled, 50000u);
}

TEST_P(Both, ResetOfARemovedDeviceSaysSo) // 4.1.4.3.2
{
    Started s(make());
    s.d.gone = true;
    EXPECT_EQ(VirtioPciReset(&s.dev, 1000), STATUS_DEVICE_DOES_NOT_EXIST);
    EXPECT_EQ(s.d.stalled, 0u);
}

// regression: all ones were an offer of every feature, and FEATURES_OK.
TEST_P(Both, NegotiateWithARemovedDeviceSaysSo) // 3.1.1
{
    Started s(make());
    s.d.gone = true;
    EXPECT_EQ(VirtioPciNegotiate(&s.dev, EventIdx, Indirect), STATUS_DEVICE_DOES_NOT_EXIST);
    EXPECT_EQ(s.dev.num_queues, 0);
    EXPECT_EQ(s.dev.driver_features, 0u);
}

TEST_P(Both, NegotiateAcceptsWhatIsOfferedAndWanted) // 2.2, 3.1.1
{
    Started s(make());
    UINT64 v1 = GetParam() ? Version1 : 0;
    s.d.features = v1 | EventIdx | 0x0206;
    ASSERT_EQ(VirtioPciReset(&s.dev, 10), STATUS_SUCCESS);
    EXPECT_EQ(s.dev.driver_features, 0u);
    ASSERT_EQ(VirtioPciNegotiate(&s.dev, EventIdx | Indirect | 0x0204, 0x0002), STATUS_SUCCESS);
    EXPECT_EQ(s.d.driverFeatures, v1 | EventIdx | 0x0206);
    EXPECT_EQ(s.dev.driver_features, s.d.driverFeatures);
    EXPECT_EQ(s.dev.device_features, s.d.features);
    EXPECT_EQ(s.d.status, GetParam() ? 0x0B : 0x03);
    VirtioPciDriverOk(&s.dev);
    EXPECT_EQ(VirtioPciGetStatus(&s.dev), GetParam() ? 0x0F : 0x07);
    ASSERT_EQ(VirtioPciReset(&s.dev, 10), STATUS_SUCCESS);
    EXPECT_EQ(s.dev.driver_features, 0u);
}

TEST_P(Both, EachStatusIsOneBitMore) // 2.1
{
    Started s(make());
    VirtioPciFail(&s.dev);
    EXPECT_EQ(s.d.status, 0x80);
    ASSERT_EQ(VirtioPciReset(&s.dev, 10), STATUS_SUCCESS);
    VirtioPciDriverOk(&s.dev);
    EXPECT_EQ(s.d.status, 0x04);
}

TEST_P(Both, NegotiateFailsWithoutARequiredFeature) // 2.2.1, 3.1.1
{
    Started s(make());
    EXPECT_EQ(VirtioPciNegotiate(&s.dev, 0, 1 << 5), STATUS_NOT_SUPPORTED);
    EXPECT_EQ(s.d.status & 0x88, 0x80); // FAILED, no FEATURES_OK
    EXPECT_EQ(s.d.driverFeatures, 0u);
    EXPECT_EQ(s.dev.num_queues, 0); // regression: they could be set up all the same
}

TEST(VirtioPciNegotiate, LeavesOutTransportFeaturesItHasNoCodeFor) // 6
{
    Started s(PciDevice::modern());
    s.d.features = ~UINT64(0);
    ASSERT_EQ(VirtioPciNegotiate(&s.dev, ~UINT64(0), 0), STATUS_SUCCESS);
    // Device types' own bits (2.2: 0 to 23, 50 and up) and the known ones stay.
    UINT64 expected = ~UINT64(0) << 50 | 0xFFFFFF | Version1 | EventIdx | Indirect;
    for (int bit : {24, 27, 33, 36}) { // NOTIFY_ON_EMPTY, ANY_LAYOUT, *_PLATFORM
        expected |= UINT64(1) << bit;
    }
    EXPECT_EQ(s.d.driverFeatures, expected);

    Started again(PciDevice::modern());
    again.d.features = ~UINT64(0);
    EXPECT_EQ(VirtioPciNegotiate(&again.dev, 0, Packed), STATUS_NOT_SUPPORTED);
}

TEST(VirtioPciNegotiate, ModernNeedsVersion1) // 6.1
{
    Started s(PciDevice::modern());
    s.d.features = EventIdx;
    EXPECT_EQ(VirtioPciNegotiate(&s.dev, EventIdx, 0), STATUS_NOT_SUPPORTED);
}

TEST(VirtioPciNegotiate, FeaturesOkIsReadAgain) // 3.1.1 step 6
{
    Started s(PciDevice::modern());
    s.d.refuseFeaturesOk = true;
    EXPECT_EQ(VirtioPciNegotiate(&s.dev, EventIdx, 0), STATUS_NOT_SUPPORTED);
    EXPECT_NE(s.d.status & 0x80, 0);
    EXPECT_EQ(s.dev.driver_features, 0u);
    EXPECT_EQ(s.dev.num_queues, 0);
}

TEST(VirtioPciNegotiate, LegacyTakes32BitsOnly) // 4.1.4.10
{
    Started s(PciDevice::legacy());
    s.d.features = EventIdx;
    ASSERT_EQ(VirtioPciNegotiate(&s.dev, ~UINT64(0), 0), STATUS_SUCCESS);
    EXPECT_EQ(s.dev.driver_features, EventIdx);
    Started again(PciDevice::legacy());
    EXPECT_EQ(VirtioPciNegotiate(&again.dev, 0, Version1), STATUS_NOT_SUPPORTED);
}

TEST_P(Both, IsrIsReadOnce) // 4.1.4.5: reading clears it
{
    Started s(make());
    s.d.isr = 3;
    EXPECT_EQ(VirtioPciReadIsr(&s.dev), 3);
    EXPECT_EQ(VirtioPciReadIsr(&s.dev), 0);
}

} // namespace
