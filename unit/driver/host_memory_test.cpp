// SPDX-License-Identifier: MIT
//
// Memory that is shared with the device, on the host (dma.cpp): how much, where the device is
// told that it is, and what is not contiguous for it. And parameters of a wrong type.
#include "host/faults.h"
#include "host/machine.h"

using namespace vq7::host;

namespace {

std::vector<const Buffer *> Buffers(const Machine &machine) {
    std::vector<const Buffer *> buffers;
    for (const auto &object : machine.framework.objects) {
        if (const auto *buffer = dynamic_cast<const Buffer *>(object.get())) {
            buffers.push_back(buffer);
        }
    }
    return buffers;
}

Options Large() {
    Options options;
    options.queue_size = 256;
    options.memory = 8 << 20;
    return options;
}

// 2.7: descriptors and the available ring, to the next page; the used ring; both rings with
// their event fields. An indirect table a buffer in flight, up to 128. A header a descriptor.
TEST(Memory, IsAsLargeAsIsUsed) {
    for (unsigned size : {16, 128, 256}) {
        Options options = Large();
        options.queue_size = std::uint16_t(size);
        Machine machine(options);
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
        const auto buffers = Buffers(machine);
        ASSERT_EQ(buffers.size(), 4u);
        const unsigned first = (16 * size + 6 + 2 * size + 4095) / 4096 * 4096;
        EXPECT_EQ(buffers[0]->length, first + 6 + 8 * size);
        EXPECT_EQ(buffers[1]->length, std::min(size, 128u) * std::min(size, 130u) * 16);
        EXPECT_EQ(buffers[2]->length, size * 64);
        EXPECT_EQ(buffers[3]->length, 0x10000u);
        for (const Buffer *buffer : buffers) {
            EXPECT_EQ(buffer->pa % 4096, 0u);
        }
        machine.Remove();
    }
}

TEST(Memory, WithoutIndirectTables) {
    Options options = Large();
    options.features &= ~kIndirect;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    EXPECT_EQ(Buffers(machine).size(), 3u);
    machine.Remove();
}

// Every page of each is looked for, and nothing that isn't its own.
TEST(Memory, IsLookedForPageByPage) {
    Machine machine(Large());
    std::map<std::uint64_t, unsigned> looked; // by page
    faults.physical = [&](std::uint64_t pa) {
        bool inside = false;
        for (const Buffer *buffer : Buffers(machine)) {
            inside |= pa >= buffer->pa && pa < buffer->pa + buffer->length;
        }
        EXPECT_TRUE(inside) << "nobody's memory";
        looked[pa / 4096]++;
        return pa;
    };
    ASSERT_EQ(machine.framework.Load(), STATUS_SUCCESS);
    ASSERT_EQ(machine.framework.AddDevice(), STATUS_SUCCESS);
    ASSERT_EQ(machine.framework.PrepareHardware(), STATUS_SUCCESS);
    machine.framework.PowerUp();
    faults.physical = nullptr;
    for (const Buffer *buffer : Buffers(machine)) {
        for (std::uint64_t at = 0; at < buffer->length; at += 4096) {
            EXPECT_GE(looked[(buffer->pa + at) / 4096], 1u) << at;
        }
    }
    machine.Remove();
}

// One page is elsewhere, as where an IOMMU makes it look contiguous: the driver says so and
// gives everything back.
TEST(Memory, ThatIsNotContiguous) {
    std::vector<std::uint64_t> pages;
    {
        Machine machine(Large());
        ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
        for (const Buffer *buffer : Buffers(machine)) {
            for (std::uint64_t at = 4096; at < buffer->length; at += 4096) {
                pages.push_back(buffer->pa + at);
            }
        }
        machine.Remove();
    }
    ASSERT_GT(pages.size(), 80u);
    for (std::size_t i = 0; i < pages.size(); i += i < 4 || i + 20 > pages.size() ? 1 : 9) {
        Machine machine(Large());
        faults.physical = [&](std::uint64_t pa) { return pa == pages[i] ? pa + 4096 : pa; };
        EXPECT_EQ(machine.Start(), STATUS_NOT_SUPPORTED) << i;
        EXPECT_TRUE(machine.kernel.Logged("contiguous through an IOMMU alone"));
        EXPECT_EQ(machine.pci.status, 0);
        machine.Remove();
    }
}

// What the device is told are the places where the memory is.
TEST(Memory, IsWhereTheDeviceIsTold) {
    Machine machine(Large());
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    const model::Queue &queue = machine.pci.queues[0];
    const auto buffers = Buffers(machine);
    EXPECT_EQ(queue.desc, buffers[0]->pa);
    EXPECT_EQ(queue.driver, buffers[0]->pa + 16 * 256);
    EXPECT_EQ(queue.device, buffers[0]->pa + 8192);
    machine.Remove();
}

// ---------------------------------------------------------------- parameters

TEST(WrongParameters, OfAnotherType) {
    for (const char16_t *name : {u"RequestTimeoutMs", u"RequestRetries"}) {
        Machine machine;
        faults.no_number = name;
        EXPECT_EQ(machine.Start(), STATUS_INVALID_PARAMETER);
        EXPECT_TRUE(machine.kernel.Logged("is no REG_DWORD"));
        EXPECT_FALSE(machine.kernel.Logged("parameter RequestTimeoutMs is"));
        EXPECT_EQ(machine.framework.open_keys, 0);
        EXPECT_EQ(machine.framework.device, nullptr);
    }
}

// As long as the longest name, and one more.
TEST(WrongParameters, ATransportThatIsTooLong) {
    for (std::size_t length : {16, 17}) {
        Machine machine;
        machine.framework.transport = std::u16string(length, u'x');
        EXPECT_EQ(machine.Start(), STATUS_INVALID_PARAMETER);
        EXPECT_EQ(machine.kernel.Logged("is not a short REG_SZ"), length == 17);
        EXPECT_EQ(machine.kernel.Logged("not auto, legacy or modern"), length == 16);
    }
}

} // namespace
