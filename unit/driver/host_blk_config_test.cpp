// SPDX-License-Identifier: MIT
//
// The configuration of a disk on the host (Virtio 1.2, 5.2.4): how it is read, values at
// their limits, a structure that ends too early, and a device that is another one after a
// power-down.
#include "host/machine.h"

using namespace vq7::host;

namespace {

VQ7_BLK_INFO InfoOf(Machine &machine) {
    return machine.Get<VQ7_BLK_INFO>(IOCTL_VQ7_BLK_GET_INFO);
}

// The modern structure ends after `bytes`.
void CutConfig(Machine &machine, unsigned bytes) {
    machine.pci.config.resize(bytes);
    machine.pci.putCfg(0x60 + 12, bytes, 4);
}

// 4.1.3.1: each field with accesses of its own width, 64-bit ones in halves; and none that
// was not negotiated.
TEST(BlkConfig, EachFieldInItsOwnWidth) {
    for (bool all : {true, false}) {
        Options options;
        options.features = all ? options.features | kSizeMax : 0;
        Machine machine(options);
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
        std::map<unsigned, int> widths;
        for (const auto &access : machine.pci.log) {
            if (access.bar == 4 && access.offset >= machine.pci.configAt &&
                access.offset < machine.pci.configAt + 64) {
                const unsigned at = access.offset - machine.pci.configAt;
                EXPECT_EQ(access.kind, 'r');
                EXPECT_TRUE(widths.count(at) == 0 || widths[at] == access.width) << at;
                widths[at] = access.width;
            }
        }
        EXPECT_EQ(widths,
                  all ? (std::map<unsigned, int>{{0, 4}, {4, 4}, {8, 4}, {12, 4}, {20, 4}, {32, 1}})
                      : (std::map<unsigned, int>{{0, 4}, {4, 4}}));
        machine.Remove();
    }
}

TEST(BlkConfig, EndsTooEarly) {
    struct Case {
        std::uint64_t feature;
        unsigned bytes;
    };
    for (const Case &c : {Case{0, 8}, Case{kSizeMax, 12}, Case{kSegMax, 16}, Case{kBlkSize, 24},
                          Case{kConfigWce, 33}}) {
        for (unsigned bytes : {c.bytes - 1, c.bytes}) {
            Options options;
            options.features = c.feature;
            Machine machine(options);
            CutConfig(machine, bytes);
            SCOPED_TRACE(testing::Message() << c.feature << " " << bytes);
            const bool fits = bytes == c.bytes;
            EXPECT_EQ(machine.Start(), fits ? STATUS_SUCCESS : STATUS_BUFFER_OVERFLOW);
            EXPECT_NE(machine.kernel.Logged("bad block device configuration"), fits);
            EXPECT_FALSE(machine.kernel.Logged("no power of two")) << "nothing was read";
            EXPECT_EQ(machine.pci.status != 0, fits);
            machine.Remove();
        }
    }
}

TEST(BlkConfig, BlocksAtTheirLimit) {
    for (std::uint32_t size : {0x200000u, 0x400000u, 0x01000200u}) {
        Options options;
        options.block_size = size;
        options.memory = 16 << 20;
        Machine machine(options);
        const bool good = size == 0x200000;
        ASSERT_EQ(machine.Start(), good ? STATUS_SUCCESS : STATUS_DEVICE_CONFIGURATION_ERROR);
        EXPECT_NE(machine.kernel.Logged("block size"), good);
        if (good) {
            EXPECT_EQ(InfoOf(machine).max_transfer, size) << "one block";
            // A transfer starts where a block does.
            Data data(machine.memory, size);
            for (unsigned sector : {1u, 8u, 512u, 2048u}) {
                Request *request = machine.Read(sector, data);
                EXPECT_TRUE(request->completed);
                EXPECT_EQ(request->status, STATUS_INVALID_PARAMETER) << sector;
            }
        }
        machine.Remove();
    }
}

TEST(BlkConfig, LargeLimits) {
    struct Case {
        std::uint32_t size_max, seg_max;
        unsigned segments, transfer; // of a ring of 16
    };
    for (const Case &c : {
             Case{0x80000000, 126, 14, 0x100000}, // 14 of them are no 32-bit number
             Case{0xFFFFFFFF, 126, 14, 0x100000},
             Case{0x20000, 126, 14, 0x100000},
             Case{0x12000, 126, 14, 14 * 0x12000},
             Case{0x100000, 1, 1, 0x100000},
             Case{1000, 3, 3, 2560}, // five whole blocks
             Case{0x40000, 14, 14, 0x100000},
             Case{0x40000, 13, 13, 0x100000},
             Case{0x40000, 0x10000001, 14, 0x100000},
             Case{0, 2, 2, 0x100000},
         }) {
        Options options;
        options.features |= kSizeMax;
        options.size_max = c.size_max;
        options.seg_max = c.seg_max;
        Machine machine(options);
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS) << c.size_max;
        const VQ7_BLK_INFO info = InfoOf(machine);
        EXPECT_EQ(info.size_max, c.size_max);
        EXPECT_EQ(info.seg_max, c.seg_max);
        EXPECT_EQ(info.max_segments, c.segments) << c.size_max;
        EXPECT_EQ(info.max_transfer, c.transfer) << c.size_max;
        EXPECT_EQ(info.reserved, 0u);
        machine.Remove();
    }
}

