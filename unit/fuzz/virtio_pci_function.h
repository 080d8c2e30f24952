// SPDX-License-Identifier: MIT
//
// A hostile PCI function: configuration space, BARs, registers that do what the
// input says. It judges each access: inside its BAR and one structure, of the width
// that Virtio 1.2, 4.1.3.1 and 4.1.4 demand. Where the structures are it finds out
// by a reading of 4.1.4 of its own.
#pragma once

#include <cstring>

#include "reached.h"
#include "virtio_pci.h"
#include "virtio_pci_format.h"

namespace fuzz {

// Bytes of device configuration that the library looks at.
constexpr std::uint32_t kMaxConfig = 0x1000;

struct Structure {
    bool present = false;
    std::uint8_t bar = 0;
    std::uint32_t offset = 0, length = 0;

    bool Holds(unsigned at_bar, std::uint64_t at, unsigned width) const {
        return present && at_bar == bar && at >= offset &&
               at + width <= std::uint64_t{offset} + length;
    }
};

// What VirtioPciInit has to find.
struct Layout {
    NTSTATUS status = STATUS_NOT_FOUND;
    bool modern = false;
    Structure structures[5]; // by type (4.1.4): 1 common, 2 notify, 3 ISR, 4 device
    std::uint32_t multiplier = 0;
};

class PciFunction {
  public:
    std::uint8_t config[256] = {};
    std::uint64_t bars[6] = {};
    std::uint8_t behaviour = 0;
    Layout layout; // of what is in use, after Init
    bool ready = false;

    // What the driver did since Begin.
    unsigned accesses = 0, stalls = 0, notifies = 0;
    std::uint32_t last_read = 0;
    std::uint8_t last_status = 0;
    std::uint32_t features[2] = {}; // as the driver wrote them
    std::uint32_t addresses[6] = {};
    std::uint16_t notified = 0;

    void Begin() {
        accesses = stalls = notifies = 0;
    }

    std::uint32_t ReadConfig(unsigned at, unsigned width) {
        Require(at % width == 0 && at + width <= sizeof(config), "inside configuration space");
        Require(++accesses < 1024, "a walk that ends");
        std::uint32_t value = 0;
        std::memcpy(&value, config + at, width);
        if ((behaviour & kUnstable) != 0) {
            for (unsigned i = 0; i < width; i++) {
                config[at + i] ^= 0xFF;
            }
        }
        return value;
    }

    void PokeRegister(unsigned at, std::uint32_t value) {
        std::memcpy(registers_ + at % (sizeof(registers_) - 4), &value, 4);
    }

    std::uint32_t Read(unsigned bar, std::uint32_t at, unsigned width) {
        Judge(bar, at, width);
        std::uint32_t value = 0;
        std::memcpy(&value, Register(at), width);
        if ((behaviour & kNoise) != 0) {
            value ^= accesses & 0xFF;
        }
        if (width == 1 && waits_ > 0) {
            waits_--;
            value = 1;
        }
        if ((behaviour & kGone) != 0) {
            value = ~std::uint32_t{0} >> (32 - 8 * width);
        }
        return last_read = value;
    }

    void Write(unsigned bar, std::uint32_t at, unsigned width, std::uint32_t value) {
        Judge(bar, at, width);
        Observe(bar, at, width, value);
        if (width == 1) {
            if ((behaviour & kNoFeatures) != 0) {
                value &= ~8u;
            }
            waits_ = value == 0 && (behaviour & kSlowReset) != 0 ? 3 : 0;
        }
        bool stuck = width == 1 ? (behaviour & kStuck8) != 0 : width == 2 && (behaviour & kStuck16);
        if (!stuck) {
            std::memcpy(Register(at), &value, width);
        }
    }

    // 4.1.4: the capability list as the function offers it now.
    Layout Modern() const {
        Layout found;
        if ((config[6] & 0x10) == 0) {
            return found;
        }
        unsigned steps = 0;
        for (unsigned at = config[0x34] & 0xFC; at != 0; at = config[at + 1] & 0xFC) {
            if (at < 0x40 || ++steps > 48 || !Take(found, at)) {
                found.status = STATUS_DEVICE_CONFIGURATION_ERROR;
                return found;
            }
        }
        const Structure *s = found.structures;
        if (s[1].present && s[2].present && s[3].present) {
            found.status = STATUS_SUCCESS;
            found.modern = true;
        }
        return found;
    }

