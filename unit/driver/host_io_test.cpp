// SPDX-License-Identifier: MIT
//
// Requests on the host: every IOCTL, what the device is asked for, what it answers, the
// counters, and the order of it all.
#include "host/machine.h"

using namespace vq7::host;

namespace {

class Io : public testing::TestWithParam<bool> { // modern
  protected:
    Options options() {
        Options options;
        options.modern = GetParam();
        options.legacy = !GetParam();
        return options;
    }
};

INSTANTIATE_TEST_SUITE_P(Interfaces, Io, testing::Bool(), [](const auto &info) {
    return std::string(info.param ? "Modern" : "Legacy");
});

void Fill(Data &data, unsigned seed) {
    for (std::size_t i = 0; i < data.size(); i++) {
        data[i] = std::uint8_t(seed + i * 7 + i / 512);
    }
}

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

// ------------------------------------------------------------ IOCTLs as they come

TEST(Ioctl, TransfersThatAreRefused) {
    Options options;
    options.memory = 16 << 20;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    struct Case {
        std::uint64_t sector;
        unsigned segments, reserved;
        std::size_t in, out;
        NTSTATUS status;
    };
    const NTSTATUS bad = STATUS_INVALID_PARAMETER;
    for (const Case &c : {
             Case{0, 0, 0, 0, 512, STATUS_BUFFER_TOO_SMALL},
             Case{0, 0, 0, 15, 512, STATUS_BUFFER_TOO_SMALL},
             Case{0, 0, 0, 16, 0, bad},
             Case{0, 0, 0, 16, 511, bad},
             Case{0, 0, 0, 16, 513, bad},
             Case{0, 0, 1, 16, 512, bad},
             Case{0, 4097, 0, 16, 0x80000, bad},
             Case{0, 513, 0, 16, 512, bad},
             Case{~0ull, 0, 0, 16, 512, bad},
             Case{~0ull - 1, 0, 0, 16, 1024, bad},
             Case{~0ull - 1, 0, 0, 16, 512, STATUS_IO_DEVICE_ERROR},
             Case{0, 0, 0, 16, 512, STATUS_SUCCESS},
             Case{0, 4096, 0, 16, 0x40000, STATUS_SUCCESS},
             Case{0, 0, 0, 24, 512, STATUS_SUCCESS},
         }) {
        std::uint64_t in[3] = {c.sector, std::uint64_t(c.reserved) << 32 | c.segments, 0};
        Data data(machine.memory, c.out == 0 ? 512 : c.out);
        Request *request = machine.framework.Send(IOCTL_VQ7_BLK_READ, in, c.in, c.out, data.mdl());
        machine.Run();
        SCOPED_TRACE(testing::Message()
                     << std::hex << c.sector << " " << c.segments << " " << c.in << " " << c.out);
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(request->status, c.status);
        EXPECT_EQ(request->information, NT_SUCCESS(c.status) ? c.out : 0u);
    }
    machine.Remove();
}

TEST(Ioctl, UnknownCodes) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    const ULONG known[] = {IOCTL_VQ7_GET_DEVICE_INFO, IOCTL_VQ7_GET_STATS, IOCTL_VQ7_CLEAR_STATS,
                           IOCTL_VQ7_BLK_GET_INFO,    IOCTL_VQ7_BLK_READ,  IOCTL_VQ7_BLK_WRITE,
                           IOCTL_VQ7_BLK_FLUSH,       IOCTL_VQ7_BLK_GET_ID};
    EXPECT_EQ(IOCTL_VQ7_GET_DEVICE_INFO, 0x80076000u);
    EXPECT_EQ(IOCTL_VQ7_BLK_READ, 0x80076046u);
    for (ULONG function = 0; function < 32; function++) {
        for (ULONG low = 0; low < 4; low++) {
            for (ULONG access : {1, 2, 3}) {
                const ULONG code = CTL_CODE(0x8007u, 0x800 + function, low, access);
                if (std::find(std::begin(known), std::end(known), code) != std::end(known)) {
                    continue;
                }
                std::uint64_t in[2] = {};
                Request *request = machine.framework.Send(code, in, sizeof(in), 64);
                EXPECT_TRUE(request->completed) << std::hex << code;
                EXPECT_EQ(request->status, STATUS_INVALID_DEVICE_REQUEST) << std::hex << code;
            }
        }
    }
    EXPECT_TRUE(machine.seen.empty());
    machine.Remove();
}