// Nothing of what it was is left: the features are gone, the ring is another one.
TEST(BlkConfig, IsReadAnewAtEachStart) {
    Options options;
    options.features |= kSizeMax | kReadOnly;
    options.size_max = 0x1000;
    options.seg_max = 3;
    options.block_size = 4096;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    EXPECT_EQ(InfoOf(machine).max_transfer, 3u * 0x1000);
    machine.framework.PowerDown();
    machine.pci.features &= ~(kSizeMax | kSegMax | kBlkSize | kReadOnly | kFlush | kConfigWce);
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    const VQ7_BLK_INFO info = InfoOf(machine);
    EXPECT_EQ(info.size_max + info.seg_max, 0u);
    EXPECT_EQ(info.block_size, 512u);
    EXPECT_EQ(info.max_segments, 14u);
    EXPECT_EQ(info.max_transfer, 0x100000u);
    EXPECT_EQ(info.read_only + info.flush + info.write_cache, 0u);
    machine.Remove();
}

// Blocks that have grown beyond the buffer through which they may have to go.
TEST(BlkConfig, BlocksThatGrow) {
    Options options;
    options.seg_max = 1;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    for (std::uint32_t size : {0x20000, 0x20000, 512}) {
        machine.framework.PowerDown();
        memcpy(&machine.pci.config[20], &size, 4);
        ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
        Data data(machine.memory, size, std::uint8_t(size >> 8), false);
        Request *request = machine.Write(0, data, 3);
        machine.Run();
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(request->status, STATUS_SUCCESS);
        EXPECT_EQ(machine.disk[size - 1], std::uint8_t(size >> 8));
        EXPECT_EQ(machine.seen.back().bytes, size);
    }
    EXPECT_EQ(machine.Stats().bounced, 3u);
    machine.Remove();
}

// One that was kept while the blocks grew goes out as it is: the device knows what to say.
TEST(BlkConfig, BlocksThatGrowBeneathARequest) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, 512, 0x19);
    Request *request = machine.Write(9, data);
    machine.framework.PowerDown();
    const std::uint32_t size = 4096;
    memcpy(&machine.pci.config[20], &size, 4);
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Run();
    EXPECT_TRUE(request->completed);
    ASSERT_EQ(machine.seen.size(), 1u);
    EXPECT_EQ(machine.seen[0].bytes, 512u);
    EXPECT_EQ(machine.seen[0].segments, 1u);
    EXPECT_EQ(machine.Stats().bounced, 0u);
    machine.Remove();
}

unsigned LiveBuffers(Machine &machine, std::size_t *largest) {
    unsigned count = 0;
    for (const auto &object : machine.framework.objects) {
        const auto *buffer = dynamic_cast<const Buffer *>(object.get());
        count += buffer != nullptr && buffer->alive;
        *largest = std::max(*largest, buffer != nullptr ? buffer->length : 0);
    }
    return count;
}

// Memory: indirect tables for the longest chain, 128 of them; a start that finds everything
// as it was makes nothing anew.
TEST(BlkConfig, MemoryIsKept) {
    Options options;
    options.queue_size = 256;
    options.block_size = 0x10000;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    std::size_t largest = 0;
    EXPECT_EQ(LiveBuffers(machine, &largest), 4u) << "ring, tables, headers, bounce buffer";
    EXPECT_EQ(largest, 128u * 130 * 16);
    const std::size_t objects = machine.framework.objects.size();
    const auto pool = machine.kernel.pool;
    machine.framework.PowerDown();
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    EXPECT_EQ(machine.framework.objects.size(), objects);
    EXPECT_EQ(machine.kernel.pool, pool);
    machine.Remove();
}

// 128 segments, header and status.
TEST(BlkConfig, TheLongestChainIsIndirect) {
    Options options;
    options.queue_size = 256;
    options.features &= ~kSegMax;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, 128 * 4096);
    Request *request = machine.Write(0, data);
    machine.Run();
    EXPECT_EQ(request->status, STATUS_SUCCESS);
    ASSERT_EQ(machine.seen.size(), 1u);
    EXPECT_EQ(machine.seen[0].segments, 128u);
    EXPECT_TRUE(machine.seen[0].indirect);
    EXPECT_EQ(machine.Stats().indirect, 1u);
    machine.Remove();
}

// The resources are taken away and given again, as when the bus is rearranged.
TEST(BlkConfig, ResourcesGoAndComeBack) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, 512, 7);
    for (int i = 0; i < 2; i++) {
        machine.framework.PowerDown();
        machine.framework.callbacks.EvtDeviceReleaseHardware(
            reinterpret_cast<WDFDEVICE>(machine.framework.device), nullptr);
        EXPECT_TRUE(machine.kernel.mappings.empty());
        EXPECT_EQ(machine.framework.bus_references, 0);
        EXPECT_EQ(machine.kernel.pool.size(), 1u) << "what the type made with the device";
        EXPECT_EQ(machine.Info().queue_count, 0u);
        ASSERT_EQ(machine.framework.PrepareHardware(), STATUS_SUCCESS);
        ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
        Request *request = machine.Write(i, data);
        machine.Run();
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(request->status, STATUS_SUCCESS);
    }
    EXPECT_EQ(machine.disk[512], 7);
    machine.Remove();
}

} // namespace
