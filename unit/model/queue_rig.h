// SPDX-License-Identifier: MIT
//
// A queue of the library and a device of the model on the same memory, and the
// few steps that most tests are made of.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "guest_memory.h"
#include "split_device.h"

#include "virtqueue_split.h"

namespace vq7::model {

struct QueueOptions {
    UINT16 size = 8;
    bool event_idx = false;
    bool indirect = false;
    UINT16 tables = 0;
    UINT16 table_size = 0;
    UINT32 align = 64;
    bool separate_areas = false;
};

struct Used {
    NTSTATUS status;
    void *cookie;
    UINT32 length;
};

class QueueRig {
  public:
    explicit QueueRig(const QueueOptions &options = {})
        : options_(options), memory_(MemoryFor(options)),
          state_(VirtqSplitStateSize(options.size) / sizeof(std::uint64_t)) {
        const std::size_t size = options.size;
        std::uint64_t desc, avail, used;
        if (options.separate_areas) {
            used = memory_.Allocate(6 + 8 * size, 4);
            avail = memory_.Allocate(6 + 2 * size, 2);
            desc = memory_.Allocate(16 * size, 16);
        } else {
            // 2.7.2, with the caller's alignment in the place of 4096.
            std::size_t start_used = 16 * size + 6 + 2 * size;
            start_used = (start_used + options.align - 1) / options.align * options.align;
            desc = memory_.Allocate(start_used + 6 + 8 * size, 4096);
            avail = desc + 16 * size;
            used = desc + start_used;
        }
        if (options.tables != 0) {
            pool_ = memory_.Allocate(std::size_t{16} * options.tables * options.table_size, 16);
        }
        device = std::make_unique<SplitDevice>(
            memory_, SplitDevice::Layout{options.size, desc, avail, used, options.event_idx,
                                         options.indirect});
        EXPECT_EQ(Initialize(desc, avail, used), STATUS_SUCCESS);
    }

    VIRTQ_SPLIT *vq() {
        return reinterpret_cast<VIRTQ_SPLIT *>(state_.data());
    }

    // A chain of `readable` segments and then `writable` ones, 64 bytes each.
    std::vector<VIRTQ_SG> Segments(unsigned readable, unsigned writable) {
        std::vector<VIRTQ_SG> sg;
        for (unsigned i = 0; i < readable + writable; i++) {
            // Not contiguous, so that no two can be taken for one.
            sg.push_back({0x8'0000'0000u + 0x1000u * (buffers_++ & 0xFFFF), 64 + i,
                          static_cast<BOOLEAN>(i >= readable)});
        }
        return sg;
    }

    NTSTATUS Add(const std::vector<VIRTQ_SG> &sg, void *cookie, UINT16 *head) {
        return VirtqSplitAddBuffer(vq(), sg.data(), static_cast<UINT16>(sg.size()), cookie, head);
    }

    // Adds and publishes; gives the head.
    UINT16 Submit(const std::vector<VIRTQ_SG> &sg, void *cookie) {
        UINT16 head = VIRTQ_SPLIT_NO_DESC;
        EXPECT_EQ(Add(sg, cookie, &head), STATUS_SUCCESS);
        EXPECT_EQ(VirtqSplitPublishChecked(vq(), head), STATUS_SUCCESS);
        return head;
    }

    // VirtqSplitKick, which must answer and leave behind what the two halves do.
    bool Kick() {
        // Copied in place: the queue points into itself.
        const auto before = state_;
        const bool kick = VirtqSplitKickPrepare(vq()) != FALSE;
        VirtqSplitKickCommit(vq());
        const UINT16 added = vq()->num_added;
        const auto halves = state_;
        std::copy(before.begin(), before.end(), state_.begin());
        EXPECT_EQ(VirtqSplitKick(vq()) != FALSE, kick);
        EXPECT_EQ(vq()->num_added, added);
        kicks_in_halves_ = !kicks_in_halves_; // so that what comes next is seen after both
        if (kicks_in_halves_) {
            std::copy(halves.begin(), halves.end(), state_.begin());
        }
        return kick;
    }

    Used Get() {
        Used used{STATUS_UNSUCCESSFUL, &used, 0xDEAD};
        used.status = VirtqSplitGetUsed(vq(), &used.cookie, &used.length);
        return used;
    }

    // As after `index` buffers: both sides, and what they share.
    void StartAt(UINT16 index) {
        vq()->avail_idx = vq()->last_used_idx = index;
        memory_.Store16(device->AvailIdxAt(), index);
        device->StartAt(index);
    }

    GuestMemory &Memory() {
        return memory_;
    }
    std::uint64_t Pool() const {
        return pool_;
    }

    std::unique_ptr<SplitDevice> device;

  private:
    static std::size_t MemoryFor(const QueueOptions &options) {
        return 16 * 4096 + std::size_t{26} * options.size + 2 * options.align +
               std::size_t{16} * options.tables * options.table_size;
    }

    NTSTATUS Initialize(std::uint64_t desc, std::uint64_t avail, std::uint64_t used) {
        void *pool = options_.tables != 0 ? memory_.Host(pool_, 1) : nullptr;
        if (!options_.separate_areas) {
            return VirtqSplitInit(vq(), options_.size, options_.event_idx, options_.indirect,
                                  memory_.Host(desc, 1), desc, options_.align, pool, pool_,
                                  options_.tables, options_.table_size);
        }
        VIRTQ_SPLIT_AREAS areas = {memory_.Host(desc, 1), desc, memory_.Host(avail, 1), avail,
                                   memory_.Host(used, 1), used};
        return VirtqSplitInitAreas(vq(), options_.size, options_.size, options_.event_idx,
                                   options_.indirect, &areas, pool, pool_, options_.tables,
                                   options_.table_size);
    }

    QueueOptions options_;
    GuestMemory memory_;
    std::vector<std::uint64_t> state_; // not a byte more than it needs
    bool kicks_in_halves_ = false;
    std::uint64_t pool_ = 0;
    unsigned buffers_ = 0;
};

inline void ExpectSame(const Chain &chain, const std::vector<VIRTQ_SG> &sg) {
    ASSERT_EQ(chain.segments.size(), sg.size());
    for (size_t i = 0; i < sg.size(); i++) {
        EXPECT_EQ(chain.segments[i].address, sg[i].addr) << "segment " << i;
        EXPECT_EQ(chain.segments[i].length, sg[i].len) << "segment " << i;
        EXPECT_EQ(chain.segments[i].writable, sg[i].write != FALSE) << "segment " << i;
    }
}

inline void *Cookie(std::size_t n) {
    return reinterpret_cast<void *>(n);
}

} // namespace vq7::model
