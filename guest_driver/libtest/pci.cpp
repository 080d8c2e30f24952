// SPDX-License-Identifier: MIT
//
// Both transports from reset to notification, with and without MSI-X, and their ends.
#include "pci_model.h"

static const USHORT NoVector = VIRTIO_PCI_NO_VECTOR;

static bool SetUpQueues(PciModel *m, VIRTIO_PCI_DEVICE *pci, bool modern, bool msix) {
    for (USHORT i = 0; i < PciModel::Queues; i++) {
        const ULONG64 desc = 0x100000ull * (i + 1);
        const ULONG64 avail = desc + 16 * 64, used = desc + PAGE_SIZE;
        const USHORT vector = msix ? i : NoVector;
        VIRTIO_PCI_REGION region;
        USHORT most;
        CHECK_STATUS(VirtioPciQueueMaxSize(pci, i, &most), STATUS_SUCCESS);
        CHECK_EQUAL(most, 64);
        CHECK_STATUS(VirtioPciGetNotifyRegion(pci, i, &region), STATUS_NOT_FOUND);
        VirtioPciNotify(pci, i);
        CHECK_EQUAL(m->queues[i].notified, 0);
        CHECK_STATUS(VirtioPciQueueSetup(pci, i, 64, desc, avail, used, vector), STATUS_SUCCESS);
        CHECK_STATUS(VirtioPciQueueSetup(pci, i, 64, desc, avail, used, vector),
                     STATUS_DEVICE_BUSY);
        CHECK_STATUS(VirtioPciGetNotifyRegion(pci, i, &region), STATUS_SUCCESS);
        CHECK_EQUAL(region.offset, modern ? PciModel::Notify + 4 * i : 16);
        CHECK_EQUAL(region.length, 2);
        VirtioPciNotify(pci, i);
        CHECK_EQUAL(m->queues[i].notified, 1);
        CHECK_EQUAL(m->queues[i].vector, vector);
        if (modern) {
            CHECK(m->queues[i].desc == desc && m->queues[i].driver == avail);
            CHECK(m->queues[i].device == used && m->queues[i].enable == 1);
        } else {
            CHECK_EQUAL(m->queues[i].pfn, desc / PAGE_SIZE);
        }
    }
    VirtioPciNotify(pci, 63); // not set up
    VirtioPciNotify(pci, 64); // none
    return true;
}

static bool Configuration(PciModel *m, VIRTIO_PCI_DEVICE *pci) {
    UCHAR out[8];
    static const ULONG lengths[] = {1, 2, 3, 4, 8};
    for (ULONG offset = 0; offset < 17; offset++)
        for (ULONG length : lengths) {
            RtlZeroMemory(out, sizeof(out));
            CHECK_STATUS(VirtioPciReadConfig(pci, offset, out, length), STATUS_SUCCESS);
            for (ULONG i = 0; i < length; i++) {
                CHECK_EQUAL(out[i], m->config[offset + i]);
                out[i] = (UCHAR)~out[i];
            }
            CHECK_STATUS(VirtioPciWriteConfig(pci, offset, out, length), STATUS_SUCCESS);
            CHECK(RtlCompareMemory(&m->config[offset], out, length) == length);
        }
    return true;
}

