// SPDX-License-Identifier: MIT
//
// The queue's own memory: overwritten by somebody, it is not followed; and described.
#include "peer.h"

// The free list leads out of the table.
static bool FreeListOverwritten() {
    for (int tables = NoTables; tables <= OwnTables; tables++)
        for (USHORT threshold = 0; threshold <= 8; threshold = (USHORT)(threshold + 8))
            for (USHORT count = 1; count <= 10; count = (USHORT)(count + 3)) {
                Queue q(16, true, (Tables)tables, threshold);
                VIRTQ_SG sg[16];
                VIRTQ_BUFFER buffer = {sg, count, nullptr};
                USHORT head, done;
                CHECK(q.Ready());
                MakePieces(sg, count, 1, 1);
                q.vq->free_head = 0x7FFF;
                CHECK_STATUS(VirtqSplitAddBuffer(q.vq, sg, count, nullptr, &head),
                             STATUS_IO_DEVICE_ERROR);
                CHECK_STATUS(VirtqSplitSubmitBatch(q.vq, &buffer, 1, &done),
                             STATUS_IO_DEVICE_ERROR);
                CHECK_EQUAL(done, 0);
            }
    return true;
}

// So does the second of its links, which only a chain of several descriptors follows.
static bool LinkOverwritten() {
    for (USHORT written = 0; written <= 4; written = (USHORT)(written + 4)) {
        Queue q(16, true, NoTables);
        VIRTQ_SG sg[4];
        USHORT head;
        CHECK(q.Ready());
        MakePieces(sg, 4, written, 1);
        q.vq->chains[1].next = 0x7FFF;
        CHECK_STATUS(VirtqSplitAddBuffer(q.vq, sg, 4, nullptr, &head), STATUS_IO_DEVICE_ERROR);
        CHECK_EQUAL(VirtqSplitNumFree(q.vq), 16);
    }
    return true;
}

static bool MisuseCountStops() {
    Queue q(8, true, NoTables);
    CHECK(q.Ready());
    q.vq->misuse_count = 0xFFFFFFFE;
    VirtqSplitPublish(q.vq, 3);
    VirtqSplitPublish(q.vq, 3);
    CHECK_EQUAL(VirtqSplitMisuseCount(q.vq), 0xFFFFFFFF);
    return true;
}

struct Lines {
    ULONG count;
    SIZE_T longest;
    bool more, own, table, free, added;
};

static bool Has(const char *line, const char *text) {
    return strstr(line, text) != nullptr;
}

static VOID Count(const char *line, void *context) {
    Lines *lines = (Lines *)context;
    const SIZE_T length = strlen(line);
    lines->count++;
    lines->longest = length > lines->longest ? length : lines->longest;
    lines->more = lines->more || Has(line, " and 17 more");
    lines->own = lines->own || (Has(line, " in flight ") && Has(line, " table of its own"));
    lines->table = lines->table || Has(line, " table 2 cookie 0x");
    lines->free = lines->free || Has(line, "indirect tables: 3 of 12, free 0, above 0 segments");
    lines->added = lines->added || Has(line, " added count 1 ");
}

// `count` buffers in flight, and one that is only added.
static bool DumpOf(Tables tables, USHORT count, Lines *lines) {
    Queue q(64, true, tables, 0);
    VIRTQ_SG sg[2];
    USHORT head;
    CHECK(q.Ready());
    MakePieces(sg, 1, 1, 1);
    for (USHORT i = 0; i <= count; i++) {
        CHECK_STATUS(VirtqSplitAddBuffer(q.vq, sg, 1, Cookie(i), &head), STATUS_SUCCESS);
        if (i != 0)
            VirtqSplitPublish(q.vq, head);
    }
    VirtqSplitDisableInterrupts(q.vq);
    *lines = Lines();
    VirtqSplitDump(q.vq, nullptr, lines);
    CHECK_EQUAL(lines->count, 0);
    VirtqSplitDump(q.vq, Count, lines);
    CHECK(lines->longest < VIRTQ_SPLIT_DUMP_LINE_SIZE && lines->longest > 60);
    CHECK(lines->added);
    return true;
}

static bool Dump() {
    Lines lines = Lines();
    VirtqSplitDump(nullptr, Count, &lines);
    CHECK_EQUAL(lines.count, 1);
    if (!DumpOf(OwnTables, 49, &lines)) // 7 lines before the buffers, or 6 and the last one
        return false;
    CHECK_EQUAL(lines.count, VIRTQ_SPLIT_DUMP_MAX_LINES);
    CHECK(lines.more && lines.own && !lines.table);
    if (!DumpOf(FewTables, 5, &lines))
        return false;
    CHECK_EQUAL(lines.count, 6 + 6);
    CHECK(!lines.more && !lines.own && lines.table && lines.free);
    return true;
}

const LibCase PrivateCases[] = {
    {"free-list-overwritten", FreeListOverwritten},
    {"link-overwritten", LinkOverwritten},
    {"misuse-count-stops", MisuseCountStops},
    {"dump", Dump},
    {nullptr, nullptr},
};
