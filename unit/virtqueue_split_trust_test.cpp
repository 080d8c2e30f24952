// SPDX-License-Identifier: MIT
//
// virtqueue_split.cpp: a device that breaks the rules. Each way has a status of
// its own, breaks the queue, leaks nothing, completes nothing twice; and after
// a reset the queue works again.
#include <random>
#include <tuple>

#include "model/queue_rig.h"

using namespace vq7::model;

namespace {

enum class Way { kSingle, kBatch, kMany };

// The next buffer. kMany asks for more; but does not get any behind a bad one.
Used Get(QueueRig &rig, Way way) {
    if (way == Way::kSingle) {
        return rig.Get();
    }
    VIRTQ_COMPLETION out[4] = {{&out, 0xDEAD}};
    UINT16 count = 0xBEEF;
    NTSTATUS status = VirtqSplitGetUsedBatch(rig.vq(), out, way == Way::kMany ? 4 : 1, &count);
    EXPECT_EQ(count, status == STATUS_SUCCESS ? 1 : 0);
    return {status, out[0].cookie, out[0].len};
}

// After the error: nothing goes any more, every buffer comes back once, and
// the queue works after reset.
void ExpectBrokenAndRecoverable(QueueRig &rig, NTSTATUS why, std::set<void *> outstanding) {
    VIRTQ_SPLIT *vq = rig.vq();
    EXPECT_TRUE(VirtqSplitIsBroken(vq));
    EXPECT_EQ(VirtqSplitBrokenStatus(vq), why);
    EXPECT_FALSE(VirtqSplitHasUsed(vq));
    EXPECT_FALSE(VirtqSplitKickPrepare(vq));
    EXPECT_FALSE(VirtqSplitKick(vq));
    EXPECT_TRUE(VirtqSplitEnableInterrupts(vq));
    EXPECT_EQ(rig.Get().status, STATUS_INVALID_DEVICE_STATE);
    UINT16 head;
    EXPECT_EQ(rig.Add(rig.Segments(0, 1), nullptr, &head), STATUS_INVALID_DEVICE_STATE);
    EXPECT_EQ(VirtqSplitPublishChecked(vq, 0), STATUS_INVALID_DEVICE_STATE);
    EXPECT_EQ(VirtqSplitPublishBatch(vq, &head, 0), STATUS_INVALID_DEVICE_STATE);
    EXPECT_EQ(Get(rig, Way::kBatch).status, STATUS_INVALID_DEVICE_STATE);
    if (!outstanding.empty()) {
        EXPECT_EQ(VirtqSplitResetChecked(vq), VIRTQ_STATUS_BUFFERS_LEFT);
        EXPECT_EQ(VirtqSplitBrokenStatus(vq), why);
    }
    void *cookie;
    while (VirtqSplitDetachUnused(vq, &cookie) == STATUS_SUCCESS) {
        EXPECT_EQ(outstanding.erase(cookie), 1u) << "given back twice, or never added";
    }
    EXPECT_TRUE(outstanding.empty()) << "lost";
    EXPECT_EQ(VirtqSplitResetChecked(vq), STATUS_SUCCESS);
    EXPECT_FALSE(VirtqSplitIsBroken(vq));
    rig.device->Reset();
    for (unsigned i = 0; i < 3u * vq->qsz; i++) {
        head = rig.Submit(rig.Segments(0, 1), Cookie(i + 100));
        ASSERT_TRUE(rig.device->Pop());
        rig.device->Push(head, 64);
        Used used = rig.Get();
        ASSERT_EQ(used.status, STATUS_SUCCESS);
        ASSERT_EQ(used.cookie, Cookie(i + 100));
    }
}

// With and without EVENT_IDX; taken back one by one, and in batches of one and of
// many, where another entry waits behind the bad one if the queue has another buffer.
class Trust : public ::testing::TestWithParam<std::tuple<bool, Way>> {
  protected:
    QueueRig rig{{.size = 8,
                  .event_idx = std::get<0>(GetParam()),
                  .indirect = true,
                  .tables = 2,
                  .table_size = 4}};
    UINT16 a = 0, b = 0;

    Used Take() {
        return Get(rig, ways_ == Way::kMany ? Way::kBatch : ways_);
    }

    void ExpectRefused(NTSTATUS why) {
        EXPECT_TRUE(VirtqSplitHasUsed(rig.vq()));
        Used used = Get(rig, ways_);
        EXPECT_EQ(used.status, why);
        if (ways_ == Way::kSingle) {
            EXPECT_EQ(used.cookie, nullptr);
            EXPECT_EQ(used.length, 0u);
        }
    }

