// SPDX-License-Identifier: MIT
//
// virtqueue_split_inspect.cpp: accessors and the dump.
#include <algorithm>
#include <iomanip>
#include <map>
#include <sstream>

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
    EXPECT_EQ(VirtqSplitBrokenStatus(nullptr), STATUS_SUCCESS);
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

// Every word of it, with numbers that differ.
TEST(VirtqSplitDump, LineByLine) {
    QueueRig rig({.size = 16, .event_idx = true, .indirect = true, .tables = 3, .table_size = 10});
    VIRTQ_SPLIT *vq = rig.vq();
    rig.StartAt(0xFF9C);
    vq->indirect_threshold = 5;
    rig.Submit(rig.Segments(1, 1), nullptr);
    rig.device->Push(rig.device->Pop()->head, 0);
    ASSERT_EQ(rig.Get().status, STATUS_SUCCESS);
    (void)VirtqSplitKickPrepare(vq);
    VirtqSplitKickCommit(vq);
    UINT16 direct = rig.Submit(rig.Segments(0, 4), Cookie(0xBEEF));
    UINT16 indirect = rig.Submit(rig.Segments(2, 6), Cookie(0x1234567));
    UINT16 added;
    ASSERT_EQ(rig.Add(rig.Segments(3, 0), Cookie(0x90AB), &added), STATUS_SUCCESS);
    VirtqSplitPublish(vq, 15);
    VirtqSplitDisableInterrupts(vq);
    rig.Memory().Store16(rig.device->AvailFlagsAt(), 0xA1B2);
    rig.Memory().Store16(rig.device->UsedFlagsAt(), 0xC3D4);
    rig.Memory().Store16(rig.device->AvailEventAt(), 40321);
    const auto &layout = rig.device->GetLayout();
    auto hex = [](UINT64 value, int digits) {
        std::ostringstream text;
        text << "0x" << std::hex << std::setw(digits) << std::setfill('0') << value;
        return text.str();
    };
    const int pointer = 2 * sizeof(void *);
    std::vector<std::string> expected = {
        "virtqueue size 16 event_idx indirect",
        "  device addresses: desc " + hex(layout.desc, 16) + " avail " + hex(layout.avail, 16) +
            " used " + hex(layout.used, 16),
        "  driver: avail_idx 65439 last_used_idx 65437 free 8 in flight 2 added 2 interrupts off",
        "  shared: avail flags 0xa1b2 idx 65439 used_event 65436; used flags 0xc3d4 idx 65437"
        " avail_event 40321",
        "  indirect tables: 3 of 10, free 2, above 5 segments",
        "  broken: 0x00000000 misuse: 1 last " + hex(UINT32(VIRTQ_STATUS_NOT_ADDED), 8)};
    std::map<UINT16, std::string> chains = {
        {direct, " in flight count 4 writable 262 cookie " + hex(0xBEEF, pointer)},
        {indirect, " in flight count 1 writable 411 table " +
                       std::to_string(vq->chains[indirect].table) + " cookie " +
                       hex(0x1234567, pointer)},
        {added, " added count 3 writable 0 cookie " + hex(0x90AB, pointer)}};
    for (auto &[head, text] : chains) {
        expected.push_back("  head " + std::to_string(head) + text);
    }
    EXPECT_EQ(Dump(vq), expected);
    (void)VirtqSplitEnableInterrupts(vq);
    EXPECT_EQ(Dump(vq)[2].find("interrupts off"), std::string::npos);

    QueueRig own({.size = 4, .indirect = true, .tables = 4, .table_size = 2});
    own.vq()->indirect_threshold = 0;
    own.Submit(own.Segments(0, 1), nullptr);
    own.Submit(own.Segments(1, 1), nullptr);
    own.vq()->indirect_threshold = 8;
    own.Submit(own.Segments(0, 1), nullptr);
    expected = Dump(own.vq());
    EXPECT_EQ(expected[4], "  indirect tables: 4 of 2, one for each descriptor, above 8 segments");
    EXPECT_EQ(expected[6],
              "  head 0 in flight count 1 writable 64 table of its own cookie " + hex(0, pointer));
    EXPECT_EQ(expected[7],
              "  head 1 in flight count 1 writable 65 table of its own cookie " + hex(0, pointer));
    EXPECT_EQ(expected[8], "  head 2 in flight count 1 writable 64 cookie " + hex(0, pointer));

    QueueRig plain({.size = 1});
    expected = Dump(plain.vq());
    EXPECT_EQ(expected[0], "virtqueue size 1");
    EXPECT_EQ(expected[2], "  driver: avail_idx 0 last_used_idx 0 free 1 in flight 0 added 0");
    EXPECT_EQ(expected[4], "  indirect tables: 0 of 0, free 0, above 8 segments");
    plain.vq()->misuse_count = 0xFFFFFFFE; // the widest number, and it stays there
    for (int i = 0; i < 3; i++) {
        VirtqSplitPublish(plain.vq(), 0);
    }
    EXPECT_TRUE(Contains(Dump(plain.vq()), " misuse: 4294967295 last "));
}

TEST(VirtqSplitDump, CountsTheChainsThatHaveNoLine) // 2.7: up to 32768 chains
{
    QueueRig rig({.size = 64});
    const size_t most = VIRTQ_SPLIT_DUMP_MAX_LINES - 7;
    for (size_t n = 1; n <= most + 2; n++) {
        rig.Submit(rig.Segments(0, 1), Cookie(n));
        auto lines = Dump(rig.vq());
        EXPECT_EQ(lines.size(), 6 + std::min(n, most + 1));
        if (n <= most) {
            EXPECT_FALSE(Contains(lines, " more"));
        } else {
            EXPECT_EQ(lines.back(), "  and " + std::to_string(n - most) + " more");
        }
    }
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

    QueueRig working;
    working.Submit(working.Segments(0, 1), Cookie(0xAB));
    working.device->Push(working.device->Pop()->head, 0);
    EXPECT_TRUE(Contains(Dump(working.vq()), "cookie")); // used, but not taken back
    ASSERT_EQ(working.Get().status, STATUS_SUCCESS);
    EXPECT_FALSE(Contains(Dump(working.vq()), "cookie"));
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
