// SPDX-License-Identifier: MIT
//
// Devices that are none, capability lists that are malformed (Virtio 1.2, 4.1.4), and calls
// that make no sense.
#include "pci_model.h"

static const USHORT NoVector = VIRTIO_PCI_NO_VECTOR;

static bool BadArguments() {
    PciDevice d;
    CHECK(d.Ready());
    VIRTIO_PCI_DEVICE *pci = d.pci.at;
    const NTSTATUS bad = STATUS_INVALID_PARAMETER;
    CHECK_STATUS(VirtioPciInit(nullptr, &ModelIo, d.model.at, VirtioPciModeAuto, FALSE), bad);
    CHECK_STATUS(VirtioPciInit(pci, nullptr, d.model.at, VirtioPciModeAuto, FALSE), bad);
    CHECK_STATUS(VirtioPciInit(pci, &ModelIo, d.model.at, (VIRTIO_PCI_MODE)3, FALSE), bad);
    for (SIZE_T hole = 0; hole < sizeof(ModelIo) / sizeof(PVOID); hole++) {
        VIRTIO_PCI_IO io = ModelIo;
        ((PVOID *)&io)[hole] = nullptr;
        CHECK_STATUS(VirtioPciInit(pci, &io, d.model.at, VirtioPciModeAuto, FALSE), bad);
    }
    return true;
}

// After an Init that failed, everything is refused and nothing touched.
static bool BeforeInit() {
    PciDevice d;
    CHECK(d.Ready());
    VIRTIO_PCI_DEVICE *pci = d.pci.at;
    d.model.at->cfg[0] = 0; // another vendor
    CHECK_STATUS(d.Init(VirtioPciModeAuto, true), STATUS_NOT_SUPPORTED);
    const NTSTATUS state = STATUS_INVALID_DEVICE_STATE;
    VIRTIO_PCI_REGION region;
    USHORT size = 9;
    ULONG value = 5;
    CHECK_STATUS(VirtioPciGetRegion(pci, 0, &region), state);
    CHECK_STATUS(VirtioPciGetNotifyRegion(pci, 0, &region), state);
    CHECK_STATUS(VirtioPciReset(pci, 1), state);
    CHECK_STATUS(VirtioPciNegotiate(pci, 0, 0), state);
    CHECK_STATUS(VirtioPciSetConfigVector(pci, 0), state);
    CHECK_STATUS(VirtioPciQueueMaxSize(pci, 0, &size), STATUS_NOT_FOUND);
    CHECK_EQUAL(size, 0);
    CHECK_STATUS(VirtioPciQueueSetup(pci, 0, 64, 0x1000, 0x1400, 0x2000, 0), STATUS_NOT_FOUND);
    VirtioPciDriverOk(pci);
    VirtioPciFail(pci);
    VirtioPciNotify(pci, 0);
    CHECK_EQUAL(VirtioPciGetStatus(pci), 0);
    CHECK_EQUAL(VirtioPciReadIsr(pci), 0);
    CHECK_STATUS(VirtioPciReadConfig(pci, 0, &value, 4), STATUS_BUFFER_OVERFLOW);
    CHECK_STATUS(VirtioPciWriteConfig(pci, 0, &value, 4), STATUS_BUFFER_OVERFLOW);
    CHECK_EQUAL(d.model.at->status, 0);
    return true;
}

static bool OtherDevices() {
    static const struct {
        USHORT id;
        UCHAR revision;
        VIRTIO_PCI_MODE mode;
        NTSTATUS status;
    } rows[] = {
        {0x0FFF, 0, VirtioPciModeAuto, STATUS_NOT_SUPPORTED},
        {0x1080, 0, VirtioPciModeAuto, STATUS_NOT_SUPPORTED},
        {0x1042, 1, VirtioPciModeAuto, STATUS_SUCCESS},
        {0x1042, 1, VirtioPciModeLegacy, STATUS_NOT_FOUND},
        {0x1001, 1, VirtioPciModeLegacy, STATUS_NOT_FOUND},
        {0x103F, 0, VirtioPciModeLegacy, STATUS_SUCCESS},
    };
    for (const auto &row : rows) {
        PciDevice d;
        CHECK(d.Ready());
        d.model.at->Identify(row.id, row.revision);
        CHECK_STATUS(d.Init(row.mode, false), row.status);
        if (row.id == 0x1042 && NT_SUCCESS(row.status))
            CHECK_EQUAL(d.pci.at->device_type, 2);
    }
    PciDevice small;
    CHECK(small.Ready());
    small.model.at->bars[0] = 23;
    CHECK_STATUS(small.Init(VirtioPciModeLegacy, true), STATUS_NOT_FOUND);
    small.model.at->bars[0] = 0x10000; // more than any configuration
    CHECK_STATUS(small.Init(VirtioPciModeLegacy, true), STATUS_SUCCESS);
    CHECK_EQUAL(small.pci.at->config.length, 0x1000);
    return true;
}

