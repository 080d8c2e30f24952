// SPDX-License-Identifier: MIT
//
// Many buffers in one call: AddBatch, PublishBatch, SubmitBatch, GetUsedBatch.
#include "peer.h"

enum : USHORT { Most = 24 };

// `count` buffers of 1 to 4 pieces.
struct Buffers {
    VIRTQ_SG sg[Most][4];
    VIRTQ_BUFFER buffers[Most];
    USHORT heads[Most];

    void Make(USHORT count) {
        for (USHORT i = 0; i < count; i++) {
            MakePieces(sg[i], (USHORT)(1 + i % 4), (USHORT)(i % 2), i);
            buffers[i] = {sg[i], (USHORT)(1 + i % 4), Cookie(i)};
            heads[i] = 0xFFFF;
        }
    }
};

// The device takes all that there are, in order, and finishes them in the other one.
static bool Answer(Queue &q, const Buffers &b, USHORT count) {
    USHORT heads[Most];
    Chain chain;
    CHECK_EQUAL(q.peer.available(), count);
    for (USHORT i = 0; i < count; i++) {
        CHECK(q.peer.Take(&chain));
        heads[i] = chain.head;
        if (!SamePieces(chain, b.buffers[i].sg, b.buffers[i].sg_count))
            return false;
    }
    for (USHORT i = count; i-- > 0;)
        q.peer.Use(heads[i], WritableBytes(b.buffers[i].sg, b.buffers[i].sg_count));
    return true;
}

static bool TakeBack(Queue &q, const Buffers &b, USHORT count, USHORT cap) {
    VIRTQ_COMPLETION out[Most];
    USHORT taken = 0, left = count;
    while (left != 0) {
        CHECK_STATUS(VirtqSplitGetUsedBatch(q.vq, out, cap, &taken), STATUS_SUCCESS);
        CHECK_EQUAL(taken, left < cap ? left : cap);
        for (USHORT i = 0; i < taken; i++) {
            left--;
            CHECK_EQUAL((ULONG_PTR)out[i].cookie, (ULONG_PTR)Cookie(left));
            CHECK_EQUAL(out[i].len, WritableBytes(b.sg[left], b.buffers[left].sg_count));
        }
    }
    CHECK_STATUS(VirtqSplitGetUsedBatch(q.vq, out, cap, &taken), STATUS_NOT_FOUND);
    CHECK_EQUAL(taken, 0);
    CHECK_EQUAL(VirtqSplitNumFree(q.vq), q.size);
    return true;
}

static bool BatchesOf(bool event_idx, Tables tables, USHORT threshold) {
    Queue q(64, event_idx, tables, threshold);
    Pool<Buffers> room(1);
    CHECK(q.Ready() && room.at);
    AtDispatch dispatch;
    for (USHORT count = 1; count <= Most; count = (USHORT)(count * 2 + 1))
        for (USHORT cap = 1; cap <= Most; cap = (USHORT)(cap * 3)) {
            Buffers &b = *room.at;
            b.Make(count);
            USHORT done = 0;
            CHECK_STATUS(VirtqSplitAddBatch(q.vq, b.buffers, count, b.heads, &done),
                         STATUS_SUCCESS);
            CHECK_EQUAL(done, count);
            CHECK_EQUAL(q.peer.available(), 0);
            CHECK_STATUS(VirtqSplitPublishBatch(q.vq, b.heads, count), STATUS_SUCCESS);
            if (!Answer(q, b, count) || !TakeBack(q, b, count, cap))
                return false;
            CHECK_STATUS(VirtqSplitSubmitBatch(q.vq, b.buffers, count, &done), STATUS_SUCCESS);
            CHECK_EQUAL(done, count);
            if (!Answer(q, b, count) || !TakeBack(q, b, count, cap))
                return false;
        }
    return true;
}

static bool Batches() {
    for (int event_idx = 0; event_idx < 2; event_idx++)
        for (int tables = NoTables; tables <= OwnTables; tables++)
            for (USHORT threshold = 0; threshold <= 8; threshold = (USHORT)(threshold + 8))
                if (!BatchesOf(event_idx != 0, (Tables)tables, threshold))
                    return false;
    return true;
}

// The first that is refused ends a batch; those before it are in.
static bool Refused() {
    Queue q(64, true, NoTables);
    Pool<Buffers> room(1);
    USHORT done;
    CHECK(q.Ready() && room.at);
    Buffers &b = *room.at;
    b.Make(5);
    b.sg[3][0].len = 0;
    CHECK_STATUS(VirtqSplitAddBatch(q.vq, b.buffers, 5, b.heads, &done), STATUS_INVALID_PARAMETER);
    CHECK_EQUAL(done, 3);
    CHECK_STATUS(VirtqSplitPublishBatch(q.vq, b.heads, done), STATUS_SUCCESS);
    if (!Answer(q, b, 3) || !TakeBack(q, b, 3, 8))
        return false;
    b.buffers[3].sg_count = 0;
    CHECK_STATUS(VirtqSplitSubmitBatch(q.vq, b.buffers, 5, &done), STATUS_INVALID_PARAMETER);
    CHECK_EQUAL(done, 3);
    if (!Answer(q, b, 3) || !TakeBack(q, b, 3, 2))
        return false;
    b.buffers[0].sg = nullptr;
    CHECK_STATUS(VirtqSplitSubmitBatch(q.vq, b.buffers, 5, &done), STATUS_INVALID_PARAMETER);
    CHECK_EQUAL(done, 0);
    CHECK_STATUS(VirtqSplitSubmitBatch(q.vq, b.buffers, 1, &done), STATUS_INVALID_PARAMETER);
    CHECK_EQUAL(done, 0);
    CHECK_EQUAL(q.peer.available(), 0);
    // None is no mistake.
    CHECK_STATUS(VirtqSplitAddBatch(q.vq, b.buffers, 0, b.heads, &done), STATUS_SUCCESS);
    CHECK_STATUS(VirtqSplitSubmitBatch(q.vq, b.buffers, 0, &done), STATUS_SUCCESS);
    CHECK_EQUAL(done, 0);
    CHECK_STATUS(VirtqSplitPublishBatch(q.vq, nullptr, 0), STATUS_SUCCESS);
    return true;
}

