// SPDX-License-Identifier: MIT
//
// Which BAR a resource belongs to (PCI Local Bus 3.0, 6.2.5.1), and which
// message a queue gets.
#include <gtest/gtest.h>

#include "pci_bars.h"

namespace {

TEST(DecodeBars, TransitionalDevice) {
    // As QEMU lays one out: ports, MSI-X table, 64-bit prefetchable registers.
    const UINT32 registers[6] = {0xC041, 0xFEBD1000, 0, 0, 0xFE00000C, 0x1};
    VQ7_BAR_REGISTER bars[6];
    Vq7DecodeBars(registers, bars);
    EXPECT_TRUE(bars[0].present);
    EXPECT_TRUE(bars[0].port);
    EXPECT_EQ(bars[0].address, 0xC040u);
    EXPECT_TRUE(bars[1].present);
    EXPECT_FALSE(bars[1].port);
    EXPECT_EQ(bars[1].address, 0xFEBD1000u);
    EXPECT_FALSE(bars[2].present);
    EXPECT_FALSE(bars[3].present);
    EXPECT_EQ(bars[4].address, 0x1FE000000u);
    EXPECT_FALSE(bars[5].present) << "the upper half of BAR 4";

    EXPECT_EQ(Vq7FindBar(bars, TRUE, 0xC040), 0);
    EXPECT_EQ(Vq7FindBar(bars, FALSE, 0xFEBD1000), 1);
    EXPECT_EQ(Vq7FindBar(bars, FALSE, 0x1FE000000), 4);
    EXPECT_EQ(Vq7FindBar(bars, FALSE, 0xC040), -1) << "a port is no memory";
    EXPECT_EQ(Vq7FindBar(bars, FALSE, 0xFE000000), -1) << "the lower half alone";
    EXPECT_EQ(Vq7FindBar(bars, FALSE, 0), -1) << "unassigned BARs match nothing";
    EXPECT_EQ(Vq7FindBar(bars, TRUE, 0), -1);
}

TEST(DecodeBars, UpperHalfThatLooksLikePorts) {
    const UINT32 registers[6] = {0x4, 0xC001, 0, 0, 0, 0};
    VQ7_BAR_REGISTER bars[6];
    Vq7DecodeBars(registers, bars);
    EXPECT_EQ(bars[0].address, 0xC00100000000u);
    EXPECT_EQ(Vq7FindBar(bars, TRUE, 0xC000), -1);
}

TEST(DecodeBars, SixtyFourBitWithoutUpperHalf) {
    const UINT32 registers[6] = {0xC001, 0, 0, 0, 0, 0xFE000004};
    VQ7_BAR_REGISTER bars[6];
    Vq7DecodeBars(registers, bars);
    EXPECT_TRUE(bars[0].present);
    EXPECT_FALSE(bars[5].present);
}

// Types 01b and 11b are no 64-bit BARs: the next register is a BAR of its own.
TEST(DecodeBars, OtherTypes) {
    const UINT32 registers[6] = {0xFE000002, 0xFD000000, 0xFC000006, 0xFB000000, 0, 0};
    VQ7_BAR_REGISTER bars[6];
    memset(bars, 1, sizeof(bars)); // of another device
    Vq7DecodeBars(registers, bars);
    for (int i = 0; i < 4; i++) {
        EXPECT_TRUE(bars[i].present) << i;
        EXPECT_FALSE(bars[i].port) << i;
        EXPECT_EQ(bars[i].address, 0xFE000000u - 0x1000000u * i) << i;
    }
}

// What is behind the sixth is somebody else's.
TEST(DecodeBars, SixOfThem) {
    const UINT32 registers[7] = {0xFE000000, 0xFD000000, 0xFC000000, 0xFB000000,
                                 0xFA000000, 0xF9000000, 0xF8000000};
    VQ7_BAR_REGISTER bars[7];
    bars[6].address = 0xF8000000;
    bars[6].present = TRUE;
    bars[6].port = FALSE;
    Vq7DecodeBars(registers, bars);
    EXPECT_EQ(bars[5].address, 0xF9000000u);
    EXPECT_EQ(bars[6].address, 0xF8000000u);
    EXPECT_TRUE(bars[6].present);
    EXPECT_EQ(Vq7FindBar(bars, FALSE, 0xF9000000), 5);
    EXPECT_EQ(Vq7FindBar(bars, FALSE, 0xF8000000), -1);
    bars[6].port = TRUE;
    bars[6].present = FALSE;
    Vq7DecodeBars(registers, bars);
    EXPECT_TRUE(bars[6].port);
    EXPECT_FALSE(bars[6].present);
}

TEST(QueueMessage, OneAQueueOrInTurn) {
    EXPECT_EQ(Vq7QueueMessage(0, 1), 0) << "one message serves all";
    EXPECT_EQ(Vq7QueueMessage(7, 1), 0);
    EXPECT_EQ(Vq7QueueMessage(0, 2), 1) << "message 0 is for the configuration";
    EXPECT_EQ(Vq7QueueMessage(1, 2), 1);
    EXPECT_EQ(Vq7QueueMessage(0, 3), 1);
    EXPECT_EQ(Vq7QueueMessage(1, 3), 2);
    EXPECT_EQ(Vq7QueueMessage(2, 3), 1);
}

TEST(LargeLength, LacksItsLowBits) { // CM_RESOURCE_MEMORY_LARGE_*
    EXPECT_EQ(Vq7LargeLength(0x0200, 0x01000000), UINT64(1) << 32);
    EXPECT_EQ(Vq7LargeLength(0x0400, 0x00030000), UINT64(3) << 32);
    EXPECT_EQ(Vq7LargeLength(0x0800, 2), UINT64(2) << 32);
    EXPECT_EQ(Vq7LargeLength(0x0800 | 0x0044, 0xFFFFFFFF), UINT64(0xFFFFFFFF) << 32);
    EXPECT_EQ(Vq7LargeLength(0x0800 | 1, 2), UINT64(2) << 32) << "and read-only memory";
    EXPECT_EQ(Vq7LargeLength(0x0400 | 1, 2), UINT64(2) << 16) << "and read-only memory";
    EXPECT_EQ(Vq7LargeLength(0x0200 | 1, 2), UINT64(2) << 8) << "and read-only memory";
    EXPECT_EQ(Vq7LargeLength(0, 2), 0u);
    EXPECT_EQ(Vq7LargeLength(0x0600, 2), 0u) << "two at once";
}

VQ7_BAR_RANGE Pages(UINT32 offset, UINT32 length, UINT64 start, UINT64 bar_length) {
    VIRTIO_PCI_REGION region = {4, TRUE, offset, length};
    return Vq7PagesOf(&region, start, bar_length);
}

TEST(PagesOf, ARegion) {
    VQ7_BAR_RANGE range = Pages(0x3010, 0x20, 0xFE000000, 0x4000);
    EXPECT_EQ(range.bar, 4);
    EXPECT_EQ(range.offset, 0x3000u);
    EXPECT_EQ(range.length, 0x1000u);
    range = Pages(0x2FFF, 2, 0xFE000000, 0x4000);
    EXPECT_EQ(range.offset, 0x2000u);
    EXPECT_EQ(range.length, 0x2000u);
    range = Pages(0xFFFFF000, 0x1000, 0x800000000, UINT64(8) << 30);
    EXPECT_EQ(range.offset, 0xFFFFF000u);
    EXPECT_EQ(range.length, 0x1000u) << "4 GiB into its BAR";
}

TEST(PagesOf, ABarWithinAPage) {
    VQ7_BAR_RANGE range = Pages(4, 8, 0xFE000100, 0x80);
    EXPECT_EQ(range.offset, 0u);
    EXPECT_EQ(range.length, 0x80u);
    range = Pages(0, 0x18, 0xFE000FF0, 0x18);
    EXPECT_EQ(range.offset, 0u);
    EXPECT_EQ(range.length, 0x18u);
}

TEST(RangeHolds, ItsBytesAlone) {
    VQ7_BAR_RANGE range = {2, 0x1000, 0x1000};
    EXPECT_TRUE(Vq7RangeHolds(&range, 2, 0x1000, 0x1000));
    EXPECT_TRUE(Vq7RangeHolds(&range, 2, 0x1FFE, 2));
    EXPECT_FALSE(Vq7RangeHolds(&range, 2, 0x1FFF, 2));
    EXPECT_FALSE(Vq7RangeHolds(&range, 2, 0xFFF, 1));
    EXPECT_TRUE(Vq7RangeHolds(&range, 2, 0x2000, 0)) << "no bytes, at its end";
    EXPECT_FALSE(Vq7RangeHolds(&range, 2, 0x2001, 0));
    EXPECT_FALSE(Vq7RangeHolds(&range, 3, 0x1000, 1));
}

} // namespace