    // Chain a: 1 readable, 2 writable (130 bytes) in 3 descriptors; b: 1 writable.
    void SetUp() override {
        a = rig.Submit(rig.Segments(1, 2), Cookie(1));
        b = rig.Submit(rig.Segments(0, 1), Cookie(2));
        rig.device->Pop();
        rig.device->Pop();
    }

    void Claim(UINT32 id, UINT32 length) {
        UINT16 index = rig.vq()->last_used_idx;
        UINT16 count = ways_ == Way::kMany && VirtqSplitInFlight(rig.vq()) > 1 ? 2 : 1;
        rig.device->PutUsed(index, id, length);
        rig.device->PutUsed(static_cast<UINT16>(index + count - 1), count == 1 ? id : b,
                            count == 1 ? length : 0);
        rig.device->PutUsedIdx(static_cast<UINT16>(index + count));
    }

    const Way ways_ = std::get<1>(GetParam());
};

INSTANTIATE_TEST_SUITE_P(
    All, Trust,
    ::testing::Combine(::testing::Bool(), ::testing::Values(Way::kSingle, Way::kBatch, Way::kMany)),
    [](const auto &info) {
        return std::string(std::get<0>(info.param) ? "EventIdx" : "Flags") +
               (std::get<1>(info.param) == Way::kSingle  ? "Single"
                : std::get<1>(info.param) == Way::kBatch ? "Batch"
                                                         : "Many");
    });

TEST_P(Trust, StatusesAreDistinct) // 2.7.8
{
    std::set<NTSTATUS> all = {VIRTQ_STATUS_USED_ID_RANGE,   VIRTQ_STATUS_USED_IDX_AHEAD,
                              VIRTQ_STATUS_USED_NOT_ISSUED, VIRTQ_STATUS_USED_MID_CHAIN,
                              VIRTQ_STATUS_USED_TWICE,      VIRTQ_STATUS_USED_LENGTH,
                              STATUS_INVALID_DEVICE_STATE,  STATUS_NOT_FOUND};
    EXPECT_EQ(all.size(), 8u);
    for (NTSTATUS status : all) {
        EXPECT_FALSE(NT_SUCCESS(status));
    }
    // A status that a caller's mistake has, too, is told apart by what it does.
    UINT32 len;
    EXPECT_EQ(VirtqSplitGetUsed(rig.vq(), nullptr, &len), STATUS_INVALID_PARAMETER);
    EXPECT_FALSE(VirtqSplitIsBroken(rig.vq()));
}

TEST_P(Trust, IdOutOfRange) // 2.7.8
{
    for (UINT32 id : {8u, 9u, 0xFFFFu, 0x10000u, 0xFFFFFFFFu}) {
        UINT16 before = rig.vq()->last_used_idx;
        Claim(id, 0);
        ExpectRefused(VIRTQ_STATUS_USED_ID_RANGE);
        EXPECT_EQ(rig.vq()->last_used_idx, before + 1); // how far it came, for a debugger
        ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_ID_RANGE, {Cookie(1), Cookie(2)});
        VirtqSplitReset(rig.vq());
        rig.device->Reset();
        SetUp();
    }
}

TEST_P(Trust, IdIsNotCutTo16Bits) // 2.7.8: le32 id
{
    Claim(0x10000u + a, 0);
    ExpectRefused(VIRTQ_STATUS_USED_ID_RANGE);
}

TEST_P(Trust, IdNeverIssued) // 2.7.8
{
    Claim(7, 0); // still free, and never was a head
    ExpectRefused(VIRTQ_STATUS_USED_NOT_ISSUED);
    ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_NOT_ISSUED, {Cookie(1), Cookie(2)});
}

TEST_P(Trust, IdAddedButNotPublished) // 2.7.8, 2.7.13
{
    UINT16 c;
    ASSERT_EQ(rig.Add(rig.Segments(0, 1), Cookie(3), &c), STATUS_SUCCESS);
    Claim(c, 0);
    ExpectRefused(VIRTQ_STATUS_USED_NOT_ISSUED);
    ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_NOT_ISSUED,
                               {Cookie(1), Cookie(2), Cookie(3)});
}