// All heads of a batch are published, or none.
static bool WrongHeads() {
    Queue q(64, false, NoTables);
    Pool<Buffers> room(1);
    USHORT done;
    CHECK(q.Ready() && room.at);
    Buffers &b = *room.at;
    b.Make(4);
    CHECK_STATUS(VirtqSplitAddBatch(q.vq, b.buffers, 4, b.heads, &done), STATUS_SUCCESS);
    static const USHORT wrong[] = {63, 64, 0xFFFF};
    ULONG misuses = 0;
    for (USHORT head : wrong) {
        const USHORT with[] = {b.heads[0], b.heads[1], head};
        CHECK_STATUS(VirtqSplitPublishBatch(q.vq, with, 3), VIRTQ_STATUS_NOT_ADDED);
        CHECK_EQUAL(q.peer.available(), 0);
        CHECK_EQUAL(VirtqSplitMisuseCount(q.vq), ++misuses);
    }
    const USHORT twice[] = {b.heads[0], b.heads[0]};
    CHECK_STATUS(VirtqSplitPublishBatch(q.vq, twice, 2), VIRTQ_STATUS_NOT_ADDED);
    CHECK_STATUS(VirtqSplitPublishChecked(q.vq, 64), VIRTQ_STATUS_NOT_ADDED);
    CHECK_STATUS(VirtqSplitPublishChecked(q.vq, 63), VIRTQ_STATUS_NOT_ADDED);
    CHECK_STATUS(VirtqSplitLastMisuse(q.vq), VIRTQ_STATUS_NOT_ADDED);
    CHECK_EQUAL(VirtqSplitMisuseCount(q.vq), misuses + 3);
    CHECK_EQUAL(VirtqSplitInFlight(q.vq), 0);
    CHECK_STATUS(VirtqSplitPublishBatch(q.vq, b.heads, 4), STATUS_SUCCESS);
    VirtqSplitPublish(q.vq, b.heads[0]); // published before
    CHECK_EQUAL(VirtqSplitMisuseCount(q.vq), misuses + 4);
    return Answer(q, b, 4) && TakeBack(q, b, 4, 4);
}

static bool NullArguments() {
    Queue q(8, false, NoTables);
    Pool<Buffers> room(1);
    VIRTQ_COMPLETION out[2];
    USHORT done = 7;
    CHECK(q.Ready() && room.at);
    Buffers &b = *room.at;
    b.Make(2);
    VIRTQ_SPLIT *vq = q.vq;
    const NTSTATUS bad = STATUS_INVALID_PARAMETER;
    CHECK_STATUS(VirtqSplitAddBatch(vq, b.buffers, 1, b.heads, nullptr), bad);
    CHECK_STATUS(VirtqSplitAddBatch(nullptr, b.buffers, 1, b.heads, &done), bad);
    CHECK_EQUAL(done, 0);
    CHECK_STATUS(VirtqSplitAddBatch(vq, nullptr, 1, b.heads, &done), bad);
    CHECK_STATUS(VirtqSplitAddBatch(vq, b.buffers, 1, nullptr, &done), bad);
    CHECK_STATUS(VirtqSplitPublishBatch(nullptr, b.heads, 1), bad);
    CHECK_STATUS(VirtqSplitPublishBatch(vq, nullptr, 1), bad);
    CHECK_STATUS(VirtqSplitPublishChecked(nullptr, 0), bad);
    CHECK_STATUS(VirtqSplitSubmitBatch(vq, b.buffers, 1, nullptr), bad);
    CHECK_STATUS(VirtqSplitSubmitBatch(nullptr, b.buffers, 1, &done), bad);
    CHECK_STATUS(VirtqSplitSubmitBatch(vq, nullptr, 1, &done), bad);
    CHECK_STATUS(VirtqSplitGetUsedBatch(vq, out, 2, nullptr), bad);
    CHECK_STATUS(VirtqSplitGetUsedBatch(nullptr, out, 2, &done), bad);
    CHECK_STATUS(VirtqSplitGetUsedBatch(vq, nullptr, 2, &done), bad);
    CHECK_STATUS(VirtqSplitGetUsedBatch(vq, out, 0, &done), bad);
    CHECK(!VirtqSplitIsBroken(vq));
    CHECK_EQUAL(VirtqSplitNumFree(vq), 8);
    return true;
}

const LibCase BatchCases[] = {
    {"batches", Batches},          {"batch-refused", Refused}, {"batch-wrong-heads", WrongHeads},
    {"batch-null", NullArguments}, {nullptr, nullptr},
};
