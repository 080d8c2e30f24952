// SPDX-License-Identifier: MIT
//
// lib/ on QEMU's virtio-rng, -console and -net: one, several and asymmetric
// queues, buffers the device fills as it likes, traffic checked at the other
// end by this process (Virtio 1.2, 5.4, 5.3, 5.1).
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "virtio_device.h"

using namespace qtest;

namespace {

constexpr UINT64 Ring =
    VIRTIO_FEATURE(VIRTIO_F_RING_EVENT_IDX_BIT) | VIRTIO_FEATURE(VIRTIO_F_RING_INDIRECT_DESC_BIT);

struct Flavour {
    const char *name;
    const char *suffix; // of the QEMU device
    VIRTIO_PCI_MODE mode;
};

void PrintTo(const Flavour &f, std::ostream *out) {
    *out << f.name;
}

struct Devices : testing::TestWithParam<Flavour> {
    std::unique_ptr<Machine> machine;
    std::unique_ptr<VirtioDevice> dev;
    std::string peerPath = "/tmp/vq7-peer-" + std::to_string(getpid());
    int peer = -1;

    void SetUp() override {
        if (!available()) {
            GTEST_SKIP() << "qemu-system-x86_64 is not installed";
        }
    }
    void TearDown() override {
        dev.reset();
        machine.reset();
        if (peer >= 0) {
            close(peer);
        }
        unlink(peerPath.c_str());
        unlink((peerPath + "q").c_str());
    }
    std::string device(const char *base) {
        return std::string(base) + GetParam().suffix;
    }
    void boot(std::vector<std::string> args, unsigned vectors) {
        machine = std::make_unique<Machine>("q35", args);
        dev = std::make_unique<VirtioDevice>(*machine, GetParam().mode, vectors);
    }
    int bound(int type, const std::string &path) {
        sockaddr_un a{};
        a.sun_family = AF_UNIX;
        strncpy(a.sun_path, path.c_str(), sizeof(a.sun_path) - 1);
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
        EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr *>(&a), sizeof(a)), 0) << strerror(errno);
        return fd;
    }
    std::string receive() {
        pollfd p{peer, POLLIN, 0};
        char data[2048];
        if (poll(&p, 1, 5000) != 1) {
            return "(nothing came)";
        }
        ssize_t n = recv(peer, data, sizeof(data), 0);
        return std::string(data, n > 0 ? size_t(n) : 0);
    }
};

TEST_P(Devices, RngFillsBuffersWithDifferentBytes) // 5.4
{
    boot({"-device", device("virtio-rng-pci")}, 2);
    dev->negotiate(Ring);
    EXPECT_EQ(dev->pci.device_type, 4);
    Queue &q = dev->addQueue(0, 8, 1);
    dev->driverOk();
    std::set<std::string> seen;
    for (int i = 0; i < 20; i++) {
        uint64_t data = machine->allocate(64, 16);
        dev->submit(q, {{data, 16, TRUE}, {data + 16, 48, TRUE}}, nullptr);
        Completion done = dev->wait(q);
        ASSERT_GE(done.len, 1u);
        ASSERT_LE(done.len, 64u);
        seen.insert(std::string(reinterpret_cast<char *>(machine->at(data)), 64));
    }
    EXPECT_EQ(seen.size(), 20u);
}

