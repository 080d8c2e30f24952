// SPDX-License-Identifier: MIT
//
// lib/ and its transports on QEMU's virtio-blk: negotiation, I/O in both
// directions checked against the image file, EVENT_IDX, indirect descriptors,
// MSI-X messages, ring wrap, errors, reset and reuse (Virtio 1.2, 5.2).
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <ostream>
#include <thread>

#include <unistd.h>

#include "virtio_device.h"

using namespace qtest;

namespace {

constexpr UINT64 EventIdx = VIRTIO_FEATURE(VIRTIO_F_RING_EVENT_IDX_BIT);
constexpr UINT64 Indirect = VIRTIO_FEATURE(VIRTIO_F_RING_INDIRECT_DESC_BIT);
constexpr UINT32 In = 0, Out = 1; // VIRTIO_BLK_T_IN, _OUT (5.2.6)
constexpr uint64_t Sectors = 2048;

struct Flavour {
    const char *name;
    const char *device;
    VIRTIO_PCI_MODE mode;
    UINT64 features;
    bool msix;
};

void PrintTo(const Flavour &f, std::ostream *out) {
    *out << f.name;
}

std::string image(const char *test) {
    std::string path = std::string("/tmp/vq7-blk-") + std::to_string(getpid()) + "-" + test;
    std::ofstream f(path, std::ios::binary);
    for (uint64_t s = 0; s < Sectors; s++) {
        char sector[512];
        memset(sector, int('A' + s % 23), sizeof(sector));
        memcpy(sector, &s, sizeof(s));
        f.write(sector, sizeof(sector));
    }
    return path;
}

struct Blk : testing::TestWithParam<Flavour> {
    std::string disk;
    std::unique_ptr<Machine> machine;
    std::unique_ptr<VirtioDevice> dev;
    Queue *q = nullptr;
    uint64_t headers = 0;

    void SetUp() override {
        if (!available()) {
            GTEST_SKIP() << "qemu-system-x86_64 is not installed";
        }
        disk = image(GetParam().name);
        machine = std::make_unique<Machine>(
            "pc", std::vector<std::string>{
                      "-drive", "if=none,id=d,format=raw,cache=writeback,file=" + disk, "-device",
                      std::string(GetParam().device) + ",drive=d,serial=VQ7SERIAL"});
        dev = std::make_unique<VirtioDevice>(*machine, GetParam().mode, GetParam().msix ? 2 : 0);
        start();
    }
    void TearDown() override {
        dev.reset();
        machine.reset();
        unlink(disk.c_str());
    }

    void start() {
        dev->negotiate(GetParam().features);
        if (GetParam().msix) {
            check(VirtioPciSetConfigVector(&dev->pci, 0), "VirtioPciSetConfigVector");
        }
        q = &dev->addQueue(0, 64, GetParam().msix ? 1 : 0xFFFF);
        dev->driverOk();
        headers = machine->allocate(64 * 32, 16);
    }

