// SPDX-License-Identifier: MIT
//
// A machine for tests of the driver: the model of a virtio-blk device with a disk behind it,
// and the kernel and framework that run the driver, all in this process.
#pragma once

#include <gtest/gtest.h>

#include "framework.h"
#include "model/split_device.h"
#include "vq7_ioctl.h"

namespace vq7::host {

enum : std::uint64_t {
    kSizeMax = 1u << 1,
    kSegMax = 1u << 2,
    kReadOnly = 1u << 5,
    kBlkSize = 1u << 6,
    kFlush = 1u << 9,
    kConfigWce = 1u << 11,
    kIndirect = 1u << 28,
    kEventIdx = 1u << 29,
    kVersion1 = std::uint64_t(1) << 32,
};

// Memory of a caller, as an MDL describes it: pages that are apart, or that follow each
// other and are mapped.
class Data {
  public:
    Data(vq7::model::GuestMemory &memory, std::size_t length, std::uint8_t fill = 0,
         bool apart = true);
    PMDL mdl() {
        return reinterpret_cast<PMDL>(mdl_.data());
    }
    std::uint8_t &operator[](std::size_t i) {
        return *memory_.Host(pages_[i / 4096] + i % 4096, 1);
    }
    std::size_t size() const {
        return length_;
    }

  private:
    vq7::model::GuestMemory &memory_;
    std::size_t length_;
    std::vector<std::uint64_t> pages_, mdl_;
};

// A virtio-blk request as the device sees it (Virtio 1.2, 5.2.6).
struct Seen {
    std::uint32_t type;
    std::uint64_t sector;
    std::uint32_t bytes;  // data
    std::size_t segments; // data
    bool indirect;
};

struct Options {
    bool modern = true, legacy = false;
    int messages = 0;
    std::uint16_t queue_size = 16;
    std::uint64_t features = kSegMax | kBlkSize | kFlush | kConfigWce | kIndirect | kEventIdx;
    std::uint32_t block_size = 512, seg_max = 126, size_max = 0;
    std::uint8_t writeback = 1;
    std::uint16_t type = 2;
    std::size_t memory = 2 << 20;
};

class Machine {
  public:
    static constexpr std::uint64_t kSectors = 1024;

    explicit Machine(const Options &options = {});
    ~Machine();

    ::model::PciDevice pci;
    vq7::model::GuestMemory memory;
    Kernel kernel;
    Framework framework;
    std::vector<std::uint8_t> disk = std::vector<std::uint8_t>(kSectors * 512);
    std::vector<Seen> seen;
    // What the device says instead of its own answer: status byte and used length.
    std::function<void(const Seen &, std::uint8_t &, std::uint32_t &)> answer;
    bool moves_data = true; // false: it only says so
    std::optional<vq7::model::SplitDevice> ring;

    NTSTATUS Start(); // and attaches the device model to its ring
    NTSTATUS PowerUp();
    void Reattach();                // the driver has set up its ring anew
    void Remove();                  // and looks for leaks
    bool Serve(int most = 1 << 20); // true: the driver wants an interrupt
    void ServeOne(const vq7::model::Chain &chain);
    void Interrupt(); // of the queue
    void Run();       // until nothing is left to do

    Request *Transfer(ULONG code, std::uint64_t sector, Data &data, unsigned segments = 0);
    Request *Read(std::uint64_t sector, Data &data, unsigned segments = 0) {
        return Transfer(IOCTL_VQ7_BLK_READ, sector, data, segments);
    }
    Request *Write(std::uint64_t sector, Data &data, unsigned segments = 0) {
        return Transfer(IOCTL_VQ7_BLK_WRITE, sector, data, segments);
    }
    template <typename T> T Get(ULONG code) {
        Request *request = framework.Send(code, nullptr, 0, sizeof(T));
        Run();
        T out;
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(request->status, STATUS_SUCCESS);
        EXPECT_EQ(request->information, sizeof(T));
        EXPECT_EQ(request->buffer[sizeof(T) / 8], 0xA5A5A5A5A5A5A5A5) << "written behind the end";
        memcpy(&out, request->buffer.data(), sizeof(T));
        return out;
    }
    VQ7_STATS Stats() {
        return Get<VQ7_STATS>(IOCTL_VQ7_GET_STATS);
    }
    VQ7_DEVICE_INFO Info() {
        return Get<VQ7_DEVICE_INFO>(IOCTL_VQ7_GET_DEVICE_INFO);
    }
    bool BusMaster() const {
        return (pci.cfg[4] & 4) != 0;
    }
    bool legacy() const {
        return !pci.queues[0].enabled;
    }

  private:
    void Attach();
    Options options_;
    std::size_t notified_ = 0;
};

} // namespace vq7::host