TEST_P(Devices, ConsoleCarriesBytesBothWays) // 5.3: port 0 is queues 0 and 1
{
    int listener = bound(SOCK_STREAM, peerPath);
    ASSERT_EQ(listen(listener, 1), 0);
    boot({"-device", device("virtio-serial-pci") + ",id=s", "-chardev",
          "socket,id=c,path=" + peerPath, "-device", "virtconsole,bus=s.0,chardev=c"},
         0);
    peer = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    close(listener);
    ASSERT_GE(peer, 0);
    dev->negotiate(Ring);
    Queue &rx = dev->addQueue(0, 0);
    Queue &tx = dev->addQueue(1, 0);
    dev->driverOk();
    for (int i = 0; i < 10; i++) {
        uint64_t in = machine->allocate(128, 16);
        uint64_t out = machine->allocate(64, 16);
        dev->submit(rx, {{in, 64, TRUE}, {in + 64, 64, TRUE}}, &rx);
        std::string text = "round " + std::to_string(i) + " from the driver";
        memcpy(machine->at(out), text.data(), text.size());
        dev->submit(tx, {{out, 5, FALSE}, {out + 5, UINT32(text.size() - 5), FALSE}}, &tx);
        EXPECT_EQ(dev->wait(tx).cookie, &tx);
        EXPECT_EQ(receive(), text);
        std::string answer = "answer " + std::to_string(i) + std::string(70, '.');
        ASSERT_EQ(send(peer, answer.data(), answer.size(), 0), ssize_t(answer.size()));
        Completion done = dev->wait(rx);
        ASSERT_EQ(done.len, answer.size());
        EXPECT_EQ(memcmp(machine->at(in), answer.data(), answer.size()), 0);
    }
}

TEST_P(Devices, NetSendsAndReceivesFrames) // 5.1.6
{
    peer = bound(SOCK_DGRAM, peerPath);
    boot({"-netdev",
          "dgram,id=n,local.type=unix,local.path=" + peerPath +
              "q,remote.type=unix,remote.path=" + peerPath,
          "-device", device("virtio-net-pci") + ",netdev=n,romfile=,mac=52:54:00:12:34:56"},
         3);
    dev->negotiate(Ring | VIRTIO_FEATURE(5)); // VIRTIO_NET_F_MAC
    Queue &rx = dev->addQueue(0, 0, 1);
    Queue &tx = dev->addQueue(1, 0, 2);
    dev->driverOk();
    UINT8 mac[6];
    check(VirtioPciReadConfig(&dev->pci, 0, mac, 6), "VirtioPciReadConfig");
    EXPECT_EQ(memcmp(mac, "\x52\x54\x00\x12\x34\x56", 6), 0);
    // virtio_net_hdr: 12 bytes with VERSION_1, else 10 (5.1.6.1).
    UINT32 header = dev->pci.modern ? 12 : 10;

    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    strncpy(to.sun_path, (peerPath + "q").c_str(), sizeof(to.sun_path) - 1);
    for (int i = 0; i < 10; i++) {
        uint64_t in = machine->allocate(2048, 16);
        dev->submit(rx, {{in, header, TRUE}, {in + 64, 1900, TRUE}}, nullptr);
        std::string frame("\x52\x54\x00\x12\x34\x56\x02\x00\x00\x00\x00\x01\x88\xb5", 14);
        frame += "frame " + std::to_string(i) + std::string(60 + size_t(i) * 100, char('a' + i));
        uint64_t out = machine->allocate(2048, 16);
        memcpy(machine->at(out + 64), frame.data(), frame.size());
        dev->submit(tx, {{out, header, FALSE}, {out + 64, UINT32(frame.size()), FALSE}}, &tx);
        EXPECT_EQ(dev->wait(tx).cookie, &tx);
        EXPECT_EQ(receive(), frame);
        ASSERT_EQ(sendto(peer, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr *>(&to),
                         sizeof(to)),
                  ssize_t(frame.size()));
        Completion done = dev->wait(rx);
        ASSERT_EQ(done.len, header + frame.size());
        EXPECT_EQ(memcmp(machine->at(in + 64), frame.data(), frame.size()), 0);
    }
}

INSTANTIATE_TEST_SUITE_P(Flavours, Devices,
                         testing::Values(Flavour{"modern", "-non-transitional",
                                                 VirtioPciModeModern},
                                         Flavour{"legacy", "-transitional", VirtioPciModeLegacy}),
                         [](const auto &i) { return std::string(i.param.name); });

} // namespace
