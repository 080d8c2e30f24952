// SPDX-License-Identifier: MIT
//
// virtqueue_split_add.cpp: what is described to the device, and what is refused.
#include <sys/mman.h>

#include "model/queue_rig.h"

using namespace vq7::model;

namespace {

TEST(VirtqSplitAdd, EverySizeOfQueueFillsAndDrains) // 2.7
{
    for (UINT32 size = 1; size <= 32768; size *= 2) {
        QueueRig rig({.size = static_cast<UINT16>(size), .event_idx = true});
        for (UINT32 i = 0; i < size; i++) {
            UINT16 head;
            VIRTQ_SG sg = {0x1000 * (UINT64)i, 16, TRUE};
            ASSERT_EQ(VirtqSplitAddBuffer(rig.vq(), &sg, 1, Cookie(i + 1), &head), STATUS_SUCCESS);
            ASSERT_EQ(VirtqSplitPublishChecked(rig.vq(), head), STATUS_SUCCESS);
        }
        EXPECT_EQ(rig.vq()->num_free, 0);
        for (UINT32 i = 0; i < size; i++) {
            auto chain = rig.device->Pop();
            ASSERT_TRUE(chain);
            rig.device->Push(chain->head, 16);
        }
        for (UINT32 i = 0; i < size; i++) {
            ASSERT_EQ(rig.Get().cookie, Cookie(i + 1));
        }
        EXPECT_EQ(rig.vq()->num_free, size);
        EXPECT_EQ(rig.Get().status, STATUS_NOT_FOUND);
    }
}

TEST(VirtqSplitAdd, LongestChainIsTheWholeQueue) // 2.7.5.3.1
{
    for (bool indirect : {false, true}) {
        QueueRig rig({.size = 16,
                      .indirect = indirect,
                      .tables = static_cast<UINT16>(indirect ? 2 : 0),
                      .table_size = 32});
        UINT16 head = 0x1234;
        EXPECT_EQ(VirtqSplitMaxChain(rig.vq()), 16);
        EXPECT_EQ(rig.Add(rig.Segments(8, 9), nullptr, &head), STATUS_INVALID_BUFFER_SIZE);
        EXPECT_EQ(head, 0x1234);
        auto sg = rig.Segments(8, 8);
        rig.Submit(sg, nullptr);
        auto chain = rig.device->Pop();
        ASSERT_TRUE(chain);
        ExpectSame(*chain, sg);
    }
}

TEST(VirtqSplitAdd, RefusesMalformedLists) // 2.7.4.2, 2.7.5
{
    for (bool indirect : {false, true}) {
        QueueRig rig({.size = 8,
                      .indirect = indirect,
                      .tables = static_cast<UINT16>(indirect ? 8 : 0),
                      .table_size = 8});
        rig.vq()->indirect_threshold = 0;
        VIRTQ_SPLIT *vq = rig.vq();
        UINT16 head = 0x1234;
        auto add = [&](std::vector<VIRTQ_SG> sg) { return rig.Add(sg, Cookie(1), &head); };
        VIRTQ_SG one = {0x1000, 1, FALSE};

        EXPECT_EQ(add({{0x1000, 4, TRUE}, {0x2000, 4, FALSE}}), STATUS_INVALID_PARAMETER);
        EXPECT_EQ(add({{0x1000, 4, FALSE}, {0x2000, 4, TRUE}, {0x3000, 4, FALSE}}),
                  STATUS_INVALID_PARAMETER);
        EXPECT_EQ(add({{0x1000, 0, FALSE}}), STATUS_INVALID_PARAMETER);
        EXPECT_EQ(add({{0, 0, TRUE}}), STATUS_INVALID_PARAMETER);
        EXPECT_EQ(add({{0x1000, 4, FALSE}, {0x2000, 0, TRUE}}), STATUS_INVALID_PARAMETER);
        EXPECT_EQ(add({{~UINT64(0), 2, FALSE}}), STATUS_INVALID_PARAMETER);
        EXPECT_EQ(add({{~UINT64(0) - 0xFFFE, 0x10000, FALSE}}), STATUS_INVALID_PARAMETER);
        EXPECT_EQ(VirtqSplitAddBuffer(nullptr, &one, 1, nullptr, &head), STATUS_INVALID_PARAMETER);
        EXPECT_EQ(VirtqSplitAddBuffer(vq, nullptr, 1, nullptr, &head), STATUS_INVALID_PARAMETER);
        EXPECT_EQ(VirtqSplitAddBuffer(vq, &one, 0, nullptr, &head), STATUS_INVALID_PARAMETER);
        EXPECT_EQ(VirtqSplitAddBuffer(vq, &one, 1, nullptr, nullptr), STATUS_INVALID_PARAMETER);
        EXPECT_EQ(head, 0x1234);
        EXPECT_EQ(vq->num_free, 8);

        // The very last byte of the address space is one.
        EXPECT_EQ(add({{~UINT64(0), 1, FALSE}}), STATUS_SUCCESS);
        EXPECT_EQ(add({{~UINT64(0) - 0xFFFF, 0x10000, TRUE}}), STATUS_SUCCESS);
    }
}

TEST(VirtqSplitAdd, TotalStaysBelowFourGigabytes) // 2.7.5
{
    for (bool indirect : {false, true}) {
        QueueRig rig({.size = 4,
                      .indirect = indirect,
                      .tables = static_cast<UINT16>(indirect ? 4 : 0),
                      .table_size = 4});
        rig.vq()->indirect_threshold = 0;
        UINT16 head;
        VIRTQ_SG over[] = {{0x1000, 0x80000000u, FALSE}, {0x200000000, 0x80000000u, TRUE}};
        EXPECT_EQ(VirtqSplitAddBuffer(rig.vq(), over, 2, nullptr, &head),
                  STATUS_INVALID_BUFFER_SIZE);
        EXPECT_EQ(rig.vq()->num_free, 4);
        over[1].len--;
        EXPECT_EQ(VirtqSplitAddBuffer(rig.vq(), over, 2, nullptr, &head), STATUS_SUCCESS);
    }
}

TEST(VirtqSplitAdd, IndirectWhereItHelps) // 2.7.5.3
{
    QueueRig rig({.size = 8, .indirect = true, .tables = 2, .table_size = 4});
    VIRTQ_SPLIT *vq = rig.vq();
    EXPECT_EQ(vq->indirect_threshold, 8);
    rig.Submit(rig.Segments(2, 2), Cookie(1)); // few: direct
    EXPECT_EQ(vq->num_free, 4);
    rig.Submit(rig.Segments(1, 0), Cookie(2));
    EXPECT_EQ(vq->num_free, 3);
    rig.Submit(rig.Segments(2, 2), Cookie(3)); // too many for what is left: indirect
    EXPECT_EQ(vq->num_free, 2);
    EXPECT_EQ(vq->indirect_num_free, 1);
    UINT16 head;
    EXPECT_EQ(rig.Add(rig.Segments(3, 2), Cookie(4), &head), // longer than a table
              STATUS_INSUFFICIENT_RESOURCES);
    vq->indirect_threshold = 1;
    rig.Submit(rig.Segments(2, 0), Cookie(5)); // above the threshold: indirect
    EXPECT_EQ(vq->indirect_num_free, 0);
    EXPECT_EQ(vq->num_free, 1);
    vq->indirect_threshold = 0;
    rig.Submit(rig.Segments(0, 1), Cookie(6)); // no table left: direct
    EXPECT_EQ(vq->num_free, 0);

    std::vector<bool> indirect;
    std::vector<UINT16> heads;
    while (auto chain = rig.device->Pop()) {
        indirect.push_back(chain->indirect);
        heads.push_back(chain->head);
    }
    EXPECT_EQ(indirect, (std::vector<bool>{false, false, true, true, false}));
    for (UINT16 h : heads) {
        rig.device->Push(h, 0);
        EXPECT_EQ(rig.Get().status, STATUS_SUCCESS);
    }
    EXPECT_EQ(vq->num_free, 8);
    EXPECT_EQ(vq->indirect_num_free, 2);
}

TEST(VirtqSplitAdd, TablesAreApartAndInsideThePool) // 2.7.5.3
{
    QueueRig rig({.size = 4, .indirect = true, .tables = 4, .table_size = 3});
    rig.vq()->indirect_threshold = 0;
    for (UINT16 i = 0; i < 4; i++) {
        rig.Submit(rig.Segments(1, 2), Cookie(i));
    }
    std::set<UINT64> tables;
    for (unsigned i = 0; i < 4; i++) {
        UINT64 table = rig.Memory().Load64(rig.device->DescAt(i));
        EXPECT_GE(table, rig.Pool());
        EXPECT_LE(table + 48, rig.Pool() + 4 * 48);
        EXPECT_EQ((table - rig.Pool()) % 48, 0u);
        tables.insert(table);
        EXPECT_EQ(rig.Memory().Load32(rig.device->DescAt(i) + 8), 48u);
    }
    EXPECT_EQ(tables.size(), 4u);
    for (UINT16 i = 0; i < 4; i++) {
        auto chain = rig.device->Pop();
        ASSERT_TRUE(chain);
        EXPECT_EQ(chain->segments.size(), 3u);
    }
}

TEST(VirtqSplitAdd, FewerTablesThanDescriptorsAreTakenFromTheFirst) // 2.7.5.3
{
    QueueRig rig({.size = 8, .indirect = true, .tables = 2, .table_size = 3});
    rig.vq()->indirect_threshold = 1;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 4; i++) {
            rig.Submit(rig.Segments(0, 1), nullptr);
        }
        std::set<UINT64> tables;
        for (int i = 0; i < 2; i++) {
            UINT16 head = rig.Submit(rig.Segments(1, 2), nullptr);
            tables.insert(rig.Memory().Load64(rig.device->DescAt(head)) - rig.Pool());
        }
        EXPECT_EQ(tables, (std::set<UINT64>{0, 48}));
        while (auto chain = rig.device->Pop()) {
            rig.device->Push(chain->head, 0);
            ASSERT_EQ(rig.Get().status, STATUS_SUCCESS);
        }
    }
}

