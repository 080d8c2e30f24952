// SPDX-License-Identifier: MIT
//
// Requests on the host that are cut into parts, and many at once: errors of parts, order, who
// waits for whom.
#include "host/interfaces.h"

using namespace vq7::host;

namespace {

class Parts : public Interfaces {};

INSTANTIATE_TEST_SUITE_P(Interfaces, Parts, testing::Bool(), Interfaces::Name);

TEST_P(Parts, LongTransfersAreCut) {
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

// Also where a part begins 256 KiB into the transfer.
TEST_P(Parts, AreWhereTheyBelong) {
    Options large = options();
    large.queue_size = 128;
    large.seg_max = 64;
    Machine machine(large);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, 100 * 4096);
    Request *write = machine.Write(7, data);
    machine.Run();
    EXPECT_EQ(write->information, data.size());
    ASSERT_EQ(machine.seen.size(), 2u);
    EXPECT_EQ(machine.seen[0].sector, 7u);
    EXPECT_EQ(machine.seen[1].sector, 7u + 64 * 8);
    machine.Remove();
}

// The first error is the request's, whichever part it is of; no further part is sent.
TEST_P(Parts, AnErrorInAnyPart) {
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

TEST_P(Parts, TwoErrorsTheFirstCounts) {
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
TEST(PartsInARing, AnErrorWhileTheRestWaits) {
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

TEST_P(Parts, ManyRequestsStayInOrder) {
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

// A long chain takes one descriptor with indirect ones: as many requests as the ring has.
TEST_P(Parts, AsManyAsTheRingHas) {
    Options changed = options();
    changed.features |= kIndirect;
    Machine machine(changed);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, 8 * 4096);
    std::vector<Request *> requests;
    for (unsigned i = 0; i < 40; i++) {
        requests.push_back(machine.Write(i, data));
    }
    machine.Serve();
    EXPECT_EQ(machine.seen.size(), 16u);
    machine.Interrupt();
    machine.Run();
    for (Request *request : requests) {
        EXPECT_TRUE(request->completed);
    }
    EXPECT_EQ(machine.Stats().max_in_flight, 16u);
    machine.Remove();
}

// Each of the ring's two features without the other.
TEST_P(Parts, RingFeaturesOneByOne) {
    for (std::uint64_t feature : {std::uint64_t(0), std::uint64_t(kIndirect),
                                  std::uint64_t(kEventIdx), std::uint64_t(kIndirect | kEventIdx)}) {
        Options changed = options();
        changed.features &= ~(kIndirect | kEventIdx);
        changed.features |= feature;
        Machine machine(changed);
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
        SCOPED_TRACE(feature);
        Data data(machine.memory, 8 * 4096);
        for (unsigned i = 0; i < 50; i++) { // round the ring more than once
            Request *request = machine.Write(i, data);
            machine.Run();
            ASSERT_TRUE(request->completed) << i;
        }
        // With EVENT_IDX the driver says in the ring what it has seen (2.7.7.1).
        const model::Queue &queue = machine.pci.queues[0];
        const std::uint64_t avail =
            machine.legacy() ? queue.pfn * std::uint64_t(4096) + 16 * 16 : queue.driver;
        EXPECT_EQ(machine.memory.Load16(avail + 4 + 2 * 16), feature & kEventIdx ? 50 : 0);
        EXPECT_EQ(machine.Stats().indirect != 0, (feature & kIndirect) != 0);
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

// Another thread's request comes while the DPC's pump asks for one, or has just been told
// that there is none: whoever pumps looks again, since no interrupt will come for it.
TEST(Order, AnotherThreadsRequest) {
    using Hook = std::function<void()> Framework::*;
    for (Hook moment : {&Framework::in_retrieve, &Framework::in_no_more}) {
        Machine machine;
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
        Data data(machine.memory, 512);
        Request *other = nullptr;
        Request *first = machine.Write(0, data);
        ASSERT_TRUE(machine.Serve());
        machine.framework.*moment = [&] { other = machine.Write(2, data); };
        machine.Interrupt();
        EXPECT_TRUE(first->completed);
        ASSERT_NE(other, nullptr);
        EXPECT_EQ(machine.Stats().in_flight, 1u) << "it was not sent";
        machine.Run();
        EXPECT_TRUE(other->completed);
        EXPECT_EQ(other->status, STATUS_SUCCESS);
        ASSERT_EQ(machine.seen.size(), 2u);
        machine.Remove();
    }
}

} // namespace
