// SPDX-License-Identifier: MIT
//
// Requests on the host: what the device is asked for, what it answers, what is counted, and
// what the driver says of the disk.
#include "host/interfaces.h"

using namespace vq7::host;

namespace {

class Io : public Interfaces {};

INSTANTIATE_TEST_SUITE_P(Interfaces, Io, testing::Bool(), Interfaces::Name);

TEST_P(Io, WhatWasWrittenIsRead) {
    Machine machine(options());
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data out(machine.memory, 5 * 512), in(machine.memory, 5 * 512);
    Fill(out, 3);
    Request *write = machine.Write(7, out);
    machine.Run();
    Request *read = machine.Read(7, in);
    machine.Run();
    for (Request *request : {write, read}) {
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(request->status, STATUS_SUCCESS);
        EXPECT_EQ(request->information, 5u * 512);
    }
    for (std::size_t i = 0; i < in.size(); i++) {
        ASSERT_EQ(in[i], out[i]) << i;
        ASSERT_EQ(machine.disk[7 * 512 + i], out[i]) << i;
    }
    ASSERT_EQ(machine.seen.size(), 2u);
    EXPECT_EQ(machine.seen[0].type, 1u);
    EXPECT_EQ(machine.seen[1].type, 0u);
    EXPECT_EQ(machine.seen[1].sector, 7u);
    EXPECT_EQ(machine.seen[1].bytes, 5u * 512);
    EXPECT_EQ(machine.seen[1].segments, 1u);
    machine.Remove();
}

TEST_P(Io, FlushAndId) {
    Machine machine(options());
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Request *flush = machine.framework.Send(IOCTL_VQ7_BLK_FLUSH, nullptr, 0, 0);
    machine.Run();
    EXPECT_TRUE(flush->completed);
    EXPECT_EQ(flush->status, STATUS_SUCCESS);
    EXPECT_EQ(flush->information, 0u);
    EXPECT_EQ(machine.seen[0].type, 4u);
    EXPECT_EQ(machine.seen[0].sector, 0u) << "reserved (5.2.6.1)";
    EXPECT_EQ(machine.seen[0].segments, 0u);
    VQ7_BLK_ID id = machine.Get<VQ7_BLK_ID>(IOCTL_VQ7_BLK_GET_ID);
    EXPECT_EQ(std::string(id.id, 24), std::string("VQ7-DISK-HOST-12345\0\0\0\0\0", 24));
    EXPECT_EQ(machine.seen[1].type, 8u);
    EXPECT_EQ(machine.seen[1].sector, 0u);
    EXPECT_EQ(machine.seen[1].bytes, 20u);
    machine.Remove();
}

TEST_P(Io, CountersCountWhatHappens) {
    Machine machine(options());
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data four(machine.memory, 4096), one(machine.memory, 512);
    machine.Write(0, four);
    machine.Run();
    machine.Read(0, one);
    machine.Read(Machine::kSectors, one);
    machine.framework.Send(IOCTL_VQ7_BLK_FLUSH, nullptr, 0, 0);
    EXPECT_EQ(machine.Stats().in_flight, 3u) << "the device has not looked yet";
    VQ7_STATS stats = machine.Stats();
    EXPECT_EQ(stats.size, sizeof(stats));
    EXPECT_EQ(stats.submitted, 4u);
    EXPECT_EQ(stats.completed, 4u);
    EXPECT_EQ(stats.errors, 1u);
    EXPECT_EQ(stats.bytes_read, 512u);
    EXPECT_EQ(stats.bytes_written, 4096u);
    EXPECT_EQ(stats.max_in_flight, 3u);
    EXPECT_EQ(stats.notifications + stats.suppressed, 4u);
    EXPECT_GE(stats.notifications, 2u);
    EXPECT_EQ(stats.interrupts, 2u);
    EXPECT_EQ(stats.dpcs, 2u);
    EXPECT_EQ(stats.interrupts_not_ours, 0u);
    EXPECT_EQ(stats.config_changes, 0u);
    EXPECT_EQ(stats.ring_full, 0u);
    EXPECT_EQ(stats.indirect, 0u);
    EXPECT_EQ(stats.notifications, machine.pci.notifies.size());
    Request *clear = machine.framework.Send(IOCTL_VQ7_CLEAR_STATS, nullptr, 0, 0);
    EXPECT_TRUE(clear->completed);
    EXPECT_EQ(clear->status, STATUS_SUCCESS);
    machine.Write(0, one);
    Request *raw = machine.framework.Send(IOCTL_VQ7_GET_STATS, nullptr, 0, sizeof(stats));
    memcpy(&stats, raw->buffer.data(), sizeof(stats));
    EXPECT_EQ(stats.in_flight, 1u);
    EXPECT_EQ(stats.submitted, 1u);
    EXPECT_EQ(stats.completed + stats.errors + stats.bytes_read + stats.bytes_written, 0u);
    EXPECT_EQ(stats.notifications + stats.suppressed, 1u);
    EXPECT_EQ(stats.interrupts + stats.dpcs + stats.config_changes, 0u);
    machine.Run();
    stats = machine.Stats();
    EXPECT_EQ(stats.in_flight, 0u);
    EXPECT_EQ(stats.completed, 1u);
    EXPECT_EQ(stats.bytes_written, 512u);
    EXPECT_EQ(stats.max_in_flight, 1u);
    EXPECT_EQ(stats.interrupts, 1u);
    EXPECT_EQ(stats.dpcs, 1u);
    machine.Remove();
}

TEST_P(Io, DiskFacts) {
    Options changed = options();
    changed.block_size = 4096;
    changed.seg_max = 9;
    changed.size_max = 0x2000;
    changed.features |= kSizeMax | kReadOnly;
    Machine machine(changed);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    VQ7_BLK_INFO info = machine.Get<VQ7_BLK_INFO>(IOCTL_VQ7_BLK_GET_INFO);
    EXPECT_EQ(info.size, sizeof(info));
    EXPECT_EQ(info.capacity, Machine::kSectors);
    EXPECT_EQ(info.block_size, 4096u);
    EXPECT_EQ(info.seg_max, 9u);
    EXPECT_EQ(info.size_max, 0x2000u);
    EXPECT_EQ(info.max_segments, 9u);
    EXPECT_EQ(info.max_transfer, 9u * 0x2000);
    EXPECT_EQ(info.read_only, 1u);
    EXPECT_EQ(info.flush, 1u);
    EXPECT_EQ(info.write_cache, 1u);
    Data one(machine.memory, 4096);
    Request *refused = machine.Write(0, one);
    EXPECT_TRUE(refused->completed);
    EXPECT_EQ(refused->status, STATUS_MEDIA_WRITE_PROTECTED);
    EXPECT_EQ(machine.Read(0, one)->completed, false);
    machine.Run();
    machine.Remove();
}

// What the device doesn't offer is not read from its configuration.
TEST_P(Io, DiskWithoutFeatures) {
    Options changed = options();
    changed.features = 0;
    changed.block_size = 3;
    changed.size_max = 1;
    Machine machine(changed);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    VQ7_BLK_INFO info = machine.Get<VQ7_BLK_INFO>(IOCTL_VQ7_BLK_GET_INFO);
    EXPECT_EQ(info.block_size, 512u);
    EXPECT_EQ(info.seg_max, 0u);
    EXPECT_EQ(info.size_max, 0u);
    EXPECT_EQ(info.max_segments, 14u) << "a ring of 16, less header and status";
    EXPECT_EQ(info.max_transfer, 0x100000u);
    EXPECT_EQ(info.read_only + info.flush + info.write_cache, 0u);
    Request *flush = machine.framework.Send(IOCTL_VQ7_BLK_FLUSH, nullptr, 0, 0);
    EXPECT_TRUE(flush->completed);
    EXPECT_EQ(flush->status, STATUS_NOT_SUPPORTED);
    machine.Remove();
}

TEST_P(Io, WriteCache) {
    for (bool can_flush : {false, true}) {
        for (bool can_tell : {false, true}) {
            for (std::uint8_t writeback : {0, 1, 2}) {
                Options changed = options();
                changed.features = (can_flush ? kFlush : 0) | (can_tell ? kConfigWce : 0);
                changed.writeback = writeback;
                Machine machine(changed);
                ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
                // 5.2.5: without CONFIG_WCE one that can flush is taken to be writeback.
                EXPECT_EQ(machine.Get<VQ7_BLK_INFO>(IOCTL_VQ7_BLK_GET_INFO).write_cache,
                          unsigned(can_tell ? writeback != 0 : can_flush));
                machine.Remove();
            }
        }
    }
}

TEST_P(Io, BlockSizes) {
    for (unsigned size : {0u, 1u, 256u, 511u, 512u, 513u, 768u, 4096u, 65536u, 131072u}) {
        Options changed = options();
        changed.block_size = size;
        Machine machine(changed);
        NTSTATUS status = machine.Start();
        SCOPED_TRACE(size);
        const bool good = size >= 512 && (size & (size - 1)) == 0;
        EXPECT_EQ(status, good ? STATUS_SUCCESS : STATUS_DEVICE_CONFIGURATION_ERROR);
        EXPECT_NE(machine.kernel.Logged("block size"), good);
        EXPECT_NE(machine.kernel.Logged("bad block device configuration"), good);
        machine.Remove();
    }
}

} // namespace