// Each changes one byte of the list; modern alone refuses, auto takes the legacy interface.
static const struct {
    UCHAR at, value;
    NTSTATUS status;
} Malformed[] = {
    {0x06, 0x00, STATUS_NOT_FOUND},                  // no list
    {0x34, 0x00, STATUS_NOT_FOUND},                  // an empty one
    {0x34, 0x30, STATUS_DEVICE_CONFIGURATION_ERROR}, // into the header
    {0x55, 0x54, STATUS_DEVICE_CONFIGURATION_ERROR}, // a loop
    {0x42, 0x0F, STATUS_DEVICE_CONFIGURATION_ERROR}, // shorter than it is
    {0x56, 0x10, STATUS_DEVICE_CONFIGURATION_ERROR}, // notify without its multiplier
    {0x42, 0xFF, STATUS_DEVICE_CONFIGURATION_ERROR}, // beyond the space
    {0x44, 0x06, STATUS_NOT_FOUND},                  // a reserved BAR
    {0x44, 0x03, STATUS_NOT_FOUND},                  // one that is not there
    {0x48, 0x02, STATUS_DEVICE_CONFIGURATION_ERROR}, // misaligned
    {0x4A, 0x01, STATUS_DEVICE_CONFIGURATION_ERROR}, // behind the end of its BAR
    {0x4C, 0x10, STATUS_DEVICE_CONFIGURATION_ERROR}, // too short
    {0x4E, 0x01, STATUS_DEVICE_CONFIGURATION_ERROR}, // longer than its BAR
    {0x60, 0x00, STATUS_DEVICE_CONFIGURATION_ERROR}, // notify of 256 bytes: 0 (see 0x61)
    {0x64, 0x03, STATUS_DEVICE_CONFIGURATION_ERROR}, // multiplier 3
    {0x64, 0x01, STATUS_DEVICE_CONFIGURATION_ERROR}, // and 1
    {0x6B, 0x05, STATUS_NOT_FOUND},                  // no ISR structure
    {0x84, 0x00, STATUS_DEVICE_CONFIGURATION_ERROR}, // a configuration of no bytes
    {0x40, 0x05, STATUS_NOT_FOUND},                  // another capability
};

static bool CapabilityLists() {
    for (const auto &row : Malformed) {
        PciDevice d;
        VIRTIO_PCI_REGION region;
        CHECK(d.Ready());
        d.model.at->cfg[row.at] = row.value;
        if (row.at == 0x60)
            d.model.at->cfg[0x61] = 0;
        if (d.Init(VirtioPciModeModern, false) != row.status) {
            DbgPrint("vq7lib: byte 0x%x as 0x%x\n", row.at, row.value);
            CHECK_STATUS(d.Init(VirtioPciModeModern, false), row.status);
        }
        CHECK_STATUS(VirtioPciGetRegion(d.pci.at, 0, &region), STATUS_INVALID_DEVICE_STATE);
        CHECK_STATUS(d.Init(VirtioPciModeAuto, false), STATUS_SUCCESS);
        CHECK(!d.pci.at->modern);
        CHECK_STATUS(d.pci.at->modern_status, row.status);
        d.model.at->Identify(0x1042, 1); // without a legacy interface
        CHECK_STATUS(d.Init(VirtioPciModeAuto, false), row.status);
    }
    PciDevice no_config; // 4.1.4.6: optional
    UCHAR byte;
    CHECK(no_config.Ready());
    no_config.model.at->cfg[0x7B] = 5;
    CHECK_STATUS(no_config.Init(VirtioPciModeModern, false), STATUS_SUCCESS);
    CHECK_STATUS(VirtioPciReadConfig(no_config.pci.at, 0, &byte, 1), STATUS_BUFFER_OVERFLOW);
    return true;
}

// {queue, size, desc, avail, used, vector}, of a device without MSI-X; legacy and modern.
struct Setup {
    USHORT queue, size;
    ULONG64 desc, avail, used;
    USHORT vector;
    NTSTATUS legacy, modern;
};

static const Setup Setups[] = {
    {3, 64, 0x1000, 0x1400, 0x2000, NoVector, STATUS_NOT_FOUND, STATUS_NOT_FOUND},
    {0, 48, 0x1000, 0x1400, 0x2000, NoVector, STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER},
    {0, 0, 0x1000, 0x1400, 0x2000, NoVector, STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER},
    {0, 128, 0x1000, 0x1800, 0x2000, NoVector, STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER},
    {0, 64, 0, 0x1400, 0x2000, NoVector, STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER},
    {0, 64, 0x1000, 0, 0x2000, NoVector, STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER},
    {0, 64, 0x1000, 0x1400, 0, NoVector, STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER},
    {0, 64, 0x1000, 0x1400, 0x2000, 0, STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER},
    {0, 64, 0x1008, 0x1400, 0x2000, NoVector, STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER},
    {0, 64, 0x1000, 0x1401, 0x2000, NoVector, STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER},
    {0, 64, 0x1000, 0x1400, 0x2002, NoVector, STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER},
    {0, 32, 0x1000, 0x1200, 0x2000, NoVector, STATUS_INVALID_PARAMETER, STATUS_SUCCESS},
    {1, 64, 0x1010, 0x5000, 0x9000, NoVector, STATUS_INVALID_PARAMETER, STATUS_SUCCESS},
    {2, 64, 1ull << 44, (1ull << 44) + 0x400, (1ull << 44) + 0x1000, NoVector,
     STATUS_INVALID_PARAMETER, STATUS_SUCCESS}, // a page number of more than 32 bits
};

