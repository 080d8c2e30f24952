// SPDX-License-Identifier: MIT
//
// Which bus a hot-plug number of the machine's AML belongs to.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "hal/aml.h"

namespace {

using Aml = std::string;

Aml Bytes(std::initializer_list<int> values) {
    Aml made;
    for (int each : values)
        made += static_cast<char>(each);
    return made;
}

// Length encodings of 1, 2 and 3 bytes; the length counts them.
Aml Package(const Aml &inside, size_t bytes) {
    const size_t length = inside.size() + bytes;
    if (bytes == 1)
        return Bytes({static_cast<int>(length)}) + inside;
    Aml head = Bytes({static_cast<int>((bytes - 1) << 6 | (length & 0xF))});
    for (size_t i = 1; i < bytes; i++)
        head += static_cast<char>(length >> (8 * i - 4));
    return head + inside;
}

Aml Device(const Aml &name, const Aml &body, size_t bytes = 1) {
    return "\x5B\x82" + Package(name + body, bytes);
}

Aml Scope(const Aml &name, const Aml &body, size_t bytes = 2) {
    return "\x10" + Package(name + body, bytes);
}

Aml Adr(int slot) {
    return "\x08_ADR" + Bytes({0x0C, 0, 0, slot, 0});
}

const Aml kRootBsel = "\x08"
                      "BSEL" +
                      Bytes({0});
const Aml kBsel = "\x08"
                  "BSEL" +
                  Bytes({0x0A, 5});

struct Found {
    bool any;
    uint32_t address;
};

Found Around(const Aml &aml, const Aml &bsel = kBsel) {
    const auto *start = reinterpret_cast<const uint8_t *>(aml.data());
    Found found = {};
    found.any = AmlFunctionAround(start, start + aml.find(bsel), &found.address);
    return found;
}

TEST(Aml, ABridgeHasItsNumber) {
    const Found found = Around(Scope("PCI0", Device("S18_", Adr(3) + kBsel)));
    EXPECT_TRUE(found.any);
    EXPECT_EQ(found.address, 0x30000u);
}

TEST(Aml, ABridgeHasItsNumberAfterOtherThings) {
    const Aml method = "\x14" + Package("_S1D" + Bytes({0, 0xA4, 0}), 1);
    const Found found = Around(Device("S20_", Adr(4) + method + Device("S00_", Adr(0)) + kBsel, 2));
    EXPECT_TRUE(found.any);
    EXPECT_EQ(found.address, 0x40000u);
}

// QEMU 7.2: first thing in the scope. QEMU 10: devices of slots come before.
TEST(Aml, TheRootBusHasItsNumber) {
    EXPECT_FALSE(Around(Scope("PCI0", kRootBsel + Device("S20_", Adr(4))), kRootBsel).any);
}

TEST(Aml, Regression_ADeviceThatEndsBeforeTheNumberIsNotItsBridge) {
    const Aml before = Device("S0B_", Adr(1)) + Device("S20_", Adr(4));
    EXPECT_FALSE(Around(Scope("PCI0", before + kRootBsel + Device("S10_", Adr(2))), kRootBsel).any);
}

TEST(Aml, ADeviceWithoutAnAddressIsNoBridge) {
    EXPECT_FALSE(
        Around(Device("PCI0", "\x08_HID" + Bytes({0x0C, 0x41, 0xD0, 0x0A, 3}) + kBsel)).any);
}

TEST(Aml, LengthsOfPackages) {
    uint32_t bytes = 0;
    const uint8_t one[] = {0x3F}, two[] = {0x4F, 0xFF}, three[] = {0x81, 0x02, 0x03},
                  four[] = {0xC1, 0x02, 0x03, 0x04};
    EXPECT_EQ(AmlPackageLength(one, &bytes), 0x3Fu);
    EXPECT_EQ(bytes, 1u);
    EXPECT_EQ(AmlPackageLength(two, &bytes), 0xFFFu);
    EXPECT_EQ(bytes, 2u);
    EXPECT_EQ(AmlPackageLength(three, &bytes), 0x3021u);
    EXPECT_EQ(bytes, 3u);
    EXPECT_EQ(AmlPackageLength(four, &bytes), 0x403021u);
    EXPECT_EQ(bytes, 4u);
}

TEST(Aml, Numbers) {
    uint32_t value = 9;
    const uint8_t zero[] = {0}, byte[] = {0x0A, 0xFE}, word[] = {0x0B, 0x34, 0x12},
                  dword[] = {0x0C, 1, 2, 3, 4}, other[] = {0x0D};
    EXPECT_TRUE(AmlInteger(zero, &value));
    EXPECT_EQ(value, 0u);
    EXPECT_TRUE(AmlInteger(byte, &value));
    EXPECT_EQ(value, 0xFEu);
    EXPECT_TRUE(AmlInteger(word, &value));
    EXPECT_EQ(value, 0x1234u);
    EXPECT_TRUE(AmlInteger(dword, &value));
    EXPECT_EQ(value, 0x04030201u);
    EXPECT_FALSE(AmlInteger(other, &value));
}

} // namespace
