// SPDX-License-Identifier: MIT
//
// The contract: where the registers of both interfaces are (4.1.4).
#include "contract.h"

#include <algorithm>
#include <map>

namespace qtest {

namespace {

// The first of each type, which is the one that counts.
std::map<uint8_t, VirtioCapability> structures(Contract &it) {
    std::map<uint8_t, VirtioCapability> first;
    for (const VirtioCapability &c : virtioCapabilities(it.pci())) {
        if (c.type >= CapCommon && c.type <= CapDevice) {
            first.emplace(c.type, c);
        }
    }
    return first;
}

void list(Contract &it) {
    PciFunction &f = it.pci();
    EXPECT_NE(f.configRead(0x06, 2) & 0x10, 0u);
    unsigned seen = 0;
    for (UINT32 at = f.configRead(0x34, 1); at != 0; at = f.configRead(uint16_t(at + 1), 1)) {
        ASSERT_GE(at, 0x40u);
        ASSERT_EQ(at % 4, 0u);
        ASSERT_LE(++seen, 48u);
    }
}

void complete(Contract &it) {
    auto all = structures(it);
    EXPECT_TRUE(all.count(CapCommon));
    EXPECT_TRUE(all.count(CapNotify));
    EXPECT_TRUE(all.count(CapIsr));
    EXPECT_TRUE(all.count(CapDevice) || it.kind() == Kind::Rng);
}

void lengths(Contract &it) {
    for (const auto &[type, c] : structures(it)) {
        EXPECT_GE(c.length, type == CapNotify ? 20 : 16) << int(type);
        EXPECT_LE(c.at + c.length, 256) << int(type);
    }
}

void inside(Contract &it) {
    for (const auto &[type, c] : structures(it)) {
        ASSERT_LT(c.bar, 6) << int(type);
        EXPECT_NE(it.pci().bar(c.bar).length, 0u) << int(type);
        EXPECT_LE(uint64_t(c.offset) + c.size, it.pci().bar(c.bar).length) << int(type);
    }
}

void sizes(Contract &it) {
    const std::map<uint8_t, std::pair<UINT32, UINT32>> least = {
        {CapCommon, {56, 4}}, {CapNotify, {2, 2}}, {CapIsr, {1, 1}}, {CapDevice, {1, 4}}};
    for (const auto &[type, c] : structures(it)) {
        EXPECT_GE(c.size, least.at(type).first) << int(type);
        EXPECT_EQ(c.offset % least.at(type).second, 0u) << int(type);
    }
}

void notify(Contract &it) {
    const VirtioCapability c = structures(it).at(CapNotify);
    EXPECT_NE(c.multiplier, 1u);
    EXPECT_EQ(c.multiplier & (c.multiplier - 1), 0u);
    Registers registers = it.registers();
    for (UINT16 i = 0, n = registers.queueCount(); i < n; i++) {
        QueueRegisters queue = registers.queue(i);
        if (queue.size != 0) {
            EXPECT_LE(uint64_t(queue.notifyOffset) * c.multiplier + 2, c.size) << "queue " << i;
        }
    }
}

void queueCount(Contract &it) {
    it.device().negotiate(0);
    const UINT16 count = it.registers().queueCount();
    EXPECT_GE(count, it.queues());
    EXPECT_EQ(it.device().pci.num_queues, std::min<UINT16>(count, VIRTIO_PCI_MAX_QUEUES));
    for (UINT16 i = 0; i < it.queues(); i++) {
        EXPECT_NE(it.registers().queue(i).size, 0);
    }
    EXPECT_EQ(it.registers().queue(count).size, 0);
    EXPECT_EQ(it.registers().queue(0x3FF).size, 0);
}

void featureWords(Contract &it) {
    Registers registers = it.registers();
    const UINT32 low = registers.featureWord(0);
    for (UINT32 select : {4u, 31u, 0xFFFFFFFFu}) {
        EXPECT_EQ(registers.featureWord(select), 0u) << select;
    }
    EXPECT_EQ(registers.featureWord(0), low);
    EXPECT_EQ(it.registers().deviceFeatures() & 0xFFFFFFFF, low);
}

void generation(Contract &it) {
    Registers registers = it.registers();
    it.start();
    const UINT8 before = registers.generation();
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(registers.generation(), before) << "nothing has changed";
    }
    if (it.kind() == Kind::Blk || it.kind() == Kind::Net) {
        const bool blk = it.kind() == Kind::Blk;
        it.rig->machine->qmp(blk ? "block_resize" : "set_link",
                             blk ? R"({"device": "d", "size": 2097152})"
                                 : R"({"name": "dut", "up": false})");
        EXPECT_NE(registers.generation(), before);
        it.rig->machine->qmp(blk ? "block_resize" : "set_link",
                             blk ? R"({"device": "d", "size": 1048576})"
                                 : R"({"name": "dut", "up": true})");
    }
}

void readBack(Contract &it) {
    Exchange &exchange = it.start();
    for (UINT16 i = 0; i < exchange.queues(); i++) {
        QueueRegisters is = it.registers().queue(i);
        EXPECT_EQ(is.ring, 1u);
        EXPECT_EQ(is.size, exchange.queue(i).vq()->qsz);
        EXPECT_EQ(is.desc, exchange.queue(i).vq()->desc_pa);
        EXPECT_EQ(is.driver, exchange.queue(i).vq()->avail_pa);
        EXPECT_EQ(is.device, exchange.queue(i).vq()->used_pa);
    }
}

// Least length of the configuration that the checks of the types read.
UINT32 configLength(Contract &it) {
    static const UINT32 lengths[] = {36, 8, 0, 8};
    return lengths[int(it.kind())];
}

void legacyBar(Contract &it) {
    EXPECT_GE(it.pci().bar(0).length, 24 + configLength(it));
    EXPECT_EQ(it.device().pci.modern, FALSE);
}

void legacyConfig(Contract &it) {
    std::string with, without;
    for (UINT32 i = 0; i < configLength(it); i++) {
        with += char(it.registers().config(i, 1));
    }
    it.useLine();
    for (UINT32 i = 0; i < configLength(it); i++) {
        without += char(it.registers().config(i, 1));
    }
    EXPECT_EQ(with, without) << "at 24 with MSI-X and at 20 without it";
    std::string library(configLength(it), 0);
    EXPECT_EQ(VirtioPciReadConfig(&it.device().pci, 0, library.data(), configLength(it)),
              STATUS_SUCCESS);
    EXPECT_EQ(library, without);
}

void legacySize(Contract &it) {
    it.device().negotiate(0);
    unsigned there = 0;
    for (UINT16 i = 0; i < VIRTIO_PCI_MAX_QUEUES; i++) {
        const UINT16 size = it.registers().queue(i).size;
        EXPECT_EQ(size & (size - 1), 0) << "queue " << i;
        there += size != 0;
    }
    EXPECT_GE(there, it.queues());
    for (UINT16 i = 0; i < it.queues(); i++) {
        EXPECT_NE(it.registers().queue(i).size, 0);
    }
}

void pageFrame(Contract &it) {
    it.device().negotiate(0);
    EXPECT_EQ(it.registers().queue(0).ring, 0u);
    Exchange &exchange = it.start();
    EXPECT_EQ(it.registers().queue(0).ring, exchange.queue(0).vq()->desc_pa / 4096);
    it.registers().setStatus(0);
    EXPECT_EQ(it.registers().queue(0).ring, 0u);
}

} // namespace

std::vector<Row> transportRows() {
    return {
        {"C-MOD-1", Of::ModernInterface, list},
        {"C-MOD-2", Of::ModernInterface, complete},
        {"C-MOD-3", Of::ModernInterface, lengths},
        {"C-MOD-4", Of::ModernInterface, inside},
        {"C-MOD-5", Of::ModernInterface, sizes},
        {"C-MOD-6", Of::ModernInterface, notify},
        {"C-MOD-7", Of::ModernInterface, queueCount},
        {"C-MOD-8", Of::ModernInterface, featureWords},
        {"C-MOD-9", Of::ModernInterface, generation},
        {"C-MOD-10", Of::ModernInterface, readBack},
        {"C-LEG-1", Of::LegacyInterface, legacyBar},
        {"C-LEG-2", Of::LegacyInterface, legacyConfig},
        {"C-LEG-3", Of::LegacyInterface, legacySize},
        {"C-LEG-4", Of::LegacyInterface, pageFrame},
    };
}

} // namespace qtest
