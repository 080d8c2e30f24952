// SPDX-License-Identifier: MIT
//
// What a driver of each device type does all day, in steps of one buffer on
// one queue, every byte of it checked at the other end.
#pragma once

#include <functional>

#include "rig.h"

namespace qtest {

struct Ring {
    UINT64 features = 0;   // EventIdx, Indirect
    UINT16 size = 0;       // of every queue; 0: the device's
    bool separate = false; // areas apart from each other
    bool vectors = true;   // with MSI-X: a vector for each queue, else none
};

class Exchange {
  public:
    struct Step {
        const char *name;
        UINT16 queue;
        std::function<void(unsigned round)> run;
    };

    static std::unique_ptr<Exchange> of(Rig &rig, VirtioDevice &dev);
    virtual ~Exchange() = default;

    // Reset, negotiation, vectors, queues, DRIVER_OK.
    void start(const Ring &ring);
    void rounds(unsigned count);
    const std::vector<Step> &steps() const {
        return steps_;
    }
    size_t queues() const {
        return queueCount_;
    }
    Queue &queue(UINT16 index) {
        return *queues_.at(index);
    }
    // 0xFFFF without MSI-X. The configuration has message 0.
    UINT16 vector(UINT16 queue) const;
    // Descriptors that a step needs in the ring itself, at most.
    virtual UINT16 smallestRing() const = 0;
    // Publishes a buffer on queue 0 without a kick. Network and console devices
    // keep it then until something comes from outside. Gives its address.
    virtual UINT64 park(void *cookie) = 0;

    static constexpr size_t BufferSize = 8192;

  protected:
    Exchange(Rig &rig, VirtioDevice &dev, UINT64 features, UINT16 queues)
        : rig_(rig), dev_(dev), features_(features), queueCount_(queues) {}
    // Memory that holds `fill`; the same every round, made new by start().
    uint64_t buffer(unsigned number, uint8_t fill);
    uint8_t *at(uint64_t address) {
        return rig_.machine->at(address);
    }
    // Bytes that depend on the round and say so.
    static std::string text(unsigned round, size_t bytes);
    void finish(Queue &q, UINT32 length, const char *what);
    void untouched(uint64_t from, uint64_t to, uint8_t fill);

    Rig &rig_;
    VirtioDevice &dev_;
    std::vector<Step> steps_;

  private:
    UINT64 features_;
    UINT16 queueCount_;
    std::vector<Queue *> queues_;
    std::vector<uint64_t> buffers_;
};

} // namespace qtest