    // 4.1.4.10: everything from the start of BAR0.
    Layout Legacy(bool msix) const {
        Layout found;
        std::uint32_t first = msix ? 24 : 20;
        std::uint16_t id = static_cast<std::uint16_t>(config[2] | config[3] << 8);
        if (id > 0x103F || config[8] != 0 || bars[0] < first) {
            return found;
        }
        std::uint32_t length =
            static_cast<std::uint32_t>(bars[0] > first + kMaxConfig ? first + kMaxConfig : bars[0]);
        found.status = STATUS_SUCCESS;
        found.structures[1] = {true, 0, 0, first};
        found.structures[4] = {length > first, 0, first, length - first};
        return found;
    }

  private:
    std::uint32_t Long(unsigned at) const {
        std::uint32_t value;
        std::memcpy(&value, config + at, 4);
        return value;
    }

    // One capability. False: it is malformed.
    bool Take(Layout &found, unsigned at) const {
        unsigned type = config[at + 3], length_here = config[at + 2];
        if (config[at] != 9 || type < 1 || type > 4) {
            return true;
        }
        if (length_here < (type == 2 ? 20u : 16u) || at + length_here > 256) {
            return false;
        }
        Structure &s = found.structures[type];
        unsigned bar = config[at + 4];
        if (s.present || bar > 5 || bars[bar] == 0) {
            return true;
        }
        std::uint64_t offset = Long(at + 8), length = Long(at + 12);
        const unsigned least[5] = {0, 56, 2, 1, 1}, align[5] = {1, 4, 2, 1, 4};
        if (length < least[type] || offset % align[type] != 0 || offset + length > bars[bar] ||
            offset + length > 0x100000000) {
            return false;
        }
        if (type == 2) {
            std::uint32_t m = Long(at + 16);
            if (m == 1 || (m & (m - 1)) != 0) {
                return false;
            }
            found.multiplier = m;
        }
        if (type == 4 && length > kMaxConfig) {
            length = kMaxConfig; // the library looks at no more
        }
        s = {true, config[at + 4], static_cast<std::uint32_t>(offset),
             static_cast<std::uint32_t>(length)};
        return true;
    }

    static unsigned CommonWidth(std::uint32_t at) {
        return at < 16 || at >= 32 ? 4 : (at == 20 || at == 21 ? 1 : 2);
    }

    static unsigned LegacyWidth(std::uint32_t at) {
        return at < 12 ? 4 : (at == 18 || at == 19 ? 1 : 2);
    }

    void Judge(unsigned bar, std::uint32_t at, unsigned width) {
        Require(ready, "no register before Init is done");
        Require(++accesses < 4096, "a loop that ends");
        Require(bar < 6 && std::uint64_t{at} + width <= bars[bar], "inside the BAR");
        // A hostile function lets its structures overlap: one of them has to allow it.
        const Structure *s = layout.structures;
        bool right = false;
        if (s[1].Holds(bar, at, width) && at - s[1].offset < 56) {
            std::uint32_t common = at - s[1].offset;
            right = width == (layout.modern ? CommonWidth(common) : LegacyWidth(common)) &&
                    common % width == 0;
        }
        for (unsigned type = 2; type <= 4; type++) {
            right |= s[type].Holds(bar, at, width) && (at - s[type].offset) % width == 0;
        }
        Require(right, "an access of a structure, at its width");
    }

    void Observe(unsigned bar, std::uint32_t at, unsigned width, std::uint32_t value) {
        const Structure *s = layout.structures;
        std::uint32_t notify_at = layout.modern ? s[2].offset : 16;
        std::uint64_t notify_end = layout.modern ? std::uint64_t{s[2].offset} + s[2].length : 18;
        unsigned notify_bar = layout.modern ? s[2].bar : 0;
        if (width == 2 && bar == notify_bar && at >= notify_at && at < notify_end) {
            notifies++;
            notified = static_cast<std::uint16_t>(value);
        }
        if (!s[1].Holds(bar, at, width)) {
            return;
        }
        at -= s[1].offset;
        if (at == (layout.modern ? 20 : 18)) {
            last_status = static_cast<std::uint8_t>(value);
        } else if (layout.modern && at == 8) {
            select_ = value;
        } else if (at == (layout.modern ? 12 : 4) && width == 4) {
            features[layout.modern ? select_ & 1 : 0] = value;
        } else if (layout.modern && at >= 32 && at < 56) {
            addresses[(at - 32) / 4] = value;
        } else if (!layout.modern && at == 8) {
            addresses[0] = value;
        }
    }

    // The registers of a page of each structure do not overlap.
    std::uint8_t *Register(std::uint32_t at) {
        return registers_ + ((at & 0x7F) | (at >> 12 & 3) << 7);
    }

    std::uint8_t registers_[516] = {};
    std::uint32_t select_ = 0;
    unsigned waits_ = 0;
};

} // namespace fuzz