TEST_P(Trust, IdInTheMiddleOfAChain) // 2.7.8: "the descriptor entry's head"
{
    for (UINT16 step : {1, 2}) {
        Claim(static_cast<UINT16>(a + step), 0);
        ExpectRefused(VIRTQ_STATUS_USED_MID_CHAIN);
        ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_MID_CHAIN, {Cookie(1), Cookie(2)});
        VirtqSplitReset(rig.vq());
        rig.device->Reset();
        SetUp();
    }
}

TEST_P(Trust, IdAtTheEndOfALaterChain) // 2.7.8
{
    UINT16 c = rig.Submit(rig.Segments(3, 1), Cookie(3));
    Claim(c + 3u, 0);
    ExpectRefused(VIRTQ_STATUS_USED_MID_CHAIN);
    ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_MID_CHAIN, {Cookie(1), Cookie(2), Cookie(3)});
}

TEST_P(Trust, IdInTheMiddleOfAChainThatIsDone) // 2.7.8: names nothing any more
{
    rig.device->Push(a, 0);
    ASSERT_EQ(Take().cookie, Cookie(1));
    Claim(a + 1u, 0);
    ExpectRefused(VIRTQ_STATUS_USED_NOT_ISSUED);
    ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_NOT_ISSUED, {Cookie(2)});
}

TEST_P(Trust, CompletedTwice) // 2.7.8
{
    rig.device->Push(b, 0);
    ASSERT_EQ(Take().cookie, Cookie(2));
    Claim(b, 0);
    ExpectRefused(VIRTQ_STATUS_USED_TWICE);
    ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_TWICE, {Cookie(1)});
}

TEST_P(Trust, CompletedTwiceWithNothingLeft) // 2.7.8
{
    rig.device->Push(a, 0);
    rig.device->Push(b, 0);
    ASSERT_EQ(Take().cookie, Cookie(1));
    ASSERT_EQ(Take().cookie, Cookie(2));
    Claim(b, 0);
    ExpectRefused(VIRTQ_STATUS_USED_TWICE);
    ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_TWICE, {});
}

TEST_P(Trust, TwiceInOneStep) // 2.7.8
{
    rig.device->Push(a, 5);
    rig.device->Push(a, 6);
    Used first = Take();
    EXPECT_EQ(first.status, STATUS_SUCCESS);
    EXPECT_EQ(first.length, 5u);
    ExpectRefused(VIRTQ_STATUS_USED_TWICE);
    ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_TWICE, {Cookie(2)});
}

TEST_P(Trust, IndexAheadOfWhatIsOutstanding) // 2.7.8, 2.7.14
{
    for (UINT16 ahead : {3, 8, 9, 0x100, 0x7FFF, 0x8000, 0xFFFF}) {
        UINT16 index = rig.vq()->last_used_idx;
        rig.device->PutUsed(index, a, 0);
        rig.device->PutUsed(static_cast<UINT16>(index + 1), b, 0);
        rig.device->PutUsedIdx(static_cast<UINT16>(index + ahead));
        ExpectRefused(VIRTQ_STATUS_USED_IDX_AHEAD);
        EXPECT_EQ(rig.vq()->last_used_idx, static_cast<UINT16>(index + ahead));
        ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_IDX_AHEAD, {Cookie(1), Cookie(2)});
        VirtqSplitReset(rig.vq());
        rig.device->Reset();
        SetUp();
    }
}

TEST_P(Trust, IndexAheadByMoreThanTheRingHidesWhatIsInIt) // 2.7.8
{
    for (UINT16 ahead : {8, 9}) { // of 8 entries the first is still there, of 9 it isn't
        UINT16 index = rig.vq()->last_used_idx;
        NTSTATUS why = ahead == 8 ? VIRTQ_STATUS_USED_ID_RANGE : VIRTQ_STATUS_USED_IDX_AHEAD;
        rig.device->PutUsed(index, 8, 0);
        rig.device->PutUsedIdx(static_cast<UINT16>(index + ahead));
        ExpectRefused(why);
        EXPECT_EQ(rig.vq()->last_used_idx, index + (ahead == 8 ? 1 : ahead));
        ExpectBrokenAndRecoverable(rig, why, {Cookie(1), Cookie(2)});
        VirtqSplitReset(rig.vq());
        rig.device->Reset();
        SetUp();
    }
}

TEST_P(Trust, IndexGoesBackwards) // 2.7.8: free-running, never decremented
{
    rig.device->Push(a, 0);
    ASSERT_EQ(Take().status, STATUS_SUCCESS);
    rig.device->PutUsedIdx(0);
    ExpectRefused(VIRTQ_STATUS_USED_IDX_AHEAD);
    ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_IDX_AHEAD, {Cookie(2)});
}

