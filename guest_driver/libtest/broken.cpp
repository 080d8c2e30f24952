// SPDX-License-Identifier: MIT
//
// A device that breaks the protocol (Virtio 1.2, 2.7.8): what is said of it, by both ways to
// take buffers back, and the way to a working queue again.
#include "peer.h"

enum Fault { IdRange, NotIssued, MidChain, Twice, Ahead, FarAhead, Length };

static const NTSTATUS Statuses[] = {
    VIRTQ_STATUS_USED_ID_RANGE, VIRTQ_STATUS_USED_NOT_ISSUED, VIRTQ_STATUS_USED_MID_CHAIN,
    VIRTQ_STATUS_USED_TWICE,    VIRTQ_STATUS_USED_IDX_AHEAD,  VIRTQ_STATUS_USED_IDX_AHEAD,
    VIRTQ_STATUS_USED_LENGTH,
};

enum How { One, BatchOfOne, BatchOfMany };

static NTSTATUS Get(VIRTQ_SPLIT *vq, How how, USHORT *count) {
    VIRTQ_COMPLETION out[8];
    void *cookie;
    UINT32 len;
    if (how == One) {
        const NTSTATUS status = VirtqSplitGetUsed(vq, &cookie, &len);
        *count = NT_SUCCESS(status) ? 1 : 0;
        return status;
    }
    return VirtqSplitGetUsedBatch(vq, out, how == BatchOfOne ? 1 : 8, count);
}

// Four buffers of two pieces at the device; their heads.
static bool Fill(Queue &q, USHORT *heads) {
    VIRTQ_SG sg[2];
    Chain chain;
    USHORT head;
    for (USHORT i = 0; i < 4; i++) {
        MakePieces(sg, 2, 1, i);
        CHECK_STATUS(VirtqSplitAddBuffer(q.vq, sg, 2, Cookie(i), &head), STATUS_SUCCESS);
        VirtqSplitPublish(q.vq, head);
        CHECK(q.peer.Take(&chain) && chain.head == head);
        heads[i] = head;
    }
    return true;
}

// Says what is wrong in its next entries: one, or two where a batch is to see many.
static void Lie(Queue &q, Fault fault, const USHORT *heads, USHORT entries) {
    static const ULONG ids[] = {16, 15};
    for (USHORT i = 0; i < entries; i++) {
        switch (fault) {
        case IdRange:
        case NotIssued:
            q.peer.PutUsed(i, ids[fault], 0);
            break;
        case MidChain:
            q.peer.PutUsed(i, heads[3] + 1u, 0);
            break;
        case Twice:
            q.peer.PutUsed(i, heads[0], 0);
            break;
        case Length:
            q.peer.PutUsed(i, heads[1 + i], 0x100000);
            break;
        default:
            q.peer.PutUsed(i, heads[1 + i], 0);
            break;
        }
    }
    q.peer.MoveUsed(fault == Ahead ? 5 : fault == FarAhead ? 17 : entries);
}

// Nothing is done for a queue that is broken.
static bool RefusesAll(Queue &q, NTSTATUS why) {
    const NTSTATUS state = STATUS_INVALID_DEVICE_STATE;
    VIRTQ_SPLIT *vq = q.vq;
    VIRTQ_SG sg = {0x1000, 1, FALSE};
    VIRTQ_BUFFER buffer = {&sg, 1, nullptr};
    USHORT head = 0, done;
    CHECK(VirtqSplitIsBroken(vq));
    CHECK_STATUS(VirtqSplitBrokenStatus(vq), why);
    for (int how = One; how <= BatchOfMany; how++)
        CHECK_STATUS(Get(vq, (How)how, &done), state);
    CHECK_STATUS(VirtqSplitAddBuffer(vq, &sg, 1, nullptr, &head), state);
    CHECK_STATUS(VirtqSplitAddBatch(vq, &buffer, 1, &head, &done), state);
    CHECK_STATUS(VirtqSplitSubmitBatch(vq, &buffer, 1, &done), state);
    CHECK_STATUS(VirtqSplitPublishChecked(vq, head), state);
    CHECK_STATUS(VirtqSplitPublishBatch(vq, &head, 1), state);
    CHECK(!VirtqSplitKick(vq) && !VirtqSplitKickPrepare(vq) && !VirtqSplitHasUsed(vq));
    VirtqSplitDisableInterrupts(vq);
    CHECK(VirtqSplitEnableInterrupts(vq) && VirtqSplitEnableInterruptsDelayed(vq));
    CHECK_EQUAL(VirtqSplitPrepareWait(vq), 0);
    CHECK(!VirtqSplitPoll(vq, 0));
    return true;
}

