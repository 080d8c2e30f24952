// SPDX-License-Identifier: MIT
//
// virtqueue_split_wait.cpp: delayed interrupts, polling, kicks of a full queue.
#include "model/queue_rig.h"

using namespace vq7::model;

namespace {

void Finish(QueueRig &rig, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        auto chain = rig.device->Pop();
        ASSERT_TRUE(chain);
        rig.device->Push(chain->head, 0);
    }
}

TEST(VirtqSplitDelayed, InterruptsAfterThreeQuarters) // 2.7.7
{
    for (UINT16 start : {0, 0xFFFD}) {
        for (UINT16 n = 1; n <= 16; n++) {
            QueueRig rig({.size = 16, .event_idx = true});
            rig.StartAt(start);
            for (UINT16 i = 0; i < n; i++) {
                rig.Submit(rig.Segments(0, 1), nullptr);
            }
            EXPECT_TRUE(VirtqSplitEnableInterruptsDelayed(rig.vq()));
            unsigned until = 0;
            do {
                Finish(rig, 1);
                until++;
            } while (!rig.device->TakeInterrupt() && until < n);
            EXPECT_EQ(until, n * 3u / 4 + 1) << n;
        }
    }
}

TEST(VirtqSplitDelayed, SaysSoIfThatManyAreThereAlready) // 2.7.7
{
    QueueRig rig({.size = 16, .event_idx = true});
    for (int i = 0; i < 8; i++) {
        rig.Submit(rig.Segments(0, 1), nullptr);
    }
    Finish(rig, 6);
    EXPECT_TRUE(VirtqSplitEnableInterruptsDelayed(rig.vq())); // 6 of 8: the 7th interrupts
    (void)rig.device->TakeInterrupt();
    Finish(rig, 1);
    EXPECT_TRUE(rig.device->TakeInterrupt());
    EXPECT_FALSE(VirtqSplitEnableInterruptsDelayed(rig.vq())); // 7 of 8: too late
}

TEST(VirtqSplitDelayed, WithoutEventIdxIsAnOrdinaryEnable) // 2.7.7
{
    QueueRig rig;
    rig.Submit(rig.Segments(0, 1), nullptr);
    rig.Submit(rig.Segments(0, 1), nullptr);
    VirtqSplitDisableInterrupts(rig.vq());
    EXPECT_TRUE(VirtqSplitEnableInterruptsDelayed(rig.vq()));
    EXPECT_EQ(rig.device->AvailFlags(), 0);
    Finish(rig, 1);
    EXPECT_FALSE(VirtqSplitEnableInterruptsDelayed(rig.vq()));
    EXPECT_TRUE(VirtqSplitEnableInterruptsDelayed(nullptr));
}

TEST(VirtqSplitPoll, SaysWhetherTheDeviceWentOn) // 2.7.7, 2.7.14
{
    for (bool event_idx : {false, true}) {
        QueueRig rig({.event_idx = event_idx});
        VIRTQ_SPLIT *vq = rig.vq();
        VirtqSplitDisableInterrupts(vq);
        rig.Submit(rig.Segments(0, 1), Cookie(1));
        UINT16 position = VirtqSplitPrepareWait(vq);
        EXPECT_FALSE(VirtqSplitPoll(vq, position));
        EXPECT_FALSE(VirtqSplitPoll(vq, position));
        Finish(rig, 1);
        EXPECT_TRUE(rig.device->TakeInterrupt()); // PrepareWait asked for it
        EXPECT_TRUE(VirtqSplitPoll(vq, position));
        EXPECT_EQ(rig.Get().cookie, Cookie(1));
        EXPECT_FALSE(VirtqSplitPoll(vq, VirtqSplitPrepareWait(vq)));
    }
    EXPECT_EQ(VirtqSplitPrepareWait(nullptr), 0);
    EXPECT_FALSE(VirtqSplitPoll(nullptr, 0));
}

// The documented loop with a device that takes used->idx back before each look of
// GetUsed, and forth before each of an enable.
class VirtqSplitDrain : public ::testing::TestWithParam<bool> {
  protected:
    QueueRig rig{{.size = 4, .event_idx = GetParam()}};
    VIRTQ_SPLIT *vq = rig.vq();

