// SPDX-License-Identifier: MIT
//
// One PCI function of a qtest machine: configuration space, BARs as the
// firmware assigned them, interrupts, and the register table for the library.
#pragma once

#include <set>

#include "qtest_machine.h"

extern "C" {
#include "virtio_pci.h"
}

namespace qtest {

constexpr uint8_t MsixCapability = 0x11;
constexpr uint8_t VendorCapability = 0x09;

struct Bar {
    bool port = false;
    uint64_t address = 0;
    uint64_t length = 0;
};

class PciFunction {
  public:
    // Function `number` (from 0) of those on bus 0 with virtio's vendor id;
    // throws if there is none.
    explicit PciFunction(Machine &machine, unsigned number = 0);

    uint32_t configRead(uint16_t offset, int width);
    void configWrite(uint16_t offset, uint32_t value, int width);
    uint32_t access(char kind, uint8_t bar, uint32_t offset, int width, uint32_t value = 0);
    const Bar &bar(uint8_t number) const {
        return bars_[number];
    }
    // Offsets of the capabilities with this id, in the order of the list.
    std::vector<uint16_t> capabilities(uint8_t id);

    // MSI-X. `vectors` is the size of the table, 0 without the capability.
    // Enabled, message `i` is a 32-bit write of messageData(i) to a word of RAM.
    unsigned vectors() const {
        return vectors_;
    }
    void enableMsix(bool on);
    static uint32_t messageData(unsigned index) {
        return 0x56513700u + index;
    }
    // What has come on message `index` since the last call, 0: nothing.
    uint32_t takeMessage(unsigned index);
    // Those messages that have come, with the right data, since the last call;
    // throws where a word holds anything else.
    std::set<unsigned> takeMessages();

    // INTx: the line that the firmware says it is routed to.
    bool lineRaised();

    // Offsets of configuration space that the library has read.
    std::set<uint16_t> libraryReads;
    static const VIRTIO_PCI_IO *io();

  private:
    void findBars();

    Machine &machine_;
    uint8_t slot_ = 0, line_ = 0;
    uint16_t msix_ = 0; // capability
    unsigned vectors_ = 0;
    Bar bars_[6];
    uint64_t messages_ = 0;
};

} // namespace qtest
