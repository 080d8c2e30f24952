// SPDX-License-Identifier: MIT
//
// All sources of the queue: two queues live the same life, but in the ring of one a
// device scribbles between any two calls. All that it may change is what it has
// the right to say: the answers to KickPrepare. The private state of both stays the
// same, byte by byte (Virtio 1.2, 2.7: only the used ring is the device's to write).
#include <algorithm>
#include <random>

#include "model/queue_rig.h"

using namespace vq7::model;

namespace {

constexpr UINT16 kSize = 8, kTables = 3, kTableSize = 4;

struct Shape {
    bool event_idx;
    bool separate_areas;
};

class Scribble : public ::testing::TestWithParam<Shape> {
  protected:
    QueueOptions options{.size = kSize,
                         .event_idx = GetParam().event_idx,
                         .indirect = true,
                         .tables = kTables,
                         .table_size = kTableSize,
                         .separate_areas = GetParam().separate_areas};
    QueueRig clean{options}, dirty{options};
    std::mt19937 random{23};

    // Everything but where the memory is.
    static std::vector<UINT8> Private(QueueRig &rig) {
        std::vector<UINT8> bytes(VirtqSplitStateSize(kSize));
        memcpy(bytes.data(), rig.vq(), bytes.size());
        auto *vq = reinterpret_cast<VIRTQ_SPLIT *>(bytes.data());
        vq->desc = nullptr;
        vq->avail = nullptr;
        vq->used = nullptr;
        vq->chains = nullptr;
        vq->indirect_pool_va = nullptr;
        static UINT16 follows; // where used_event is differs; whether it follows must not
        vq->follow = vq->follow == nullptr ? nullptr : &follows;
        return bytes;
    }

    void Fill(UINT64 at, size_t size) {
        for (UINT8 *p = dirty.Memory().Host(at, size); size > 0; size--) {
            *p++ = static_cast<UINT8>(random());
        }
    }

    // Descriptors, tables, avail ring with used_event, used->flags, avail_event; and,
    // where no call will look, used->idx and the entries.
    void ScribbleOver(bool used_ring) {
        const VIRTQ_SPLIT *vq = dirty.vq();
        Fill(vq->desc_pa, 16 * kSize);
        Fill(vq->avail_pa, 6 + 2 * kSize);
        Fill(dirty.Pool(), std::size_t{16} * kTables * kTableSize);
        Fill(vq->used_pa, 2);
        Fill(dirty.device->AvailEventAt(), 2);
        if (used_ring) {
            Fill(vq->used_pa + 2, 2 + 8 * kSize);
        }
    }

    template <typename Call> void OnBoth(bool used_ring, Call call) {
        ScribbleOver(used_ring);
        auto left = call(clean), right = call(dirty);
        ASSERT_EQ(left, right);
        ScribbleOver(used_ring);
        ASSERT_EQ(Private(clean), Private(dirty));
    }

