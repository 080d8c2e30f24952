// SPDX-License-Identifier: MIT
//
// Devices that are unusual and legal, on the host: small limits, odd used lengths,
// addresses of an IOMMU, a modern interface that doesn't work.
#include "host/machine.h"

#include "blk.h"

using namespace vq7::host;

namespace {

constexpr std::uint64_t kAccessPlatform = std::uint64_t(1) << 33;

struct Limits {
    std::uint32_t seg_max, size_max, block_size;
};

class Bounce : public testing::TestWithParam<Limits> {
  protected:
    Options options() {
        Options options;
        options.features |= kSizeMax;
        options.seg_max = GetParam().seg_max;
        options.size_max = GetParam().size_max;
        options.block_size = GetParam().block_size;
        options.memory = 8 << 20;
        return options;
    }
};

INSTANTIATE_TEST_SUITE_P(Limits, Bounce,
                         testing::Values(Limits{1, 0, 512}, Limits{2, 0, 512},
                                         Limits{1, 4096, 4096}, Limits{4, 200, 512},
                                         Limits{2, 0, 16384}, Limits{8, 8192, 65536}));

// Pieces that end in the middle of sectors: no block of them fits into a request.
TEST_P(Bounce, WhatDoesNotFitIsCopied) {
    Machine machine(options());
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    const unsigned block = GetParam().block_size;
    Data out(machine.memory, 3 * block, 0, false), in(machine.memory, 3 * block, 0, false);
    for (std::size_t i = 0; i < out.size(); i++) {
        out[i] = std::uint8_t(i * 13 + i / 512);
    }
    const unsigned pieces = std::min<unsigned>(3 * block / 60, 4096);
    Request *write = machine.Write(block / 512, out, pieces);
    machine.Run();
    EXPECT_TRUE(write->completed);
    EXPECT_EQ(write->status, STATUS_SUCCESS);
    EXPECT_EQ(write->information, out.size());
    for (std::size_t i = 0; i < out.size(); i++) {
        ASSERT_EQ(machine.disk[block + i], out[i]) << i;
    }
    Request *first = machine.Read(block / 512, in, pieces);
    Request *second = machine.Read(0, out, pieces); // one at a time has the buffer
    machine.Run();
    EXPECT_TRUE(first->completed && second->completed);
    EXPECT_EQ(first->status, STATUS_SUCCESS);
    EXPECT_EQ(second->status, STATUS_SUCCESS);
    for (std::size_t i = 0; i < in.size(); i++) {
        ASSERT_EQ(in[i], machine.disk[block + i]) << i;
        ASSERT_EQ(out[i], machine.disk[i]) << i;
    }
    EXPECT_GE(machine.Stats().bounced, 3u);
    for (const Seen &seen : machine.seen) {
        EXPECT_LE(seen.segments, GetParam().seg_max);
        EXPECT_GT(seen.bytes, 0u);
        EXPECT_EQ(seen.bytes % block, 0u);
        EXPECT_EQ(seen.sector * 512 % block, 0u);
    }
    EXPECT_EQ(machine.Stats().odd_lengths, 0u);
    machine.Remove();
}

// One request has the buffer, the other waits for it: the device never has both.
TEST_P(Bounce, OneAtATime) {
    Machine machine(options());
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    const unsigned block = GetParam().block_size;
    Data first(machine.memory, block, 0, false), second(machine.memory, block, 0, false);
    const unsigned pieces = std::min<unsigned>(block / 60, 4096);
    Request *one = machine.Read(0, first, pieces), *two = machine.Read(0, second, pieces);
    EXPECT_EQ(machine.Stats().in_flight, 1u);
    machine.Run();
    EXPECT_TRUE(one->completed && two->completed);
    EXPECT_EQ(machine.seen.size(), 2u);
    EXPECT_EQ(machine.Stats().ring_full, 0u) << "which is another reason to wait";
    machine.Remove();
}

// A device that says OK and writes nothing shows a caller nothing of another's data.
TEST_P(Bounce, AReadWithoutDataIsOfZeros) {
    Machine machine(options());
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    const unsigned block = GetParam().block_size;
    Data secret(machine.memory, block, 0x5E, false), in(machine.memory, block, 0x11, false);
    const unsigned pieces = std::min<unsigned>(block / 60, 4096);
    machine.Write(0, secret, pieces);
    machine.Run();
    machine.moves_data = false;
    Request *read = machine.Read(block / 512, in, pieces);
    machine.Run();
    EXPECT_TRUE(read->completed);
    EXPECT_EQ(read->status, STATUS_SUCCESS) << "the status byte decides";
    EXPECT_EQ(machine.Stats().bounced, 2u);
    for (std::size_t i = 0; i < in.size(); i++) {
        ASSERT_EQ(in[i], 0) << i;
    }
    machine.Remove();
}

TEST(NoData, AnIdWithoutDataIsEmpty) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    EXPECT_NE(machine.Get<VQ7_BLK_ID>(IOCTL_VQ7_BLK_GET_ID).id[0], 0);
    machine.moves_data = false;
    EXPECT_EQ(std::string(machine.Get<VQ7_BLK_ID>(IOCTL_VQ7_BLK_GET_ID).id, 24),
              std::string(24, '\0'));
    machine.Remove();
}

