// SPDX-License-Identifier: MIT
//
// Setting queues up: sizes, places, notify addresses, vectors, and what is
// left of them after a reset (Virtio 1.2, 2.7, 4.1.5.1).
#include "matrix.h"

using namespace qtest;

namespace {

class QueueSetup : public MatrixTest {
  protected:
    bool modern() const {
        return isModern(GetParam().transport);
    }
    UINT16 maximum(UINT16 queue) {
        UINT16 size = 0;
        check(VirtioPciQueueMaxSize(&dev->pci, queue, &size), "VirtioPciQueueMaxSize");
        return size;
    }
    // Ring memory that no size is too large for.
    NTSTATUS setup(UINT16 queue, UINT16 size, UINT64 desc, UINT16 vector = 0xFFFF) {
        UINT64 avail = desc + 16 * size;
        UINT64 used = (avail + 6 + 2 * size + 4095) & ~UINT64(4095);
        return VirtioPciQueueSetup(&dev->pci, queue, size, desc, avail, used, vector);
    }
    UINT64 ringMemory() {
        return rig->machine->allocate(VirtqSplitRingMemSize(4096, 4096, TRUE), 4096);
    }
};

TEST_P(QueueSetup, TheDeviceHasWhatTheLibraryWasGiven) // 4.1.4.3, 4.1.5.1.3
{
    start();
    Registers device = registers();
    for (UINT16 i = 0; i < exchange->queues(); i++) {
        QueueRegisters is = device.queue(i);
        VIRTQ_SPLIT *vq = exchange->queue(i).vq();
        EXPECT_EQ(is.size, vq->qsz);
        EXPECT_EQ(is.vector, exchange->vector(i));
        if (modern()) {
            EXPECT_EQ(is.ring, 1u) << "queue_enable";
            EXPECT_EQ(is.desc, vq->desc_pa);
            EXPECT_EQ(is.driver, vq->avail_pa);
            EXPECT_EQ(is.device, vq->used_pa);
        } else {
            EXPECT_EQ(is.ring, vq->desc_pa >> 12) << "page frame number";
        }
    }
    if (GetParam().msix) {
        EXPECT_EQ(device.configVector(), 0);
    }
}

TEST_P(QueueSetup, EverySizeUpToTheDevicesOwn) // 4.1.5.1.3: a modern driver may take less
{
    dev->negotiate(GetParam().ring);
    const UINT16 max = maximum(0);
    if (!modern()) {
        // The legacy interface has no register for it (4.1.5.1.3.1).
        for (UINT16 size = max / 2; size != 0; size /= 2) {
            EXPECT_EQ(setup(0, size, ringMemory()), STATUS_INVALID_PARAMETER) << size;
        }
        EXPECT_EQ(registers().queue(0).ring, 0u) << "a refused size reached the device";
        EXPECT_EQ(setup(0, max, ringMemory()), STATUS_SUCCESS);
        return;
    }
    const uint64_t mark = rig->machine->mark();
    for (unsigned size = exchange->smallestRing(); size <= max; size *= 2) {
        SCOPED_TRACE(size);
        Ring ring;
        ring.features = GetParam().ring;
        ring.size = UINT16(size);
        exchange->start(ring);
        EXPECT_EQ(registers().queue(0).size, size);
        exchange->rounds(size <= 16 ? 2 * size + 3 : 3); // round the ring, if it is small
        rig->machine->release(mark);
    }
}

TEST_P(QueueSetup, SizesThatNoDeviceTakes) // 2.7
{
    dev->negotiate(GetParam().ring);
    const UINT16 max = maximum(0);
    for (UINT16 size : {UINT16(0), UINT16(3), UINT16(max - 1), UINT16(2 * max)}) {
        EXPECT_EQ(setup(0, size, ringMemory()), STATUS_INVALID_PARAMETER) << size;
    }
    EXPECT_EQ(setup(0, max, ringMemory() + 8), STATUS_INVALID_PARAMETER) << "misaligned";
    EXPECT_EQ(registers().queue(0).ring, 0u) << "something refused reached the device";
}

TEST_P(QueueSetup, AQueueThatIsNotThere) {
    dev->negotiate(GetParam().ring);
    UINT16 size = 1;
    EXPECT_EQ(VirtioPciQueueMaxSize(&dev->pci, dev->pci.num_queues, &size), STATUS_NOT_FOUND);
    EXPECT_EQ(size, 0);
    EXPECT_EQ(setup(dev->pci.num_queues, 8, ringMemory()), STATUS_NOT_FOUND);
}

TEST_P(QueueSetup, AQueueIsSetUpOnce) {
    start();
    UINT16 size = exchange->queue(0).vq()->qsz;
    UINT64 before = exchange->queue(0).vq()->desc_pa;
    EXPECT_EQ(setup(0, size, ringMemory()), STATUS_DEVICE_BUSY);
    QueueRegisters is = registers().queue(0);
    EXPECT_EQ(modern() ? is.desc : UINT64(is.ring) << 12, before);
    exchange->rounds(2);
}

TEST_P(QueueSetup, AVectorBeyondTheTableIsRefused) // 4.1.5.1.2.1
{
    dev->negotiate(GetParam().ring);
    const UINT16 beyond = UINT16(rig->function->vectors());
    const NTSTATUS refused =
        GetParam().msix ? STATUS_INSUFFICIENT_RESOURCES : STATUS_INVALID_PARAMETER;
    EXPECT_EQ(VirtioPciSetConfigVector(&dev->pci, beyond), refused);
    EXPECT_EQ(setup(0, maximum(0), ringMemory(), beyond), refused);
    EXPECT_EQ(registers().queue(0).ring, 0u) << "enabled all the same";
    if (GetParam().msix) {
        EXPECT_EQ(registers().configVector(), 0xFFFF);
        EXPECT_EQ(registers().queue(0).vector, 0xFFFF);
    }
}

TEST_P(QueueSetup, AResetForgetsQueues) // 2.4.1, 4.1.5.1.3
{
    dev->negotiate(0);
    std::vector<UINT16> sizes;
    for (UINT16 i = 0; i < exchange->queues(); i++) {
        sizes.push_back(maximum(i));
    }
    Ring ring;
    ring.size = exchange->smallestRing();
    exchange->start(ring);
    exchange->rounds(1);
    check(VirtioPciReset(&dev->pci, 1000), "VirtioPciReset");
    Registers device = registers();
    for (UINT16 i = 0; i < exchange->queues(); i++) {
        QueueRegisters is = device.queue(i);
        EXPECT_EQ(is.ring, 0u);
        EXPECT_EQ(is.size, sizes[i]);
        EXPECT_EQ(is.vector, 0xFFFF);
    }
    unsigned kicks = dev->kicks;
    VirtioPciNotify(&dev->pci, 0); // writes nothing
    EXPECT_EQ(dev->kicks, kicks);
    exchange->start(ring);
    exchange->rounds(2);
}

TEST_P(QueueSetup, AResetAtAnyMoment) // 2.1, 3.1.1
{
    for (int moment = 0; moment < 4; moment++) {
        if (moment == 0) {
            check(VirtioPciReset(&dev->pci, 1000), "VirtioPciReset");
        } else if (moment == 1) {
            dev->negotiate(GetParam().ring);
        } else if (moment == 2) {
            dev->negotiate(GetParam().ring);
            EXPECT_EQ(setup(0, maximum(0), ringMemory()), STATUS_SUCCESS); // no DRIVER_OK
        } else {
            start();
            VirtioPciFail(&dev->pci);
            EXPECT_NE(VirtioPciGetStatus(&dev->pci) & VIRTIO_STATUS_FAILED, 0);
        }
        start();
        exchange->rounds(1);
    }
}

INSTANTIATE_TEST_SUITE_P(All, QueueSetup,
                         testing::ValuesIn(configs({false, true}, {EventIdx | Indirect})),
                         [](const auto &i) { return name(i.param); });

class ModernQueue : public MatrixTest {};

TEST_P(ModernQueue, AreasApartFromEachOther) // 4.1.4.3, 2.7: alignments 16, 2, 4
{
    Ring ring;
    ring.features = GetParam().ring;
    ring.size = exchange->smallestRing();
    ring.separate = true;
    exchange->start(ring);
    VIRTQ_SPLIT *vq = exchange->queue(0).vq();
    EXPECT_EQ(vq->desc_pa % 32, 16u);
    EXPECT_EQ(vq->avail_pa % 4, 2u);
    EXPECT_EQ(vq->used_pa % 8, 4u);
    exchange->rounds(20);
}

class NotifyPages : public MatrixTest {};

TEST_P(NotifyPages, EachQueueNotifiesAtItsOwnAddress) // 4.1.4.4
{
    exchange.reset();
    openFresh(GetParam().kind, GetParam().transport, GetParam().msix, ",page-per-vq=on");
    exchange = Exchange::of(*rig, *dev);
    start();
    EXPECT_EQ(dev->pci.notify_off_multiplier, 4096u);
    exchange->rounds(4);
}

bool hasModern(const Config &c) {
    return isModern(c.transport);
}

INSTANTIATE_TEST_SUITE_P(All, ModernQueue,
                         testing::ValuesIn(only(configs({true}, {0, EventIdx | Indirect}),
                                                hasModern)),
                         [](const auto &i) { return name(i.param); });
INSTANTIATE_TEST_SUITE_P(All, NotifyPages,
                         testing::ValuesIn(only(configs({true}, {EventIdx | Indirect}), hasModern)),
                         [](const auto &i) { return name(i.param); });

} // namespace
