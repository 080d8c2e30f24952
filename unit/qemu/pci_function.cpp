// SPDX-License-Identifier: MIT
#include "pci_function.h"

#include <stdexcept>

namespace qtest {

PciFunction::PciFunction(Machine &machine, unsigned number) : machine_(machine) {
    for (slot_ = 0; slot_ < 32; slot_++) {
        if (configRead(0, 2) == 0x1AF4 && number-- == 0) {
            break;
        }
    }
    if (slot_ == 32) {
        throw std::runtime_error("too few virtio devices on PCI bus 0");
    }
    findBars();
    configWrite(4, configRead(4, 2) | 7, 2); // I/O, memory, bus master
    line_ = uint8_t(configRead(0x3C, 1));
    auto caps = capabilities(MsixCapability);
    if (!caps.empty()) {
        msix_ = caps[0];
        vectors_ = (configRead(uint16_t(msix_ + 2), 2) & 0x7FF) + 1;
    }
}

uint32_t PciFunction::configRead(uint16_t offset, int width) {
    machine_.out(0xCF8, 0x80000000u | uint32_t(slot_) << 11 | (offset & 0xFC), 4);
    return machine_.in(uint16_t(0xCFC + (offset & 3)), width);
}

void PciFunction::configWrite(uint16_t offset, uint32_t value, int width) {
    machine_.out(0xCF8, 0x80000000u | uint32_t(slot_) << 11 | (offset & 0xFC), 4);
    machine_.out(uint16_t(0xCFC + (offset & 3)), value, width);
}

// Sizes by writing ones (PCI 3.0, 6.2.5.1), with decoding off meanwhile.
void PciFunction::findBars() {
    uint32_t command = configRead(4, 2);
    configWrite(4, command & ~3u, 2);
    for (uint8_t i = 0; i < 6; i++) {
        uint16_t at = uint16_t(0x10 + 4 * i);
        uint32_t low = configRead(at, 4);
        bool port = low & 1;
        bool wide = !port && (low & 6) == 4;
        configWrite(at, 0xFFFFFFFF, 4);
        uint64_t size = configRead(at, 4) & (port ? ~3u : ~15u);
        configWrite(at, low, 4);
        if (size == 0) {
            continue;
        }
        Bar &bar = bars_[i];
        bar.port = port;
        bar.address = low & (port ? ~3u : ~15u);
        bar.length = (~size & 0xFFFFFFFF) + 1;
        if (port) {
            bar.length &= 0xFFFF;
        }
        if (wide) {
            bar.address |= uint64_t(configRead(uint16_t(at + 4), 4)) << 32;
            i++;
        }
    }
    configWrite(4, command, 2);
}

std::vector<uint16_t> PciFunction::capabilities(uint8_t id) {
    std::vector<uint16_t> found;
    uint8_t at = uint8_t(configRead(0x34, 1));
    for (int i = 0; at != 0 && i < 48; i++) {
        if (configRead(at, 1) == id) {
            found.push_back(at);
        }
        at = uint8_t(configRead(uint16_t(at + 1), 1));
    }
    return found;
}

void PciFunction::enableMsix(bool on) {
    if (vectors_ == 0) {
        if (on) {
            throw std::runtime_error("the device has no MSI-X");
        }
        return;
    }
    uint16_t control = uint16_t(msix_ + 2);
    configWrite(control, on ? 0xC000 : 0, 2); // masked, while the table changes
    if (!on) {
        return;
    }
    if (messages_ == 0) {
        messages_ = machine_.allocate(4 * vectors_, 64);
        uint32_t table = configRead(uint16_t(msix_ + 4), 4);
        for (unsigned i = 0; i < vectors_; i++) {
            uint32_t entry = (table & ~7u) + 16 * i;
            access('w', uint8_t(table & 7), entry, 4, uint32_t(messages_ + 4 * i));
            access('w', uint8_t(table & 7), entry + 4, 4, 0);
            access('w', uint8_t(table & 7), entry + 8, 4, messageData(i));
            access('w', uint8_t(table & 7), entry + 12, 4, 0);
        }
    }
    memset(machine_.at(messages_), 0, 4 * vectors_);
    configWrite(control, 0x8000, 2);
}

uint32_t PciFunction::takeMessage(unsigned index) {
    auto *word = reinterpret_cast<uint32_t *>(machine_.at(messages_ + 4 * index));
    return __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST);
}

std::set<unsigned> PciFunction::takeMessages() {
    std::set<unsigned> come;
    for (unsigned i = 0; i < vectors_; i++) {
        uint32_t data = takeMessage(i);
        if (data != 0 && data != messageData(i)) {
            throw std::runtime_error("message " + std::to_string(i) + " has wrong data");
        }
        if (data != 0) {
            come.insert(i);
        }
    }
    return come;
}

bool PciFunction::lineRaised() {
    return machine_.line(line_);
}

uint32_t PciFunction::access(char kind, uint8_t bar, uint32_t offset, int width, uint32_t value) {
    const Bar &b = bars_[bar];
    if (offset + uint64_t(width) > b.length) {
        throw std::runtime_error("an access outside BAR " + std::to_string(bar));
    }
    uint64_t address = b.address + offset;
    if (kind == 'w') {
        if (b.port) {
            machine_.out(uint16_t(address), value, width);
        } else {
            machine_.write(address, value, width);
        }
        return 0;
    }
    return b.port ? machine_.in(uint16_t(address), width) : uint32_t(machine_.read(address, width));
}

namespace {
PciFunction *self(void *context) {
    return static_cast<PciFunction *>(context);
}

uint32_t readForLibrary(void *context, UINT16 at, int width) {
    for (int i = 0; i < width; i++) {
        self(context)->libraryReads.insert(uint16_t(at + i));
    }
    return self(context)->configRead(at, width);
}
} // namespace

const VIRTIO_PCI_IO *PciFunction::io() {
    static const VIRTIO_PCI_IO table = {
        [](void *c, UINT16 at) -> UINT8 { return UINT8(readForLibrary(c, at, 1)); },
        [](void *c, UINT16 at) -> UINT16 { return UINT16(readForLibrary(c, at, 2)); },
        [](void *c, UINT16 at) -> UINT32 { return readForLibrary(c, at, 4); },
        [](void *c, UINT8 b) -> UINT64 { return b < 6 ? self(c)->bar(b).length : 0; },
        [](void *c, UINT8 b, UINT32 at) -> UINT8 { return UINT8(self(c)->access('r', b, at, 1)); },
        [](void *c, UINT8 b, UINT32 at) -> UINT16 {
            return UINT16(self(c)->access('r', b, at, 2));
        },
        [](void *c, UINT8 b, UINT32 at) -> UINT32 { return self(c)->access('r', b, at, 4); },
        [](void *c, UINT8 b, UINT32 at, UINT8 v) { self(c)->access('w', b, at, 1, v); },
        [](void *c, UINT8 b, UINT32 at, UINT16 v) { self(c)->access('w', b, at, 2, v); },
        [](void *c, UINT8 b, UINT32 at, UINT32 v) { self(c)->access('w', b, at, 4, v); },
        [](void *, UINT32) { /* a register access takes long enough */ },
    };
    return &table;
}

} // namespace qtest