TEST(Ioctl, OutputThatIsTooShort) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    struct Case {
        ULONG code;
        std::size_t size;
    };
    for (const Case &c : {Case{IOCTL_VQ7_GET_DEVICE_INFO, sizeof(VQ7_DEVICE_INFO)},
                          Case{IOCTL_VQ7_GET_STATS, sizeof(VQ7_STATS)},
                          Case{IOCTL_VQ7_BLK_GET_INFO, sizeof(VQ7_BLK_INFO)},
                          Case{IOCTL_VQ7_BLK_GET_ID, sizeof(VQ7_BLK_ID)}}) {
        for (std::size_t length : {std::size_t(0), c.size - 1, c.size, c.size + 8}) {
            Request *request = machine.framework.Send(c.code, nullptr, 0, length);
            machine.Run();
            EXPECT_TRUE(request->completed);
            EXPECT_EQ(request->status, length < c.size ? STATUS_BUFFER_TOO_SMALL : STATUS_SUCCESS);
            EXPECT_EQ(request->information, length < c.size ? 0 : c.size);
            // Neither a refused caller's buffer is written, nor what is behind the end.
            const std::size_t from = length < c.size ? 0 : c.size / 8;
            for (std::size_t i = from; i < request->buffer.size(); i++) {
                EXPECT_EQ(request->buffer[i], 0xA5A5A5A5A5A5A5A5);
            }
        }
    }
    machine.Remove();
}

TEST(Ioctl, FailuresOfTheFramework) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, 512);
    machine.kernel.fail_at = 0;
    Request *request = machine.Read(0, data); // no MDL
    EXPECT_TRUE(request->completed);
    EXPECT_EQ(request->status, STATUS_INSUFFICIENT_RESOURCES);
    machine.kernel.fail_at = 1;
    request = machine.Read(0, data); // it can't be queued
    EXPECT_EQ(machine.kernel.failed, "WdfRequestForwardToIoQueue");
    EXPECT_TRUE(request->completed);
    EXPECT_EQ(request->status, STATUS_DEVICE_NOT_READY);
    machine.Remove();
}

// --------------------------------------------------------------- more than one part

TEST_P(Io, LongTransfersAreCut) {
    Machine machine(options());
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    // 14 segments a request: pages that are apart.
    Data out(machine.memory, 40 * 4096 + 512), in(machine.memory, 40 * 4096 + 512);
    Fill(out, 9);
    Request *write = machine.Write(11, out);
    machine.Run();
    EXPECT_TRUE(write->completed);
    EXPECT_EQ(write->information, out.size());
    ASSERT_EQ(machine.seen.size(), 3u);
    EXPECT_EQ(machine.seen[0].sector, 11u);
    EXPECT_EQ(machine.seen[0].bytes, 14u * 4096);
    EXPECT_EQ(machine.seen[0].segments, 14u);
    EXPECT_EQ(machine.seen[1].sector, 11u + 14 * 8);
    EXPECT_EQ(machine.seen[2].sector, 11u + 28 * 8);
    EXPECT_EQ(machine.seen[2].bytes, 12u * 4096 + 512);
    Request *read = machine.Read(11, in, 100);
    machine.Run();
    EXPECT_TRUE(read->completed);
    EXPECT_EQ(read->status, STATUS_SUCCESS);
    for (std::size_t i = 0; i < in.size(); i++) {
        ASSERT_EQ(in[i], out[i]) << i;
    }
    EXPECT_GE(machine.seen.size(), 3u + 100 / 14);
    EXPECT_GT(machine.Stats().indirect, 0u);
    machine.Remove();
}

// The first error is the request's, whichever part it is of; no further part is sent.
TEST_P(Io, AnErrorInAnyPart) {
    for (unsigned part = 0; part < 3; part++) {
        for (std::uint8_t code : {1, 2, 3}) {
            Machine machine(options());
            ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
            unsigned count = 0;
            machine.answer = [&](const Seen &, std::uint8_t &status, std::uint32_t &length) {
                if (count++ == part) {
                    status = code;
                    length = 1;
                }
            };
            Data data(machine.memory, 40 * 4096);
            Request *request = machine.Read(0, data);
            machine.Run();
            EXPECT_TRUE(request->completed);
            const NTSTATUS statuses[] = {STATUS_IO_DEVICE_ERROR, STATUS_NOT_SUPPORTED,
                                         STATUS_DEVICE_PROTOCOL_ERROR};
            const NTSTATUS want = statuses[code - 1];
            EXPECT_EQ(request->status, want);
            EXPECT_EQ(request->information, 0u);
            EXPECT_EQ(machine.Stats().errors, 1u);
            // And the next one is none the worse.
            Request *next = machine.Read(0, data);
            machine.Run();
            EXPECT_TRUE(next->completed);
            EXPECT_EQ(next->status, STATUS_SUCCESS);
            machine.Remove();
        }
    }
}