TEST(VirtqSplitAdd, BadSegmentsAreSeenWhereverTheyGo) // 2.7.4.2, 2.7.5
{
    for (UINT16 tables : {0, 2, 4}) { // none, shared by all, and each descriptor's own
        for (unsigned bad = 0; bad < 4; bad++) {
            QueueRig rig({.size = 4, .indirect = tables != 0, .tables = tables, .table_size = 4});
            rig.vq()->indirect_threshold = 0;
            auto sg = rig.Segments(2, 2);
            sg[bad].len = 0;
            UINT16 head = 0;
            EXPECT_EQ(rig.Add(sg, nullptr, &head), STATUS_INVALID_PARAMETER);
            EXPECT_EQ(VirtqSplitNumFree(rig.vq()), 4);
        }
    }
}

TEST(VirtqSplitAdd, LengthsInTablesAreThoseGiven) // 2.7.5.3
{
    for (UINT16 tables : {2, 4}) {
        QueueRig rig({.size = 4, .indirect = true, .tables = tables, .table_size = 4});
        rig.vq()->indirect_threshold = 0;
        std::vector<VIRTQ_SG> sg;
        for (UINT32 length : {0x1000u, 0x10u, 0xF0000000u, 0x2000u}) {
            sg.push_back({0x100000000u * sg.size(), length, static_cast<BOOLEAN>(sg.size() > 1)});
        }
        rig.Submit(sg, nullptr);
        auto chain = rig.device->Pop();
        ASSERT_TRUE(chain);
        ExpectSame(*chain, sg);
    }
}