    NTSTATUS GetBatch() {
        VIRTQ_COMPLETION out[4];
        UINT16 count;
        return VirtqSplitGetUsedBatch(vq, out, 4, &count);
    }
};

INSTANTIATE_TEST_SUITE_P(, VirtqSplitDrain, ::testing::Bool());

TEST_P(VirtqSplitDrain, EndsAlthoughTheIndexGoesToAndFro) // 2.7.8, 2.7.14
{
    BOOLEAN(*const enables[])
    (VIRTQ_SPLIT *) = {
        VirtqSplitEnableInterrupts, VirtqSplitEnableInterruptsDelayed, [](VIRTQ_SPLIT *vq) {
            return static_cast<BOOLEAN>(!VirtqSplitPoll(vq, VirtqSplitPrepareWait(vq)));
        }};
    for (auto *enable : enables) {
        for (bool batch : {false, true}) {
            rig.Submit(rig.Segments(0, 1), nullptr);
            NTSTATUS status;
            int rounds = 0;
            do {
                ASSERT_LT(rounds++, 2) << "rounds with one buffer outstanding";
                VirtqSplitDisableInterrupts(vq);
                rig.device->PutUsedIdx(0);
                status = batch ? GetBatch() : rig.Get().status;
                rig.device->PutUsedIdx(1);
            } while (!enable(vq));
            EXPECT_EQ(status, VIRTQ_STATUS_USED_IDX_AHEAD);
            EXPECT_EQ(VirtqSplitBrokenStatus(vq), VIRTQ_STATUS_USED_IDX_AHEAD);
            EXPECT_EQ(vq->last_used_idx, 0) << "nothing was taken, nor refused";
            void *cookie;
            EXPECT_EQ(VirtqSplitDetachUnused(vq, &cookie), STATUS_SUCCESS);
            EXPECT_EQ(VirtqSplitResetChecked(vq), STATUS_SUCCESS);
            rig.device->Reset();
        }
    }
}

TEST_P(VirtqSplitDrain, WhatWasSeenIsThereUntilGetUsedSaysOtherwise) // 2.7.14
{
    rig.Submit(rig.Segments(0, 1), nullptr);
    rig.device->PutUsedIdx(1);
    EXPECT_FALSE(VirtqSplitEnableInterrupts(vq));
    rig.device->PutUsedIdx(0);
    EXPECT_TRUE(VirtqSplitHasUsed(vq));
    EXPECT_TRUE(VirtqSplitEnableInterrupts(vq)) << "nothing is waiting now";
    EXPECT_TRUE(VirtqSplitHasUsed(vq));
    EXPECT_EQ(rig.Get().status, VIRTQ_STATUS_USED_IDX_AHEAD);
    EXPECT_FALSE(VirtqSplitHasUsed(vq));
}

// However long ago something was seen: what has been taken since is none of it.
TEST_P(VirtqSplitDrain, NothingIsFoundMissingThatWasTaken) // 2.7.14
{
    for (int round = 0; round < 66000; round++) {
        const UINT16 head = rig.Submit(rig.Segments(0, 1), nullptr);
        ASSERT_TRUE(rig.device->Pop());
        rig.device->Push(head, 0);
        if (round % 40000 == 0) {
            ASSERT_FALSE(VirtqSplitEnableInterrupts(vq));
        }
        ASSERT_EQ(round % 2 == 0 ? GetBatch() : rig.Get().status, STATUS_SUCCESS);
        if (round % 5000 == 0) {
            ASSERT_EQ(round % 4 < 2 ? GetBatch() : rig.Get().status, STATUS_NOT_FOUND);
        }
    }
}

