// SPDX-License-Identifier: MIT
//
// All sources of the queue: which accesses to shared memory each call makes, in
// which order, and how often (Virtio 1.2, 2.7.7, 2.7.13, 2.7.14). Every word is
// read at most once, nothing is read but the used ring, and there is one full fence
// where stores must come before loads. What the order is good for is shown by
// model_check/ and stress/.
#include <random>

#include "model/queue_rig.h"
#include "model/traced_osdep.h"

namespace vq7::model {
std::vector<Access> trace;
} // namespace vq7::model

using namespace vq7::model;
using Trace = std::vector<Access>;

namespace {

constexpr Access kFullFence = {Kind::kFence, nullptr};

class Order : public ::testing::TestWithParam<bool> {
  protected:
    QueueRig rig{{.size = 8, .event_idx = GetParam()}};
    VIRTQ_SPLIT *vq = rig.vq();

    Access At(Kind kind, UINT64 address) {
        return {kind, rig.Memory().Host(address, 2)};
    }
    Access UsedIdx() {
        return At(Kind::kAcquire, rig.device->UsedIdxAt());
    }
    // Where the driver says when it wants interrupts.
    Access Suppression() {
        return At(Kind::kStore,
                  GetParam() ? rig.device->UsedEventAt() : rig.device->AvailFlagsAt());
    }
    Access EntryId(unsigned slot) {
        return At(Kind::kLoad, rig.device->UsedRingAt(slot));
    }
    Access EntryLength(unsigned slot) {
        return At(Kind::kLoad, rig.device->UsedRingAt(slot) + 4);
    }
    // A buffer that the device has finished.
    void Finish() {
        rig.Submit(rig.Segments(0, 1), nullptr);
        rig.device->Push(rig.device->Pop()->head, 1);
    }