static bool Started(VIRTIO_PCI_MODE mode, bool msix) {
    PciDevice d;
    VIRTIO_PCI_REGION region;
    CHECK(d.Ready());
    PciModel *m = d.model.at;
    VIRTIO_PCI_DEVICE *pci = d.pci.at;
    const bool modern = mode != VirtioPciModeLegacy;
    CHECK_STATUS(d.Init(mode, msix), STATUS_SUCCESS);
    CHECK_EQUAL(pci->modern, modern);
    CHECK_EQUAL(pci->device_type, 2);
    ULONG regions = 0;
    while (VirtioPciGetRegion(pci, regions, &region) == STATUS_SUCCESS)
        regions++;
    CHECK_EQUAL(regions, 3);
    m->slow_reset = 5;
    m->status = 7;
    CHECK_STATUS(VirtioPciReset(pci, 10), STATUS_SUCCESS);
    CHECK(m->stalled >= 4000);
    // What the library has no code for is left out: NOTIFICATION_DATA here, bit 38, too.
    CHECK_STATUS(VirtioPciNegotiate(pci, ~0ull, 1ull << 29), STATUS_SUCCESS);
    CHECK_EQUAL(pci->driver_features, (modern ? 1ull << 32 : 0) | 3ull << 28 | 1);
    CHECK_EQUAL(m->accepted, pci->driver_features);
    CHECK_EQUAL(pci->num_queues, PciModel::Queues);
    if (msix) {
        CHECK_STATUS(VirtioPciSetConfigVector(pci, 1), STATUS_SUCCESS);
        CHECK_EQUAL(m->config_vector, 1);
    } else {
        CHECK_STATUS(VirtioPciSetConfigVector(pci, 1), STATUS_INVALID_PARAMETER);
        CHECK_STATUS(VirtioPciSetConfigVector(pci, NoVector), STATUS_SUCCESS);
    }
    if (!SetUpQueues(m, pci, modern, msix))
        return false;
    VirtioPciDriverOk(pci);
    CHECK_EQUAL(VirtioPciGetStatus(pci), modern ? 0xF : 0x7);
    m->isr = 3;
    CHECK_EQUAL(VirtioPciReadIsr(pci), 3);
    CHECK_EQUAL(VirtioPciReadIsr(pci), 0);
    if (!Configuration(m, pci))
        return false;
    VirtioPciFail(pci);
    CHECK((VirtioPciGetStatus(pci) & 0x80) != 0);
    CHECK_STATUS(VirtioPciReset(pci, 0), STATUS_SUCCESS);
    CHECK_STATUS(VirtioPciGetNotifyRegion(pci, 0, &region), STATUS_NOT_FOUND);
    CHECK_EQUAL(m->wrong, 0);
    return true;
}

static bool Transports() {
    for (int mode = VirtioPciModeAuto; mode <= VirtioPciModeModern; mode++)
        for (int msix = 0; msix < 2; msix++)
            if (!Started((VIRTIO_PCI_MODE)mode, msix != 0))
                return false;
    return true;
}

// A reset that takes too long, one of a device that is gone, a configuration that moves.
static bool Unwilling() {
    for (int mode = VirtioPciModeLegacy; mode <= VirtioPciModeModern; mode++) {
        PciDevice d;
        CHECK(d.Ready());
        PciModel *m = d.model.at;
        VIRTIO_PCI_DEVICE *pci = d.pci.at;
        ULONG64 value = 1;
        CHECK_STATUS(d.Init((VIRTIO_PCI_MODE)mode, true), STATUS_SUCCESS);
        m->status = 1;
        m->slow_reset = 100;
        CHECK_STATUS(VirtioPciReset(pci, 3), STATUS_IO_TIMEOUT);
        CHECK_EQUAL(m->stalled, 3000);
        m->slow_reset = 0;
        m->restless = true;
        CHECK_STATUS(VirtioPciReadConfig(pci, 0, &value, 8), STATUS_DEVICE_DATA_ERROR);
        CHECK_EQUAL(value, 0);
        m->gone = true;
        CHECK_STATUS(VirtioPciReset(pci, 3), STATUS_DEVICE_DOES_NOT_EXIST);
        CHECK_STATUS(VirtioPciNegotiate(pci, 0, 0), STATUS_DEVICE_DOES_NOT_EXIST);
        CHECK_EQUAL(pci->num_queues, 0);
        m->gone = false;
        m->refuse_vectors = true;
        CHECK_STATUS(VirtioPciSetConfigVector(pci, 0), STATUS_INSUFFICIENT_RESOURCES);
        CHECK_STATUS(VirtioPciReset(pci, 3), STATUS_SUCCESS);
        CHECK_STATUS(VirtioPciNegotiate(pci, 0, 0), STATUS_SUCCESS);
        CHECK_STATUS(VirtioPciQueueSetup(pci, 0, 64, 0x1000, 0x1400, 0x2000, 1),
                     STATUS_INSUFFICIENT_RESOURCES);
        CHECK_STATUS(VirtioPciNegotiate(pci, 0, 2), STATUS_NOT_SUPPORTED);
        CHECK((m->status & 0x80) != 0);
        CHECK_STATUS(VirtioPciQueueMaxSize(pci, 0, (UINT16 *)&value), STATUS_NOT_FOUND);
        m->refuse_features = true;
        CHECK_STATUS(VirtioPciReset(pci, 3), STATUS_SUCCESS);
        CHECK_STATUS(VirtioPciNegotiate(pci, 0, 0),
                     mode == VirtioPciModeLegacy ? STATUS_SUCCESS : STATUS_NOT_SUPPORTED);
    }
    return true;
}

const LibCase PciCases[] = {
    {"transports", Transports}, {"unwilling", Unwilling}, {nullptr, nullptr}};
