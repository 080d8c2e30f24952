// SPDX-License-Identifier: MIT
// A disk's volatile write cache (Virtio 1.2, 5.2.6.2): what was written since the last flush
// is in memory alone, and a power cut loses of it what it likes, sector by sector.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include <sys/uio.h>

namespace hostile {

class Cache {
  public:
    static constexpr size_t Sector = 512;

    bool empty() const {
        return sectors_.empty();
    }
    size_t size() const {
        return sectors_.size();
    }
    // Keeps what is in `parts`, whole sectors from this one on.
    void write(std::span<const iovec> parts, uint64_t sector);
    // Puts what it has of these sectors over what was read from the file.
    void overlay(std::span<const iovec> parts, uint64_t sector) const;
    // Writes all of it to the file. False: the file doesn't take it.
    bool flush(int file);

    struct Lost {
        uint64_t dropped = 0, older = 0, kept = 0; // sectors
    };
    // The power goes: of each sector nothing reaches the file, or what some write since the
    // last flush put there, not always the last. Decided by `seed`.
    Lost cut(int file, uint64_t seed);

  private:
    using Content = std::array<uint8_t, Sector>;
    std::map<uint64_t, std::vector<Content>> sectors_; // of each write, the oldest first
};

} // namespace hostile
