// SPDX-License-Identifier: MIT
//
// The memory that driver and device share, as the device sees it: offsets from
// Virtio 1.2, 2.7, not from the library's headers.
#pragma once

#include <cstdint>
#include <cstring>

#include "guarded_memory.h"
#include "require.h"
#include "virtqueue_split.h"
#include "virtqueue_split_format.h"

namespace fuzz {

struct Area {
    std::uint8_t *bytes = nullptr;
    std::size_t size = 0;

    template <typename T> T Get(std::size_t at) const {
        T value;
        std::memcpy(&value, bytes + at, sizeof(value));
        return value;
    }
    template <typename T> void Put(std::size_t at, T value) const {
        std::memcpy(bytes + at, &value, sizeof(value));
    }
    bool IsZero() const {
        std::uint8_t any = 0;
        for (std::size_t i = 0; i < size; i++) {
            any |= bytes[i];
        }
        return any == 0;
    }
};

struct Descriptor {
    std::uint64_t addr;
    std::uint32_t len;
    std::uint16_t flags, next;
};

class SharedRing {
  public:
    static constexpr std::uint64_t kRingAddress = 0x10000;
    static constexpr std::uint64_t kPoolAddress = 0x900000;

    // Takes the memory of a ring. In one piece: the layout of 2.7.2, alignment 16.
    template <typename Memory> void Lay(Memory &memory, UINT16 qsz, bool separate) {
        qsz_ = qsz;
        const std::size_t sizes[3] = {16u * qsz, 6u + 2u * qsz, 6u + 8u * qsz};
        if (separate) { // each as little aligned as it may be
            const std::size_t skews[3] = {16, 2, 4};
            for (int i = 0; i < 3; i++) {
                area[i] = {memory.Take(sizes[i], skews[i]), sizes[i]};
            }
            return;
        }
        std::size_t used_at = (sizes[0] + sizes[1] + 15) / 16 * 16;
        std::uint8_t *ring = memory.Take(used_at + sizes[2]);
        area[0] = {ring, sizes[0]};
        area[1] = {ring + sizes[0], sizes[1]};
        area[2] = {ring + used_at, sizes[2]};
    }

    VIRTQ_SPLIT_AREAS Addresses() const {
        return {area[0].bytes,         kRingAddress,  area[1].bytes,
                kRingAddress + 0x1002, area[2].bytes, kRingAddress + 0x2004};
    }

    Descriptor Desc(const Area &table, unsigned i) const {
        return {table.Get<std::uint64_t>(16 * i), table.Get<std::uint32_t>(16 * i + 8),
                table.Get<std::uint16_t>(16 * i + 12), table.Get<std::uint16_t>(16 * i + 14)};
    }

    std::uint16_t AvailFlags() const {
        return area[1].Get<std::uint16_t>(0);
    }
    std::uint16_t AvailIdx() const {
        return area[1].Get<std::uint16_t>(2);
    }
    std::uint16_t AvailHead(std::uint16_t index) const {
        return area[1].Get<std::uint16_t>(4 + 2u * (index & (qsz_ - 1)));
    }
    std::uint16_t UsedEvent() const {
        return area[1].Get<std::uint16_t>(4 + 2u * qsz_);
    }

    std::uint16_t UsedFlags() const {
        return area[2].Get<std::uint16_t>(0);
    }
    std::uint16_t UsedIdx() const {
        return area[2].Get<std::uint16_t>(2);
    }
    std::uint32_t UsedId(std::uint16_t index) const {
        return area[2].Get<std::uint32_t>(UsedAt(index));
    }
    std::uint32_t UsedLen(std::uint16_t index) const {
        return area[2].Get<std::uint32_t>(UsedAt(index) + 4);
    }
    std::uint16_t AvailEvent() const {
        return area[2].Get<std::uint16_t>(4 + 8u * qsz_);
    }

    void PutUsed(std::uint16_t index, std::uint32_t id, std::uint32_t len) const {
        area[2].Put(UsedAt(index), id);
        area[2].Put(UsedAt(index) + 4, len);
    }
    void PutUsedIdx(std::uint16_t index) const {
        area[2].Put(2, index);
    }
    void PutUsedFlags(std::uint16_t flags) const {
        area[2].Put(0, flags);
    }
    void PutAvailEvent(std::uint16_t event) const {
        area[2].Put(4 + 8u * qsz_, event);
    }

    Area area[3]; // descriptors, avail ring, used ring
    Area pool;    // indirect tables

  private:
    std::size_t UsedAt(std::uint16_t index) const {
        return 4 + 8u * (index & (qsz_ - 1));
    }

    UINT16 qsz_ = 0;
};

// The avail ring as it was before a call, to see what the call wrote.
class AvailImage {
  public:
    explicit AvailImage(const SharedRing &ring) : size_(ring.area[1].size) {
        std::memcpy(bytes_, ring.area[1].bytes, size_);
    }

    // Written were the heads, from entry `index` on, and avail->idx behind them: no
    // more, no less. None: nothing was written.
    void RequireOnly(const SharedRing &ring, UINT16 index, const UINT16 *heads,
                     UINT16 count) const {
        AvailImage expected = *this;
        for (UINT16 i = 0; i < count; i++) {
            expected.Put(EntryAt(index + i), heads[i]);
        }
        if (count != 0) {
            expected.Put(2, static_cast<UINT16>(index + count));
        }
        expected.RequireSame(ring, "the heads in the avail ring, then avail->idx, no more");
    }

    // Written were at most `count` entries from `index` on.
    void RequireOnlyEntries(const SharedRing &ring, UINT16 index, UINT16 count) const {
        AvailImage expected = *this;
        for (UINT16 i = 0; i < count; i++) {
            expected.Put(EntryAt(index + i), ring.AvailHead(static_cast<UINT16>(index + i)));
        }
        expected.RequireSame(ring, "a refused publish leaves avail->idx and what is before it");
    }

  private:
    void RequireSame(const SharedRing &ring, const char *what) const {
        Require(std::memcmp(bytes_, ring.area[1].bytes, size_) == 0, what);
    }

    void Put(std::size_t at, UINT16 value) {
        std::memcpy(bytes_ + at, &value, sizeof(value));
    }

    std::size_t EntryAt(unsigned index) const {
        return 4 + 2u * (index & ((size_ - 6) / 2 - 1));
    }

    std::uint8_t bytes_[6 + 2 * kMaxQueue];
    std::size_t size_;
};

} // namespace fuzz
