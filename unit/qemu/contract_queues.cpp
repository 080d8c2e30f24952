// SPDX-License-Identifier: MIT
//
// The contract: queues, interrupts, and what each device type has of its own
// (2.7, 4.1.5, 5).
#include "contract.h"

namespace qtest {

namespace {

UINT64 field(Contract &it, UINT32 offset, UINT32 bytes) {
    UINT64 value = 0;
    check(VirtioPciReadConfig(&it.device().pci, offset, &value, bytes), "VirtioPciReadConfig");
    return value;
}

void queueSize(Contract &it) {
    it.device().negotiate(0);
    for (UINT16 i = 0; i < it.device().pci.num_queues; i++) {
        EXPECT_LE(it.registers().queue(i).size, 32768) << "queue " << i;
    }
    UINT16 size = 0;
    for (UINT16 i = 0; i < it.queues(); i++) {
        EXPECT_EQ(VirtioPciQueueMaxSize(&it.device().pci, i, &size), STATUS_SUCCESS);
        EXPECT_EQ(size, it.registers().queue(i).size);
        EXPECT_GE(size, 1);
    }
}

void smallerSizes(Contract &it) {
    it.device().negotiate(0);
    Registers registers = it.registers();
    const UINT16 max = registers.queue(0).size;
    for (unsigned size = 1; size <= max; size *= 2) {
        registers.setQueueSize(0, UINT16(size));
        EXPECT_EQ(registers.queue(0).size, size);
    }
}

void vectors(Contract &it) {
    it.device().negotiate(0);
    Registers registers = it.registers();
    const UINT16 count = UINT16(it.pci().vectors());
    for (UINT16 vector : {UINT16(0), UINT16(count - 1), count, UINT16(0x7FF), UINT16(0xFFFF)}) {
        const UINT16 read = vector < count ? vector : 0xFFFF;
        registers.setConfigVector(vector);
        EXPECT_EQ(registers.configVector(), read) << vector;
        for (UINT16 i = 0; i < it.queues(); i++) {
            registers.setQueueVector(i, vector);
            EXPECT_EQ(registers.queue(i).vector, read) << vector;
        }
    }
}

void notified(Contract &it) {
    Exchange &exchange = it.start(0);
    for (const auto &step : exchange.steps()) {
        // Comes to its end, if only because the device was still looking.
        const unsigned kicks = it.device().kicks + it.device().suppressed;
        step.run(0);
        EXPECT_EQ(it.device().kicks + it.device().suppressed, kicks + 1) << step.name;
    }
}

void message(Contract &it) {
    Exchange &exchange = it.start(0);
    for (const auto &step : exchange.steps()) {
        it.rig->machine->settle();
        it.pci().takeMessages();
        step.run(0);
        it.rig->machine->settle();
        const UINT16 vector = exchange.vector(step.queue);
        EXPECT_EQ(it.pci().takeMessage(vector), PciFunction::messageData(vector)) << step.name;
    }
}

void line(Contract &it) {
    it.useLine();
    Exchange &exchange = it.start(0);
    Registers registers = it.registers();
    for (const auto &step : exchange.steps()) {
        it.rig->machine->settle();
        registers.isr(); // one without a cause may be left from the start
        EXPECT_FALSE(it.pci().lineRaised()) << step.name;
        EXPECT_EQ(registers.isr(), 0) << step.name;
        step.run(0);
        it.rig->machine->settle();
        EXPECT_TRUE(it.pci().lineRaised()) << step.name;
        EXPECT_EQ(registers.isr(), 1) << step.name;
        EXPECT_FALSE(it.pci().lineRaised()) << "after the ISR was read: " << step.name;
        EXPECT_EQ(registers.isr(), 0) << "read twice: " << step.name;
    }
}

// Descriptors, avail ring and indirect tables, as the library wrote them.
std::string driversPart(VIRTQ_SPLIT *vq) {
    auto copy = [](const void *from, size_t bytes) {
        return std::string(static_cast<const char *>(from), bytes);
    };
    return copy(vq->desc, 16u * vq->qsz) + copy(vq->avail, 6 + 2u * vq->qsz) +
           copy(vq->indirect_pool_va, vq->indirect_table_count * vq->indirect_table_stride);
}

void readOnly(Contract &it) {
    Exchange &exchange = it.start(Indirect);
    exchange.rounds(1);
    exchange.park(nullptr);
    VIRTQ_SPLIT *vq = exchange.queue(0).vq();
    const std::string before = driversPart(vq);
    it.device().kick(exchange.queue(0));
    it.rig->machine->settle();
    EXPECT_EQ(driversPart(vq), before);
    if (it.kind() == Kind::Blk || it.kind() == Kind::Rng) {
        it.device().wait(exchange.queue(0)); // the device has used it by now
        EXPECT_EQ(driversPart(vq), before);
    }
}

void forgotten(Contract &it) {
    it.device().negotiate(0);
    std::vector<UINT16> sizes;
    for (UINT16 i = 0; i < it.queues(); i++) {
        sizes.push_back(it.registers().queue(i).size);
    }
    it.start();
    it.registers().setStatus(0);
    for (UINT16 i = 0; i < it.queues(); i++) {
        QueueRegisters is = it.registers().queue(i);
        EXPECT_EQ(is.ring, 0u);
        EXPECT_EQ(is.vector, 0xFFFF);
        EXPECT_EQ(is.size, sizes[i]);
    }
    EXPECT_EQ(it.registers().configVector(), 0xFFFF);
}

void block(Contract &it) {
    if (it.kind() != Kind::Blk) {
        return;
    }
    it.device().negotiate(VIRTIO_FEATURE(1) | VIRTIO_FEATURE(2) | VIRTIO_FEATURE(6) |
                          VIRTIO_FEATURE(9) | VIRTIO_FEATURE(11));
    EXPECT_EQ(field(it, 0, 8), DiskSectors);
    if (it.device().negotiated(1)) {
        EXPECT_GE(field(it, 8, 4), 1u) << "size_max";
    }
    if (it.device().negotiated(2)) {
        EXPECT_GE(field(it, 12, 4), 1u) << "seg_max";
    }
    if (it.device().negotiated(6)) {
        const UINT64 size = field(it, 20, 4);
        EXPECT_GE(size, 512u);
        EXPECT_EQ(size & (size - 1), 0u);
    }
    if (it.device().negotiated(11)) {
        EXPECT_LE(field(it, 32, 1), 1u) << "writeback";
    }
    EXPECT_GE(it.registers().queue(0).size, 4) << "header, two segments, status";
}

void network(Contract &it) {
    if (it.kind() != Kind::Net) {
        return;
    }
    it.device().negotiate(VIRTIO_FEATURE(5) | VIRTIO_FEATURE(16));
    ASSERT_TRUE(it.device().negotiated(5) && it.device().negotiated(16));
    EXPECT_EQ(field(it, 0, 6), 0x563412005452u);
    EXPECT_EQ(field(it, 6, 2) & 1, 1u) << "the link is up";
    it.start(0).rounds(1); // with a header of 12 or 10 bytes
}

void entropy(Contract &it) {
    if (it.kind() != Kind::Rng) {
        return;
    }
    it.start(0).rounds(1);
}

void console(Contract &it) {
    if (it.kind() != Kind::Console) {
        return;
    }
    it.device().negotiate(VIRTIO_FEATURE(1));
    ASSERT_TRUE(it.device().negotiated(1));
    EXPECT_GE(field(it, 4, 4), 2u) << "max_nr_ports";
    EXPECT_NE(it.registers().queue(3).size, 0) << "control queues";
    it.start(0).rounds(1);
}

} // namespace

std::vector<Row> queueRows() {
    return {
        {"C-QUE-1", Of::AnyDevice, queueSize}, {"C-QUE-2", Of::ModernInterface, smallerSizes},
        {"C-QUE-3", Of::AnyDevice, vectors},   {"C-QUE-4", Of::AnyDevice, notified},
        {"C-QUE-5", Of::AnyDevice, message},   {"C-QUE-6", Of::AnyDevice, line},
        {"C-QUE-9", Of::AnyDevice, readOnly},  {"C-QUE-10", Of::AnyDevice, forgotten},
        {"C-TYP-1", Of::AnyDevice, block},     {"C-TYP-2", Of::AnyDevice, network},
        {"C-TYP-3", Of::AnyDevice, entropy},   {"C-TYP-4", Of::AnyDevice, console},
    };
}

} // namespace qtest