#ifndef __i386__                                // has no such pool
TEST(VirtqSplitAdd, TablesLieBeyond4GiBOfAPool) // 2.7.5.3
{
    constexpr UINT16 kSize = 32768, kTable = 16384;
    constexpr size_t kPool = size_t{kSize} * kTable * sizeof(VIRTQ_DESC), kStride = kTable * 16;
    void *pool = mmap(nullptr, kPool, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pool == MAP_FAILED) {
        GTEST_SKIP() << "no 8 GiB of address space";
    }
    for (UINT16 tables : {32767, 32768}) { // shared by all, and each descriptor's own
        for (unsigned segments : {1, 2}) {
            QueueRig rig({.size = kSize});
            VIRTQ_SPLIT *vq = rig.vq();
            void *ring = rig.Memory().Host(vq->desc_pa, 1);
            ASSERT_EQ(VirtqSplitInit(vq, kSize, FALSE, TRUE, ring, vq->desc_pa, 64, pool,
                                     0x100000000000, tables, kTable),
                      STATUS_SUCCESS);
            vq->indirect_threshold = 0;
            constexpr UINT16 kFar = 20000; // so many were taken
            vq->free_head = vq->indirect_free_head = kFar;
            UINT16 head = 0;
            ASSERT_EQ(rig.Add(rig.Segments(0, segments), nullptr, &head), STATUS_SUCCESS);
            EXPECT_EQ(vq->desc[head].addr, 0x100000000000 + kFar * kStride);
            EXPECT_EQ(vq->desc[head].len, 16u * segments);
            auto *table =
                reinterpret_cast<VIRTQ_DESC *>(static_cast<UINT8 *>(pool) + kFar * kStride);
            EXPECT_EQ(table[0].len, 64u);
            table[0].len = 0;
        }
    }
    munmap(pool, kPool);
}
#endif

