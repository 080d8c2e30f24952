// SPDX-License-Identifier: MIT
//
// What holds for every device, whatever its type, transport, ring features and
// interrupts (Virtio 1.2, 2, 4.1).
#include "matrix.h"

using namespace qtest;

namespace {

class Matrix : public MatrixTest {
  protected:
    // Behind the used ring (2.7.8); in 16-bit words.
    volatile UINT16 *availEvent(UINT16 queue) {
        VIRTQ_SPLIT *vq = exchange->queue(queue).vq();
        return reinterpret_cast<volatile UINT16 *>(vq->used) + 2 + 4 * vq->qsz;
    }
};

TEST_P(Matrix, CarriesData) {
    start();
    exchange->rounds(12);
    for (UINT16 i = 0; i < exchange->queues(); i++) {
        VIRTQ_SPLIT *vq = exchange->queue(i).vq();
        EXPECT_EQ(VirtqSplitInFlight(vq), 0);
        EXPECT_EQ(VirtqSplitNumFree(vq), VirtqSplitQueueSize(vq));
        EXPECT_FALSE(VirtqSplitIsBroken(vq));
    }
}

TEST_P(Matrix, NegotiatesWhatIsWantedAndNoMore) // 2.2, 3.1.1
{
    start();
    bool modern = isModern(GetParam().transport);
    EXPECT_EQ(dev->pci.modern, modern);
    EXPECT_EQ(dev->pci.device_type, deviceType(GetParam().kind));
    Registers device = registers();
    UINT64 accepted = GetParam().ring | (modern ? Version1 : 0);
    EXPECT_EQ(device.driverFeatures(), accepted);
    EXPECT_EQ(dev->pci.driver_features, accepted);
    EXPECT_EQ(device.deviceFeatures(), dev->pci.device_features);
    EXPECT_EQ(dev->pci.device_features & (EventIdx | Indirect), EventIdx | Indirect);
    EXPECT_EQ(device.status(), modern ? 0x0F : 0x07);
}

TEST_P(Matrix, TheDeviceSaysWhichKickItWants) // 2.7.10
{
    start();
    for (const auto &step : exchange->steps()) {
        SCOPED_TRACE(step.name);
        const UINT16 before = exchange->queue(step.queue).vq()->avail_idx;
        const UINT16 poison = 0xBEEF;
        *availEvent(step.queue) = has(EventIdx) ? before : poison;
        step.run(0);
        rig->machine->settle();
        if (!has(EventIdx)) {
            EXPECT_EQ(*availEvent(step.queue), poison) << "written without EVENT_IDX";
        } else if (GetParam().kind != Kind::Net || step.queue != 0) {
            // QEMU's network device looks for receive buffers by itself until
            // it has run out of them.
            EXPECT_EQ(*availEvent(step.queue), UINT16(before + 1));
        }
    }
}

TEST_P(Matrix, TablesAreUsedIfNegotiated) // 2.7.5.3
{
    start();
    for (const auto &step : exchange->steps()) {
        VIRTQ_SPLIT *vq = exchange->queue(step.queue).vq();
        step.run(1); // of two segments at least
        bool table = false;
        for (UINT16 i = 0; i < vq->qsz; i++) {
            table |= (vq->desc[i].flags & VIRTQ_DESC_F_INDIRECT) != 0;
        }
        EXPECT_EQ(table, has(Indirect)) << step.name;
    }
}

TEST_P(Matrix, AnInterruptComesForEachUsedBuffer) // 2.7.7, 4.1.4.5, 4.1.5.3
{
    dev->patient = true;
    start();
    enableInterrupts(true);
    takeInterrupts();
    for (unsigned i = 0; i < 3; i++) {
        for (const auto &step : exchange->steps()) {
            SCOPED_TRACE(step.name);
            step.run(i);
            Interrupts seen = takeInterrupts();
            if (GetParam().msix) {
                EXPECT_EQ(seen.messages, std::set<unsigned>{exchange->vector(step.queue)});
                EXPECT_FALSE(seen.line);
            } else {
                EXPECT_TRUE(seen.line);
                EXPECT_EQ(seen.isr, VIRTIO_PCI_ISR_QUEUE);
                // Reading has acknowledged it (4.1.4.5.1).
                seen = takeInterrupts();
                EXPECT_FALSE(seen.line);
                EXPECT_EQ(seen.isr, 0);
            }
        }
    }
}

TEST_P(Matrix, NoInterruptComesWhileTheyAreDisabled) // 2.7.7, 2.7.10
{
    dev->patient = true;
    start();
    // With EVENT_IDX a device may interrupt after its first buffer whatever
    // used_event says, for it has no earlier index to compare with.
    exchange->rounds(1);
    enableInterrupts(false);
    takeInterrupts();
    exchange->rounds(4);
    Interrupts seen = takeInterrupts();
    EXPECT_EQ(seen.messages, std::set<unsigned>());
    EXPECT_FALSE(seen.line);
    EXPECT_EQ(seen.isr, 0);

    enableInterrupts(true);
    exchange->steps()[0].run(0);
    seen = takeInterrupts();
    EXPECT_TRUE(seen.line || !seen.messages.empty()) << "none after they were enabled again";
}

TEST_P(Matrix, AfterAResetTheDeviceWorksAgain) // 2.4, 3.3.1
{
    for (int life = 0; life < 3; life++) {
        start();
        exchange->rounds(2);
        int parked = life;
        exchange->park(&parked);
        if (GetParam().kind == Kind::Net || GetParam().kind == Kind::Console) {
            dev->kick(exchange->queue(0));
        }
        EXPECT_EQ(VirtqSplitInFlight(exchange->queue(0).vq()), 1);
        check(VirtioPciReset(&dev->pci, 1000), "VirtioPciReset");
        EXPECT_EQ(dev->detach(exchange->queue(0)), std::vector<void *>{&parked});
        EXPECT_EQ(VirtqSplitResetChecked(exchange->queue(0).vq()), STATUS_SUCCESS);
    }
    start();
    exchange->rounds(2);
}

class MatrixMessages : public MatrixTest {};

TEST_P(MatrixMessages, WithoutVectorsNothingInterrupts) // 4.1.5.1.2.1: NO_VECTOR
{
    start(false);
    EXPECT_EQ(registers().configVector(), 0xFFFF);
    EXPECT_EQ(registers().queue(0).vector, 0xFFFF);
    enableInterrupts(true);
    takeInterrupts();
    exchange->rounds(2);
    Interrupts seen = takeInterrupts();
    EXPECT_EQ(seen.messages, std::set<unsigned>());
    EXPECT_FALSE(seen.line);
}

INSTANTIATE_TEST_SUITE_P(All, Matrix, testing::ValuesIn(configs({false, true})),
                         [](const auto &i) { return name(i.param); });
INSTANTIATE_TEST_SUITE_P(All, MatrixMessages, testing::ValuesIn(configs({true})),
                         [](const auto &i) { return name(i.param); });

} // namespace