TEST_P(Bounce, NotWhereItFits) {
    Machine machine(options());
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, GetParam().block_size, 0x11, false);
    Request *request = machine.Write(0, data);
    machine.Run();
    EXPECT_EQ(request->status, STATUS_SUCCESS);
    EXPECT_EQ(machine.disk[GetParam().block_size - 1], 0x11);
    if (GetParam().size_max == 0 || GetParam().size_max >= GetParam().block_size) {
        EXPECT_EQ(machine.Stats().bounced, 0u);
    }
    machine.Remove();
}

TEST_P(Bounce, ItIsKeptOverAPowerDown) {
    Machine machine(options());
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data out(machine.memory, 2 * GetParam().block_size, 0x77, false);
    const unsigned pieces = unsigned(out.size() / 60);
    Request *first = machine.Write(0, out, std::min(pieces, 4096u));
    Request *second = machine.Write(GetParam().block_size / 512 * 4, out, std::min(pieces, 4096u));
    machine.framework.PowerDown();
    ASSERT_EQ(machine.PowerUp(), STATUS_SUCCESS);
    machine.Run();
    EXPECT_TRUE(first->completed && second->completed);
    EXPECT_EQ(first->status, STATUS_SUCCESS);
    EXPECT_EQ(second->status, STATUS_SUCCESS);
    EXPECT_EQ(machine.disk[out.size() - 1], 0x77);
    EXPECT_EQ(machine.disk[GetParam().block_size * 4 + out.size() - 1], 0x77);
    machine.Remove();
}

// From the middle of one MDL into the next, and back.
TEST(BounceMemory, IsOfSeveralMdls) {
    Machine machine;
    Data first(machine.memory, 512, 0, false), second(machine.memory, 700, 0, false);
    first.mdl()->Next = second.mdl();
    std::vector<std::uint8_t> buffer(800);
    for (std::size_t i = 0; i < buffer.size(); i++) {
        buffer[i] = std::uint8_t(1 + i % 251);
    }
    EXPECT_EQ(BlkCopyMdl(first.mdl(), 100, buffer.data(), 800, TRUE), STATUS_SUCCESS);
    EXPECT_EQ(first[99], 0);
    EXPECT_EQ(first[100], 1);
    EXPECT_EQ(first[511], buffer[411]);
    EXPECT_EQ(second[0], buffer[412]);
    EXPECT_EQ(second[387], buffer[799]);
    EXPECT_EQ(second[388], 0);
    std::vector<std::uint8_t> back(800);
    EXPECT_EQ(BlkCopyMdl(first.mdl(), 100, back.data(), 800, FALSE), STATUS_SUCCESS);
    EXPECT_EQ(back, buffer);
    EXPECT_EQ(BlkCopyMdl(first.mdl(), 600, back.data(), 4, FALSE), STATUS_SUCCESS);
    EXPECT_EQ(back[0], second[88]) << "it begins in the second";
    EXPECT_EQ(BlkCopyMdl(first.mdl(), 1200, back.data(), 20, FALSE), STATUS_INVALID_PARAMETER);
}

TEST(BounceMemory, CannotBeMapped) {
    Options options;
    options.seg_max = 1;
    for (ULONG code : {IOCTL_VQ7_BLK_READ, IOCTL_VQ7_BLK_WRITE}) {
        Machine machine(options);
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
        Data apart(machine.memory, 1024); // has no system address
        Request *request = machine.Transfer(code, 0, apart, 3);
        machine.Run();
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(request->status, STATUS_NO_MEMORY);
        EXPECT_TRUE(machine.seen.empty());
        Data data(machine.memory, 1024, 1, false);
        request = machine.Transfer(code, 0, data, 3);
        machine.Run();
        EXPECT_EQ(request->status, STATUS_SUCCESS);
        machine.Remove();
    }
}

TEST(Limits, LeaveNoRoomForABlock) {
    for (std::uint32_t size_max : {1u, 255u, 256u, 511u}) {
        Options options;
        options.features |= kSizeMax;
        options.size_max = size_max;
        options.seg_max = 2;
        Machine machine(options);
        EXPECT_EQ(machine.Start(),
                  size_max >= 256 ? STATUS_SUCCESS : STATUS_DEVICE_CONFIGURATION_ERROR);
        EXPECT_EQ(machine.kernel.Logged("leave no room"), size_max < 256);
        machine.Remove();
    }
}

