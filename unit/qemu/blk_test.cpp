// SPDX-License-Identifier: MIT
//
// QEMU's virtio-blk: what other devices don't have (Virtio 1.2, 5.2).
#include "matrix.h"

#include <chrono>
#include <thread>

using namespace qtest;

namespace {

constexpr UINT32 In = 0, Out = 1, Flush = 4, GetId = 8; // 5.2.6
constexpr UINT8 Ok = 0, IoError = 1, Unsupported = 2;

class Blk : public RigTest, public testing::WithParamInterface<Config> {
  protected:
    void SetUp() override {
        RigTest::SetUp();
        if (!IsSkipped()) {
            start(0);
        }
    }
    void start(UINT64 features) {
        if (!dev) {
            open(Kind::Blk, GetParam().transport, GetParam().msix);
        }
        dev->negotiate(GetParam().ring | features);
        q = &dev->addQueue(0, {.size = 0, .vector = 1, .separate = false});
        dev->driverOk();
        headers = rig->machine->allocate(64 * 32, 16);
        data = rig->machine->allocate(64 * 512, 512);
    }
    uint8_t *at(uint64_t address) {
        return rig->machine->at(address);
    }
    uint8_t status(unsigned slot = 0) {
        return *at(headers + 32 * slot + 16);
    }
    // Header (16 bytes), data, status byte of request slot i.
    std::vector<VIRTQ_SG> request(unsigned slot, UINT32 type, UINT64 sector, uint64_t where,
                                  UINT32 bytes) {
        uint64_t header = headers + 32 * slot;
        memset(at(header), 0, 16);
        memcpy(at(header), &type, 4);
        memcpy(at(header + 8), &sector, 8);
        *at(header + 16) = 0xEE;
        std::vector<VIRTQ_SG> sg = {{header, 16, FALSE}};
        if (bytes) {
            sg.push_back({where, bytes, BOOLEAN(type != Out)});
        }
        sg.push_back({header + 16, 1, TRUE});
        return sg;
    }
    UINT8 run(UINT32 type, UINT64 sector, UINT32 bytes) {
        dev->submit(*q, request(0, type, sector, data, bytes), this);
        EXPECT_EQ(dev->wait(*q).cookie, this);
        return status();
    }
    UINT64 tag(uint64_t where) {
        UINT64 value;
        memcpy(&value, at(where), 8);
        return value;
    }
    Queue *q = nullptr;
    uint64_t headers = 0, data = 0;
};

TEST_P(Blk, ARequestPastTheEndFailsAndTheNextOneWorks) // 5.2.6.1
{
    EXPECT_EQ(run(In, DiskSectors, 512), IoError);
    EXPECT_EQ(run(In, DiskSectors - 1, 512), Ok);
    EXPECT_EQ(run(12345, 0, 512), Unsupported);
    EXPECT_EQ(run(In, DiskSectors - 1, 512), Ok);
}

TEST_P(Blk, ItsIdIsTheSerialNumber) // 5.2.6: VIRTIO_BLK_T_GET_ID
{
    ASSERT_EQ(run(GetId, 0, 20), Ok);
    EXPECT_STREQ(reinterpret_cast<char *>(at(data)), "VQ7SERIAL");
}

TEST_P(Blk, Flushes) // 5.2.6.2
{
    rig->machine->release(headers);
    start(VIRTIO_FEATURE(9)); // VIRTIO_BLK_F_FLUSH
    ASSERT_TRUE(dev->negotiated(9));
    EXPECT_EQ(run(Out, 5, 512), Ok);
    EXPECT_EQ(run(Flush, 0, 0), Ok);
}

TEST_P(Blk, ManyInFlightComeBackOnceEach) {
    const unsigned depth = 40;
    for (unsigned i = 0; i < depth; i++) {
        UINT64 sector = 64 + i;
        ASSERT_EQ(pwrite(rig->disk.get(), &sector, 8, off_t(sector * 512)), 8);
    }
    for (int round = 0; round < 10; round++) {
        std::vector<int> seen(depth);
        unsigned kicks = dev->kicks + dev->suppressed;
        for (unsigned i = 0; i < depth; i++) {
            dev->add(*q, request(i, In, 64 + i, data + 512 * i, 512), &seen[i]);
        }
        dev->kick(*q);
        EXPECT_EQ(dev->kicks + dev->suppressed, kicks + 1);
        for (unsigned i = 0; i < depth; i++) {
            ++*static_cast<int *>(dev->wait(*q).cookie);
        }
        EXPECT_EQ(seen, std::vector<int>(depth, 1));
        for (unsigned i = 0; i < depth; i++) {
            EXPECT_EQ(status(i), Ok);
            EXPECT_EQ(tag(data + 512 * i), 64 + i);
        }
    }
}

TEST_P(Blk, BatchesComeBackOnceEach) // 2.7.13, 2.7.14
{
    const unsigned depth = 40, batch = 8;
    for (unsigned i = 0; i < depth; i++) {
        UINT64 sector = 64 + i;
        ASSERT_EQ(pwrite(rig->disk.get(), &sector, 8, off_t(sector * 512)), 8);
    }
    for (unsigned round = 0; round < 10; round++) {
        std::vector<int> seen(depth);
        for (unsigned i = 0; i < depth; i += batch) {
            std::vector<std::vector<VIRTQ_SG>> sg;
            std::vector<void *> cookies;
            for (unsigned k = i; k < i + batch; k++) {
                sg.push_back(request(k, In, 64 + k, data + 512 * k, 512));
                cookies.push_back(&seen[k]);
            }
            dev->submitBatch(*q, sg, cookies);
        }
        for (unsigned back = 0; back < depth;) {
            const auto done = dev->waitBatch(*q, batch);
            for (const Completion &completion : done) {
                ++*static_cast<int *>(completion.cookie);
            }
            back += unsigned(done.size());
        }
        EXPECT_EQ(seen, std::vector<int>(depth, 1));
        for (unsigned i = 0; i < depth; i++) {
            EXPECT_EQ(status(i), Ok);
            EXPECT_EQ(tag(data + 512 * i), 64 + i);
        }
    }
    EXPECT_EQ(VirtqSplitNumFree(q->vq()), VirtqSplitQueueSize(q->vq()));
}

TEST_P(Blk, AFullRingTakesNoMoreAndThenAllComeBack) // 2.7.13
{
    unsigned added = 0;
    UINT16 head = 0;
    NTSTATUS status;
    do {
        auto sg = request(added % 64, In, added % DiskSectors, data, 512);
        status = VirtqSplitAddBuffer(q->vq(), sg.data(), UINT16(sg.size()), this, &head);
        if (status == STATUS_SUCCESS) {
            VirtqSplitPublish(q->vq(), head);
            added++;
        }
    } while (status == STATUS_SUCCESS);
    EXPECT_EQ(status, STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_GE(added, VirtqSplitQueueSize(q->vq()) / 3u);
    dev->kick(*q);
    for (unsigned i = 0; i < added; i++) {
        EXPECT_EQ(dev->wait(*q).cookie, this);
    }
    EXPECT_EQ(VirtqSplitNumFree(q->vq()), VirtqSplitQueueSize(q->vq()));
}

TEST_P(Blk, ADelayedInterruptComes) // 2.7.7, 2.7.10
{
    const unsigned depth = 16;
    ASSERT_EQ(run(In, 0, 512), Ok);
    rig->machine->settle();
    rig->function->takeMessages();
    for (unsigned i = 0; i < depth; i++) {
        dev->add(*q, request(i, In, i, data + 512 * i, 512), this);
    }
    EXPECT_TRUE(VirtqSplitEnableInterruptsDelayed(q->vq()));
    dev->kick(*q);
    for (int i = 0; i < 2000 && rig->function->takeMessages().count(1) == 0; i++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        ASSERT_LT(i, 1999) << "no interrupt";
    }
    unsigned done = 0;
    void *cookie;
    UINT32 length;
    while (VirtqSplitGetUsed(q->vq(), &cookie, &length) == STATUS_SUCCESS) {
        done++;
    }
    EXPECT_GE(done, GetParam().ring & EventIdx ? depth * 3 / 4 : 1);
    for (; done < depth; done++) {
        dev->wait(*q);
    }
}

INSTANTIATE_TEST_SUITE_P(All, Blk,
                         testing::ValuesIn(only(configs({true}, {0, EventIdx | Indirect}),
                                                [](const Config &c) {
                                                    return c.kind == Kind::Blk;
                                                })),
                         [](const auto &i) { return name(i.param); });

class BlkWrap : public Blk {};

TEST_P(BlkWrap, IndicesWrap) // 2.7: free-running 16-bit indices
{
    const unsigned batch = 64;
    // 65,536 entries and a few more, in batches that the device sees at once.
    for (unsigned i = 0; i < 65536 / batch + 3; i++) {
        for (unsigned j = 0; j < batch; j++) {
            dev->add(*q, request(j, In, j, data + 512 * j, 512), nullptr);
        }
        dev->kick(*q);
        for (unsigned j = 0; j < batch; j++) {
            dev->wait(*q);
        }
    }
    EXPECT_EQ(q->vq()->avail_idx, 3 * batch);
    EXPECT_EQ(q->vq()->last_used_idx, 3 * batch);
    EXPECT_EQ(run(In, 7, 512), Ok);
}

INSTANTIATE_TEST_SUITE_P(
    All, BlkWrap,
    testing::Values(Config{Kind::Blk, Transport::Modern, EventIdx | Indirect, true},
                    Config{Kind::Blk, Transport::Modern, 0, true},
                    Config{Kind::Blk, Transport::TransitionalAsLegacy, EventIdx, true}),
    [](const auto &i) { return name(i.param); });

} // namespace