TEST_P(Io, TwoErrorsTheFirstCounts) {
    Machine machine(options());
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    std::uint8_t next = 1;
    machine.answer = [&](const Seen &, std::uint8_t &status, std::uint32_t &length) {
        status = next++;
        length = 1;
    };
    Data data(machine.memory, 20 * 4096);
    Request *request = machine.Read(0, data);
    machine.Run();
    EXPECT_EQ(request->status, STATUS_IO_DEVICE_ERROR);
    machine.Remove();
}

// A transfer that the ring can't hold at once: an error in its first part ends it there.
TEST(Parts, AnErrorWhileTheRestWaits) {
    Options options;
    options.features = 0;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    machine.answer = [&](const Seen &, std::uint8_t &status, std::uint32_t &length) {
        status = 1;
        length = 1;
    };
    Data data(machine.memory, 60 * 4096);
    Request *request = machine.Read(0, data);
    machine.Run();
    EXPECT_TRUE(request->completed);
    EXPECT_EQ(request->status, STATUS_IO_DEVICE_ERROR);
    EXPECT_EQ(machine.seen.size(), 1u) << "the rest is not sent";
    EXPECT_EQ(machine.Stats().ring_full, 1u);
    machine.answer = nullptr;
    Request *next = machine.Read(0, data);
    machine.Run();
    EXPECT_TRUE(next->completed);
    EXPECT_EQ(next->status, STATUS_SUCCESS);
    EXPECT_EQ(machine.Stats().ring_full, 2u) << "counted once a request";
    machine.Remove();
}

// ------------------------------------------------------------------------- order

TEST_P(Io, ManyRequestsStayInOrder) {
    for (std::uint16_t size : {4, 16, 64}) {
        Options changed = options();
        changed.queue_size = size;
        Machine machine(changed);
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
        Data data(machine.memory, 512);
        std::vector<Request *> requests;
        for (unsigned i = 0; i < 200; i++) {
            requests.push_back(machine.Write(i, data));
        }
        const VQ7_STATS before = [&] {
            Request *raw =
                machine.framework.Send(IOCTL_VQ7_GET_STATS, nullptr, 0, sizeof(VQ7_STATS));
            VQ7_STATS stats;
            memcpy(&stats, raw->buffer.data(), sizeof(stats));
            return stats;
        }();
        EXPECT_GE(before.in_flight, size / 3u);
        EXPECT_LE(before.in_flight, unsigned(size));
        EXPECT_EQ(before.max_in_flight, before.in_flight);
        EXPECT_GE(before.ring_full, 1u);
        machine.Run();
        for (Request *request : requests) {
            EXPECT_TRUE(request->completed);
            EXPECT_EQ(request->status, STATUS_SUCCESS);
        }
        ASSERT_EQ(machine.seen.size(), 200u);
        for (unsigned i = 0; i < 200; i++) {
            EXPECT_EQ(machine.seen[i].sector, i);
        }
        machine.Remove();
    }
}

TEST(Order, OneThatWaitsIsCancelled) {
    Options options;
    options.queue_size = 4;
    options.features = 0;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, 512);
    std::vector<Request *> requests;
    for (unsigned i = 0; i < 6; i++) {
        requests.push_back(machine.Write(i, data));
    }
    machine.framework.Cancel(requests[4]);
    EXPECT_EQ(requests[4]->status, STATUS_CANCELLED);
    machine.Run();
    EXPECT_EQ(machine.seen.size(), 5u);
    machine.Remove();
}

// Another thread's request comes while this one has just found the queue empty: whoever
// pumps looks again, so that nobody waits for an interrupt that does not come.
TEST(Order, TwoAtOnce) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, 512);
    Request *other = nullptr;
    Request *first = machine.Write(0, data);
    machine.framework.in_retrieve = [&] { // the pump of Run's DPC looks for more
        machine.framework.in_retrieve = [&] { other = machine.Write(2, data); };
    };
    Request *second = machine.Write(1, data);
    machine.Run();
    ASSERT_NE(other, nullptr);
    for (Request *request : {first, second, other}) {
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(request->status, STATUS_SUCCESS);
    }
    ASSERT_EQ(machine.seen.size(), 3u);
    machine.Remove();
}

TEST(Order, EmptyQueueThenAnother) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, 512);
    Request *other = nullptr;
    machine.Write(0, data);
    ASSERT_TRUE(machine.Serve());
    // Between the DPC's last look and its end.
    machine.framework.in_retrieve = [&] { other = machine.Write(2, data); };
    machine.Interrupt();
    ASSERT_NE(other, nullptr);
    EXPECT_TRUE(machine.ring->Pop().has_value()) << "it was not sent";
    machine.framework.while_waiting = nullptr;
    machine.framework.SurpriseRemove();
    EXPECT_TRUE(other->completed);
    machine.Remove();
}

} // namespace
