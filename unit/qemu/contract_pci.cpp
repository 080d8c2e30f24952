// SPDX-License-Identifier: MIT
//
// The contract: PCI identity, interrupts, choosing a transport.
#include "contract.h"

namespace qtest {

namespace {

bool hasLegacy(Contract &it) {
    return it.transport() != Transport::Modern;
}

void vendor(Contract &it) {
    EXPECT_EQ(it.pci().configRead(0x00, 2), 0x1AF4u);
    EXPECT_EQ(it.device().pci.vendor_id, 0x1AF4);
}

void deviceId(Contract &it) {
    const UINT32 id = it.pci().configRead(0x02, 2);
    if (hasLegacy(it)) {
        EXPECT_GE(id, 0x1000u);
        EXPECT_LE(id, 0x103Fu);
        EXPECT_EQ(it.pci().configRead(0x2E, 2), deviceType(it.kind()));
    } else {
        EXPECT_EQ(id, 0x1040u + deviceType(it.kind()));
    }
    EXPECT_EQ(it.device().pci.pci_device_id, id);
    EXPECT_EQ(it.device().pci.device_type, deviceType(it.kind()));
}

void revision(Contract &it) {
    const UINT32 revision = it.pci().configRead(0x08, 1);
    if (hasLegacy(it)) {
        EXPECT_EQ(revision, 0u);
    } else {
        EXPECT_GE(revision, 1u) << "4.1.2.1";
    }
}

// Of the header: ids, status, revision, subsystem id, capability pointer.
void headerReads(Contract &it) {
    const std::set<uint16_t> allowed = {0x00, 0x01, 0x02, 0x03, 0x06, 0x07, 0x08, 0x2E, 0x2F, 0x34};
    EXPECT_FALSE(it.pci().libraryReads.empty());
    for (uint16_t at : it.pci().libraryReads) {
        EXPECT_TRUE(at >= 0x40 || allowed.count(at)) << "the library read " << at;
    }
}

void interrupt(Contract &it) {
    PciFunction &f = it.pci();
    EXPECT_GE(f.configRead(0x3D, 1), 1u) << "interrupt pin";
    EXPECT_LE(f.configRead(0x3D, 1), 4u);
    auto caps = f.capabilities(MsixCapability);
    ASSERT_EQ(caps.size(), 1u);
    EXPECT_GE(f.vectors(), 2u) << "one for the configuration, one for queues";
    const UINT32 table = f.configRead(uint16_t(caps[0] + 4), 4);
    const UINT32 pending = f.configRead(uint16_t(caps[0] + 8), 4);
    const uint64_t tableBytes = 16 * f.vectors(), pendingBytes = (f.vectors() + 63) / 64 * 8;
    ASSERT_LT(table & 7, 6u);
    ASSERT_LT(pending & 7, 6u);
    EXPECT_LE((table & ~7u) + tableBytes, f.bar(table & 7).length);
    EXPECT_LE((pending & ~7u) + pendingBytes, f.bar(pending & 7).length);
    if ((table & 7) == (pending & 7)) {
        EXPECT_TRUE((table & ~7u) + tableBytes <= (pending & ~7u) ||
                    (pending & ~7u) + pendingBytes <= (table & ~7u));
    }
}

void bars(Contract &it) {
    unsigned used = 0;
    for (uint8_t i = 0; i < 6; i++) {
        const Bar &bar = it.pci().bar(i);
        if (bar.length == 0) {
            continue;
        }
        used++;
        EXPECT_NE(bar.address, 0u) << "BAR " << int(i);
        EXPECT_EQ(bar.address % bar.length, 0u) << "BAR " << int(i);
    }
    EXPECT_GE(used, 1u);
    EXPECT_EQ(it.pci().configRead(0x04, 2) & 7, 7u) << "ports, memory, bus master";
}

NTSTATUS initialize(Contract &it, VIRTIO_PCI_MODE mode, bool *modern = nullptr) {
    VIRTIO_PCI_DEVICE device;
    NTSTATUS status = VirtioPciInit(&device, PciFunction::io(), &it.pci(), mode, TRUE);
    if (modern) {
        *modern = device.modern;
    }
    return status;
}

void automatic(Contract &it) {
    bool modern = false;
    EXPECT_EQ(initialize(it, VirtioPciModeAuto, &modern), STATUS_SUCCESS);
    EXPECT_EQ(modern, it.transport() != Transport::Legacy);
}

void notOffered(Contract &it) {
    EXPECT_EQ(initialize(it, VirtioPciModeLegacy),
              hasLegacy(it) ? STATUS_SUCCESS : STATUS_NOT_FOUND);
    EXPECT_EQ(initialize(it, VirtioPciModeModern),
              it.transport() != Transport::Legacy ? STATUS_SUCCESS : STATUS_NOT_FOUND);
}

} // namespace

std::vector<Row> pciRows() {
    return {
        {"C-PCI-1", Of::AnyDevice, vendor},    {"C-PCI-2", Of::AnyDevice, deviceId},
        {"C-PCI-3", Of::AnyDevice, revision},  {"C-PCI-4", Of::AnyDevice, headerReads},
        {"C-PCI-6", Of::AnyDevice, interrupt}, {"C-PCI-7", Of::AnyDevice, bars},
        {"C-TRN-1", Of::AnyDevice, automatic}, {"C-TRN-2", Of::AnyDevice, notOffered},
    };
}

} // namespace qtest