    // The same used entries in both rings, up to `index`.
    void Finish(const std::vector<std::pair<UINT16, UINT32>> &entries, UINT16 index) {
        for (QueueRig *rig : {&clean, &dirty}) {
            UINT16 at = static_cast<UINT16>(index - entries.size());
            for (auto [head, length] : entries) {
                rig->device->PutUsed(at++, head, length);
            }
            rig->device->PutUsedIdx(index);
        }
    }
};

INSTANTIATE_TEST_SUITE_P(Shapes, Scribble,
                         ::testing::Values(Shape{false, false}, Shape{true, false},
                                           Shape{true, true}),
                         [](const auto &info) {
                             return std::string(info.param.event_idx ? "EventIdx" : "Flags") +
                                    (info.param.separate_areas ? "Areas" : "Contiguous");
                         });

TEST_P(Scribble, ChangesNoPrivateByte) // 2.7
{
    std::vector<std::pair<UINT16, UINT32>> in_flight; // and what may be written
    UINT16 used_idx = 0xFFF0;                         // so that it wraps
    size_t taken = 0;
    for (QueueRig *rig : {&clean, &dirty}) {
        rig->StartAt(used_idx);
        rig->vq()->indirect_threshold = 1;
    }
    for (size_t step = 1; step < 5000; step++) {
        UINT16 head = VIRTQ_SPLIT_NO_DESC;
        unsigned readable = random() % 2, writable = 1 + random() % 3;
        OnBoth(true, [&](QueueRig &rig) {
            return rig.Add(rig.Segments(readable, writable), Cookie(step), &head);
        });
        if (head != VIRTQ_SPLIT_NO_DESC) {
            OnBoth(true, [&](QueueRig &rig) { return VirtqSplitPublishChecked(rig.vq(), head); });
            in_flight.push_back({head, 64 * writable}); // the segments are a bit longer
        }
        OnBoth(true, [&](QueueRig &rig) {
            (void)VirtqSplitKickPrepare(rig.vq()); // the device's to say
            VirtqSplitKickCommit(rig.vq());
            return 0;
        });
        OnBoth(true, [&](QueueRig &rig) {
            VirtqSplitDisableInterrupts(rig.vq());
            return VirtqSplitPublishChecked(rig.vq(), head); // refused: twice
        });
        std::shuffle(in_flight.begin(), in_flight.end(), random);
        size_t n = random() % (in_flight.size() + 1);
        std::vector<std::pair<UINT16, UINT32>> done(in_flight.end() - static_cast<long>(n),
                                                    in_flight.end());
        in_flight.resize(in_flight.size() - n);
        used_idx = static_cast<UINT16>(used_idx + n);
        Finish(done, used_idx);
        OnBoth(false, [&](QueueRig &rig) { return VirtqSplitEnableInterrupts(rig.vq()); });
        for (size_t i = 0; i <= n; i++) {
            OnBoth(false, [&](QueueRig &rig) {
                Used used = rig.Get();
                EXPECT_EQ(used.status, i < n ? STATUS_SUCCESS : STATUS_NOT_FOUND);
                return std::pair(used.cookie, used.length);
            });
        }
        taken += n;
        ASSERT_EQ(VirtqSplitInFlight(dirty.vq()), in_flight.size());
    }
    EXPECT_GT(taken, 2500u);
    EXPECT_FALSE(VirtqSplitIsBroken(dirty.vq()));
    EXPECT_GT(clean.vq()->misuse_count, 0u);
}

TEST_P(Scribble, ChangesNothingOfDetachAndReset) // 2.7, 3.3.1
{
    UINT16 head;
    for (size_t i = 1; i <= 5; i++) {
        OnBoth(true, [&](QueueRig &rig) {
            NTSTATUS status = rig.Add(rig.Segments(1, i % 2), Cookie(i), &head);
            if (i != 3) {
                VirtqSplitPublish(rig.vq(), head);
            }
            return status;
        });
    }
    for (size_t i = 0; i <= 5; i++) {
        OnBoth(true, [&](QueueRig &rig) {
            void *cookie;
            NTSTATUS status = VirtqSplitDetachUnused(rig.vq(), &cookie);
            EXPECT_EQ(status, i < 5 ? STATUS_SUCCESS : STATUS_NOT_FOUND);
            return cookie;
        });
    }
    ScribbleOver(true);
    for (QueueRig *rig : {&clean, &dirty}) {
        EXPECT_EQ(VirtqSplitResetChecked(rig->vq()), STATUS_SUCCESS);
    }
    EXPECT_EQ(Private(clean), Private(dirty));
    EXPECT_EQ(dirty.Memory().Load16(dirty.device->UsedIdxAt()), 0);
    dirty.Submit(dirty.Segments(1, 1), Cookie(9));
    auto chain = dirty.device->Pop();
    ASSERT_TRUE(chain);
    dirty.device->Push(chain->head, 1);
    EXPECT_EQ(dirty.Get().cookie, Cookie(9));
}

} // namespace
