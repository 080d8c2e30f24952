// SPDX-License-Identifier: MIT
//
// The registers of a virtio-pci device, legacy and modern (Virtio 1.2, 4.1.4), in memory.
// Written from the specification: nothing of virtio_pci_private.h.
#ifndef VQ7_LIBTEST_PCI_MODEL_H_
#define VQ7_LIBTEST_PCI_MODEL_H_

#include "libtest.h"

struct PciModel {
    enum : ULONG {
        Common = 0x000, // of BAR 4
        Isr = 0x100,
        Config = 0x200,
        Notify = 0x400,
        ModernBar = 0x1000,
        LegacyBar = 0x100,
        Queues = 3,
    };

    struct QueueRegisters {
        USHORT most, size, vector, enable, notify_off;
        ULONG64 desc, driver, device;
        ULONG pfn;
        ULONG notified;
    };

    // Makes it a transitional block device with both interfaces.
    void PowerUp();

    void Identify(USHORT device_id, UCHAR revision);
    // One capability (4.1.4) at `at`.
    void PutCapability(UCHAR at, UCHAR next, UCHAR type, UCHAR bar, ULONG offset, ULONG length);

    UCHAR cfg[256];
    ULONG64 bars[6];
    bool msix;

    ULONG64 features, accepted;
    ULONG feature_select, accept_select;
    UCHAR status, isr, generation;
    USHORT config_vector, select, num_queues;
    QueueRegisters queues[64];
    UCHAR config[64];

    // Faults.
    bool gone;            // all ones
    bool refuse_features; // FEATURES_OK does not stay
    bool refuse_vectors;
    bool refuse_size;
    bool restless;    // the configuration changes with each look
    ULONG slow_reset; // status reads until it is 0
    ULONG stalled;    // microseconds
    ULONG wrong;      // accesses that the specification doesn't know

    ULONG Read(UCHAR bar, ULONG offset, ULONG width);
    void Write(UCHAR bar, ULONG offset, ULONG width, ULONG value);

  private:
    ULONG ReadModern(ULONG offset, ULONG width);
    ULONG ReadCommon(ULONG offset, ULONG width);
    ULONG ReadLegacy(ULONG offset, ULONG width);
    void WriteModern(ULONG offset, ULONG width, ULONG value);
    void WriteLegacy(ULONG offset, ULONG width, ULONG value);
    ULONG ReadConfig(ULONG offset, ULONG width);
    void WriteConfig(ULONG offset, ULONG width, ULONG value);
    void SetStatus(UCHAR value);
    UCHAR Status();
    QueueRegisters *Selected();
};

extern const VIRTIO_PCI_IO ModelIo;

// A device's registers, and the library's view of it.
struct PciDevice {
    PciDevice() : model(1), pci(1) {
        if (model.at)
            model.at->PowerUp();
    }
    bool Ready() const {
        return model.at && pci.at;
    }
    NTSTATUS Init(VIRTIO_PCI_MODE mode, bool msix) {
        model.at->msix = msix;
        return VirtioPciInit(pci.at, &ModelIo, model.at, mode, msix);
    }
    Pool<PciModel> model;
    Pool<VIRTIO_PCI_DEVICE> pci;
};

#endif // VQ7_LIBTEST_PCI_MODEL_H_
