// SPDX-License-Identifier: MIT
//
// virtqueue_split_setup.cpp: sizes, Init, InitAreas, Reset (Virtio 1.2, 2.7).
#include <tuple>

#include "model/queue_rig.h"

using namespace vq7::model;

namespace {

TEST(VirtqSplitSizes, FollowTheTableOfTheSpecification) // 2.7
{
    for (UINT32 size = 1; size <= 32768; size *= 2) {
        UINT16 qsz = static_cast<UINT16>(size);
        EXPECT_EQ(VirtqSplitDescAreaSize(qsz), 16u * size);
        EXPECT_EQ(VirtqSplitAvailAreaSize(qsz), 6u + 2u * size);
        EXPECT_EQ(VirtqSplitUsedAreaSize(qsz), 6u + 8u * size);
        for (UINT32 align : {4u, 16u, 64u, 4096u, 65536u}) {
            size_t used = (16u * size + 6u + 2u * size + align - 1) / align * align;
            for (BOOLEAN event_idx : {FALSE, TRUE}) {
                EXPECT_EQ(VirtqSplitRingMemSize(qsz, align, event_idx), used + 6u + 8u * size);
            }
        }
    }
}

TEST(VirtqSplitSizes, LegacyExamples) // 2.7.2, worked by hand
{
    // 256: 4096 + 518 -> 8192, + 2054. 128: 2048 + 262 -> 4096, + 1030.
    EXPECT_EQ(VirtqSplitRingMemSize(256, 4096, TRUE), 10246u);
    EXPECT_EQ(VirtqSplitRingMemSize(128, 4096, TRUE), 5126u);
    EXPECT_EQ(VirtqSplitRingMemSize(8, 16, TRUE), 160u + 70u);
}

TEST(VirtqSplitSizes, InvalidOnesAreZero) // 2.7: a power of two, at most 32768
{
    for (UINT32 bad : {0u, 3u, 6u, 12u, 255u, 257u, 32767u, 32769u, 65535u}) {
        UINT16 qsz = static_cast<UINT16>(bad);
        EXPECT_EQ(VirtqSplitStateSize(qsz), 0u) << bad;
        EXPECT_EQ(VirtqSplitRingMemSize(qsz, 4096, FALSE), 0u) << bad;
        EXPECT_EQ(VirtqSplitDescAreaSize(qsz), 0u) << bad;
        EXPECT_EQ(VirtqSplitAvailAreaSize(qsz), 0u) << bad;
        EXPECT_EQ(VirtqSplitUsedAreaSize(qsz), 0u) << bad;
    }
    for (UINT32 align : {0u, 1u, 2u, 3u, 5u, 12u, 4095u}) {
        EXPECT_EQ(VirtqSplitRingMemSize(8, align, FALSE), 0u) << align;
    }
    EXPECT_EQ(VirtqSplitRingMemSize(32768, 0x80000000u, TRUE), 0x80000000u + 6u + 8u * 32768u);
}

TEST(VirtqSplitInit, PlacesThePartsAndClearsThem) // 2.7.2
{
    for (UINT32 size = 1; size <= 32768; size *= 2) {
        for (UINT32 align : {4u, 64u, 4096u}) {
            QueueRig rig({.size = static_cast<UINT16>(size), .align = align});
            VIRTQ_SPLIT *vq = rig.vq();
            const auto &layout = rig.device->GetLayout();
            EXPECT_EQ(vq->qsz, size);
            EXPECT_EQ(vq->num_free, size);
            EXPECT_EQ(vq->desc_pa, layout.desc);
            EXPECT_EQ(vq->avail_pa, layout.avail);
            EXPECT_EQ(vq->used_pa, layout.used);
            EXPECT_EQ((void *)vq->desc, rig.Memory().Host(layout.desc, 1));
            EXPECT_EQ((void *)vq->avail, rig.Memory().Host(layout.avail, 1));
            EXPECT_EQ((void *)vq->used, rig.Memory().Host(layout.used, 1));
            EXPECT_EQ(rig.device->AvailIdx(), 0);
            EXPECT_EQ(rig.device->AvailFlags(), 0);
            EXPECT_EQ(rig.device->UsedEvent(), 0);
            EXPECT_EQ(rig.Memory().Load16(rig.device->UsedIdxAt()), 0);
            EXPECT_EQ(rig.Memory().Load16(rig.device->UsedFlagsAt()), 0);
            EXPECT_EQ(rig.Memory().Load16(rig.device->AvailEventAt()), 0);
        }
    }
}

TEST(VirtqSplitInit, WritesNothingOutsideItsMemory) // 2.7.2
{
    for (UINT16 size : {1, 2, 64}) {
        EXPECT_EQ(VirtqSplitStateSize(size),
                  offsetof(VIRTQ_SPLIT, storage) + size * sizeof(VIRTQ_SPLIT_CHAIN));
        std::vector<UINT8> state(VirtqSplitStateSize(size) + 32, 0x5A);
        size_t ring_size = VirtqSplitRingMemSize(size, 16, TRUE);
        auto *ring = static_cast<UINT8 *>(std::aligned_alloc(16, (ring_size + 47) / 16 * 16));
        memset(ring, 0x5A, ring_size + 32);
        auto *vq = reinterpret_cast<VIRTQ_SPLIT *>(state.data());
        ASSERT_EQ(VirtqSplitInit(vq, size, TRUE, FALSE, ring, 0x1000, 16, nullptr, 0, 0, 0),
                  STATUS_SUCCESS);
        for (size_t i = 0; i < 32; i++) {
            EXPECT_EQ(state[VirtqSplitStateSize(size) + i], 0x5A);
            EXPECT_EQ(ring[ring_size + i], 0x5A);
        }
        free(ring);
    }
}

TEST(VirtqSplitInit, LeavesNothingOfWhatWasThere) // 2.7
{
    alignas(64) static UINT8 ring[1024];
    alignas(64) static UINT8 state[1024];
    const size_t size = VirtqSplitStateSize(8);
    ASSERT_LE(size, sizeof(state));
    std::vector<UINT8> states[2];
    for (int i = 0; i < 2; i++) {
        memset(ring, i == 0 ? 0 : 0xFF, sizeof(ring));
        memset(state, i == 0 ? 0 : 0xFF, sizeof(state));
        ASSERT_EQ(VirtqSplitInit(reinterpret_cast<VIRTQ_SPLIT *>(state), 8, TRUE, FALSE, ring,
                                 0x1000, 16, nullptr, 0, 0, 0),
                  STATUS_SUCCESS);
        states[i].assign(state, state + size);
    }
    EXPECT_EQ(states[0], states[1]);
    for (size_t i = 0; i < 230; i++) {
        EXPECT_EQ(ring[i], i < 150 || i >= 160 ? 0 : 0xFF) << i; // a gap before the used ring
    }
}

struct InitArgs {
    UINT16 qsz = 8;
    BOOLEAN indirect = FALSE;
    size_t va_shift = 0;
    bool ring_null = false;
    UINT64 pa = 0x10000;
    UINT32 align = 64;
    bool pool = false;
    size_t pool_shift = 0;
    UINT64 pool_pa = 0x20000;
    UINT16 tables = 0;
    UINT16 table_size = 0;
};

NTSTATUS InitWith(const InitArgs &a) {
    alignas(64) static UINT8 ring[4096];
    alignas(64) static UINT8 pool[4096];
    static std::max_align_t state[512];
    memset(state, 0x11, sizeof(state));
    auto *vq = reinterpret_cast<VIRTQ_SPLIT *>(state);
    NTSTATUS status = VirtqSplitInit(
        vq, a.qsz, FALSE, a.indirect, a.ring_null ? nullptr : ring + a.va_shift, a.pa, a.align,
        a.pool ? pool + a.pool_shift : nullptr, a.pool_pa, a.tables, a.table_size);
    if (!NT_SUCCESS(status)) {
        for (size_t i = 0; i < sizeof(state); i++) {
            EXPECT_EQ(reinterpret_cast<UINT8 *>(state)[i], 0x11) << "a refused Init wrote state";
        }
    }
    return status;
}

TEST(VirtqSplitInit, RefusesBadParameters) // 2.7, 2.7.2
{
    EXPECT_EQ(InitWith({}), STATUS_SUCCESS);
    EXPECT_EQ(InitWith({.qsz = 0}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(InitWith({.qsz = 7}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(InitWith({.qsz = 65535}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(InitWith({.ring_null = true}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(InitWith({.va_shift = 8}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(InitWith({.va_shift = 1}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(InitWith({.pa = 0x10008}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(InitWith({.align = 0}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(InitWith({.align = 2}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(InitWith({.align = 48}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(
        VirtqSplitInit(nullptr, 8, FALSE, FALSE, (void *)0x1000, 0x1000, 64, nullptr, 0, 0, 0),
        STATUS_INVALID_PARAMETER);
}

TEST(VirtqSplitInit, RefusesAddressesThatWrap) // 2.7
{
    size_t size = VirtqSplitRingMemSize(8, 16, FALSE);
    UINT64 highest = (~UINT64(0) - (size - 1)) & ~UINT64(15);
    EXPECT_EQ(InitWith({.pa = highest, .align = 16}), STATUS_SUCCESS);
    EXPECT_EQ(InitWith({.pa = highest + 16, .align = 16}), STATUS_INVALID_PARAMETER);
    // Between two of its parts, each of which alone would be in order.
    EXPECT_EQ(InitWith({.pa = ~UINT64(4095), .align = 4096}), STATUS_INVALID_PARAMETER);
    std::vector<UINT8> state(VirtqSplitStateSize(8));
    EXPECT_EQ(VirtqSplitInit(reinterpret_cast<VIRTQ_SPLIT *>(state.data()), 8, FALSE, FALSE,
                             (void *)~(uintptr_t)15, 0x1000, 16, nullptr, 0, 0, 0),
              STATUS_INVALID_PARAMETER);
}

TEST(VirtqSplitInit, IndirectPool) // 2.7.5.3
{
    InitArgs good = {.indirect = TRUE, .pool = true, .tables = 4, .table_size = 8};
    EXPECT_EQ(InitWith(good), STATUS_SUCCESS);
    InitArgs a = good;
    a.tables = 0;
    EXPECT_EQ(InitWith(a), STATUS_INVALID_PARAMETER);
    a = good;
    a.table_size = 0;
    EXPECT_EQ(InitWith(a), STATUS_INVALID_PARAMETER);
    a = good;
    a.pool_shift = 8;
    EXPECT_EQ(InitWith(a), STATUS_INVALID_PARAMETER);
    a = good;
    a.pool_shift = 1;
    EXPECT_EQ(InitWith(a), STATUS_INVALID_PARAMETER);
    for (UINT64 wrong : {1, 4}) {
        a = good;
        a.pool_pa = 0x20000 + wrong;
        EXPECT_EQ(InitWith(a), STATUS_INVALID_PARAMETER);
    }
    a = good;
    a.pool_pa = ~UINT64(0) - 15; // room for one descriptor
    EXPECT_EQ(InitWith(a), STATUS_INVALID_PARAMETER);
    a = good;
    a.indirect = FALSE; // not negotiated: not looked at
    a.pool_shift = 8;
    EXPECT_EQ(InitWith(a), STATUS_SUCCESS);
    EXPECT_EQ(InitWith({.indirect = TRUE}), STATUS_SUCCESS); // negotiated, no pool: direct
}

TEST(VirtqSplitInit, PoolsThatPassTheEndOfMemoryAreRefused) // on 32 bits, a product that wraps
{
    NTSTATUS expected = sizeof(size_t) == 4 ? STATUS_INVALID_PARAMETER : STATUS_SUCCESS;
    for (UINT16 tables : {16384, 16385, 65535}) { // 4 GiB, a bit more, almost 64
        InitArgs a = {.indirect = TRUE, .pool = true, .tables = tables, .table_size = 16384};
        EXPECT_EQ(InitWith(a), expected) << tables;
        a.pool_pa = ~UINT64(0) - 0xFFFFFFF; // room for 256 MiB
        EXPECT_EQ(InitWith(a), STATUS_INVALID_PARAMETER) << tables;
    }
    EXPECT_EQ(InitWith({.indirect = TRUE, .pool = true, .tables = 0xFFFF, .table_size = 0xFFFF}),
              expected);
}

TEST(VirtqSplitInit, UsesNoMoreTablesThanChainsFit) // 2.7.5.3
{
    QueueRig rig({.size = 4, .indirect = true, .tables = 9, .table_size = 4});
    EXPECT_EQ(rig.vq()->indirect_table_count, 4);
}

class Areas : public ::testing::Test {
  protected:
    GuestMemory memory{65536};
    std::vector<std::max_align_t> state = std::vector<std::max_align_t>(100);
    UINT64 desc = memory.Allocate(16 * 8, 16);
    UINT64 avail = memory.Allocate(6 + 16, 2);
    UINT64 used = memory.Allocate(6 + 64, 4);

    NTSTATUS Init(UINT64 d, UINT64 a, UINT64 u, UINT16 qsz = 8, UINT16 max = 8) {
        VIRTQ_SPLIT_AREAS areas = {memory.Host(d, 1), d, memory.Host(a, 1), a,
                                   memory.Host(u, 1), u};
        return VirtqSplitInitAreas(reinterpret_cast<VIRTQ_SPLIT *>(state.data()), qsz, max, FALSE,
                                   FALSE, &areas, nullptr, 0, 0, 0);
    }
};

TEST_F(Areas, AlignmentsOfTheSpecificationAreEnough) // 2.7: 16, 2, 4
{
    EXPECT_EQ(Init(desc, avail, used), STATUS_SUCCESS);
    UINT64 a = memory.Allocate(64, 16) + 2;
    UINT64 u = memory.Allocate(96, 16) + 4;
    EXPECT_EQ(Init(desc, a, u), STATUS_SUCCESS);
    UINT64 d = memory.Allocate(256, 16);
    EXPECT_EQ(Init(d + 16, avail, used), STATUS_SUCCESS);
    EXPECT_EQ(Init(d + 8, avail, used), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(Init(desc, a - 1, used), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(Init(desc, avail, u - 2), STATUS_INVALID_PARAMETER);
}

TEST_F(Areas, OneOfTheTwoAddressesIsEnoughToBeMisaligned) // 2.7
{
    auto *vq = reinterpret_cast<VIRTQ_SPLIT *>(state.data());
    auto *bytes = memory.Host(memory.Allocate(4096, 64), 4096);
    struct {
        unsigned desc_va, desc_pa, avail_va, avail_pa, used_va, used_pa;
    } rows[] = {{0, 0, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 0}, {8, 0, 0, 0, 0, 0}, {0, 1, 0, 0, 0, 0},
                {0, 8, 0, 0, 0, 0}, {0, 0, 1, 0, 0, 0}, {0, 0, 0, 1, 0, 0}, {0, 0, 0, 0, 1, 0},
                {0, 0, 0, 0, 2, 0}, {0, 0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 2}};
    for (auto &row : rows) {
        VIRTQ_SPLIT_AREAS areas = {bytes + row.desc_va,         0x10000u + row.desc_pa,
                                   bytes + 1024 + row.avail_va, 0x20000u + row.avail_pa,
                                   bytes + 2048 + row.used_va,  0x30000u + row.used_pa};
        EXPECT_EQ(VirtqSplitInitAreas(vq, 8, 8, FALSE, FALSE, &areas, nullptr, 0, 0, 0),
                  &row == rows ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER)
            << &row - rows;
    }
}

TEST_F(Areas, PartsMayNotOverlap) // 2.7
{
    UINT64 piece = memory.Allocate(1024, 16);
    EXPECT_EQ(Init(piece, piece + 128, piece + 152), STATUS_SUCCESS);
    EXPECT_EQ(Init(piece, piece + 126, piece + 152), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(Init(piece, piece + 512, piece + 124), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(Init(piece + 512, piece, piece + 20), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(Init(piece + 512, piece + 68, piece), STATUS_INVALID_PARAMETER);
}

TEST_F(Areas, PartsMayTouch) // 2.7
{
    UINT64 p = memory.Allocate(2048, 16);
    struct {
        UINT64 desc, avail, used; // of 128, 22 and 70 bytes
        bool good;
    } rows[] = {{p, p + 128, p + 512, true},          {p + 512, p + 490, p, true},
                {p + 512, p + 492, p, false},         {p, p + 512, p + 128, true},
                {p + 512, p, p + 440, true},          {p + 512, p, p + 444, false},
                {p + 512, p + 130, p + 152, true},    {p + 512, p + 132, p + 152, false},
                {p + 512, p + 302, p + 232, true},    {p + 512, p + 300, p + 232, false},
                {p + 1024, p + 1024, p + 256, false}, {p + 1024, p + 256, p + 1024, false},
                {p + 1024, p + 512, p + 512, false}};
    for (auto &row : rows) {
        EXPECT_EQ(Init(row.desc, row.avail, row.used),
                  row.good ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER)
            << row.desc - p << ' ' << row.avail - p << ' ' << row.used - p;
    }
}

TEST_F(Areas, MayEndWhereTheAddressSpaceDoes) // 2.7
{
    auto *vq = reinterpret_cast<VIRTQ_SPLIT *>(state.data());
    VIRTQ_SPLIT_AREAS areas = {memory.Host(desc, 1),  UINT64(0) - 128,
                               memory.Host(avail, 1), avail,
                               memory.Host(used, 1),  used};
    EXPECT_EQ(VirtqSplitInitAreas(vq, 8, 8, FALSE, FALSE, &areas, nullptr, 0, 0, 0),
              STATUS_SUCCESS);
    areas.desc_pa = desc;
    areas.avail_pa = UINT64(0) - 22;
    EXPECT_EQ(VirtqSplitInitAreas(vq, 8, 8, FALSE, FALSE, &areas, nullptr, 0, 0, 0),
              STATUS_SUCCESS);
}

TEST_F(Areas, SizeIsBoundedByTheDevice) // 4.1.5.1.3
{
    EXPECT_EQ(Init(desc, avail, used, 8, 8), STATUS_SUCCESS);
    EXPECT_EQ(Init(desc, avail, used, 4, 8), STATUS_SUCCESS);
    EXPECT_EQ(Init(desc, avail, used, 8, 7), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(Init(desc, avail, used, 8, 0), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(VirtqSplitInitAreas(reinterpret_cast<VIRTQ_SPLIT *>(state.data()), 8, 8, FALSE, FALSE,
                                  nullptr, nullptr, 0, 0, 0),
              STATUS_INVALID_PARAMETER);
}

TEST(VirtqSplitReset, GivesTheStateOfInit) // 3.3.1
{
    for (bool event_idx : {false, true}) {
        QueueRig rig(
            {.size = 4, .event_idx = event_idx, .indirect = true, .tables = 2, .table_size = 4});
        rig.vq()->indirect_threshold = 1;
        VirtqSplitDisableInterrupts(rig.vq());
        for (int i = 0; i < 7; i++) {
            UINT16 head = rig.Submit(rig.Segments(1, 1), Cookie(1));
            ASSERT_TRUE(rig.device->Pop());
            rig.device->Push(head, 1);
            ASSERT_EQ(rig.Get().status, STATUS_SUCCESS);
        }
        memset(rig.Memory().Host(rig.vq()->desc_pa, 64), 0xFF, 64);
        EXPECT_EQ(VirtqSplitResetChecked(rig.vq()), STATUS_SUCCESS);
        rig.device->Reset();
        EXPECT_EQ(rig.vq()->avail_idx, 0);
        EXPECT_EQ(rig.vq()->last_used_idx, 0);
        EXPECT_EQ(rig.vq()->num_added, 0);
        EXPECT_EQ(rig.vq()->num_free, 4);
        EXPECT_EQ(rig.device->AvailIdx(), 0);
        EXPECT_EQ(rig.device->AvailFlags(), 0);
        EXPECT_FALSE(VirtqSplitHasUsed(rig.vq()));
        // And it works, all of it.
        for (UINT16 i = 0; i < 4; i++) {
            rig.Submit(rig.Segments(0, 1), Cookie(i));
        }
        for (UINT16 i = 0; i < 4; i++) {
            auto chain = rig.device->Pop();
            ASSERT_TRUE(chain);
            rig.device->Push(chain->head, 1);
            EXPECT_EQ(rig.Get().cookie, Cookie(i));
        }
    }
}

// The whole private state: what a reset forgets would live on in the next life.
TEST(VirtqSplitReset, LeavesNothingOfALivelyPast) // 3.3.1
{
    for (bool event_idx : {false, true}) {
        for (UINT16 tables : {0, 2, 4}) {
            QueueRig rig({.size = 4,
                          .event_idx = event_idx,
                          .indirect = tables != 0,
                          .tables = tables,
                          .table_size = 4});
            VIRTQ_SPLIT *vq = rig.vq();
            vq->indirect_threshold = 1;
            const auto *bytes = reinterpret_cast<const UINT8 *>(vq);
            const std::vector<UINT8> fresh(bytes, bytes + VirtqSplitStateSize(4));
            UINT16 head;
            void *cookie;
            for (int i = 0; i < 3; i++) {
                rig.Submit(rig.Segments(0, 1), Cookie(1));
                rig.device->Push(rig.device->Pop()->head, 1);
            }
            EXPECT_EQ(rig.Get().status, STATUS_SUCCESS); // and moves used_event
            (void)VirtqSplitKickPrepare(vq);
            while (rig.Add(rig.Segments(1, 1), Cookie(2), &head) == STATUS_SUCCESS) {
                VirtqSplitPublish(vq, head); // until it is full
            }
            rig.Memory().Store16(rig.device->AvailEventAt(), 7);
            VirtqSplitDisableInterrupts(vq);
            while (VirtqSplitDetachUnused(vq, &cookie) == STATUS_SUCCESS) {
            }
            ASSERT_EQ(VirtqSplitResetChecked(vq), STATUS_SUCCESS);
            EXPECT_EQ(std::vector<UINT8>(bytes, bytes + fresh.size()), fresh);
            const auto &layout = rig.device->GetLayout();
            for (auto [at, size] : {std::pair{layout.desc, 64}, std::pair{layout.avail, 14},
                                    std::pair{layout.used, 38}}) {
                const UINT8 *shared = rig.Memory().Host(at, size);
                EXPECT_EQ(std::vector<UINT8>(shared, shared + size), std::vector<UINT8>(size, 0));
            }
        }
    }
}

TEST(VirtqSplitReset, OfNothing) {
    VirtqSplitReset(nullptr);
    EXPECT_EQ(VirtqSplitResetChecked(nullptr), STATUS_INVALID_PARAMETER);
    VIRTQ_SPLIT zero = {};
    EXPECT_EQ(VirtqSplitResetChecked(&zero), STATUS_INVALID_PARAMETER);
}

} // namespace
