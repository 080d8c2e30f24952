// SPDX-License-Identifier: MIT
// The guest's memory as the front end shares it: regions, each with an address that the
// guest uses and one that the front end itself uses.
#pragma once

#include <vector>

#include <sys/uio.h>

#include "fd.h"
#include "vhost_user.h"

namespace hostile {

// A piece of guest memory that a descriptor names.
struct Segment {
    uint64_t address;
    uint32_t length;
    bool writable; // by the device
};

class GuestMemory {
  public:
    static constexpr size_t MaxRegions = 64;

    GuestMemory() = default;
    ~GuestMemory();
    GuestMemory(const GuestMemory &) = delete;
    GuestMemory &operator=(const GuestMemory &) = delete;

    // Maps a region. Throws ProtocolError when it can't be one.
    void add(const Region &region, const Fd &fd);
    // By its two addresses and its size. Throws ProtocolError when there is none.
    void remove(const Region &region);
    void clear();
    size_t count() const {
        return regions_.size();
    }

    // `bytes` bytes at an address of the front end's, all in one region; null: not there.
    uint8_t *atUser(uint64_t address, uint64_t bytes) const;
    // The same at a guest's address; pieces, as regions that touch are mapped apart.
    // False: not all of it is memory.
    bool pieces(uint64_t address, uint64_t bytes, std::vector<iovec> &into) const;
    bool copyFrom(uint64_t address, void *into, size_t bytes) const;

  private:
    struct Mapped {
        Region region;
        void *mapping;
        size_t length;
        uint8_t *start() const {
            return static_cast<uint8_t *>(mapping) + region.offset;
        }
    };
    std::vector<Mapped> regions_;
};

// Bytes that segments hold together.
uint64_t bytesOf(const std::vector<Segment> &segments);

// The part [offset, offset + bytes) of what the segments hold, as mapped memory. False:
// it isn't all there.
bool slice(const GuestMemory &memory, const std::vector<Segment> &segments, uint64_t offset,
           uint64_t bytes, std::vector<iovec> &into);

} // namespace hostile
