// SPDX-License-Identifier: MIT
//
// Sizes, and what VirtqSplitInit takes and refuses (Virtio 1.2, 2.7); plain accessors.
#include "peer.h"

static bool Sizes() {
    // 2.7: powers of two, up to 32768.
    static const USHORT none[] = {0, 3, 6, 255, 32769, 65535};
    for (USHORT size : none) {
        CHECK_EQUAL(VirtqSplitStateSize(size), 0);
        CHECK_EQUAL(VirtqSplitDescAreaSize(size), 0);
        CHECK_EQUAL(VirtqSplitAvailAreaSize(size), 0);
        CHECK_EQUAL(VirtqSplitUsedAreaSize(size), 0);
        CHECK_EQUAL(VirtqSplitRingMemSize(size, PAGE_SIZE, TRUE), 0);
    }
    for (ULONG size = 1; size <= 32768; size *= 2) {
        CHECK(VirtqSplitStateSize((USHORT)size) > VirtqSplitStateSize((USHORT)(size / 2)));
        CHECK_EQUAL(VirtqSplitDescAreaSize((USHORT)size), 16 * size);
        CHECK_EQUAL(VirtqSplitAvailAreaSize((USHORT)size), 6 + 2 * size);
        CHECK_EQUAL(VirtqSplitUsedAreaSize((USHORT)size), 6 + 8 * size);
    }
    // 2.7.2: 256 descriptors end in their second page with the avail ring.
    CHECK_EQUAL(VirtqSplitRingMemSize(256, PAGE_SIZE, FALSE), 2 * PAGE_SIZE + 6 + 8 * 256);
    CHECK_EQUAL(VirtqSplitRingMemSize(8, 4, TRUE), 128 + 24 + 70);
    CHECK_EQUAL(VirtqSplitRingMemSize(8, 2, TRUE), 0);
    CHECK_EQUAL(VirtqSplitRingMemSize(8, 12, TRUE), 0);
    return true;
}

// Memory for a queue of 8.
struct Memory {
    Memory() : state(VirtqSplitStateSize(8)), ring(4 * PAGE_SIZE) {}
    bool ready() const {
        return state.at && ring.va;
    }
    VIRTQ_SPLIT *vq() const {
        return (VIRTQ_SPLIT *)state.at;
    }
    Pool<UCHAR> state;
    Contiguous ring;
};

static bool InitRefuses() {
    Memory m;
    CHECK(m.ready());
    UCHAR *va = m.ring.va;
    const ULONG64 pa = m.ring.pa;
    void *odd_pool = va + 2 * PAGE_SIZE + 1;
    struct {
        USHORT size;
        void *va;
        ULONG64 pa;
        ULONG align;
        void *pool;
        ULONG64 pool_pa;
        USHORT count, length;
    } const bad[] = {
        {0, va, pa, 4096, nullptr, 0, 0, 0},
        {12, va, pa, 4096, nullptr, 0, 0, 0},
        {8, nullptr, pa, 4096, nullptr, 0, 0, 0},
        {8, va + 4, pa, 4096, nullptr, 0, 0, 0},
        {8, va, pa + 8, 4096, nullptr, 0, 0, 0},
        {8, va, pa, 3, nullptr, 0, 0, 0},
        {8, va, ~0ull - 4095, 4096, nullptr, 0, 0, 0}, // ends beyond the address space
        {8, va, pa, 4096, odd_pool, pa, 4, 4},
        {8, va, pa, 4096, va + 2 * PAGE_SIZE, pa + 1, 4, 4},
        {8, va, pa, 4096, va + 2 * PAGE_SIZE, pa, 0, 4},
        {8, va, pa, 4096, va + 2 * PAGE_SIZE, pa, 4, 0},
        {8, va, pa, 4096, va + 2 * PAGE_SIZE, ~0ull - 15, 4, 4},
    };
    RtlFillMemory(m.state.at, VirtqSplitStateSize(8), 0x5A);
    for (const auto &b : bad)
        CHECK_STATUS(VirtqSplitInit(m.vq(), b.size, TRUE, b.pool != nullptr, b.va, b.pa, b.align,
                                    b.pool, b.pool_pa, b.count, b.length),
                     STATUS_INVALID_PARAMETER);
    for (SIZE_T i = 0; i < VirtqSplitStateSize(8); i++)
        CHECK_EQUAL(m.state.at[i], 0x5A); // "*vq is unchanged"
    CHECK_STATUS(VirtqSplitInit(nullptr, 8, TRUE, FALSE, va, pa, 4096, nullptr, 0, 0, 0),
                 STATUS_INVALID_PARAMETER);
    CHECK_STATUS(VirtqSplitInit(m.vq(), 8, TRUE, TRUE, va, pa, 4096, nullptr, 0, 0, 0),
                 STATUS_SUCCESS); // no pool: all chains are direct
    CHECK_STATUS(VirtqSplitInit(m.vq(), 8, TRUE, FALSE, va, pa, 4096, odd_pool, 1, 0, 0),
                 STATUS_SUCCESS); // a pool that isn't looked at
    return true;
}

