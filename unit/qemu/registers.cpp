// SPDX-License-Identifier: MIT
#include "registers.h"

#include <stdexcept>

namespace qtest {

std::vector<VirtioCapability> virtioCapabilities(PciFunction &f) {
    std::vector<VirtioCapability> all;
    for (uint16_t at : f.capabilities(VendorCapability)) {
        auto byte = [&](int i) { return uint8_t(f.configRead(uint16_t(at + i), 1)); };
        auto word = [&](int i) { return f.configRead(uint16_t(at + i), 4); };
        VirtioCapability c{at, byte(1), byte(2), byte(3), byte(4), word(8), word(12), 0};
        c.multiplier = c.type == CapNotify ? word(16) : 0;
        all.push_back(c);
    }
    return all;
}

Registers::Registers(PciFunction &function, bool modern, bool msix)
    : function_(function), modern_(modern), msix_(msix) {
    if (!modern) {
        return;
    }
    for (const auto &c : virtioCapabilities(function)) {
        VirtioCapability *mine = c.type == CapCommon   ? &common_
                                 : c.type == CapIsr    ? &isr_
                                 : c.type == CapDevice ? &device_
                                                       : nullptr;
        if (mine && mine->size == 0) {
            *mine = c;
        }
    }
    if (common_.size == 0 || isr_.size == 0) {
        throw std::runtime_error("no modern interface to look at");
    }
}

uint32_t Registers::get(uint32_t modern, uint32_t legacy, int width) {
    return modern_ ? function_.access('r', common_.bar, common_.offset + modern, width)
                   : function_.access('r', 0, legacy, width);
}

void Registers::set(uint32_t modern, uint32_t legacy, int width, uint32_t value) {
    if (modern_) {
        function_.access('w', common_.bar, common_.offset + modern, width, value);
    } else {
        function_.access('w', 0, legacy, width, value);
    }
}

uint8_t Registers::status() {
    return uint8_t(get(0x14, 0x12, 1));
}

void Registers::setStatus(uint8_t value) {
    set(0x14, 0x12, 1, value);
}

uint32_t Registers::featureWord(uint32_t select) {
    set(0x00, 0, 4, select);
    return get(0x04, 0, 4);
}

uint64_t Registers::deviceFeatures() {
    if (!modern_) {
        return get(0, 0x00, 4);
    }
    uint64_t low = featureWord(0);
    return uint64_t(featureWord(1)) << 32 | low;
}

uint64_t Registers::driverFeatures() {
    if (!modern_) {
        return get(0, 0x04, 4);
    }
    set(0x08, 0, 4, 0);
    uint64_t low = get(0x0C, 0, 4);
    set(0x08, 0, 4, 1);
    return uint64_t(get(0x0C, 0, 4)) << 32 | low;
}

void Registers::setDriverFeatures(uint64_t features) {
    if (!modern_) {
        set(0, 0x04, 4, uint32_t(features));
        return;
    }
    for (uint32_t i = 0; i < 2; i++) {
        set(0x08, 0, 4, i);
        set(0x0C, 0, 4, uint32_t(features >> (32 * i)));
    }
}

QueueRegisters Registers::queue(uint16_t index) {
    QueueRegisters q;
    set(0x16, 0x0E, 2, index);
    q.size = uint16_t(get(0x18, 0x0C, 2));
    if (modern_ || msix_) {
        q.vector = uint16_t(get(0x1A, 0x16, 2));
    }
    if (!modern_) {
        q.ring = get(0, 0x08, 4);
        return q;
    }
    q.ring = get(0x1C, 0, 2);
    q.notifyOffset = uint16_t(get(0x1E, 0, 2));
    auto address = [&](uint32_t at) { return uint64_t(get(at + 4, 0, 4)) << 32 | get(at, 0, 4); };
    q.desc = address(0x20);
    q.driver = address(0x28);
    q.device = address(0x30);
    return q;
}

void Registers::setQueueSize(uint16_t index, uint16_t size) {
    set(0x16, 0, 2, index);
    set(0x18, 0, 2, size);
}

void Registers::setQueueVector(uint16_t index, uint16_t vector) {
    set(0x16, 0x0E, 2, index);
    set(0x1A, 0x16, 2, vector);
}

uint16_t Registers::queueCount() {
    return uint16_t(get(0x12, 0, 2));
}

uint16_t Registers::configVector() {
    return uint16_t(get(0x10, 0x14, 2));
}

void Registers::setConfigVector(uint16_t vector) {
    set(0x10, 0x14, 2, vector);
}

uint8_t Registers::generation() {
    return uint8_t(get(0x15, 0, 1));
}

uint8_t Registers::isr() {
    return uint8_t(modern_ ? function_.access('r', isr_.bar, isr_.offset, 1)
                           : function_.access('r', 0, 0x13, 1));
}

uint32_t Registers::config(uint32_t offset, int width) {
    return modern_ ? function_.access('r', device_.bar, device_.offset + offset, width)
                   : function_.access('r', 0, (msix_ ? 0x18 : 0x14) + offset, width);
}

} // namespace qtest
