// SPDX-License-Identifier: MIT
//
// What happens to a device while it runs: its configuration changes, it breaks
// down, it has work when it is reset, it offers less or more than usual
// (Virtio 1.2, 2.1.2, 2.5.2, 4.1.4.5, 4.1.5.4).
#include "matrix.h"

using namespace qtest;

namespace {

class Running : public MatrixTest {
  protected:
    bool modern() const {
        return isModern(GetParam().transport);
    }
    // One interrupt of the configuration's, and none of a queue's.
    void expectConfigInterrupt() {
        Interrupts seen = takeInterrupts();
        if (GetParam().msix) {
            EXPECT_EQ(seen.messages, std::set<unsigned>{0});
        } else {
            EXPECT_TRUE(seen.line);
            EXPECT_NE(seen.isr & VIRTIO_PCI_ISR_CONFIG, 0);
            EXPECT_FALSE(takeInterrupts().line) << "still raised after the ISR was read";
        }
    }
};

class Changing : public Running {};

TEST_P(Changing, AChangedConfigurationInterruptsAndReadsNew) // 4.1.5.4
{
    dev->negotiate(0);
    const bool blk = GetParam().kind == Kind::Blk;
    Ring ring;
    ring.features = GetParam().ring;
    exchange->start(ring);
    takeInterrupts();
    const UINT8 generation = modern() ? registers().generation() : 0;
    UINT64 capacity = 0;
    if (blk) {
        rig->machine->qmp("block_resize", R"({"device": "d", "size": 524288})");
        expectConfigInterrupt();
        check(VirtioPciReadConfig(&dev->pci, 0, &capacity, 8), "VirtioPciReadConfig");
        EXPECT_EQ(capacity, 1024u);
        rig->machine->qmp("block_resize", R"({"device": "d", "size": 1048576})");
        check(VirtioPciReadConfig(&dev->pci, 0, &capacity, 8), "VirtioPciReadConfig");
        EXPECT_EQ(capacity, 2048u);
    } else {
        UINT16 up = 0;
        for (const char *state : {"false", "true"}) {
            rig->machine->qmp("set_link", std::string(R"({"name": "dut", "up": )") + state + "}");
            expectConfigInterrupt();
            check(VirtioPciReadConfig(&dev->pci, 6, &up, 2), "VirtioPciReadConfig");
            EXPECT_EQ(up & 1, state[0] == 't');
        }
    }
    if (modern()) {
        EXPECT_NE(registers().generation(), generation) << "2.5.2";
    }
    exchange->rounds(2);
}

TEST_P(Running, ADeviceThatBreaksDownAsksForAReset) // 2.1.2
{
    Ring ring;
    ring.features = GetParam().ring;
    exchange->start(ring);
    exchange->rounds(1);
    takeInterrupts();
    // A chain that begins at a descriptor which the ring doesn't have.
    const UINT16 queue = exchange->steps()[0].queue;
    VIRTQ_SPLIT *vq = exchange->queue(queue).vq();
    auto *avail = reinterpret_cast<volatile UINT16 *>(vq->avail);
    avail[2 + vq->avail_idx % vq->qsz] = 0xFFF0;
    avail[1] = UINT16(vq->avail_idx + 1);
    VirtioPciNotify(&dev->pci, queue);
    rig->machine->settle();
    EXPECT_NE(rig->machine->takeLog(), "") << "QEMU noticed nothing";
    if (modern()) {
        EXPECT_EQ(VirtioPciGetStatus(&dev->pci), 0x4F);
        expectConfigInterrupt();
    } else {
        EXPECT_EQ(VirtioPciGetStatus(&dev->pci), 0x07) << "the bit is not a legacy one";
    }
    exchange->start(ring);
    EXPECT_EQ(VirtioPciGetStatus(&dev->pci), modern() ? 0x0F : 0x07);
    exchange->rounds(3);
}

class Receiving : public Running {};

TEST_P(Receiving, AfterAResetTheDeviceWritesNoMore) // 2.4.1
{
    exchange.reset();
    openFresh(GetParam().kind, GetParam().transport, GetParam().msix);
    exchange = Exchange::of(*rig, *dev);
    Ring ring;
    ring.features = GetParam().ring;
    exchange->start(ring);
    int cookie = 0;
    const UINT64 parked = exchange->park(&cookie);
    dev->kick(exchange->queue(0));
    rig->machine->settle();
    check(VirtioPciReset(&dev->pci, 1000), "VirtioPciReset");
    takeInterrupts();
    auto memory = [&] {
        VIRTQ_SPLIT *vq = exchange->queue(0).vq();
        auto copy = [&](UINT64 at, size_t bytes) {
            return std::string(reinterpret_cast<char *>(rig->machine->at(at)), bytes);
        };
        return copy(vq->desc_pa, VirtqSplitRingMemSize(vq->qsz, 4096, TRUE)) +
               copy(parked, Exchange::BufferSize);
    };
    const std::string before = memory();
    transmit(rig->peer, std::string(60, 'x'));
    Interrupts seen = takeInterrupts();
    EXPECT_FALSE(seen.line);
    EXPECT_EQ(seen.messages, std::set<unsigned>());
    EXPECT_TRUE(memory() == before) << "written after the reset";
    EXPECT_EQ(dev->detach(exchange->queue(0)), std::vector<void *>{&cookie});
}

std::vector<Config> everywhere() {
    return configs({false, true}, {EventIdx | Indirect});
}

INSTANTIATE_TEST_SUITE_P(All, Running, testing::ValuesIn(everywhere()),
                         [](const auto &i) { return name(i.param); });
// An administrator can change the configuration of these two.
INSTANTIATE_TEST_SUITE_P(All, Changing,
                         testing::ValuesIn(only(everywhere(),
                                                [](const Config &c) {
                                                    return c.kind == Kind::Blk ||
                                                           c.kind == Kind::Net;
                                                })),
                         [](const auto &i) { return name(i.param); });
// These two have something to write that comes from outside at any time.
INSTANTIATE_TEST_SUITE_P(All, Receiving,
                         testing::ValuesIn(only(everywhere(),
                                                [](const Config &c) {
                                                    return c.kind == Kind::Net ||
                                                           c.kind == Kind::Console;
                                                })),
                         [](const auto &i) { return name(i.param); });

class Offer : public MatrixTest {};

TEST_P(Offer, WhatIsNotOfferedIsNotUsed) // 2.2
{
    exchange.reset();
    openFresh(GetParam().kind, GetParam().transport, true, ",event_idx=off,indirect_desc=off");
    exchange = Exchange::of(*rig, *dev);
    start(); // wants both
    EXPECT_EQ(dev->pci.device_features & (EventIdx | Indirect), 0u);
    EXPECT_EQ(dev->pci.driver_features, isModern(GetParam().transport) ? Version1 : 0);
    exchange->rounds(3);
    EXPECT_EQ(VirtioPciReset(&dev->pci, 1000), STATUS_SUCCESS);
    EXPECT_EQ(VirtioPciNegotiate(&dev->pci, 0, EventIdx), STATUS_NOT_SUPPORTED);
    EXPECT_NE(VirtioPciGetStatus(&dev->pci) & VIRTIO_STATUS_FAILED, 0);
}

INSTANTIATE_TEST_SUITE_P(All, Offer, testing::ValuesIn(configs({true}, {EventIdx | Indirect})),
                         [](const auto &i) { return name(i.param); });

} // namespace
