// SPDX-License-Identifier: MIT
//
// virtqueue_split.cpp: publishing and getting back, with a device that keeps the
// rules. One that doesn't is in virtqueue_split_trust_test.cpp.
#include <deque>
#include <random>

#include "model/queue_rig.h"

using namespace vq7::model;

namespace {

struct Shape {
    bool event_idx;
    bool indirect;
    bool separate_areas;
};

class AnyQueue : public ::testing::TestWithParam<Shape> {
  protected:
    QueueOptions Options(UINT16 size) {
        return {.size = size,
                .event_idx = GetParam().event_idx,
                .indirect = GetParam().indirect,
                .tables = static_cast<UINT16>(GetParam().indirect ? size : 0),
                .table_size = size,
                .separate_areas = GetParam().separate_areas};
    }
};

INSTANTIATE_TEST_SUITE_P(Shapes, AnyQueue,
                         ::testing::Values(Shape{false, false, false}, Shape{true, false, false},
                                           Shape{false, true, false}, Shape{true, true, true},
                                           Shape{false, false, true}),
                         [](const auto &info) {
                             return std::string(info.param.event_idx ? "EventIdx" : "Flags") +
                                    (info.param.indirect ? "Indirect" : "Direct") +
                                    (info.param.separate_areas ? "Areas" : "Contiguous");
                         });

TEST_P(AnyQueue, DeviceSeesExactlyTheSegmentsGiven) // 2.7.13.1
{
    QueueRig rig(Options(8));
    rig.vq()->indirect_threshold = 2;
    for (unsigned readable = 0; readable <= 8; readable++) {
        for (unsigned writable = 0; readable + writable <= 8; writable++) {
            if (readable + writable == 0) {
                continue;
            }
            auto sg = rig.Segments(readable, writable);
            UINT16 head = rig.Submit(sg, Cookie(7));
            auto chain = rig.device->Pop();
            ASSERT_TRUE(chain);
            EXPECT_EQ(chain->head, head);
            EXPECT_EQ(chain->indirect, GetParam().indirect && readable + writable > 2);
            ExpectSame(*chain, sg);
            rig.device->Push(head, static_cast<UINT32>(chain->Writable()));
            Used used = rig.Get();
            EXPECT_EQ(used.status, STATUS_SUCCESS);
            EXPECT_EQ(used.cookie, Cookie(7));
            EXPECT_EQ(used.length, chain->Writable());
            EXPECT_EQ(rig.vq()->num_free, 8);
        }
    }
}

TEST_P(AnyQueue, NothingIsVisibleBeforePublish) // 2.7.13.2
{
    QueueRig rig(Options(4));
    UINT16 a = 0, b = 0;
    ASSERT_EQ(rig.Add(rig.Segments(1, 0), Cookie(1), &a), STATUS_SUCCESS);
    ASSERT_EQ(rig.Add(rig.Segments(0, 1), Cookie(2), &b), STATUS_SUCCESS);
    EXPECT_NE(a, b);
    EXPECT_FALSE(rig.device->Pop());
    EXPECT_EQ(VirtqSplitInFlight(rig.vq()), 0);
    VirtqSplitPublish(rig.vq(), b);
    EXPECT_EQ(rig.vq()->avail_idx, 1);
    auto first = rig.device->Pop();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->head, b);
    EXPECT_FALSE(rig.device->Pop());
    VirtqSplitPublish(rig.vq(), a);
    auto second = rig.device->Pop();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->head, a);
    EXPECT_EQ(VirtqSplitInFlight(rig.vq()), 2);
}

TEST_P(AnyQueue, AnyOrderOfCompletionAndIndexWrap) // 2.7.8, 2.7.13
{
    QueueRig rig(Options(16));
    rig.vq()->indirect_threshold = 1;
    rig.StartAt(0xFFF0);
    std::mt19937 random(1);
    struct Pending {
        UINT16 head;
        void *cookie;
    };
    std::vector<Pending> device_has;
    std::deque<Used> expected;
    std::map<UINT16, void *> cookies;
    size_t next = 1, done = 0;
    while (done < 70000) {
        unsigned n = 1 + random() % 4;
        if (n <= rig.vq()->num_free && device_has.size() < 16) {
            unsigned readable = random() % (n + 1);
            UINT16 head = rig.Submit(rig.Segments(readable, n - readable), Cookie(next));
            cookies[head] = Cookie(next++);
        }
        while (auto chain = rig.device->Pop()) {
            device_has.push_back({chain->head, cookies[chain->head]});
        }
        while (!device_has.empty() && random() % 2 == 0) {
            size_t pick = random() % device_has.size();
            rig.device->Push(device_has[pick].head, 0);
            expected.push_back({STATUS_SUCCESS, device_has[pick].cookie, 0});
            device_has.erase(device_has.begin() + static_cast<long>(pick));
        }
        while (!expected.empty()) {
            Used used = rig.Get();
            ASSERT_EQ(used.status, STATUS_SUCCESS);
            ASSERT_EQ(used.cookie, expected.front().cookie);
            expected.pop_front();
            done++;
        }
        ASSERT_EQ(rig.Get().status, STATUS_NOT_FOUND);
        ASSERT_EQ(VirtqSplitInFlight(rig.vq()), device_has.size());
    }
}

