// SPDX-License-Identifier: MIT
//
// docs/console-protocol.md: whole logical blocks only.
#include <gtest/gtest.h>

#include "fake_platform.h"

namespace {

std::string Refusal(const std::string &what, uint32_t block) {
    return "error lines=0 status=0xe0070002 name=BAD_ARGUMENT msg=\"" + what +
           " are no multiple of the disk's block size of " + std::to_string(block) + " bytes\"\n";
}

size_t Transfers() {
    size_t count = 0;
    for (auto &op : fake->submitted)
        count += op.count != 0;
    return count;
}

} // namespace

TEST(AgentBlocks, PartsAreRefusedByNameAndValue) {
    struct Case {
        const char *command, *what;
    };
    const Case cases[] = {
        {"blk read 4 8", "sector: 4 sectors"},
        {"blk read 8 7", "count: 7 sectors"},
        {"blk write 9 8 seed=1 gen=1", "sector: 9 sectors"},
        {"blk write 8 4 seed=1 gen=1", "count: 4 sectors"},
        {"blk verify 15 8 seed=1 gen=1", "sector: 15 sectors"},
        {"blk verify 0 12 seed=1 gen=1", "count: 12 sectors"},
        {"blk run sizes=4096,512", "sizes: 512 bytes"},
        {"blk run start=4", "start: 4 sectors"},
        {"blk run span=12", "span: 12 sectors"},
    };
    AgentRig rig;
    fake->disks[0].block_size = 4096;
    for (const Case &bad : cases)
        EXPECT_EQ(Refusal(bad.what, 4096), rig.Ask(bad.command)) << bad.command;
    EXPECT_EQ(0u, Transfers());
}

TEST(AgentBlocks, WithoutSizesTheAgentChoosesOneThatFits) {
    for (auto [block, sectors] :
         {std::pair<uint32_t, uint64_t>{512, 8}, {2048, 8}, {4096, 8}, {8192, 16}, {65536, 128}}) {
        AgentRig rig(4095); // ends within a block
        fake->disks[0].block_size = block;
        EXPECT_EQ("ok ", rig.Ask("blk run ops=200").substr(0, 3));
        EXPECT_EQ(200u, Transfers());
        for (auto &op : fake->submitted) {
            EXPECT_TRUE(op.count == 0 || op.count == sectors) << block;
            EXPECT_EQ(0u, op.sector % (block / 512)) << block;
        }
    }
}

TEST(AgentBlocks, LongRangesGoInWholeBlocks) {
    AgentRig rig(8192);
    fake->disks[0].block_size = 2 << 20; // more than the usual piece of 1 MiB
    EXPECT_EQ("4194304", Value(rig.Ask("blk write 0 8192 seed=1 gen=1"), "bytes"));
    EXPECT_EQ("ok lines=0 sectors=8192\n", rig.Ask("blk verify 0 8192 seed=1 gen=1"));
    for (auto &op : fake->submitted)
        EXPECT_TRUE(op.count == 0 || op.count == 4096) << op.count;
}