// The status byte decides; the length is only counted, and said once.
TEST(UsedLength, IsOnlyCounted) {
    for (bool modern : {true, false}) {
        for (std::uint32_t says : {0u, 1u, 2u, 512u, 514u, 0xFFFFFFFFu}) {
            Options options;
            options.modern = modern;
            options.legacy = !modern;
            Machine machine(options);
            ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
            machine.answer = [&](const Seen &, std::uint8_t &, std::uint32_t &length) {
                length = says;
            };
            Data data(machine.memory, 512);
            machine.disk[0] = 0x42;
            for (Request *request : {machine.Read(0, data), machine.Read(0, data)}) {
                machine.Run();
                EXPECT_TRUE(request->completed);
                EXPECT_EQ(request->status, STATUS_SUCCESS) << says;
                EXPECT_EQ(request->information, 512u);
            }
            EXPECT_EQ(data[0], 0x42);
            EXPECT_EQ(machine.Stats().odd_lengths, 2u);
            EXPECT_EQ(machine.Stats().bytes_read, 1024u);
            unsigned lines = 0;
            for (const std::string &line : machine.kernel.log) {
                lines += line.find("status byte decides") != std::string::npos;
            }
            EXPECT_EQ(lines, 1u);
            // A write has one byte to write, an id 21.
            machine.framework.Send(IOCTL_VQ7_CLEAR_STATS, nullptr, 0, 0);
            machine.Write(0, data);
            machine.framework.Send(IOCTL_VQ7_BLK_GET_ID, nullptr, 0, 24);
            machine.Run();
            EXPECT_EQ(machine.Stats().odd_lengths, says == 1 ? 1u : 2u);
            machine.answer = nullptr;
            machine.framework.Send(IOCTL_VQ7_CLEAR_STATS, nullptr, 0, 0);
            machine.Write(0, data);
            machine.Read(0, data);
            machine.framework.Send(IOCTL_VQ7_BLK_GET_ID, nullptr, 0, 24);
            machine.framework.Send(IOCTL_VQ7_BLK_FLUSH, nullptr, 0, 0);
            machine.Run();
            EXPECT_EQ(machine.Stats().odd_lengths, 0u);
            machine.Remove();
        }
    }
}

// A status byte that the device leaves alone is no answer, whatever the length.
TEST(UsedLength, ButNoStatusIsAnError) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    machine.answer = [](const Seen &, std::uint8_t &status, std::uint32_t &) { status = 0xFF; };
    Data data(machine.memory, 512);
    Request *request = machine.Read(0, data);
    machine.Run();
    EXPECT_EQ(request->status, STATUS_DEVICE_PROTOCOL_ERROR);
    EXPECT_EQ(machine.Stats().errors, 1u);
    machine.Remove();
}

TEST(AccessPlatform, WithoutAnIommu) {
    Options options;
    options.features |= kAccessPlatform;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    EXPECT_NE(machine.Info().driver_features & kAccessPlatform, 0u);
    machine.Remove();
}

TEST(AccessPlatform, WithAnIommu) {
    for (bool insists : {true, false}) {
        Options options;
        options.features |= insists ? kAccessPlatform : 0;
        Machine machine(options);
        machine.framework.iommu = true;
        EXPECT_EQ(machine.Start(), insists ? STATUS_NOT_SUPPORTED : STATUS_SUCCESS);
        EXPECT_EQ(machine.kernel.Logged("an IOMMU translates"), insists);
        EXPECT_EQ(machine.pci.status != 0, !insists);
        machine.Remove();
    }
}

TEST(Fallback, FromAModernInterfaceThatDoesNotWork) {
    for (int messages : {0, 2}) {
        for (const char16_t *transport : {u"auto", u"modern"}) {
            Options options;
            options.legacy = true;
            options.messages = messages;
            Machine machine(options);
            machine.framework.transport = transport;
            machine.pci.refuseFeaturesOk = true;
            const bool falls = transport[0] == u'a';
            EXPECT_EQ(NT_SUCCESS(machine.Start()), falls);
            EXPECT_EQ(machine.kernel.Logged("the legacy one is tried"), falls);
            if (falls) {
                EXPECT_EQ(machine.Info().transport, unsigned(VQ7_TRANSPORT_LEGACY));
                Data data(machine.memory, 512, 9);
                machine.Write(3, data);
                machine.Run();
                EXPECT_EQ(machine.disk[3 * 512], 9);
            } else {
                EXPECT_EQ(machine.pci.status, 0);
            }
            machine.Remove();
        }
    }
}

// No legacy interface: a device of the modern one alone, by its id or by its revision.
TEST(Fallback, ThereIsNone) {
    for (bool by_id : {true, false}) {
        Options options;
        options.legacy = !by_id;
        Machine machine(options);
        if (!by_id) {
            machine.pci.cfg[0x08] = 1;
        }
        machine.pci.refuseFeaturesOk = true;
        EXPECT_FALSE(NT_SUCCESS(machine.Start()));
        EXPECT_FALSE(machine.kernel.Logged("the legacy one is tried"));
        machine.Remove();
    }
}

} // namespace