TEST_P(AnyQueue, FullQueueSaysSoAndChangesNothing) // 2.7.13.1
{
    QueueRig rig(Options(4));
    std::vector<UINT16> heads;
    for (UINT16 i = 0; i < 4; i++) {
        heads.push_back(rig.Submit(rig.Segments(0, 1), Cookie(i)));
    }
    UINT16 head = 0x1234;
    EXPECT_EQ(rig.Add(rig.Segments(0, 1), Cookie(9), &head), STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_EQ(head, 0x1234);
    EXPECT_EQ(VirtqSplitNumFree(rig.vq()), 0);
    for (UINT16 i = 0; i < 4; i++) {
        ASSERT_TRUE(rig.device->Pop());
    }
    rig.device->Push(heads[2], 64);
    EXPECT_EQ(rig.Get().cookie, Cookie(2));
    EXPECT_EQ(rig.Submit(rig.Segments(0, 1), Cookie(5)), heads[2]);
}

TEST(VirtqSplitPublish, OnceAndOnlyWhatWasAdded) // 2.7.13
{
    QueueRig rig({.size = 8});
    VIRTQ_SPLIT *vq = rig.vq();
    EXPECT_EQ(VirtqSplitPublishChecked(vq, 0), VIRTQ_STATUS_NOT_ADDED);
    EXPECT_EQ(VirtqSplitPublishChecked(vq, 8), VIRTQ_STATUS_NOT_ADDED);
    EXPECT_EQ(VirtqSplitPublishChecked(vq, VIRTQ_SPLIT_NO_DESC), VIRTQ_STATUS_NOT_ADDED);
    EXPECT_EQ(VirtqSplitPublishChecked(nullptr, 0), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtqSplitMisuseCount(vq), 3u);
    UINT16 head;
    ASSERT_EQ(rig.Add(rig.Segments(2, 1), Cookie(1), &head), STATUS_SUCCESS);
    EXPECT_EQ(VirtqSplitPublishChecked(vq, static_cast<UINT16>(head + 1)), // inside the chain
              VIRTQ_STATUS_NOT_ADDED);
    EXPECT_EQ(VirtqSplitPublishChecked(vq, head), STATUS_SUCCESS);
    VirtqSplitPublish(vq, head); // twice
    EXPECT_EQ(VirtqSplitMisuseCount(vq), 5u);
    EXPECT_EQ(VirtqSplitLastMisuse(vq), VIRTQ_STATUS_NOT_ADDED);
    EXPECT_EQ(rig.device->AvailIdx(), 1);
    EXPECT_EQ(vq->num_added, 1);
    EXPECT_EQ(VirtqSplitInFlight(vq), 1);
    ASSERT_TRUE(rig.device->Pop());
    rig.device->Push(head, 0);
    ASSERT_EQ(rig.Get().status, STATUS_SUCCESS);
    EXPECT_EQ(VirtqSplitPublishChecked(vq, head), VIRTQ_STATUS_NOT_ADDED); // completed
    EXPECT_FALSE(VirtqSplitIsBroken(vq));
}

TEST(VirtqSplitGetUsed, NothingThere) // 2.7.14
{
    QueueRig rig;
    void *cookie = Cookie(1);
    UINT32 length = 1;
    EXPECT_EQ(VirtqSplitGetUsed(rig.vq(), &cookie, &length), STATUS_NOT_FOUND);
    EXPECT_EQ(cookie, nullptr);
    EXPECT_EQ(length, 0u);
    EXPECT_FALSE(VirtqSplitHasUsed(rig.vq()));
    EXPECT_FALSE(VirtqSplitHasUsed(nullptr));
    EXPECT_EQ(VirtqSplitGetUsed(nullptr, &cookie, &length), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtqSplitGetUsed(rig.vq(), nullptr, &length), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtqSplitGetUsed(rig.vq(), &cookie, nullptr), STATUS_INVALID_PARAMETER);
}

TEST(VirtqSplitGetUsed, TheLoopOfTheReadme) // 2.7.14
{
    QueueRig rig({.size = 8, .event_idx = true});
    for (UINT16 i = 0; i < 5; i++) {
        rig.Submit(rig.Segments(0, 1), Cookie(i));
        rig.device->Push(rig.device->Pop()->head, i);
    }
    UINT16 seen = 0;
    while (VirtqSplitHasUsed(rig.vq())) {
        void *cookie;
        UINT32 length;
        if (NT_SUCCESS(VirtqSplitGetUsed(rig.vq(), &cookie, &length))) {
            EXPECT_EQ(cookie, Cookie(seen));
            EXPECT_EQ(length, seen);
            seen++;
        }
    }
    EXPECT_EQ(seen, 5);
}

} // namespace
