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

TEST(QueueMessage, OneAQueueOrInTurn) {
    EXPECT_EQ(Vq7QueueMessage(0, 1), 0) << "one message serves all";
    EXPECT_EQ(Vq7QueueMessage(7, 1), 0);
    EXPECT_EQ(Vq7QueueMessage(0, 2), 1) << "message 0 is for the configuration";
    EXPECT_EQ(Vq7QueueMessage(1, 2), 1);
    EXPECT_EQ(Vq7QueueMessage(0, 3), 1);
    EXPECT_EQ(Vq7QueueMessage(1, 3), 2);
    EXPECT_EQ(Vq7QueueMessage(2, 3), 1);
}

} // namespace
