// SPDX-License-Identifier: MIT
//
// docs/console-protocol.md: "Workloads". The expected operations are computed
// here a second time, from the document.
#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

#include "../../guest_driver/agent/core/pattern.h"
#include "fake_platform.h"

namespace {

struct Parameters {
    bool sequential = false;
    uint64_t write = 50;
    std::vector<uint64_t> sizes = {4096};
    uint64_t depth = 1, ops = 1000, seed = 1, start = 0, span = 0, base = 0, flush = 0;
    uint32_t block = 512; // of the disk

    std::string Command() const {
        std::string list;
        for (uint64_t size : sizes)
            list += (list.empty() ? "" : ",") + std::to_string(size);
        return "blk run pattern=" + std::string(sequential ? "sequential" : "random") +
               " write=" + std::to_string(write) + " sizes=" + list +
               " depth=" + std::to_string(depth) + " ops=" + std::to_string(ops) +
               " seed=" + std::to_string(seed) + " start=" + std::to_string(start) +
               " span=" + std::to_string(span) + " base=" + std::to_string(base) +
               " flush=" + std::to_string(flush);
    }
};

struct Expected {
    bool write;
    uint64_t sector, count;
};

uint64_t DocumentMix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

std::vector<Expected> DocumentOperations(const Parameters &p, uint64_t disk_sectors) {
    auto draw = [&](uint64_t k, uint64_t j) {
        return DocumentMix(p.seed + (4 * k + j + 1) * 0x9E3779B97F4A7C15ull);
    };
    uint64_t u = p.block / 512, cursor = p.start;
    uint64_t span = p.span ? p.span : (disk_sectors - p.start) / u * u;
    std::vector<Expected> all;
    for (uint64_t k = 0; k < p.ops; k++) {
        Expected op;
        op.write = draw(k, 0) % 100 < p.write;
        op.count = p.sizes[draw(k, 1) % p.sizes.size()] / 512;
        if (p.sequential) {
            if (cursor + op.count > p.start + span)
                cursor = p.start;
            op.sector = cursor;
            cursor += op.count;
        } else {
            op.sector = p.start + draw(k, 2) % ((span - op.count) / u + 1) * u;
        }
        all.push_back(op);
    }
    return all;
}

// The disk that the document says must result, on top of `disk`.
void DocumentResult(const Parameters &p, std::vector<uint8_t> *disk) {
    auto all = DocumentOperations(p, disk->size() / 512);
    for (uint64_t k = 0; k < all.size(); k++)
        for (uint64_t i = 0; all[k].write && i < all[k].count; i++)
            agent::PatternFill(reinterpret_cast<uint64_t *>(&(*disk)[(all[k].sector + i) * 512]),
                               p.seed, all[k].sector + i, k + 1);
}

std::vector<SubmittedOperation> Transfers() {
    std::vector<SubmittedOperation> all;
    for (auto &op : fake->submitted)
        if (op.count)
            all.push_back(op);
    return all;
}

} // namespace

class AgentWorkload : public testing::TestWithParam<Parameters> {};

TEST_P(AgentWorkload, DoesWhatTheDocumentSays) {
    const Parameters &p = GetParam();
    for (uint64_t order = 1; order <= 3; order++) {
        AgentRig rig(3000);
        fake->disks[0].block_size = p.block;
        fake->random.seed(order);
        std::vector<uint8_t> want = fake->disks[0].data;
        DocumentResult(p, &want);
        std::string answer = rig.Ask(p.Command());
        ASSERT_EQ("ok ", answer.substr(0, 3)) << answer;
        EXPECT_TRUE(want == fake->disks[0].data);
        EXPECT_EQ(0u, fake->overlaps);

        auto expected = DocumentOperations(p, 3000);
        auto transfers = Transfers();
        ASSERT_EQ(expected.size(), transfers.size());
        uint64_t writes = 0, bytes = 0, most = 0;
        for (size_t k = 0; k < expected.size(); k++) {
            ASSERT_EQ(expected[k].write, transfers[k].code == IOCTL_VQ7_BLK_WRITE) << k;
            ASSERT_EQ(expected[k].sector, transfers[k].sector) << k;
            ASSERT_EQ(expected[k].count, transfers[k].count) << k;
            writes += expected[k].write;
            bytes += expected[k].count * 512;
        }
        for (auto &op : fake->submitted)
            most = std::max(most, op.flying);
        EXPECT_EQ(std::to_string(p.ops), Value(answer, "ops"));
        EXPECT_EQ(std::to_string(writes), Value(answer, "writes"));
        EXPECT_EQ(std::to_string(p.ops - writes), Value(answer, "reads"));
        EXPECT_EQ(std::to_string(bytes), Value(answer, "bytes"));
        EXPECT_EQ(std::to_string(p.flush ? p.ops / p.flush : 0), Value(answer, "flushes"));
        EXPECT_EQ(std::to_string(most), Value(answer, "max_in_flight"));
        EXPECT_LE(most, p.depth);
        EXPECT_EQ(p.depth > 1, most > 1);
        EXPECT_EQ("0", Value(answer, "errors"));
        EXPECT_EQ("0", Value(answer, "miscompares"));
        // The two GET_STATS are not the workload's.
        EXPECT_NE("(none)", Value(answer, "submitted"));
    }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AgentWorkload,
    testing::Values(
        Parameters{}, Parameters{.depth = 32},
        Parameters{.sizes = {512, 4096, 65536, 1048576}, .depth = 16, .ops = 300},
        Parameters{.sequential = true, .depth = 8},
        Parameters{.sequential = true, .sizes = {512, 1536}, .depth = 4, .span = 5},
        Parameters{.write = 90, .sizes = {512, 2048}, .depth = 64, .ops = 3000, .span = 40},
        Parameters{.write = 0, .depth = 8}, Parameters{.write = 100, .depth = 8},
        Parameters{
            .depth = 8, .ops = 100, .seed = UINT64_MAX, .start = 2000, .span = 100, .flush = 7},
        Parameters{.sizes = {512}, .depth = 300, .ops = 2000, .flush = 1},
        Parameters{.sizes = {4096, 12288}, .depth = 8, .start = 16, .span = 800, .block = 4096},
        Parameters{.sizes = {65536}, .depth = 8, .ops = 200, .block = 65536},
        Parameters{.sequential = true, .sizes = {65536}, .depth = 4, .ops = 90, .block = 65536}));

