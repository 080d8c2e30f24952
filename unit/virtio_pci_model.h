// SPDX-License-Identifier: MIT
//
// A virtio-pci device as the specification describes it, for tests of the
// transports: configuration space, BARs, registers and their rules. Offsets
// are written here from Virtio 1.2, 4.1.4, not taken from the library. Tests
// reach into the public fields to make the device misbehave.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

extern "C" {
#include "virtio_pci.h"
}

namespace model {

struct Queue {
    uint16_t maxSize = 256;
    uint16_t size = 256;
    uint16_t vector = 0xFFFF;
    uint16_t enabled = 0;
    uint16_t notifyOff = 0;
    uint64_t desc = 0, driver = 0, device = 0;
    uint32_t pfn = 0;
};

struct PciDevice {
    std::vector<uint8_t> cfg = std::vector<uint8_t>(256, 0);
    uint64_t barLength[6] = {0, 0, 0, 0, 0, 0};
    // Modern layout, used to build capabilities and to decode accesses.
    uint8_t modernBar = 4;
    uint32_t commonAt = 0x0000, isrAt = 0x1000, configAt = 0x2000, notifyAt = 0x3000;
    uint32_t multiplier = 4;

    uint64_t features = 0, driverFeatures = 0;
    uint32_t featureSelect = 0, driverSelect = 0;
    uint8_t status = 0, isr = 0, generation = 0;
    uint16_t configVector = 0xFFFF, queueSelect = 0, numQueues = 1;
    std::vector<Queue> queues = std::vector<Queue>(1);
    std::vector<uint8_t> config = std::vector<uint8_t>(64, 0);
    bool msix = false;

    // Faults.
    bool refuseFeaturesOk = false;
    bool refuseVectors = false;
    bool refuseSize = false;
    int resetReads = 0; // status reads that still give the old value
    bool gone = false;  // surprise removal: all ones
    std::function<void()> onConfigRead;

    // Observations.
    struct Access {
        char kind; // 'r' or 'w'
        uint8_t bar;
        uint32_t offset;
        int width;
        uint32_t value;
    };
    std::vector<Access> log;
    std::map<uint32_t, unsigned> cfgReads;               // by offset
    std::vector<std::pair<uint32_t, uint16_t>> notifies; // offset in BAR, value
    uint64_t stalled = 0;
    std::vector<std::string> violations; // accesses that the specification forbids
    uint8_t oldStatus = 0;

    void putCfg(uint32_t at, uint32_t value, int width) {
        for (int i = 0; i < width; i++) {
            cfg[at + i] = uint8_t(value >> (8 * i));
        }
    }
    uint32_t getCfg(uint32_t at, int width) {
        cfgReads[at]++;
        uint32_t v = 0;
        for (int i = 0; i < width; i++) {
            v |= at + i < 256 ? uint32_t(cfg[at + i]) << (8 * i) : 0;
            if (at + i >= 256) {
                violations.push_back("configuration space read past its end");
            }
        }
        return v;
    }

    // One struct virtio_pci_cap (4.1.4) at `at`.
    void putCap(uint8_t at, uint8_t next, uint8_t type, uint8_t bar, uint32_t offset,
                uint32_t length, uint8_t capLen = 0) {
        cfg[at] = 0x09;
        cfg[at + 1] = next;
        cfg[at + 2] = capLen ? capLen : (type == 2 ? 20 : 16);
        cfg[at + 3] = type;
        cfg[at + 4] = bar;
        putCfg(at + 8, offset, 4);
        putCfg(at + 12, length, 4);
        if (type == 2) {
            putCfg(at + 16, multiplier, 4);
        }
    }

    static PciDevice legacy(uint16_t type = 2) {
        PciDevice d;
        d.putCfg(0, 0x1AF4, 2);
        d.putCfg(2, 0x1001, 2);
        d.putCfg(0x2E, type, 2);
        d.barLength[0] = 128;
        return d;
    }

    // Non-transitional, laid out as in a common implementation.
    static PciDevice modern(uint16_t type = 2) {
        PciDevice d;
        d.putCfg(0, 0x1AF4, 2);
        d.putCfg(2, 0x1040 + type, 2);
        d.cfg[8] = 1;
        d.addModern();
        return d;
    }