static bool Areas() {
    Memory m;
    CHECK(m.ready());
    UCHAR *va = m.ring.va;
    const ULONG64 pa = m.ring.pa;
    // Three places of one page: 4.1.4.3 lets them be anywhere.
    const VIRTQ_SPLIT_AREAS good = {va + 2048, pa + 2048, va + 2, pa + 2, va + 1024, pa + 1024};
    auto init = [&m](const VIRTQ_SPLIT_AREAS *areas, USHORT size, USHORT most) {
        return VirtqSplitInitAreas(m.vq(), size, most, TRUE, FALSE, areas, nullptr, 0, 0, 0);
    };
    CHECK_STATUS(init(nullptr, 8, 8), STATUS_INVALID_PARAMETER);
    CHECK_STATUS(init(&good, 8, 4), STATUS_INVALID_PARAMETER);
    CHECK_STATUS(VirtqSplitInitAreas(nullptr, 8, 8, TRUE, FALSE, &good, nullptr, 0, 0, 0),
                 STATUS_INVALID_PARAMETER);
    VIRTQ_SPLIT_AREAS bad = good;
    bad.avail_va = va + 3;
    CHECK_STATUS(init(&bad, 8, 8), STATUS_INVALID_PARAMETER);
    bad = good;
    bad.used_pa = pa + 1026;
    CHECK_STATUS(init(&bad, 8, 8), STATUS_INVALID_PARAMETER);
    // Each two of them overlap, in both orders.
    const ULONG64 near[][3] = {{pa + 2048, pa + 2050, pa},   {pa + 2048, pa + 2046, pa},
                               {pa + 2048, pa, pa + 2052},   {pa + 2048, pa, pa + 2044},
                               {pa + 2048, pa + 8, pa + 12}, {pa + 2048, pa + 12, pa + 8}};
    for (const auto &places : near) {
        bad = good;
        bad.desc_pa = places[0];
        bad.avail_pa = places[1];
        bad.used_pa = places[2];
        CHECK_STATUS(init(&bad, 8, 8), STATUS_INVALID_PARAMETER);
    }
    CHECK_STATUS(init(&good, 8, 256), STATUS_SUCCESS);
    CHECK_EQUAL(VirtqSplitQueueSize(m.vq()), 8);
    CHECK_EQUAL(m.vq()->avail_pa, pa + 2);
    CHECK_EQUAL(va[1024], 0); // cleared
    CHECK_EQUAL(va[1024 - 1], 0xA5);
    return true;
}

static bool Accessors() {
    Queue q(16, true, NoTables);
    CHECK(q.Ready());
    CHECK_EQUAL(VirtqSplitQueueSize(q.vq), 16);
    CHECK_EQUAL(VirtqSplitMaxChain(q.vq), 16);
    CHECK_EQUAL(VirtqSplitNumFree(q.vq), 16);
    CHECK_EQUAL(VirtqSplitInFlight(q.vq), 0);
    CHECK(!VirtqSplitIsBroken(q.vq));
    CHECK_STATUS(VirtqSplitBrokenStatus(q.vq), STATUS_SUCCESS);
    CHECK_EQUAL(VirtqSplitMisuseCount(q.vq), 0);
    CHECK_STATUS(VirtqSplitLastMisuse(q.vq), STATUS_SUCCESS);
    CHECK_EQUAL(VirtqSplitQueueSize(nullptr), 0);
    CHECK_EQUAL(VirtqSplitMaxChain(nullptr), 0);
    CHECK_EQUAL(VirtqSplitNumFree(nullptr), 0);
    CHECK_EQUAL(VirtqSplitInFlight(nullptr), 0);
    CHECK(!VirtqSplitIsBroken(nullptr));
    CHECK_STATUS(VirtqSplitBrokenStatus(nullptr), STATUS_SUCCESS);
    CHECK_EQUAL(VirtqSplitMisuseCount(nullptr), 0);
    CHECK_STATUS(VirtqSplitLastMisuse(nullptr), STATUS_SUCCESS);
    return true;
}

// The accessors of each width, with a neighbour that must stay.
static bool MemoryAccess() {
    ULONG64 words[2] = {0, 0x1122334455667788};
    VirtioWriteU64(&words[0], 0x8877665544332211);
    CHECK_EQUAL(VirtioReadU64(&words[0]), 0x8877665544332211);
    VirtioWriteU32((UINT32 *)words, 0xAABBCCDD);
    CHECK_EQUAL(VirtioReadU32((UINT32 *)words + 1), 0x88776655);
    VirtioWriteU16((UINT16 *)words + 1, 0x1234);
    CHECK_EQUAL(VirtioReadU16((UINT16 *)words + 1), 0x1234);
    VirtioStoreReleaseU16((UINT16 *)words, 0x5678);
    CHECK_EQUAL(VirtioLoadAcquireU16((UINT16 *)words), 0x5678);
    CHECK_EQUAL(words[0], 0x8877665512345678);
    CHECK_EQUAL(words[1], 0x1122334455667788);
    VirtioZeroMemory(words, 8);
    CHECK_EQUAL(words[0], 0);
    CHECK_EQUAL(words[1], 0x1122334455667788);
    return true;
}

const LibCase SetupCases[] = {
    {"sizes", Sizes},         {"init-refuses", InitRefuses},   {"areas", Areas},
    {"accessors", Accessors}, {"memory-access", MemoryAccess}, {nullptr, nullptr},
};
