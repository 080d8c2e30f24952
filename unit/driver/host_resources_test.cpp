// SPDX-License-Identifier: MIT
//
// The resources that the driver is given, on the host: BARs, lines, messages.
#include "host/machine.h"

using namespace vq7::host;

namespace {

Options With(int messages) {
    Options options;
    options.messages = messages;
    return options;
}

TEST(Resources, NoInterrupt) {
    Machine machine;
    machine.framework.raw.pop_back();
    machine.framework.translated.pop_back();
    EXPECT_EQ(machine.Start(), STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_TRUE(machine.kernel.Logged("no interrupt"));
    machine.Remove();
}

TEST(Resources, ABarTwice) {
    Machine machine;
    machine.framework.raw.insert(machine.framework.raw.begin(), machine.framework.raw[0]);
    machine.framework.translated = machine.framework.raw;
    EXPECT_EQ(machine.Start(), STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_TRUE(machine.kernel.Logged("BAR 4 appears twice"));
    EXPECT_FALSE(machine.kernel.Logged("no interrupt")) << "one reason is enough";
    machine.Remove();
}

TEST(Resources, RawOnesAreMissing) {
    Machine machine;
    machine.framework.raw.pop_back();
    EXPECT_EQ(machine.Start(), STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_FALSE(machine.kernel.Logged("no interrupt"));
    machine.Remove();
}

// The revision, the subsystem's vendor and number, the base address registers.
TEST(Resources, ConfigurationSpaceThatCannotBeRead) {
    for (unsigned at : {0x08, 0x2C, 0x2E, 0x10}) {
        Machine machine;
        machine.framework.unreadable = at;
        EXPECT_EQ(machine.Start(), STATUS_DEVICE_CONFIGURATION_ERROR) << at;
        EXPECT_TRUE(machine.kernel.Logged(at == 0x10 ? "cannot read the base address registers"
                                                     : "cannot read configuration space"));
        EXPECT_FALSE(machine.kernel.Logged("no interrupt"));
        machine.framework.unreadable = ~0u;
        machine.Remove();
    }
}

TEST(Resources, OneThatIsNoBarIsLeftAlone) {
    Machine machine;
    CM_PARTIAL_RESOURCE_DESCRIPTOR other = machine.framework.raw[0];
    other.u.Memory.Start.QuadPart = 0xA0000;
    machine.framework.raw.insert(machine.framework.raw.begin(), other);
    other = machine.framework.raw[1];
    other.Type = 200; // of no kind that a driver knows, whatever is in it
    machine.framework.raw.push_back(other);
    machine.framework.translated = machine.framework.raw;
    EXPECT_EQ(machine.Start(), STATUS_SUCCESS);
    EXPECT_TRUE(machine.kernel.Logged("0x00000000000a0000 belongs to no BAR"));
    EXPECT_EQ(machine.kernel.mappings.count(0xA0000), 0u);
    machine.Remove();
}

TEST(Resources, MoreMessagesThanAreUsed) {
    Machine machine(With(12));
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    EXPECT_EQ(machine.Info().vectors, machine.framework.interrupts.size());
    EXPECT_EQ(machine.pci.queues[0].vector, 1);
    machine.Remove();
}

TEST(Resources, AsManyMessagesAsThereAre) {
    for (int messages = 1; messages <= 8; messages++) {
        Machine machine(With(messages));
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
        EXPECT_EQ(machine.Info().vectors, unsigned(messages));
        machine.Remove();
    }
}

TEST(Resources, MoreLinesThanOne) {
    Machine machine;
    machine.framework.raw.push_back(machine.framework.raw.back());
    machine.framework.translated = machine.framework.raw;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    EXPECT_EQ(machine.Info().vectors, 1u);
    machine.Remove();
}

TEST(Resources, MessagesOfADeviceWhoseMsixIsOff) {
    Machine machine(With(2));
    machine.framework.keeps_msix_off = true;
    EXPECT_EQ(machine.Start(), STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_TRUE(machine.kernel.Logged("MSI-X is off, but the interrupts are messages"));
    machine.Remove();
}

TEST(Resources, ALineOfADeviceWhoseMsixIsOn) {
    Machine machine(With(2));
    machine.framework.messages = 0;
    machine.pci.cfg[Framework::kMsixAt + 3] |= 0x80;
    EXPECT_EQ(machine.Start(), STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_TRUE(machine.kernel.Logged("MSI-X is on, but the interrupts are lines"));
    machine.Remove();
}

// The two low bits of a capability's address are reserved (PCI Local Bus 3.0, 6.7).
TEST(Resources, MsixBehindOtherCapabilities) {
    Options options = With(2);
    options.modern = false;
    options.legacy = true;
    Machine machine(options);
    machine.pci.cfg[0x34] = 0x43;
    machine.pci.cfg[0x40] = 0x01;
    machine.pci.cfg[0x41] = 0x51;
    machine.pci.cfg[0x50] = 0x05;
    machine.pci.cfg[0x51] = Framework::kMsixAt + 2;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    EXPECT_EQ(machine.Info().interrupt_mode, unsigned(VQ7_INTERRUPT_MESSAGE));
    machine.Remove();
}

} // namespace