    static PciDevice transitional(uint16_t type = 2) {
        PciDevice d = legacy(type);
        d.addModern();
        return d;
    }

    void addModern() {
        barLength[modernBar] = 0x4000;
        features |= uint64_t(1) << 32;
        putCfg(6, 0x0010, 2);
        cfg[0x34] = 0x40;
        putCap(0x40, 0x50, 1, modernBar, commonAt, 0x38);
        putCap(0x50, 0x60, 3, modernBar, isrAt, 1);
        putCap(0x60, 0x70, 4, modernBar, configAt, uint32_t(config.size()));
        putCap(0x70, 0x84, 2, modernBar, notifyAt, 0x1000);
        putCap(0x84, 0, 5, 0, 0, 0, 20);
    }

    Queue *selected() {
        return queueSelect < queues.size() ? &queues[queueSelect] : nullptr;
    }

    void setStatus(uint8_t value) {
        if (value == 0) {
            oldStatus = status;
            status = 0;
            driverFeatures = 0;
            configVector = 0xFFFF;
            for (auto &q : queues) {
                q.enabled = 0;
                q.pfn = 0;
                q.vector = 0xFFFF;
                q.size = q.maxSize;
            }
            return;
        }
        if ((value & status) != status) {
            violations.push_back("a status bit was cleared without reset (2.1.1)");
        }
        if ((value & 8) && refuseFeaturesOk) {
            value &= ~8;
        }
        status = value;
    }

    uint32_t readStatus() {
        if (resetReads > 0 && status == 0) {
            resetReads--;
            return oldStatus;
        }
        return status;
    }

    uint32_t configRead(uint32_t at, int width) {
        uint32_t v = 0;
        for (int i = 0; i < width; i++) {
            v |= uint32_t(at + i < config.size() ? config[at + i] : 0) << (8 * i);
        }
        if (onConfigRead) {
            onConfigRead();
        }
        return v;
    }

    uint32_t commonRead(uint32_t at) {
        Queue *q = selected();
        switch (at) {
        case 0:
            return featureSelect;
        case 4:
            return featureSelect < 2 ? uint32_t(features >> (32 * featureSelect)) : 0;
        case 16:
            return configVector;
        case 18:
            return numQueues;
        case 20:
            return readStatus();
        case 21:
            return generation;
        case 22:
            return queueSelect;
        case 24:
            return q ? (q->size) : 0;
        case 26:
            return q ? q->vector : 0xFFFF;
        case 28:
            return q ? q->enabled : 0;
        case 30:
            return q ? q->notifyOff : 0;
        default:
            violations.push_back("common read at " + std::to_string(at));
            return 0;
        }
    }

    void commonWrite(uint32_t at, uint32_t value) {
        Queue *q = selected();
        switch (at) {
        case 0:
            featureSelect = value;
            return;
        case 8:
            if (value > 1) {
                violations.push_back("driver_feature_select beyond 64 bits");
            }
            driverSelect = value;
            return;
        case 12:
            if (status & 8) {
                violations.push_back("features written after FEATURES_OK (3.1.1)");
            }
            driverFeatures = driverSelect ? (driverFeatures & 0xFFFFFFFF) | (uint64_t(value) << 32)
                                          : (driverFeatures & ~uint64_t(0xFFFFFFFF)) | value;
            return;
        case 16:
            configVector = refuseVectors ? 0xFFFF : uint16_t(value);
            return;
        case 20:
            setStatus(uint8_t(value));
            return;
        case 22:
            queueSelect = uint16_t(value);
            return;
        default:
            break;
        }
        if (!q) {
            violations.push_back("write to a queue that doesn't exist");
            return;
        }
        auto half = [&](uint64_t &f, bool high) {
            f = high ? (f & 0xFFFFFFFF) | (uint64_t(value) << 32)
                     : (f & ~uint64_t(0xFFFFFFFF)) | value;
        };
        switch (at) {
        case 24:
            q->size = refuseSize ? q->size : uint16_t(value);
            return;
        case 26:
            q->vector = refuseVectors ? 0xFFFF : uint16_t(value);
            return;
        case 28:
            if (value != 1) {
                violations.push_back("0 written to queue_enable (4.1.4.3.2)");
            }
            q->enabled = 1;
            return;
        case 32:
            half(q->desc, false);
            return;
        case 36:
            half(q->desc, true);
            return;
        case 40:
            half(q->driver, false);
            return;
        case 44:
            half(q->driver, true);
            return;
        case 48:
            half(q->device, false);
            return;
        case 52:
            half(q->device, true);
            return;
        default:
            violations.push_back("common write at " + std::to_string(at));
            return;
        }
    }

