// SPDX-License-Identifier: MIT
//
// The matrix: four device types, four transports, ring features on and off,
// the line and messages.
#pragma once

#include "exchange.h"

namespace qtest {

struct Config {
    Kind kind;
    Transport transport;
    UINT64 ring; // EventIdx, Indirect
    bool msix;
};

inline std::string name(const Config &c) {
    return std::string(name(c.kind)) + "_" + name(c.transport) +
           (c.ring & EventIdx ? "_event" : "_flags") +
           (c.ring & Indirect ? "_indirect" : "_direct") + (c.msix ? "_msix" : "_line");
}

inline void PrintTo(const Config &c, std::ostream *out) {
    *out << name(c);
}

constexpr UINT64 Rings[] = {0, EventIdx, Indirect, EventIdx | Indirect};

// All devices and transports, with these interrupts and ring features.
inline std::vector<Config> configs(const std::vector<bool> &messages,
                                   const std::vector<UINT64> &rings = {std::begin(Rings),
                                                                       std::end(Rings)}) {
    std::vector<Config> all;
    for (Kind kind : Kinds) {
        for (Transport transport : Transports) {
            for (UINT64 ring : rings) {
                for (bool msix : messages) {
                    all.push_back({kind, transport, ring, msix});
                }
            }
        }
    }
    return all;
}

template <class Wanted> std::vector<Config> only(std::vector<Config> from, Wanted wanted) {
    std::erase_if(from, [&](const Config &c) { return !wanted(c); });
    return from;
}

class MatrixTest : public RigTest, public testing::WithParamInterface<Config> {
  protected:
    void SetUp() override {
        RigTest::SetUp();
        if (!IsSkipped()) {
            open(GetParam().kind, GetParam().transport, GetParam().msix);
            exchange = Exchange::of(*rig, *dev);
        }
    }
    void TearDown() override {
        exchange.reset();
        RigTest::TearDown();
    }
    bool has(UINT64 feature) const {
        return (GetParam().ring & feature) != 0;
    }
    void start(bool vectors = true) {
        Ring ring;
        ring.features = GetParam().ring;
        ring.vectors = vectors;
        exchange->start(ring);
    }
    void enableInterrupts(bool on) {
        for (UINT16 i = 0; i < exchange->queues(); i++) {
            if (on) {
                EXPECT_TRUE(VirtqSplitEnableInterrupts(exchange->queue(i).vq()));
            } else {
                VirtqSplitDisableInterrupts(exchange->queue(i).vq());
            }
        }
    }
    // What has interrupted since the last call, once the device is done:
    // messages, or the line with its ISR status, which is read.
    struct Interrupts {
        std::set<unsigned> messages;
        bool line = false;
        UINT8 isr = 0;
    };
    Interrupts takeInterrupts() {
        Interrupts seen;
        rig->machine->settle();
        seen.line = rig->function->lineRaised();
        if (GetParam().msix) {
            seen.messages = rig->function->takeMessages();
        } else {
            seen.isr = VirtioPciReadIsr(&dev->pci);
        }
        return seen;
    }

    std::unique_ptr<Exchange> exchange;
};

} // namespace qtest
