// SPDX-License-Identifier: MIT
//
// virtqueue_split.cpp: kicks and interrupts (Virtio 1.2, 2.7.7, 2.7.10).
#include <random>

#include "model/queue_rig.h"

using namespace vq7::model;

namespace {

// Finishes everything, so that the queue never fills.
void Drain(QueueRig &rig) {
    while (auto chain = rig.device->Pop()) {
        rig.device->Push(chain->head, 0);
    }
    while (rig.Get().status == STATUS_SUCCESS) {
    }
}

TEST(VirtqNeedEvent, IsTheSpecificationsFormula) // 2.7.10.1: for every step and event
{
    for (UINT32 old_idx : {0u, 1u, 0x7FFFu, 0xFFFEu, 0xFFFFu}) {
        for (UINT32 step : {0u, 1u, 2u, 3u, 255u, 32768u, 65535u}) {
            for (UINT32 event = 0; event <= 0xFFFF;
                 event += (event < 8 || event > 65520) ? 1 : 97) {
                // The event is passed if it is one of old, old+1, ... old+step-1.
                bool passed = ((event - old_idx) & 0xFFFF) < step;
                EXPECT_EQ(VirtqNeedEvent((UINT16)event, (UINT16)(old_idx + step), (UINT16)old_idx),
                          passed ? TRUE : FALSE)
                    << old_idx << " " << step << " " << event;
            }
        }
    }
}

TEST(VirtqSplitKick, NothingPublishedNothingToSay) // 2.7.13.4
{
    for (bool event_idx : {false, true}) {
        QueueRig rig({.event_idx = event_idx});
        EXPECT_FALSE(rig.Kick());
        UINT16 head;
        ASSERT_EQ(rig.Add(rig.Segments(1, 0), nullptr, &head), STATUS_SUCCESS);
        EXPECT_FALSE(rig.Kick()); // added is not published
    }
    EXPECT_FALSE(VirtqSplitKickPrepare(nullptr));
    VirtqSplitKickCommit(nullptr);
    EXPECT_FALSE(VirtqSplitKick(nullptr));
}

TEST(VirtqSplitKick, WithoutEventIdxTheFlagDecides) // 2.7.10
{
    QueueRig rig;
    rig.Submit(rig.Segments(1, 0), nullptr);
    EXPECT_TRUE(rig.Kick());
    EXPECT_FALSE(rig.Kick()); // settled
    rig.device->WantNotifications(false);
    rig.Submit(rig.Segments(1, 0), nullptr);
    EXPECT_FALSE(rig.Kick());
    rig.device->WantNotifications(true);
    EXPECT_FALSE(rig.Kick()); // that one is the device's to find
    rig.Submit(rig.Segments(1, 0), nullptr);
    EXPECT_TRUE(rig.Kick());
    // Only bit 0 counts: "drivers MUST ignore" others (2.7.10.1), and avail_event.
    rig.Memory().Store16(rig.device->UsedFlagsAt(), 0xFFFE);
    rig.device->SetAvailEvent(0x4000);
    rig.Submit(rig.Segments(1, 0), nullptr);
    EXPECT_TRUE(rig.Kick());
}

TEST(VirtqSplitKick, WithEventIdxTheEventDecides) // 2.7.10.1
{
    QueueRig rig({.event_idx = true});
    rig.device->SetAvailEvent(0);
    rig.Submit(rig.Segments(1, 0), nullptr); // 0 -> 1 passes 0
    EXPECT_TRUE(rig.Kick());
    rig.device->SetAvailEvent(2);
    rig.Submit(rig.Segments(1, 0), nullptr); // 1 -> 2
    EXPECT_FALSE(rig.Kick());
    rig.Submit(rig.Segments(1, 0), nullptr); // 2 -> 3 passes 2
    EXPECT_TRUE(rig.Kick());
    // used->flags is not looked at with EVENT_IDX (2.7.10.1).
    rig.Memory().Store16(rig.device->UsedFlagsAt(), 1);
    rig.device->SetAvailEvent(3);
    rig.Submit(rig.Segments(1, 0), nullptr);
    EXPECT_TRUE(rig.Kick());
}

TEST(VirtqSplitKick, ManyPublishesAreOneStep) // 2.7.10.1
{
    for (UINT16 start : {0, 0xFFFC, 0xFFFF}) {
        for (int event = -2; event < 8; event++) {
            QueueRig rig({.size = 8, .event_idx = true});
            rig.StartAt(start);
            rig.device->SetAvailEvent(static_cast<UINT16>(start + event));
            for (int i = 0; i < 5; i++) {
                rig.Submit(rig.Segments(1, 0), nullptr);
            }
            EXPECT_EQ(rig.vq()->num_added, 5);
            EXPECT_EQ(rig.Kick(), event >= 0 && event < 5) << event;
            EXPECT_EQ(rig.vq()->num_added, 0);
        }
    }
}

TEST(VirtqSplitKick, PublishesBetweenPrepareAndCommitAreNotLost) // 2.7.13.4.1
{
    QueueRig rig({.event_idx = true});
    rig.device->SetAvailEvent(100);
    rig.Submit(rig.Segments(1, 0), nullptr);
    EXPECT_FALSE(VirtqSplitKickPrepare(rig.vq()));
    rig.device->SetAvailEvent(1); // the device went to sleep; entry 1 is to wake it
    rig.Submit(rig.Segments(1, 0), nullptr);
    VirtqSplitKickCommit(rig.vq());
    EXPECT_EQ(rig.vq()->num_added, 1);
    EXPECT_TRUE(rig.Kick());
    EXPECT_EQ(rig.vq()->num_added, 0);
    VirtqSplitKickCommit(rig.vq());
    EXPECT_EQ(rig.vq()->num_added, 0);
}

TEST(VirtqSplitKick, ACommitWithoutPrepareSettlesNothing) // 2.7.13.4.1
{
    QueueRig rig({.size = 16, .event_idx = true});
    VirtqSplitKickCommit(rig.vq());
    EXPECT_FALSE(VirtqSplitKickPrepare(rig.vq())); // nothing was published
    for (int i = 0; i < 65537; i++) {              // more than can be counted, and then a reset
        rig.Submit({{0x1000, 8, FALSE}}, nullptr);
        Drain(rig);
    }
    ASSERT_EQ(VirtqSplitResetChecked(rig.vq()), STATUS_SUCCESS);
    rig.device->Reset();
    VirtqSplitKickCommit(rig.vq());
    EXPECT_FALSE(VirtqSplitKickPrepare(rig.vq()));
    ASSERT_EQ(VirtqSplitResetChecked(rig.vq()), STATUS_SUCCESS);
    rig.device->Reset();
    rig.device->SetAvailEvent(0);
    rig.Submit(rig.Segments(1, 0), nullptr);
    VirtqSplitKickCommit(rig.vq());
    EXPECT_TRUE(rig.Kick());
}

// regression: the count of what was published since KickPrepare wrapped, and
// KickCommit took publishes for settled that no kick had answered for.
TEST(VirtqSplitKick, ACommitAfterKicksSettlesNothingMore) // 2.7.13.4.1
{
    for (bool prepared : {false, true}) {
        for (bool event_idx : {false, true}) {
            for (UINT32 kicked : {65534u, 65535u, 65536u}) {
                QueueRig rig({.size = 16, .event_idx = event_idx});
                if (prepared) {
                    rig.Submit({{0x1000, 8, FALSE}}, nullptr);
                    Drain(rig);
                    (void)VirtqSplitKickPrepare(rig.vq());
                }
                for (UINT32 i = 0; i < kicked; i++) {
                    rig.Submit({{0x1000, 8, FALSE}}, nullptr);
                    Drain(rig);
                    (void)VirtqSplitKick(rig.vq());
                }
                rig.device->SetAvailEvent(rig.vq()->avail_idx); // asleep until the next one
                for (UINT16 i = 1; i <= 2; i++) {
                    rig.Submit({{0x1000, 8, FALSE}}, nullptr);
                    VirtqSplitKickCommit(rig.vq());
                    EXPECT_EQ(rig.vq()->num_added, i) << prepared << event_idx << kicked;
                }
                EXPECT_TRUE(VirtqSplitKick(rig.vq())) << prepared << event_idx << kicked;
                VirtqSplitKickCommit(rig.vq());
                EXPECT_FALSE(VirtqSplitKick(rig.vq())) << "a needless notification";
            }
        }
    }
}

TEST(VirtqSplitKick, NorAreTheyWhenTheirCountWraps) // 2.7.13.4.1
{
    for (UINT32 total : {65535u, 65536u, 65537u}) {
        QueueRig rig({.size = 16, .event_idx = true});
        EXPECT_FALSE(VirtqSplitKickPrepare(rig.vq()));
        for (UINT32 i = 0; i < total; i++) {
            rig.Submit({{0x1000, 8, FALSE}}, nullptr);
            Drain(rig);
        }
        VirtqSplitKickCommit(rig.vq());
        rig.device->SetAvailEvent(rig.vq()->avail_idx);
        EXPECT_TRUE(rig.Kick()) << total;
    }
}

TEST(VirtqSplitKick, AsManyAsCanBeCountedAreStillCounted) // 2.7.10.1
{
    QueueRig rig({.size = 16, .event_idx = true});
    for (UINT32 i = 0; i < 65535; i++) {
        if (i == 10) {
            (void)VirtqSplitKickPrepare(rig.vq());
        }
        rig.Submit({{0x1000, 8, FALSE}}, nullptr);
        Drain(rig);
    }
    VirtqSplitKickCommit(rig.vq());
    EXPECT_EQ(rig.vq()->num_added, 65535 - 10);
}

TEST(VirtqSplitKick, MoreThan65535PublishesAlwaysNotify) // 2.7.10.1 cannot say, so yes
{
    for (UINT32 total : {65534u, 65535u, 65536u, 65537u, 131072u}) {
        QueueRig rig({.size = 16, .event_idx = true});
        for (UINT32 i = 0; i < total; i++) {
            rig.Submit({{0x1000, 8, FALSE}}, nullptr);
            Drain(rig);
        }
        // The one event that the formula never takes for passed.
        rig.device->SetAvailEvent(rig.vq()->avail_idx);
        EXPECT_EQ(rig.vq()->num_added, total > 65535 ? 65535 : total);
        EXPECT_EQ(rig.Kick(), total >= 65535) << total;
        EXPECT_EQ(rig.vq()->num_added, 0);
    }
}

TEST(VirtqSplitKick, MoreThan65535NotifyWithTheFlagSetToo) // 2.7.10: it may be from before
{
    // All of them before the kick, or between its two halves; in batches, which may
    // step over 65,535.
    for (bool between : {false, true}) {
        QueueRig rig({.size = 32});
        rig.device->WantNotifications(false);
        if (between) {
            EXPECT_FALSE(VirtqSplitKickPrepare(rig.vq()));
        }
        for (UINT32 i = 0; i < 65540; i += 20) {
            UINT16 heads[20];
            for (UINT16 &head : heads) {
                VIRTQ_SG sg = {0x1000, 8, FALSE};
                ASSERT_EQ(VirtqSplitAddBuffer(rig.vq(), &sg, 1, nullptr, &head), STATUS_SUCCESS);
            }
            ASSERT_EQ(VirtqSplitPublishBatch(rig.vq(), heads, 20), STATUS_SUCCESS);
            Drain(rig);
        }
        if (between) {
            VirtqSplitKickCommit(rig.vq());
        }
        EXPECT_EQ(rig.vq()->num_added, 65535);
        EXPECT_TRUE(rig.Kick());
        EXPECT_EQ(rig.vq()->num_added, 0);
        EXPECT_FALSE(rig.Kick());
    }
}

TEST(VirtqSplitKick, NotifiesExactlyWhenTheDeviceAsked) // 2.7.10.1
{
    std::mt19937 random(3);
    QueueRig rig({.size = 32, .event_idx = true});
    UINT16 settled = 0;
    for (int round = 0; round < 30000; round++) {
        UINT16 event = static_cast<UINT16>(settled + random() % 40 - 4);
        rig.device->SetAvailEvent(event);
        unsigned n = random() % 9;
        for (unsigned i = 0; i < n; i++) {
            rig.Submit({{0x1000, 8, FALSE}}, nullptr);
        }
        bool passed = static_cast<UINT16>(event - settled) < n;
        ASSERT_EQ(rig.Kick(), passed);
        settled = static_cast<UINT16>(settled + n);
        ASSERT_EQ(rig.device->AvailIdx(), settled);
        Drain(rig);
    }
}

TEST(VirtqSplitInterrupts, WithoutEventIdx) // 2.7.7
{
    QueueRig rig;
    VIRTQ_SPLIT *vq = rig.vq();
    EXPECT_EQ(rig.device->AvailFlags(), 0);
    VirtqSplitDisableInterrupts(vq);
    EXPECT_EQ(rig.device->AvailFlags(), 1);
    EXPECT_TRUE(VirtqSplitEnableInterrupts(vq)); // nothing waits
    EXPECT_EQ(rig.device->AvailFlags(), 0);
    rig.Submit(rig.Segments(0, 1), nullptr);
    rig.device->Push(rig.device->Pop()->head, 0);
    EXPECT_FALSE(VirtqSplitEnableInterrupts(vq)); // something does
    EXPECT_EQ(rig.Get().status, STATUS_SUCCESS);
    EXPECT_TRUE(VirtqSplitEnableInterrupts(vq));
    // Never read back: what the device makes of the field doesn't matter.
    rig.Memory().Store16(rig.device->AvailFlagsAt(), 0xFFFF);
    VirtqSplitDisableInterrupts(vq);
    EXPECT_EQ(rig.device->AvailFlags(), 1);
    EXPECT_TRUE(VirtqSplitEnableInterrupts(vq));
    EXPECT_EQ(rig.device->AvailFlags(), 0);
}

TEST(VirtqSplitInterrupts, WithEventIdx) // 2.7.7, 2.7.7.1: flags stay 0
{
    QueueRig rig({.event_idx = true});
    VIRTQ_SPLIT *vq = rig.vq();
    VirtqSplitDisableInterrupts(vq);
    EXPECT_EQ(rig.device->AvailFlags(), 0);
    EXPECT_EQ(rig.device->UsedEvent(), 0xFFFF);
    for (int i = 0; i < 3; i++) {
        rig.Submit(rig.Segments(0, 1), nullptr);
        rig.device->Push(rig.device->Pop()->head, 0);
        EXPECT_FALSE(rig.device->TakeInterrupt());
        EXPECT_FALSE(VirtqSplitEnableInterrupts(vq));
        EXPECT_EQ(rig.device->UsedEvent(), i);
        VirtqSplitDisableInterrupts(vq);
        EXPECT_EQ(rig.Get().status, STATUS_SUCCESS);
        EXPECT_EQ(rig.device->UsedEvent(), static_cast<UINT16>(i - 1)); // off stays off
    }
    EXPECT_TRUE(VirtqSplitEnableInterrupts(vq));
    EXPECT_EQ(rig.device->UsedEvent(), 3);
    rig.Submit(rig.Segments(0, 1), nullptr);
    rig.device->Push(rig.device->Pop()->head, 0);
    EXPECT_TRUE(rig.device->TakeInterrupt());
}

TEST(VirtqSplitInterrupts, UsedEventFollowsWhileDraining) // 2.7.7
{
    // A driver that never disables: each buffer taken asks for the next one.
    QueueRig rig({.size = 4, .event_idx = true});
    for (UINT32 i = 0; i < 70000; i++) {
        rig.Submit({{0x1000, 8, TRUE}}, nullptr);
        rig.device->Push(rig.device->Pop()->head, 0);
        ASSERT_TRUE(rig.device->TakeInterrupt()) << "lost interrupt " << i;
        ASSERT_EQ(rig.Get().status, STATUS_SUCCESS);
        ASSERT_EQ(rig.device->UsedEvent(), static_cast<UINT16>(i + 1));
        ASSERT_EQ(rig.Get().status, STATUS_NOT_FOUND);
    }
}

TEST(VirtqSplitInterrupts, DocumentedLoopsLoseNone) // 2.7.7, 2.7.14
{
    std::mt19937 random(5);
    for (bool event_idx : {false, true}) {
        for (bool disable : {false, true}) {
            QueueRig rig({.size = 16, .event_idx = event_idx});
            VIRTQ_SPLIT *vq = rig.vq();
            unsigned with_device = 0, waiting = 0;
            for (int round = 0; round < 20000; round++) {
                while (with_device + waiting < 16) {
                    rig.Submit({{0x1000, 8, TRUE}}, nullptr);
                    with_device++;
                }
                unsigned n = 1 + random() % with_device;
                for (unsigned i = 0; i < n; i++) {
                    rig.device->Push(rig.device->Pop()->head, 0);
                }
                with_device -= n;
                ASSERT_TRUE(rig.device->TakeInterrupt()) << "the driver sleeps forever";
                do { // the interrupt handler
                    if (disable) {
                        VirtqSplitDisableInterrupts(vq);
                    }
                    while (VirtqSplitHasUsed(vq)) {
                        ASSERT_EQ(rig.Get().status, STATUS_SUCCESS);
                        if (with_device != 0 && random() % 4 == 0) { // the device works on
                            rig.device->Push(rig.device->Pop()->head, 0);
                            with_device--;
                            (void)rig.device->TakeInterrupt();
                        }
                    }
                } while (disable && !VirtqSplitEnableInterrupts(vq));
            }
        }
    }
}

TEST(VirtqSplitInterrupts, OfNothing) {
    VirtqSplitDisableInterrupts(nullptr);
    EXPECT_TRUE(VirtqSplitEnableInterrupts(nullptr));
    VIRTQ_SPLIT zero = {};
    VirtqSplitDisableInterrupts(&zero);
    EXPECT_TRUE(VirtqSplitEnableInterrupts(&zero));
}

} // namespace
