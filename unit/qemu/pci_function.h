// SPDX-License-Identifier: MIT
//
// One PCI function of a qtest machine: configuration space, BARs as the
// firmware assigned them, MSI-X, and the register table for the library.
#pragma once

#include "qtest_machine.h"

extern "C" {
#include "virtio_pci.h"
}

namespace qtest {

class PciFunction {
  public:
    // The first function on bus 0 with virtio's vendor id; throws if there is none.
    explicit PciFunction(Machine &machine);

    uint32_t configRead(uint16_t offset, int width);
    void configWrite(uint16_t offset, uint32_t value, int width);
    uint32_t access(char kind, uint8_t bar, uint32_t offset, int width, uint32_t value);
    uint64_t barLength(uint8_t bar) const {
        return bar < 6 ? bars_[bar].length : 0;
    }

    // Enables MSI-X with `count` messages, each a 32-bit write to a word of RAM
    // (with the message's number + 1); returns the address of the first word.
    uint64_t enableMsix(unsigned count);
    // Whether message `index` has come since the last call.
    bool takeMessage(unsigned index);

    static const VIRTIO_PCI_IO *io();

  private:
    struct Bar {
        bool port = false;
        uint64_t address = 0;
        uint64_t length = 0;
    };
    void findBars();
    uint16_t findCapability(uint8_t id);

    Machine &machine_;
    uint8_t slot_ = 0;
    Bar bars_[6];
    uint64_t messages_ = 0;
};

} // namespace qtest
