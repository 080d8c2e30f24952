// SPDX-License-Identifier: MIT
//
// A device's registers as the tests look at them, past the library: offsets
// are written here from Virtio 1.2, 4.1.4, so that the library's are checked.
#pragma once

#include "pci_function.h"

namespace qtest {

// struct virtio_pci_cap (4.1.4), as it stands in configuration space.
struct VirtioCapability {
    uint16_t at;
    uint8_t next, length, type, bar;
    uint32_t offset, size;
    uint32_t multiplier; // of the notify structure
};

constexpr uint8_t CapCommon = 1, CapNotify = 2, CapIsr = 3, CapDevice = 4;

// What the device says of a queue. `ring` is the modern enable flag, or the
// legacy page frame number.
struct QueueRegisters {
    uint16_t size = 0, vector = 0xFFFF, notifyOffset = 0;
    uint32_t ring = 0;
    uint64_t desc = 0, driver = 0, device = 0;
};

class Registers {
  public:
    Registers(PciFunction &function, bool modern, bool msix);

    uint8_t status();
    void setStatus(uint8_t value);
    uint64_t deviceFeatures();
    uint64_t driverFeatures();
    void setDriverFeatures(uint64_t features);
    uint32_t featureWord(uint32_t select); // modern
    QueueRegisters queue(uint16_t index);
    void setQueueSize(uint16_t index, uint16_t size); // modern
    void setQueueVector(uint16_t index, uint16_t vector);
    uint16_t queueCount(); // modern
    uint16_t configVector();
    void setConfigVector(uint16_t vector);
    uint8_t generation(); // modern
    uint8_t isr();
    uint32_t config(uint32_t offset, int width);

  private:
    uint32_t get(uint32_t modern, uint32_t legacy, int width);
    void set(uint32_t modern, uint32_t legacy, int width, uint32_t value);

    PciFunction &function_;
    bool modern_, msix_;
    VirtioCapability common_{}, isr_{}, device_{};
};

std::vector<VirtioCapability> virtioCapabilities(PciFunction &function);

} // namespace qtest