    // Header (16 bytes) and status byte of request slot i.
    std::vector<VIRTQ_SG> request(unsigned slot, UINT32 type, UINT64 sector, uint64_t data,
                                  UINT32 bytes, unsigned pieces = 1) {
        uint64_t header = headers + 32 * slot;
        uint8_t *h = machine->at(header);
        UINT32 zero = 0;
        memcpy(h, &type, 4);
        memcpy(h + 4, &zero, 4);
        memcpy(h + 8, &sector, 8);
        h[16] = 0xEE;
        std::vector<VIRTQ_SG> sg = {{header, 16, FALSE}};
        for (unsigned i = 0; i < pieces; i++) {
            UINT32 from = UINT32(uint64_t(bytes) * i / pieces);
            UINT32 to = UINT32(uint64_t(bytes) * (i + 1) / pieces);
            sg.push_back({data + from, to - from, BOOLEAN(type == In)});
        }
        sg.push_back({header + 16, 1, TRUE});
        return sg;
    }
    uint8_t status(unsigned slot) {
        return *machine->at(headers + 32 * slot + 16);
    }
    uint8_t run(UINT32 type, UINT64 sector, uint64_t data, UINT32 bytes, unsigned pieces = 1) {
        dev->submit(*q, request(0, type, sector, data, bytes, pieces), this);
        Completion done = dev->wait(*q);
        EXPECT_EQ(done.cookie, this);
        if (status(0) == 0) {
            // For a failed one the device may say any length (5.2.6.4).
            EXPECT_EQ(done.len, (type == In ? bytes : 0) + 1);
        }
        return status(0);
    }
};

TEST_P(Blk, CapacityIsTheImagesSize) {
    UINT64 capacity = 0;
    check(VirtioPciReadConfig(&dev->pci, 0, &capacity, 8), "VirtioPciReadConfig");
    EXPECT_EQ(capacity, Sectors);
}

TEST_P(Blk, ReadsWhatTheImageHolds) {
    for (unsigned pieces : {1u, 2u, 7u, 30u}) {
        uint64_t data = machine->allocate(8192, 16);
        ASSERT_EQ(run(In, 100, data, 8192, pieces), 0) << pieces;
        for (uint64_t s = 0; s < 16; s++) {
            uint64_t tag;
            memcpy(&tag, machine->at(data + 512 * s), 8);
            EXPECT_EQ(tag, 100 + s) << pieces;
            EXPECT_EQ(*machine->at(data + 512 * s + 511), 'A' + (100 + s) % 23);
        }
    }
}

TEST_P(Blk, WritesArriveInTheImageAndNowhereElse) {
    uint64_t data = machine->allocate(4096, 16);
    for (int i = 0; i < 4096; i++) {
        *machine->at(data + i) = uint8_t(i * 7);
    }
    ASSERT_EQ(run(Out, 10, data, 4096, 5), 0);
    std::ifstream f(disk, std::ios::binary);
    std::vector<char> got(Sectors * 512);
    f.read(got.data(), std::streamsize(got.size()));
    EXPECT_EQ(memcmp(&got[10 * 512], machine->at(data), 4096), 0);
    for (uint64_t s : {uint64_t(9), uint64_t(18)}) {
        uint64_t tag;
        memcpy(&tag, &got[s * 512], 8);
        EXPECT_EQ(tag, s);
    }
}

TEST_P(Blk, ManyInFlightComeBackOnceEach) {
    unsigned depth = GetParam().features & Indirect ? 16 : 20;
    uint64_t data = machine->allocate(512 * 64, 512);
    for (int round = 0; round < 20; round++) {
        std::vector<int> seen(depth);
        for (unsigned i = 0; i < depth; i++) {
            dev->add(*q, request(i, In, i * 3, data + 512 * i, 512), &seen[i]);
        }
        dev->kick(*q);
        for (unsigned i = 0; i < depth; i++) {
            ++*static_cast<int *>(dev->wait(*q).cookie);
        }
        EXPECT_EQ(seen, std::vector<int>(depth, 1));
        for (unsigned i = 0; i < depth; i++) {
            uint64_t tag;
            memcpy(&tag, machine->at(data + 512 * i), 8);
            EXPECT_EQ(tag, i * 3);
        }
    }
    EXPECT_EQ(VirtqSplitInFlight(q->vq()), 0);
    EXPECT_EQ(VirtqSplitNumFree(q->vq()), VirtqSplitQueueSize(q->vq()));
}

TEST_P(Blk, ARequestPastTheEndFailsAndTheNextOneWorks) // 5.2.6.1
{
    uint64_t data = machine->allocate(512, 512);
    EXPECT_EQ(run(In, Sectors, data, 512), 1); // VIRTIO_BLK_S_IOERR
    EXPECT_EQ(run(In, Sectors - 1, data, 512), 0);
}

TEST_P(Blk, AMessageComesForAUsedBuffer) // 2.7.7, 4.1.5.3
{
    if (!GetParam().msix) {
        GTEST_SKIP() << "no MSI-X in this flavour";
    }
    uint64_t data = machine->allocate(512, 512);
    for (int i = 0; i < 5; i++) {
        ASSERT_TRUE(VirtqSplitEnableInterrupts(q->vq()));
        ASSERT_EQ(run(In, 1, data, 512), 0);
        bool message = false;
        for (int wait = 0; wait < 2000 && !message; wait++) {
            message = dev->function.takeMessage(1);
            std::this_thread::sleep_for(std::chrono::milliseconds(message ? 0 : 1));
        }
        EXPECT_TRUE(message) << "no message for buffer " << i;
    }
    EXPECT_FALSE(dev->function.takeMessage(0)) << "a message on the configuration vector";
}

TEST_P(Blk, NoMessageWhileInterruptsAreDisabled) {
    if (!GetParam().msix) {
        GTEST_SKIP() << "no MSI-X in this flavour";
    }
    uint64_t data = machine->allocate(512, 512);
    // With EVENT_IDX a device may send one after its first buffer whatever
    // used_event says, for it has no earlier index to compare with.
    ASSERT_EQ(run(In, 1, data, 512), 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    VirtqSplitDisableInterrupts(q->vq());
    dev->function.takeMessage(1);
    for (int i = 0; i < 5; i++) {
        ASSERT_EQ(run(In, 1, data, 512), 0);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_FALSE(dev->function.takeMessage(1));
}

TEST_P(Blk, ResetTakesBuffersBackAndTheQueueWorksAgain) {
    uint64_t data = machine->allocate(512, 512);
    // Added and published but never kicked: still ours after the reset.
    int a = 0;
    int b = 0;
    dev->add(*q, request(1, In, 1, data, 512), &a);
    dev->add(*q, request(2, In, 2, data, 512), &b);
    check(VirtioPciReset(&dev->pci, 1000), "VirtioPciReset");
    std::vector<void *> back;
    void *cookie;
    while (VirtqSplitDetachUnused(q->vq(), &cookie) == STATUS_SUCCESS) {
        back.push_back(cookie);
    }
    EXPECT_EQ(back, (std::vector<void *>{&a, &b}));
    EXPECT_EQ(VirtqSplitResetChecked(q->vq()), STATUS_SUCCESS);
    start();
    EXPECT_EQ(run(In, 5, data, 512), 0);
}

TEST_P(Blk, IndicesWrap) // 2.7: free-running 16-bit indices
{
    uint64_t data = machine->allocate(512, 512);
    const unsigned batch = 16;
    // 65,536 entries and a few more, in batches that the device sees at once.
    for (unsigned i = 0; i < 65536 / batch + 3; i++) {
        for (unsigned j = 0; j < batch; j++) {
            dev->add(*q, request(j, In, (i + j) % Sectors, data, 512), nullptr);
        }
        dev->kick(*q);
        for (unsigned j = 0; j < batch; j++) {
            dev->wait(*q);
        }
    }
    EXPECT_EQ(q->vq()->avail_idx, 3 * batch);
    EXPECT_EQ(q->vq()->last_used_idx, 3 * batch);
    EXPECT_EQ(run(In, 7, data, 512), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Flavours, Blk,
    testing::Values(
        Flavour{"modern_event_idx_indirect_msix", "virtio-blk-pci-non-transitional",
                VirtioPciModeModern, EventIdx | Indirect, true},
        Flavour{"modern_plain", "virtio-blk-pci-non-transitional", VirtioPciModeModern, 0, false},
        Flavour{"transitional_as_modern", "virtio-blk-pci-transitional", VirtioPciModeAuto,
                EventIdx, true},
        Flavour{"transitional_as_legacy_msix", "virtio-blk-pci-transitional", VirtioPciModeLegacy,
                Indirect, true},
        Flavour{"legacy_event_idx", "virtio-blk-pci,disable-modern=on,disable-legacy=off",
                VirtioPciModeAuto, EventIdx | Indirect, false}),
    [](const auto &i) { return std::string(i.param.name); });

} // namespace