TEST_P(Trust, IndexMovesOnAnIdleQueue) // 2.7.8
{
    rig.device->Push(a, 0);
    rig.device->Push(b, 0);
    ASSERT_EQ(Take().status, STATUS_SUCCESS);
    ASSERT_EQ(Take().status, STATUS_SUCCESS);
    Claim(6, 0); // never a head
    ExpectRefused(VIRTQ_STATUS_USED_IDX_AHEAD);
    ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_IDX_AHEAD, {});
}

TEST_P(Trust, LengthAboveTheWritableBytes) // 2.7.8.2
{
    // a: 64 readable, 65 + 66 writable. b: 64 writable.
    for (auto [id, good] : {std::pair{a, 131u}, {b, 64u}}) {
        for (UINT32 bad : {good + 1, 0x80000000u, 0xFFFFFFFFu}) {
            Claim(id, bad);
            ExpectRefused(VIRTQ_STATUS_USED_LENGTH);
            ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_LENGTH, {Cookie(1), Cookie(2)});
            VirtqSplitReset(rig.vq());
            rig.device->Reset();
            SetUp();
        }
        Claim(id, good);
        EXPECT_EQ(Take().length, good);
        void *cookie;
        EXPECT_EQ(VirtqSplitDetachUnused(rig.vq(), &cookie), STATUS_SUCCESS);
        VirtqSplitReset(rig.vq());
        rig.device->Reset();
        SetUp();
    }
}

TEST_P(Trust, LengthsOfALegacyDeviceAreCut) // 2.7.8.1, legacy interface
{
    VirtqSplitSetCutUsedLength(rig.vq(), TRUE);
    EXPECT_EQ(rig.vq()->used_length_cut, 0u);
    for (auto [id, most] : {std::pair{a, 131u}, {b, 64u}}) {
        Claim(id, 0xFFFFFFFFu);
        auto got = Take();
        EXPECT_EQ(got.status, STATUS_SUCCESS);
        EXPECT_EQ(got.length, most);
    }
    EXPECT_EQ(rig.vq()->used_length_cut, 2u);
    b = rig.Submit(rig.Segments(0, 1), Cookie(3));
    Claim(b, 64); // as much as there is room for is not too much
    EXPECT_EQ(Take().length, 64u);
    EXPECT_EQ(rig.vq()->used_length_cut, 2u);
    EXPECT_FALSE(VirtqSplitIsBroken(rig.vq()));
    VirtqSplitSetCutUsedLength(rig.vq(), FALSE);
    VirtqSplitSetCutUsedLength(nullptr, TRUE);
    b = rig.Submit(rig.Segments(0, 1), Cookie(3));
    Claim(b, 65);
    ExpectRefused(VIRTQ_STATUS_USED_LENGTH);
}

TEST_P(Trust, LengthOfAReadOnlyChainIsZero) // 2.7.8.2
{
    for (unsigned segments : {1, 2}) {
        UINT16 c = rig.Submit(rig.Segments(segments, 0), Cookie(3));
        rig.device->Pop();
        Claim(c, 1);
        ExpectRefused(VIRTQ_STATUS_USED_LENGTH);
        ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_LENGTH,
                                   {Cookie(1), Cookie(2), Cookie(3)});
        VirtqSplitReset(rig.vq());
        rig.device->Reset();
        SetUp();
    }
}

TEST_P(Trust, LengthOfAnIndirectChain) // 2.7.8.2
{
    rig.vq()->indirect_threshold = 1;
    UINT16 c = rig.Submit(rig.Segments(1, 2), Cookie(3));
    ASSERT_TRUE(rig.device->Pop()->indirect);
    Claim(c, 132); // 65 + 66 writable, though the table is longer than that
    ExpectRefused(VIRTQ_STATUS_USED_LENGTH);
    ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_LENGTH, {Cookie(1), Cookie(2), Cookie(3)});
}

TEST(TrustOwnTables, LengthOfWhatIsReadableAloneIsZero) // 2.7.8.2
{
    for (unsigned segments : {1, 2}) {
        QueueRig rig({.size = 4, .indirect = true, .tables = 4, .table_size = 4});
        rig.vq()->indirect_threshold = 0;
        UINT16 head = rig.Submit(rig.Segments(segments, 0), Cookie(1));
        ASSERT_TRUE(rig.device->Pop());
        rig.device->Push(head, 1);
        EXPECT_EQ(rig.Get().status, VIRTQ_STATUS_USED_LENGTH);
        ExpectBrokenAndRecoverable(rig, VIRTQ_STATUS_USED_LENGTH, {Cookie(1)});
    }
}