// Every buffer that is left comes back, once; then the queue is as new.
static bool Recovers(Queue &q, ULONG left) {
    void *cookie;
    ULONG seen = 0;
    CHECK_EQUAL(VirtqSplitInFlight(q.vq), left);
    CHECK_STATUS(VirtqSplitResetChecked(q.vq), VIRTQ_STATUS_BUFFERS_LEFT);
    for (ULONG i = 0; i < left; i++) {
        CHECK_STATUS(VirtqSplitDetachUnused(q.vq, &cookie), STATUS_SUCCESS);
        seen |= 1u << ((ULONG_PTR)cookie - (ULONG_PTR)Cookie(0));
    }
    CHECK_EQUAL(seen, 0xF & ~((1u << (4 - left)) - 1));
    CHECK_STATUS(VirtqSplitDetachUnused(q.vq, &cookie), STATUS_NOT_FOUND);
    CHECK(cookie == nullptr);
    VirtqSplitReset(q.vq);
    CHECK(!VirtqSplitIsBroken(q.vq));
    CHECK_STATUS(q.Init(), STATUS_SUCCESS);
    USHORT heads[4], count;
    if (!Fill(q, heads))
        return false;
    q.peer.Use(heads[2], 3);
    CHECK_STATUS(Get(q.vq, One, &count), STATUS_SUCCESS);
    return true;
}

static bool Faulty(Fault fault, How how, bool behind_good) {
    Queue q(16, true, NoTables);
    USHORT heads[4], count = 9;
    CHECK(q.Ready());
    if (!Fill(q, heads))
        return false;
    // The first one is finished, so that it may be finished twice.
    q.peer.Use(heads[0], 1);
    if (!behind_good || how != BatchOfMany) {
        CHECK_STATUS(Get(q.vq, how, &count), STATUS_SUCCESS);
        CHECK_EQUAL(count, 1);
    }
    Lie(q, fault, heads, how == BatchOfMany ? 2 : 1);
    const bool all = fault == Ahead || fault == FarAhead;
    if (behind_good && how == BatchOfMany && !all) {
        CHECK_STATUS(Get(q.vq, how, &count), STATUS_SUCCESS);
        CHECK_EQUAL(count, 1); // a bad entry is reported by the next call
    }
    const ULONG left = VirtqSplitInFlight(q.vq);
    CHECK_STATUS(Get(q.vq, how, &count), Statuses[fault]);
    CHECK_EQUAL(count, 0);
    return RefusesAll(q, Statuses[fault]) && Recovers(q, left);
}

static bool Faults() {
    for (int fault = IdRange; fault <= Length; fault++)
        for (int how = One; how <= BatchOfMany; how++)
            for (int behind = 0; behind < 2; behind++)
                if (!Faulty((Fault)fault, (How)how, behind != 0)) {
                    DbgPrint("vq7lib: fault %d, taken by way %d\n", fault, how);
                    return false;
                }
    return true;
}

