// SPDX-License-Identifier: MIT
//
// The library's way to registers and configuration space (pci_io.cpp), on the host: what
// can't be read is all ones, as of a device that is gone, and MSI-X is found wherever it is.
#include "host/machine.h"

#include "driver.h"

using namespace vq7::host;

namespace {

void *ContextOf(Machine &machine) {
    return Vq7GetDevice(reinterpret_cast<WDFDEVICE>(machine.framework.device));
}

TEST(Registers, OfConfigurationSpaceThatCannotBeRead) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    for (int n = 0; n < 3; n++) {
        machine.kernel.fail_at = 0;
        void *dc = ContextOf(machine);
        const std::uint32_t value = n == 0   ? Vq7PciIo.ConfigRead8(dc, 0)
                                    : n == 1 ? Vq7PciIo.ConfigRead16(dc, 0)
                                             : Vq7PciIo.ConfigRead32(dc, 0);
        EXPECT_EQ(value, n == 0 ? 0xFF : n == 1 ? 0xFFFF : 0xFFFFFFFF);
    }
    EXPECT_EQ(Vq7PciIo.ConfigRead32(ContextOf(machine), 0), 0x10421AF4u);
    machine.Remove();
}

TEST(Registers, OfBarsThatAreNone) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    EXPECT_NE(Vq7PciIo.BarLength(ContextOf(machine), 4), 0u);
    EXPECT_EQ(Vq7PciIo.BarLength(ContextOf(machine), 3), 0u);
    static_cast<DEVICE_CONTEXT *>(ContextOf(machine))->bars[5].length = 0x80;
    EXPECT_EQ(Vq7PciIo.BarLength(ContextOf(machine), 5), 0x80u) << "the last one there can be";
    EXPECT_EQ(Vq7PciIo.BarLength(ContextOf(machine), 0xFF), 0u);
    VQ7_WINDOW &behind = static_cast<DEVICE_CONTEXT *>(ContextOf(machine))->windows[0];
    const VQ7_WINDOW kept = behind;
    memset(&behind, 0x77, sizeof(behind));
    EXPECT_EQ(Vq7PciIo.BarLength(ContextOf(machine), 6), 0u);
    behind = kept;
    machine.Remove();
}

TEST(Registers, ThatAreNotMapped) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    void *dc = ContextOf(machine);
    const std::uint32_t far = 0x7FFF0000;
    EXPECT_EQ(Vq7PciIo.Read8(dc, 4, far), 0xFF);
    EXPECT_EQ(Vq7PciIo.Read16(dc, 4, far), 0xFFFF);
    EXPECT_EQ(Vq7PciIo.Read32(dc, 4, far), 0xFFFFFFFF);
    Vq7PciIo.Write8(dc, 4, far, 1);
    Vq7PciIo.Write16(dc, 4, far, 1);
    Vq7PciIo.Write32(dc, 4, far, 1);
    machine.Remove(); // and the machine looks for accesses to what isn't mapped
}

// As many capabilities as configuration space has room for (48), MSI-X the last.
TEST(Msix, IsTheLastOfAll) {
    Options options;
    options.modern = false;
    options.legacy = true;
    options.messages = 2;
    Machine machine(options);
    std::uint8_t at = 0x40;
    machine.pci.cfg[0x34] = at;
    for (unsigned next = 0x44; next < 0x100; next += 4) {
        machine.pci.cfg[at] = 0x09; // vendor-specific
        if (next != Framework::kMsixAt) {
            machine.pci.cfg[at + 1] = std::uint8_t(next);
            at = std::uint8_t(next);
        }
    }
    machine.pci.cfg[at] = 0x09;
    machine.pci.cfg[at + 1] = Framework::kMsixAt;
    machine.pci.cfg[Framework::kMsixAt + 1] = 0;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    EXPECT_EQ(machine.Info().interrupt_mode, unsigned(VQ7_INTERRUPT_MESSAGE));
    machine.Remove();
}

// A device with a line whose MSI-X capability has this control word. It starts unless that is
// on.
NTSTATUS StartWith(std::uint16_t status, std::uint16_t control) {
    Options options;
    options.modern = false;
    options.legacy = true;
    Machine machine(options);
    machine.pci.putCfg(6, status, 2);
    machine.pci.cfg[0x34] = Framework::kMsixAt;
    machine.pci.cfg[Framework::kMsixAt] = 0x11;
    machine.pci.putCfg(Framework::kMsixAt + 2, control, 2);
    const NTSTATUS started = machine.Start();
    machine.Remove();
    return started;
}

// PCI 3.0, 6.2.3 and 6.8.2: bit 4 of the status register says that there is a list, bit 15 of
// the control word that MSI-X is enabled; none of the others does.
TEST(Msix, IsSaidByOneBitEach) {
    EXPECT_EQ(StartWith(0x0010, 0x8000), STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_EQ(StartWith(0xFFEF, 0x8000), STATUS_SUCCESS);
    EXPECT_EQ(StartWith(0x0010, 0x7FFF), STATUS_SUCCESS);
}

// A control word that can't be read, or of a device that has gone, doesn't say that MSI-X is
// enabled.
TEST(Msix, IsNotEnabledWhereItCannotBeRead) {
    Options options;
    options.messages = 2;
    Machine machine(options);
    machine.framework.unreadable = Framework::kMsixAt + 2;
    EXPECT_EQ(machine.Start(), STATUS_DEVICE_CONFIGURATION_ERROR);
    EXPECT_TRUE(machine.kernel.Logged("MSI-X is off, but the interrupts are messages"));
    machine.framework.unreadable = ~0u;
    machine.Remove();
}

} // namespace