TEST(AgentWorkloadFaults, EachIsSeen) {
    struct Case {
        Fault fault;
        const char *counter, *name;
    };
    for (const Case &c : {Case{Fault::kWrongData, "miscompares", "MISCOMPARE"},
                          Case{Fault::kNoTransfer, "miscompares", "MISCOMPARE"},
                          Case{Fault::kElsewhere, "miscompares", "MISCOMPARE"},
                          Case{Fault::kIoError, "errors", "STATUS_IO_DEVICE_ERROR"},
                          Case{Fault::kShort, "errors", "STATUS_INFO_LENGTH_MISMATCH"}}) {
        for (uint32_t code : {IOCTL_VQ7_BLK_READ, IOCTL_VQ7_BLK_WRITE}) {
            AgentRig rig(256);
            rig.Ask("blk write 0 256 seed=1 gen=0");
            size_t index = 0;
            fake->fault = [&](const SubmittedOperation &op, size_t i) {
                // One single operation, in the middle of the run.
                if (!index && op.code == code && fake->submitted.size() > 200)
                    index = i;
                return index && i == index ? c.fault : Fault::kNone;
            };
            std::string answer = rig.Ask("blk run depth=4 base=1 ops=2000 sizes=512,1024");
            std::string last = answer.substr(answer.find("error lines="));
            EXPECT_EQ("WORKLOAD_FAILED", Value(last, "name")) << answer;
            EXPECT_NE("0", Value(last, c.counter)) << answer;
            EXPECT_NE(std::string::npos, answer.find(std::string("name=") + c.name)) << answer;
            EXPECT_EQ("0xe0070005", Value(last, "status"));
        }
    }
}

TEST(AgentWorkloadFaults, ADataLineTellsOperationAndContent) {
    AgentRig rig(64);
    rig.Ask("blk write 0 64 seed=1 gen=0");
    fake->disks[0].data[9 * 512 + 24] ^= 1;
    std::string answer = rig.Ask("blk run pattern=sequential write=0 sizes=4096 ops=8 base=1");
    EXPECT_EQ(0u, answer.find("#1 op=1 kind=read sector=8 count=8 status=0xe0070004 "
                              "name=MISCOMPARE bad_sector=9 offset=24 want="))
        << answer;
    EXPECT_NE(std::string::npos,
              answer.find(" holds=sector:9,generation:0,seed:1\nerror lines=1 "));
    EXPECT_NE(std::string::npos,
              answer.find("msg=\"0 failed and 1 miscompared of 8 operations and flushes\"\n"));
}

TEST(AgentWorkloadFaults, StopsAfter16) {
    AgentRig rig;
    fake->fault = [](const SubmittedOperation &op, size_t) {
        return op.count ? Fault::kIoError : Fault::kNone;
    };
    std::string answer = rig.Ask("blk run depth=8 ops=1000");
    std::string last = answer.substr(answer.find("error lines="));
    EXPECT_EQ("16", Value(last, "lines"));
    uint64_t errors = std::stoull(Value(last, "errors"));
    EXPECT_GE(errors, 16u);
    EXPECT_LT(errors, 16u + 8u);
    EXPECT_EQ(Value(last, "errors"), Value(last, "ops"));
}

TEST(AgentWorkloadFaults, AFailedWriteLeavesItsSectorsUnknown) {
    for (Fault fault : {Fault::kIoError, Fault::kShort}) { // nothing written; all written
        AgentRig rig(8);
        rig.Ask("blk write 0 8 seed=1 gen=0");
        size_t first = 0;
        fake->fault = [&](const SubmittedOperation &op, size_t index) {
            if (!first && op.code == IOCTL_VQ7_BLK_WRITE)
                first = index;
            return first && index == first ? fault : Fault::kNone;
        };
        // The whole span each time: a read after the failed write isn't compared.
        std::string answer = rig.Ask("blk run ops=40 write=20 span=8 base=1");
        std::string last = answer.substr(answer.find("error lines="));
        EXPECT_EQ("1", Value(last, "errors"));
        EXPECT_EQ("0", Value(last, "miscompares"));
        bool read_after = false; // or the test would show nothing
        for (size_t i = first + 1; i < fake->submitted.size(); i++) {
            if (fake->submitted[i].code == IOCTL_VQ7_BLK_WRITE)
                break;
            read_after = read_after || fake->submitted[i].count;
        }
        EXPECT_TRUE(read_after);
    }
}

