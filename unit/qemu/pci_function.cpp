// SPDX-License-Identifier: MIT
#include "pci_function.h"

#include <stdexcept>

namespace qtest {

PciFunction::PciFunction(Machine &machine) : machine_(machine) {
    for (slot_ = 0; slot_ < 32; slot_++) {
        if (configRead(0, 2) == 0x1AF4) {
            break;
        }
    }
    if (slot_ == 32) {
        throw std::runtime_error("no virtio device on PCI bus 0");
    }
    findBars();
    configWrite(4, configRead(4, 2) | 7, 2); // I/O, memory, bus master
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

uint16_t PciFunction::findCapability(uint8_t id) {
    uint8_t at = uint8_t(configRead(0x34, 1));
    for (int i = 0; at != 0 && i < 48; i++) {
        if (configRead(at, 1) == id) {
            return at;
        }
        at = uint8_t(configRead(uint16_t(at + 1), 1));
    }
    throw std::runtime_error("capability not found");
}

uint64_t PciFunction::enableMsix(unsigned count) {
    uint16_t cap = findCapability(0x11);
    uint32_t control = configRead(uint16_t(cap + 2), 2);
    uint32_t table = configRead(uint16_t(cap + 4), 4);
    if (count > (control & 0x7FF) + 1) {
        throw std::runtime_error("the device has fewer MSI-X vectors");
    }
    messages_ = machine_.allocate(4 * count, 64);
    for (unsigned i = 0; i < count; i++) {
        uint32_t entry = (table & ~7u) + 16 * i;
        access('w', uint8_t(table & 7), entry, 4, uint32_t(messages_ + 4 * i));
        access('w', uint8_t(table & 7), entry + 4, 4, 0);
        access('w', uint8_t(table & 7), entry + 8, 4, i + 1);
        access('w', uint8_t(table & 7), entry + 12, 4, 0);
    }
    configWrite(uint16_t(cap + 2), (control | 0x8000) & ~0x4000u, 2);
    return messages_;
}

bool PciFunction::takeMessage(unsigned index) {
    auto *word = reinterpret_cast<uint32_t *>(machine_.at(messages_ + 4 * index));
    return __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST) == index + 1;
}

uint32_t PciFunction::access(char kind, uint8_t bar, uint32_t offset, int width, uint32_t value) {
    const Bar &b = bars_[bar];
    if (offset + uint64_t(width) > b.length) {
        throw std::runtime_error("the library left BAR " + std::to_string(bar));
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
} // namespace

const VIRTIO_PCI_IO *PciFunction::io() {
    static const VIRTIO_PCI_IO table = {
        [](void *c, UINT16 at) -> UINT8 { return UINT8(self(c)->configRead(at, 1)); },
        [](void *c, UINT16 at) -> UINT16 { return UINT16(self(c)->configRead(at, 2)); },
        [](void *c, UINT16 at) -> UINT32 { return self(c)->configRead(at, 4); },
        [](void *c, UINT8 b) -> UINT64 { return self(c)->barLength(b); },
        [](void *c, UINT8 b, UINT32 at) -> UINT8 {
            return UINT8(self(c)->access('r', b, at, 1, 0));
        },
        [](void *c, UINT8 b, UINT32 at) -> UINT16 {
            return UINT16(self(c)->access('r', b, at, 2, 0));
        },
        [](void *c, UINT8 b, UINT32 at) -> UINT32 { return self(c)->access('r', b, at, 4, 0); },
        [](void *c, UINT8 b, UINT32 at, UINT8 v) { self(c)->access('w', b, at, 1, v); },
        [](void *c, UINT8 b, UINT32 at, UINT16 v) { self(c)->access('w', b, at, 2, v); },
        [](void *c, UINT8 b, UINT32 at, UINT32 v) { self(c)->access('w', b, at, 4, v); },
        [](void *, UINT32) { /* a register access takes long enough */ },
    };
    return &table;
}

} // namespace qtest