// Lengths that are too great, where the driver wants them cut (2.7.8.1).
static bool CutLengths() {
    VirtqSplitSetCutUsedLength(nullptr, TRUE);
    Queue q(16, false, NoTables);
    VIRTQ_COMPLETION out[4];
    USHORT heads[4], count;
    void *cookie;
    UINT32 len;
    CHECK(q.Ready());
    VirtqSplitSetCutUsedLength(q.vq, TRUE);
    if (!Fill(q, heads))
        return false;
    for (USHORT i = 0; i < 4; i++)
        q.peer.Use(heads[i], 0xFFFFFFFF);
    CHECK_STATUS(VirtqSplitGetUsed(q.vq, &cookie, &len), STATUS_SUCCESS);
    CHECK_EQUAL(len, 1024 + 0);
    CHECK_STATUS(VirtqSplitGetUsedBatch(q.vq, out, 4, &count), STATUS_SUCCESS);
    CHECK_EQUAL(count, 3);
    CHECK_EQUAL(out[2].len, 1024 + 3);
    CHECK_EQUAL(q.vq->used_length_cut, 4);
    VirtqSplitReset(q.vq);
    CHECK(q.vq->cut_used_length && q.vq->used_length_cut == 4);
    return true;
}

// A reset with buffers left breaks the queue instead of losing them.
static bool ResetTooEarly() {
    Queue q(16, true, FewTables, 0);
    USHORT heads[4], head;
    VIRTQ_SG sg[2];
    void *cookie;
    CHECK(q.Ready());
    CHECK_STATUS(VirtqSplitResetChecked(nullptr), STATUS_INVALID_PARAMETER);
    VirtqSplitReset(nullptr);
    if (!Fill(q, heads))
        return false;
    MakePieces(sg, 2, 0, 9);
    CHECK_STATUS(VirtqSplitAddBuffer(q.vq, sg, 2, Cookie(9), &head), STATUS_SUCCESS);
    VirtqSplitReset(q.vq);
    CHECK_STATUS(VirtqSplitLastMisuse(q.vq), VIRTQ_STATUS_BUFFERS_LEFT);
    CHECK(RefusesAll(q, VIRTQ_STATUS_BUFFERS_LEFT));
    CHECK_EQUAL(VirtqSplitInFlight(q.vq), 4);
    for (int i = 0; i < 5; i++) // one that was only added, too
        CHECK_STATUS(VirtqSplitDetachUnused(q.vq, &cookie), STATUS_SUCCESS);
    CHECK_EQUAL(VirtqSplitNumFree(q.vq), 16);
    CHECK_EQUAL(VirtqSplitInFlight(q.vq), 0);
    CHECK_STATUS(VirtqSplitResetChecked(q.vq), STATUS_SUCCESS);
    // Its tables came back, too.
    CHECK_EQUAL(q.vq->indirect_num_free, FewCount);
    return true;
}

// Detaching from a queue that works: it stops working with the first that it gives.
static bool Detach() {
    Queue q(16, true, NoTables);
    USHORT heads[4];
    void *cookie;
    CHECK(q.Ready());
    CHECK_STATUS(VirtqSplitDetachUnused(nullptr, &cookie), STATUS_INVALID_PARAMETER);
    CHECK_STATUS(VirtqSplitDetachUnused(q.vq, nullptr), STATUS_INVALID_PARAMETER);
    CHECK_STATUS(VirtqSplitDetachUnused(q.vq, &cookie), STATUS_NOT_FOUND);
    CHECK(!VirtqSplitIsBroken(q.vq));
    if (!Fill(q, heads))
        return false;
    CHECK_STATUS(VirtqSplitDetachUnused(q.vq, &cookie), STATUS_SUCCESS);
    CHECK_STATUS(VirtqSplitBrokenStatus(q.vq), VIRTQ_STATUS_DETACHED);
    CHECK_EQUAL(VirtqSplitInFlight(q.vq), 3);
    return true;
}

const LibCase BrokenCases[] = {
    {"faults", Faults}, {"cut-lengths", CutLengths}, {"reset-too-early", ResetTooEarly},
    {"detach", Detach}, {nullptr, nullptr},
};
