// SPDX-License-Identifier: MIT
//
// The capability list of a modern device (Virtio 1.2, 4.1.4), well formed and
// every way of malformed.
#include <gtest/gtest.h>

#include "virtio_pci_model.h"

using model::PciDevice;

namespace {

struct CapsTest : testing::Test {
    PciDevice d = PciDevice::modern();
    VIRTIO_PCI_DEVICE dev;

    NTSTATUS init(VIRTIO_PCI_MODE mode = VirtioPciModeModern) {
        NTSTATUS s = VirtioPciInit(&dev, model::io(), &d, mode, FALSE);
        EXPECT_TRUE(d.violations.empty()) << d.violations.front();
        EXPECT_TRUE(d.log.empty()) << "Init touched a device register";
        return s;
    }
};

TEST_F(CapsTest, FindsTheStructuresInAWellFormedList) // 4.1.4
{
    ASSERT_EQ(init(), STATUS_SUCCESS);
    EXPECT_TRUE(dev.modern);
    EXPECT_EQ(dev.device_type, 2);
    EXPECT_EQ(dev.common.bar, 4);
    EXPECT_EQ(dev.notify.offset, 0x3000u);
    EXPECT_EQ(dev.isr.offset, 0x1000u);
    EXPECT_EQ(dev.config.length, 64u);
    EXPECT_EQ(dev.notify_off_multiplier, 4u);
}

TEST_F(CapsTest, OtherCapabilitiesAreSteppedOver) // 4.1.4
{
    // MSI-X (0x11) in the middle, with bytes that would be a bad virtio cap.
    d.cfg[0x51] = 0xA0;
    memset(&d.cfg[0xA0], 0xFF, 12);
    d.cfg[0xA0] = 0x11;
    d.cfg[0xA1] = 0x60;
    EXPECT_EQ(init(), STATUS_SUCCESS);
    d.cfg[0xA3] = 1; // where a virtio capability says "common configuration"
    EXPECT_EQ(init(), STATUS_SUCCESS);
}

TEST_F(CapsTest, TheOrderOfTheStructuresDoesNotMatter) // 4.1.4.1
{
    d.cfg[0x34] = 0x70; // notify first
    d.cfg[0x71] = 0x40;
    d.cfg[0x61] = 0x84;
    ASSERT_EQ(init(), STATUS_SUCCESS);
    EXPECT_EQ(dev.notify.offset, 0x3000u);
    EXPECT_EQ(dev.notify_off_multiplier, 4u);
}

TEST_F(CapsTest, TheLastBarMayHoldStructures) // 4.1.4: bar is 0 to 5
{
    d.barLength[5] = 0x1000;
    d.cfg[0x44] = 5;
    ASSERT_EQ(init(), STATUS_SUCCESS);
    EXPECT_EQ(dev.common.bar, 5);
}

TEST_F(CapsTest, ReservedPointerBitsAreMasked) // PCI 3.0, 6.7
{
    d.cfg[0x34] |= 3;
    d.cfg[0x41] |= 3;
    EXPECT_EQ(init(), STATUS_SUCCESS);
}

TEST_F(CapsTest, UnknownTypesAndReservedBarsAreIgnored) // 4.1.4.1
{
    d.putCap(0xA0, 0x40, 99, 4, 0xFFFFFFFF, 0xFFFFFFFF, 1);
    d.putCap(0xB0, 0xA0, 1, 6, 0, 0x38);
    d.putCap(0xC0, 0xB0, 1, 255, 0, 0);
    d.cfg[0x34] = 0xC0;
    ASSERT_EQ(init(), STATUS_SUCCESS);
    EXPECT_EQ(dev.common.bar, 4);
}

TEST_F(CapsTest, TheFirstUsableOneOfATypeIsTaken) // 4.1.4.1: order of preference
{
    d.barLength[2] = 0x1000;
    d.putCap(0xA0, 0x40, 1, 2, 0x100, 0x38);
    d.cfg[0x34] = 0xA0;
    ASSERT_EQ(init(), STATUS_SUCCESS);
    EXPECT_EQ(dev.common.bar, 2);
}

TEST_F(CapsTest, AStructureInABarThatIsNotMappedLeavesTheNextOne) // 4.1.4.1
{
    d.putCap(0xA0, 0x40, 1, 1, 0, 0x38); // BAR 1: length 0
    d.cfg[0x34] = 0xA0;
    ASSERT_EQ(init(), STATUS_SUCCESS);
    EXPECT_EQ(dev.common.bar, 4);
}

TEST_F(CapsTest, NoListAtAll) // PCI 3.0, 6.7
{
    d.putCfg(6, 0, 2);
    EXPECT_EQ(init(), STATUS_NOT_FOUND);
    d.putCfg(6, 0xFFEF, 2); // every bit but the one that says so
    EXPECT_EQ(init(), STATUS_NOT_FOUND);
}

TEST_F(CapsTest, AnEmptyList) // PCI 3.0, 6.7
{
    d.cfg[0x34] = 0;
    EXPECT_EQ(init(), STATUS_NOT_FOUND);
}

TEST_F(CapsTest, ALoopEnds) // PCI 3.0, 6.7
{
    d.cfg[0x71] = 0x40;
    EXPECT_EQ(init(), STATUS_DEVICE_CONFIGURATION_ERROR);
}

TEST_F(CapsTest, ACapabilityThatPointsToItself) // PCI 3.0, 6.7
{
    d.cfg[0x41] = 0x40;
    EXPECT_EQ(init(), STATUS_DEVICE_CONFIGURATION_ERROR);
}

TEST_F(CapsTest, ALoopEndsAfterAsManyStepsAsThereIsRoomFor) // PCI 3.0, 6.7
{
    d.cfg[0x41] = 0x40;
    d.cfg[0x40] = 0x11; // not even a virtio capability
    EXPECT_EQ(init(), STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_EQ(d.cfgReads[0x41], 48u); // (256 - 64) / 4
}

TEST_F(CapsTest, TheLongestListThatFitsIsWalkedToItsEnd) // PCI 3.0, 6.7
{
    memset(&d.cfg[0x40], 0, 192);
    for (int at = 0x40; at < 0x100; at += 4) {
        d.cfg[at] = 0x11;
        d.cfg[at + 1] = uint8_t(at + 4); // 0 behind the last one
    }
    EXPECT_EQ(init(), STATUS_NOT_FOUND);
}

TEST_F(CapsTest, TheSmallestStructures) // 4.1.4.3, 4.1.4.4, 4.1.4.5
{
    d.putCfg(0x50 + 8, 0x1003, 4); // ISR: one byte, anywhere
    d.putCfg(0x60 + 12, 1, 4);     // device configuration: one byte
    EXPECT_EQ(init(), STATUS_SUCCESS);
}

TEST_F(CapsTest, APointerIntoTheHeader) // PCI 3.0, 6.7
{
    d.cfg[0x51] = 0x20;
    EXPECT_EQ(init(), STATUS_DEVICE_CONFIGURATION_ERROR);
}

TEST_F(CapsTest, ACapabilityThatRunsPastTheEndOfTheSpace) // 4.1.4
{
    d.putCap(0xF0, 0x40, 1, 4, 0, 0x38, 20); // 0xF0 + 20 > 0x100
    d.cfg[0x34] = 0xF0;
    EXPECT_EQ(init(), STATUS_DEVICE_CONFIGURATION_ERROR);
    d.cfg[0xF2] = 17; // by one byte
    EXPECT_EQ(init(), STATUS_DEVICE_CONFIGURATION_ERROR);
}

TEST_F(CapsTest, ACapabilityThatEndsExactlyAtTheEndOfTheSpace) // 4.1.4
{
    d.putCap(0xF0, 0x40, 1, 4, 0, 0x38);
    d.cfg[0x34] = 0xF0;
    EXPECT_EQ(init(), STATUS_SUCCESS);
}

TEST_F(CapsTest, ShortCapLength) // 4.1.4: cap_len
{
    d.cfg[0x42] = 15;
    EXPECT_EQ(init(), STATUS_DEVICE_CONFIGURATION_ERROR);
}

TEST_F(CapsTest, NotifyCapabilityWithoutItsMultiplier) // 4.1.4.4
{
    for (uint8_t length : {16, 19}) {
        d.cfg[0x72] = length;
        EXPECT_EQ(init(), STATUS_DEVICE_CONFIGURATION_ERROR);
    }
}

struct Missing : CapsTest, testing::WithParamInterface<int> {};
TEST_P(Missing, AMandatoryStructureMissingIsNotFound) // 4.1.4: common, notify, ISR
{
    d.cfg[GetParam() + 3] = 99;
    EXPECT_EQ(init(), STATUS_NOT_FOUND);
}
INSTANTIATE_TEST_SUITE_P(Structures, Missing, testing::Values(0x40, 0x50, 0x70));

TEST_F(CapsTest, DeviceConfigurationIsOptional) // 4.1.4.6
{
    d.cfg[0x63] = 99;
    ASSERT_EQ(init(), STATUS_SUCCESS);
    UINT8 byte = 7;
    EXPECT_EQ(VirtioPciReadConfig(&dev, 0, &byte, 1), STATUS_BUFFER_OVERFLOW);
    EXPECT_EQ(byte, 7);
}

struct BadRegion {
    const char *name;
    uint8_t cap;
    uint32_t offset, length;
};
struct Region : CapsTest, testing::WithParamInterface<BadRegion> {};
TEST_P(Region, IsRefused) // 4.1.4
{
    const BadRegion &b = GetParam();
    d.putCfg(b.cap + 8, b.offset, 4);
    d.putCfg(b.cap + 12, b.length, 4);
    EXPECT_EQ(init(), STATUS_DEVICE_CONFIGURATION_ERROR);
    // There is no legacy interface to fall back to.
    EXPECT_EQ(init(VirtioPciModeAuto), STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_EQ(dev.modern_status, STATUS_DEVICE_CONFIGURATION_ERROR);
}
TEST_P(Region, OfATransitionalDeviceLeavesItsLegacyInterface) // 4.1.4
{
    const BadRegion &b = GetParam();
    d = PciDevice::transitional();
    d.putCfg(b.cap + 8, b.offset, 4);
    d.putCfg(b.cap + 12, b.length, 4);
    EXPECT_EQ(init(VirtioPciModeModern), STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_EQ(init(VirtioPciModeAuto), STATUS_SUCCESS);
    EXPECT_FALSE(dev.modern);
    EXPECT_EQ(dev.modern_status, STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_EQ(init(VirtioPciModeLegacy), STATUS_SUCCESS);
    EXPECT_EQ(dev.modern_status, STATUS_SUCCESS) << "not looked at";
}
INSTANTIATE_TEST_SUITE_P(
    Regions, Region,
    testing::Values(
        BadRegion{"past_its_bar", 0x40, 0x3FE0, 0x38},
        BadRegion{"starts_past_its_bar", 0x40, 0x4004, 0x38},
        BadRegion{"offset_plus_length_wraps", 0x70, 0xFFFFFFFE, 0x1000},
        BadRegion{"length_wraps", 0x70, 0x3000, 0xFFFFFFFF},
        BadRegion{"short_common", 0x40, 0, 0x37}, BadRegion{"short_notify", 0x70, 0x3000, 1},
        BadRegion{"empty_isr", 0x50, 0x1000, 0}, BadRegion{"empty_config", 0x60, 0x2000, 0},
        BadRegion{"empty_isr_at_0", 0x50, 0, 0}, BadRegion{"empty_config_at_0", 0x60, 0, 0},
        BadRegion{"misaligned_common", 0x40, 2, 0x38}, BadRegion{"odd_common", 0x40, 1, 0x38},
        BadRegion{"odd_config", 0x60, 0x2001, 4}, BadRegion{"misaligned_config", 0x60, 0x2002, 4},
        BadRegion{"misaligned_notify", 0x70, 0x3001, 4}),
    [](const auto &i) { return i.param.name; });

TEST_F(CapsTest, ARegionThatEndsExactlyAtTheEndOfItsBar) // 4.1.4
{
    d.putCfg(0x70 + 8, 0x3FFE, 4);
    d.putCfg(0x70 + 12, 2, 4);
    EXPECT_EQ(init(), STATUS_SUCCESS);
}

TEST_F(CapsTest, AHugeBarStillBoundsOffsetsTo32Bits) // 4.1.4
{
    d.barLength[4] = uint64_t(1) << 40;
    d.putCfg(0x70 + 8, 0xFFFFF000, 4);
    d.putCfg(0x70 + 12, 0x1001, 4);
    EXPECT_EQ(init(), STATUS_DEVICE_CONFIGURATION_ERROR);
    d.putCfg(0x70 + 12, 0x1000, 4);
    EXPECT_EQ(init(), STATUS_SUCCESS);
}

struct Multiplier : CapsTest, testing::WithParamInterface<std::pair<uint32_t, bool>> {};
TEST_P(Multiplier, IsZeroOrAnEvenPowerOfTwo) // 4.1.4.4.1
{
    d.putCfg(0x70 + 16, GetParam().first, 4);
    EXPECT_EQ(init(), GetParam().second ? STATUS_SUCCESS : STATUS_DEVICE_CONFIGURATION_ERROR);
}
INSTANTIATE_TEST_SUITE_P(Values, Multiplier,
                         testing::Values(std::pair{0u, true}, std::pair{2u, true},
                                         std::pair{4096u, true}, std::pair{0x80000000u, true},
                                         std::pair{1u, false}, std::pair{3u, false},
                                         std::pair{6u, false}, std::pair{0xFFFFFFFFu, false}));

} // namespace
