// SPDX-License-Identifier: MIT
//
// The devices under test: each of four types with each of four transports, in
// a machine of its own with this process at its other end (disk, frames,
// bytes). Machines are kept from test to test, since a driver has to cope with
// a device that was used before; one whose test failed is not.
#pragma once

#include <gtest/gtest.h>

#include <ostream>

#include "registers.h"
#include "virtio_device.h"

namespace qtest {

enum class Kind { Blk, Net, Rng, Console };
enum class Transport { Legacy, TransitionalAsLegacy, TransitionalAsModern, Modern };

constexpr Kind Kinds[] = {Kind::Blk, Kind::Net, Kind::Rng, Kind::Console};
constexpr Transport Transports[] = {Transport::Legacy, Transport::TransitionalAsLegacy,
                                    Transport::TransitionalAsModern, Transport::Modern};

const char *name(Kind kind);
const char *name(Transport transport);
inline void PrintTo(Kind kind, std::ostream *out) {
    *out << name(kind);
}
inline void PrintTo(Transport transport, std::ostream *out) {
    *out << name(transport);
}
UINT16 deviceType(Kind kind); // 5
inline bool isModern(Transport t) {
    return t == Transport::Modern || t == Transport::TransitionalAsModern;
}
VIRTIO_PCI_MODE mode(Transport transport);

constexpr UINT64 EventIdx = VIRTIO_FEATURE(VIRTIO_F_RING_EVENT_IDX_BIT);
constexpr UINT64 Indirect = VIRTIO_FEATURE(VIRTIO_F_RING_INDIRECT_DESC_BIT);
constexpr UINT64 Version1 = VIRTIO_FEATURE(VIRTIO_F_VERSION_1_BIT);
constexpr uint64_t DiskSectors = 2048;

struct Rig {
    // `properties` of the QEMU device, ",page-per-vq=on".
    Rig(Kind kind, Transport transport, const std::string &properties = "");

    Kind kind;
    Transport transport;
    Fd disk;  // blk: the image
    Fd peer;  // net: frames, one a datagram; console: the bytes of port 0
    Fd port1; // console: the bytes of port 1, which needs MULTIPORT
    std::unique_ptr<Machine> machine;
    std::unique_ptr<PciFunction> function;
};

// What QEMU calls the device, with its properties.
std::string deviceArgument(Kind kind, Transport transport);
Fd patternDisk();

// Waits for what the device sends to this end: `bytes` of a stream, or one
// datagram. Empty: nothing came in 5 s.
std::string receive(const Fd &peer, size_t bytes);
std::string receiveFrame(const Fd &peer);
void transmit(const Fd &peer, const std::string &data);

// A test with one device. SetUp skips it where there is no QEMU.
class RigTest : public virtual testing::Test {
  protected:
    void SetUp() override;
    void TearDown() override;
    // Has the library open the device, of the kept machine.
    void open(Kind kind, Transport transport, bool msix);
    // The same of a machine for this test alone.
    void openFresh(Kind kind, Transport transport, bool msix, const std::string &properties = "");
    Registers registers() {
        return Registers(*rig->function, dev->pci.modern, dev->pci.msix);
    }

    Rig *rig = nullptr;
    std::unique_ptr<VirtioDevice> dev;
    // What QEMU may print during the test.
    std::string expectedLog;

  private:
    void openDevice(bool msix);

    std::unique_ptr<Rig> own_;
    uint64_t mark_ = 0;
};

} // namespace qtest
