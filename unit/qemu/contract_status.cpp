// SPDX-License-Identifier: MIT
//
// The contract: device status and features (2.1, 2.2, 3.1.1, 6).
#include "contract.h"

namespace qtest {

namespace {

constexpr UINT64 Reserved = VIRTIO_FEATURE(50) - VIRTIO_FEATURE(41); // bits 41 to 49

UINT64 bit(unsigned number) {
    return VIRTIO_FEATURE(number);
}

void resetReadsZero(Contract &it) {
    it.start();
    EXPECT_NE(it.registers().status(), 0);
    it.registers().setStatus(0);
    EXPECT_EQ(it.registers().status(), 0);
    EXPECT_EQ(VirtioPciReset(&it.device().pci, 0), STATUS_SUCCESS) << "without waiting";
}

void statusBits(Contract &it) {
    Registers registers = it.registers();
    UINT8 status = 0;
    registers.setStatus(0);
    for (UINT8 next : {VIRTIO_STATUS_ACKNOWLEDGE, VIRTIO_STATUS_DRIVER, VIRTIO_STATUS_FEATURES_OK,
                       VIRTIO_STATUS_DRIVER_OK, VIRTIO_STATUS_FAILED}) {
        if (next == VIRTIO_STATUS_FEATURES_OK) {
            if (!it.modern()) {
                continue;
            }
            registers.setDriverFeatures(Version1);
        }
        status |= next;
        registers.setStatus(status);
        EXPECT_EQ(registers.status(), status);
    }
}

void offerIsStable(Contract &it) {
    const UINT64 offered = it.registers().deviceFeatures();
    EXPECT_EQ(it.registers().deviceFeatures(), offered);
    it.start();
    EXPECT_EQ(it.registers().deviceFeatures(), offered);
    EXPECT_EQ(it.device().pci.device_features, offered);
    it.registers().setStatus(0);
    EXPECT_EQ(it.registers().deviceFeatures(), offered);
}

// QEMU keeps FEATURES_OK whatever was written, and ignores what it didn't
// offer; other devices refuse (3.1.1).
void onlyWhatIsOffered(Contract &it) {
    Registers registers = it.registers();
    const UINT64 offered = registers.deviceFeatures();
    VIRTIO_PCI_DEVICE &pci = it.device().pci;
    EXPECT_EQ(VirtioPciReset(&pci, 1000), STATUS_SUCCESS);
    EXPECT_EQ(VirtioPciNegotiate(&pci, ~UINT64(0), 0), STATUS_SUCCESS);
    EXPECT_EQ(registers.driverFeatures() & ~offered, 0u) << "the library wrote more than offered";
    EXPECT_EQ(registers.driverFeatures(), pci.driver_features);

    const UINT64 never = (it.modern() ? Reserved : bit(31)) & ~offered;
    ASSERT_NE(never, 0u);
    registers.setStatus(0);
    registers.setStatus(0x03);
    registers.setDriverFeatures((it.modern() ? Version1 : 0) | never);
    if (it.modern()) {
        registers.setStatus(0x0B);
        const UINT8 status = registers.status();
        EXPECT_TRUE(status == 0x03 || status == 0x0B) << int(status);
    } else {
        EXPECT_EQ(registers.driverFeatures(), 0u);
    }
    it.start().rounds(1);
}

// QEMU has it on devices without a legacy interface alone: a driver of that
// couldn't accept it.
bool canInsist(Contract &it) {
    if (it.transport() != Transport::Modern) {
        EXPECT_EQ(it.registers().deviceFeatures() & bit(VIRTIO_F_ACCESS_PLATFORM_BIT), 0u);
        return false;
    }
    it.useOther(",iommu_platform=on");
    return true;
}

void insists(Contract &it) {
    if (!canInsist(it)) {
        return;
    }
    VIRTIO_PCI_DEVICE &pci = it.device().pci;
    EXPECT_EQ(VirtioPciReset(&pci, 1000), STATUS_SUCCESS);
    EXPECT_EQ(VirtioPciNegotiate(&pci, EventIdx | Indirect, 0), STATUS_NOT_SUPPORTED);
    EXPECT_NE(pci.device_features & bit(VIRTIO_F_ACCESS_PLATFORM_BIT), 0u);
    EXPECT_EQ(it.registers().status() & VIRTIO_STATUS_FEATURES_OK, 0);
    EXPECT_NE(it.registers().status() & VIRTIO_STATUS_FAILED, 0);
    EXPECT_EQ(pci.driver_features, 0u);
}

void version1(Contract &it) {
    EXPECT_EQ((it.registers().deviceFeatures() & Version1) != 0, it.modern());
    it.start();
    EXPECT_EQ((it.registers().driverFeatures() & Version1) != 0, it.modern());
}

// Offered, taken, and not needed.
void optional(Contract &it, UINT64 feature) {
    EXPECT_NE(it.registers().deviceFeatures() & feature, 0u);
    for (UINT64 wanted : {UINT64(0), feature}) {
        Exchange &exchange = it.start(wanted);
        EXPECT_EQ(it.registers().driverFeatures() & feature, wanted);
        exchange.rounds(2);
    }
}

void accessPlatform(Contract &it) {
    if (!canInsist(it)) {
        return;
    }
    Exchange &exchange = it.start(bit(VIRTIO_F_ACCESS_PLATFORM_BIT));
    EXPECT_TRUE(it.device().negotiated(VIRTIO_F_ACCESS_PLATFORM_BIT));
    exchange.rounds(2);
}

void neverAccepted(Contract &it) {
    it.useOther(",packed=on");
    VIRTIO_PCI_DEVICE &pci = it.device().pci;
    EXPECT_EQ(VirtioPciReset(&pci, 1000), STATUS_SUCCESS);
    EXPECT_NE(it.registers().deviceFeatures() & bit(34), 0u) << "QEMU offers packed rings";
    EXPECT_EQ(VirtioPciNegotiate(&pci, ~UINT64(0), 0), STATUS_SUCCESS);
    const UINT64 unknown = bit(34) | bit(35) | (bit(50) - bit(37));
    EXPECT_EQ(it.registers().driverFeatures() & unknown, 0u);
    EXPECT_EQ(VirtioPciReset(&pci, 1000), STATUS_SUCCESS);
    EXPECT_EQ(VirtioPciNegotiate(&pci, 0, bit(34)), STATUS_NOT_SUPPORTED);
}

void legacyOnly(Contract &it) {
    EXPECT_EQ(it.registers().deviceFeatures() & (bit(24) | bit(27)), 0u);
}

} // namespace

std::vector<Row> statusRows() {
    return {
        {"C-STS-1", Of::AnyDevice, resetReadsZero},
        {"C-STS-2", Of::AnyDevice, statusBits},
        {"C-STS-3", Of::AnyDevice, offerIsStable},
        {"C-STS-4", Of::AnyDevice, onlyWhatIsOffered},
        {"C-STS-5", Of::ModernInterface, insists},
        {"C-FEA-1", Of::AnyDevice, [](Contract &it) { optional(it, Indirect); }},
        {"C-FEA-2", Of::AnyDevice, [](Contract &it) { optional(it, EventIdx); }},
        {"C-FEA-3", Of::AnyDevice, version1},
        {"C-FEA-4", Of::ModernInterface, accessPlatform},
        {"C-FEA-5", Of::ModernInterface, neverAccepted},
        {"C-FEA-6", Of::ModernInterface, legacyOnly},
    };
}

} // namespace qtest