    static int commonWidth(uint32_t at) {
        return at < 16 || at >= 32 ? 4 : (at == 20 || at == 21 ? 1 : 2);
    }

    uint32_t access(char kind, uint8_t bar, uint32_t at, int width, uint32_t value) {
        log.push_back({kind, bar, at, width, value});
        if (bar >= 6 || uint64_t(at) + width > barLength[bar]) {
            violations.push_back("access outside BAR " + std::to_string(bar));
            return 0xFFFFFFFF;
        }
        if (gone) {
            return 0xFFFFFFFFu >> (32 - 8 * width);
        }
        if (bar == 0) {
            return legacyAccess(kind, at, width, value);
        }
        if (at >= commonAt && at < commonAt + 56) {
            if (commonWidth(at - commonAt) != width) {
                violations.push_back("wrong width at common " + std::to_string(at - commonAt));
            }
            if (kind == 'w') {
                commonWrite(at - commonAt, value);
                return 0;
            }
            return commonRead(at - commonAt);
        }
        if (at == isrAt) {
            uint8_t v = isr;
            isr = 0;
            return v;
        }
        if (at >= notifyAt && kind == 'w') {
            notifies.push_back({at, uint16_t(value)});
            return 0;
        }
        if (at >= configAt && at + width <= configAt + config.size()) {
            return configAccess(kind, at - configAt, width, value);
        }
        violations.push_back("access outside every structure at " + std::to_string(at));
        return 0;
    }

    uint32_t configAccess(char kind, uint32_t at, int width, uint32_t value) {
        if (kind == 'r') {
            return configRead(at, width);
        }
        for (int i = 0; i < width; i++) {
            config[at + i] = uint8_t(value >> (8 * i));
        }
        return 0;
    }

    uint32_t legacyAccess(char kind, uint32_t at, int width, uint32_t value) {
        Queue *q = selected();
        uint32_t base = msix ? 24 : 20;
        if (at >= base) {
            return configAccess(kind, at - base, width, value);
        }
        bool w = kind == 'w';
        switch (at) {
        case 0:
            return uint32_t(features);
        case 4:
            driverFeatures = value;
            return 0;
        case 8:
            if (w && q) {
                q->pfn = value;
            }
            return q ? q->pfn : 0;
        case 12:
            return q ? q->maxSize : 0;
        case 14:
            queueSelect = uint16_t(value);
            return 0;
        case 16:
            notifies.push_back({at, uint16_t(value)});
            return 0;
        case 18:
            if (w) {
                setStatus(uint8_t(value));
                return 0;
            }
            return readStatus();
        case 19: {
            uint8_t v = isr;
            isr = 0;
            return v;
        }
        case 20:
            if (w) {
                configVector = refuseVectors ? 0xFFFF : uint16_t(value);
            }
            return configVector;
        case 22:
            if (w && q) {
                q->vector = refuseVectors ? 0xFFFF : uint16_t(value);
            }
            return q ? q->vector : 0xFFFF;
        default:
            violations.push_back("legacy access at " + std::to_string(at));
            return 0;
        }
    }
};

inline PciDevice *self(void *context) {
    return static_cast<PciDevice *>(context);
}

// The register table that leads to a PciDevice.
inline const VIRTIO_PCI_IO *io() {
    static const VIRTIO_PCI_IO table = {
        [](void *c, UINT16 at) -> UINT8 { return UINT8(self(c)->getCfg(at, 1)); },
        [](void *c, UINT16 at) -> UINT16 { return UINT16(self(c)->getCfg(at, 2)); },
        [](void *c, UINT16 at) -> UINT32 { return self(c)->getCfg(at, 4); },
        [](void *c, UINT8 bar) -> UINT64 {
            if (bar >= 6) {
                self(c)->violations.push_back("there is no BAR " + std::to_string(bar));
                return 0;
            }
            return self(c)->barLength[bar];
        },
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
        [](void *c, UINT32 us) { self(c)->stalled += us; },
    };
    return &table;
}

} // namespace model
