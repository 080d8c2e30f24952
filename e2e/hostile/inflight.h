// SPDX-License-Identifier: MIT
// The protocol's record of which requests are at the device (its section "Inflight I/O
// tracking", split virtqueues). The front end keeps it, so that requests outlive a
// connection, a pause of the machine, and this process.
#pragma once

#include <cstdint>
#include <vector>

#include "fd.h"

namespace hostile {

// One queue's region. It is another process's memory, too.
class InflightRegion {
  public:
    static uint64_t bytes(uint16_t queueSize);

    // Nothing is tracked.
    InflightRegion() = default;
    InflightRegion(uint8_t *start, uint16_t queueSize);

    explicit operator bool() const {
        return start_ != nullptr;
    }
    // Is any request to be done again?
    bool any() const;
    // The requests that are to be done again, oldest first; `used` is the ring's used index.
    std::vector<uint16_t> recover(uint16_t used);
    void taken(uint16_t head);
    // Around the store of the used index, for the buffer `head`.
    void finishing(uint16_t head);
    void finished(uint16_t head, uint16_t used);

  private:
    struct Head;
    struct State;
    Head *region() const;
    State *state(uint16_t head) const;

    uint8_t *start_ = nullptr;
    uint16_t size_ = 0;
    uint64_t counter_ = 0;
};

// The mapping that holds the regions of all queues.
class InflightMapping {
  public:
    InflightMapping() = default;
    ~InflightMapping();
    InflightMapping(const InflightMapping &) = delete;
    InflightMapping &operator=(const InflightMapping &) = delete;

    // A new one, zeroed; its file is for the front end. Throws Error.
    static Fd create(uint64_t bytes);
    // Throws ProtocolError when the file can't be it.
    void map(const Fd &fd, uint64_t offset, uint64_t bytes, uint16_t queues, uint16_t queueSize);
    InflightRegion region(uint16_t queue) const;

  private:
    void *mapping_ = nullptr;
    uint64_t length_ = 0, offset_ = 0;
    uint16_t queues_ = 0, queueSize_ = 0;
};

} // namespace hostile
