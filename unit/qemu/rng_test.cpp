// SPDX-License-Identifier: MIT
//
// QEMU's virtio-rng: the smallest ring there is, and lengths that the device
// chooses (Virtio 1.2, 5.4).
#include "matrix.h"

#include <algorithm>
#include <set>

using namespace qtest;

namespace {

class Rng : public RigTest, public testing::WithParamInterface<Transport> {
  protected:
    void SetUp() override {
        RigTest::SetUp();
        if (!IsSkipped()) {
            open(Kind::Rng, GetParam(), true);
        }
    }
};

TEST_P(Rng, BytesVaryAndLengthsAreWithinBounds) // 5.4.6
{
    dev->negotiate(EventIdx | Indirect);
    Queue &q = dev->addQueue(0, {});
    dev->driverOk();
    std::set<std::string> seen;
    std::vector<unsigned> counts(256);
    UINT64 data = rig->machine->allocate(4096, 4096);
    for (UINT32 length : {1u, 2u, 15u, 16u, 64u, 511u, 1000u, 4096u}) {
        memset(rig->machine->at(data), 0, 4096);
        dev->submit(q, {{data, length, TRUE}}, nullptr);
        UINT32 got = dev->wait(q).len;
        ASSERT_GE(got, 1u);
        ASSERT_LE(got, length);
        std::string bytes(reinterpret_cast<char *>(rig->machine->at(data)), got);
        if (got >= 16) {
            EXPECT_TRUE(seen.insert(bytes.substr(0, 16)).second);
        }
        for (char c : bytes) {
            counts[uint8_t(c)]++;
        }
    }
    // Some 5,700 bytes: any value comes, and none all the time.
    EXPECT_LT(*std::max_element(counts.begin(), counts.end()), 100u);
}

TEST_P(Rng, ARingOfOne) // 2.7: 1 is a power of two
{
    dev->negotiate(EventIdx);
    UINT64 data = rig->machine->allocate(64, 64);
    if (!isModern(GetParam())) {
        EXPECT_EQ(VirtioPciQueueSetup(&dev->pci, 0, 1, data, data + 16, 4096, 0xFFFF),
                  STATUS_INVALID_PARAMETER);
        return;
    }
    QueueOptions one;
    one.size = 1;
    one.vector = 1;
    Queue &q = dev->addQueue(0, one);
    dev->driverOk();
    for (int i = 0; i < 20; i++) {
        dev->submit(q, {{data, 64, TRUE}}, &q);
        UINT16 head;
        VIRTQ_SG more = {data, 64, TRUE};
        if (VirtqSplitInFlight(q.vq()) == 1) {
            EXPECT_EQ(VirtqSplitAddBuffer(q.vq(), &more, 1, nullptr, &head),
                      STATUS_INSUFFICIENT_RESOURCES);
        }
        EXPECT_EQ(dev->wait(q).cookie, &q);
    }
}

INSTANTIATE_TEST_SUITE_P(All, Rng, testing::ValuesIn(Transports),
                         [](const auto &i) { return std::string(name(i.param)); });

} // namespace