    template <typename Call> static Trace Of(Call call) {
        trace.clear();
        call();
        return trace;
    }
};

INSTANTIATE_TEST_SUITE_P(EventIdx, Order, ::testing::Bool());

TEST_P(Order, AddMakesNoOrderedAccess) // 2.7.13.1: the buffer is not the device's yet
{
    UINT16 head;
    EXPECT_EQ(Of([&] { (void)rig.Add(rig.Segments(2, 1), nullptr, &head); }), Trace{});
}

TEST_P(Order, PublishWritesTheEntryAndThenReleasesTheIndex) // 2.7.13.2, 2.7.13.3.1
{
    UINT16 heads[3];
    for (UINT16 &head : heads) {
        ASSERT_EQ(rig.Add(rig.Segments(0, 1), nullptr, &head), STATUS_SUCCESS);
    }
    EXPECT_EQ(Of([&] { VirtqSplitPublish(vq, heads[0]); }),
              (Trace{At(Kind::kStore, rig.device->AvailRingAt(0)),
                     At(Kind::kRelease, rig.device->AvailIdxAt())}));
    EXPECT_EQ(Of([&] { (void)VirtqSplitPublishBatch(vq, heads + 1, 2); }),
              (Trace{At(Kind::kStore, rig.device->AvailRingAt(1)),
                     At(Kind::kStore, rig.device->AvailRingAt(2)),
                     At(Kind::kRelease, rig.device->AvailIdxAt())}));
}

TEST_P(Order, SubmitReleasesTheIndexOnceForAll) // 2.7.13.2, 2.7.13.3.1
{
    const auto sg = rig.Segments(0, 1);
    const VIRTQ_BUFFER buffers[] = {{sg.data(), 1, nullptr}, {sg.data(), 1, nullptr}};
    UINT16 submitted;
    EXPECT_EQ(Of([&] { (void)VirtqSplitSubmitBatch(vq, buffers, 2, &submitted); }),
              (Trace{At(Kind::kStore, rig.device->AvailRingAt(0)),
                     At(Kind::kStore, rig.device->AvailRingAt(1)),
                     At(Kind::kRelease, rig.device->AvailIdxAt())}));
    EXPECT_EQ(Of([&] { (void)VirtqSplitSubmitBatch(vq, buffers, 0, &submitted); }), Trace{});
}

// Nothing was taken yet, so used_event was not moved.
TEST_P(Order, AFreshQueueIsEmptyWithoutAFence) // 2.7.7
{
    EXPECT_EQ(Of([&] { (void)VirtqSplitHasUsed(vq); }), Trace{UsedIdx()});
    Finish();
    (void)rig.Get();
    ASSERT_EQ(VirtqSplitResetChecked(vq), STATUS_SUCCESS);
    EXPECT_EQ(Of([&] { (void)VirtqSplitHasUsed(vq); }), Trace{UsedIdx()});
}

TEST_P(Order, BehindAnEnableALookNeedsNoFence) // 2.7.7, 2.7.14
{
    Finish();
    ASSERT_EQ(rig.Get().status, STATUS_SUCCESS);
    ASSERT_TRUE(VirtqSplitEnableInterrupts(vq)); // has fenced already
    EXPECT_EQ(Of([&] { (void)VirtqSplitHasUsed(vq); }), Trace{UsedIdx()});
}

TEST_P(Order, NothingToHandOverTouchesNothing) // 2.7.13.3
{
    EXPECT_EQ(Of([&] {
                  const UINT16 head = 0;
                  const VIRTQ_BUFFER buffer = {};
                  UINT16 count;
                  (void)VirtqSplitPublishBatch(vq, &head, 0);
                  (void)VirtqSplitSubmitBatch(vq, &buffer, 0, &count);
                  (void)VirtqSplitSubmitBatch(vq, &buffer, 1, &count); // refused
              }),
              Trace{});
}

TEST_P(Order, KickLooksOnceAndBehindOneFullFence) // 2.7.13.4.1
{
    EXPECT_EQ(Of([&] { (void)VirtqSplitKickPrepare(vq); }), Trace{}); // nothing published
    EXPECT_EQ(Of([&] { (void)VirtqSplitKick(vq); }), Trace{});
    for (int publishes : {1, 4}) {
        for (int i = 0; i < publishes; i++) {
            rig.Submit(rig.Segments(0, 1), nullptr);
        }
        UINT64 wish = GetParam() ? rig.device->AvailEventAt() : rig.device->UsedFlagsAt();
        EXPECT_EQ(Of([&] { (void)VirtqSplitKickPrepare(vq); }),
                  (Trace{kFullFence, At(Kind::kLoad, wish)}));
        EXPECT_EQ(Of([&] { VirtqSplitKickCommit(vq); }), Trace{});
        rig.Submit(rig.Segments(0, 1), nullptr);
        EXPECT_EQ(Of([&] { (void)VirtqSplitKick(vq); }),
                  (Trace{kFullFence, At(Kind::kLoad, wish)}));
    }
}

TEST_P(Order, GetUsedReadsEachWordOnce) // 2.7.8, 2.7.14
{
    for (unsigned slot = 0; slot < 3; slot++) {
        Finish();
    }
    Trace expected = {UsedIdx(), EntryId(0), EntryLength(0)};
    if (GetParam()) {
        expected.push_back(Suppression()); // used_event follows
    }
    EXPECT_EQ(Of([&] { (void)rig.Get(); }), expected);
    expected = {UsedIdx(), EntryId(1), EntryLength(1), EntryId(2), EntryLength(2)};
    if (GetParam()) {
        expected.push_back(Suppression()); // once for the batch
    }
    VIRTQ_COMPLETION out[4];
    UINT16 count;
    EXPECT_EQ(Of([&] { (void)VirtqSplitGetUsedBatch(vq, out, 4, &count); }), expected);
    EXPECT_EQ(count, 2);
}

TEST_P(Order, ARefusedEntryIsReadOnceToo) // 2.7.8
{
    for (bool batch : {false, true}) {
        for (auto [id, length, index] :
             {std::tuple{8u, 0u, 1}, {7u, 0u, 1}, {1u, 0u, 1}, {0u, 999u, 1}, {0u, 0u, 3}}) {
            QueueRig other({.size = 8, .event_idx = GetParam()});
            other.Submit(other.Segments(1, 1), nullptr);
            other.device->PutUsed(0, id, length);
            other.device->PutUsedIdx(static_cast<UINT16>(index));
            VIRTQ_COMPLETION out[4];
            UINT16 count;
            Trace got = Of([&] {
                if (batch) {
                    (void)VirtqSplitGetUsedBatch(other.vq(), out, 4, &count);
                } else {
                    (void)other.Get();
                }
            });
            EXPECT_TRUE(VirtqSplitIsBroken(other.vq()));
            std::set<const volatile void *> words;
            for (const Access &access : got) {
                EXPECT_TRUE(words.insert(access.at).second) << "read twice";
            }
            EXPECT_LE(got.size(), 3u);
        }
    }
}

TEST_P(Order, AnEmptyQueueIsFinalOnlyBehindAFence) // 2.7.7, 2.7.14
{
    EXPECT_EQ(Of([&] { (void)rig.Get(); }), Trace{UsedIdx()});
    Finish();
    ASSERT_EQ(rig.Get().status, STATUS_SUCCESS);
    // used_event has moved: whoever will sleep on "none" has to look behind a fence.
    Trace expected = {UsedIdx()};
    if (GetParam()) {
        expected = {UsedIdx(), kFullFence, UsedIdx()};
    }
    EXPECT_EQ(Of([&] { (void)VirtqSplitHasUsed(vq); }), expected);
    EXPECT_EQ(Of([&] { (void)rig.Get(); }), expected);
    EXPECT_EQ(Of([&] { (void)rig.Get(); }), Trace{UsedIdx()}); // once
}

TEST_P(Order, SuppressionIsWrittenAndNeverReadBack) // 2.7.7
{
    EXPECT_EQ(Of([&] { VirtqSplitDisableInterrupts(vq); }), Trace{Suppression()});
    Trace enable = {Suppression(), kFullFence, UsedIdx()};
    EXPECT_EQ(Of([&] { (void)VirtqSplitEnableInterrupts(vq); }), enable);
    EXPECT_EQ(Of([&] { (void)VirtqSplitEnableInterruptsDelayed(vq); }), enable);
    UINT16 position = 0;
    Trace wait = Of([&] { position = VirtqSplitPrepareWait(vq); });
    EXPECT_EQ(Trace(wait.begin(), wait.begin() + 2), Trace(enable.begin(), enable.begin() + 2));
    EXPECT_EQ(Of([&] { (void)VirtqSplitPoll(vq, position); }), Trace{UsedIdx()});
}

TEST_P(Order, ABrokenQueueTouchesNothing) // 2.7.8
{
    rig.Submit(rig.Segments(0, 1), nullptr);
    rig.device->PutUsedIdx(5);
    ASSERT_EQ(rig.Get().status, VIRTQ_STATUS_USED_IDX_AHEAD);
    EXPECT_EQ(Of([&] {
                  UINT16 head, count;
                  VIRTQ_COMPLETION out;
                  const VIRTQ_SG sg = {0x1000, 8, TRUE};
                  const VIRTQ_BUFFER buffer = {&sg, 1, nullptr};
                  void *cookie;
                  (void)VirtqSplitHasUsed(vq);
                  (void)rig.Get();
                  (void)VirtqSplitGetUsedBatch(vq, &out, 1, &count);
                  (void)VirtqSplitKickPrepare(vq);
                  VirtqSplitKickCommit(vq);
                  (void)VirtqSplitKick(vq);
                  (void)VirtqSplitSubmitBatch(vq, &buffer, 1, &count);
                  VirtqSplitDisableInterrupts(vq);
                  (void)VirtqSplitEnableInterrupts(vq);
                  (void)VirtqSplitEnableInterruptsDelayed(vq);
                  (void)VirtqSplitPoll(vq, VirtqSplitPrepareWait(vq));
                  (void)rig.Add(rig.Segments(0, 1), nullptr, &head);
                  VirtqSplitPublish(vq, 0);
                  (void)VirtqSplitDetachUnused(vq, &cookie);
              }),
              Trace{});
}

TEST_P(Order, OnlyTheUsedRingIsEverRead) // 2.7: the other two areas are the driver's
{
    std::mt19937 random(17);
    trace.clear();
    for (int round = 0; round < 3000; round++) {
        UINT16 head;
        if (rig.Add(rig.Segments(0, 1), nullptr, &head) == STATUS_SUCCESS) {
            VirtqSplitPublish(vq, head);
        }
        (void)VirtqSplitKickPrepare(vq);
        VirtqSplitKickCommit(vq);
        if (random() % 2 == 0) {
            while (auto chain = rig.device->Pop()) {
                rig.device->Push(chain->head, 0);
            }
        }
        if (random() % 2 == 0) {
            VirtqSplitDisableInterrupts(vq);
        }
        while (VirtqSplitHasUsed(vq)) {
            ASSERT_EQ(rig.Get().status, STATUS_SUCCESS);
        }
        (void)VirtqSplitEnableInterrupts(vq);
    }
    const auto *used = rig.Memory().Host(rig.device->UsedFlagsAt(), 6 + 8 * 8);
    for (const Access &access : trace) {
        if (access.kind == Kind::kLoad || access.kind == Kind::kAcquire) {
            ASSERT_GE(access.at, used);
            ASSERT_LT(access.at, used + 6 + 8 * 8);
        }
    }
}

} // namespace
