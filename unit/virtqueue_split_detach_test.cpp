// SPDX-License-Identifier: MIT
//
// virtqueue_split_detach.cpp: buffers of a device that was reset.
#include "model/queue_rig.h"

using namespace vq7::model;

namespace {

TEST(VirtqSplitDetach, GivesEachBufferBackOnce) // 2.7, 3.3.1
{
    for (bool indirect : {false, true}) {
        QueueRig rig({.size = 16,
                      .indirect = indirect,
                      .tables = static_cast<UINT16>(indirect ? 3 : 0),
                      .table_size = 8});
        VIRTQ_SPLIT *vq = rig.vq();
        vq->indirect_threshold = 1;
        UINT16 head;
        rig.Submit(rig.Segments(1, 1), Cookie(1));               // the device has it
        UINT16 done = rig.Submit(rig.Segments(0, 1), Cookie(2)); // completed, taken back
        UINT16 used = rig.Submit(rig.Segments(2, 1), Cookie(3)); // completed, not taken back
        rig.Submit(rig.Segments(0, 2), nullptr);                 // a null cookie is one, too
        ASSERT_EQ(rig.Add(rig.Segments(1, 1), Cookie(5), &head), STATUS_SUCCESS); // not published
        for (int i = 0; i < 4; i++) {
            ASSERT_TRUE(rig.device->Pop());
        }
        rig.device->Push(done, 1);
        ASSERT_EQ(rig.Get().cookie, Cookie(2));
        rig.device->Push(used, 1);

        std::multiset<void *> expected = {Cookie(1), Cookie(3), nullptr, Cookie(5)}, got;
        void *cookie = Cookie(99);
        while (VirtqSplitDetachUnused(vq, &cookie) == STATUS_SUCCESS) {
            got.insert(cookie);
            ASSERT_LE(got.size(), 16u);
        }
        EXPECT_EQ(got, expected);
        EXPECT_EQ(cookie, nullptr);
        EXPECT_EQ(VirtqSplitNumFree(vq), 16);
        EXPECT_EQ(VirtqSplitInFlight(vq), 0);
        EXPECT_EQ(VirtqSplitDetachUnused(vq, &cookie), STATUS_NOT_FOUND);
        EXPECT_EQ(VirtqSplitResetChecked(vq), STATUS_SUCCESS);
        rig.device->Reset();
        UINT16 again = rig.Submit(rig.Segments(1, 1), Cookie(6));
        ASSERT_TRUE(rig.device->Pop());
        rig.device->Push(again, 2);
        EXPECT_EQ(rig.Get().cookie, Cookie(6));
        EXPECT_EQ(vq->indirect_num_free, indirect ? 3 : 0);
    }
}

TEST(VirtqSplitDetach, StopsTheQueueUntilReset) // 3.3.1
{
    QueueRig rig;
    void *cookie;
    UINT16 head;
    rig.Submit(rig.Segments(0, 1), Cookie(1));
    ASSERT_EQ(VirtqSplitDetachUnused(rig.vq(), &cookie), STATUS_SUCCESS);
    EXPECT_EQ(VirtqSplitBrokenStatus(rig.vq()), VIRTQ_STATUS_DETACHED);
    EXPECT_EQ(rig.Add(rig.Segments(0, 1), nullptr, &head), STATUS_INVALID_DEVICE_STATE);
    EXPECT_EQ(rig.Get().status, STATUS_INVALID_DEVICE_STATE);
    EXPECT_EQ(VirtqSplitResetChecked(rig.vq()), STATUS_SUCCESS);
    EXPECT_EQ(rig.Add(rig.Segments(0, 1), nullptr, &head), STATUS_SUCCESS);
}

TEST(VirtqSplitDetach, KeepsTheReasonWhyTheQueueIsBroken) // 3.3.1
{
    QueueRig rig;
    void *cookie;
    rig.Submit(rig.Segments(0, 1), Cookie(1));
    ASSERT_TRUE(rig.device->Pop());
    rig.device->PutUsed(0, 77, 0);
    rig.device->PutUsedIdx(1);
    ASSERT_EQ(rig.Get().status, VIRTQ_STATUS_USED_ID_RANGE);
    ASSERT_EQ(VirtqSplitDetachUnused(rig.vq(), &cookie), STATUS_SUCCESS);
    EXPECT_EQ(cookie, Cookie(1));
    EXPECT_EQ(VirtqSplitBrokenStatus(rig.vq()), VIRTQ_STATUS_USED_ID_RANGE);
    EXPECT_EQ(VirtqSplitResetChecked(rig.vq()), STATUS_SUCCESS);
}

TEST(VirtqSplitDetach, OfAnIdleQueueDoesNothing) // 3.3.1
{
    QueueRig rig;
    void *cookie = Cookie(1);
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(VirtqSplitDetachUnused(rig.vq(), &cookie), STATUS_NOT_FOUND);
        EXPECT_EQ(cookie, nullptr);
        EXPECT_FALSE(VirtqSplitIsBroken(rig.vq()));
        rig.Submit(rig.Segments(0, 1), Cookie(7));
        rig.device->Push(rig.device->Pop()->head, 0);
        EXPECT_EQ(rig.Get().cookie, Cookie(7));
    }
    rig.Submit(rig.Segments(0, 1), Cookie(8));
    EXPECT_EQ(VirtqSplitDetachUnused(rig.vq(), &cookie), STATUS_SUCCESS);
    EXPECT_EQ(cookie, Cookie(8));
    EXPECT_EQ(VirtqSplitDetachUnused(nullptr, &cookie), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtqSplitDetachUnused(rig.vq(), nullptr), STATUS_INVALID_PARAMETER);
}

TEST(VirtqSplitReset, WithBuffersLeftIsAnError) // 3.3.1: buffers are the device's until it is reset
{
    QueueRig rig;
    VIRTQ_SPLIT *vq = rig.vq();
    rig.Submit(rig.Segments(0, 1), Cookie(1));
    VirtqSplitReset(vq);
    EXPECT_EQ(VirtqSplitBrokenStatus(vq), VIRTQ_STATUS_BUFFERS_LEFT);
    EXPECT_EQ(VirtqSplitMisuseCount(vq), 1u);
    EXPECT_EQ(VirtqSplitLastMisuse(vq), VIRTQ_STATUS_BUFFERS_LEFT);
    EXPECT_EQ(VirtqSplitInFlight(vq), 1);
    void *cookie;
    EXPECT_EQ(VirtqSplitDetachUnused(vq, &cookie), STATUS_SUCCESS);
    EXPECT_EQ(cookie, Cookie(1)); // nothing was lost
    EXPECT_EQ(VirtqSplitBrokenStatus(vq), VIRTQ_STATUS_BUFFERS_LEFT);
    EXPECT_EQ(VirtqSplitResetChecked(vq), STATUS_SUCCESS);
    EXPECT_FALSE(VirtqSplitIsBroken(vq));
}

} // namespace