TEST(VirtqSplitAdd, TablesDoNotRunOut) // 2.7.5.3
{
    for (UINT16 tables : {2, 4}) {
        for (unsigned segments : {1, 2}) {
            QueueRig rig({.size = 4, .indirect = true, .tables = tables, .table_size = 4});
            rig.vq()->indirect_threshold = 0;
            for (int round = 0; round < 12; round++) {
                UINT16 first = rig.Submit(rig.Segments(0, segments), Cookie(1));
                UINT16 second = rig.Submit(rig.Segments(0, segments), Cookie(2));
                for (UINT16 head : {first, second}) {
                    EXPECT_EQ(rig.vq()->desc[head].flags, VIRTQ_DESC_F_INDIRECT);
                    ASSERT_TRUE(rig.device->Pop());
                    rig.device->Push(head, 1);
                }
                EXPECT_EQ(rig.Get().cookie, Cookie(1));
                EXPECT_EQ(rig.Get().cookie, Cookie(2));
            }
        }
    }
}

TEST(VirtqSplitAdd, TablesAreOfNoUseWithoutADescriptor) // 2.7.5.3: one points at the table
{
    for (UINT16 tables : {2, 4}) { // shared by all, and each descriptor's own
        for (unsigned segments : {1, 2}) {
            QueueRig rig({.size = 4, .indirect = true, .tables = tables, .table_size = 4});
            for (int i = 0; i < 4; i++) {
                rig.Submit(rig.Segments(0, 1), Cookie(i));
            }
            rig.vq()->indirect_threshold = 0;
            UINT16 head = 0;
            EXPECT_EQ(rig.Add(rig.Segments(0, segments), nullptr, &head),
                      STATUS_INSUFFICIENT_RESOURCES);
            rig.device->Push(rig.device->Pop()->head, 0);
            EXPECT_EQ(rig.Get().status, STATUS_SUCCESS);
            EXPECT_EQ(rig.Add(rig.Segments(0, segments), nullptr, &head), STATUS_SUCCESS);
        }
    }
}

TEST(VirtqSplitAdd, AFreeListDamagedFurtherOnIsSeen) {
    // In what the device reads, in what it writes; one behind the end, and far away.
    for (unsigned readable : {0, 3}) {
        for (UINT16 damage : {8, 0xFFFF}) {
            QueueRig rig({.size = 8});
            UINT16 head = 0, next = rig.vq()->chains[rig.vq()->free_head].next;
            rig.vq()->chains[next].next = damage;
            EXPECT_EQ(rig.Add(rig.Segments(readable, 3 - readable), nullptr, &head),
                      STATUS_IO_DEVICE_ERROR);
            EXPECT_EQ(VirtqSplitNumFree(rig.vq()), 8);
            EXPECT_EQ(rig.Add(rig.Segments(1, 1), nullptr, &head), STATUS_SUCCESS);
        }
    }
}

TEST(VirtqSplitAdd, APoolIsLeftAloneWhereIndirectWasNotNegotiated) // 2.7.5.3.1
{
    QueueRig rig({.size = 8, .indirect = false, .tables = 8, .table_size = 4});
    rig.vq()->indirect_threshold = 0;
    for (unsigned segments : {1u, 2u, 3u}) {
        rig.Submit(rig.Segments(0, segments), nullptr);
        auto chain = rig.device->Pop();
        ASSERT_TRUE(chain);
        EXPECT_EQ(chain->segments.size(), segments);
    }
    EXPECT_EQ(rig.vq()->num_free, 8 - 1 - 2 - 3);
}

TEST(VirtqSplitAdd, DamagedFreeListIsSeen) {
    // Only a stray write of the driver itself can do this: the list is private.
    QueueRig rig({.size = 8, .indirect = true, .tables = 2, .table_size = 4});
    UINT16 head, saved = rig.vq()->free_head;
    rig.vq()->free_head = 8;
    EXPECT_EQ(rig.Add(rig.Segments(0, 1), nullptr, &head), STATUS_IO_DEVICE_ERROR);
    EXPECT_EQ(rig.Add(rig.Segments(2, 1), nullptr, &head), STATUS_IO_DEVICE_ERROR);
    rig.vq()->indirect_threshold = 0;
    EXPECT_EQ(rig.Add(rig.Segments(0, 1), nullptr, &head), STATUS_IO_DEVICE_ERROR);
    rig.vq()->free_head = saved;
    UINT16 table = rig.vq()->indirect_free_head;
    rig.vq()->indirect_free_head = 2;
    EXPECT_EQ(rig.Add(rig.Segments(0, 1), nullptr, &head), STATUS_IO_DEVICE_ERROR);
    rig.vq()->indirect_free_head = table;
    EXPECT_EQ(rig.Add(rig.Segments(0, 1), nullptr, &head), STATUS_SUCCESS);
}

} // namespace
