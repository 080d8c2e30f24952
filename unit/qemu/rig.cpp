// SPDX-License-Identifier: MIT
#include "rig.h"

#include <algorithm>
#include <map>

#include <poll.h>

namespace qtest {

const char *name(Kind kind) {
    static const char *const names[] = {"blk", "net", "rng", "console"};
    return names[int(kind)];
}

const char *name(Transport transport) {
    static const char *const names[] = {"legacy", "transitional_as_legacy",
                                        "transitional_as_modern", "modern"};
    return names[int(transport)];
}

UINT16 deviceType(Kind kind) {
    static const UINT16 types[] = {2, 1, 4, 3};
    return types[int(kind)];
}

// `Auto` where there is nothing to choose from, or where the modern interface
// is the one to choose.
VIRTIO_PCI_MODE mode(Transport transport) {
    return transport == Transport::TransitionalAsLegacy ? VirtioPciModeLegacy
           : transport == Transport::Modern             ? VirtioPciModeModern
                                                        : VirtioPciModeAuto;
}

Fd patternDisk() {
    Fd disk = memoryFile("disk", DiskSectors * 512);
    for (uint64_t s = 0; s < DiskSectors; s++) {
        char sector[512];
        memset(sector, int('A' + s % 23), sizeof(sector));
        memcpy(sector, &s, sizeof(s));
        if (pwrite(disk.get(), sector, sizeof(sector), off_t(s * 512)) != sizeof(sector)) {
            systemError("can't fill the disk");
        }
    }
    return disk;
}

std::string deviceArgument(Kind kind, Transport transport) {
    static const char *const bases[] = {"virtio-blk-pci", "virtio-net-pci", "virtio-rng-pci",
                                        "virtio-serial-pci"};
    static const char *const own[] = {",drive=d,serial=VQ7SERIAL",
                                      ",netdev=n,romfile=,mac=52:54:00:12:34:56", "", ""};
    const char *suffix = transport == Transport::Legacy   ? ",disable-modern=on,disable-legacy=off"
                         : transport == Transport::Modern ? "-non-transitional"
                                                          : "-transitional";
    return std::string(bases[int(kind)]) + suffix + ",id=dut" + own[int(kind)];
}

Rig::Rig(Kind k, Transport t, const std::string &properties) : kind(k), transport(t) {
    std::vector<std::string> args;
    std::vector<int> fds;
    Fd theirs, theirs1;
    if (kind == Kind::Blk) {
        disk = patternDisk();
        fds = {disk.get()};
        args = {"-drive", "if=none,id=d,format=raw,file=" + disk.path()};
    } else if (kind == Kind::Net) {
        std::tie(peer, theirs) = socketPair(SOCK_DGRAM);
        fds = {theirs.get()};
        args = {"-netdev", "dgram,id=n,local.type=fd,local.str=" + theirs.number()};
    }
    args.insert(args.end(), {"-device", deviceArgument(kind, transport) + properties});
    if (kind == Kind::Console) {
        std::tie(peer, theirs) = socketPair(SOCK_STREAM);
        std::tie(port1, theirs1) = socketPair(SOCK_STREAM);
        fds = {theirs.get(), theirs1.get()};
        args.insert(args.end(), {"-chardev", "socket,id=c0,fd=" + theirs.number(), "-device",
                                 "virtconsole,bus=dut.0,chardev=c0", "-chardev",
                                 "socket,id=c1,fd=" + theirs1.number(), "-device",
                                 "virtserialport,bus=dut.0,chardev=c1,nr=1,name=vq7.port"});
    }
    const char *chipset = kind == Kind::Blk || kind == Kind::Console ? "pc" : "q35";
    machine = std::make_unique<Machine>(chipset, args, fds);
    function = std::make_unique<PciFunction>(*machine);
}

namespace {

bool comes(const Fd &peer) {
    pollfd p{peer.get(), POLLIN, 0};
    return poll(&p, 1, 5000) == 1;
}

// Ended before the program, so that no machine outlives the last test.
struct Kept : testing::Environment {
    std::map<std::pair<Kind, Transport>, std::unique_ptr<Rig>> rigs;
    void TearDown() override {
        rigs.clear();
    }
};
Kept *const kept = static_cast<Kept *>(testing::AddGlobalTestEnvironment(new Kept));

} // namespace

std::string receive(const Fd &peer, size_t bytes) {
    std::string all;
    while (all.size() < bytes && comes(peer)) {
        char chunk[4096];
        ssize_t n = recv(peer.get(), chunk, std::min(sizeof(chunk), bytes - all.size()), 0);
        if (n <= 0) {
            break;
        }
        all.append(chunk, size_t(n));
    }
    return all;
}

std::string receiveFrame(const Fd &peer) {
    char frame[65536];
    ssize_t n = comes(peer) ? recv(peer.get(), frame, sizeof(frame), 0) : 0;
    return std::string(frame, n > 0 ? size_t(n) : 0);
}

void transmit(const Fd &peer, const std::string &data) {
    if (send(peer.get(), data.data(), data.size(), MSG_NOSIGNAL) != ssize_t(data.size())) {
        systemError("can't send to QEMU");
    }
}

void RigTest::SetUp() {
    if (!available()) {
        GTEST_SKIP() << "qemu-system-x86_64 is not installed";
    }
}

void RigTest::open(Kind kind, Transport transport, bool msix) {
    auto &slot = kept->rigs[{kind, transport}];
    if (!slot) {
        slot = std::make_unique<Rig>(kind, transport);
    }
    rig = slot.get();
    openDevice(msix);
}

void RigTest::openFresh(Kind kind, Transport transport, bool msix, const std::string &properties) {
    own_ = std::make_unique<Rig>(kind, transport, properties);
    rig = own_.get();
    openDevice(msix);
}

void RigTest::openDevice(bool msix) {
    rig->function->enableMsix(msix); // its messages' memory is not the test's
    mark_ = rig->machine->mark();
    dev = std::make_unique<VirtioDevice>(*rig->machine, *rig->function, mode(rig->transport), msix);
}

void RigTest::TearDown() {
    if (!rig) {
        return;
    }
    if (!HasFailure() && dev) {
        EXPECT_EQ(VirtioPciReset(&dev->pci, 1000), STATUS_SUCCESS);
        EXPECT_EQ(rig->machine->takeLog(), expectedLog) << "of QEMU";
    }
    dev.reset();
    rig->machine->release(mark_);
    if (HasFailure() && !own_) {
        kept->rigs.erase({rig->kind, rig->transport});
    }
    own_.reset();
    rig = nullptr;
}

} // namespace qtest
