// SPDX-License-Identifier: MIT
//
// Buffers of every length by every way to add them, and what each way refuses.
#include "peer.h"

enum Way { ByBuffer, ByBatch, BySubmit };

// Adds one buffer and makes it available.
static NTSTATUS AddBy(Way way, VIRTQ_SPLIT *vq, const VIRTQ_SG *sg, USHORT count, void *cookie) {
    const VIRTQ_BUFFER buffer = {sg, count, cookie};
    USHORT head = 0xFFFF, done = 0xFFFF;
    NTSTATUS status;
    switch (way) {
    case ByBuffer:
        status = VirtqSplitAddBuffer(vq, sg, count, cookie, &head);
        return NT_SUCCESS(status) ? VirtqSplitPublishChecked(vq, head) : status;
    case ByBatch:
        status = VirtqSplitAddBatch(vq, &buffer, 1, &head, &done);
        if (done != (NT_SUCCESS(status) ? 1 : 0))
            return STATUS_DATA_ERROR;
        return NT_SUCCESS(status) ? VirtqSplitPublishBatch(vq, &head, 1) : status;
    default:
        status = VirtqSplitSubmitBatch(vq, &buffer, 1, &done);
        return done == (NT_SUCCESS(status) ? 1 : 0) ? status : STATUS_DATA_ERROR;
    }
}

// A buffer goes to the device and comes back.
static bool RoundTrip(Queue &q, Way way, USHORT count, USHORT written, bool indirect) {
    VIRTQ_SG sg[40];
    Chain chain;
    void *cookie = nullptr;
    UINT32 len = 0;
    MakePieces(sg, count, written, way);
    CHECK_STATUS(AddBy(way, q.vq, sg, count, Cookie(count)), STATUS_SUCCESS);
    CHECK_EQUAL(VirtqSplitInFlight(q.vq), 1);
    CHECK_EQUAL(VirtqSplitNumFree(q.vq), q.size - (indirect ? 1 : count));
    CHECK(q.peer.Take(&chain));
    CHECK_EQUAL(chain.indirect, indirect);
    if (!SamePieces(chain, sg, count))
        return false;
    const ULONG all = WritableBytes(sg, count);
    q.peer.Use(chain.head, all);
    CHECK_STATUS(VirtqSplitGetUsed(q.vq, &cookie, &len), STATUS_SUCCESS);
    CHECK_EQUAL((ULONG_PTR)cookie, (ULONG_PTR)Cookie(count));
    CHECK_EQUAL(len, all);
    CHECK_EQUAL(VirtqSplitNumFree(q.vq), q.size);
    CHECK_STATUS(VirtqSplitGetUsed(q.vq, &cookie, &len), STATUS_NOT_FOUND);
    CHECK(cookie == nullptr && len == 0);
    return true;
}

// Lengths below, at and above the threshold and the length of a table (12), all the ways.
static bool LengthsOf(bool event_idx, Tables tables, USHORT threshold) {
    Queue q(32, event_idx, tables, threshold);
    CHECK(q.Ready());
    AtDispatch dispatch;
    for (int way = ByBuffer; way <= BySubmit; way++)
        for (USHORT count = 1; count <= 32; count++) {
            const bool indirect = tables != NoTables && count > threshold && count <= TableLength;
            for (USHORT written = 0; written <= count; written = (USHORT)(written + count))
                if (!RoundTrip(q, (Way)way, count, written, indirect))
                    return false;
            if (!RoundTrip(q, (Way)way, count, (USHORT)(count / 2), indirect))
                return false;
        }
    return true;
}

static bool Lengths() {
    for (int event_idx = 0; event_idx < 2; event_idx++)
        for (int tables = NoTables; tables <= OwnTables; tables++)
            for (USHORT threshold = 0; threshold <= 8; threshold = (USHORT)(threshold + 8))
                if (!LengthsOf(event_idx != 0, (Tables)tables, threshold))
                    return false;
    return true;
}

// What no queue takes; nothing changes by it.
static bool RefusedBy(Queue &q, Way way, USHORT count) {
    VIRTQ_SG sg[40];
    const USHORT free = VirtqSplitNumFree(q.vq);
    auto refused = [&](NTSTATUS expected) {
        CHECK_STATUS(AddBy(way, q.vq, sg, count, nullptr), expected);
        CHECK_EQUAL(VirtqSplitNumFree(q.vq), free);
        CHECK_EQUAL(q.peer.available(), 0);
        return true;
    };
    for (USHORT at = 0; at < count; at++)
        for (USHORT written = 0; written <= count; written = (USHORT)(written + count)) {
            MakePieces(sg, count, written, 1);
            sg[at].len = 0;
            if (!refused(STATUS_INVALID_PARAMETER))
                return false;
            sg[at].len = 0x1000;
            sg[at].addr = ~0ull - 0xFFE; // one byte beyond the end of all addresses
            if (!refused(STATUS_INVALID_PARAMETER))
                return false;
        }
    if (count == 1)
        return true;
    MakePieces(sg, count, count, 1);
    sg[count - 1].write = FALSE; // 2.7.4.2
    if (!refused(STATUS_INVALID_PARAMETER))
        return false;
    MakePieces(sg, count, 1, 1);
    sg[0].len = sg[count - 1].len = 0x80000000; // 2.7.5: 4 GiB in all
    return refused(STATUS_INVALID_BUFFER_SIZE);
}