TEST(VirtqSplitKickWhenFull, OverridesSuppressionOnce) // 2.7.10
{
    for (bool event_idx : {false, true}) {
        QueueRig rig({.size = 2, .event_idx = event_idx});
        VIRTQ_SPLIT *vq = rig.vq();
        UINT16 head;
        auto fill = [&] {
            while (rig.Add(rig.Segments(1, 0), nullptr, &head) == STATUS_SUCCESS) {
                VirtqSplitPublish(vq, head);
            }
        };
        rig.device->WantNotifications(false);
        fill();
        EXPECT_FALSE(rig.Kick()); // off at Init
        VirtqSplitSetKickWhenFull(vq, TRUE);
        EXPECT_FALSE(rig.Kick()); // full, but that was before
        fill();
        EXPECT_EQ(vq->num_added, 0);
        EXPECT_TRUE(rig.Kick());  // found no room: even with nothing new
        EXPECT_FALSE(rig.Kick()); // once
        VirtqSplitSetKickWhenFull(vq, FALSE);
        fill();
        EXPECT_FALSE(VirtqSplitKickPrepare(vq));
    }
    VirtqSplitSetKickWhenFull(nullptr, TRUE);
}

// regression: the commit settled it, too.
TEST(VirtqSplitKickWhenFull, WhatIsRefusedBetweenPrepareAndCommitIsNotLost) // 2.7.10
{
    for (UINT16 segments : {1, 2}) { // no descriptor left, and too few
        QueueRig rig({.size = segments});
        VIRTQ_SPLIT *vq = rig.vq();
        auto refuse = [&] {
            UINT16 head;
            EXPECT_EQ(rig.Add(rig.Segments(0, segments), nullptr, &head),
                      STATUS_INSUFFICIENT_RESOURCES);
        };
        VirtqSplitSetKickWhenFull(vq, TRUE);
        rig.device->WantNotifications(false);
        rig.Submit(rig.Segments(0, 1), nullptr);
        EXPECT_FALSE(VirtqSplitKickPrepare(vq));
        refuse();
        VirtqSplitKickCommit(vq);
        EXPECT_TRUE(VirtqSplitKickPrepare(vq));
        EXPECT_TRUE(VirtqSplitKickPrepare(vq)) << "until it is committed";
        VirtqSplitKickCommit(vq);
        EXPECT_FALSE(VirtqSplitKickPrepare(vq));
        // Refused, prepared, and refused again: the second one is not settled.
        refuse();
        EXPECT_TRUE(VirtqSplitKickPrepare(vq));
        refuse();
        VirtqSplitKickCommit(vq);
        EXPECT_TRUE(VirtqSplitKick(vq));
        EXPECT_FALSE(VirtqSplitKick(vq));
    }
}

TEST(VirtqSplitKickWhenFull, NotBeforeAnythingFoundNoRoom) // 2.7.10
{
    QueueRig rig({.size = 4});
    VirtqSplitSetKickWhenFull(rig.vq(), TRUE);
    EXPECT_FALSE(rig.Kick());

    UINT16 head;
    EXPECT_EQ(rig.Add(rig.Segments(4, 1), nullptr, &head), STATUS_INVALID_BUFFER_SIZE);
    ASSERT_EQ(rig.Add(rig.Segments(3, 1), nullptr, &head), STATUS_SUCCESS);
    EXPECT_EQ(rig.Add(rig.Segments(1, 0), nullptr, &head), STATUS_INSUFFICIENT_RESOURCES);
    void *cookie;
    ASSERT_EQ(VirtqSplitDetachUnused(rig.vq(), &cookie), STATUS_SUCCESS);
    ASSERT_EQ(VirtqSplitResetChecked(rig.vq()), STATUS_SUCCESS);
    EXPECT_FALSE(VirtqSplitKickPrepare(rig.vq())); // forgotten with the rest
}

TEST(VirtqSplitKickWhenFull, AlsoWhenOnlyALongerOneFindsNoRoom) // 2.7.10
{
    QueueRig rig({.size = 4});
    UINT16 head;
    rig.device->WantNotifications(false);
    VirtqSplitSetKickWhenFull(rig.vq(), TRUE);
    rig.Submit(rig.Segments(3, 0), nullptr);
    EXPECT_FALSE(rig.Kick());
    EXPECT_EQ(rig.Add(rig.Segments(2, 0), nullptr, &head), STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_TRUE(rig.Kick());
    EXPECT_FALSE(VirtqSplitKickPrepare(rig.vq()));
}

} // namespace
