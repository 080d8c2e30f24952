// SPDX-License-Identifier: MIT
//
// Device configuration on both transports (Virtio 1.2, 2.5, 4.1.3.1).
#include "virtio_pci_started.h"

using model::Both;
using model::PciDevice;
using model::Started;

namespace {

struct Config : Both {};
INSTANTIATE_TEST_SUITE_P(Transports, Config, testing::Values(false, true),
                         [](const auto &i) { return std::string(i.param ? "modern" : "legacy"); });

TEST_P(Config, FieldsAreReadByTheirWidth) // 4.1.3.1
{
    Started s(make());
    for (int i = 0; i < 64; i++) {
        s.d.config[i] = UINT8(0xA0 + i);
    }
    struct {
        UINT32 offset, length;
        int width;
    } rows[] = {{0, 8, 4}, {12, 8, 4}, {8, 4, 4}, {2, 2, 2}, {1, 1, 1},
                {3, 6, 1}, {2, 8, 1},  {1, 8, 1}, {1, 2, 1}, {2, 4, 1}};
    for (auto &row : rows) {
        UINT8 out[8] = {};
        s.d.log.clear();
        ASSERT_EQ(VirtioPciReadConfig(&s.dev, row.offset, out, row.length), STATUS_SUCCESS);
        EXPECT_EQ(memcmp(out, &s.d.config[row.offset], row.length), 0) << row.offset;
        UINT32 base = GetParam() ? 0x2000 : 20;
        for (auto &a : s.d.log) {
            if (a.offset >= base) {
                EXPECT_EQ(a.width, row.width) << row.offset << '+' << row.length;
            }
        }
    }
}

TEST_P(Config, OutsideItsRegionIsRefused) // 4.1.4.6
{
    Started s(make());
    UINT32 length = s.dev.config.length;
    UINT8 out[16] = {9};
    s.d.log.clear();
    EXPECT_EQ(VirtioPciReadConfig(&s.dev, length, out, 1), STATUS_BUFFER_OVERFLOW);
    EXPECT_EQ(VirtioPciReadConfig(&s.dev, length - 3, out, 4), STATUS_BUFFER_OVERFLOW);
    EXPECT_EQ(VirtioPciReadConfig(&s.dev, 0xFFFFFFFF, out, 2), STATUS_BUFFER_OVERFLOW);
    EXPECT_EQ(VirtioPciWriteConfig(&s.dev, length - 3, out, 4), STATUS_BUFFER_OVERFLOW);
    EXPECT_EQ(out[0], 9);
    EXPECT_TRUE(s.d.log.empty());
    EXPECT_EQ(VirtioPciReadConfig(&s.dev, length - 4, out, 4), STATUS_SUCCESS);
    EXPECT_EQ(VirtioPciReadConfig(&s.dev, length, out, 0), STATUS_SUCCESS);
}

TEST(VirtioPciReadConfig, ReadsAgainWhenTheGenerationMoves) // 2.5.1
{
    Started s(PciDevice::modern());
    memset(s.d.config.data(), 0x11, 8);
    int reads = 0;
    s.d.onConfigRead = [&] {
        // The device changes between the two halves of the first reading.
        if (++reads == 1) {
            memset(s.d.config.data(), 0x22, 8);
            s.d.generation++;
        }
    };
    UINT64 value = 0;
    ASSERT_EQ(VirtioPciReadConfig(&s.dev, 0, &value, 8), STATUS_SUCCESS);
    EXPECT_EQ(value, 0x2222222222222222u);
}

TEST(VirtioPciReadConfig, LegacyReadsUntilTwoReadingsAgree) // 2.5.4
{
    Started s(PciDevice::legacy());
    memset(s.d.config.data(), 0x11, 8);
    int reads = 0;
    s.d.onConfigRead = [&] {
        if (++reads == 1) {
            memset(s.d.config.data(), 0x22, 8);
        }
    };
    UINT64 value = 0;
    ASSERT_EQ(VirtioPciReadConfig(&s.dev, 0, &value, 8), STATUS_SUCCESS);
    EXPECT_EQ(value, 0x2222222222222222u);
}

TEST(VirtioPciReadConfig, LegacyComparesEveryByte) // 2.5.4
{
    for (UINT32 length : {4u, 8u}) {
        Started s(PciDevice::legacy());
        UINT32 reads = 0;
        s.d.onConfigRead = [&] {
            if (++reads == length / 4) {
                s.d.config[length - 1] = 0x77; // the last byte of the field
            }
        };
        UINT8 value[8] = {};
        ASSERT_EQ(VirtioPciReadConfig(&s.dev, 0, value, length), STATUS_SUCCESS);
        EXPECT_EQ(value[length - 1], 0x77) << length;
    }
}

TEST_P(Config, OneThatNeverHoldsStillIsAnError) // 2.5.1
{
    Started s(make());
    int reads = 0;
    s.d.onConfigRead = [&] {
        s.d.config[0]++;
        s.d.generation++;
        reads++;
    };
    UINT64 value = 1;
    EXPECT_EQ(VirtioPciReadConfig(&s.dev, 0, &value, 8), STATUS_DEVICE_DATA_ERROR);
    EXPECT_EQ(value, 0u);
    // 64 attempts of two accesses, read twice by legacy.
    EXPECT_EQ(reads, GetParam() ? 128 : reads);
    EXPECT_LE(reads, 256);
    EXPECT_GT(reads, 127);
}

TEST_P(Config, IsWritten) // 2.5, 4.1.3.1
{
    Started s(make());
    UINT32 value = 0x01020304;
    s.d.log.clear();
    ASSERT_EQ(VirtioPciWriteConfig(&s.dev, 32, &value, 4), STATUS_SUCCESS);
    EXPECT_EQ(s.d.log.size(), 1u);
    UINT64 wide = 0x1122334455667788;
    ASSERT_EQ(VirtioPciWriteConfig(&s.dev, 48, &wide, 8), STATUS_SUCCESS);
    EXPECT_EQ(memcmp(&s.d.config[48], &wide, 8), 0);
    UINT16 half = 0xBEEF;
    ASSERT_EQ(VirtioPciWriteConfig(&s.dev, 36, &half, 2), STATUS_SUCCESS);
    UINT8 bytes[3] = {1, 2, 3};
    ASSERT_EQ(VirtioPciWriteConfig(&s.dev, 40, bytes, 3), STATUS_SUCCESS);
    EXPECT_EQ(memcmp(&s.d.config[32], "\x04\x03\x02\x01\xEF\xBE", 6), 0);
    EXPECT_EQ(memcmp(&s.d.config[40], bytes, 3), 0);
}

TEST_P(Config, FieldsAreWrittenByTheirWidth) // 4.1.3.1
{
    Started s(make());
    UINT8 value[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct {
        UINT32 offset, length;
        int width;
    } rows[] = {{0, 8, 4}, {8, 4, 4}, {2, 2, 2}, {1, 1, 1}, {3, 6, 1},
                {1, 8, 1}, {2, 8, 1}, {1, 2, 1}, {2, 4, 1}};
    for (auto &row : rows) {
        s.d.log.clear();
        ASSERT_EQ(VirtioPciWriteConfig(&s.dev, row.offset, value, row.length), STATUS_SUCCESS);
        EXPECT_EQ(s.d.log.size(), row.length / row.width) << row.offset << '+' << row.length;
        for (auto &a : s.d.log) {
            EXPECT_EQ(a.width, row.width) << row.offset << '+' << row.length;
        }
    }
}

} // namespace