static bool Refused() {
    static const USHORT counts[] = {1, 2, 5, 10, 13};
    for (int tables = NoTables; tables <= OwnTables; tables++)
        for (USHORT threshold = 0; threshold <= 8; threshold = (USHORT)(threshold + 8)) {
            Queue q(16, true, (Tables)tables, threshold);
            CHECK(q.Ready());
            for (int way = ByBuffer; way <= BySubmit; way++) {
                VIRTQ_SG sg[40];
                for (USHORT count : counts)
                    if (!RefusedBy(q, (Way)way, count))
                        return false;
                MakePieces(sg, 17, 1, 1); // 2.7.5.3.1: more than the queue has
                CHECK_STATUS(AddBy((Way)way, q.vq, sg, 17, nullptr), STATUS_INVALID_BUFFER_SIZE);
                sg[0].addr = ~0ull - sg[0].len + 1; // ends where all addresses do
                CHECK_STATUS(AddBy((Way)way, q.vq, sg, 1, nullptr), STATUS_SUCCESS);
                Chain chain;
                void *cookie;
                UINT32 len;
                CHECK(q.peer.Take(&chain) && chain.pieces[0].addr == sg[0].addr);
                q.peer.Use(chain.head, 0);
                CHECK_STATUS(VirtqSplitGetUsed(q.vq, &cookie, &len), STATUS_SUCCESS);
            }
        }
    return true;
}

// Until there is no room: what comes back makes some.
static bool FullOf(Tables tables, USHORT threshold, USHORT count, Way way) {
    Queue q(16, false, tables, threshold);
    VIRTQ_SG sg[40];
    Chain chain;
    UINT32 len;
    void *cookie;
    USHORT added = 0, taken = 0;
    CHECK(q.Ready());
    MakePieces(sg, count, 1, 3);
    while (AddBy(way, q.vq, sg, count, Cookie(added)) == STATUS_SUCCESS)
        added++;
    CHECK(added > 0);
    CHECK_STATUS(AddBy(way, q.vq, sg, count, Cookie(added)), STATUS_INSUFFICIENT_RESOURCES);
    CHECK(tables == OwnTables && count > threshold ? added == 16 : added >= 16 / count);
    for (; q.peer.Take(&chain); taken++) {
        if (!SamePieces(chain, sg, count))
            return false;
        q.peer.Use(chain.head, 1);
    }
    CHECK_EQUAL(taken, added);
    for (USHORT i = 0; i < added; i++) {
        CHECK_STATUS(VirtqSplitGetUsed(q.vq, &cookie, &len), STATUS_SUCCESS);
        CHECK_EQUAL((ULONG_PTR)cookie, (ULONG_PTR)Cookie(i));
    }
    CHECK_EQUAL(VirtqSplitNumFree(q.vq), 16);
    CHECK_STATUS(AddBy(way, q.vq, sg, count, nullptr), STATUS_SUCCESS);
    return true;
}

static bool Full() {
    static const USHORT counts[] = {1, 3, 10};
    for (int tables = NoTables; tables <= OwnTables; tables++)
        for (USHORT threshold = 0; threshold <= 8; threshold = (USHORT)(threshold + 8))
            for (USHORT count : counts)
                for (int way = ByBuffer; way <= BySubmit; way++)
                    if (!FullOf((Tables)tables, threshold, count, (Way)way))
                        return false;
    return true;
}

static bool NullArguments() {
    Queue q(8, true, NoTables);
    VIRTQ_SG sg[2];
    USHORT head;
    CHECK(q.Ready());
    MakePieces(sg, 2, 1, 0);
    CHECK_STATUS(VirtqSplitAddBuffer(nullptr, sg, 1, nullptr, &head), STATUS_INVALID_PARAMETER);
    CHECK_STATUS(VirtqSplitAddBuffer(q.vq, nullptr, 1, nullptr, &head), STATUS_INVALID_PARAMETER);
    CHECK_STATUS(VirtqSplitAddBuffer(q.vq, sg, 0, nullptr, &head), STATUS_INVALID_PARAMETER);
    CHECK_STATUS(VirtqSplitAddBuffer(q.vq, sg, 1, nullptr, nullptr), STATUS_INVALID_PARAMETER);
    CHECK_EQUAL(VirtqSplitNumFree(q.vq), 8);
    return true;
}

const LibCase AddCases[] = {
    {"add-lengths", Lengths},    {"add-refused", Refused}, {"add-full", Full},
    {"add-null", NullArguments}, {nullptr, nullptr},
};