TEST_P(Trust, ScribblingChangesNothingPrivate) // 2.7: all that the device can reach, at any time
{
    std::mt19937 random(7);
    VIRTQ_SPLIT *vq = rig.vq();
    auto scribble = [&] {
        auto fill = [&](UINT64 at, size_t size) {
            for (size_t i = 0; i < size; i++) {
                *rig.Memory().Host(at + i, 1) = static_cast<UINT8>(random());
            }
        };
        fill(vq->desc_pa, 8 * 16);
        fill(vq->avail_pa, 6 + 2 * 8);
        fill(rig.Pool(), 2 * 4 * 16);
        // Of the used ring: flags, avail_event and every entry, but not idx.
        fill(vq->used_pa, 2);
        fill(vq->used_pa + 4, 8 * 8 + 2);
    };
    vq->indirect_threshold = 1;
    scribble();
    rig.device->PutUsed(0, b, 3);
    rig.device->PutUsed(1, a, 100);
    rig.device->PutUsedIdx(2);
    EXPECT_EQ(Take().cookie, Cookie(2));
    EXPECT_EQ(Take().length, 100u);
    EXPECT_EQ(vq->num_free, 8);
    for (UINT16 round = 2; round < 2000; round += 2) {
        auto sg = rig.Segments(1, 2);
        UINT16 heads[2];
        for (UINT16 &head : heads) {
            ASSERT_EQ(rig.Add(sg, Cookie(round), &head), STATUS_SUCCESS);
            scribble();
            ASSERT_EQ(VirtqSplitPublishChecked(vq, head), STATUS_SUCCESS);
            (void)VirtqSplitKickPrepare(vq);
            VirtqSplitKickCommit(vq);
            scribble();
        }
        EXPECT_EQ(VirtqSplitInFlight(vq), 2);
        rig.device->PutUsed(round, heads[1], 1);
        rig.device->PutUsed(static_cast<UINT16>(round + 1), heads[0], 2);
        rig.device->PutUsedIdx(static_cast<UINT16>(round + 2));
        for (UINT32 length : {1u, 2u}) {
            Used used = Take();
            ASSERT_EQ(used.status, STATUS_SUCCESS);
            ASSERT_EQ(used.cookie, Cookie(round));
            ASSERT_EQ(used.length, length);
        }
        ASSERT_EQ(vq->num_free, 8);
        ASSERT_EQ(vq->indirect_num_free, 2);
    }
}

TEST_P(Trust, RandomDeviceNeverLosesOrRepeatsABuffer) // 2.7.8, 2.7.14
{
    std::mt19937 random(11);
    for (int round = 0; round < 3000; round++) {
        VIRTQ_SPLIT *vq = rig.vq();
        std::set<void *> outstanding = {Cookie(1), Cookie(2)};
        size_t next = 3;
        for (int step = 0; step < 20 && !VirtqSplitIsBroken(vq); step++) {
            UINT16 head;
            unsigned n = 1 + random() % 3;
            if (rig.Add(rig.Segments(random() % n, n), Cookie(next), &head) == STATUS_SUCCESS) {
                outstanding.insert(Cookie(next++));
                VirtqSplitPublish(vq, head);
            }
            UINT16 index = rig.Memory().Load16(rig.device->UsedIdxAt());
            rig.device->PutUsed(index, random() % 16 == 0 ? random() : random() % 9,
                                random() % 16 == 0 ? random() : random() % 70);
            rig.device->PutUsedIdx(
                static_cast<UINT16>(index + (random() % 8 == 0 ? random() % 4 : 1)));
            for (int i = 0; VirtqSplitHasUsed(vq); i++) {
                ASSERT_LT(i, 10) << "a drain loop must end";
                Used used = Take();
                if (used.status == STATUS_SUCCESS) {
                    ASSERT_EQ(outstanding.erase(used.cookie), 1u);
                }
            }
        }
        void *cookie;
        while (VirtqSplitDetachUnused(vq, &cookie) == STATUS_SUCCESS) {
            ASSERT_EQ(outstanding.erase(cookie), 1u);
        }
        ASSERT_TRUE(outstanding.empty());
        ASSERT_EQ(VirtqSplitResetChecked(vq), STATUS_SUCCESS);
        rig.device->Reset();
        SetUp();
    }
}

} // namespace
