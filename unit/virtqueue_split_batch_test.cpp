// SPDX-License-Identifier: MIT
//
// virtqueue_split_batch.cpp: many buffers in one call.
#include "model/queue_rig.h"

using namespace vq7::model;

namespace {

struct Batch {
    std::vector<std::vector<VIRTQ_SG>> lists;
    std::vector<VIRTQ_BUFFER> buffers;
    std::vector<UINT16> heads;

    Batch(QueueRig &rig, unsigned count, size_t first_cookie) : heads(count, 0xEEEE) {
        for (unsigned i = 0; i < count; i++) {
            lists.push_back(rig.Segments(1, i % 2));
        }
        for (unsigned i = 0; i < count; i++) {
            buffers.push_back(
                {lists[i].data(), static_cast<UINT16>(lists[i].size()), Cookie(first_cookie + i)});
        }
    }
};

TEST(VirtqSplitBatch, AddPublishGet) // 2.7.13, 2.7.14
{
    for (bool event_idx : {false, true}) {
        QueueRig rig({.size = 16, .event_idx = event_idx});
        VIRTQ_SPLIT *vq = rig.vq();
        for (UINT32 round = 0; round < 7000; round++) {
            Batch batch(rig, 10, 100);
            UINT16 added = 0;
            ASSERT_EQ(VirtqSplitAddBatch(vq, batch.buffers.data(), 10, batch.heads.data(), &added),
                      STATUS_SUCCESS);
            ASSERT_EQ(added, 10);
            ASSERT_FALSE(rig.device->Pop());
            ASSERT_EQ(VirtqSplitPublishBatch(vq, batch.heads.data(), added), STATUS_SUCCESS);
            ASSERT_EQ(vq->num_added, 10);
            for (UINT16 i = 0; i < 10; i++) {
                auto chain = rig.device->Pop();
                ASSERT_TRUE(chain);
                ASSERT_EQ(chain->head, batch.heads[i]); // in the order given
                rig.device->Push(chain->head, chain->Writable() != 0 ? i : 0);
            }
            rig.Kick();
            VIRTQ_COMPLETION out[7];
            UINT16 count = 0;
            ASSERT_EQ(VirtqSplitGetUsedBatch(vq, out, 7, &count), STATUS_SUCCESS);
            ASSERT_EQ(count, 7);
            ASSERT_EQ(out[3].cookie, Cookie(103));
            ASSERT_EQ(out[3].len, 3u);
            ASSERT_EQ(VirtqSplitGetUsedBatch(vq, out, 7, &count), STATUS_SUCCESS);
            ASSERT_EQ(count, 3);
            ASSERT_EQ(out[2].cookie, Cookie(109));
            if (event_idx) {
                ASSERT_EQ(rig.device->UsedEvent(), vq->last_used_idx);
            }
            ASSERT_EQ(VirtqSplitGetUsedBatch(vq, out, 7, &count), STATUS_NOT_FOUND);
            ASSERT_EQ(count, 0);
        }
    }
}

TEST(VirtqSplitBatch, SubmitAddsAndPublishesAtOnce) // 2.7.13
{
    for (bool event_idx : {false, true}) {
        QueueRig rig({.size = 16, .event_idx = event_idx});
        VIRTQ_SPLIT *vq = rig.vq();
        for (UINT32 round = 0; round < 7000; round++) { // past the end of 16-bit indices
            Batch batch(rig, 10, 100);
            UINT16 submitted = 0;
            ASSERT_EQ(VirtqSplitSubmitBatch(vq, batch.buffers.data(), 10, &submitted),
                      STATUS_SUCCESS);
            ASSERT_EQ(submitted, 10);
            ASSERT_EQ(VirtqSplitInFlight(vq), 10);
            ASSERT_EQ(vq->num_added, 10);
            for (UINT16 i = 0; i < 10; i++) {
                auto chain = rig.device->Pop();
                ASSERT_TRUE(chain);
                ASSERT_EQ(chain->segments.size(), batch.lists[i].size()); // in the order given
                ASSERT_EQ(chain->segments[0].address, batch.lists[i][0].addr);
                rig.device->Push(chain->head, 0);
            }
            ASSERT_FALSE(rig.device->Pop());
            VirtqSplitKickPrepare(vq);
            VirtqSplitKickCommit(vq);
            for (UINT16 i = 0; i < 10; i++) {
                void *cookie;
                UINT32 len;
                ASSERT_EQ(VirtqSplitGetUsed(vq, &cookie, &len), STATUS_SUCCESS);
                ASSERT_EQ(cookie, Cookie(100 + i));
            }
        }
    }
}

TEST(VirtqSplitBatch, SubmitPublishesWhatCameBeforeTheFirstRefused) // 2.7.13.1
{
    QueueRig rig({.size = 4});
    Batch batch(rig, 4, 1); // 1 + 2 + 1 + 2 descriptors
    UINT16 submitted = 99;
    EXPECT_EQ(VirtqSplitSubmitBatch(rig.vq(), batch.buffers.data(), 4, &submitted),
              STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_EQ(submitted, 3);
    EXPECT_EQ(VirtqSplitInFlight(rig.vq()), 3);
    for (int i = 0; i < 3; i++) {
        EXPECT_TRUE(rig.device->Pop());
    }
    EXPECT_FALSE(rig.device->Pop());
    EXPECT_EQ(VirtqSplitSubmitBatch(rig.vq(), batch.buffers.data(), 1, &submitted),
              STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_EQ(submitted, 0);
    EXPECT_FALSE(rig.device->Pop());

    QueueRig other({.size = 8});
    Batch bad(other, 3, 1);
    bad.buffers[1].sg_count = 0;
    EXPECT_EQ(VirtqSplitSubmitBatch(other.vq(), bad.buffers.data(), 3, &submitted),
              STATUS_INVALID_PARAMETER);
    EXPECT_EQ(submitted, 1);
    EXPECT_TRUE(other.device->Pop());
    EXPECT_FALSE(other.device->Pop());
}

TEST(VirtqSplitBatch, SubmitCannotBePublishedAgain) // 2.7.13.2
{
    QueueRig rig({.size = 8});
    VIRTQ_SPLIT *vq = rig.vq();
    Batch batch(rig, 2, 1);
    UINT16 submitted;
    ASSERT_EQ(VirtqSplitSubmitBatch(vq, batch.buffers.data(), 2, &submitted), STATUS_SUCCESS);
    auto chain = rig.device->Pop();
    ASSERT_TRUE(chain);
    EXPECT_EQ(VirtqSplitPublishChecked(vq, chain->head), VIRTQ_STATUS_NOT_ADDED);
    EXPECT_EQ(VirtqSplitInFlight(vq), 2);
}

TEST(VirtqSplitBatch, SubmitRefusesWhatItCannotUse) {
    QueueRig rig;
    VIRTQ_SPLIT *vq = rig.vq();
    Batch batch(rig, 1, 1);
    UINT16 n = 9;
    EXPECT_EQ(VirtqSplitSubmitBatch(vq, batch.buffers.data(), 1, nullptr),
              STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtqSplitSubmitBatch(nullptr, batch.buffers.data(), 1, &n),
              STATUS_INVALID_PARAMETER);
    EXPECT_EQ(n, 0);
    n = 9;
    EXPECT_EQ(VirtqSplitSubmitBatch(vq, nullptr, 1, &n), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(n, 0);
    EXPECT_EQ(VirtqSplitSubmitBatch(vq, batch.buffers.data(), 0, &n), STATUS_SUCCESS);
    EXPECT_EQ(n, 0);
    EXPECT_EQ(vq->num_added, 0);
    rig.Submit(rig.Segments(0, 1), Cookie(7));
    void *cookie;
    ASSERT_EQ(VirtqSplitDetachUnused(vq, &cookie), STATUS_SUCCESS);
    EXPECT_EQ(VirtqSplitSubmitBatch(vq, batch.buffers.data(), 1, &n), STATUS_INVALID_DEVICE_STATE);
    EXPECT_EQ(n, 0);
}

TEST(VirtqSplitBatch, AddStopsAtTheFirstRefused) // 2.7.13.1
{
    QueueRig rig({.size = 4});
    Batch batch(rig, 4, 1); // 1 + 2 + 1 + 2 descriptors
    UINT16 added = 99;
    EXPECT_EQ(VirtqSplitAddBatch(rig.vq(), batch.buffers.data(), 4, batch.heads.data(), &added),
              STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_EQ(added, 3);
    EXPECT_EQ(batch.heads[3], 0xEEEE);
    EXPECT_EQ(VirtqSplitPublishBatch(rig.vq(), batch.heads.data(), added), STATUS_SUCCESS);
    EXPECT_EQ(VirtqSplitInFlight(rig.vq()), 3);

    QueueRig other({.size = 8});
    Batch bad(other, 3, 1);
    bad.lists[1][0].len = 0;
    EXPECT_EQ(VirtqSplitAddBatch(other.vq(), bad.buffers.data(), 3, bad.heads.data(), &added),
              STATUS_INVALID_PARAMETER);
    EXPECT_EQ(added, 1);
}

TEST(VirtqSplitBatch, PublishIsAllOrNothing) // 2.7.13.2, 2.7.13.3
{
    QueueRig rig({.size = 8});
    VIRTQ_SPLIT *vq = rig.vq();
    Batch batch(rig, 3, 1);
    UINT16 added;
    ASSERT_EQ(VirtqSplitAddBatch(vq, batch.buffers.data(), 3, batch.heads.data(), &added),
              STATUS_SUCCESS);
    UINT16 twice[] = {batch.heads[0], batch.heads[1], batch.heads[0]};
    EXPECT_EQ(VirtqSplitPublishBatch(vq, twice, 3), VIRTQ_STATUS_NOT_ADDED);
    EXPECT_EQ(VirtqSplitMisuseCount(vq), 1u);
    EXPECT_FALSE(rig.device->Pop());
    EXPECT_EQ(VirtqSplitInFlight(vq), 0);
    EXPECT_EQ(VirtqSplitPublishBatch(vq, batch.heads.data(), 0), STATUS_SUCCESS);
    EXPECT_EQ(VirtqSplitPublishBatch(vq, batch.heads.data(), 3), STATUS_SUCCESS);
    EXPECT_EQ(VirtqSplitInFlight(vq), 3);
    EXPECT_EQ(VirtqSplitPublishBatch(nullptr, batch.heads.data(), 1), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtqSplitPublishBatch(vq, nullptr, 1), STATUS_INVALID_PARAMETER);
}

TEST(VirtqSplitBatch, BadEntryBehindGoodOnesComesNextTime) // 2.7.8
{
    QueueRig rig({.size = 8});
    VIRTQ_SPLIT *vq = rig.vq();
    UINT16 a = rig.Submit(rig.Segments(0, 1), Cookie(1));
    rig.Submit(rig.Segments(0, 1), Cookie(2));
    rig.device->Pop();
    rig.device->Pop();
    rig.device->Push(a, 1);
    rig.device->Push(99, 1);
    VIRTQ_COMPLETION out[4];
    UINT16 count;
    EXPECT_EQ(VirtqSplitGetUsedBatch(vq, out, 4, &count), STATUS_SUCCESS);
    EXPECT_EQ(count, 1);
    EXPECT_EQ(out[0].cookie, Cookie(1));
    EXPECT_FALSE(VirtqSplitIsBroken(vq));
    EXPECT_EQ(VirtqSplitGetUsedBatch(vq, out, 4, &count), VIRTQ_STATUS_USED_ID_RANGE);
    EXPECT_EQ(count, 0);
    EXPECT_EQ(VirtqSplitBrokenStatus(vq), VIRTQ_STATUS_USED_ID_RANGE);
    EXPECT_EQ(VirtqSplitGetUsedBatch(vq, out, 4, &count), STATUS_INVALID_DEVICE_STATE);
    EXPECT_EQ(VirtqSplitPublishBatch(vq, &a, 1), STATUS_INVALID_DEVICE_STATE);
    void *cookie;
    EXPECT_EQ(VirtqSplitDetachUnused(vq, &cookie), STATUS_SUCCESS);
    EXPECT_EQ(cookie, Cookie(2));
}

TEST(VirtqSplitBatch, ManyTakenAtOnceGiveBackTheirTables) // 2.7.5.3, 2.7.14
{
    QueueRig rig({.size = 8, .indirect = true, .tables = 3, .table_size = 4});
    VIRTQ_SPLIT *vq = rig.vq();
    vq->indirect_threshold = 1;
    for (int round = 0; round < 3; round++) {
        for (UINT32 i = 0; i < 3; i++) {
            rig.Submit(rig.Segments(1, 3), Cookie(i)); // a fourth of them needs a table
            auto chain = rig.device->Pop();
            ASSERT_TRUE(chain);
            rig.device->Push(chain->head, i);
        }
        ASSERT_EQ(vq->num_free, 5);
        VIRTQ_COMPLETION out[4];
        UINT16 count;
        ASSERT_EQ(VirtqSplitGetUsedBatch(vq, out, 4, &count), STATUS_SUCCESS);
        ASSERT_EQ(count, 3);
        ASSERT_EQ(out[2].cookie, Cookie(2));
    }
}

TEST(VirtqSplitBatch, AsManyAreTakenAsThereIsRoomFor) // 2.7.14
{
    for (UINT16 waiting : {1, 2, 3, 4}) {
        for (UINT16 cap : {1, 2, 3, 4}) {
            QueueRig rig({.size = 4});
            for (UINT32 i = 0; i < waiting; i++) {
                rig.device->Push(rig.Submit(rig.Segments(0, 1), Cookie(i)), 0);
            }
            VIRTQ_COMPLETION out[5] = {};
            UINT16 count;
            ASSERT_EQ(VirtqSplitGetUsedBatch(rig.vq(), out, cap, &count), STATUS_SUCCESS);
            EXPECT_EQ(count, std::min(waiting, cap));
            EXPECT_EQ(out[count - 1].cookie, Cookie(count - 1u));
            EXPECT_EQ(out[count].cookie, nullptr);
            EXPECT_EQ(VirtqSplitInFlight(rig.vq()), waiting - count);
        }
    }
}

TEST(VirtqSplitBatch, OneOfManyTakenAtOnceAgain) // 2.7.8
{
    QueueRig rig({.size = 8});
    UINT16 heads[3];
    for (UINT32 i = 0; i < 3; i++) {
        heads[i] = rig.Submit(rig.Segments(0, 1), Cookie(i));
    }
    rig.device->Push(heads[0], 0);
    rig.device->Push(heads[1], 0);
    VIRTQ_COMPLETION out[4];
    UINT16 count;
    ASSERT_EQ(VirtqSplitGetUsedBatch(rig.vq(), out, 4, &count), STATUS_SUCCESS);
    ASSERT_EQ(count, 2);
    rig.device->Push(heads[1], 0);
    EXPECT_EQ(VirtqSplitGetUsedBatch(rig.vq(), out, 4, &count), VIRTQ_STATUS_USED_TWICE);
}

TEST(VirtqSplitBatch, HeadsThatNeverWereAreRefused) // 2.7.13.2
{
    for (UINT16 head : {8, 9, 0x7FFF, 0xFFFF}) {
        QueueRig rig({.size = 8});
        EXPECT_EQ(VirtqSplitPublishBatch(rig.vq(), &head, 1), VIRTQ_STATUS_NOT_ADDED);
        EXPECT_EQ(VirtqSplitPublishChecked(rig.vq(), head), VIRTQ_STATUS_NOT_ADDED);
    }
}

TEST(VirtqSplitBatch, BadParameters) {
    QueueRig rig;
    Batch batch(rig, 1, 1);
    VIRTQ_COMPLETION out[1];
    UINT16 n = 9;
    VIRTQ_SPLIT *vq = rig.vq();
    EXPECT_EQ(VirtqSplitAddBatch(nullptr, batch.buffers.data(), 1, batch.heads.data(), &n),
              STATUS_INVALID_PARAMETER);
    EXPECT_EQ(n, 0);
    EXPECT_EQ(VirtqSplitAddBatch(vq, nullptr, 1, batch.heads.data(), &n), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtqSplitAddBatch(vq, batch.buffers.data(), 0, batch.heads.data(), &n),
              STATUS_SUCCESS);
    EXPECT_EQ(VirtqSplitAddBatch(vq, batch.buffers.data(), 1, nullptr, &n),
              STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtqSplitAddBatch(vq, batch.buffers.data(), 1, batch.heads.data(), nullptr),
              STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtqSplitGetUsedBatch(nullptr, out, 1, &n), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtqSplitGetUsedBatch(vq, nullptr, 1, &n), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtqSplitGetUsedBatch(vq, out, 0, &n), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtqSplitGetUsedBatch(vq, out, 1, nullptr), STATUS_INVALID_PARAMETER);
}

TEST(VirtqSplitBatch, ABufferWithoutSegmentsEndsTheBatch) // 2.7.13.1
{
    for (bool null : {false, true}) {
        QueueRig rig({.size = 8});
        Batch batch(rig, 3, 1);
        if (null) {
            batch.buffers[1].sg = nullptr;
        } else {
            batch.buffers[1].sg_count = 0;
        }
        UINT16 added = 9;
        EXPECT_EQ(VirtqSplitAddBatch(rig.vq(), batch.buffers.data(), 3, batch.heads.data(), &added),
                  STATUS_INVALID_PARAMETER);
        EXPECT_EQ(added, 1);
        EXPECT_EQ(batch.heads[1], 0xEEEE);
    }
}

TEST(VirtqSplitBatch, ABrokenQueueTakesNone) // 2.7.8
{
    QueueRig rig({.size = 8});
    Batch batch(rig, 2, 1);
    void *cookie;
    EXPECT_EQ(VirtqSplitDetachUnused(rig.vq(), &cookie), STATUS_NOT_FOUND);
    UINT16 head;
    ASSERT_EQ(rig.Add(rig.Segments(0, 1), nullptr, &head), STATUS_SUCCESS);
    ASSERT_EQ(VirtqSplitDetachUnused(rig.vq(), &cookie), STATUS_SUCCESS);
    for (UINT16 count : {0, 1, 2}) {
        UINT16 added = 9;
        EXPECT_EQ(
            VirtqSplitAddBatch(rig.vq(), batch.buffers.data(), count, batch.heads.data(), &added),
            STATUS_INVALID_DEVICE_STATE);
        EXPECT_EQ(added, 0);
        added = 9;
        EXPECT_EQ(VirtqSplitSubmitBatch(rig.vq(), batch.buffers.data(), count, &added),
                  STATUS_INVALID_DEVICE_STATE);
        EXPECT_EQ(added, 0);
    }
}

} // namespace