static bool QueueSetups() {
    for (int mode = VirtioPciModeLegacy; mode <= VirtioPciModeModern; mode++) {
        PciDevice d;
        CHECK(d.Ready());
        const bool legacy = mode == VirtioPciModeLegacy;
        CHECK_STATUS(d.Init((VIRTIO_PCI_MODE)mode, false), STATUS_SUCCESS);
        CHECK_STATUS(VirtioPciReset(d.pci.at, 1), STATUS_SUCCESS);
        CHECK_STATUS(VirtioPciNegotiate(d.pci.at, 0, 0), STATUS_SUCCESS);
        for (const Setup &s : Setups)
            CHECK_STATUS(
                VirtioPciQueueSetup(d.pci.at, s.queue, s.size, s.desc, s.avail, s.used, s.vector),
                legacy ? s.legacy : s.modern);
    }
    return true;
}

// What a device says of its queues.
static bool QueueRegisters() {
    for (int mode = VirtioPciModeLegacy; mode <= VirtioPciModeModern; mode++) {
        PciDevice d;
        USHORT size;
        CHECK(d.Ready());
        PciModel *m = d.model.at;
        const bool legacy = mode == VirtioPciModeLegacy;
        auto setup = [&d] {
            return VirtioPciQueueSetup(d.pci.at, 0, 64, 0x1000, 0x1400, 0x2000, NoVector);
        };
        auto set = [m](USHORT most) { m->queues[0].most = m->queues[0].size = most; };
        CHECK_STATUS(d.Init((VIRTIO_PCI_MODE)mode, false), STATUS_SUCCESS);
        m->queues[63].most = m->queues[63].size = 8; // legacy counts to the last there is
        m->num_queues = 200;
        CHECK_STATUS(VirtioPciNegotiate(d.pci.at, 0, 0), STATUS_SUCCESS);
        CHECK_EQUAL(d.pci.at->num_queues, 64);
        CHECK_STATUS(VirtioPciQueueMaxSize(d.pci.at, 40, &size), STATUS_NOT_FOUND);
        set(33000);
        CHECK_STATUS(setup(), STATUS_DEVICE_CONFIGURATION_ERROR);
        set(100);
        CHECK_STATUS(VirtioPciQueueMaxSize(d.pci.at, 0, &size),
                     legacy ? STATUS_DEVICE_CONFIGURATION_ERROR : STATUS_SUCCESS);
        CHECK_EQUAL(size, legacy ? 0 : 100);
        if (legacy)
            continue;
        m->refuse_size = true;
        CHECK_STATUS(setup(), STATUS_DEVICE_CONFIGURATION_ERROR);
        m->refuse_size = false;
        m->queues[0].notify_off = 64; // 256 bytes of registers, 4 each
        CHECK_STATUS(setup(), STATUS_DEVICE_CONFIGURATION_ERROR);
        m->queues[0].notify_off = 63;
        CHECK_STATUS(setup(), STATUS_SUCCESS);
    }
    return true;
}

// A legacy device without room for a configuration behind its registers.
static bool ConfigBounds() {
    PciDevice d;
    UCHAR bytes[8];
    CHECK(d.Ready());
    CHECK_STATUS(d.Init(VirtioPciModeModern, false), STATUS_SUCCESS);
    static const ULONG ranges[][2] = {{57, 8}, {64, 1}, {65, 0}, {~0u, 8}, {0, ~0u}};
    for (const auto &range : ranges) {
        CHECK_STATUS(VirtioPciReadConfig(d.pci.at, range[0], bytes, range[1]),
                     STATUS_BUFFER_OVERFLOW);
        CHECK_STATUS(VirtioPciWriteConfig(d.pci.at, range[0], bytes, range[1]),
                     STATUS_BUFFER_OVERFLOW);
    }
    CHECK_STATUS(VirtioPciReadConfig(d.pci.at, 56, bytes, 8), STATUS_SUCCESS);
    d.model.at->bars[0] = 20;
    VIRTIO_PCI_REGION region;
    CHECK_STATUS(d.Init(VirtioPciModeLegacy, false), STATUS_SUCCESS);
    CHECK_STATUS(VirtioPciGetRegion(d.pci.at, 2, &region), STATUS_NO_MORE_ENTRIES);
    CHECK_STATUS(VirtioPciReadConfig(d.pci.at, 0, bytes, 1), STATUS_BUFFER_OVERFLOW);
    return true;
}

const LibCase PciErrorCases[] = {
    {"pci-bad-arguments", BadArguments}, {"pci-before-init", BeforeInit},
    {"pci-other-devices", OtherDevices}, {"pci-capability-lists", CapabilityLists},
    {"pci-queue-setups", QueueSetups},   {"pci-queue-registers", QueueRegisters},
    {"pci-config-bounds", ConfigBounds}, {nullptr, nullptr},
};
