// SPDX-License-Identifier: MIT
#include "cache.h"

#include <cstring>
#include <random>

#include <unistd.h>

namespace hostile {

namespace {

// Calls use(sector, place in it, memory, bytes) for each piece that lies in one sector.
template <class Use> void eachPiece(std::span<const iovec> parts, uint64_t sector, Use use) {
    size_t within = 0;

    for (const iovec &part : parts) {
        auto *at = static_cast<uint8_t *>(part.iov_base);
        for (size_t left = part.iov_len; left != 0;) {
            size_t bytes = std::min(left, Cache::Sector - within);
            use(sector, within, at, bytes);
            at += bytes;
            left -= bytes;
            within = (within + bytes) % Cache::Sector;
            sector += within == 0 ? 1 : 0;
        }
    }
}

bool put(int file, uint64_t sector, std::span<const uint8_t> content) {
    return pwrite(file, content.data(), content.size(), off_t(sector * Cache::Sector)) ==
           ssize_t(content.size());
}

} // namespace

void Cache::write(std::span<const iovec> parts, uint64_t sector) {
    eachPiece(parts, sector, [this](uint64_t number, size_t place, uint8_t *from, size_t bytes) {
        std::vector<Content> &writes = sectors_[number];
        if (place == 0) {
            writes.emplace_back();
        }
        memcpy(writes.back().data() + place, from, bytes);
    });
}

void Cache::overlay(std::span<const iovec> parts, uint64_t sector) const {
    eachPiece(parts, sector, [this](uint64_t number, size_t place, uint8_t *to, size_t bytes) {
        auto found = sectors_.find(number);
        if (found != sectors_.end()) {
            memcpy(to, found->second.back().data() + place, bytes);
        }
    });
}

bool Cache::flush(int file) {
    for (const auto &[sector, writes] : sectors_) {
        if (!put(file, sector, writes.back())) {
            return false; // and all of it is kept
        }
    }
    sectors_.clear();
    return true;
}

Cache::Lost Cache::cut(int file, uint64_t seed) {
    std::mt19937_64 random(seed);
    Lost lost;

    for (const auto &[sector, writes] : sectors_) {
        size_t which = random() % (writes.size() + 1);
        if (which == writes.size() || !put(file, sector, writes[which])) {
            lost.dropped++;
        } else {
            (which + 1 == writes.size() ? lost.kept : lost.older)++;
        }
    }
    sectors_.clear();
    return lost;
}

} // namespace hostile