TEST(AgentWorkloadFaults, AnEarlierReadsDataIsNotTakenForALaterOnes) {
    AgentRig rig(8);
    rig.Ask("blk write 0 8 seed=1 gen=0");
    size_t before = fake->submitted.size();
    fake->fault = [&](const SubmittedOperation &op, size_t index) {
        return op.count && index == before + 6 ? Fault::kNoTransfer : Fault::kNone;
    };
    // The same sectors into the same buffer each time.
    std::string answer = rig.Ask("blk run ops=10 write=0 span=8 base=1");
    EXPECT_EQ("1", Value(answer.substr(answer.find("error lines=") + 1), "miscompares")) << answer;
}

TEST(AgentWorkloadFaults, UnwrittenSectorsAreComparedOnlyWithBase) {
    AgentRig rig;
    EXPECT_EQ("ok ", rig.Ask("blk run write=0 ops=10").substr(0, 3));
    EXPECT_NE(std::string::npos, rig.Ask("blk run write=0 ops=10 base=1").find("WORKLOAD_FAILED"));
}

// guard=: what is around each buffer, and what the device was given to read, stays as it was.
TEST(AgentWorkloadFaults, WrittenMemoryThatIsNotTheDevices) {
    for (Fault fault : {Fault::kOutside, Fault::kBefore, Fault::kReadable, Fault::kNone}) {
        AgentRig rig;
        fake->fault = [&](const SubmittedOperation &op, size_t index) {
            return op.count && index == 60 ? fault : Fault::kNone;
        };
        std::string answer = rig.Ask("blk run ops=100 write=100 sizes=1024 guard=64 seed=5");
        bool seen = fault != Fault::kNone;
        EXPECT_EQ(seen, answer.find("status=0xe007000b name=MEMORY_CHANGED") != std::string::npos)
            << answer;
        EXPECT_EQ(seen, answer.find("name=WORKLOAD_FAILED") != std::string::npos) << answer;
    }
}

TEST(AgentWorkloadFaults, FailedFlushesCount) {
    AgentRig rig;
    fake->disks[0].flush = false;
    std::string answer = rig.Ask("blk run ops=10 flush=5");
    EXPECT_NE(
        std::string::npos,
        answer.find("kind=flush sector=0 count=0 status=0xc00000bb name=STATUS_NOT_SUPPORTED"));
    EXPECT_EQ("2", Value(answer.substr(answer.find("error lines=")), "errors"));
}

TEST(AgentWorkloadFaults, LostRequestsEndTheRun) {
    AgentRig rig;
    size_t in_use = fake->MemoryInUse();
    size_t transfers = 0;
    fake->fault = [&](const SubmittedOperation &op, size_t index) {
        if (op.count && index == fake->submitted.size() - 1)
            transfers++;
        return transfers == 20 && op.count && fake->lost.empty() ? Fault::kLost : Fault::kNone;
    };
    uint64_t start = fake->now_us;
    std::string answer = rig.Ask("blk run ops=50 depth=4 sizes=512 write=100");
    EXPECT_NE(std::string::npos, answer.find("status=0xe007000a name=REQUEST_LOST")) << answer;
    EXPECT_NE(std::string::npos, answer.find("name=WORKLOAD_FAILED"));
    EXPECT_EQ("1", Value(answer.substr(answer.find("error lines=")), "errors"));
    EXPECT_LT(fake->now_us - start, 30000000u);
    EXPECT_EQ(in_use + 4096 + 512, fake->MemoryInUse()); // the one that the driver has
    fake->fault = nullptr;
    fake->ReturnLost();
    EXPECT_EQ("ok ", rig.Ask("blk run ops=5").substr(0, 3));
    EXPECT_EQ(in_use, fake->MemoryInUse());
}

TEST(AgentWorkloadBusy, ALineASecond) {
    AgentRig rig;
    fake->service_us = 100000;
    std::string answer = rig.Ask("blk run ops=100");
    size_t busy = 0;
    for (size_t at = 0; (at = answer.find("busy ops=", at)) != std::string::npos; at++)
        busy++;
    EXPECT_GE(busy, 9u) << answer;
    EXPECT_LE(busy, 11u);
    EXPECT_NE(std::string::npos, answer.find("ok lines=0 "));
    EXPECT_EQ(std::string::npos, rig.AskWith(rig.seq, "blk run ops=100").find("busy"));
}

TEST(AgentWorkloadBusy, TimeIsMeasured) {
    AgentRig rig;
    EXPECT_EQ("1000", Value(rig.Ask("blk run ops=100"), "time_us"));
}
