// SPDX-License-Identifier: MIT
//
// virtio_ring.h and virtio_osdep.h: layouts and primitives (Virtio 1.2, 2.7).
#include <gtest/gtest.h>

#include "virtio_ring.h"

namespace {

TEST(VirtioRing, StructuresHaveTheSpecificationsLayout) // 2.7.5, 2.7.6, 2.7.8
{
    alignas(16) unsigned char bytes[64] = {};
    auto *desc = reinterpret_cast<VIRTQ_DESC *>(bytes);
    desc->addr = 0x1122334455667788;
    desc->len = 0x99AABBCC;
    desc->flags = 0xDDEE;
    desc->next = 0x1234;
    const unsigned char expected[16] = {0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
                                        0xCC, 0xBB, 0xAA, 0x99, 0xEE, 0xDD, 0x34, 0x12};
    EXPECT_EQ(memcmp(bytes, expected, 16), 0);
    EXPECT_EQ(sizeof(VIRTQ_USED_ELEM), 8u);
}

TEST(VirtioRing, HelpersPointWhereTheSpecificationSays) // 2.7.6, 2.7.7, 2.7.8, 2.7.10
{
    alignas(16) unsigned char bytes[256] = {};
    auto *avail = reinterpret_cast<VIRTQ_AVAIL *>(bytes);
    auto *used = reinterpret_cast<VIRTQ_USED *>(bytes);
    EXPECT_EQ(reinterpret_cast<unsigned char *>(VirtqAvailRing(avail)), bytes + 4);
    EXPECT_EQ(reinterpret_cast<unsigned char *>(VirtqUsedRing(used)), bytes + 4);
    for (UINT16 size : {1, 2, 8, 16}) {
        EXPECT_EQ((volatile unsigned char *)VirtqAvailUsedEvent(avail, size), bytes + 4 + 2 * size);
        EXPECT_EQ((volatile unsigned char *)VirtqUsedAvailEvent(used, size), bytes + 4 + 8 * size);
    }
}

TEST(VirtioRing, Constants) // 2.7.5, 2.7.6, 2.7.8, 6
{
    EXPECT_EQ(VIRTQ_DESC_F_NEXT, 1);
    EXPECT_EQ(VIRTQ_DESC_F_WRITE, 2);
    EXPECT_EQ(VIRTQ_DESC_F_INDIRECT, 4);
    EXPECT_EQ(VIRTQ_AVAIL_F_NO_INTERRUPT, 1);
    EXPECT_EQ(VIRTQ_USED_F_NO_NOTIFY, 1);
    EXPECT_EQ(VIRTIO_F_RING_INDIRECT_DESC, 28);
    EXPECT_EQ(VIRTIO_F_RING_EVENT_IDX, 29);
}

TEST(VirtioOsdep, AccessorsReadAndWriteWhatTheyAreTold) {
    volatile UINT16 u16 = 0;
    volatile UINT32 u32 = 0;
    volatile UINT64 u64 = 0;
    VirtioWriteU16(&u16, 0xBEEF);
    VirtioWriteU32(&u32, 0xDEADBEEF);
    VirtioWriteU64(&u64, 0x0123456789ABCDEF);
    EXPECT_EQ(VirtioReadU16(&u16), 0xBEEF);
    EXPECT_EQ(VirtioReadU32(&u32), 0xDEADBEEF);
    EXPECT_EQ(VirtioReadU64(&u64), 0x0123456789ABCDEFu);
    VirtioStoreReleaseU16(&u16, 0x1234);
    EXPECT_EQ(VirtioLoadAcquireU16(&u16), 0x1234);
    VIRTIO_MB();
    VIRTIO_RMB();
    VIRTIO_WMB();
}

TEST(VirtioOsdep, AlignUpAndZero) {
    EXPECT_EQ(VIRTIO_ALIGN_UP(0u, 16u), 0u);
    EXPECT_EQ(VIRTIO_ALIGN_UP(1u, 16u), 16u);
    EXPECT_EQ(VIRTIO_ALIGN_UP(16u, 16u), 16u);
    EXPECT_EQ(VIRTIO_ALIGN_UP(4097u, 4096u), 8192u);
    unsigned char bytes[5] = {1, 2, 3, 4, 5};
    VirtioZeroMemory(bytes + 1, 3);
    EXPECT_EQ(bytes[0], 1);
    EXPECT_EQ(bytes[1] | bytes[2] | bytes[3], 0);
    EXPECT_EQ(bytes[4], 5);
}

} // namespace
