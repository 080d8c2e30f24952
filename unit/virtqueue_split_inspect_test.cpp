// SPDX-License-Identifier: MIT
//
// virtqueue_split_inspect.cpp: accessors and the dump.
#include "model/queue_rig.h"

using namespace vq7::model;

namespace {

std::vector<std::string> Dump(const VIRTQ_SPLIT *vq) {
    std::vector<std::string> lines;
    VirtqSplitDump(
        vq,
        [](const char *line, void *context) {
            static_cast<std::vector<std::string> *>(context)->push_back(line);
        },
        &lines);
    return lines;
}

bool Contains(const std::vector<std::string> &lines, const std::string &text) {
    for (const auto &line : lines) {
        if (line.find(text) != std::string::npos) {
            return true;
        }
    }
    return false;
}

TEST(VirtqSplitInspect, Accessors) {
    QueueRig rig({.size = 16});
    EXPECT_EQ(VirtqSplitQueueSize(rig.vq()), 16);
    EXPECT_EQ(VirtqSplitMaxChain(rig.vq()), 16);
    rig.Submit(rig.Segments(2, 1), nullptr);
    EXPECT_EQ(VirtqSplitNumFree(rig.vq()), 13);
    EXPECT_EQ(VirtqSplitInFlight(rig.vq()), 1);
    EXPECT_FALSE(VirtqSplitIsBroken(rig.vq()));
    EXPECT_EQ(VirtqSplitMisuseCount(rig.vq()), 0u);
    EXPECT_EQ(VirtqSplitLastMisuse(rig.vq()), STATUS_SUCCESS);
    EXPECT_EQ(VirtqSplitQueueSize(nullptr), 0);
    EXPECT_EQ(VirtqSplitNumFree(nullptr), 0);
    EXPECT_EQ(VirtqSplitInFlight(nullptr), 0);
    EXPECT_EQ(VirtqSplitMaxChain(nullptr), 0);
    EXPECT_FALSE(VirtqSplitIsBroken(nullptr));
    EXPECT_EQ(VirtqSplitMisuseCount(nullptr), 0u);
    EXPECT_EQ(VirtqSplitLastMisuse(nullptr), STATUS_SUCCESS);
}

TEST(VirtqSplitDump, SaysWhatIsGoingOn) {
    QueueRig rig({.size = 8, .event_idx = true, .indirect = true, .tables = 2, .table_size = 4});
    rig.vq()->indirect_threshold = 2;
    rig.Submit(rig.Segments(1, 2), Cookie(0xABCDEF));
    UINT16 head;
    ASSERT_EQ(rig.Add(rig.Segments(1, 1), Cookie(0x55), &head), STATUS_SUCCESS);
    auto lines = Dump(rig.vq());
    EXPECT_TRUE(Contains(lines, "virtqueue size 8 event_idx indirect"));
    EXPECT_TRUE(Contains(lines, "desc 0x0000000123400000"));
    EXPECT_TRUE(Contains(lines, "avail_idx 1 last_used_idx 0 free 5 in flight 1 added 1"));
    EXPECT_TRUE(Contains(lines, "head 0 in flight count 1 writable 131 table 0 cookie"));
    // As wide as a pointer.
    EXPECT_TRUE(Contains(lines, "cookie 0x" + std::string(2 * sizeof(void *) - 6, '0') + "abcdef"));
    EXPECT_TRUE(Contains(lines, "added count 2 writable 65 cookie"));
    EXPECT_TRUE(Contains(lines, "broken: 0x00000000 misuse: 0"));
    rig.device->PutUsed(0, 77, 0);
    rig.device->PutUsedIdx(1);
    (void)rig.Get();
    EXPECT_TRUE(Contains(Dump(rig.vq()), "broken: 0xc000000d"));
}

TEST(VirtqSplitDump, ShowsWhatTheDeviceWroteAsNumbers) // 2.7.6, 2.7.8: u16 and no more
{
    QueueRig rig({.size = 8, .event_idx = true});
    rig.Submit(rig.Segments(0, 1), nullptr);
    auto before = Dump(rig.vq());
    for (UINT64 at : {rig.device->AvailFlagsAt(), rig.device->UsedEventAt(),
                      rig.device->UsedFlagsAt(), rig.device->AvailEventAt()}) {
        rig.Memory().Store16(at, 0x2573); // "%s"
    }
    rig.Memory().Store16(rig.device->AvailIdxAt(), 0xFFFF);
    rig.device->PutUsedIdx(0xFFFE);
    memset(rig.Memory().Host(rig.vq()->desc_pa, 8 * 16), 0x25, 8 * 16);
    memset(rig.Memory().Host(rig.device->UsedRingAt(0), 8 * 8), 0x25, 8 * 8);
    auto after = Dump(rig.vq());
    EXPECT_TRUE(Contains(after, "shared: avail flags 0x2573 idx 65535 used_event 9587; "
                                "used flags 0x2573 idx 65534 avail_event 9587"));
    ASSERT_EQ(after.size(), before.size());
    for (size_t i = 0; i < before.size(); i++) {
        if (before[i].find("shared:") == std::string::npos) {
            EXPECT_EQ(after[i], before[i]); // the rest is private
        }
    }
}

TEST(VirtqSplitDump, DoesNotListWhatWasTakenBack) // 3.3.1
{
    QueueRig rig;
    rig.Submit(rig.Segments(0, 1), Cookie(0xAB));
    rig.Submit(rig.Segments(0, 1), Cookie(0xCD));
    UINT16 head;
    ASSERT_EQ(rig.Add(rig.Segments(0, 1), Cookie(0xEF), &head), STATUS_SUCCESS);
    for (unsigned left = 3; left > 0; left--) {
        auto lines = Dump(rig.vq());
        EXPECT_EQ(Contains(lines, "00ab"), left == 3);
        EXPECT_EQ(Contains(lines, "00cd"), left >= 2);
        EXPECT_TRUE(Contains(lines, "00ef"));
        void *cookie;
        ASSERT_EQ(VirtqSplitDetachUnused(rig.vq(), &cookie), STATUS_SUCCESS);
    }
    EXPECT_FALSE(Contains(Dump(rig.vq()), "cookie"));
}

TEST(VirtqSplitDump, IsBounded) // 2.7: up to 32768 chains
{
    QueueRig rig({.size = 32768});
    for (int i = 0; i < 32768; i++) {
        rig.Submit({{0x1000, 8, TRUE}}, Cookie(i));
    }
    memset(rig.Memory().Host(rig.vq()->used_pa, 16), 0xFF, 16); // whatever the device says
    memset(rig.Memory().Host(rig.vq()->avail_pa, 4), 0xFF, 4);
    auto lines = Dump(rig.vq());
    EXPECT_EQ(lines.size(), static_cast<size_t>(VIRTQ_SPLIT_DUMP_MAX_LINES));
    EXPECT_EQ(lines.back(), "  and 32735 more");
    for (const auto &line : lines) {
        EXPECT_LT(line.size(), static_cast<size_t>(VIRTQ_SPLIT_DUMP_LINE_SIZE - 1))
            << "cut off: " << line;
    }
}

TEST(VirtqSplitDump, OfNothing) {
    EXPECT_EQ(Dump(nullptr), std::vector<std::string>{"virtqueue: none"});
    VIRTQ_SPLIT zero = {};
    EXPECT_EQ(Dump(&zero).size(), 1u);
    VirtqSplitDump(&zero, nullptr, nullptr);
}

} // namespace
